//! Links through NATS, where they are built in.

use std::path::PathBuf;

use iris::Runtime;
use iris::nodes::NodeConfig;
use pyo3::prelude::*;

/// How `configure_mesh` was told to reach NATS.
pub(crate) struct Settings<'a> {
    /// Addresses of servers, with commas between them.
    pub(crate) servers: &'a str,
    /// The path of a credentials file.
    pub(crate) credentials: Option<PathBuf>,
    /// Paths of the authority that servers are checked against, a certificate and its key.
    pub(crate) tls: Option<[PathBuf; 3]>,
}

/// As `Runtime::configure_mesh_over`, over NATS.
#[cfg(feature = "nats")]
pub(crate) fn configure(
    runtime: &Runtime,
    config: NodeConfig,
    settings: Settings<'_>,
) -> PyResult<bool> {
    use iris::nodes::{Nats, NatsAuth, NatsConfig, NatsTls};
    use pyo3::exceptions::PyValueError;

    let mut nats = NatsConfig::at(settings.servers);
    nats.cluster.clone_from(&config.cluster);
    if let Some(credentials) = settings.credentials {
        nats.auth = NatsAuth::Credentials(credentials);
    }
    nats.tls = settings.tls.map(|[authority, certificate, key]| NatsTls {
        authority: Some(authority),
        certificate: Some((certificate, key)),
    });
    let nats = Nats::new(nats).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(runtime.configure_mesh_over(config, std::sync::Arc::new(nats)))
}

/// Says how it can be built in.
#[cfg(not(feature = "nats"))]
pub(crate) fn configure(_: &Runtime, _: NodeConfig, settings: Settings<'_>) -> PyResult<bool> {
    let Settings {
        servers,
        credentials,
        tls,
    } = settings;
    drop((credentials, tls));
    // Without user and password.
    let servers = servers.rsplit('@').next().unwrap_or_default();
    Err(pyo3::exceptions::PyRuntimeError::new_err(format!(
        "{servers} cannot be used: this build of iris has no NATS; build it in with `maturin develop \
         --release --features nats` in a checkout, or `pip install . \
         --config-settings=build-args=\"--features nats\"`"
    )))
}
