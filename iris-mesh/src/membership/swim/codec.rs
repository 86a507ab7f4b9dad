//! The bytes of SWIM packets: what a SWIM frame carries.
//!
//! ```text
//! packet   header [count:2 update*count]
//! header   src:swimmer src_incarnation:2 dst:swimmer kind:1 [other:swimmer] [probe:1]
//! update   swimmer incarnation:2 state:1 (0 alive, 1 suspect, 2 down)
//! swimmer  node_id:16 incarnation:8 returns:2 len:1 address
//! ```
//!
//! The count and the order of the parts are foca's.

use bytes::{Buf, BufMut};
use foca::{Codec, Header, Member as Update, Message, State};
use iris_wire::NodeId;
use thiserror::Error;

use super::{Member, Swimmer};

#[derive(Clone, Copy, Debug)]
pub(super) struct SwimCodec;

/// Why a packet could not be written or read.
#[derive(Debug, Error)]
pub(super) enum CodecError {
    #[error("there is no room for it in the packet")]
    Full,
    #[error("the packet ends too early")]
    Short,
    #[error("{0} is no {1}")]
    Unknown(u8, &'static str),
    #[error("an address is not UTF-8")]
    Address,
}

fn put_swimmer(swimmer: &Swimmer, mut buf: impl BufMut) -> Result<(), CodecError> {
    let address = swimmer.member.address.as_bytes();
    let len = u8::try_from(address.len()).map_err(|_| CodecError::Full)?;
    if buf.remaining_mut() < 27 + address.len() {
        return Err(CodecError::Full);
    }
    buf.put_slice(&swimmer.member.node.0);
    buf.put_u64(swimmer.member.incarnation);
    buf.put_u16(swimmer.returns);
    buf.put_u8(len);
    buf.put_slice(address);
    Ok(())
}

fn get_swimmer(mut buf: impl Buf) -> Result<Swimmer, CodecError> {
    need(&buf, 27)?;
    let mut node = [0; 16];
    buf.copy_to_slice(&mut node);
    let incarnation = buf.get_u64();
    let returns = buf.get_u16();
    let len = usize::from(buf.get_u8());
    need(&buf, len)?;
    let mut address = vec![0; len];
    buf.copy_to_slice(&mut address);
    Ok(Swimmer {
        member: Member {
            node: NodeId(node),
            incarnation,
            address: String::from_utf8(address).map_err(|_| CodecError::Address)?,
        },
        returns,
    })
}

fn need(buf: &impl Buf, bytes: usize) -> Result<(), CodecError> {
    if buf.remaining() < bytes {
        return Err(CodecError::Short);
    }
    Ok(())
}

fn room(buf: &impl BufMut, bytes: usize) -> Result<(), CodecError> {
    if buf.remaining_mut() < bytes {
        return Err(CodecError::Full);
    }
    Ok(())
}

mod kind {
    pub(super) const PING: u8 = 0;
    pub(super) const ACK: u8 = 1;
    pub(super) const PING_REQ: u8 = 2;
    pub(super) const INDIRECT_PING: u8 = 3;
    pub(super) const INDIRECT_ACK: u8 = 4;
    pub(super) const FORWARDED_ACK: u8 = 5;
    pub(super) const ANNOUNCE: u8 = 6;
    pub(super) const FEED: u8 = 7;
    pub(super) const GOSSIP: u8 = 8;
    pub(super) const BROADCAST: u8 = 9;
    pub(super) const TURN_UNDEAD: u8 = 10;
}

/// A message in parts: its kind, of whom it speaks, and the number of the probe.
fn parts(message: &Message<Swimmer>) -> (u8, Option<&Swimmer>, Option<u8>) {
    match message {
        Message::Ping(probe) => (kind::PING, None, Some(*probe)),
        Message::Ack(probe) => (kind::ACK, None, Some(*probe)),
        Message::PingReq {
            target,
            probe_number,
        } => (kind::PING_REQ, Some(target), Some(*probe_number)),
        Message::IndirectPing {
            origin,
            probe_number,
        } => (kind::INDIRECT_PING, Some(origin), Some(*probe_number)),
        Message::IndirectAck {
            target,
            probe_number,
        } => (kind::INDIRECT_ACK, Some(target), Some(*probe_number)),
        Message::ForwardedAck {
            origin,
            probe_number,
        } => (kind::FORWARDED_ACK, Some(origin), Some(*probe_number)),
        Message::Announce => (kind::ANNOUNCE, None, None),
        Message::Feed => (kind::FEED, None, None),
        Message::Gossip => (kind::GOSSIP, None, None),
        Message::Broadcast => (kind::BROADCAST, None, None),
        Message::TurnUndead => (kind::TURN_UNDEAD, None, None),
    }
}

fn get_message(mut buf: impl Buf) -> Result<Message<Swimmer>, CodecError> {
    need(&buf, 1)?;
    let kind = buf.get_u8();
    let probe = |buf: &mut dyn Buf| {
        need(&buf, 1)?;
        Ok(buf.get_u8())
    };
    Ok(match kind {
        kind::PING => Message::Ping(probe(&mut buf)?),
        kind::ACK => Message::Ack(probe(&mut buf)?),
        kind::PING_REQ | kind::INDIRECT_PING | kind::INDIRECT_ACK | kind::FORWARDED_ACK => {
            let other = get_swimmer(&mut buf)?;
            let probe_number = probe(&mut buf)?;
            match kind {
                kind::PING_REQ => Message::PingReq {
                    target: other,
                    probe_number,
                },
                kind::INDIRECT_PING => Message::IndirectPing {
                    origin: other,
                    probe_number,
                },
                kind::INDIRECT_ACK => Message::IndirectAck {
                    target: other,
                    probe_number,
                },
                _ => Message::ForwardedAck {
                    origin: other,
                    probe_number,
                },
            }
        }
        kind::ANNOUNCE => Message::Announce,
        kind::FEED => Message::Feed,
        kind::GOSSIP => Message::Gossip,
        kind::BROADCAST => Message::Broadcast,
        kind::TURN_UNDEAD => Message::TurnUndead,
        other => return Err(CodecError::Unknown(other, "kind of packet")),
    })
}

impl Codec<Swimmer> for SwimCodec {
    type Error = CodecError;

