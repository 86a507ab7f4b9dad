//! Fewer and faster nodes for the same results.

use std::collections::HashMap;

use super::{Graph, Id, Node, is_true};
use crate::ir::{BinaryOp, Comparison, UnaryOp};
use crate::vector::kernels::{MathErrors, Then};

pub(super) fn tidy(graph: &mut Graph) {
    for id in 0..graph.nodes.len() {
        graph.nodes[id] = guard(graph, graph.nodes[id]);
    }
    join_math_guards(graph);
    fuse(graph);
}

/// A guard as a kernel of its own, if its condition has the form of one.
fn guard(graph: &Graph, node: Node) -> Node {
    let Node::Guard(holds) = node else {
        return node;
    };
    match graph.nodes[holds] {
        Node::CompareFloats(op, a, b) => Node::GuardCompare(op, a, b),
        Node::Unary(UnaryOp::BoolNot, both) => {
            let Node::Binary(BinaryOp::BoolAnd, a, b) = graph.nodes[both] else {
                return node;
            };
            match (graph.nodes[a], graph.nodes[b]) {
                (
                    Node::Unary(UnaryOp::FloatIsNan, y),
                    Node::CompareFloats(Comparison::Eq, x, z),
                ) if x == z => Node::GuardMath(MathErrors::Nan, y, x),
                (Node::Unary(UnaryOp::FloatIsInf, y), Node::Unary(UnaryOp::FloatIsFinite, x)) => {
                    Node::GuardMath(MathErrors::Infinity, y, x)
                }
                _ => node,
            }
        }
        _ => node,
    }
}

/// Two guards on the same result as one.
fn join_math_guards(graph: &mut Graph) {
    let mut nan: HashMap<(Id, Id), Id> = HashMap::new();
    for id in 0..graph.nodes.len() {
        match graph.nodes[id] {
            Node::GuardMath(MathErrors::Nan, y, x) => {
                nan.insert((y, x), id);
            }
            Node::GuardMath(MathErrors::Infinity, y, x) => {
                if let Some(first) = nan.get(&(y, x)) {
                    graph.nodes[*first] = Node::GuardMath(MathErrors::Both, y, x);
                    // A guard that holds everywhere, which costs nothing.
                    graph.nodes[id] = Node::Const(u64::MAX);
                }
            }
            Node::Guard(holds) if is_true(graph.nodes[holds]) => {
                graph.nodes[id] = Node::Const(u64::MAX);
            }
            _ => {}
        }
    }
}

/// Polynomials, and products that are used in one sum only.
fn fuse(graph: &mut Graph) {
    let uniform = graph.uniform();
    let live = graph.live();
    let mut uses = vec![0_u32; graph.nodes.len()];
    uses[graph.result] += 1;
    for (id, node) in graph.nodes.iter().enumerate() {
        if live[id] {
            for a in node.operands().into_iter().flatten() {
                uses[a] += 1;
            }
        }
    }
    // From the end, so that the longest polynomial is found first.
    let mut taken = vec![false; graph.nodes.len()];
    for id in (0..graph.nodes.len()).rev() {
        if !live[id] || uniform[id] || taken[id] {
            continue;
        }
        if let Some(polynomial) = polynomial(graph, &uniform, &uses, id) {
            for inner in polynomial.inner {
                taken[inner] = true;
            }
            let number = graph.coefficients.len();
            graph.coefficients.push(polynomial.coefficients);
            graph.nodes[id] = Node::Horner(polynomial.first, polynomial.variable, number);
        } else if let Some(fused) = fused(graph, &uniform, &uses, id) {
            graph.nodes[id] = fused;
        }
    }
}

struct Polynomial {
    first: Id,
    variable: Id,
    coefficients: Vec<f64>,
    inner: Vec<Id>,
}

/// `product ± constant`, as the product and the constant to add. Taking away a constant is adding
/// its negative, in every bit.
fn step(graph: &Graph, id: Id) -> Option<(Id, f64)> {
    let (a, b, sub) = match graph.nodes[id] {
        Node::Binary(BinaryOp::FloatAdd, a, b) => (a, b, false),
        Node::Binary(BinaryOp::FloatSub, a, b) => (a, b, true),
        _ => return None,
    };
    let is_product = |id: Id| matches!(graph.nodes[id], Node::Binary(BinaryOp::FloatMul, ..));
    match (graph.constant_float(a), graph.constant_float(b)) {
        (_, Some(c)) if is_product(a) && !c.is_nan() => Some((a, if sub { -c } else { c })),
        (Some(c), _) if is_product(b) && !sub && !c.is_nan() => Some((b, c)),
        _ => None,
    }
}

fn polynomial(graph: &Graph, uniform: &[bool], uses: &[u32], id: Id) -> Option<Polynomial> {
    let (product, _) = step(graph, id)?;
    let Node::Binary(_, p, q) = graph.nodes[product] else {
        return None;
    };
    let found = [p, q]
        .into_iter()
        .filter(|&x| !uniform[x])
        .map(|x| chain(graph, uses, id, x));
    let best = found.max_by_key(|polynomial| polynomial.coefficients.len())?;
    (best.coefficients.len() >= 2).then_some(best)
}

/// The longest polynomial in `x` that ends here.
fn chain(graph: &Graph, uses: &[u32], last: Id, x: Id) -> Polynomial {
    let (mut coefficients, mut inner) = (Vec::new(), Vec::new());
    let mut at = last;
    while let Some((product, c)) = step(graph, at) {
        let Node::Binary(_, p, q) = graph.nodes[product] else {
            break;
        };
        let rest = match (p == x, q == x) {
            (_, true) => p,
            (true, _) => q,
            _ => break,
        };
        if uses[product] != 1 || (at != last && uses[at] != 1) {
            break;
        }
        coefficients.push(c);
        inner.push(product);
        if at != last {
            inner.push(at);
        }
        at = rest;
    }
    coefficients.reverse();
    Polynomial {
        first: at,
        variable: x,
        coefficients,
        inner,
    }
}

fn fused(graph: &Graph, uniform: &[bool], uses: &[u32], id: Id) -> Option<Node> {
    let (a, b, sub) = match graph.nodes[id] {
        Node::Binary(BinaryOp::FloatAdd, a, b) => (a, b, false),
        Node::Binary(BinaryOp::FloatSub, a, b) => (a, b, true),
        _ => return None,
    };
    let product = |id: Id| match graph.nodes[id] {
        Node::Binary(BinaryOp::FloatMul, p, q) if uses[id] == 1 && !uniform[id] => {
            // The first factor is a block.
            Some(if uniform[p] { (q, p) } else { (p, q) })
        }
        _ => None,
    };
    match (product(a), product(b)) {
        (Some((p, q)), _) if sub => Some(Node::Fused(Then::Sub, p, q, b)),
        (Some((p, q)), _) => Some(Node::Fused(Then::Add, p, q, b)),
        (_, Some((p, q))) if sub => Some(Node::Fused(Then::SubFrom, p, q, a)),
        (_, Some((p, q))) => Some(Node::Fused(Then::Add, p, q, a)),
        _ => None,
    }
}
