//! Loops ask the hook as often as they should, in whatever way they count.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::cell::Cell;

use iris_jit::ir::{BinaryOp, Comparison, Function, FunctionBuilder, GuardKind, Span, Val};
use iris_jit::poll::{INTERVAL, set_hook};
use iris_jit::{Bailout, Compiler, CraneliftCompiler, Interpreter, Type, Value};

const AT: Span = Span { line: 1, column: 1 };

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
    static PATIENCE: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// Counts, and loses patience.
fn hook() -> bool {
    ASKED.set(ASKED.get() + 1);
    ASKED.get() <= PATIENCE.get()
}

/// Result and polls of a call, with so much patience.
fn call(function: &Function, args: &[i64], patience: u64) -> (Result<Value, Bailout>, u64) {
    set_hook(hook);
    ASKED.set(0);
    PATIENCE.set(patience);
    let args: Vec<Value> = args.iter().copied().map(Value::I64).collect();
    let native = CraneliftCompiler::new().unwrap().compile(function).unwrap();
    let result = native.call(&args);
    let asked = ASKED.get();
    PATIENCE.set(u64::MAX);
    if patience == u64::MAX {
        let expected = Interpreter.compile(function).unwrap().call(&args);
        assert_eq!(result, expected, "{function}{args:?}");
    }
    (result, asked)
}

/// Adds up what `body` makes of the counter from `start` to below `stop`; the total goes in and out.
fn looped(
    b: &mut FunctionBuilder,
    (start, stop): (Val, Val),
    total: Val,
    body: impl FnOnce(&mut FunctionBuilder, Val, Val) -> Val,
) -> Val {
    let head = b.create_block(&[Type::I64, Type::I64]);
    b.jump(head, &[start, total]);
    b.switch_to(head);
    let [count, total] = [0, 1].map(|index| b.block_params(head)[index]);
    let more = b.compare(Comparison::Lt, count, stop);
    let (inside, exit) = (b.create_block(&[]), b.create_block(&[]));
    b.branch(more, (inside, &[]), (exit, &[]));
    b.switch_to(inside);
    let next_total = body(b, count, total);
    b.poll(AT);
    let one = b.constant(Value::I64(1));
    let next = b.binary(BinaryOp::IntAddWrapping, count, one);
    b.jump(head, &[next, next_total]);
    b.switch_to(exit);
    total
}

fn single() -> Function {
    let mut b = FunctionBuilder::new("single", &[Type::I64, Type::I64], Type::I64);
    let (start, stop) = (b.param(0), b.param(1));
    let zero = b.constant(Value::I64(0));
    let total = looped(&mut b, (start, stop), zero, |b, count, total| {
        let mixed = b.binary(BinaryOp::IntXor, total, count);
        b.binary(BinaryOp::IntAddWrapping, mixed, count)
    });
    b.ret(total);
    b.finish().unwrap()
}

fn nested() -> Function {
    let mut b = FunctionBuilder::new("nested", &[Type::I64, Type::I64], Type::I64);
    let (outer, inner) = (b.param(0), b.param(1));
    let zero = b.constant(Value::I64(0));
    let total = looped(&mut b, (zero, outer), zero, |b, row, total| {
        looped(b, (zero, inner), total, |b, column, total| {
            let mixed = b.binary(BinaryOp::IntXor, total, column);
            b.binary(BinaryOp::IntAddWrapping, mixed, row)
        })
    });
    b.ret(total);
    b.finish().unwrap()
}

#[test]
fn a_counting_loop_polls_once_in_an_interval() {
    let function = single();
    let interval = i64::from(INTERVAL);
    for start in [0, 1, -5, i64::MIN, i64::MIN + 1, i64::MAX - 3 * interval] {
        for rounds in [
            0,
            1,
            2,
            interval - 1,
            interval,
            interval + 1,
            3 * interval - 1,
        ] {
            let (_, asked) = call(&function, &[start, start + rounds], u64::MAX);
            let expected = rounds / interval;
            let found = asked.cast_signed();
            assert!(
                (expected - 1..=expected).contains(&found),
                "{rounds} rounds from {start}: {found} polls"
            );
        }
    }
}

#[test]
fn a_loop_whose_bound_lies_below_does_not_run() {
    let function = single();
    for (start, stop) in [
        (1, 0),
        (i64::MAX, i64::MIN),
        (0, i64::MIN),
        (i64::MAX, i64::MAX),
    ] {
        assert_eq!(
            call(&function, &[start, stop], u64::MAX),
            (Ok(Value::I64(0)), 0)
        );
    }
}

#[test]
fn short_loops_in_a_long_one_count_together() {
    let function = nested();
    for (outer, inner) in [(10_000, 0), (10_000, 7), (100, 5_000), (3, 40_000)] {
        let (_, asked) = call(&function, &[outer, inner], u64::MAX);
        let expected = (outer * (inner + 1) / i64::from(INTERVAL)).cast_unsigned();
        // A round in which an inner loop ends at a poll may count for less.
        assert!(
            asked >= expected / 2 && asked <= expected + 1,
            "{outer} times {inner} rounds: {asked} polls, not {expected}"
        );
    }
}

#[test]
fn a_hook_that_loses_patience_ends_a_counting_loop() {
    for patience in [0, 1, 5] {
        let (result, asked) = call(&single(), &[0, i64::MAX], patience);
        let Err(Bailout::Guard { guard, .. }) = result else {
            panic!("a loop of 2^63 rounds came to an end: {result:?}");
        };
        assert_eq!((guard, asked), (GuardKind::Interrupt, patience + 1));
    }
}
