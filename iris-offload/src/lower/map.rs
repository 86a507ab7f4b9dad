//! Maps: a function of scalars that is called with arrays runs once for each element.

use iris_jit::ir::{BinaryOp, Comparison, GuardKind, Place};
use iris_jit::{ArrayType, Elem, Shape, Type};

use super::state::{Kind, name};
use super::{Datum, Lowered, Lowerer, Stop, refuse};
use crate::hir::{Expr, ExprKind, Hir, LocalId, Stmt, StmtKind, Target, is_none};
use crate::live::walk;
use crate::signature::Signature;

/// Builtins whose arguments are containers.
const OF_CONTAINERS: [&str; 9] = [
    "all",
    "any",
    "enumerate",
    "len",
    "math.fsum",
    "math.prod",
    "reversed",
    "sum",
    "zip",
];

/// Whether a call of these types is a map: it has arrays where the function computes with numbers.
/// Arrays that the function does not look at make no map.
pub(crate) fn is_map(hir: &Hir, signature: &Signature) -> bool {
    let types = hir.taken().zip(signature.types());
    let arrays: Vec<usize> = types
        .filter(|(_, ty)| ty.array().is_some())
        .map(|(param, _)| param)
        .collect();
    let reads = |&param: &usize| hir.live.entry.contains(param);
    arrays.iter().any(reads) && !has_container(hir, &hir.body, &arrays)
}

/// The parameter for the results of a map, if these are its type; it follows those of the function.
pub(super) fn out_param(result: Type) -> Type {
    let elem = match result {
        Type::I64 => Elem::I64,
        Type::Bool => Elem::Bool,
        Type::F64 | Type::Array(_) => Elem::F64,
    };
    Type::Array(ArrayType {
        elem,
        ndim: 1,
        contiguous: true,
        writable: true,
        numpy: false,
    })
}

/// Whether one of these parameters is indexed, looped over or measured.
fn has_container(hir: &Hir, body: &[Stmt], params: &[usize]) -> bool {
    let is_param = |expr: &Expr| matches!(expr.kind, ExprKind::Local(LocalId(local)) if params.contains(&local));
    let in_expr = |expr: &Expr| {
        let mut found = false;
        walk(expr, &mut |expr| {
            found |= match &expr.kind {
                ExprKind::Index(base, _)
                | ExprKind::In(_, base, _)
                | ExprKind::Is(base, ..)
                | ExprKind::Attribute(base, _) => is_param(base),
                ExprKind::Generator(generator) => generator
                    .clauses
                    .iter()
                    .any(|clause| is_param(&clause.iter)),
                ExprKind::Call(call) => {
                    let name = hir.free[call.callee.0].path();
                    if let ("min" | "max", [items]) = (name.as_str(), &call.args[..]) {
                        return found |= is_param(items);
                    }
                    OF_CONTAINERS.contains(&name.as_str()) && call.args.iter().any(is_param)
                }
                _ => false,
            };
        });
        found
    };
    let element = |target: &Target| matches!(target, Target::Element(base, _) if is_param(base));
    body.iter().any(|stmt| match &stmt.kind {
        StmtKind::Assign(targets, value) => targets.iter().any(element) || in_expr(value),
        StmtKind::Augment { array, .. } => is_param(array),
        StmtKind::Expr(expr) | StmtKind::Assert(expr) | StmtKind::Return(Some(expr)) => {
            in_expr(expr)
        }
        StmtKind::If {
            test,
            then,
            otherwise,
        } => {
            in_expr(test)
                || has_container(hir, then, params)
                || has_container(hir, otherwise, params)
        }
        StmtKind::While {
            test,
            body,
            otherwise,
        } => {
            in_expr(test)
                || has_container(hir, body, params)
                || has_container(hir, otherwise, params)
        }
        StmtKind::For {
            target,
            iter,
            body,
            otherwise,
        } => {
            is_param(iter)
                || element(target)
                || in_expr(iter)
                || has_container(hir, body, params)
                || has_container(hir, otherwise, params)
        }
        StmtKind::Pass
        | StmtKind::Delete(_)
        | StmtKind::Return(None)
        | StmtKind::Break
        | StmtKind::Continue
        | StmtKind::Raise => false,
    })
}

impl Lowerer<'_> {
    /// The loop over all elements. The last parameter of the function takes the results.
    pub(super) fn map(&mut self, signature: &Signature) -> Lowered<()> {
        let (hir, env) = (self.hir, self.env);
        let at = hir.span;
        let out = self.b.param(signature.types().len());
        self.check_lengths(signature)?;
        let zero = self.int(0);
        let head = self.b.create_block(&[Type::I64]);
        self.b.jump(head, &[zero]);
        self.b.switch_to(head);
        let position = self.b.block_params(head)[0];
        let len = self.b.length(out, 0);
        let more = self.b.compare(Comparison::Lt, position, len);
        let (body, done) = (self.b.create_block(&[]), self.b.create_block(&[]));
        self.b.branch(more, (body, &[]), (done, &[]));
        self.b.switch_to(done);
        self.b.ret_shape(Shape::None, &[]);

        self.b.switch_to(body);
        let mut args = Vec::with_capacity(hir.params);
        let mut types = signature.types().iter().enumerate();
        for param in 0..hir.params {
            if is_none(hir.nones, param) {
                args.push(Datum::None);
                continue;
            }
            let (index, ty) = types.next().expect("`lower` counts the types");
            let param = self.b.param(index);
            args.push(match ty {
                // A map is that of the elements as Python's numbers, whoever made the array.
                Type::Array(_) => {
                    let val = self.b.load(param, Place::At(position), at);
                    Datum::of(val, self.b.type_of(val))
                }
                _ => Datum::of(param, *ty),
            });
        }
        let value = match self.inline(hir, env, args, at) {
            Ok(value) => value,
            // Each element is for Python to compute: there is no code to keep.
            Err(Stop::Diverged) => {
                return refuse(
                    at,
                    "no element has a result",
                    "call it with other arguments",
                );
            }
            Err(stop) => return Err(stop),
        };
        let elem = self.array_type(out).elem;
        match value {
            Datum::Scalar(operand) if operand.ty == iris_jit::ir::element_type(elem) => {
                self.b.store(out, Place::At(position), operand.val, at);
            }
            Datum::Scalar(operand) => return Err(Stop::Retype(operand.ty, operand.maker)),
            other => {
                let what = name(&Kind::of_datum(&other));
                let mend = "return a number, or loop over the array in the function";
                return refuse(at, format!("a map to {what}"), mend);
            }
        }
        self.b.poll(at);
        let one = self.int(1);
        let next = self.b.binary(BinaryOp::IntAddWrapping, position, one);
        self.b.jump(head, &[next]);
        Ok(())
    }

    /// All arrays have one dimension, and the length of the results.
    fn check_lengths(&mut self, signature: &Signature) -> Lowered<()> {
        let at = self.hir.span;
        let out = self.b.param(signature.types().len());
        let len = self.b.length(out, 0);
        for (index, ty) in signature.types().iter().enumerate() {
            let Some(array) = ty.array() else {
                continue;
            };
            if array.ndim != 1 {
                return refuse(at, "a map over two dimensions", "pass it as one dimension");
            }
            let param = self.b.param(index);
            let other = self.b.length(param, 0);
            let same = self.b.compare(Comparison::Eq, len, other);
            self.b.guard(same, GuardKind::Index, at);
        }
        Ok(())
    }
}
