//! Innermost loops that count: the countdown to the next poll becomes a bound of the count.
//!
//! ```text
//!   entry: base = i; stop = min(bound, i + fuel)
//!   head:  i < stop ──► body ──► i + 1, head
//!     │ no
//!   turn (cold): fuel -= i - base
//!     i < bound: ask, fuel = full, base = i, stop = min(bound, i + fuel) ──► body
//!     else     : fuel = max(fuel, 1) ──► exit
//! ```
//!
//! So a round costs one comparison, and polls are as frequent as elsewhere.

use std::collections::{HashMap, HashSet};

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self as clif, BlockArg, InstBuilder, types};
use cranelift_frontend::Variable;

use super::Emitter;
use crate::ir::{BinaryOp, Comparison, Function, GuardId, Op, Target, Terminator, Val};
use crate::poll;
use crate::types::{Type, Value};

/// A loop that runs while its counter, which goes up by one, is below a bound.
pub(super) struct Counted {
    /// Which of the header's parameters counts.
    counter: usize,
    bound: Bound,
    /// Its poll, on the way back.
    guard: GuardId,
    latch: usize,
    blocks: HashSet<usize>,
    /// Where those come in that are not of the loop.
    entry: Option<clif::Block>,
    base: Option<Variable>,
    stop: Option<Variable>,
}

/// What does not change while the loop runs.
#[derive(Clone, Copy)]
enum Bound {
    /// A value from before the loop.
    Outer(Val),
    /// A constant or a length, of which the header has its own copy.
    Copied(Op),
}

/// The counting loops of a function, by header.
pub(super) fn counted_loops(function: &Function) -> HashMap<usize, Counted> {
    let mut predecessors = vec![Vec::new(); function.blocks().len()];
    let mut defined_in = HashMap::new();
    for (index, block) in function.blocks().iter().enumerate() {
        for target in block.terminator.iter().flat_map(Terminator::targets) {
            predecessors[target.block.0 as usize].push(index);
        }
        let results = block.insts.iter().filter_map(|inst| inst.result);
        for value in block.params.iter().copied().chain(results) {
            defined_in.insert(value, index);
        }
    }
    let found = (0..function.blocks().len()).filter_map(|latch| {
        let header = header_of(function, latch)?;
        let counted = counted(function, header, latch, &predecessors, &defined_in)?;
        Some((header, counted))
    });
    found.collect()
}

/// Where a block with a poll jumps to: the header of its loop.
fn header_of(function: &Function, latch: usize) -> Option<usize> {
    let block = &function.blocks()[latch];
    let polls = block.insts.iter().filter(|inst| is_poll(inst.op));
    match &block.terminator {
        Some(Terminator::Jump(target)) if polls.count() == 1 => Some(target.block.0 as usize),
        _ => None,
    }
}

fn is_poll(op: Op) -> bool {
    matches!(op, Op::Poll(_))
}

