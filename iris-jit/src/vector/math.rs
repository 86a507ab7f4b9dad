//! Functions of libm, eight results at a time and equal to its own in every bit.
//!
//! `exp`, `log` and `erfc` take the algorithm that the common libms take, with the same constants
//! and the same order of roundings; `sin` and `cos` go another way. Whether the process's libm is
//! such a one is for [`super::selftest`] to say. Each function also tells, in a bit for each lane,
//! which results are missing: those are for libm itself.

mod erfc;
mod exp;
mod exp_table;
mod log;
mod log_table;
mod sine;
mod sine_table;

pub(super) use erfc::{erfc, erfc_far, erfc_near, is_far};
pub(super) use exp::exp;
pub(super) use log::{log, log_elsewhere, log_near_one, near_one};
pub(super) use sine::{cos, sin};
