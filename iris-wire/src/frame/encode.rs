//! Frames to bytes.

use bytes::Bytes;
use iris_core::Pid;

use crate::frame::error::FrameError;
use crate::frame::header::{self, Header, flag, kind};
use crate::frame::{Beat, Frame, Hello, Message, exit};
use crate::limits::{HEADER, MAX_BODY, MAX_HELLO};

/// Data of this length and more is not copied behind its header but handed on as it is.
pub(crate) const SHARE_FROM: usize = 4 * 1024;

/// What goes with a frame and is not part of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra<'a> {
    /// The sequence number; it only counts for types that have one.
    pub seq: u64,
    /// The trace context, if there is one.
    pub trace: Option<&'a [u8; 25]>,
    /// Ask the peer to say at once how far it has come.
    pub ack: bool,
    /// The lane, for the header.
    pub lane: u16,
}

impl Frame {
    /// Appends the frame to `out`. Data of 4 KiB and more is not copied: it is given back, and
    /// belongs directly behind what `out` ends with. No allocation but `out`'s own.
    ///
    /// # Errors
    ///
    /// [`FrameError::TooLong`] if the body would be longer than its type allows, or cluster or
    /// name of a HELLO than 255 bytes; `out` is as before.
    pub fn encode(&self, extra: Extra<'_>, out: &mut Vec<u8>) -> Result<Option<Bytes>, FrameError> {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER]);
        let kind = self.kind();
        let mut flags = 0;
        if let Some(trace) = extra.trace {
            flags |= flag::TRACE;
            out.extend_from_slice(trace);
        }
        if header::is_sequenced(kind) {
            out.extend_from_slice(&extra.seq.to_be_bytes());
        }
        if extra.ack {
            flags |= flag::ACK;
        }
        if let Self::FragNext { last: true, .. } = self {
            flags |= flag::LAST;
        }
        if let Self::Extension { .. } | Self::Unknown { .. } = self {
            flags |= flag::IGNORABLE;
        }
        let data = self.put_fields(out);
        let len = out.len() - start - HEADER + data.len();
        let limit = if kind == kind::HELLO {
            MAX_HELLO
        } else {
            MAX_BODY
        };
        if len > limit || self.has_long_text() {
            out.truncate(start);
            return Err(FrameError::TooLong { kind, len, limit });
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most `MAX_BODY`")]
        let header = Header {
            kind,
            flags,
            lane: extra.lane,
            len: len as u32,
        };
        out[start..start + HEADER].copy_from_slice(&header.bytes());
        if data.len() >= SHARE_FROM {
            return Ok(Some(data.clone()));
        }
        out.extend_from_slice(data);
        Ok(None)
    }

    fn has_long_text(&self) -> bool {
        match self {
            Self::Hello(hello) => hello.cluster.len() > 255 || hello.name.len() > 255,
            _ => false,
        }
    }

    /// Writes the fields, and gives the data that belongs behind them.
    fn put_fields<'a>(&'a self, out: &mut Vec<u8>) -> &'a Bytes {
        static NONE: Bytes = Bytes::new();
        match self {
            Self::Message(message) => {
                message.put_fields(out);
                return message.data();
            }
            Self::FragFirst {
                msg,
                total,
                inner,
                head,
                data,
            } => {
                out.extend_from_slice(&msg.to_be_bytes());
                out.extend_from_slice(&total.to_be_bytes());
                out.push(*inner);
                put_len16(head.len(), out);
                out.extend_from_slice(head);
                return data;
            }
            Self::FragNext { msg, data, .. } => {
                out.extend_from_slice(&msg.to_be_bytes());
                return data;
            }
            Self::Swim { data }
            | Self::NamesDigest { data }
            | Self::NamesDelta { data }
            | Self::GroupsDelta { data }
            | Self::Extension { data, .. } => return data,
            Self::Spawn {
                req,
                parent,
                opts,
                behavior,
                init,
            } => {
                out.extend_from_slice(&req.to_be_bytes());
                put_pid(*parent, out);
                out.extend_from_slice(&opts.to_be_bytes());
                put_len16(behavior.as_bytes().len(), out);
                out.extend_from_slice(behavior.as_bytes());
                return init;
            }
            Self::Hello(hello) => hello.put(out),
            Self::Auth { method, mac } => {
                out.push(method.code());
                out.extend_from_slice(mac);
            }
            Self::Ready { session, rx_seq } => {
                out.extend_from_slice(session);
                out.extend_from_slice(&rx_seq.to_be_bytes());
            }
            Self::GoAway {
                reason,
                rx_seq,
                drain_ms,
            } => {
                out.extend_from_slice(&reason.code().to_be_bytes());
                out.extend_from_slice(&rx_seq.to_be_bytes());
                out.extend_from_slice(&drain_ms.to_be_bytes());
            }
            Self::Error { code, message } => {
                out.extend_from_slice(&code.code().to_be_bytes());
                let message = &message[..message.floor_char_boundary(1024)];
                put_len16(message.len(), out);
                out.extend_from_slice(message.as_bytes());
            }
            Self::Ping(beat) | Self::Pong(beat) => beat.put(out),
            Self::Ack { rx_seq } => out.extend_from_slice(&rx_seq.to_be_bytes()),
            Self::Credit {
                pid,
                limit_bytes,
                limit_msgs,
            } => {
                out.push(u8::from(pid.is_some()));
                put_pid(*pid, out);
                out.extend_from_slice(&limit_bytes.to_be_bytes());
                out.extend_from_slice(&limit_msgs.to_be_bytes());
            }
            Self::Unknown { .. } => {}
            _ => self.put_signal_fields(out),
        }
        &NONE
    }

    /// The fields of what processes are told of each other.
    fn put_signal_fields(&self, out: &mut Vec<u8>) {
        match self {
            Self::Undelivered { of, dst, reason } => {
                out.extend_from_slice(&of.to_be_bytes());
                put_pid(*dst, out);
                out.push(reason.code());
            }
            Self::Cancel { req: number } | Self::Demonitor { monitor: number } => {
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::FragAbort {
                msg,
                by_receiver,
                reason,
            } => {
                out.extend_from_slice(&msg.to_be_bytes());
                out.push(u8::from(*by_receiver));
                out.push(reason.code());
            }
            Self::Monitor {
                monitor,
                watcher: from,
                target: to,
            }
            | Self::Unlink {
                id: monitor,
                from,
                to,
            }
            | Self::UnlinkAck {
                id: monitor,
                from,
                to,
            } => {
                out.extend_from_slice(&monitor.to_be_bytes());
                put_pid(Some(*from), out);
                put_pid(Some(*to), out);
            }
            Self::Down {
                monitor,
                target,
                exit,
            } => {
                out.extend_from_slice(&monitor.to_be_bytes());
                put_pid(Some(*target), out);
                exit::put(exit, out);
            }
            Self::Link { from, to } => {
                put_pid(Some(*from), out);
                put_pid(Some(*to), out);
            }
            Self::Exit { from, to, exit } => {
                put_pid(Some(*from), out);
                put_pid(Some(*to), out);
                exit::put(exit, out);
            }
            _ => self.put_request_fields(out),
        }
    }

    /// The fields of what is asked about names and behaviors, and of the answers.
    fn put_request_fields(&self, out: &mut Vec<u8>) {
        match self {
            Self::Resolve { req, name } => {
                out.extend_from_slice(&req.to_be_bytes());
                put_len16(name.as_bytes().len(), out);
                out.extend_from_slice(name.as_bytes());
            }
            Self::Resolved {
                req,
                status,
                pid,
                incarnation,
                lease_ms,
            } => {
                out.extend_from_slice(&req.to_be_bytes());
                out.push(*status);
                put_pid(*pid, out);
                out.extend_from_slice(&incarnation.to_be_bytes());
                out.extend_from_slice(&lease_ms.to_be_bytes());
            }
            Self::WatchName { req, prefix } => {
                out.extend_from_slice(&req.to_be_bytes());
                out.extend_from_slice(prefix.as_ref().map_or(&[], |name| name.as_bytes()));
            }
            Self::NameEvent {
                req,
                event,
                pid,
                name,
            } => {
                out.extend_from_slice(&req.to_be_bytes());
                out.push(*event);
                put_pid(*pid, out);
                out.extend_from_slice(name.as_bytes());
            }
            Self::Spawned {
                req,
                status,
                pid,
                text,
            } => {
                out.extend_from_slice(&req.to_be_bytes());
                out.push(*status);
                put_pid(*pid, out);
                out.extend_from_slice(exit::cut(text, exit::MAX_TEXT).as_bytes());
            }
            _ => {}
        }
    }
}

