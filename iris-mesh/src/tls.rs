//! Links over TCP with mutual TLS 1.3: both ends prove who they are with certificates of one
//! authority, and nobody between them can read or change anything.
//!
//! A node's certificate has to name the hosts at which it is dialled (subject alternative names), as
//! for any TLS server; the same certificate is shown when the node dials. A URI `iris://cluster/node`
//! among these names says which node it is, see [`Identity`](crate::Identity); a certificate that has
//! one is good for that [cluster](crate::NodeConfig::cluster) only.

use std::fmt::{self, Write as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use async_trait::async_trait;
use ring::digest;
use thiserror::Error;
use tokio::io::split;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, CommonState, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use webpki::EndEntityCert;

use crate::acl;
use crate::tcp::{self, Reading, Writing};
use crate::transport::{Incoming, Link, Listener, Sink, Source, Transport};

/// What both ends must want to speak.
const ALPN: &[u8] = b"iris/2";

/// What the proof of a secret is bound to the connection with.
const EXPORTER: &[u8] = b"EXPORTER-iris-mesh/2";

/// Why certificates cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// Which.
        path: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// A text is not what it should be.
    #[error("{what}: {why}")]
    Pem {
        /// Which: the authority, the certificate or the key.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// To be read again, and they were given as texts.
    #[error("the certificates were not read from files, so there is nothing to read again")]
    NoFiles,
    /// They do not fit.
    #[error("the certificates cannot be used: {0}")]
    Unfit(#[from] tokio_rustls::rustls::Error),
}

/// TCP with mutual TLS 1.3.
pub struct Tls {
    ends: Arc<RwLock<Ends>>,
    /// Where the certificates were read: authority, certificate, key.
    files: Mutex<Option<[PathBuf; 3]>>,
}

#[derive(Clone)]
struct Ends {
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

impl Tls {
    /// From PEM texts: certificates of the authorities that peers are checked against, the node's own
    /// certificate (with those between it and the authority), and its key.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn from_pem(authority: &[u8], certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Ok(Self {
            ends: Arc::new(RwLock::new(ends(authority, certificate, key)?)),
            files: Mutex::new(None),
        })
    }

    /// As [`from_pem`](Self::from_pem), from files.
    ///
    /// # Errors
    ///
    /// As there, and files that cannot be read.
    pub fn from_files(
        authority: impl AsRef<Path>,
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        let files = [authority.as_ref(), certificate.as_ref(), key.as_ref()];
        let [authority, certificate, key] = read_all(files)?;
        let tls = Self::from_pem(&authority, &certificate, &key)?;
        *tls.files() = Some(files.map(Path::to_owned));
        Ok(tls)
    }

    fn files(&self) -> MutexGuard<'_, Option<[PathBuf; 3]>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the files again, which have been renewed. As [`replace`](Self::replace).
    ///
    /// # Errors
    ///
    /// [`TlsError::NoFiles`], and as [`from_files`](Self::from_files); nothing has changed then.
    pub fn reload(&self) -> Result<(), TlsError> {
        let files = self.files().clone().ok_or(TlsError::NoFiles)?;
        let [authority, certificate, key] = &files;
        self.replace_from_files(authority, certificate, key)
    }

    /// As [`replace`](Self::replace), from files, which [`reload`](Self::reload) reads from then on.
    ///
    /// # Errors
    ///
    /// As [`from_files`](Self::from_files); nothing has changed then.
    pub fn replace_from_files(
        &self,
        authority: impl AsRef<Path>,
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<(), TlsError> {
        let files = [authority.as_ref(), certificate.as_ref(), key.as_ref()];
        let [authority, certificate, key] = read_all(files)?;
        self.replace(&authority, &certificate, &key)?;
        *self.files() = Some(files.map(Path::to_owned));
        Ok(())
    }

    /// Goes on with other certificates: for connections that are made from now on, those of lost
    /// links that are dialled again included. Connections that there are stay. To change the
    /// authority, first have all nodes trust both, then issue the new certificates, then take the old
    /// authority out.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem); nothing has changed then.
    pub fn replace(
        &self,
        authority: &[u8],
        certificate: &[u8],
        key: &[u8],
    ) -> Result<(), TlsError> {
        let new = ends(authority, certificate, key)?;
        *self.ends.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    fn ends(&self) -> Ends {
        self.ends
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn read_all(files: [&Path; 3]) -> Result<[Vec<u8>; 3], TlsError> {
    let [authority, certificate, key] = files;
    Ok([read(authority)?, read(certificate)?, read(key)?])
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|cause| TlsError::Read {
        path: path.display().to_string(),
        cause,
    })
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |why: String| TlsError::Pem { what, why };
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| wrong(error.to_string()))?;
    if all.is_empty() {
        return Err(wrong("no certificate in it (PEM is expected)".to_owned()));
    }
    Ok(all)
}

fn ends(authority: &[u8], certificate: &[u8], key: &[u8]) -> Result<Ends, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in certificates("the authority", authority)? {
        roots.add(root)?;
    }
    let roots = Arc::new(roots);
    let chain = certificates("the certificate", certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Pem {
        what: "the key",
        why: error.to_string(),
    })?;
    let provider = Arc::new(default_provider());
    let mut client = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots.clone())
        .with_client_auth_cert(chain.clone(), key.clone_key())?;
    client.alpn_protocols = vec![ALPN.to_vec()];
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
        .build()
        .map_err(|error| TlsError::Pem {
            what: "the authority",
            why: error.to_string(),
        })?;
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    server.alpn_protocols = vec![ALPN.to_vec()];
    // Nothing of a connection is used for another: what was recorded is of no use.
    server.send_tls13_tickets = 0;
    Ok(Ends {
        connector: TlsConnector::from(Arc::new(client)),
        acceptor: TlsAcceptor::from(Arc::new(server)),
    })
}

