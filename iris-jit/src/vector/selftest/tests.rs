#![allow(clippy::cast_precision_loss, reason = "53 bits")]

use super::*;
use std::time::Instant;

const VECTORS: [Math1; 5] = [Math1::Exp, Math1::Log, Math1::Erfc, Math1::Sin, Math1::Cos];

/// `exp`, but for one result in a thousand.
unsafe fn slightly_wrong(args: &Args) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let failed = kernels::math1(Level::Portable, Math1::Exp).unwrap()(args);
        let wrong = args.dst.add(1234);
        wrong.write(wrong.read() ^ 1);
        failed
    }
}

#[test]
fn a_kernel_that_is_wrong_in_one_bit_is_rejected() {
    let exp = libm::function1(Math1::Exp);
    assert!(!agrees(slightly_wrong, exp, &points(Math1::Exp)));
    let log = libm::function1(Math1::Log);
    let kernel = kernels::math1(Level::Portable, Math1::Exp).unwrap();
    assert!(!agrees(kernel, log, &points(Math1::Exp)));
}

/// The libm of this platform is one whose results the kernels give.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
fn kernels_of_this_cpu_agree_with_libm() {
    let levels = Level::all();
    for &level in &levels {
        for op in VECTORS {
            if level == Level::Portable && levels.len() > 1 {
                // libm fuses multiplications on a CPU that can, and this level does not.
                assert!(kernel(level, op).is_none(), "{op:?}");
                continue;
            }
            let start = Instant::now();
            assert!(kernel(level, op).is_some(), "{level:?} {op:?}");
            println!("{level:?} {op:?}: {:?}", start.elapsed());
        }
    }
}

#[test]
fn the_points_are_as_many_as_said() {
    let points = points(Math1::Exp);
    assert_eq!(points.len(), POINTS);
    assert!(points.iter().any(|x| x.is_nan()));
    assert!(points.iter().any(|x| x.is_subnormal()));
}

/// More points than the self-test has: 100,000 of each function, or as many as `IRIS_SAMPLES` says.
/// 28 million take a minute in a release build.
#[test]
fn many_samples_agree() {
    let samples = std::env::var("IRIS_SAMPLES").ok();
    let samples = samples.map_or(100_000, |samples| samples.parse().unwrap());
    let ranges = [
        (Math1::Exp, [(-745.2, 709.8), (-40.0, 40.0), (-1.0, 1.0)]),
        (Math1::Log, [(0.0, 10.0), (0.9, 1.1), (0.0, 1e6)]),
        (Math1::Erfc, [(-6.5, 27.3), (-3.0, 3.0), (-1.3, 1.3)]),
        (Math1::Sin, [(-1.0, 1.0), (-10.0, 10.0), (-4e4, 4e4)]),
        (Math1::Cos, [(-1.0, 1.0), (-10.0, 10.0), (-4e4, 4e4)]),
    ];
    let level = Level::all().pop().unwrap();
    for (op, ranges) in ranges {
        let (kernel, libm) = (kernels::math1(level, op).unwrap(), libm::function1(op));
        let (mut state, mut count, mut differ) = (0x2545_f491_4f6c_dd1d_u64, 0, 0);
        let (mut xs, mut ys) = (vec![0.0_f64; 4096], vec![0.0_f64; 4096]);
        while count < samples {
            for (index, x) in xs.iter_mut().enumerate() {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let unit = (state >> 11) as f64 / (1_u64 << 53) as f64;
                *x = match ranges.get(index % 4) {
                    Some((low, high)) => low + unit * (high - low),
                    None => f64::from_bits(state),
                };
            }
            let args = Args {
                dst: ys.as_mut_ptr().cast(),
                a: xs.as_ptr().cast(),
                b: std::ptr::null(),
                c: std::ptr::null(),
                lanes: xs.len(),
                extra: Extra::None,
            };
            // SAFETY: two blocks of so many floats.
            unsafe { kernel(&args) };
            for (&x, &y) in xs.iter().zip(&ys) {
                let expected = libm(x);
                let same = expected.to_bits() == y.to_bits() || expected.is_nan() && y.is_nan();
                if !same {
                    differ += 1;
                    println!("{op:?}({x:e}) = {y:e}, libm: {expected:e}");
                }
            }
            count += xs.len();
        }
        println!("{op:?}: {differ} of {count} differ");
        assert_eq!(differ, 0, "{op:?}");
    }
}
