//! Whether a vector function gives what the process's libm gives.
//!
//! The libm may be another than the one whose algorithm the function takes, or an older one. So
//! each function is compared with it once, in every bit of 4,096 results, before its first use,
//! which takes a tenth of a millisecond. Random arguments alone would not do: a libm that rounds
//! products before sums gives other bits for one in a thousand, so some of those are among them. A
//! function that differs anywhere is not used: libm is called for each element.

use std::sync::OnceLock;

use super::kernels::{self, Args, Extra, Kernel, Level};
use crate::ir::Math1;
use crate::libm::{self, Fn1};

/// Results that are compared.
const POINTS: usize = 4096;

/// The function, eight at a time, if it gives libm's results.
pub(super) fn kernel(level: Level, op: Math1) -> Option<Kernel> {
    const LEVELS: usize = 3;
    static KNOWN: [OnceLock<bool>; LEVELS * Math1::ALL.len()] =
        [const { OnceLock::new() }; LEVELS * Math1::ALL.len()];
    // Elsewhere libms are alike but for roundings that too few points tell apart.
    const KNOWN_PLATFORM: bool = cfg!(all(
        target_os = "linux",
        target_env = "gnu",
        target_arch = "x86_64"
    ));
    let kernel = kernels::math1(level, op).filter(|_| KNOWN_PLATFORM)?;
    let known = &KNOWN[op as usize * LEVELS + level as usize];
    let agrees = || agrees(kernel, libm::function1(op), &points(op));
    let usable = *known.get_or_init(agrees);
    usable.then_some(kernel)
}

/// Arguments at which it matters whether libm rounds products before sums, as it does on CPUs that
/// cannot do otherwise, or where the system hides what they can: of random ones it is one in a
/// thousand.
fn telling(op: Math1) -> &'static [u64] {
    match op {
        Math1::Exp => &[
            0xc048_60df_f5af_44b1,
            0x4044_8802_ac8c_99fc,
            0xc050_0d83_9c8e_4683,
            0xc051_a781_ed6d_0e21,
            0x404f_d9e4_04b5_ee38,
            0x4051_a190_d849_045c,
            0xc045_cd96_971a_813e,
            0x404f_0590_e76a_8454,
            0xc042_7887_e1aa_113b,
            0x4047_e528_88bf_8220,
            0x4048_5ebe_136f_12a8,
            0xc052_b78b_29a5_1c73,
            0x404f_827e_fd29_bbe8,
            0x4046_298c_485a_8df8,
            0xc014_3a68_6e9b_1660,
            0xc023_614f_c568_0230,
        ],
        Math1::Log => &[
            0x3ffa_8ba5_20ac_5c50,
            0x4010_f289_8d62_50e1,
            0x3ffa_5e1a_3653_cd68,
            0x4013_7604_95d8_41d5,
            0x4001_4f26_8d1c_811c,
            0x3fe7_6ecb_c97d_e6b0,
            0x4006_3c52_f60e_73ae,
            0x4018_3320_6c72_307b,
            0x3fee_7aac_454c_7337,
            0x3ff0_a3e2_bf2f_4ee7,
            0x3ff0_6438_83ee_8794,
            0x3fee_31cc_b6a5_7e76,
            0x3fef_64d9_fcf5_413b,
            0x3ff0_c68e_5420_1f98,
            0x3ff0_bd53_67d0_de33,
            0x3fef_2ebb_569f_fb46,
        ],
        Math1::Erfc => &[
            0x4008_40c4_a964_e984,
            0x400c_61b5_97c3_8240,
            0x4007_1de3_a324_bd38,
            0x4011_2515_d89a_2af8,
            0x4009_ffe6_1560_e568,
            0x4014_ac56_3b08_c124,
            0x4009_9941_9601_3886,
            0x3ffb_b9a3_375f_f88c,
            0x400f_8eeb_4a12_a01a,
            0x3ff5_2be0_3f32_a208,
            0x4003_77fd_6f39_bf02,
            0x4017_034d_87b3_fda6,
            0x4004_319b_1cf9_6114,
            0x400a_d2ae_1168_42fc,
            0x4008_c83f_a852_5d36,
            0x4017_4d95_fd24_0710,
        ],
        // Other roundings do not matter here.
        _ => &[],
    }
}

/// Where a function's results are neither trivial nor errors.
fn range(op: Math1) -> (f64, f64) {
    match op {
        Math1::Exp => (-745.2, 709.8),
        Math1::Log => (0.0, 4.0),
        Math1::Erfc => (-6.5, 27.3),
        _ => (-100.0, 100.0),
    }
}

/// Whether a kernel gives libm's results, NaN as any NaN.
fn agrees(kernel: Kernel, libm: Fn1, points: &[f64]) -> bool {
    let mut results = vec![0.0_f64; points.len()];
    let args = Args {
        dst: results.as_mut_ptr().cast(),
        a: points.as_ptr().cast(),
        b: std::ptr::null(),
        c: std::ptr::null(),
        lanes: points.len(),
        extra: Extra::None,
    };
    // SAFETY: two blocks of so many floats; levels are those of this CPU.
    let failed = unsafe { kernel(&args) };
    let same = |(&x, &y): (&f64, &f64)| {
        let expected = libm(x);
        expected.to_bits() == y.to_bits() || (expected.is_nan() && y.is_nan())
    };
    !failed && points.iter().zip(&results).all(same)
}

/// Special values, telling ones, the neighbors of where an algorithm changes, and numbers of all sizes and of the
/// range.
#[expect(clippy::cast_precision_loss, reason = "53 bits")]
fn points(op: Math1) -> Vec<f64> {
    const SPECIAL: [f64; 24] = [
        0.0,
        f64::NAN,
        f64::INFINITY,
        5e-324,
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::EPSILON,
        0.25,
        0.5,
        0.84375,
        0.9375,
        1.0,
        1.064_697_265_625,
        1.25,
        2.857_142_448_425_293,
        6.0,
        22.0,
        26.5,
        28.0,
        512.0,
        708.396_418_532_264_1,
        709.782_712_893_384,
        745.133_219_101_941_1,
        1024.0,
    ];
    let (low, high) = range(op);
    let mut points = Vec::with_capacity(POINTS);
    for x in SPECIAL {
        let near = [x.next_down(), x, x.next_up()];
        points.extend(near.into_iter().flat_map(|x| [x, -x]));
    }
    points.extend(telling(op).iter().copied().map(f64::from_bits));
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while points.len() < POINTS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let unit = (state >> 11) as f64 / (1_u64 << 53) as f64;
        points.push(match points.len() % 4 {
            // Any float, but few of them: libm is slow with large ones.
            0 if points.len() % 32 == 0 => f64::from_bits(state),
            // All sizes from 2**-64 to 2**10.
            0 if points.len() % 8 == 0 => {
                let exponent = 1023 - 64 + (state >> 32) % 74;
                let sign = state & 1 << 63;
                f64::from_bits(sign | exponent << 52 | state >> 12)
            }
            0 => 1.0 + (unit - 0.5) / 4.0,
            1 => (unit - 0.5) * 8.0,
            _ => low + unit * (high - low),
        });
    }
    points
}

#[cfg(test)]
mod tests;