impl Message {
    /// The fields between the sequence number and the data.
    pub(crate) fn put_fields(&self, out: &mut Vec<u8>) {
        match self {
            Self::Send { dst, src, .. } => {
                put_pid(Some(*dst), out);
                put_pid(*src, out);
            }
            Self::SendName { name, src, .. } => {
                put_pid(*src, out);
                put_len16(name.as_bytes().len(), out);
                out.extend_from_slice(name.as_bytes());
            }
            Self::Call {
                req,
                dst,
                src,
                deadline_ms,
                ..
            } => {
                out.extend_from_slice(&req.to_be_bytes());
                put_pid(Some(*dst), out);
                put_pid(*src, out);
                out.extend_from_slice(&deadline_ms.to_be_bytes());
            }
            Self::Reply { req, status, .. } => {
                out.extend_from_slice(&req.to_be_bytes());
                out.push(*status);
            }
        }
    }
}

/// A SEND of a few bytes, which is most of the traffic: one copy of the head, one of the data.
#[inline]
pub(crate) fn put_small_send(seq: u64, dst: Pid, src: Option<Pid>, data: &[u8], out: &mut Vec<u8>) {
    const HEAD: usize = HEADER + 24;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "callers have compared it with a limit"
    )]
    let len = (24 + data.len()) as u32;
    let mut head = [0; HEAD];
    head[..HEADER].copy_from_slice(
        &Header {
            kind: kind::SEND,
            flags: 0,
            lane: 1,
            len,
        }
        .bytes(),
    );
    head[8..16].copy_from_slice(&seq.to_be_bytes());
    head[16..24].copy_from_slice(&dst.raw().to_be_bytes());
    head[24..32].copy_from_slice(&src.map_or(0, Pid::raw).to_be_bytes());
    out.reserve(HEAD + data.len());
    out.extend_from_slice(&head);
    out.extend_from_slice(data);
}

