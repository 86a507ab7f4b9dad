//! Functions that call themselves: the calls in them, once written out.
//!
//! A call costs more than the body of a small function: arguments, the depth, the room on the stack, a
//! poll, a status. Written out in the body, one call in two is none any more.

use crate::ir::{Args, Block, BlockData, Function, Inst, Op, Target, Terminator, Val};

/// Most instructions of what is written out.
const MOST_INSTS: usize = 24;

/// Most blocks of it.
const MOST_BLOCKS: usize = 10;

/// Most calls in it: each is a copy.
const MOST_CALLS: usize = 3;

/// The function with each of its calls of itself replaced by its body, if it is small.
pub(crate) fn with_calls_written_out(function: &Function) -> Option<Function> {
    let insts: usize = function.blocks.iter().map(|block| block.insts.len()).sum();
    let calls = function.lists.len();
    let polls = function.blocks.iter().flat_map(|block| &block.insts);
    let mut polls = polls.filter(|inst| matches!(inst.op, Op::Poll(_)));
    if !(1..=MOST_CALLS).contains(&calls)
        || insts > MOST_INSTS
        || function.blocks.len() > MOST_BLOCKS
        || polls.next().is_some()
    {
        return None;
    }
    let mut out = function.clone();
    for start in 0..function.blocks.len() {
        let mut block = start;
        while let Some(rest) = write_out_one(&mut out, function, block) {
            block = rest;
        }
    }
    Some(out)
}

/// Replaces the first call in a block; gives the block with what follows it.
fn write_out_one(out: &mut Function, body: &Function, block: usize) -> Option<usize> {
    let insts = &mut out.blocks[block].insts;
    let is_call = |inst: &Inst| matches!(inst.op, Op::Recurse(..));
    let mut tail = insts.split_off(insts.iter().position(is_call)?);
    let call = tail.remove(0);
    let (Op::Recurse(args, _, guard), Some(result)) = (call.op, call.result) else {
        unreachable!("a call has a result");
    };
    let terminator = out.blocks[block].terminator.take();
    let rest = push(out, vec![result], tail, terminator);
    let entry = copy(out, body, rest);
    let args = out.lists[args.0 as usize].clone();
    let here = &mut out.blocks[block];
    here.insts.push(Inst {
        op: Op::Deeper(1, guard),
        result: None,
    });
    here.terminator = Some(Terminator::Jump(Target { block: entry, args }));
    Some(rest.0 as usize)
}

fn push(
    out: &mut Function,
    params: Vec<Val>,
    insts: Vec<Inst>,
    terminator: Option<Terminator>,
) -> Block {
    out.blocks.push(BlockData {
        params,
        insts,
        terminator,
    });
    Block(number(out.blocks.len() - 1))
}

/// Adds the blocks of a body with values of their own; its returns go on at `rest`. Gives the entry.
fn copy(out: &mut Function, body: &Function, rest: Block) -> Block {
    let (first_block, first_value) = (out.blocks.len(), out.value_types.len());
    out.value_types.extend(&body.value_types);
    let value = |Val(old): Val| Val(old + number(first_value));
    let values = |old: &[Val]| old.iter().map(|&old| value(old)).collect::<Vec<_>>();
    let target = |old: &Target| Target {
        block: Block(old.block.0 + number(first_block)),
        args: values(&old.args),
    };
    for data in &body.blocks {
        let mut insts = Vec::with_capacity(data.insts.len());
        for inst in &data.insts {
            let op = match inst.op {
                Op::Recurse(Args(old), ty, guard) => {
                    let old = old as usize;
                    out.lists.push(values(&body.lists[old]));
                    out.levels.push(body.levels[old] + 1);
                    Op::Recurse(Args(number(out.lists.len() - 1)), ty, guard)
                }
                op => op.with_operands(value),
            };
            let result = inst.result.map(value);
            insts.push(Inst { op, result });
        }
        let terminator = data.terminator.as_ref().map(|end| match end {
            Terminator::Jump(to) => Terminator::Jump(target(to)),
            Terminator::Branch {
                cond,
                then,
                otherwise,
            } => Terminator::Branch {
                cond: value(*cond),
                then: target(then),
                otherwise: target(otherwise),
            },
            Terminator::Return { values: old, .. } => Terminator::Jump(Target {
                block: rest,
                args: values(old),
            }),
            Terminator::Bail(guard) => Terminator::Bail(*guard),
        });
        push(out, values(&data.params), insts, terminator);
    }
    Block(number(first_block))
}

fn number(len: usize) -> u32 {
    u32::try_from(len).expect("a small function stays small")
}
