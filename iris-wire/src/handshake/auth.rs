//! How a node proves who it is; the cryptography is the caller's.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use crate::frame::AuthMethod;
use crate::handshake::Role;

/// A message authentication code with a key: HMAC-SHA256, over whatever library the caller has.
///
/// Called once or twice for each connection, on the thread that drives the handshake; must not
/// block.
pub trait Mac: Send + Sync {
    /// The code of `message` with the key.
    fn sign(&self, message: &[u8]) -> [u8; 32];

    /// Whether `code` is that of `message`. The comparison takes the same time wherever the two
    /// differ; a library's own is welcome in its place.
    fn verify(&self, message: &[u8], code: &[u8; 32]) -> bool {
        let expected = self.sign(message);
        let difference = expected
            .iter()
            .zip(code)
            .fold(0, |all, (a, b)| black_box(all | (a ^ b)));
        difference == 0
    }
}

/// How both sides of a connection prove who they are. Both must be configured alike.
#[derive(Clone)]
pub enum Auth {
    /// The transport has done it.
    Tls,
    /// Both know a key.
    Psk {
        /// The key.
        key: Arc<dyn Mac>,
        /// What binds the proof to the channel below: the TLS exporter if there is one, or
        /// nothing. Equal at both ends of an honest connection.
        binding: Vec<u8>,
    },
    /// Not at all: loopback, or on explicit demand.
    Open,
}

impl Auth {
    /// The method as the wire has it.
    pub fn method(&self) -> AuthMethod {
        match self {
            Self::Tls => AuthMethod::Tls,
            Self::Psk { .. } => AuthMethod::Psk,
            Self::Open => AuthMethod::Open,
        }
    }

    /// The code that proves `role`, given the bodies of both HELLOs.
    pub(super) fn sign(&self, role: Role, dialler: &[u8], acceptor: &[u8]) -> [u8; 32] {
        match self {
            Self::Psk { key, binding } => key.sign(&transcript(role, dialler, acceptor, binding)),
            _ => [0; 32],
        }
    }

    pub(super) fn verify(
        &self,
        role: Role,
        dialler: &[u8],
        acceptor: &[u8],
        code: &[u8; 32],
    ) -> bool {
        match self {
            Self::Psk { key, binding } => {
                key.verify(&transcript(role, dialler, acceptor, binding), code)
            }
            _ => true,
        }
    }
}

/// What is signed: a label, the role of who signs, and everything that was said, each with its
/// length, so that no two conversations give the same bytes.
fn transcript(role: Role, dialler: &[u8], acceptor: &[u8], binding: &[u8]) -> Vec<u8> {
    let mut out = b"iris.mesh/2 auth\0".to_vec();
    out.push(match role {
        Role::Dialler => 0,
        Role::Acceptor => 1,
    });
    for part in [dialler, acceptor, binding] {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key stays out of logs.
        f.debug_tuple("Auth").field(&self.method()).finish()
    }
}
