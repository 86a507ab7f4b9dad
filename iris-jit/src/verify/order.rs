//! Orders of blocks: reverse postorder and dominance.

use crate::ir::{Function, Terminator};

/// Blocks in reverse postorder, and each block's place in it.
pub(super) struct Order {
    blocks: Vec<usize>,
    place: Vec<Option<usize>>,
}

impl Order {
    pub(super) fn contains_block(&self, block: usize) -> bool {
        self.place[block].is_some()
    }
}

/// The blocks of a verified function, each after all that dominate it.
pub(crate) fn emission_order(function: &Function) -> Vec<usize> {
    reverse_postorder(function).blocks
}

/// The closest other block that each block of a verified function comes after; the entry has itself.
pub(crate) fn immediate_dominators(function: &Function) -> Vec<usize> {
    dominators(function, &reverse_postorder(function))
}

/// Depth first without recursion: the front end's nesting must not become our stack.
pub(super) fn reverse_postorder(function: &Function) -> Order {
    let count = function.blocks.len();
    let mut seen = vec![false; count];
    let mut blocks = Vec::with_capacity(count);
    let mut stack = vec![(0, successors(function, 0))];
    seen[0] = true;
    while let Some((block, rest)) = stack.last_mut() {
        let block = *block;
        match rest.pop() {
            Some(next) if !seen[next] => {
                seen[next] = true;
                stack.push((next, successors(function, next)));
            }
            Some(_) => {}
            None => {
                blocks.push(block);
                stack.pop();
            }
        }
    }
    blocks.reverse();
    let mut place = vec![None; count];
    for (at, &block) in blocks.iter().enumerate() {
        place[block] = Some(at);
    }
    Order { blocks, place }
}

fn successors(function: &Function, block: usize) -> Vec<usize> {
    let end = function.blocks[block].terminator.as_ref();
    end.into_iter()
        .flat_map(Terminator::targets)
        .map(|t| t.block.0 as usize)
        .collect()
}

/// Immediate dominators as places in `order` (Cooper, Harvey and Kennedy's iteration).
pub(super) fn dominators(function: &Function, order: &Order) -> Vec<usize> {
    let place = |block: usize| order.place[block].expect("every block is reachable");
    let mut predecessors = vec![Vec::new(); order.blocks.len()];
    for &block in &order.blocks {
        for next in successors(function, block) {
            predecessors[place(next)].push(place(block));
        }
    }
    let mut idom: Vec<Option<usize>> = vec![None; order.blocks.len()];
    idom[0] = Some(0);
    let mut changed = true;
    while changed {
        changed = false;
        for at in 1..order.blocks.len() {
            let known = predecessors[at]
                .iter()
                .copied()
                .filter(|&p| idom[p].is_some());
            let new = known.reduce(|a, b| common_dominator(&idom, a, b));
            if new != idom[at] {
                idom[at] = new;
                changed = true;
            }
        }
    }
    // Back from places to block numbers.
    let mut by_block = vec![0; order.blocks.len()];
    for (at, &block) in order.blocks.iter().enumerate() {
        by_block[block] = order.blocks[idom[at].unwrap_or(0)];
    }
    by_block
}

fn common_dominator(idom: &[Option<usize>], mut a: usize, mut b: usize) -> usize {
    while a != b {
        if a > b {
            a = idom[a].unwrap_or(0);
        } else {
            b = idom[b].unwrap_or(0);
        }
    }
    a
}
