//! Bytes to frames.

use bytes::{Buf, Bytes};

use crate::frame::codes::{AuthMethod, ErrorCode, Refused};
use crate::frame::error::FrameError;
use crate::frame::header::{self, flag, kind};
use crate::frame::input::RawFrame;
use crate::frame::reader::Reader;
use crate::frame::{Beat, Frame, Hello, Message, NodeId, Trace, exit};
use crate::limits::MAX_BODY;

/// A frame, and what came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The sequence number; 0 for types that have none.
    pub seq: u64,
    /// The trace context, if there was one.
    pub trace: Option<Trace>,
    /// The peer wants to hear at once how far this side has come.
    pub ack: bool,
    /// The frame. Its data shares the memory of the input.
    pub frame: Frame,
}

impl RawFrame {
    /// What the frame says. Data is not copied, and nothing is allocated but for HELLO, texts,
    /// exits and trace contexts.
    ///
    /// # Errors
    ///
    /// Why the bytes are no frame; the connection cannot go on.
    pub fn decode(self) -> Result<Decoded, FrameError> {
        let (kind, flags) = (self.header.kind, self.header.flags);
        if flags & !flag::KNOWN != 0
            || flags & flag::LZ4 != 0
            || (flags & flag::LAST != 0 && kind != kind::FRAG_NEXT)
        {
            return Err(FrameError::Flags { kind, flags });
        }
        let mut body = self.body;
        let mut trace = None;
        if flags & flag::TRACE != 0 {
            let Some(context) = body.first_chunk::<25>() else {
                return Err(FrameError::Short { kind });
            };
            trace = Some(Box::new(*context));
            body.advance(25);
        }
        let mut reader = Reader::new(kind, body);
        let seq = if header::is_sequenced(kind) {
            reader.u64()?
        } else {
            0
        };
        // Most frames by far; the rest is out of line.
        let frame = if kind == kind::SEND {
            let dst = reader.pid("dst")?;
            let src = reader.maybe_pid("src")?;
            Frame::Message(Message::Send {
                dst,
                src,
                data: reader.rest(),
            })
        } else {
            decode_other(kind, flags, reader)?
        };
        Ok(Decoded {
            seq,
            trace,
            ack: flags & flag::ACK != 0,
            frame,
        })
    }
}

/// A message whose fields are `head`, without data: the inside of a `FRAG_FIRST`.
pub(crate) fn decode_head(inner: u8, head: Bytes) -> Result<Message, FrameError> {
    let mut reader = Reader::new(inner, head);
    let message = match inner {
        kind::SEND..=kind::REPLY => decode_message(inner, &mut reader)?,
        value => {
            let (kind, field, value) = (kind::FRAG_FIRST, "inner type", value.into());
            return Err(FrameError::Field { kind, field, value });
        }
    };
    reader.end()?;
    Ok(message)
}

/// The fields of a message; its data is empty.
fn decode_message(kind: u8, reader: &mut Reader) -> Result<Message, FrameError> {
    let data = Bytes::new();
    Ok(match kind {
        kind::SEND => Message::Send {
            dst: reader.pid("dst")?,
            src: reader.maybe_pid("src")?,
            data,
        },
        kind::SEND_NAME => Message::SendName {
            src: reader.maybe_pid("src")?,
            name: reader.name()?,
            data,
        },
        kind::CALL => Message::Call {
            req: reader.u64()?,
            dst: reader.pid("dst")?,
            src: reader.maybe_pid("src")?,
            deadline_ms: reader.u32()?,
            data,
        },
        _ => Message::Reply {
            req: reader.u64()?,
            status: reader.u8()?,
            data,
        },
    })
}