fn counted(
    function: &Function,
    header: usize,
    latch: usize,
    predecessors: &[Vec<usize>],
    defined_in: &HashMap<Val, usize>,
) -> Option<Counted> {
    let blocks = natural_loop(header, latch, predecessors)?;
    let of = |index: usize| &function.blocks()[index];
    let leaves = |&&index: &&usize| {
        let targets = of(index).terminator.iter().flat_map(Terminator::targets);
        let mut targets = targets.map(|target| target.block.0 as usize);
        index != header && targets.any(|target| !blocks.contains(&target))
    };
    let polls = blocks.iter().flat_map(|&index| &of(index).insts);
    let is_other_back_edge = |&&index: &&usize| index != latch && blocks.contains(&index);
    if blocks.iter().any(|index| leaves(&index))
        || polls.filter(|inst| is_poll(inst.op)).count() != 1
        || predecessors[header]
            .iter()
            .any(|index| is_other_back_edge(&index))
    {
        return None;
    }
    let Some(Terminator::Branch {
        cond,
        then,
        otherwise,
    }) = &of(header).terminator
    else {
        return None;
    };
    let is_inside = |target: &Target| blocks.contains(&(target.block.0 as usize));
    if !is_inside(then) || is_inside(otherwise) {
        return None;
    }
    let defined = |value: Val, block: usize| {
        let insts = of(block).insts.iter();
        let mut found = insts.filter(move |inst| inst.result == Some(value));
        found.next().map(|inst| inst.op)
    };
    // The header does nothing that could not be left out for a round.
    let pure = |op: Op| matches!(op, Op::Const(_) | Op::Length(..) | Op::Compare(..));
    let Some(Op::Compare(Comparison::Lt, count, bound)) = defined(*cond, header) else {
        return None;
    };
    if !of(header).insts.iter().all(|inst| pure(inst.op)) {
        return None;
    }
    let counter = of(header).params.iter().position(|&param| param == count)?;
    if function.value_types[count.0 as usize] != Type::I64 {
        return None;
    }
    let bound = if defined_in.get(&bound) == Some(&header) {
        match defined(bound, header)? {
            op @ (Op::Const(_) | Op::Length(..)) => Bound::Copied(op),
            _ => return None,
        }
    } else if blocks.contains(defined_in.get(&bound)?) {
        return None;
    } else {
        Bound::Outer(bound)
    };
    let Some(Terminator::Jump(back)) = &of(latch).terminator else {
        return None;
    };
    let next = back.args[counter];
    let is_one = |value: Val| {
        let block = defined_in.get(&value)?;
        (defined(value, *block)? == Op::Const(Value::I64(1))).then_some(())
    };
    match defined(next, *defined_in.get(&next)?)? {
        Op::Binary(BinaryOp::IntAddWrapping, a, one) if a == count => is_one(one)?,
        _ => return None,
    }
    let guard = of(latch).insts.iter().find_map(|inst| match inst.op {
        Op::Poll(guard) => Some(guard),
        _ => None,
    })?;
    Some(Counted {
        counter,
        bound,
        guard,
        latch,
        blocks,
        entry: None,
        base: None,
        stop: None,
    })
}

/// The blocks from which the latch is reached without the header, and both of them. `None` if
/// the function's entry is among them: then it is no loop with one head.
fn natural_loop(
    header: usize,
    latch: usize,
    predecessors: &[Vec<usize>],
) -> Option<HashSet<usize>> {
    let mut blocks = HashSet::from([header, latch]);
    let mut pending = vec![latch];
    while let Some(block) = pending.pop() {
        if block == 0 {
            return None;
        }
        if block == header {
            continue;
        }
        for &before in &predecessors[block] {
            if blocks.insert(before) {
                pending.push(before);
            }
        }
    }
    Some(blocks)
}

