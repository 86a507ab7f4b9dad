//! Recognising the loop of a map.

use crate::ir::{BinaryOp, Comparison, Function, Op, Target, Terminator, Val};
use crate::types::Value;

/// A way into a block.
#[derive(Debug)]
pub(super) struct Way {
    /// Where from, by number in [`Shape::blocks`].
    pub(super) from: usize,
    /// Which side of that block's branch it is; `None` if there is no other.
    pub(super) side: Option<bool>,
    /// What it passes.
    pub(super) args: Vec<Val>,
}

/// A block of the loop's body.
#[derive(Debug)]
pub(super) struct BodyBlock {
    /// Its number in the function.
    pub(super) index: usize,
    pub(super) from: Vec<Way>,
    /// Whether each element that no guard stops comes by here.
    pub(super) always: bool,
}

/// A function that is one loop over all elements, without loops in its body.
#[derive(Debug)]
pub(super) struct Shape {
    /// The blocks before the body: entry and head.
    pub(super) before: [usize; 2],
    /// The blocks of the body, each after its predecessors.
    pub(super) blocks: Vec<BodyBlock>,
    /// The index of the element.
    pub(super) position: Val,
    /// The array of the results.
    pub(super) out: Val,
    /// The shape of the result, which has no values.
    pub(super) result: usize,
}

/// Branches within each other that are followed: shares of paths are counted in 64 bits.
const MOST_BRANCHES: u32 = 60;

impl Shape {
    pub(super) fn of(function: &Function) -> Option<Self> {
        let blocks = function.blocks();
        let arrays = function.params.iter().filter_map(|ty| ty.array());
        if arrays.into_iter().any(|array| array.ndim != 1) {
            return None;
        }
        let head = entry(function)?;
        let data = &blocks[head];
        let &[position] = &data.params[..] else {
            return None;
        };
        let [len, more] = &data.insts[..] else {
            return None;
        };
        let Op::Length(array, 0) = len.op else {
            return None;
        };
        if more.op != Op::Compare(Comparison::Lt, position, len.result?) {
            return None;
        }
        let Some(Terminator::Branch {
            cond,
            then,
            otherwise,
        }) = &data.terminator
        else {
            return None;
        };
        if Some(*cond) != more.result || !then.args.is_empty() || !otherwise.args.is_empty() {
            return None;
        }
        let done = &blocks[otherwise.block.0 as usize];
        let Some(Terminator::Return { shape, values }) = &done.terminator else {
            return None;
        };
        // Only the array of the results is written, and its length is that of the loop.
        let written = function.stores();
        let &[out] = &written[..] else {
            return None;
        };
        if !done.insts.is_empty() || !values.is_empty() || blocks[0].params[out] != array {
            return None;
        }
        let mut walk = Walk {
            function,
            head,
            position,
            seen: vec![Seen::No; blocks.len()],
            postorder: Vec::new(),
            latch: None,
        };
        walk.visit(then.block.0 as usize, 0)?;
        let latch = walk.latch?;
        let mut order = walk.postorder;
        order.reverse();
        let blocks = body(function, &order)?;
        let last = blocks.iter().find(|block| block.index == latch)?;
        last.always.then_some(())?;
        Some(Self {
            before: [0, head],
            blocks,
            position,
            out: array,
            result: *shape,
        })
    }
}

/// The loop's head: the entry compares lengths, all guarded, and starts the loop at 0.
fn entry(function: &Function) -> Option<usize> {
    let data = &function.blocks()[0];
    let Some(Terminator::Jump(Target { block, args })) = &data.terminator else {
        return None;
    };
    let find = |value: Val| data.insts.iter().find(|inst| inst.result == Some(value));
    let is_length =
        |value: Val| find(value).is_some_and(|inst| matches!(inst.op, Op::Length(_, 0)));
    for inst in &data.insts {
        let known = match inst.op {
            Op::Const(_) | Op::Length(_, 0) => true,
            Op::Compare(Comparison::Eq, a, b) => is_length(a) && is_length(b),
            Op::Guard(cond, _) => find(cond).is_some_and(|inst| matches!(inst.op, Op::Compare(..))),
            _ => false,
        };
        if !known {
            return None;
        }
    }
    let &[start] = &args[..] else {
        return None;
    };
    (find(start)?.op == Op::Const(Value::I64(0))).then_some(block.0 as usize)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    No,
    Open,
    Done,
}

