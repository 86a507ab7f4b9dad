//! The body of a map as a graph without branches.
//!
//! A branch becomes a condition: both of its sides are computed, a guard on one side fails only
//! where that side is taken, and a value that comes from both is selected.

mod shape;
mod tidy;

use std::collections::HashMap;

use super::kernels::{MathErrors, Then};
use crate::array::Elem;
use crate::ir::{
    BinaryOp, CheckedBinaryOp, CheckedUnaryOp, Comparison, Function, GuardId, Math1, Math2, Op,
    Place, Terminator, UnaryOp, Val,
};
use crate::types::{Type, Value};
use shape::Shape;

/// A node, by number. Operands come before what uses them.
pub(super) type Id = usize;

/// What a node computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// A constant, as a word; truth values are words of ones or zeros.
    Const(u64),
    /// A scalar argument: the number of its word, and whether it is a truth value.
    Param(usize, bool),
    /// The element of an array, by the number of the parameter, and whether elements may not fit.
    Load(usize, bool),
    Unary(UnaryOp, Id),
    Binary(BinaryOp, Id, Id),
    CompareFloats(Comparison, Id, Id),
    CompareInts(Comparison, Id, Id),
    Math1(Math1, Id),
    Math2(Math2, Id, Id),
    CheckedUnary(CheckedUnaryOp, Id),
    CheckedBinary(CheckedBinaryOp, Id, Id),
    Select(Id, Id, Id),
    /// A product and a sum, each rounded.
    Fused(Then, Id, Id, Id),
    /// A polynomial: its first coefficient, the variable, and the number of the others.
    Horner(Id, Id, usize),
    /// Fails where a truth value is false.
    Guard(Id),
    /// Fails where a comparison of floats does not hold.
    GuardCompare(Comparison, Id, Id),
    /// Fails where the result of a function of the second is an error.
    GuardMath(MathErrors, Id, Id),
}

impl Node {
    /// The operands, in order.
    pub(super) fn operands(self) -> [Option<Id>; 3] {
        match self {
            Self::Const(_) | Self::Param(..) | Self::Load(..) => [None; 3],
            Self::Unary(_, a) | Self::Math1(_, a) | Self::CheckedUnary(_, a) | Self::Guard(a) => {
                [Some(a), None, None]
            }
            Self::Binary(_, a, b)
            | Self::CompareFloats(_, a, b)
            | Self::CompareInts(_, a, b)
            | Self::Math2(_, a, b)
            | Self::CheckedBinary(_, a, b)
            | Self::Horner(a, b, _)
            | Self::GuardCompare(_, a, b)
            | Self::GuardMath(_, a, b) => [Some(a), Some(b), None],
            Self::Select(a, b, c) | Self::Fused(_, a, b, c) => [Some(a), Some(b), Some(c)],
        }
    }

    /// Whether it defines no value, but may fail.
    pub(super) fn is_guard(self) -> bool {
        matches!(
            self,
            Self::Guard(_) | Self::GuardCompare(..) | Self::GuardMath(..)
        )
    }

    /// Whether it must be computed even if nobody uses it.
    fn may_fail(self) -> bool {
        self.is_guard()
            || matches!(
                self,
                Self::CheckedUnary(..) | Self::CheckedBinary(..) | Self::Load(_, true)
            )
    }
}

/// A map.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    /// Coefficients of polynomials, by number.
    pub(super) coefficients: Vec<Vec<f64>>,
    /// The array that takes the results, by the number of its parameter.
    pub(super) out: usize,
    pub(super) out_elem: Elem,
    pub(super) result: Id,
    /// The guard of the loop's poll.
    pub(super) poll: GuardId,
    /// The shape of the function's result, which is nothing.
    pub(super) shape: usize,
}

const TRUE: u64 = u64::MAX;

/// The map that a verified function is, if it is one that blocks can compute.
pub(super) fn of(function: &Function) -> Option<Graph> {
    let shape = Shape::of(function)?;
    let mut maker = Maker {
        function,
        shape: &shape,
        values: HashMap::new(),
        nodes: Vec::new(),
        known: HashMap::new(),
        stored: None,
        poll: None,
        taken: Vec::new(),
    };
    maker.scalars();
    for at in 0..shape.blocks.len() {
        maker.block(at)?;
    }
    let (out, result) = maker.stored?;
    let mut graph = Graph {
        poll: maker.poll?,
        nodes: maker.nodes,
        coefficients: Vec::new(),
        out,
        out_elem: function.params[out].array()?.elem,
        result,
        shape: shape.result,
    };
    tidy::tidy(&mut graph);
    Some(graph)
}

struct Maker<'a> {
    function: &'a Function,
    shape: &'a Shape,
    values: HashMap<Val, Id>,
    nodes: Vec<Node>,
    known: HashMap<Node, Id>,
    stored: Option<(usize, Id)>,
    poll: Option<GuardId>,
    /// Where each block of the body is taken, `None` if everywhere.
    taken: Vec<Option<Id>>,
}

