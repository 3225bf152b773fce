//! How the node reaches what an app publishes, to probe it.

use apps::{RenderedService, manifest::Scheme};
use std::{error::Error, io, time::Duration};
use tokio::{net::TcpStream, time};

/// Where a port of a service is published; port 0, which never answers, where there is none of this name.
///
/// Validation has seen to it that there is one.
pub(crate) fn address(service: &RenderedService, port: &str) -> (String, u16) {
    let found = service.ports.iter().find(|(known, _)| known == port).map(|(_, port)| port);
    let (host, port) = found.map_or(("", 0), |port| (port.host_ip.as_str(), port.published));
    let host = if host.is_empty() || host == "0.0.0.0" { "127.0.0.1" } else { host };
    (host.to_owned(), port)
}

/// The URL of a path behind a published port.
pub(crate) fn url(service: &RenderedService, scheme: Scheme, port: &str, path: &str) -> String {
    let (host, port) = address(service, port);
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    format!("{}://{host}:{port}{path}", scheme.as_str())
}

/// Redirects are answers, and a proxy of the node's environment is none of the container's business.
///
/// Certificates are not checked: who is asked is known by the port that the node itself has published, and apps sign
/// their certificates themselves. Kubernetes' probes do the same.
pub(crate) fn http_client() -> reqwest::Client {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .danger_accept_invalid_certs(true)
        .pool_max_idle_per_host(0);
    client.build().unwrap_or_default()
}

/// Why there is no connection.
pub(crate) struct NoConnection {
    /// In words.
    pub(crate) words: String,
    /// Whether the node is the one that could not, so that it says nothing about the app.
    pub(crate) ours: bool,
}

/// Whether a connection is accepted in time; else why not.
pub(crate) async fn connect(host: &str, port: u16, timeout: Duration) -> Result<(), NoConnection> {
    match time::timeout(timeout, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(NoConnection { ours: is_ours(&error), words: error.to_string() }),
        Err(_) => Err(NoConnection { ours: false, words: late(timeout) }),
    }
}

/// Whether an error comes from what this machine or process has run out of.
pub(crate) fn is_ours(error: &(dyn Error + 'static)) -> bool {
    /// ENOMEM, ENFILE, EMFILE, EADDRNOTAVAIL and ENOBUFS, as Linux counts.
    const OUT_OF: [i32; 5] = [12, 23, 24, 99, 105];
    let of_system = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    match of_system {
        Some(number) => OUT_OF.contains(&number),
        None => error.source().is_some_and(is_ours),
    }
}

/// The last cause of an error, which is what people can do something about: `connection refused`.
pub(crate) fn cause(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), cause)
}

/// The words for an answer that did not come in time.
pub(crate) fn late(timeout: Duration) -> String {
    format!("no answer within {} s", timeout.as_secs())
}
