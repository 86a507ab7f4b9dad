//! Long maps on several threads end as they do on one.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::manual_is_multiple_of,
    reason = "numbers of tests are made to fit"
)]

mod maps;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use iris_jit::ir::{Comparison, Function, GuardKind, Math1};
use iris_jit::{Elem, NativeCompiler, Value, poll, vector};
use maps::{AT, agree, array, elements, map_of, outcome};

/// The hook and the number of threads are the process's.
static ALONE: Mutex<()> = Mutex::new(());

const LEN: usize = 150_000;

/// `tan(x) + exp(x)`, unless x is above 100 (range error) or below -100 (domain error).
fn slow_map() -> Function {
    map_of(&[array(Elem::F64, true, false)], Elem::F64, |b, args| {
        let (high, low) = (
            b.constant(Value::F64(100.0)),
            b.constant(Value::F64(-100.0)),
        );
        let small = b.compare(Comparison::Lt, args[0], high);
        b.guard(small, GuardKind::Range, AT);
        let large = b.compare(Comparison::Gt, args[0], low);
        b.guard(large, GuardKind::Domain, AT);
        let (tan, exp) = (b.math1(Math1::Tan, args[0]), b.math1(Math1::Exp, args[0]));
        b.binary(iris_jit::ir::BinaryOp::FloatAdd, tan, exp)
    })
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let _alone = ALONE.lock().unwrap();
    let function = slow_map();
    for threads in [1, 2, 3, 16] {
        vector::set_threads(threads);
        for len in [LEN, 131_072, 131_073] {
            let mut index = 0;
            let value = || {
                index += 1;
                Value::F64(f64::from(index % 10_007) / 300.0 - 15.0)
            };
            let given = [elements(Elem::F64, len, 1, value)];
            assert!(agree(&function, &given, Elem::F64, len));
        }
    }
    vector::set_threads(0);
}

/// Elements of later chunks fail, too, and may be computed before.
#[test]
fn the_first_failing_element_decides() {
    let _alone = ALONE.lock().unwrap();
    let function = slow_map();
    vector::set_threads(4);
    for (first, second) in [
        (100_000, 100_001),
        (20_000, 60_000),
        (0, LEN - 1),
        (9_000, 17_000),
    ] {
        for (a, b) in [(200.0, -200.0), (-200.0, 200.0)] {
            let mut index = 0;
            let value = || {
                index += 1;
                Value::F64(match index - 1 {
                    i if i == first => a,
                    i if i == second => b,
                    i => (i % 100) as f64 / 50.0,
                })
            };
            let given = [elements(Elem::F64, LEN, 1, value)];
            assert!(agree(&function, &given, Elem::F64, LEN));
        }
    }
    vector::set_threads(0);
}

static ASKED: AtomicU64 = AtomicU64::new(0);

#[test]
fn a_hook_ends_a_map_on_all_threads() {
    let _alone = ALONE.lock().unwrap();
    let function = slow_map();
    let compiler = NativeCompiler::new().unwrap();
    let given = [elements(Elem::F64, LEN, 1, || Value::F64(0.5))];
    poll::set_hook(|| ASKED.fetch_add(1, Ordering::Relaxed) < 2);
    for threads in [1, 4] {
        ASKED.store(0, Ordering::Relaxed);
        vector::set_threads(threads);
        let (end, ..) = outcome(&compiler, &function, &given, Elem::F64, LEN);
        let told = end.unwrap_err().to_string();
        assert!(told.contains("interrupted"), "{told}");
        assert_eq!(
            ASKED.load(Ordering::Relaxed),
            3,
            "asked again after the end"
        );
    }
    poll::set_hook(|| true);
    vector::set_threads(0);
}
