//! What the two ends of a link say to each other, one packet in each NATS message.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use iris_wire::NodeId;

use crate::membership::Member;

/// Version of these packets.
pub(super) const VERSION: u8 = 1;

/// Bytes of a DATA packet before its data.
pub(super) const DATA_HEADER: usize = 9;

const MAGIC: &[u8; 4] = b"IRIS";

/// Most bytes of a text.
const MAX_TEXT: usize = 256;

mod kind {
    pub(super) const CONNECT: u8 = 0x01;
    pub(super) const ACCEPT: u8 = 0x02;
    pub(super) const REFUSE: u8 = 0x03;
    pub(super) const DATA: u8 = 0x10;
    pub(super) const CREDIT: u8 = 0x11;
    pub(super) const CLOSE: u8 = 0x12;
    pub(super) const RESET: u8 = 0x13;
    pub(super) const CLAIM: u8 = 0x20;
    pub(super) const TAKEN: u8 = 0x21;
    pub(super) const ALIVE: u8 = 0x30;
    pub(super) const BYE: u8 = 0x31;
}

/// One packet. Bytes of a link are counted as those of its DATA packets, headers included, so that
/// credit bounds the number of messages, too.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// To the subject of a node: a link is wanted; the reply subject is the dialler's end.
    Connect { version: u8, limit: u64 },
    /// To a dialler: here is one; the reply subject is the acceptor's end.
    Accept { version: u8, limit: u64 },
    /// To a dialler: there will be none.
    Refuse { why: String },
    /// Bytes; `offset` of them came before.
    Data { offset: u64, data: Bytes },
    /// So many bytes may be sent in all.
    Credit { limit: u64 },
    /// Nothing follows; there were so many bytes.
    Close { total: u64 },
    /// The link is broken.
    Reset { why: String },
    /// To the subject of a node: I listen here, or (not `held`) want to.
    Claim { id: [u8; 16], held: bool },
    /// To whom `id` stands for: somebody else does.
    Taken { id: [u8; 16] },
    /// To the subject of presence: this member lives, and says so again after `pause`.
    Alive { member: Member, pause: Duration },
    /// To the subject of presence: it leaves.
    Bye { node: NodeId, incarnation: u64 },
}

impl Packet {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(32);
        match self {
            Self::Connect { version, limit } => {
                out.put_u8(kind::CONNECT);
                out.put_slice(MAGIC);
                out.put_u8(*version);
                out.put_u64(*limit);
            }
            Self::Accept { version, limit } => {
                out.put_u8(kind::ACCEPT);
                out.put_u8(*version);
                out.put_u64(*limit);
            }
            Self::Refuse { why } => text(&mut out, kind::REFUSE, why),
            Self::Data { offset, data } => {
                out.put_u8(kind::DATA);
                out.put_u64(*offset);
                out.put_slice(data);
            }
            Self::Credit { limit } => number(&mut out, kind::CREDIT, *limit),
            Self::Close { total } => number(&mut out, kind::CLOSE, *total),
            Self::Reset { why } => text(&mut out, kind::RESET, why),
            Self::Claim { id, held } => {
                out.put_u8(kind::CLAIM);
                out.put_slice(id);
                out.put_u8(u8::from(*held));
            }
            Self::Taken { id } => {
                out.put_u8(kind::TAKEN);
                out.put_slice(id);
            }
            Self::Alive { member, pause } => {
                let address = member.address.as_bytes();
                let len = u8::try_from(address.len()).unwrap_or(u8::MAX);
                out.put_u8(kind::ALIVE);
                out.put_slice(&member.node.0);
                out.put_u64(member.incarnation);
                out.put_u32(u32::try_from(pause.as_millis()).unwrap_or(u32::MAX));
                out.put_u8(len);
                out.put_slice(&address[..usize::from(len)]);
            }
            Self::Bye { node, incarnation } => {
                out.put_u8(kind::BYE);
                out.put_slice(&node.0);
                out.put_u64(*incarnation);
            }
        }
        out.freeze()
    }

    /// `None` if it is not one. What later versions append is passed over.
    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        let kind = bytes.try_get_u8().ok()?;
        Some(match kind {
            kind::CONNECT => {
                let mut magic = [0; 4];
                bytes.try_copy_to_slice(&mut magic).ok()?;
                if &magic != MAGIC {
                    return None;
                }
                Self::Connect {
                    version: bytes.try_get_u8().ok()?,
                    limit: bytes.try_get_u64().ok()?,
                }
            }
            kind::ACCEPT => Self::Accept {
                version: bytes.try_get_u8().ok()?,
                limit: bytes.try_get_u64().ok()?,
            },
            kind::REFUSE => Self::Refuse { why: words(&bytes) },
            kind::DATA => Self::Data {
                offset: bytes.try_get_u64().ok()?,
                data: bytes,
            },
            kind::CREDIT => Self::Credit {
                limit: bytes.try_get_u64().ok()?,
            },
            kind::CLOSE => Self::Close {
                total: bytes.try_get_u64().ok()?,
            },
            kind::RESET => Self::Reset { why: words(&bytes) },
            kind::CLAIM => Self::Claim {
                id: id(&mut bytes)?,
                held: bytes.try_get_u8().ok()? != 0,
            },
            kind::TAKEN => Self::Taken {
                id: id(&mut bytes)?,
            },
            kind::ALIVE => {
                let (node, incarnation) = (NodeId(id(&mut bytes)?), bytes.try_get_u64().ok()?);
                let pause = Duration::from_millis(bytes.try_get_u32().ok()?.into());
                let len = usize::from(bytes.try_get_u8().ok()?);
                let address = std::str::from_utf8(bytes.get(..len)?).ok()?.to_owned();
                let member = Member {
                    node,
                    incarnation,
                    address,
                };
                Self::Alive { member, pause }
            }
            kind::BYE => Self::Bye {
                node: NodeId(id(&mut bytes)?),
                incarnation: bytes.try_get_u64().ok()?,
            },
            _ => return None,
        })
    }
}