struct Walk<'a> {
    function: &'a Function,
    head: usize,
    position: Val,
    seen: Vec<Seen>,
    postorder: Vec<usize>,
    /// The one block that goes on to the next element.
    latch: Option<usize>,
}

impl Walk<'_> {
    /// `None` if there is a loop, another way out, or a second way round.
    fn visit(&mut self, block: usize, depth: u32) -> Option<()> {
        match self.seen[block] {
            Seen::Done => return Some(()),
            Seen::Open => return None,
            Seen::No => self.seen[block] = Seen::Open,
        }
        if block == 0 || depth > 1000 {
            return None;
        }
        let terminator = self.function.blocks()[block].terminator.as_ref()?;
        if let Terminator::Return { .. } = terminator {
            return None;
        }
        for Target { block: to, args } in terminator.targets() {
            if to.0 as usize != self.head {
                self.visit(to.0 as usize, depth + 1)?;
                continue;
            }
            let jump = matches!(terminator, Terminator::Jump(_));
            let next = jump && self.latch.is_none() && self.is_next(block, args);
            next.then(|| self.latch = Some(block))?;
        }
        self.seen[block] = Seen::Done;
        self.postorder.push(block);
        Some(())
    }

    /// Whether these are the next position, computed in this block.
    fn is_next(&self, block: usize, args: &[Val]) -> bool {
        let insts = &self.function.blocks()[block].insts;
        let find = |value: Val| insts.iter().find(|inst| inst.result == Some(value));
        let &[next] = args else {
            return false;
        };
        let Some(Op::Binary(BinaryOp::IntAddWrapping, at, by)) = find(next).map(|inst| inst.op)
        else {
            return false;
        };
        let one = find(by).is_some_and(|inst| inst.op == Op::Const(Value::I64(1)));
        at == self.position && one
    }
}

/// Ways between blocks, and which blocks every element comes by.
fn body(function: &Function, order: &[usize]) -> Option<Vec<BodyBlock>> {
    let number = |block: usize| order.iter().position(|&index| index == block);
    let bails = |target: &Target| {
        let data = &function.blocks()[target.block.0 as usize];
        matches!(data.terminator, Some(Terminator::Bail(_)))
    };
    let new = |&index: &usize| BodyBlock {
        index,
        from: Vec::new(),
        always: false,
    };
    let mut blocks: Vec<BodyBlock> = order.iter().map(new).collect();
    // How many of 2**60 elements come by, if each branch had them in equal parts.
    let mut share = vec![0_u64; blocks.len()];
    share[0] = 1 << MOST_BRANCHES;
    for at in 0..blocks.len() {
        blocks[at].always = share[at] == 1 << MOST_BRANCHES;
        let terminator = function.blocks()[blocks[at].index].terminator.as_ref()?;
        let sides: Vec<_> = terminator.targets().collect();
        // An element that goes to a bailout stops the call: the others all take the other side.
        let stops = sides.len() == 2 && (bails(sides[0]) != bails(sides[1]));
        for (side, target) in sides.iter().enumerate() {
            let Some(to) = number(target.block.0 as usize) else {
                continue;
            };
            let part = match (sides.len(), stops) {
                (1, _) => share[at],
                (_, true) if bails(target) => 0,
                (_, true) => share[at],
                _ if !share[at].is_multiple_of(2) => return None,
                _ => share[at] / 2,
            };
            share[to] += part;
            let branch = sides.len() == 2;
            let surely = stops && !bails(target);
            blocks[to].from.push(Way {
                from: at,
                side: (branch && !surely).then_some(side == 0),
                args: target.args.clone(),
            });
        }
    }
    Some(blocks)
}
