//! From a graph to steps: which kernel computes a node, and where its results lie.

use std::collections::HashMap;

use super::{Array, Init, Layout, Program, Read, Step};
use crate::array::Elem;
use crate::ir::{BinaryOp, Comparison, Function, UnaryOp};
use crate::libm;
use crate::vector::graph::{Graph, Id, Node};
use crate::vector::kernels::{self, Extra, Form, Kernel, Level};
use crate::vector::selftest;

/// A place before the numbers of all are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spot {
    Nowhere,
    Slot(usize),
    Fill(usize),
    Input(usize),
    Out,
    Cell(usize),
    Coefficients(usize),
}

impl Program {
    /// The program of a map; `None` if there is no kernel for a part of it.
    pub(in crate::vector) fn new(function: &Function, graph: &Graph, level: Level) -> Option<Self> {
        let mut arrays = Vec::new();
        let mut of_param = HashMap::new();
        let mut word = 0;
        for (param, ty) in function.params.iter().enumerate() {
            if let Some(ty) = ty.array() {
                of_param.insert(param, arrays.len());
                arrays.push(Array { ty, word });
            }
            word += ty.words();
        }
        let out = *of_param.get(&graph.out)?;
        if !arrays[out].ty.contiguous {
            return None;
        }
        let (uniform, live) = (graph.uniform(), graph.live());
        let mut last_use = vec![0; graph.nodes.len()];
        for (id, node) in graph.nodes.iter().enumerate() {
            if live[id] {
                for a in node.operands().into_iter().flatten() {
                    last_use[a] = id;
                }
            }
        }
        last_use[graph.result] = graph.nodes.len();
        let mut maker = Maker {
            level,
            graph,
            of_param: &of_param,
            arrays: &arrays,
            uniform: &uniform,
            last_use,
            spots: vec![Spot::Nowhere; graph.nodes.len()],
            in_prologue: false,
            free: Vec::new(),
            layout: Layout::default(),
            cells: Vec::new(),
            fills: HashMap::new(),
            inputs: Vec::new(),
            reads: Vec::new(),
            prologue: Vec::new(),
            steps: Vec::new(),
        };
        maker.layout.coefficients = graph.coefficients.len();
        for (id, &live) in live.iter().enumerate() {
            if live {
                maker.node(id)?;
            }
        }
        let store = maker.store()?;
        Some(maker.finish(out, store))
    }
}

/// A step whose places have no numbers yet.
struct Draft {
    kernel: Kernel,
    dst: Spot,
    operands: [Spot; 3],
    extra: Extra,
    /// Whether it is a function of libm in vectors.
    heavy: bool,
}

struct Maker<'a> {
    level: Level,
    graph: &'a Graph,
    of_param: &'a HashMap<usize, usize>,
    arrays: &'a [Array],
    uniform: &'a [bool],
    /// The last node that uses each.
    last_use: Vec<Id>,
    spots: Vec<Spot>,
    /// Whether the node at hand is computed once for a call.
    in_prologue: bool,
    /// Slots that hold nothing.
    free: Vec<usize>,
    layout: Layout,
    cells: Vec<Init>,
    /// Number of the fill for each cell that has one.
    fills: HashMap<usize, usize>,
    inputs: Vec<usize>,
    reads: Vec<(usize, Kernel, Spot)>,
    prologue: Vec<Draft>,
    steps: Vec<Draft>,
}