#[async_trait]
impl Transport for Tls {
    async fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>> {
        let listener = tcp::bind(address).await?;
        let ends = self.ends.clone();
        Ok(Box::new(Accepting { listener, ends }))
    }

    async fn connect(&self, address: &str) -> io::Result<Link> {
        let host = host_of(address);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            let text = format!("{host:?} is no host that a certificate can name");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })?;
        let stream = tcp::dial(address).await?;
        stream.set_nodelay(true)?;
        let connector = self.ends().connector;
        let stream = connector.connect(name, stream).await?;
        let (tcp, state) = stream.get_ref();
        let binding = state.export_keying_material([0; 32], EXPORTER, None);
        let about = About::of(tcp, state, binding)?;
        let (read, write) = split(stream);
        Ok(about.link(Box::new(Reading::new(read)), Box::new(Writing(write))))
    }

    fn is_secure(&self) -> bool {
        true
    }
}

/// The host in `host:port` or `[host]:port`.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// What is known of the other end.
struct About {
    peer: String,
    identity: Vec<String>,
    binding: [u8; 32],
    is_local: bool,
}

impl About {
    fn of(
        stream: &TcpStream,
        state: &CommonState,
        binding: Result<[u8; 32], tokio_rustls::rustls::Error>,
    ) -> io::Result<Self> {
        if state.alpn_protocol() != Some(ALPN) {
            let text = "the other end does not speak the mesh protocol over TLS";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let address = stream.peer_addr()?;
        let leaf = state.peer_certificates().and_then(<[_]>::first);
        Ok(Self {
            peer: address.to_string(),
            identity: leaf.map_or_else(Vec::new, names_in),
            binding: binding.map_err(io::Error::other)?,
            is_local: address.ip().is_loopback(),
        })
    }
}

/// Who a certificate is for: its URIs `iris://..`, its DNS names, and its own digest.
fn names_in(leaf: &CertificateDer<'_>) -> Vec<String> {
    let mut names = Vec::new();
    // TLS has read it already.
    if let Ok(certificate) = EndEntityCert::try_from(leaf) {
        // What else is called a URI is none of ours, and what cannot stand in a log is no name.
        let uris = certificate
            .valid_uri_names()
            .filter(|uri| uri.starts_with(acl::SCHEME) && !uri.contains(char::is_control));
        names.extend(uris.chain(certificate.valid_dns_names()).map(str::to_owned));
    }
    let mut digest = acl::DIGEST.to_owned();
    for byte in digest::digest(&digest::SHA256, leaf).as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(digest, "{byte:02x}");
    }
    names.push(digest);
    names
}

impl About {
    fn link(self, source: Box<dyn Source>, sink: Box<dyn Sink>) -> Link {
        Link {
            peer: self.peer,
            identity: self.identity,
            binding: self.binding.to_vec(),
            is_local: self.is_local,
            source,
            sink,
        }
    }
}

struct Accepting {
    listener: TcpListener,
    /// Those of the transport, which may be replaced.
    ends: Arc<RwLock<Ends>>,
}

#[async_trait]
impl Listener for Accepting {
    fn local_address(&self) -> String {
        let address = self.listener.local_addr();
        address.map_or_else(|_| String::new(), |address| address.to_string())
    }

    async fn accept(&mut self) -> io::Result<Incoming> {
        let (stream, from) = self.listener.accept().await?;
        let ends = self.ends.read().unwrap_or_else(PoisonError::into_inner);
        let acceptor = ends.acceptor.clone();
        drop(ends);
        let open = async move {
            stream.set_nodelay(true)?;
            let stream = acceptor.accept(stream).await?;
            let (tcp, state) = stream.get_ref();
            let binding = state.export_keying_material([0; 32], EXPORTER, None);
            let about = About::of(tcp, state, binding)?;
            let (read, write) = split(stream);
            Ok(about.link(Box::new(Reading::new(read)), Box::new(Writing(write))))
        };
        Ok(Incoming {
            from: from.to_string(),
            open: Box::pin(open),
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key stays out of logs.
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}