#[expect(clippy::too_many_lines, reason = "one arm for each type")]
fn decode_other(kind: u8, flags: u8, mut reader: Reader) -> Result<Frame, FrameError> {
    let frame = match kind {
        kind::SEND_NAME | kind::CALL | kind::REPLY => {
            let mut message = decode_message(kind, &mut reader)?;
            *message.data_mut() = reader.rest();
            return Ok(Frame::Message(message));
        }
        kind::FRAG_FIRST => {
            let (msg, total, inner) = (reader.u64()?, reader.u32()?, reader.u8()?);
            let len = reader.u16()?;
            let head = reader.take(len.into())?;
            return Ok(Frame::FragFirst {
                msg,
                total,
                inner,
                head,
                data: reader.rest(),
            });
        }
        kind::FRAG_NEXT => {
            let msg = reader.u64()?;
            let last = flags & flag::LAST != 0;
            return Ok(Frame::FragNext {
                msg,
                data: reader.rest(),
                last,
            });
        }
        kind::SWIM => {
            return Ok(Frame::Swim {
                data: reader.rest(),
            });
        }
        kind::NAMES_DIGEST => {
            return Ok(Frame::NamesDigest {
                data: reader.rest(),
            });
        }
        kind::NAMES_DELTA => {
            return Ok(Frame::NamesDelta {
                data: reader.rest(),
            });
        }
        kind::GROUPS_DELTA => {
            return Ok(Frame::GroupsDelta {
                data: reader.rest(),
            });
        }
        kind::EXTENSION..=kind::EXTENSION_LAST => {
            return Ok(Frame::Extension {
                kind,
                data: reader.rest(),
            });
        }
        // What later versions append to a HELLO is theirs.
        kind::HELLO => return decode_hello(&mut reader).map(Frame::Hello),
        kind::SPAWN => {
            let (req, parent) = (reader.u64()?, reader.maybe_pid("parent")?);
            let (opts, behavior) = (reader.u16()?, reader.name()?);
            return Ok(Frame::Spawn {
                req,
                parent,
                opts,
                behavior,
                init: reader.rest(),
            });
        }
        kind::WATCH_NAME => {
            let req = reader.u64()?;
            let prefix = match reader.left() {
                0 => None,
                len => {
                    let prefix = reader.take(len)?;
                    Some(reader.checked_name(prefix)?)
                }
            };
            Frame::WatchName { req, prefix }
        }
        kind::NAME_EVENT => {
            let (req, event, pid) = (reader.u64()?, reader.u8()?, reader.maybe_pid("pid")?);
            let name = reader.take(reader.left())?;
            Frame::NameEvent {
                req,
                event,
                pid,
                name: reader.checked_name(name)?,
            }
        }
        kind::AUTH..=kind::ACK | kind::CREDIT => decode_session(kind, &mut reader)?,
        kind::UNDELIVERED | kind::CANCEL | kind::FRAG_ABORT => decode_news(kind, &mut reader)?,
        kind::MONITOR..=kind::EXIT => decode_signal(kind, &mut reader)?,
        kind::RESOLVE => Frame::Resolve {
            req: reader.u64()?,
            name: reader.name()?,
        },
        kind::RESOLVED => Frame::Resolved {
            req: reader.u64()?,
            status: reader.u8()?,
            pid: reader.maybe_pid("pid")?,
            incarnation: reader.u64()?,
            lease_ms: reader.u32()?,
        },
        kind::SPAWNED => Frame::Spawned {
            req: reader.u64()?,
            status: reader.u8()?,
            pid: reader.maybe_pid("pid")?,
            text: exit::shortened(reader.text(reader.left())?, exit::MAX_TEXT),
        },
        kind if flags & flag::IGNORABLE != 0 => return Ok(Frame::Unknown { kind }),
        kind => return Err(FrameError::UnknownType { kind }),
    };
    reader.end()?;
    Ok(frame)
}

/// What the two ends of a connection tell each other about it.
fn decode_session(kind: u8, reader: &mut Reader) -> Result<Frame, FrameError> {
    Ok(match kind {
        kind::AUTH => {
            let code = reader.u8()?;
            let (field, value) = ("method", code.into());
            let method =
                AuthMethod::from_code(code).ok_or(FrameError::Field { kind, field, value })?;
            Frame::Auth {
                method,
                mac: reader.array()?,
            }
        }
        kind::READY => Frame::Ready {
            session: reader.array()?,
            rx_seq: reader.u64()?,
        },
        kind::GOAWAY => Frame::GoAway {
            reason: ErrorCode::from_code(reader.u16()?),
            rx_seq: reader.u64()?,
            drain_ms: reader.u32()?,
        },
        kind::ERROR => {
            let code = ErrorCode::from_code(reader.u16()?);
            let len = reader.u16()?;
            let mut message = reader.text(len.into())?;
            message.truncate(message.floor_char_boundary(1024));
            // It is for people, and ends in logs.
            if message.contains(char::is_control) {
                message = message.replace(char::is_control, "?");
            }
            Frame::Error { code, message }
        }
        kind::PING => Frame::Ping(decode_beat(reader)?),
        kind::PONG => Frame::Pong(decode_beat(reader)?),
        kind::ACK => Frame::Ack {
            rx_seq: reader.u64()?,
        },
        _ => {
            let (scope, pid) = (reader.u8()?, reader.maybe_pid("pid")?);
            if scope != u8::from(pid.is_some()) {
                let (field, value) = ("scope", scope.into());
                return Err(FrameError::Field { kind, field, value });
            }
            Frame::Credit {
                pid,
                limit_bytes: reader.u64()?,
                limit_msgs: reader.u64()?,
            }
        }
    })
}