    fn encode_header(
        &mut self,
        header: &Header<Swimmer>,
        mut buf: impl BufMut,
    ) -> Result<(), CodecError> {
        let (kind, other, probe) = parts(&header.message);
        put_swimmer(&header.src, &mut buf)?;
        room(&buf, 2)?;
        buf.put_u16(header.src_incarnation);
        put_swimmer(&header.dst, &mut buf)?;
        room(&buf, 1)?;
        buf.put_u8(kind);
        if let Some(other) = other {
            put_swimmer(other, &mut buf)?;
        }
        if let Some(probe) = probe {
            room(&buf, 1)?;
            buf.put_u8(probe);
        }
        Ok(())
    }

    fn decode_header(&mut self, mut buf: impl Buf) -> Result<Header<Swimmer>, CodecError> {
        let src = get_swimmer(&mut buf)?;
        need(&buf, 2)?;
        let src_incarnation = buf.get_u16();
        Ok(Header {
            src,
            src_incarnation,
            dst: get_swimmer(&mut buf)?,
            message: get_message(&mut buf)?,
        })
    }

    fn encode_member(
        &mut self,
        update: &Update<Swimmer>,
        mut buf: impl BufMut,
    ) -> Result<(), CodecError> {
        // Nothing is written unless all of it fits.
        room(&buf, 27 + update.id().member.address.len() + 3)?;
        put_swimmer(update.id(), &mut buf)?;
        buf.put_u16(update.incarnation());
        buf.put_u8(match update.state() {
            State::Alive => 0,
            State::Suspect => 1,
            State::Down => 2,
        });
        Ok(())
    }

