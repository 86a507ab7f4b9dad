//! Which protocol a dialler speaks, from its first bytes.
//!
//! | first bytes | protocol |
//! |---|---|
//! | `10` | framed |
//! | `00` or `02` | original packets, bare |
//! | `01 01`, `01 02` | original packets after a preface |
//! | `01 00`, bytes 1 to 4 as a number being 1 to 1024 | bare: it is the length of a name |
//! | `01 00`, any other number | after a preface: it is the upper end of a pid |
//!
//! The last two lines are exact because inbound pids are ours: their bits 40 to 52 are at least
//! 1,025, for generations begin at [`Pid::FIRST_GENERATION`](iris_core::Pid::FIRST_GENERATION).

use bytes::Bytes;

use crate::frame::kind;
use crate::legacy::{Dialect, LegacyError, packet};
use crate::limits::MAX_NAME;

/// Looks at the first bytes of an accepted connection, at most five.
#[derive(Debug, Default)]
pub struct Sniff {
    seen: Vec<u8>,
}

/// What a dialler speaks. The bytes are what has arrived so far, for the machine that takes
/// over; the preface is not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// Original packets.
    Legacy(Dialect, Bytes),
    /// Frames, without having asked: a peer that knows, or one over TLS.
    Framed(Bytes),
}

impl Sniff {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes input; `None` until it is enough to tell.
    ///
    /// # Errors
    ///
    /// It is none of the protocols.
    pub fn handle_input(&mut self, input: Bytes) -> Result<Option<Sniffed>, LegacyError> {
        let all = if self.seen.is_empty() {
            input
        } else {
            let mut all = std::mem::take(&mut self.seen);
            all.extend_from_slice(&input);
            all.into()
        };
        let dialect = match all[..] {
            [kind::HELLO, ..] => return Ok(Some(Sniffed::Framed(all))),
            [packet::USER | packet::PING, ..] => Dialect::Bare,
            [packet::RESOLVE, packet::RESOLVE | packet::PING, ..] => Dialect::Preface,
            [packet::RESOLVE, 0, a, b, c, ..] => {
                let number = u32::from_be_bytes([0, a, b, c]) as usize;
                if (1..=MAX_NAME).contains(&number) {
                    Dialect::Bare
                } else {
                    Dialect::Preface
                }
            }
            [] | [packet::RESOLVE] | [packet::RESOLVE, 0, ..] => {
                self.seen = all.into();
                return Ok(None);
            }
            [packet::PONG, ..] | [packet::RESOLVE, packet::PONG, ..] => {
                return Err(LegacyError::Pong);
            }
            [packet::RESOLVE, first, ..] | [first, ..] => {
                return Err(LegacyError::NotOurs { first });
            }
        };
        let rest = match dialect {
            Dialect::Preface => all.slice(1..),
            Dialect::Bare => all,
        };
        Ok(Some(Sniffed::Legacy(dialect, rest)))
    }
}
