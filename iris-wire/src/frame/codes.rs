//! Numbers in bodies that stand for words.

use std::fmt;

/// Why a peer has closed, in an ERROR or GOAWAY frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// 0: nothing is wrong, the node goes.
    Leaving,
    /// 1: bytes that are no frame, or a frame at the wrong time.
    Malformed,
    /// 2: a body longer than its limit.
    TooLong,
    /// 3: a type that the receiver does not know and may not pass over.
    UnknownType,
    /// 4: no common version.
    Version,
    /// 5: another cluster.
    Cluster,
    /// 6: not proved to know the key, or another way of proving it.
    Auth,
    /// 7: there is a connection between these two nodes already.
    Duplicate,
    /// 8: a newer life of the same node is known.
    Stale,
    /// 9: more sent than there was credit for.
    Credit,
    /// 10: a frame out of order, or a receive position that cannot be.
    Sequence,
    /// 11: too slow, or silent.
    Timeout,
    /// 12: more waits than may be kept.
    Overflow,
    /// 13: a feature that one side insists on and the other has not.
    Features,
    /// 14: a node that dials itself.
    OwnNode,
    /// Any other number, from a later version.
    Other(u16),
}

impl ErrorCode {
    const ALL: [Self; 15] = [
        Self::Leaving,
        Self::Malformed,
        Self::TooLong,
        Self::UnknownType,
        Self::Version,
        Self::Cluster,
        Self::Auth,
        Self::Duplicate,
        Self::Stale,
        Self::Credit,
        Self::Sequence,
        Self::Timeout,
        Self::Overflow,
        Self::Features,
        Self::OwnNode,
    ];

    /// The number on the wire.
    pub fn code(self) -> u16 {
        match self {
            Self::Other(code) => code,
            known => (0..)
                .zip(Self::ALL)
                .find(|&(_, one)| one == known)
                .map_or(1, |(code, _)| code),
        }
    }

    /// The meaning of a number.
    pub fn from_code(code: u16) -> Self {
        Self::ALL
            .get(usize::from(code))
            .copied()
            .unwrap_or(Self::Other(code))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leaving => "leaving",
            Self::Malformed => "malformed",
            Self::TooLong => "too long",
            Self::UnknownType => "unknown type",
            Self::Version => "version",
            Self::Cluster => "cluster",
            Self::Auth => "auth",
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::Credit => "credit",
            Self::Sequence => "sequence",
            Self::Timeout => "timeout",
            Self::Overflow => "overflow",
            Self::Features => "features",
            Self::OwnNode => "own node",
            Self::Other(code) => return write!(f, "code {code}"),
        })
    }
}

/// Why the receiving node could not deliver a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refused {
    /// 0: no process with that pid or name.
    NoPid,
    /// 1: its mailbox is full.
    Full,
    /// 2: longer than the receiver takes.
    TooBig,
    /// 3: the sender may not reach it.
    Denied,
    /// 4: the deadline has passed, or fragments stayed away.
    Expired,
    /// 5: the sender has given the message up. Only of a message in fragments.
    GivenUp,
    /// Any other number, from a later version.
    Other(u8),
}

impl Refused {
    /// The number on the wire.
    pub fn code(self) -> u8 {
        match self {
            Self::NoPid => 0,
            Self::Full => 1,
            Self::TooBig => 2,
            Self::Denied => 3,
            Self::Expired => 4,
            Self::GivenUp => 5,
            Self::Other(code) => code,
        }
    }

    /// The meaning of a number.
    pub fn from_code(code: u8) -> Self {
        match code {
            0 => Self::NoPid,
            1 => Self::Full,
            2 => Self::TooBig,
            3 => Self::Denied,
            4 => Self::Expired,
            5 => Self::GivenUp,
            code => Self::Other(code),
        }
    }
}

/// How a node has proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthMethod {
    /// 0: the transport has done it, with mutual TLS.
    Tls,
    /// 1: by a message authentication code with a key that both know.
    Psk,
    /// 2: not at all; for loopback, and for whoever asks for it explicitly.
    Open,
}

impl AuthMethod {
    /// The number on the wire.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The meaning of a number; `None` for one that is not known, since nothing can be assumed
    /// of it.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Tls, Self::Psk, Self::Open]
            .get(usize::from(code))
            .copied()
    }
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "mutual TLS",
            Self::Psk => "a shared key",
            Self::Open => "no authentication",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_keeps_its_meaning() {
        for code in 0..=u16::MAX {
            assert_eq!(ErrorCode::from_code(code).code(), code);
        }
        for code in 0..=u8::MAX {
            assert_eq!(Refused::from_code(code).code(), code);
            assert!(AuthMethod::from_code(code).is_none_or(|method| method.code() == code));
        }
        assert_eq!(ErrorCode::OwnNode.code(), 14);
        assert_eq!(ErrorCode::Leaving.code(), 0);
    }
}