/// The header of a DATA packet, to be followed by its data.
pub(super) fn begin_data(out: &mut BytesMut, offset: u64) {
    number(out, kind::DATA, offset);
}

fn number(out: &mut BytesMut, kind: u8, value: u64) {
    out.put_u8(kind);
    out.put_u64(value);
}

fn text(out: &mut BytesMut, kind: u8, text: &str) {
    out.put_u8(kind);
    out.put_slice(&text.as_bytes()[..text.len().min(MAX_TEXT)]);
}

/// A text of somebody else's, fit for logs.
fn words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_TEXT)]);
    text.chars().filter(|char| !char.is_control()).collect()
}

fn id(bytes: &mut Bytes) -> Option<[u8; 16]> {
    let mut id = [0; 16];
    bytes.try_copy_to_slice(&mut id).ok()?;
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(packet: &Packet, bytes: &[u8]) {
        assert_eq!(packet.encode(), bytes, "{packet:?}");
        let read = Packet::decode(Bytes::copy_from_slice(bytes));
        assert_eq!(read.as_ref(), Some(packet));
    }

    #[test]
    fn packets_have_these_bytes() {
        let (version, limit) = (1, 0x0010_0000);
        check(
            &Packet::Connect { version, limit },
            b"\x01IRIS\x01\0\0\0\0\0\x10\0\0",
        );
        check(
            &Packet::Accept { version, limit },
            b"\x02\x01\0\0\0\0\0\x10\0\0",
        );
        let why = || "no".to_owned();
        check(&Packet::Refuse { why: why() }, b"\x03no");
        let data = Bytes::from_static(b"abc");
        check(
            &Packet::Data { offset: 258, data },
            b"\x10\0\0\0\0\0\0\x01\x02abc",
        );
        check(&Packet::Credit { limit: 7 }, b"\x11\0\0\0\0\0\0\0\x07");
        check(&Packet::Close { total: 7 }, b"\x12\0\0\0\0\0\0\0\x07");
        check(&Packet::Reset { why: why() }, b"\x13no");
        let id = *b"0123456789abcdef";
        check(
            &Packet::Claim { id, held: true },
            b"\x200123456789abcdef\x01",
        );
        check(&Packet::Taken { id }, b"\x210123456789abcdef");
        let (node, incarnation) = (NodeId(id), 258);
        let member = Member {
            node,
            incarnation,
            address: "nats:a".to_owned(),
        };
        let pause = Duration::from_secs(1);
        check(
            &Packet::Alive { member, pause },
            b"\x300123456789abcdef\0\0\0\0\0\0\x01\x02\0\0\x03\xe8\x06nats:a",
        );
        check(
            &Packet::Bye { node, incarnation },
            b"\x310123456789abcdef\0\0\0\0\0\0\x01\x02",
        );
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        let whole: [&[u8]; 6] = [
            b"\x01IRIS\x01\0\0\0\0\0\x10\0\0",
            b"\x02\x01\0\0\0\0\0\x10\0\0",
            b"\x12\0\0\0\0\0\0\0\x07",
            b"\x200123456789abcdef\x01",
            b"\x210123456789abcdef",
            b"\x300123456789abcdef\0\0\0\0\0\0\x01\x02\0\0\x03\xe8\x06nats:a",
        ];
        for bytes in whole {
            for cut in 0..bytes.len() {
                let part = Bytes::copy_from_slice(&bytes[..cut]);
                assert_eq!(Packet::decode(part), None, "{bytes:?} {cut}");
            }
        }
        for bytes in [&b"\x01JRIS\x01\0\0\0\0\0\x10\0\0"[..], b"\x04", b"\xff"] {
            assert_eq!(Packet::decode(Bytes::copy_from_slice(bytes)), None);
        }
    }

    #[test]
    fn a_text_from_outside_is_short_and_has_no_control_characters() {
        let long = [b"\x13a\nb\xff".to_vec(), vec![b'x'; 1000]].concat();
        let Some(Packet::Reset { why }) = Packet::decode(long.into()) else {
            panic!("it is a RESET");
        };
        assert!(why.starts_with("ab\u{fffd}xxx") && why.chars().count() < 256);
    }
}