impl Emitter<'_> {
    /// Whether a poll is done by the bound of its loop.
    pub(super) fn polls_by_bound(&self, block: usize) -> bool {
        self.counted.values().any(|counted| counted.latch == block)
    }

    /// The block that stands for `to` where `from` goes there.
    pub(super) fn way(&self, from: usize, to: usize) -> clif::Block {
        let entry = self.counted.get(&to).and_then(|counted| {
            let is_outside = !counted.blocks.contains(&from);
            is_outside.then_some(counted.entry).flatten()
        });
        entry.unwrap_or(self.blocks[to])
    }

    /// Creates what a counted loop has beside its blocks.
    pub(super) fn prepare_counted(&mut self) {
        for (&header, counted) in &mut self.counted {
            let entry = self.builder.create_block();
            for &param in &self.function.blocks()[header].params {
                let ty = self.function.value_types[param.0 as usize];
                self.builder.append_block_param(entry, super::clif_type(ty));
            }
            counted.entry = Some(entry);
            counted.base = Some(self.builder.declare_var(types::I64));
            counted.stop = Some(self.builder.declare_var(types::I64));
        }
    }

    /// Writes the way into a counted loop; before its header.
    pub(super) fn enter_counted(&mut self, header: usize) {
        let Some(counted) = self.counted.get(&header) else {
            return;
        };
        let (bound, counter) = (counted.bound, counted.counter);
        let entry = counted.entry.expect("prepared");
        self.builder.switch_to_block(entry);
        let params = self.builder.block_params(entry).to_vec();
        let bound = match bound {
            Bound::Outer(value) => self.get(value),
            Bound::Copied(op) => self.op(op).expect("it has a result"),
        };
        self.set_stop(header, params[counter], bound);
        let args: Vec<_> = params.into_iter().map(BlockArg::Value).collect();
        self.builder.ins().jump(self.blocks[header], &args);
    }

    /// From `start` on the loop runs up to the next poll, or to its end.
    fn set_stop(&mut self, header: usize, start: clif::Value, bound: clif::Value) {
        let counted = &self.counted[&header];
        let (base, stop) = (counted.base, counted.stop);
        let fuel = self.builder.use_var(self.fuel.expect("a loop polls"));
        // As an unsigned number right for all `start < bound`; for others the stop is `bound`.
        let rounds = self.builder.ins().isub(bound, start);
        let runs = self.builder.ins().icmp(IntCC::SignedLessThan, start, bound);
        let is_long = self
            .builder
            .ins()
            .icmp(IntCC::UnsignedGreaterThan, rounds, fuel);
        let polls = self.builder.ins().band(runs, is_long);
        let next = self.builder.ins().iadd(start, fuel);
        let at = self.builder.ins().select(polls, next, bound);
        self.builder.def_var(base.expect("prepared"), start);
        self.builder.def_var(stop.expect("prepared"), at);
    }

    /// The end of a counted loop's header; `false` for other blocks.
    pub(super) fn counted_branch(&mut self, header: usize, cond: Val) -> bool {
        let Some(counted) = self.counted.get(&header) else {
            return false;
        };
        let (guard, bound) = (counted.guard, counted.bound);
        let (base, stop) = (
            counted.base.expect("prepared"),
            counted.stop.expect("prepared"),
        );
        let data = &self.function.blocks()[header];
        let count = self.get(data.params[counted.counter]);
        let Some(Terminator::Branch {
            then, otherwise, ..
        }) = &data.terminator
        else {
            unreachable!("a counted loop's header ends in a branch");
        };
        let stop = self.builder.use_var(stop);
        let below = self.builder.ins().icmp(IntCC::SignedLessThan, count, stop);
        let (then, then_args) = self.target(header, then);
        let turn = self.builder.create_block();
        self.builder.set_cold_block(turn);
        self.builder.ins().brif(below, then, &then_args, turn, &[]);

        self.builder.switch_to_block(turn);
        let fuel = self.fuel.expect("a loop polls");
        let base = self.builder.use_var(base);
        let done = self.builder.ins().isub(count, base);
        let left = self.builder.use_var(fuel);
        let left = self.builder.ins().isub(left, done);
        let one = self.int(1);
        let left = self.builder.ins().smax(left, one);
        self.builder.def_var(fuel, left);
        let more = self.get(cond);
        let (ask, exit) = (self.builder.create_block(), self.target(header, otherwise));
        self.builder.set_cold_block(ask);
        self.builder.ins().brif(more, ask, &[], exit.0, &exit.1);

        self.builder.switch_to_block(ask);
        let full = self.int(i64::from(poll::INTERVAL));
        self.builder.def_var(fuel, full);
        self.ask(guard);
        let bound = match bound {
            Bound::Outer(value) => self.get(value),
            Bound::Copied(op) => self.op(op).expect("it has a result"),
        };
        self.set_stop(header, count, bound);
        self.builder.ins().jump(then, &then_args);
        true
    }
}
