//! What can go wrong with NATS.

use std::io;
use std::time::Duration;

use thiserror::Error;

/// Why there is no connection to a NATS server, or no link through it. Comes as the inner error
/// of an [`io::Error`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NatsError {
    /// Not the address of a server.
    #[error(
        "{server:?} is no address of a NATS server, such as nats://host:4222 or tls://host:4222: {why}"
    )]
    Server {
        /// What was given, without user and password.
        server: String,
        /// What is wrong.
        why: String,
    },
    /// Not the address of a node.
    #[error(
        "{address:?} is no address of a node behind NATS, which is nats: and a name of at most 255 \
         bytes, such as nats:alpha"
    )]
    Address {
        /// What was given.
        address: String,
    },
    /// A file with credentials, a key or certificates is of no use.
    #[error("{what}: {why}")]
    Credentials {
        /// Which.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// No server answers.
    #[error(
        "no NATS server can be reached at {servers}: {why}; is it running, and is that its address?"
    )]
    Unreachable {
        /// Where.
        servers: String,
        /// What the system says.
        why: String,
    },
    /// The server knows nobody with these credentials.
    #[error(
        "the NATS server at {servers} refuses {who}: {why}; mend the user and password, the token, \
         the key or the credentials file"
    )]
    Refused {
        /// Where.
        servers: String,
        /// As whom.
        who: &'static str,
        /// What the server says.
        why: String,
    },
    /// There was a connection; it is tried again all the time.
    #[error("the connection to the NATS server at {servers} is lost, and tried again{hint}")]
    Away {
        /// Where.
        servers: String,
        /// What was heard last, if anything.
        hint: String,
    },
    /// What is published does not come back.
    #[error(
        "the NATS server at {servers} does not deliver what is sent to {subject}: the account must \
         be allowed to publish and to subscribe to {all}{hint}"
    )]
    Permission {
        /// Where.
        servers: String,
        /// What was published to.
        subject: String,
        /// What should be allowed.
        all: String,
        /// What was heard last, if anything.
        hint: String,
    },
    /// The server takes only messages that are too short to be of use.
    #[error(
        "the NATS server at {servers} takes messages of {limit} bytes only; 1024 are needed (max_payload)"
    )]
    MaxPayload {
        /// Where.
        servers: String,
        /// Its limit.
        limit: usize,
    },
    /// Nobody has this name.
    #[error(
        "no node listens at {address} in this cluster, as far as the NATS server at {servers} knows"
    )]
    Nobody {
        /// Who was dialled.
        address: String,
        /// Where.
        servers: String,
    },
    /// Somebody takes what is sent there, and does not answer.
    #[error(
        "{address} does not answer through the NATS server at {servers} within {after:?}{hint}"
    )]
    Silent {
        /// Who was dialled.
        address: String,
        /// Where.
        servers: String,
        /// The limit.
        after: Duration,
        /// What was heard last, if anything.
        hint: String,
    },
    /// Another node has this name.
    #[error("another node listens at {address} already; each needs a name of its own")]
    InUse {
        /// Where.
        address: String,
    },
    /// The other end wants no link.
    #[error("{address} refuses: {why}")]
    Unwanted {
        /// Who was dialled.
        address: String,
        /// What it says.
        why: String,
    },
    /// A link does not hold any more.
    #[error("the link through NATS is broken: {why}")]
    Broken {
        /// Why.
        why: String,
    },
}

impl NatsError {
    fn kind(&self) -> io::ErrorKind {
        use io::ErrorKind as Kind;
        match self {
            Self::Server { .. } | Self::Address { .. } | Self::Credentials { .. } => {
                Kind::InvalidInput
            }
            Self::Unreachable { .. } => Kind::HostUnreachable,
            // Not ConnectionRefused: who is not connected to the server now may come back.
            Self::Nobody { .. } => Kind::NotFound,
            Self::Unwanted { .. } => Kind::ConnectionAborted,
            Self::Refused { .. } | Self::Permission { .. } => Kind::PermissionDenied,
            Self::Away { .. } | Self::Broken { .. } => Kind::ConnectionReset,
            Self::MaxPayload { .. } => Kind::Unsupported,
            Self::Silent { .. } => Kind::TimedOut,
            Self::InUse { .. } => Kind::AddrInUse,
        }
    }
}

impl From<NatsError> for io::Error {
    fn from(error: NatsError) -> Self {
        Self::new(error.kind(), error)
    }
}