    fn decode_member(&mut self, mut buf: impl Buf) -> Result<Update<Swimmer>, CodecError> {
        let swimmer = get_swimmer(&mut buf)?;
        need(&buf, 3)?;
        let incarnation = buf.get_u16();
        let state = match buf.get_u8() {
            0 => State::Alive,
            1 => State::Suspect,
            2 => State::Down,
            other => return Err(CodecError::Unknown(other, "state of a member")),
        };
        Ok(Update::new(swimmer, incarnation, state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swimmer(node: u8, address: &str) -> Swimmer {
        Swimmer {
            member: Member {
                node: NodeId([node; 16]),
                incarnation: u64::from(node) << 40,
                address: address.to_owned(),
            },
            returns: 300,
        }
    }

    fn headers() -> Vec<Header<Swimmer>> {
        let other = swimmer(3, "c.example:9");
        let probe_number = 7;
        let messages = [
            Message::Ping(1),
            Message::Ack(255),
            Message::PingReq {
                target: other.clone(),
                probe_number,
            },
            Message::IndirectPing {
                origin: other.clone(),
                probe_number,
            },
            Message::IndirectAck {
                target: other.clone(),
                probe_number,
            },
            Message::ForwardedAck {
                origin: other,
                probe_number,
            },
            Message::Announce,
            Message::Feed,
            Message::Gossip,
            Message::Broadcast,
            Message::TurnUndead,
        ];
        let header = |message| Header {
            src: swimmer(1, "127.0.0.1:9000"),
            src_incarnation: 5,
            dst: swimmer(2, ""),
            message,
        };
        messages.into_iter().map(header).collect()
    }

    #[test]
    fn packets_come_out_as_they_went_in_and_no_cut_one_does() {
        for header in headers() {
            let mut bytes = Vec::new();
            SwimCodec.encode_header(&header, &mut bytes).unwrap();
            assert_eq!(SwimCodec.decode_header(&bytes[..]).unwrap(), header);
            for end in 0..bytes.len() {
                SwimCodec.decode_header(&bytes[..end]).unwrap_err();
                let room = BufMut::limit(Vec::new(), end);
                SwimCodec.encode_header(&header, room).unwrap_err();
            }
        }
        for state in [State::Alive, State::Suspect, State::Down] {
            let update = Update::new(swimmer(9, &"x".repeat(255)), 9, state);
            let mut bytes = Vec::new();
            SwimCodec.encode_member(&update, &mut bytes).unwrap();
            assert_eq!(SwimCodec.decode_member(&bytes[..]).unwrap(), update);
            for end in 0..bytes.len() {
                SwimCodec.decode_member(&bytes[..end]).unwrap_err();
                let mut dirty = Vec::new();
                let room = BufMut::limit(&mut dirty, end);
                SwimCodec.encode_member(&update, room).unwrap_err();
                assert!(dirty.is_empty());
            }
        }
    }

    #[test]
    fn the_bytes_are_these() {
        let update = Update::new(swimmer(1, "a:1"), 2, State::Suspect);
        let mut bytes = Vec::new();
        SwimCodec.encode_member(&update, &mut bytes).unwrap();
        let mut expected = vec![1; 16];
        expected.extend_from_slice(&[0, 0, 1, 0, 0, 0, 0, 0, 1, 44, 3]);
        expected.extend_from_slice(b"a:1");
        expected.extend_from_slice(&[0, 2, 1]);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn unknown_kinds_and_states_are_refused() {
        let mut bytes = Vec::new();
        SwimCodec.encode_header(&headers()[6], &mut bytes).unwrap();
        *bytes.last_mut().unwrap() = 11;
        let refused = SwimCodec.decode_header(&bytes[..]).unwrap_err();
        assert_eq!(refused.to_string(), "11 is no kind of packet");
    }
}
