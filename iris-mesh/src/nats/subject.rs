//! The subjects of a cluster.
//!
//! ```text
//! iris.CLUSTER.node.NAME    whoever listens under that name
//! iris.CLUSTER.link.RANDOM  one end of one link
//! iris.CLUSTER.inbox.RANDOM answers to this client
//! iris.CLUSTER.presence     members that announce themselves
//! ```
//!
//! So one permission, publish and subscribe on `iris.CLUSTER.>`, is what an account needs.

use std::fmt::Write as _;
use std::io;

use async_nats::Subject;
use ring::rand::{SecureRandom, SystemRandom};

use super::error::NatsError;

/// What addresses of nodes begin with.
const SCHEME: &str = "nats:";

/// Bytes of the longest name: three for each in the subject, whose line a server bounds at 4 KiB.
const MAX_NAME: usize = 255;

/// The subjects of one cluster.
#[derive(Clone, Debug)]
pub(super) struct Subjects {
    prefix: String,
    random: SystemRandom,
}

impl Subjects {
    pub(super) fn of(cluster: &str) -> Self {
        Self {
            prefix: format!("iris.{}", token(cluster)),
            random: SystemRandom::new(),
        }
    }

    /// All of them, as a permission names them.
    pub(super) fn all(&self) -> String {
        format!("{}.>", self.prefix)
    }

    pub(super) fn inbox(&self) -> String {
        format!("{}.inbox", self.prefix)
    }

    /// Where a node listens.
    pub(super) fn node(&self, name: &str) -> Subject {
        Subject::from(format!("{}.node.{}", self.prefix, token(name)))
    }

    /// Where members announce themselves.
    pub(super) fn presence(&self) -> Subject {
        Subject::from(format!("{}.presence", self.prefix))
    }

    /// One that nobody knows yet, nor can guess.
    pub(super) fn link(&self) -> io::Result<Subject> {
        let id = hex(&self.id()?);
        Ok(Subject::from(format!("{}.link.{id}", self.prefix)))
    }

    /// A number that nobody else has.
    pub(super) fn id(&self) -> io::Result<[u8; 16]> {
        let mut id = [0; 16];
        let filled = self.random.fill(&mut id);
        filled.map_err(|_| io::Error::other("the system gives no random numbers"))?;
        Ok(id)
    }
}

/// The name in an address of a node; `nats:` alone is an empty one.
pub(super) fn name_in(address: &str) -> Result<&str, NatsError> {
    let name = address.strip_prefix(SCHEME);
    let fits = |name: &&str| name.len() <= MAX_NAME && !name.starts_with("//");
    name.filter(fits).ok_or_else(|| NatsError::Address {
        address: address.to_owned(),
    })
}

/// The address of a node.
pub(super) fn address_of(name: &str) -> String {
    format!("{SCHEME}{name}")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Any text as one token of a subject: letters, digits and `-` as they are, other bytes as `_` and two
/// digits; nothing at all is `_`. No two texts have one token.
fn token(text: &str) -> String {
    if text.is_empty() {
        return "_".to_owned();
    }
    let mut token = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            token.push(char::from(byte));
        } else {
            let _ = write!(token, "_{byte:02x}");
        }
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_is_one_token_and_no_two_are_the_same() {
        let names = [
            "", "_", "__", "a", "A", "a.b", "a_2eb", "a b", "*", ">", "a*", "é", "\r\n", "$SYS",
            "_5f",
        ];
        let tokens: std::collections::HashSet<_> = names.iter().map(|name| token(name)).collect();
        assert_eq!(tokens.len(), names.len());
        for token in &tokens {
            let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            assert!(!token.is_empty() && token.bytes().all(safe), "{token}");
        }
        assert_eq!(token("a.b c"), "a_2eb_20c");
    }

    #[test]
    fn an_address_is_the_scheme_and_a_name() {
        assert_eq!(name_in("nats:alpha").unwrap_or("?"), "alpha");
        assert_eq!(name_in("nats:").unwrap_or("?"), "");
        let long = address_of(&"x".repeat(256));
        for other in ["alpha", "127.0.0.1:9000", "nats://host:4222", long.as_str()] {
            assert!(name_in(other).is_err(), "{other}");
        }
    }
}