fn decode_beat(reader: &mut Reader) -> Result<Beat, FrameError> {
    Ok(Beat {
        t: reader.u64()?,
        rx_seq: reader.u64()?,
        lane_age_ms: reader.u32()?,
    })
}

/// What becomes of messages.
fn decode_news(kind: u8, reader: &mut Reader) -> Result<Frame, FrameError> {
    Ok(match kind {
        kind::UNDELIVERED => Frame::Undelivered {
            of: reader.u64()?,
            dst: reader.maybe_pid("dst")?,
            reason: Refused::from_code(reader.u8()?),
        },
        kind::CANCEL => Frame::Cancel { req: reader.u64()? },
        _ => {
            let msg = reader.u64()?;
            let by_receiver = match reader.u8()? {
                0 => false,
                1 => true,
                value => {
                    let (field, value) = ("side", value.into());
                    return Err(FrameError::Field { kind, field, value });
                }
            };
            Frame::FragAbort {
                msg,
                by_receiver,
                reason: Refused::from_code(reader.u8()?),
            }
        }
    })
}

/// Links and monitors.
fn decode_signal(kind: u8, reader: &mut Reader) -> Result<Frame, FrameError> {
    Ok(match kind {
        kind::MONITOR => Frame::Monitor {
            monitor: reader.u64()?,
            watcher: reader.pid("watcher")?,
            target: reader.pid("target")?,
        },
        kind::DEMONITOR => Frame::Demonitor {
            monitor: reader.u64()?,
        },
        kind::DOWN => Frame::Down {
            monitor: reader.u64()?,
            target: reader.pid("target")?,
            exit: exit::read(kind, reader)?,
        },
        kind::LINK => Frame::Link {
            from: reader.pid("from")?,
            to: reader.pid("to")?,
        },
        kind::UNLINK => Frame::Unlink {
            id: reader.u64()?,
            from: reader.pid("from")?,
            to: reader.pid("to")?,
        },
        kind::UNLINK_ACK => Frame::UnlinkAck {
            id: reader.u64()?,
            from: reader.pid("from")?,
            to: reader.pid("to")?,
        },
        _ => Frame::Exit {
            from: reader.pid("from")?,
            to: reader.pid("to")?,
            exit: exit::read(kind, reader)?,
        },
    })
}

fn decode_hello(reader: &mut Reader) -> Result<Box<Hello>, FrameError> {
    let (ver_min, ver_max, features) = (reader.u16()?, reader.u16()?, reader.u64()?);
    let (node_id, incarnation) = (NodeId(reader.array()?), reader.u64()?);
    let (max_msg, credit_bytes, credit_msgs) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let (hb_ms, resume_ms, nonce) = (reader.u32()?, reader.u32()?, reader.array()?);
    let len = reader.u8()?;
    let cluster = reader.label(len.into())?;
    let len = reader.u8()?;
    let name = reader.label(len.into())?;
    Ok(Box::new(Hello {
        ver_min,
        ver_max,
        features,
        node_id,
        incarnation,
        max_msg,
        credit_bytes,
        credit_msgs,
        hb_ms,
        resume_ms,
        nonce,
        cluster,
        name,
    }))
}

/// Decodes `bytes` as frames until they end or make no sense, and encodes again what was
/// understood: what `cargo xtask fuzz wire` feeds with random input. Gives the number of frames.
///
/// # Panics
///
/// If a frame does not survive its way through bytes: that is a defect of this crate.
pub fn fuzz_decode(bytes: &[u8]) -> usize {
    let mut input = crate::frame::InputBuffer::new(MAX_BODY);
    input.push(Bytes::copy_from_slice(bytes));
    let (mut frames, mut out) = (0, Vec::new());
    while let Ok(Some(raw)) = input.next() {
        let Ok(decoded) = raw.decode() else { break };
        frames += 1;
        let extra = crate::frame::Extra {
            seq: decoded.seq,
            trace: decoded.trace.as_deref(),
            ack: decoded.ack,
            lane: 0,
        };
        out.clear();
        // An unknown frame has lost its body.
        if matches!(decoded.frame, Frame::Unknown { .. }) {
            continue;
        }
        let Ok(tail) = decoded.frame.encode(extra, &mut out) else {
            continue;
        };
        out.extend_from_slice(&tail.unwrap_or_default());
        let mut again = crate::frame::InputBuffer::new(MAX_BODY);
        again.push(Bytes::copy_from_slice(&out));
        let second = again
            .next()
            .ok()
            .flatten()
            .and_then(|raw| raw.decode().ok());
        assert_eq!(
            second.as_ref(),
            Some(&decoded),
            "a frame changes on its way"
        );
    }
    frames
}
