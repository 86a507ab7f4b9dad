//! Sizes and times that the protocol fixes, and where they come from.

use std::time::Duration;

/// Bytes of the header of a framed packet: `type:1 flags:1 lane:2 len:4`.
pub const HEADER: usize = 8;

/// The most user data in one frame, and the size of a fragment. Fragments of this size beside
/// bounded kernel buffers keep a small message's wait below 10 ms at 1 Gbit/s.
pub const MAX_DATA: usize = 64 * 1024;

/// The most bytes after the header: the data, and 64 for what stands before it.
pub const MAX_BODY: usize = MAX_DATA + 64;

/// The most bytes after the header until the peer has proved who it is.
pub const MAX_HELLO: usize = 4 * 1024;

/// The longest name, in bytes of UTF-8; the original packets have the same ceiling.
pub const MAX_NAME: usize = 1024;

/// The most data in one original packet.
pub const MAX_LEGACY_DATA: usize = 1024 * 1024;

/// The default ceiling of one message that travels in fragments.
pub const DEFAULT_MAX_MESSAGE: u32 = 64 * 1024 * 1024;

/// From the first byte to the end of the handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest pause between two fragments of a message.
pub const FRAGMENT_GAP: Duration = Duration::from_secs(30);

/// How long a peer that speaks only the original packets may be silent: it may hold a
/// connection in reserve, and closing it loses what the peer sends next.
pub const LEGACY_IDLE: Duration = Duration::from_mins(10);

/// How often to ping such a peer: it closes after 5 s without a byte.
pub const LEGACY_PING: Duration = Duration::from_secs(2);

/// For how long a peer that has declined the upgrade is not asked again.
pub const LEGACY_REMEMBERED: Duration = Duration::from_mins(10);
