//! Certificates for a cluster of one's own, without other tools.
//!
//! For development, and for clusters that have no authority of their own. Whoever has the
//! authority's key can be any node: keep it off the nodes.

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use thiserror::Error;
use tokio_rustls::rustls::pki_types::DnsName;

const CERTIFICATE: &str = "authority.pem";
const KEY: &str = "authority-key.pem";

/// For how long an authority is valid.
const AUTHORITY: Duration = Duration::from_hours(24 * 3650);

const DAY: Duration = Duration::from_hours(24);

/// Why there is no certificate.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// There is one in the folder.
    #[error("{0} is there already: whoever trusts it would not trust another")]
    Exists(PathBuf),
    /// A file cannot be read or written.
    #[error("{path}: {cause}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// The name of a node, cluster or host that a certificate cannot hold.
    #[error("{0:?} cannot be the name of a node, a cluster or a host in a certificate")]
    Name(String),
    /// The cryptography has refused.
    #[error("no certificate: {0}")]
    Crypto(#[from] rcgen::Error),
}

/// An authority whose certificate and key are in a folder: `authority.pem`, which every node trusts,
/// and `authority-key.pem`, which only its owner can read.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// Where a node's TLS files are, in the order in which [`Tls::from_files`](crate::Tls::from_files)
/// takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate of the authority.
    pub authority: PathBuf,
    /// The node's certificate.
    pub certificate: PathBuf,
    /// The node's key, which only its owner can read.
    pub key: PathBuf,
}

impl Authority {
    /// A new authority in a folder, which is made if there is none. Valid for ten years.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::Exists`], and why the files cannot be written.
    pub fn create(folder: impl AsRef<Path>) -> Result<Self, AuthorityError> {
        let folder = folder.as_ref();
        let at = folder.join(CERTIFICATE);
        if at.exists() {
            return Err(AuthorityError::Exists(at));
        }
        fs::create_dir_all(folder).map_err(|cause| AuthorityError::Io {
            path: folder.to_owned(),
            cause,
        })?;
        let key = KeyPair::generate()?;
        let mut params = params();
        valid_for(&mut params, AUTHORITY);
        let certificate = params.self_signed(&key)?;
        // The key first: a certificate without it would be of no use.
        write(&folder.join(KEY), &key.serialize_pem(), true)?;
        write(&at, &certificate.pem(), false)?;
        Self::open(folder)
    }

    /// The authority that was made in a folder.
    ///
    /// # Errors
    ///
    /// Its files cannot be read.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, AuthorityError> {
        let folder = folder.as_ref().to_owned();
        // Its certificate is for others; the key and the name in it are all that signing takes.
        read(&folder.join(CERTIFICATE))?;
        let key = KeyPair::from_pem(&read(&folder.join(KEY))?)?;
        let issuer = Issuer::new(params(), key);
        Ok(Self { folder, issuer })
    }

    /// A certificate and a key for a node, in `NODE.pem` and `NODE-key.pem`, from now on for `valid`,
    /// rounded up to days. It says `iris://CLUSTER/NODE`, by which others know the node, and the
    /// `hosts`, names or IP addresses, at which it can be dialled. Files that are there are replaced
    /// at once, so that a node can [read them again](crate::Tls::replace).
    ///
    /// # Errors
    ///
    /// [`AuthorityError::Name`], and why the files cannot be written.
    pub fn issue(
        &self,
        cluster: &str,
        node: &str,
        hosts: &[impl AsRef<str>],
        valid: Duration,
    ) -> Result<Issued, AuthorityError> {
        let plain = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        };
        // They stand in a URI, and the node's in the name of a file.
        if node.is_empty() || !plain(node) || node.starts_with('.') || node == "authority" {
            return Err(AuthorityError::Name(node.to_owned()));
        }
        if !plain(cluster) {
            return Err(AuthorityError::Name(cluster.to_owned()));
        }
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, node);
        let uri = format!("iris://{cluster}/{node}");
        let name = |_| AuthorityError::Name(uri.clone());
        let uri = uri.as_str().try_into().map_err(name)?;
        params.subject_alt_names.push(SanType::URI(uri));
        for host in hosts {
            params.subject_alt_names.push(host_name(host.as_ref())?);
        }
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        valid_for(&mut params, valid);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let issued = Issued {
            authority: self.folder.join(CERTIFICATE),
            certificate: self.folder.join(format!("{node}.pem")),
            key: self.folder.join(format!("{node}-key.pem")),
        };
        write(&issued.key, &key.serialize_pem(), true)?;
        write(&issued.certificate, &certificate.pem(), false)?;
        Ok(issued)
    }
}

/// What the certificate of an authority says.
fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "Iris cluster authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn host_name(host: &str) -> Result<SanType, AuthorityError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let wrong = || AuthorityError::Name(host.to_owned());
    // What nobody could dial would be of no use.
    DnsName::try_from(host).map_err(|_| wrong())?;
    let name = host.try_into().map_err(|_| wrong())?;
    Ok(SanType::DnsName(name))
}

/// From a day ago, for clocks that go wrong, to the end of the day on which the time is over.
fn valid_for(params: &mut CertificateParams, time: Duration) {
    let now = SystemTime::now();
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let day = |at: Duration| {
        let (year, month, day) = civil(at.as_secs() / DAY.as_secs());
        rcgen::date_time_ymd(year, month, day)
    };
    params.not_before = day(now.saturating_sub(DAY));
    params.not_after = day(now.saturating_add(time) + DAY);
}

/// The year, month and day of a number of days since 1970-01-01, in the Gregorian calendar:
/// years of the algorithm begin in March, so that the leap day is the last. Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a year is far below 2^31, a month and a day are small"
)]
fn civil(days: u64) -> (i32, u8, u8) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, shift) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    ((year + era * 400 + shift) as i32, month as u8, day as u8)
}

fn read(path: &Path) -> Result<String, AuthorityError> {
    fs::read_to_string(path).map_err(|cause| AuthorityError::Io {
        path: path.to_owned(),
        cause,
    })
}

/// Writes a file whole or not at all; a secret one only its owner can read.
fn write(path: &Path, text: &str, secret: bool) -> Result<(), AuthorityError> {
    let new = path.with_extension("pem.new");
    let written = (|| {
        // What a run before has left there may be open to others.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        if secret {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        #[cfg(not(unix))]
        let _ = secret;
        let mut file = options.open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    })();
    written.map_err(|cause| AuthorityError::Io {
        path: path.to_owned(),
        cause,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_778, (2026, 11, 21)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(civil(days), date, "{days}");
        }
    }
}
