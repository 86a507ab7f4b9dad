//! Where the NATS servers are, and who this client is to them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::{ConnectOptions, ServerAddr};

use super::error::NatsError;

/// How a node reaches NATS.
#[derive(Clone)]
pub struct NatsConfig {
    /// Servers of one NATS cluster, such as `nats://host:4222`, or `tls://host:4222` where TLS is a
    /// must; others of the cluster are learnt from them. User and password, or a token, may stand
    /// before the host (`nats://user:password@host`). Port 4222 unless given.
    pub servers: Vec<String>,
    /// The cluster of nodes; each has its own subjects, below `iris.CLUSTER`. Empty by default.
    pub cluster: String,
    /// Who this client is, if that does not stand in the addresses.
    pub auth: NatsAuth,
    /// What TLS to the servers needs; if it is there, TLS is a must. By default TLS is used where
    /// the server or `tls://` wants it, and servers are checked against the system's authorities.
    pub tls: Option<NatsTls>,
    /// How long the first connection to one server may take; 3 s.
    pub connect_timeout: Duration,
}

impl NatsConfig {
    /// The defaults, with these servers: addresses with commas between them.
    pub fn at(servers: &str) -> Self {
        let servers = servers.split(',').map(str::trim);
        Self {
            servers: servers.map(str::to_owned).collect(),
            cluster: String::new(),
            auth: NatsAuth::None,
            tls: None,
            connect_timeout: Duration::from_secs(3),
        }
    }
}

impl fmt::Debug for NatsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Passwords stay out of logs.
        f.debug_struct("NatsConfig")
            .field("cluster", &self.cluster)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

/// Who a client is to a NATS server.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum NatsAuth {
    /// Nobody in particular.
    #[default]
    None,
    /// A user of the server's configuration.
    Password {
        /// Its name.
        user: String,
        /// Its password.
        password: String,
    },
    /// Whoever knows the token.
    Token(String),
    /// The owner of an nkey, by its seed (`SU...`).
    NkeySeed(String),
    /// The user of a credentials file, with a JWT and the seed of its nkey.
    Credentials(PathBuf),
}

impl fmt::Debug for NatsAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.who())
    }
}

impl NatsAuth {
    /// As what it presents itself.
    pub(super) fn who(&self) -> &'static str {
        match self {
            Self::None => "a client without credentials",
            Self::Password { .. } => "this user and password",
            Self::Token(_) => "this token",
            Self::NkeySeed(_) => "this nkey",
            Self::Credentials(_) => "these credentials",
        }
    }
}

/// Certificates for TLS to a NATS server, in PEM files.
#[derive(Clone, Debug, Default)]
pub struct NatsTls {
    /// The authorities that the server is checked against; those of the system if there is none.
    pub authority: Option<PathBuf>,
    /// This client's own certificate and its key, if the server wants to see one.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// A configuration that has been read.
#[derive(Clone)]
pub(super) struct Parsed {
    pub(super) servers: Vec<ServerAddr>,
    pub(super) auth: NatsAuth,
    tls: Option<NatsTls>,
    connect_timeout: Duration,
}

impl Parsed {
    pub(super) fn of(config: NatsConfig) -> Result<Self, NatsError> {
        let servers = config.servers.iter().map(|text| server(text));
        let servers = servers.collect::<Result<Vec<_>, _>>()?;
        if servers.is_empty() {
            return Err(NatsError::Server {
                server: String::new(),
                why: "there is none".to_owned(),
            });
        }
        let auth = match config.auth {
            NatsAuth::None => servers.iter().find_map(in_address).unwrap_or_default(),
            given => given,
        };
        Ok(Self {
            servers,
            auth,
            tls: config.tls,
            connect_timeout: config.connect_timeout,
        })
    }

    /// The servers, for messages: without users and passwords.
    pub(super) fn shown(&self) -> String {
        let all: Vec<_> = self.servers.iter().map(shown).collect();
        all.join(", ")
    }

