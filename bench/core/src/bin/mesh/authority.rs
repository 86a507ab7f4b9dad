//! Certificates for the run.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::Done;

/// Where the authority, the certificate and the key are in a folder.
pub(crate) fn files(folder: &Path) -> [PathBuf; 3] {
    ["authority.pem", "certificate.pem", "key.pem"].map(|name| folder.join(name))
}

/// A folder with an authority and a certificate for this machine, which both nodes use.
pub(crate) fn make() -> Done<PathBuf> {
    let folder = std::env::temp_dir().join(format!("iris-bench-mesh-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
    let certificate = params.signed_by(&key, &authority)?;
    let pems = [authority.pem(), certificate.pem(), key.serialize_pem()];
    for (file, pem) in files(&folder).iter().zip(pems) {
        std::fs::write(file, pem)?;
    }
    Ok(folder)
}