impl Maker<'_> {
    fn add(&mut self, node: Node) -> Id {
        let nodes = &mut self.nodes;
        *self.known.entry(node).or_insert_with(|| {
            nodes.push(node);
            nodes.len() - 1
        })
    }

    fn not(&mut self, a: Id) -> Id {
        match self.nodes[a] {
            Node::Unary(UnaryOp::BoolNot, inner) => inner,
            _ => self.add(Node::Unary(UnaryOp::BoolNot, a)),
        }
    }

    /// Both conditions; `None` is always true.
    fn both(&mut self, a: Option<Id>, b: Id) -> Id {
        match a {
            None => b,
            Some(a) => self.add(Node::Binary(BinaryOp::BoolAnd, a, b)),
        }
    }

    fn scalars(&mut self) {
        let mut word = 0;
        let entry = &self.function.blocks()[0];
        for (&param, ty) in entry.params.iter().zip(&self.function.params) {
            if ty.array().is_none() {
                let node = self.add(Node::Param(word, *ty == Type::Bool));
                self.values.insert(param, node);
            }
            word += ty.words();
        }
        for &block in &self.shape.before {
            for inst in &self.function.blocks()[block].insts {
                if let (Op::Const(value), Some(result)) = (inst.op, inst.result) {
                    let node = self.constant(value);
                    self.values.insert(result, node);
                }
            }
        }
    }

    fn constant(&mut self, value: Value) -> Id {
        self.add(Node::Const(match value {
            Value::Bool(value) => 0_u64.wrapping_sub(u64::from(value)),
            _ => value.to_bits(),
        }))
    }

    fn get(&self, value: Val) -> Option<Id> {
        self.values.get(&value).copied()
    }

    fn param_of(&self, array: Val) -> Option<usize> {
        let params = &self.function.blocks()[0].params;
        params.iter().position(|&param| param == array)
    }

    /// The block's parameters, instructions and conditions; `None` if it cannot be computed so.
    fn block(&mut self, at: usize) -> Option<()> {
        let block = self.shape.blocks[at].index;
        let taken = self.enter(at)?;
        self.taken.push(taken);
        let data = &self.function.blocks()[block];
        for inst in &data.insts {
            let id = self.inst(inst.op, taken)?;
            if let Some(result) = inst.result {
                // What has no node is the position, and may be used for nothing else.
                if let Some(id) = id {
                    self.values.insert(result, id);
                }
            }
        }
        if let Some(Terminator::Bail(_)) = data.terminator {
            let never = match taken {
                Some(taken) => self.not(taken),
                None => self.add(Node::Const(0)),
            };
            // No two guards are one: each node is there once.
            self.add(Node::Guard(never));
        }
        Some(())
    }

    /// Where the block is taken, `None` if everywhere; binds its parameters.
    fn enter(&mut self, at: usize) -> Option<Option<Id>> {
        let shape = self.shape;
        let this = &shape.blocks[at];
        let mut ways = Vec::with_capacity(this.from.len());
        for way in &this.from {
            let source = shape.blocks[way.from].index;
            let taken = self.taken[way.from];
            let condition = match (way.side, &self.function.blocks()[source].terminator) {
                (Some(side), Some(Terminator::Branch { cond, .. })) => {
                    let cond = self.get(*cond)?;
                    let cond = if side { cond } else { self.not(cond) };
                    Some(self.both(taken, cond))
                }
                _ => taken,
            };
            ways.push((condition, &way.args));
        }
        let data = &self.function.blocks()[this.index];
        for (index, &param) in data.params.iter().enumerate() {
            let mut value: Option<Id> = None;
            for (condition, args) in ways.iter().rev() {
                let arg = self.get(args[index])?;
                value = Some(match (value, condition) {
                    (Some(other), Some(condition)) if other != arg => {
                        self.add(Node::Select(*condition, arg, other))
                    }
                    _ => arg,
                });
            }
            self.values.insert(param, value?);
        }
        if this.always {
            return Some(None);
        }
        let mut any: Option<Id> = None;
        for (condition, _) in ways {
            any = Some(match any {
                None => condition?,
                Some(any) => self.add(Node::Binary(BinaryOp::BoolOr, any, condition?)),
            });
        }
        any.map(Some)
    }

    /// An operation on two values; `-a / c` is `a / -c`, in every bit.
    fn binary(&mut self, op: BinaryOp, a: Id, b: Id) -> Node {
        let scales = matches!(op, BinaryOp::FloatDiv | BinaryOp::FloatMul);
        if let (true, Node::Unary(UnaryOp::FloatNeg, inner), Node::Const(by)) =
            (scales, self.nodes[a], self.nodes[b])
        {
            let by = self.constant(Value::F64(-f64::from_bits(by)));
            return Node::Binary(op, inner, by);
        }
        Node::Binary(op, a, b)
    }

    /// The node of an instruction in a block that is taken so. The outer `None`: it cannot be
    /// computed.
    fn inst(&mut self, op: Op, taken: Option<Id>) -> Option<Option<Id>> {
        let node = match op {
            Op::Const(value) => return Some(Some(self.constant(value))),
            Op::Unary(op, a) => Node::Unary(op, self.get(a)?),
            Op::Binary(BinaryOp::IntAddWrapping, a, _) if a == self.shape.position => {
                return Some(None);
            }
            // Slow operations on a side that is seldom taken are better left out.
            Op::Binary(BinaryOp::FloatFloorDiv | BinaryOp::FloatMod, ..)
            | Op::Math2(..)
            | Op::CheckedUnary(..)
            | Op::CheckedBinary(..)
                if taken.is_some() =>
            {
                return None;
            }
            Op::Math1(op, _)
                if taken.is_some() && !matches!(op, Math1::Exp | Math1::Log | Math1::Erfc) =>
            {
                return None;
            }
            Op::Binary(op, a, b) => {
                let (a, b) = (self.get(a)?, self.get(b)?);
                self.binary(op, a, b)
            }
            Op::Compare(op, a, b) => {
                let floats = self.function.value_type(a) == Some(Type::F64);
                let (a, b) = (self.get(a)?, self.get(b)?);
                if floats {
                    Node::CompareFloats(op, a, b)
                } else {
                    Node::CompareInts(op, a, b)
                }
            }
            Op::Math1(op, a) => Node::Math1(op, self.get(a)?),
            Op::Math2(op, a, b) => Node::Math2(op, self.get(a)?, self.get(b)?),
            Op::CheckedUnary(op, a, _) => Node::CheckedUnary(op, self.get(a)?),
            Op::CheckedBinary(op, a, b, _) => Node::CheckedBinary(op, self.get(a)?, self.get(b)?),
            Op::Select(cond, a, b) => Node::Select(self.get(cond)?, self.get(a)?, self.get(b)?),
            Op::Assume(_) => return Some(None),
            Op::Guard(cond, _) => {
                let cond = self.get(cond)?;
                let holds = match taken {
                    None => cond,
                    Some(taken) => {
                        let not = self.not(taken);
                        self.add(Node::Binary(BinaryOp::BoolOr, not, cond))
                    }
                };
                self.add(Node::Guard(holds));
                return Some(None);
            }
            // A block that fails is computed again: what it reads is not what it has written.
            Op::Load(array, Place::At(at), _)
                if at == self.shape.position && array != self.shape.out =>
            {
                let param = self.param_of(array)?;
                let elem = self.function.params[param].array()?.elem;
                Node::Load(param, elem == Elem::U64)
            }
            Op::Store(array, Place::At(at), value, _)
                if at == self.shape.position && taken.is_none() && self.stored.is_none() =>
            {
                self.stored = Some((self.param_of(array)?, self.get(value)?));
                return Some(None);
            }
            Op::Poll(guard) if taken.is_none() && self.poll.is_none() => {
                self.poll = Some(guard);
                return Some(None);
            }
            Op::Load(..)
            | Op::Store(..)
            | Op::Poll(_)
            | Op::Recurse(..)
            | Op::Deeper(..)
            | Op::Length(..)
            | Op::Index(..) => return None,
        };
        Some(Some(self.add(node)))
    }
}

impl Graph {
    /// Whether each node has one value for all elements.
    pub(super) fn uniform(&self) -> Vec<bool> {
        let mut uniform = Vec::with_capacity(self.nodes.len());
        for &node in &self.nodes {
            let operands = node.operands().into_iter().flatten();
            let all = !matches!(node, Node::Load(..)) && operands.into_iter().all(|a| uniform[a]);
            uniform.push(all);
        }
        uniform
    }

    /// The float that a node is, if it is a constant.
    fn constant_float(&self, id: Id) -> Option<f64> {
        match self.nodes[id] {
            Node::Const(bits) => Some(f64::from_bits(bits)),
            _ => None,
        }
    }

    /// Which nodes are computed: guards, the result, and what they need.
    pub(super) fn live(&self) -> Vec<bool> {
        let mut live: Vec<bool> = self.nodes.iter().map(|node| node.may_fail()).collect();
        live[self.result] = true;
        for id in (0..self.nodes.len()).rev() {
            if live[id] {
                for a in self.nodes[id].operands().into_iter().flatten() {
                    live[a] = true;
                }
            }
        }
        live
    }
}

/// A truth value that holds everywhere.
pub(super) fn is_true(node: Node) -> bool {
    node == Node::Const(TRUE)
}