    pub(super) fn options(&self) -> Result<ConnectOptions, NatsError> {
        let mut options = ConnectOptions::new()
            .name("iris")
            .connection_timeout(self.connect_timeout);
        options = match self.auth.clone() {
            NatsAuth::None => options,
            NatsAuth::Password { user, password } => options.user_and_password(user, password),
            NatsAuth::Token(token) => options.token(token),
            NatsAuth::NkeySeed(seed) => options.nkey(seed),
            NatsAuth::Credentials(path) => {
                let text = read(&path)?;
                let what = path.display().to_string();
                options
                    .credentials(&text)
                    .map_err(|error| NatsError::Credentials {
                        what,
                        why: error.to_string(),
                    })?
            }
        };
        if let Some(tls) = &self.tls {
            options = options.require_tls(true);
            if let Some(authority) = &tls.authority {
                read(authority)?;
                options = options.add_root_certificates(authority.clone());
            }
            if let Some((certificate, key)) = &tls.certificate {
                read(certificate)?;
                read(key)?;
                options = options.add_client_certificate(certificate.clone(), key.clone());
            }
        }
        Ok(options)
    }
}

/// A file, so that one that is not there is named. They are short.
fn read(path: &Path) -> Result<String, NatsError> {
    fs::read_to_string(path).map_err(|error| NatsError::Credentials {
        what: path.display().to_string(),
        why: error.to_string(),
    })
}

fn server(text: &str) -> Result<ServerAddr, NatsError> {
    let wrong = |why: &str| NatsError::Server {
        server: text
            .rsplit_once('@')
            .map_or(text, |(_, host)| host)
            .to_owned(),
        why: why.to_owned(),
    };
    let address: ServerAddr = text
        .parse()
        .map_err(|error: std::io::Error| wrong(&error.to_string()))?;
    if address.is_websocket() {
        return Err(wrong("websockets are not built in"));
    }
    if address.host().is_empty() {
        return Err(wrong("it names no host"));
    }
    Ok(address)
}

fn shown(server: &ServerAddr) -> String {
    let (scheme, host, port) = (server.scheme(), server.host(), server.port());
    if host.contains(':') {
        format!("{scheme}://[{host}]:{port}")
    } else {
        format!("{scheme}://{host}:{port}")
    }
}

/// Who stands before the host of an address.
fn in_address(server: &ServerAddr) -> Option<NatsAuth> {
    let user = unescaped(server.username()?);
    Some(match server.password() {
        Some(password) => NatsAuth::Password {
            user,
            password: unescaped(password),
        },
        None => NatsAuth::Token(user),
    })
}

/// With `%` and two digits read as the byte that they stand for.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let digits = digits.filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let escaped = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        if let (b'%', Some(byte)) = (first, escaped) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(servers: &str) -> Result<Parsed, NatsError> {
        Parsed::of(NatsConfig::at(servers))
    }

    #[test]
    fn addresses_may_hold_credentials_which_are_not_shown() {
        let Ok(read) = parsed("nats://al%40ice:p%2Fw@one:4223, tls://two") else {
            panic!("both are addresses");
        };
        assert_eq!(read.shown(), "nats://one:4223, tls://two:4222");
        let NatsAuth::Password { user, password } = &read.auth else {
            panic!("{:?}", read.auth);
        };
        assert_eq!((user.as_str(), password.as_str()), ("al@ice", "p/w"));
        assert!(!format!("{:?}", read.auth).contains("p/w"));
        let Ok(read) = parsed("nats://s3cret@[::1]") else {
            panic!("it is an address");
        };
        assert_eq!(read.shown(), "nats://[::1]:4222");
        assert!(matches!(read.auth, NatsAuth::Token(token) if token == "s3cret"));
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_a_password() {
        for wrong in [
            "",
            "http://host",
            "ws://host",
            "nats://u:p4ss@ho st",
            "nats://",
        ] {
            let Err(error) = parsed(wrong) else {
                panic!("{wrong} is no address");
            };
            assert!(!error.to_string().contains("p4ss"), "{error}");
        }
    }
}
