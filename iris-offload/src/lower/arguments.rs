//! The arguments of builtins and of functions of `math`, by position and by name.

use iris_jit::ir::Span;

use super::{Datum, Lowered, Lowerer, Operand, refuse};
use crate::hir::{Call, Expr, ExprKind};
use crate::live::walk;

/// What a function calls its parameters.
#[derive(Clone, Copy)]
pub(super) struct Params {
    /// Those that have no name for a caller come first, as "".
    pub(super) names: &'static [&'static str],
    /// How many of the first ones must be given.
    pub(super) required: usize,
    /// How many of the first ones can be given by position.
    pub(super) positional: usize,
}

/// The arguments of a call, in the order of the parameters.
pub(super) fn arguments<'e>(
    call: &'e Call,
    params: Params,
    function: &str,
    at: Span,
) -> Lowered<Vec<Option<&'e Expr>>> {
    let mend = "give each parameter one argument, by position or by its name";
    if call.args.len() > params.positional {
        let what = format!("{function} with {} arguments", call.args.len());
        return refuse(at, what + " is not compiled", mend);
    }
    let mut found: Vec<Option<&Expr>> = call.args.iter().map(Some).collect();
    found.resize(params.names.len(), None);
    for (name, arg) in &call.keywords {
        match params.names.iter().position(|param| param == name) {
            Some(place) if found[place].is_none() && !name.is_empty() => found[place] = Some(arg),
            _ => return refuse(at, format!("a call of {function} with {name}"), mend),
        }
    }
    if found[..params.required].contains(&None) {
        let given = call.args.len() + call.keywords.len();
        let what = format!("{function} with {given} arguments is not compiled");
        return refuse(at, what, mend);
    }
    Ok(found)
}

/// Whether the value of an expression binds a name: then it matters when it is computed.
pub(super) fn binds(expr: &Expr) -> bool {
    let mut found = false;
    walk(expr, &mut |expr| {
        found |= matches!(expr.kind, ExprKind::Walrus(..));
    });
    found
}

impl Lowerer<'_> {
    /// Numbers for these parameters, Python's or `NumPy`'s, computed in the order of the text.
    pub(super) fn operands(
        &mut self,
        call: &Call,
        params: Params,
        function: &str,
        at: Span,
    ) -> Lowered<Vec<Option<Operand>>> {
        let found = arguments(call, params, function, at)?;
        let mut operands = vec![None; found.len()];
        let text = call
            .args
            .iter()
            .chain(call.keywords.iter().map(|(_, arg)| arg));
        for arg in text {
            let place = found
                .iter()
                .position(|known| known.is_some_and(|known| std::ptr::eq(known, arg)));
            let operand = self.scalar(arg)?;
            operands[place.expect("each argument has a place")] = Some(operand);
        }
        Ok(operands)
    }

    /// The same by position, as many as they are.
    pub(super) fn positional<const N: usize>(
        &mut self,
        call: &Call,
        function: &str,
        at: Span,
    ) -> Lowered<[Operand; N]> {
        let (Ok(args), []) = (<&[Expr; N]>::try_from(&call.args[..]), &call.keywords[..]) else {
            let given = call.args.len() + call.keywords.len();
            let mend = match N {
                1 => "pass one argument",
                2 => "pass two arguments, by position",
                _ => "pass its arguments by position",
            };
            let what = format!("{function} with {given} arguments is not compiled");
            return refuse(at, what, mend);
        };
        let mut operands = Vec::with_capacity(N);
        for arg in args {
            operands.push(self.scalar(arg)?);
        }
        Ok(operands.try_into().expect("as many as there are arguments"))
    }

    /// Python's int, or a bool as one.
    pub(super) fn whole(&mut self, operand: Operand, function: &str, at: Span) -> Lowered<Operand> {
        if operand.is_numpy() {
            let what = format!("{function} of {}", operand.type_name());
            return refuse(at, what, "convert with int() first");
        }
        let operand = self.number(operand);
        if operand.ty == iris_jit::Type::I64 {
            return Ok(operand);
        }
        let mend = "convert with int() first";
        refuse(at, format!("{function} of a float"), mend)
    }

    /// The same of an argument that says how far.
    pub(super) fn count(&mut self, operand: Operand, what: &str, at: Span) -> Lowered<Operand> {
        if operand.is_numpy() {
            let what = format!("a {} for {what}", operand.type_name());
            return refuse(at, what, "convert with int() first");
        }
        if operand.ty == iris_jit::Type::F64 {
            let mend = "convert with int() first";
            return refuse(at, format!("a float for {what}"), mend);
        }
        Ok(self.number(operand))
    }

    /// The items of a tuple of two numbers, as floats.
    pub(super) fn point(&mut self, expr: &Expr, function: &str) -> Lowered<[iris_jit::ir::Val; 2]> {
        let items = match self.datum(expr)? {
            Datum::Tuple(items) => items,
            _ => Vec::new().into(),
        };
        match &items[..] {
            [Datum::Scalar(x), Datum::Scalar(y)] => {
                Ok([self.widen(x.plain()).val, self.widen(y.plain()).val])
            }
            _ => refuse(
                expr.span,
                format!("{function} of other than two points in the plane"),
                "pass two tuples of two numbers",
            ),
        }
    }
}
