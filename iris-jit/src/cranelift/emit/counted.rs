//! Innermost loops that count: the countdown to the next poll becomes a bound of the count.
//!
//! ```text
//!   entry: base = i; stop = min(bound, i + fuel); i < stop ──► body, else ──► turn
//!   body:  ..; i += 1; i < stop ──► body, else ──► turn
//!   turn (cold): fuel -= i - base
//!     i < bound: ask, fuel = full, base = i, stop = min(bound, i + fuel) ──► body
//!     else     : fuel = max(fuel, 1) ──► exit
//! ```
//!
//! So a round costs one comparison and one jump, and polls are as frequent as elsewhere. What the
//! header of the loop in our IR takes as parameters are variables here, since entry and body set them.

use std::collections::{HashMap, HashSet};

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self as clif, InstBuilder, types};
use cranelift_frontend::Variable;

use super::Emitter;
use crate::ir::{BinaryOp, Comparison, Function, GuardId, Inst, Op, Target, Terminator, Val};
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
    turn: Option<clif::Block>,
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
    // The header does nothing but compare, with what does not change.
    let pure = |inst: &Inst| {
        matches!(inst.op, Op::Const(_) | Op::Length(..)) || inst.result == Some(*cond)
    };
    let Some(Op::Compare(Comparison::Lt, count, bound)) = defined(*cond, header) else {
        return None;
    };
    if !of(header).insts.iter().all(pure) || is_used(function, *cond) {
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
        turn: None,
        base: None,
        stop: None,
    })
}

/// Whether something but branches uses a value.
fn is_used(function: &Function, value: Val) -> bool {
    let ends = |end: &Terminator| {
        let returned = match end {
            Terminator::Return { values, .. } => values.contains(&value),
            _ => false,
        };
        returned || end.targets().any(|target| target.args.contains(&value))
    };
    function.lists.iter().any(|list| list.contains(&value))
        || function.blocks().iter().any(|block| {
            let mut operands = block.insts.iter().flat_map(|inst| inst.op.operands());
            operands.any(|operand| operand == value) || block.terminator.iter().any(ends)
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
                let ty = super::clif_type(self.function.value_types[param.0 as usize]);
                self.builder.append_block_param(entry, ty);
                self.carried.insert(param, self.builder.declare_var(ty));
            }
            counted.entry = Some(entry);
            counted.turn = Some(self.builder.create_block());
            counted.base = Some(self.builder.declare_var(types::I64));
            counted.stop = Some(self.builder.declare_var(types::I64));
        }
    }

    /// Reads the variables that a block uses, at its start.
    pub(super) fn refresh(&mut self, block: usize) {
        if self.carried.is_empty() {
            return;
        }
        let data = &self.function.blocks()[block];
        let operands = data.insts.iter().flat_map(|inst| inst.op.operands());
        let mut used: Vec<Val> = operands.collect();
        for inst in &data.insts {
            if let Op::Recurse(args, ..) = inst.op {
                used.extend(&self.function.lists[args.0 as usize]);
            }
        }
        match &data.terminator {
            Some(Terminator::Branch { cond, .. }) => used.push(*cond),
            Some(Terminator::Return { values, .. }) => used.extend(values),
            _ => {}
        }
        let targets = data.terminator.iter().flat_map(Terminator::targets);
        used.extend(targets.flat_map(|target| &target.args));
        self.read(&used);
    }

    /// Reads those of these values that are variables, in the current block.
    pub(super) fn read(&mut self, used: &[Val]) {
        for &value in used {
            if let Some(&variable) = self.carried.get(&value) {
                let now = self.builder.use_var(variable);
                self.values[value.0 as usize] = Some(now);
            }
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
        let args = self.builder.block_params(entry).to_vec();
        let data = &self.function.blocks()[header];
        for (&param, &arg) in data.params.iter().zip(&args) {
            self.builder.def_var(self.carried[&param], arg);
        }
        for (at, inst) in data.insts.iter().enumerate() {
            if matches!(inst.op, Op::Const(_) | Op::Length(..)) {
                self.inst(header, at, inst);
            }
        }
        let bound = self.bound(bound);
        self.set_stop(header, args[counter], bound);
        self.go_round(header, args[counter]);
    }

    fn bound(&mut self, bound: Bound) -> clif::Value {
        match bound {
            Bound::Outer(value) => {
                self.read(&[value]);
                self.get(value)
            }
            Bound::Copied(op) => self.op(op).expect("it has a result"),
        }
    }

    /// Whether a jump is the way back of a counted loop.
    pub(super) fn turns_back(&self, from: usize, target: &Target) -> bool {
        let counted = self.counted.get(&(target.block.0 as usize));
        counted.is_some_and(|counted| counted.latch == from)
    }

    /// The way back: sets the variables, and goes round if the next poll is not due.
    pub(super) fn next_round(&mut self, target: &Target) {
        let header = target.block.0 as usize;
        let params = &self.function.blocks()[header].params;
        let next: Vec<_> = target.args.iter().map(|&arg| self.get(arg)).collect();
        for (&param, &value) in params.iter().zip(&next) {
            self.builder.def_var(self.carried[&param], value);
        }
        let counter = self.counted[&header].counter;
        self.go_round(header, next[counter]);
    }

    fn go_round(&mut self, header: usize, count: clif::Value) {
        let counted = &self.counted[&header];
        let (stop, turn) = (
            counted.stop.expect("prepared"),
            counted.turn.expect("prepared"),
        );
        let stop = self.builder.use_var(stop);
        let below = self.builder.ins().icmp(IntCC::SignedLessThan, count, stop);
        let body = self.blocks[header];
        self.builder.ins().brif(below, body, &[], turn, &[]);
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
    pub(super) fn counted_branch(&mut self, header: usize) -> bool {
        let Some(counted) = self.counted.get(&header) else {
            return false;
        };
        let (guard, bound, counter) = (counted.guard, counted.bound, counted.counter);
        let (turn, base) = (
            counted.turn.expect("prepared"),
            counted.base.expect("prepared"),
        );
        let data = &self.function.blocks()[header];
        let Some(Terminator::Branch {
            then, otherwise, ..
        }) = &data.terminator
        else {
            unreachable!("a counted loop's header ends in a branch");
        };
        let (then, then_args) = self.target(header, then);
        self.builder.ins().jump(then, &then_args);

        self.builder.switch_to_block(turn);
        self.builder.set_cold_block(turn);
        let fuel = self.fuel.expect("a loop polls");
        let count = self.builder.use_var(self.carried[&data.params[counter]]);
        let base = self.builder.use_var(base);
        let done = self.builder.ins().isub(count, base);
        let left = self.builder.use_var(fuel);
        let left = self.builder.ins().isub(left, done);
        let one = self.int(1);
        let left = self.builder.ins().smax(left, one);
        self.builder.def_var(fuel, left);
        let bound = self.bound(bound);
        let more = self.builder.ins().icmp(IntCC::SignedLessThan, count, bound);
        self.read(&otherwise.args);
        let (ask, exit) = (self.builder.create_block(), self.target(header, otherwise));
        self.builder.set_cold_block(ask);
        self.builder.ins().brif(more, ask, &[], exit.0, &exit.1);

        self.builder.switch_to_block(ask);
        let full = self.int(i64::from(poll::INTERVAL));
        self.builder.def_var(fuel, full);
        self.ask(guard);
        self.set_stop(header, count, bound);
        self.builder.ins().jump(self.blocks[header], &[]);
        true
    }
}
