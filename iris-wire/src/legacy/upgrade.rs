//! How two new nodes find out that both are, without disturbing an old one.
//!
//! The dialler asks for a name that nobody can have, `\0iris.mesh/2;` and an introduction in
//! base64url. An old node answers as for any unknown name, eight zero bytes, and the connection
//! stays of use; a new one answers `FF 'IRIS' version:1 flags:2`, which as a pid would need more
//! lives than a slot can have.

use crate::frame::NodeId;

/// How the name of a probe begins.
pub const PROBE_PREFIX: &[u8] = b"\0iris.mesh/2;";

const ANSWER: [u8; 5] = *b"\xFFIRIS";
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What a dialler says of itself in the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelloLite {
    /// Which node it is.
    pub node_id: NodeId,
    /// Which life of it.
    pub incarnation: u64,
    /// Bits of `handshake::feature`.
    pub features: u64,
}

impl HelloLite {
    /// The name to ask for.
    pub fn probe(&self) -> Vec<u8> {
        let mut raw = [0; 32];
        raw[..16].copy_from_slice(&self.node_id.0);
        raw[16..24].copy_from_slice(&self.incarnation.to_be_bytes());
        raw[24..].copy_from_slice(&self.features.to_be_bytes());
        let mut name = PROBE_PREFIX.to_vec();
        for group in raw.chunks(3) {
            let mut bits = [0; 4];
            bits[1..=group.len()].copy_from_slice(group);
            let bits = u32::from_be_bytes(bits);
            for at in 0..=group.len() {
                name.push(ALPHABET[(bits >> (18 - 6 * at)) as usize & 63]);
            }
        }
        name
    }

    /// Reads the name of a probe. `None` if it is none, or not understood, which is answered
    /// like any unknown name. What later versions append is passed over.
    pub fn from_probe(name: &[u8]) -> Option<Self> {
        let text = name.strip_prefix(PROBE_PREFIX)?;
        let mut raw = Vec::with_capacity(text.len() / 4 * 3 + 3);
        for group in text.chunks(4) {
            let mut bits = 0;
            for (at, byte) in group.iter().enumerate() {
                let digit = ALPHABET.iter().position(|letter| letter == byte)?;
                bits |= u32::try_from(digit).ok()? << (18 - 6 * at);
            }
            raw.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
        }
        let (node_id, rest) = raw.split_first_chunk()?;
        let (incarnation, rest) = rest.split_first_chunk()?;
        Some(Self {
            node_id: NodeId(*node_id),
            incarnation: u64::from_be_bytes(*incarnation),
            features: u64::from_be_bytes(*rest.first_chunk()?),
        })
    }
}

/// What a new acceptor answers to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpgradeAnswer {
    /// The newest version of the protocol that it speaks.
    pub version: u8,
    /// Reserved; 0.
    pub flags: u16,
}

impl UpgradeAnswer {
    /// The eight bytes.
    pub fn bytes(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..5].copy_from_slice(&ANSWER);
        bytes[5] = self.version;
        bytes[6..].copy_from_slice(&self.flags.to_be_bytes());
        bytes
    }

    /// Reads eight bytes; `None` if they are a pid, or none.
    pub fn read(bytes: [u8; 8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&ANSWER)?;
        Some(Self {
            version: rest[0],
            flags: u16::from_be_bytes([rest[1], rest[2]]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_a_name_that_nobody_can_have() {
        let hello = HelloLite {
            node_id: NodeId(*b"0123456789abcdef"),
            incarnation: 0x1122_3344_5566_7788,
            features: u64::MAX,
        };
        let name = hello.probe();
        let text = "\0iris.mesh/2;MDEyMzQ1Njc4OWFiY2RlZhEiM0RVZneI__________8";
        assert_eq!(String::from_utf8(name.clone()).unwrap(), text);
        assert_eq!(HelloLite::from_probe(&name), Some(hello));
        let longer = [&name[..], b"AAAA"].concat();
        assert_eq!(
            HelloLite::from_probe(&longer).map(|lite| lite.node_id),
            Some(hello.node_id)
        );
        assert_eq!(HelloLite::from_probe(&name[..name.len() - 2]), None);
        assert_eq!(HelloLite::from_probe(b"\0iris.mesh/2;A+/="), None);
        assert_eq!(HelloLite::from_probe(b"svc"), None);
        assert!(crate::Name::new(name.into()).is_err());
    }

    #[test]
    fn an_answer_is_no_pid() {
        let answer = UpgradeAnswer {
            version: 2,
            flags: 0,
        };
        assert_eq!(answer.bytes(), *b"\xFFIRIS\x02\0\0");
        assert_eq!(UpgradeAnswer::read(answer.bytes()), Some(answer));
        assert_eq!(UpgradeAnswer::read([0; 8]), None);
        assert_eq!(
            iris_core::Pid::from_raw(u64::from_be_bytes(answer.bytes())),
            None
        );
    }
}
