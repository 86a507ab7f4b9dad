//! How a process ended, in DOWN and EXIT: `reason:1 meta_len:4 meta`.
//!
//! The meta is empty, or `text_len:2 text failure:1`, the text being that of reason 8 (other);
//! with `failure` 1 there follow `kind_len:2 kind message_len:4 message traceback`. Texts are
//! cut at their limits, at a character's end, so that the frame always fits.

use iris_core::{Exit, ExitReason, Failure};

use crate::frame::error::FrameError;
use crate::frame::reader::Reader;

pub(crate) const MAX_TEXT: usize = 1024;
const MAX_MESSAGE: usize = 16 * 1024;
const MAX_TRACEBACK: usize = 40 * 1024;

const REASONS: [ExitReason; 8] = [
    ExitReason::Normal,
    ExitReason::Shutdown,
    ExitReason::Killed,
    ExitReason::Panic,
    ExitReason::Crash,
    ExitReason::Timeout,
    ExitReason::NoProc,
    ExitReason::NoConnection,
];
const OTHER: u8 = 8;

pub(crate) fn put(exit: &Exit, out: &mut Vec<u8>) {
    let code = (0..)
        .zip(&REASONS)
        .find(|(_, reason)| **reason == exit.reason);
    out.push(code.map_or(OTHER, |(code, _)| code));
    if code.is_some() && exit.failure.is_none() {
        out.extend_from_slice(&[0; 4]);
        return;
    }
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    let text = if code.is_some() {
        ""
    } else {
        exit.reason.as_str()
    };
    put_short(text, out);
    match &exit.failure {
        None => out.push(0),
        Some(failure) => {
            out.push(1);
            put_short(&failure.kind, out);
            let message = cut(&failure.message, MAX_MESSAGE);
            out.extend_from_slice(&len32(message.len()));
            out.extend_from_slice(message.as_bytes());
            out.extend_from_slice(cut(&failure.traceback, MAX_TRACEBACK).as_bytes());
        }
    }
    let len = len32(out.len() - at - 4);
    out[at..at + 4].copy_from_slice(&len);
}

pub(crate) fn read(kind: u8, reader: &mut Reader) -> Result<Exit, FrameError> {
    let code = reader.u8()?;
    let len = reader.u32()?;
    let meta = reader.take(len as usize)?;
    let (mut text, mut failure) = (String::new(), None);
    if !meta.is_empty() {
        let mut meta = Reader::new(kind, meta);
        let len = meta.u16()?;
        text = shortened(meta.text(len.into())?, MAX_TEXT);
        match meta.u8()? {
            0 => meta.end()?,
            1 => {
                let len = meta.u16()?;
                let kind = shortened(meta.text(len.into())?, MAX_TEXT);
                let len = meta.u32()?;
                let message = shortened(meta.text(len as usize)?, MAX_MESSAGE);
                let traceback = shortened(meta.text(meta.left())?, MAX_TRACEBACK);
                failure = Some(Box::new(Failure {
                    kind,
                    message,
                    traceback,
                }));
            }
            value => {
                let (field, value) = ("failure mark", value.into());
                return Err(FrameError::Field { kind, field, value });
            }
        }
    }
    let reason = match REASONS.get(usize::from(code)) {
        Some(reason) => reason.clone(),
        None if text.is_empty() => ExitReason::Other(format!("reason {code}").into()),
        None => ExitReason::Other(text.into()),
    };
    Ok(Exit { reason, failure })
}

fn put_short(text: &str, out: &mut Vec<u8>) {
    let text = cut(text, MAX_TEXT);
    #[expect(clippy::cast_possible_truncation, reason = "at most 1,024")]
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

pub(crate) fn shortened(mut text: String, limit: usize) -> String {
    text.truncate(text.floor_char_boundary(limit));
    text
}

pub(crate) fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the limits above are far below 4 GiB"
)]
fn len32(len: usize) -> [u8; 4] {
    (len as u32).to_be_bytes()
}