impl Maker<'_> {
    fn node(&mut self, id: Id) -> Option<()> {
        let node = self.graph.nodes[id];
        self.in_prologue = self.uniform[id];
        if self.uniform[id] {
            return self.uniform_node(id, node);
        }
        if let Node::Load(param, _) = node {
            let number = *self.of_param.get(&param)?;
            self.spots[id] = self.load(number);
            return Some(());
        }
        let (kernel, operands, extra) = self.choose(node)?;
        let dst = if node.is_guard() {
            Spot::Nowhere
        } else if id == self.graph.result && self.graph.out_elem != Elem::Bool {
            Spot::Out
        } else {
            self.slot()
        };
        self.spots[id] = dst;
        self.steps.push(Draft {
            kernel,
            dst,
            operands,
            extra,
            heavy: matches!(node, Node::Math1(..)),
        });
        // After the result has its place: no kernel writes where it reads.
        for a in node.operands().into_iter().flatten() {
            if self.last_use[a] == id {
                self.give_back(a);
            }
        }
        // A value that is only computed because it may fail.
        if self.last_use[id] == 0 && !node.is_guard() {
            self.give_back(id);
        }
        Some(())
    }

    fn uniform_node(&mut self, id: Id, node: Node) -> Option<()> {
        let init = match node {
            Node::Const(word) => Init::Word(word),
            Node::Param(word, truth) => Init::Argument(word, truth),
            _ => Init::Computed,
        };
        if let Init::Computed = init {
            let (kernel, operands, extra) = self.choose(node)?;
            let dst = Spot::Cell(self.cells.len());
            self.prologue.push(Draft {
                kernel,
                dst,
                operands,
                extra,
                heavy: false,
            });
        }
        self.spots[id] = Spot::Cell(self.cells.len());
        self.cells.push(init);
        Some(())
    }

    /// In the prologue, where blocks are a vector wide, each value is one.
    fn form(&self, id: Id) -> Form {
        if self.uniform[id] && !self.in_prologue {
            Form::One
        } else {
            Form::Block
        }
    }

    fn slot(&mut self) -> Spot {
        let number = self.free.pop().unwrap_or_else(|| {
            self.layout.slots += 1;
            self.layout.slots - 1
        });
        Spot::Slot(number)
    }

    fn give_back(&mut self, id: Id) {
        if let Spot::Slot(number) = self.spots[id]
            && !self.free.contains(&number)
        {
            self.free.push(number);
        }
    }

    /// Where the elements of an array are read: in place if they are words one after the other.
    fn load(&mut self, number: usize) -> Spot {
        let ty = self.arrays[number].ty;
        if ty.contiguous && matches!(ty.elem, Elem::F64 | Elem::I64) {
            self.inputs.push(number);
            return Spot::Input(self.inputs.len() - 1);
        }
        // Arrays are read before the first step: this slot holds nothing of an earlier one.
        let dst = Spot::Slot(self.layout.slots);
        self.layout.slots += 1;
        let kernel = kernels::load(self.level, ty.elem, ty.contiguous);
        self.reads.push((number, kernel, dst));
        dst
    }

    /// Where a block of this node is.
    fn block(&mut self, id: Id) -> Spot {
        let Spot::Cell(cell) = self.spots[id] else {
            return self.spots[id];
        };
        if self.in_prologue {
            return self.spots[id];
        }
        let next = self.fills.len();
        Spot::Fill(*self.fills.entry(cell).or_insert(next))
    }

    /// The kernel of a node, and where its operands are.
    fn choose(&mut self, node: Node) -> Option<(Kernel, [Spot; 3], Extra)> {
        let (level, none) = (self.level, Spot::Nowhere);
        let (kernel, operands) = match node {
            Node::Const(_) | Node::Param(..) | Node::Load(..) => return None,
            Node::Math1(op, a) => {
                let (kernel, extra) = match selftest::kernel(level, op) {
                    Some(kernel) => (kernel, Extra::None),
                    None => (kernels::libm1 as Kernel, Extra::Libm1(libm::function1(op))),
                };
                return Some((kernel, [self.block(a), none, none], extra));
            }
            Node::Math2(op, a, b) => {
                let extra = Extra::Libm2(libm::function2(op));
                let operands = [self.block(a), self.block(b), none];
                return Some((kernels::libm2, operands, extra));
            }
            Node::Horner(first, x, number) => {
                let kernel = kernels::horner(level, self.form(first));
                let extra = Extra::Count(self.graph.coefficients[number].len());
                let first = self.spots[first];
                let operands = [first, self.block(x), Spot::Coefficients(number)];
                return Some((kernel, operands, extra));
            }
            Node::Binary(
                op @ (BinaryOp::FloatFloorDiv | BinaryOp::FloatMod | BinaryOp::FloatCopysign),
                a,
                b,
            ) => {
                let (kernel, extra) = kernels::slow_float(level, op)?;
                return Some((kernel, [self.block(a), self.block(b), none], extra));
            }
            Node::Unary(..)
            | Node::Binary(..)
            | Node::CompareFloats(..)
            | Node::GuardCompare(..)
            | Node::Fused(..) => self.arithmetic(node)?,
            Node::CompareInts(op, a, b) => {
                let kernel = kernels::compare_ints(level, op);
                (kernel, [self.block(a), self.block(b), none])
            }
            Node::CheckedUnary(op, a) => {
                let kernel = kernels::checked_unary(level, op);
                (kernel, [self.block(a), none, none])
            }
            Node::CheckedBinary(op, a, b) => {
                let kernel = kernels::checked_binary(level, op);
                (kernel, [self.block(a), self.block(b), none])
            }
            Node::Select(cond, a, b) => {
                let operands = [self.block(cond), self.block(a), self.block(b)];
                (kernels::select(level), operands)
            }
            Node::Guard(a) => (kernels::guard(level), [self.block(a), none, none]),
            Node::GuardMath(errors, y, x) => {
                let kernel = kernels::guard_math(level, errors);
                (kernel, [self.block(y), self.block(x), none])
            }
        };
        Some((kernel, operands, Extra::None))
    }

    /// The same for nodes whose kernels take some operands as one value.
    fn arithmetic(&mut self, node: Node) -> Option<(Kernel, [Spot; 3])> {
        let (level, none) = (self.level, Spot::Nowhere);
        Some(match node {
            Node::Unary(op, a) => {
                let kernel = match op {
                    UnaryOp::BoolNot => kernels::bool_not(level),
                    _ => kernels::unary(level, op).or_else(|| kernels::int_not(level, op))?,
                };
                (kernel, [self.block(a), none, none])
            }
            Node::Binary(op, a, b) => {
                if let Some(kernel) = kernels::binary(level, op, self.form(a), self.form(b)) {
                    return Some((kernel, [self.spots[a], self.spots[b], none]));
                }
                let kernel =
                    kernels::int_binary(level, op).or_else(|| kernels::bool_binary(level, op))?;
                (kernel, [self.block(a), self.block(b), none])
            }
            Node::CompareFloats(op, a, b) | Node::GuardCompare(op, a, b) => {
                let (op, a, b) = match self.form(a) {
                    Form::Block => (op, a, b),
                    Form::One => (mirrored(op), b, a),
                };
                let form = self.form(b);
                let kernel = if node.is_guard() {
                    kernels::guard_compare(level, op, form)
                } else {
                    kernels::compare(level, op, form)
                };
                (kernel, [self.spots[a], self.spots[b], none])
            }
            Node::Fused(then, a, b, c) => {
                let kernel = kernels::fused(level, then, self.form(b), self.form(c));
                (kernel, [self.block(a), self.spots[b], self.spots[c]])
            }
            _ => return None,
        })
    }

    /// How the results get into their array; the outer `None`: they do not.
    fn store(&mut self) -> Option<Option<(Kernel, Spot)>> {
        let kernel = kernels::store(self.level, self.graph.out_elem)?;
        if self.spots[self.graph.result] == Spot::Out {
            return Some(None);
        }
        self.in_prologue = false;
        let from = self.block(self.graph.result);
        Some(Some((kernel, from)))
    }

    /// Nanoseconds for an element, about: what is measured on a CPU of 2023 with AVX-512, and twice
    /// as much without vectors as wide.
    fn cost(&self) -> f64 {
        let of = |draft: &Draft| match draft.extra {
            Extra::Libm1(_) | Extra::Float(_) => 10.0,
            Extra::Libm2(_) => 20.0,
            Extra::Count(count) => 0.04 * f64::from(u32::try_from(count).unwrap_or(u32::MAX)),
            Extra::None | Extra::Stride(_) if draft.heavy => 2.0,
            Extra::None | Extra::Stride(_) => 0.1,
        };
        0.3 + self.steps.iter().map(of).sum::<f64>()
    }

    fn finish(mut self, out: usize, store: Option<(Kernel, Spot)>) -> Program {
        self.layout.fills = self.fills.len();
        self.layout.inputs = self.inputs.len();
        self.layout.cells = self.cells.len();
        let layout = self.layout;
        let place = |spot: Spot| match spot {
            Spot::Slot(number) => number,
            Spot::Fill(number) => layout.fill(number),
            Spot::Input(number) => layout.input(number),
            Spot::Cell(number) => layout.cell(number),
            Spot::Coefficients(number) => layout.coefficient(number),
            // No kernel follows the pointer of an operand that it has not.
            Spot::Out | Spot::Nowhere => layout.out(),
        };
        let step = |draft: Draft| Step {
            kernel: draft.kernel,
            dst: place(draft.dst),
            operands: draft.operands.map(place),
            extra: draft.extra,
        };
        let read = |(array, kernel, dst): (usize, Kernel, Spot)| Read {
            array,
            kernel,
            dst: place(dst),
        };
        let cost = self.cost();
        Program {
            cost,
            layout,
            arrays: self.arrays.to_vec(),
            out,
            cells: self.cells,
            coefficients: self.graph.coefficients.clone(),
            prologue: self.prologue.into_iter().map(step).collect(),
            fills: self.fills.into_iter().collect(),
            inputs: self.inputs,
            reads: self.reads.into_iter().map(read).collect(),
            steps: self.steps.into_iter().map(step).collect(),
            store: store.map(|(kernel, from)| (kernel, place(from))),
            poll: self.graph.poll,
            shape: self.graph.shape,
        }
    }
}

/// The comparison with its operands the other way round.
fn mirrored(op: Comparison) -> Comparison {
    match op {
        Comparison::Lt => Comparison::Gt,
        Comparison::Le => Comparison::Ge,
        Comparison::Gt => Comparison::Lt,
        Comparison::Ge => Comparison::Le,
        other => other,
    }
}
