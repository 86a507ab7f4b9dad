//! Links through NATS, where they are built in.

use std::path::PathBuf;

use iris::Runtime;
use iris::nodes::NodeConfig;
use napi::bindgen_prelude::*;

/// How `configureMesh` was told to reach NATS.
pub(crate) struct Settings {
    /// Addresses of servers, with commas between them.
    pub(crate) servers: String,
    /// The path of a credentials file.
    pub(crate) credentials: Option<PathBuf>,
    /// Paths of the authority that servers are checked against, a certificate and its key.
    pub(crate) tls: Option<[PathBuf; 3]>,
}

/// As `Runtime::configure_mesh_over`, over NATS.
#[cfg(feature = "nats")]
pub(crate) fn configure(runtime: &Runtime, config: NodeConfig, settings: Settings) -> Result<bool> {
    use iris::nodes::{Nats, NatsAuth, NatsConfig, NatsTls};

    let mut nats = NatsConfig::at(&settings.servers);
    nats.cluster.clone_from(&config.cluster);
    if let Some(credentials) = settings.credentials {
        nats.auth = NatsAuth::Credentials(credentials);
    }
    nats.tls = settings.tls.map(|[authority, certificate, key]| NatsTls {
        authority: Some(authority),
        certificate: Some((certificate, key)),
    });
    let nats = Nats::new(nats).map_err(|error| crate::error::range(error.to_string()))?;
    Ok(runtime.configure_mesh_over(config, std::sync::Arc::new(nats)))
}

/// Says how it can be built in.
#[cfg(not(feature = "nats"))]
pub(crate) fn configure(_: &Runtime, _: NodeConfig, settings: Settings) -> Result<bool> {
    let Settings {
        servers,
        credentials,
        tls,
    } = settings;
    drop((credentials, tls));
    // Without user and password.
    let servers = servers.rsplit('@').next().unwrap_or_default();
    Err(crate::error::other(format!(
        "{servers} cannot be used: this build of iris has no NATS; build it in with `cargo xtask \
         node --release --nats` in a checkout"
    )))
}
