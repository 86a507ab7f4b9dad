//! The eight bytes before every frame.

use crate::limits::HEADER;

/// The type byte of a frame.
pub mod kind {
    #![expect(missing_docs, reason = "each is described at its variant of `Frame`")]

    pub const HELLO: u8 = 0x10;
    pub const AUTH: u8 = 0x11;
    pub const READY: u8 = 0x12;
    pub const GOAWAY: u8 = 0x13;
    pub const ERROR: u8 = 0x14;
    pub const PING: u8 = 0x15;
    pub const PONG: u8 = 0x16;
    pub const ACK: u8 = 0x17;
    pub const SEND: u8 = 0x20;
    pub const SEND_NAME: u8 = 0x21;
    pub const CALL: u8 = 0x22;
    pub const REPLY: u8 = 0x23;
    pub const UNDELIVERED: u8 = 0x24;
    pub const CANCEL: u8 = 0x25;
    pub const FRAG_FIRST: u8 = 0x28;
    pub const FRAG_NEXT: u8 = 0x29;
    pub const FRAG_ABORT: u8 = 0x2A;
    pub const CREDIT: u8 = 0x30;
    pub const MONITOR: u8 = 0x38;
    pub const DEMONITOR: u8 = 0x39;
    pub const DOWN: u8 = 0x3A;
    pub const LINK: u8 = 0x3B;
    pub const UNLINK: u8 = 0x3C;
    pub const UNLINK_ACK: u8 = 0x3D;
    pub const EXIT: u8 = 0x3E;
    pub const RESOLVE: u8 = 0x40;
    pub const RESOLVED: u8 = 0x41;
    pub const WATCH_NAME: u8 = 0x42;
    pub const NAME_EVENT: u8 = 0x43;
    pub const SPAWN: u8 = 0x48;
    pub const SPAWNED: u8 = 0x49;
    pub const SWIM: u8 = 0x50;
    pub const NAMES_DIGEST: u8 = 0x51;
    pub const NAMES_DELTA: u8 = 0x52;
    pub const GROUPS_DELTA: u8 = 0x53;
    /// The first type of user extensions.
    pub const EXTENSION: u8 = 0x60;
    /// The last type of user extensions.
    pub const EXTENSION_LAST: u8 = 0x6F;
}

/// Whether a frame of this type begins with a sequence number, is acknowledged, and is sent
/// again after a reconnect. It is a rule on the number, so that frames of types which a receiver
/// does not know are counted, too.
#[inline]
pub const fn is_sequenced(kind: u8) -> bool {
    kind >= 0x20 && kind != kind::CREDIT && kind != kind::SWIM
}

/// Whether a frame of this type counts against the sender's credit: the ones with user data.
#[inline]
pub const fn is_charged(kind: u8) -> bool {
    matches!(
        kind,
        kind::SEND..=kind::REPLY | kind::FRAG_FIRST | kind::FRAG_NEXT
    )
}

/// The bits of the second byte.
pub mod flag {
    /// The body begins with 25 bytes of trace context.
    pub const TRACE: u8 = 0x01;
    /// The body is compressed. No feature bit offers it yet, so it is an error.
    pub const LZ4: u8 = 0x02;
    /// The sender wants to hear at once how far the peer has come.
    pub const ACK: u8 = 0x04;
    /// The last fragment of a message.
    pub const LAST: u8 = 0x08;
    /// Whoever does not know the type may pass over the frame.
    pub const IGNORABLE: u8 = 0x80;
    /// All bits that have a meaning.
    pub(crate) const KNOWN: u8 = TRACE | LZ4 | ACK | LAST | IGNORABLE;
}

/// `type:1 flags:1 lane:2 len:4`, big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the body means, one of [`kind`].
    pub kind: u8,
    /// Bits of [`flag`].
    pub flags: u8,
    /// Which of the sender's lanes it came through: 0 control, 1 small, 2 bulk. For statistics;
    /// a receiver takes any value.
    pub lane: u16,
    /// Bytes of the body.
    pub len: u32,
}

impl Header {
    /// Reads the first eight bytes of `bytes`; `None` while there are fewer.
    #[inline]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER] = bytes.first_chunk()?;
        Some(Self {
            kind: bytes[0],
            flags: bytes[1],
            lane: u16::from_be_bytes([bytes[2], bytes[3]]),
            len: u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
        })
    }

    /// The eight bytes.
    #[inline]
    pub const fn bytes(self) -> [u8; HEADER] {
        let [l0, l1] = self.lane.to_be_bytes();
        let [n0, n1, n2, n3] = self.len.to_be_bytes();
        [self.kind, self.flags, l0, l1, n0, n1, n2, n3]
    }
}
