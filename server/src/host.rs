//! Which hosts and origins a request may name. Keeps out pages of other sites (DNS rebinding, CSRF, hijacked sockets).

use crate::{
    answer::Refusal,
    conn::{Peer, Via},
};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use protocol::ErrorCode;
use std::net::IpAddr;

/// The hosts under which this node may be reached.
#[derive(Debug)]
pub(crate) struct HostPolicy {
    /// Lower case, without port.
    names: Vec<String>,
}

impl HostPolicy {
    pub(crate) fn new(configured: &[String]) -> Self {
        let mut names: Vec<String> = ["127.0.0.1", "localhost", "[::1]"].map(String::from).into();
        names.extend(configured.iter().map(|name| name.to_ascii_lowercase()));
        Self { names }
    }

    /// Checks the request's host and returns it as given.
    pub(crate) fn check<'h>(
        &self,
        uri: &Uri,
        headers: &'h HeaderMap,
        peer: Peer,
    ) -> Result<&'h str, Refusal> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(Refusal::bad("the request must have exactly one Host header"));
        };
        let host = host.to_str().map_err(|_| Refusal::bad("the Host header is not text"))?;
        let named_elsewhere = uri.authority().is_some_and(|authority| authority.as_str() != host);
        if named_elsewhere || !self.allows(host, peer) {
            return Err(Refusal::new(
                ErrorCode::Forbidden,
                format!("this node does not answer for {host:?}"),
            )
            .hint("open it under its own address, or add the name to the node's allowed hosts")
            .status(StatusCode::MISDIRECTED_REQUEST));
        }
        Ok(host)
    }

    fn allows(&self, host: &str, peer: Peer) -> bool {
        if peer.via == Via::Local {
            return host == "localhost";
        }
        let local = peer.local;
        let (name, port) = split_port(host);
        if port.is_some_and(|port| port != local.port().to_string()) {
            return false;
        }
        let name = name.to_ascii_lowercase();
        self.names.contains(&name) || is_address(&name, local.ip())
    }
}

/// Whether the host is the literal address that the connection came in on: a name that was rebound is never literal.
fn is_address(name: &str, local: IpAddr) -> bool {
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical() == local.to_canonical())
}

/// Splits at the colon of the port, not at one inside brackets.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rfind(':') {
        Some(at) if !host[at..].contains(']') => (&host[..at], Some(&host[at + 1..])),
        _ => (host, None),
    }
}

fn foreign() -> Refusal {
    Refusal::new(ErrorCode::Forbidden, "this request came from another site")
        .hint("open the node's own page, or use archy")
}

/// Refuses what the browser says another site's page caused; an app on another port is another site.
pub(crate) fn check_site(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut sites = headers.get_all("sec-fetch-site").iter().map(|site| site.as_bytes());
    if sites.all(|site| site == b"same-origin" || site == b"none") { Ok(()) } else { Err(foreign()) }
}

/// Refuses a request that another site's page caused.
///
/// With `required`, for requests that a browser authenticates by itself, something must prove the own origin.
pub(crate) fn check_origin(headers: &HeaderMap, host: &str, required: bool) -> Result<(), Refusal> {
    check_site(headers)?;
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) if required && site != Some(b"same-origin") => Err(foreign()),
        (None, _) => Ok(()),
        (Some(origin), None) => {
            let same = origin.to_str().is_ok_and(|origin| {
                let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
                rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host))
            });
            if same { Ok(()) } else { Err(foreign()) }
        }
        (Some(_), Some(_)) => Err(foreign()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn peer(local: &str) -> Peer {
        Peer { remote: [10, 0, 0, 1].into(), local: local.parse().unwrap(), via: Via::Plain, inside: false }
    }

    #[test]
    fn dns_rebinding_the_local_socket_has_one_name() {
        let policy = HostPolicy::new(&["node.lan".into()]);
        let local = Peer { via: Via::Local, ..peer("127.0.0.1:80") };
        assert!(policy.allows("localhost", local));
        for bad in ["evil.example", "node.lan", "localhost:80", "127.0.0.1", ""] {
            assert!(!policy.allows(bad, local), "{bad}");
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let mut map = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            map.append(name, value);
        }
        map
    }

    #[test]
    fn only_own_names_with_the_own_port_or_none_pass() {
        let policy = HostPolicy::new(&["Node.Lan".into()]);
        let ok = |host: &str| policy.allows(host, peer("192.168.1.5:8420"));
        for good in [
            "127.0.0.1:8420",
            "localhost",
            "LOCALHOST:8420",
            "[::1]:8420",
            "node.lan",
            "node.lan:8420",
            "192.168.1.5:8420",
        ] {
            assert!(ok(good), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "evil.example:8420",
            "localhost.",
            "localhost:8421",
            "localhost:+8420",
            "localhost:08420",
            "localhost:",
            "localhost:8420:8420",
            "[::1]8420",
            "user@localhost",
            "192.168.1.6",
            "0.0.0.0:8420",
        ] {
            assert!(!ok(bad), "{bad}");
        }
    }

    #[test]
    fn dns_rebinding_there_is_one_host_that_the_uri_does_not_contradict() {
        let policy = HostPolicy::new(&[]);
        let check = |uri: &'static str, headers: &HeaderMap| {
            policy.check(&Uri::from_static(uri), headers, peer("127.0.0.1:80")).is_ok()
        };
        assert!(check("/", &headers(&[("host", "localhost")])));
        assert!(!check("/", &headers(&[])));
        assert!(!check("/", &headers(&[("host", "localhost"), ("host", "localhost")])));
        assert!(!check("http://evil.example/", &headers(&[("host", "localhost")])));
    }

    #[test]
    fn the_origin_must_be_the_own_one() {
        let host = "localhost:8420";
        let ok =
            |pairs: &[(&'static str, &str)], required| check_origin(&headers(pairs), host, required).is_ok();
        for required in [false, true] {
            assert!(ok(&[("origin", "http://localhost:8420")], required));
            assert!(ok(&[("origin", "https://localhost:8420"), ("sec-fetch-site", "same-origin")], required));
            for foreign in [
                "null",
                "",
                "http://localhost",
                "http://localhost:8080",
                "http://evil.example",
                "http://localhost:8420/",
                "ws://localhost:8420",
                "http://a.localhost:8420",
            ] {
                assert!(!ok(&[("origin", foreign)], required), "{foreign}");
            }
            assert!(!ok(
                &[("origin", "http://localhost:8420"), ("origin", "http://localhost:8420")],
                required
            ));
            assert!(!ok(&[("sec-fetch-site", "cross-site")], required));
            assert!(!ok(&[("sec-fetch-site", "same-site")], required), "an app on another port");
        }
        assert!(ok(&[], false), "not a browser");
        assert!(!ok(&[], true));
        assert!(!ok(&[("sec-fetch-site", "none")], true));
        assert!(ok(&[("sec-fetch-site", "same-origin")], true));
    }
}
