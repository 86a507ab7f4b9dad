//! Which blocks are in which loops.

use std::collections::{HashMap, HashSet};

use crate::ir::{Function, Op, Terminator, Val};
use crate::types::Type;
use crate::verify;

/// The loops with one head of a function.
#[derive(Debug)]
pub(crate) struct Loops {
    /// The blocks of each loop, by its head.
    bodies: HashMap<usize, HashSet<usize>>,
    /// The head of the innermost loop around each block.
    innermost: Vec<Option<usize>>,
}

impl Loops {
    pub(crate) fn of(function: &Function) -> Self {
        let count = function.blocks().len();
        let idom = verify::immediate_dominators(function);
        let mut predecessors = vec![Vec::new(); count];
        for (from, block) in function.blocks().iter().enumerate() {
            for target in block.terminator.iter().flat_map(Terminator::targets) {
                predecessors[target.block.0 as usize].push(from);
            }
        }
        let mut bodies = HashMap::<usize, HashSet<usize>>::new();
        for head in 0..count {
            for &latch in &predecessors[head] {
                if dominates(&idom, head, latch) {
                    let body = bodies.entry(head).or_insert_with(|| HashSet::from([head]));
                    add_body(body, latch, &predecessors);
                }
            }
        }
        let innermost = |block: usize| {
            let around = bodies.iter().filter(|(_, body)| body.contains(&block));
            let smallest = around.min_by_key(|(head, body)| (body.len(), **head));
            smallest.map(|(&head, _)| head)
        };
        let innermost = (0..count).map(innermost).collect();
        Self { bodies, innermost }
    }

    /// Whether a block is in a loop.
    pub(crate) fn has(&self, block: usize) -> bool {
        self.innermost[block].is_some()
    }

    /// Whether a jump leaves the innermost loop around where it starts.
    pub(crate) fn leaves(&self, from: usize, to: usize) -> bool {
        let body = self.innermost[from].map(|head| &self.bodies[&head]);
        body.is_some_and(|body| !body.contains(&to))
    }

    /// Whether a block is in a loop around which another one is not.
    fn is_deeper(&self, block: usize, than: usize) -> bool {
        let body = self.innermost[block].map(|head| &self.bodies[&head]);
        body.is_some_and(|body| !body.contains(&than))
    }

    /// The floats that are worked out before a loop and used in it.
    pub(crate) fn floats_from_before(&self, function: &Function) -> HashSet<Val> {
        let mut made_in = HashMap::new();
        for (index, block) in function.blocks().iter().enumerate() {
            for inst in &block.insts {
                if let (Some(result), Op::Unary(..) | Op::Binary(..) | Op::Select(..)) =
                    (inst.result, inst.op)
                    && function.value_types[result.0 as usize] == Type::F64
                {
                    made_in.insert(result, index);
                }
            }
        }
        let mut found = HashSet::new();
        for (index, block) in function.blocks().iter().enumerate() {
            for value in block.insts.iter().flat_map(|inst| inst.op.operands()) {
                if made_in
                    .get(&value)
                    .is_some_and(|&made| self.is_deeper(index, made))
                {
                    found.insert(value);
                }
            }
        }
        found
    }
}

fn add_body(body: &mut HashSet<usize>, latch: usize, predecessors: &[Vec<usize>]) {
    let mut pending = vec![latch];
    while let Some(block) = pending.pop() {
        if body.insert(block) {
            pending.extend(&predecessors[block]);
        }
    }
}

fn dominates(idom: &[usize], above: usize, mut block: usize) -> bool {
    while block != above {
        if block == 0 {
            return false;
        }
        block = idom[block];
    }
    true
}
