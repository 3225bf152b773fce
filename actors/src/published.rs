//! How the node reaches what an app publishes, to probe it.

use apps::RenderedService;
use std::time::Duration;
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
pub(crate) fn url(service: &RenderedService, port: &str, path: &str) -> String {
    let (host, port) = address(service, port);
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    format!("http://{host}:{port}{path}")
}

/// Redirects are answers, and a proxy of the node's environment is none of the container's business.
pub(crate) fn http_client() -> reqwest::Client {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0);
    client.build().unwrap_or_default()
}

/// Whether a connection is accepted in time; else why not.
pub(crate) async fn connect(host: &str, port: u16, timeout: Duration) -> Result<(), String> {
    match time::timeout(timeout, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(late(timeout)),
    }
}

/// The words for an answer that did not come in time.
pub(crate) fn late(timeout: Duration) -> String {
    format!("no answer within {} s", timeout.as_secs())
}
