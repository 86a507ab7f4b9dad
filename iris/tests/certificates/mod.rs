//! An authority for tests, which issues certificates for this machine.

use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Authority, certificate and key as PEM. Names with `://` become URIs, others hosts.
    pub(crate) fn issue(&self, names: &[&str]) -> [Vec<u8>; 3] {
        let (uris, hosts): (Vec<&str>, Vec<&str>) =
            names.iter().partition(|name| name.contains("://"));
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(hosts).unwrap();
        for uri in uris {
            let uri = SanType::URI(Ia5String::try_from(uri).unwrap());
            params.subject_alt_names.push(uri);
        }
        let certificate = params.signed_by(&key, &self.0).unwrap();
        [
            self.0.pem().into_bytes(),
            certificate.pem().into_bytes(),
            key.serialize_pem().into_bytes(),
        ]
    }
}
