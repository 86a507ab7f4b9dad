//! Certificates of one's own, for nodes.

use std::path::PathBuf;
use std::time::Duration;

use iris::nodes::{Authority, AuthorityError, Issued};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

/// Makes a certificate and a key for a node in `folder`, signed by the authority there, which is made
/// if there is none. Returns the paths of the authority's certificate, the node's and its key: what
/// `tls=` of `configure_mesh` takes.
///
/// For development, and for clusters without an authority of their own: whoever has
/// `authority-key.pem` can be any node, so keep it off the nodes. The certificate is valid for `days`
/// from now, says `iris://CLUSTER/NODE`, and the `hosts`, names or IP addresses, at which the node is
/// dialled. Files that are there are replaced at once.
///
/// Raises `ValueError` for names that a certificate cannot hold, `OSError` if the files cannot be
/// written.
#[pyfunction]
#[expect(
    clippy::needless_pass_by_value,
    reason = "the values that Python gives"
)]
#[pyo3(signature = (folder, node, *, cluster="", hosts=None, days=90))]
pub(crate) fn make_certificates(
    py: Python<'_>,
    folder: PathBuf,
    node: &str,
    cluster: &str,
    hosts: Option<Vec<String>>,
    days: u32,
) -> PyResult<(PathBuf, PathBuf, PathBuf)> {
    if !(1..=3650).contains(&days) {
        return Err(PyValueError::new_err(format!(
            "days must be from 1 to 3650, not {days}"
        )));
    }
    let hosts = hosts.unwrap_or_else(|| ["localhost", "127.0.0.1", "::1"].map(String::from).into());
    let valid = Duration::from_hours(24) * days;
    let issued = py.detach(|| {
        let authority = match Authority::create(&folder) {
            Err(AuthorityError::Exists(_)) => Authority::open(&folder),
            made => made,
        };
        authority?.issue(cluster, node, &hosts, valid)
    });
    let Issued {
        authority,
        certificate,
        key,
    } = issued.map_err(|error| match error {
        AuthorityError::Io { .. } => PyOSError::new_err(error.to_string()),
        other => PyValueError::new_err(other.to_string()),
    })?;
    Ok((authority, certificate, key))
}