impl Hello {
    /// The body of a HELLO: what is signed, too. Texts above 255 bytes are cut; `encode` refuses
    /// them.
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.ver_min.to_be_bytes());
        out.extend_from_slice(&self.ver_max.to_be_bytes());
        out.extend_from_slice(&self.features.to_be_bytes());
        out.extend_from_slice(&self.node_id.0);
        out.extend_from_slice(&self.incarnation.to_be_bytes());
        for number in [
            self.max_msg,
            self.credit_bytes,
            self.credit_msgs,
            self.hb_ms,
            self.resume_ms,
        ] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.nonce);
        for text in [&self.cluster, &self.name] {
            let text = &text[..text.floor_char_boundary(255)];
            #[expect(clippy::cast_possible_truncation, reason = "at most 255")]
            out.push(text.len() as u8);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

impl Beat {
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.t.to_be_bytes());
        out.extend_from_slice(&self.rx_seq.to_be_bytes());
        out.extend_from_slice(&self.lane_age_ms.to_be_bytes());
    }
}

fn put_pid(pid: Option<Pid>, out: &mut Vec<u8>) {
    out.extend_from_slice(&pid.map_or(0, Pid::raw).to_be_bytes());
}

/// Lengths of names and heads, which are at most 1,034.
fn put_len16(len: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
}
