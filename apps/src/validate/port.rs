//! Published ports, and what points at them.

use super::Check;
use crate::{
    manifest::{Port, Protocol, Service},
    rule::Rule,
    yaml::shown,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Lowest port that an engine without root may publish.
const FIRST_UNPRIVILEGED_PORT: u32 = 1024;

/// A published port: its field, and its address where it is not published on all.
type Taken = (String, Option<IpAddr>);

impl<'a> Check<'a> {
    pub(super) fn ports(&mut self) {
        let manifest = self.manifest;
        let mut taken: BTreeMap<(u32, Protocol), Vec<Taken>> = BTreeMap::new();
        for (name, service) in &manifest.services {
            let mut names = BTreeSet::new();
            for (i, port) in service.ports.iter().enumerate() {
                let at = format!("services.{name}.ports[{i}]");
                self.port(&at, port);
                if port.name.as_ref().is_some_and(|name| !names.insert(name)) {
                    let message = "another port of the service has the same name";
                    self.say(Rule::DuplicatePortName, &format!("{at}.name"), message, "choose another");
                }
                let address: Option<IpAddr> =
                    port.host_ip.parse().ok().filter(|ip: &IpAddr| !ip.is_unspecified());
                let others = taken.entry((port.published, port.protocol)).or_default();
                // The same port on two addresses is two ports; on all addresses it meets every other.
                let clash = others.iter().find(|(_, ip)| ip.is_none() || address.is_none() || *ip == address);
                if let Some((other, _)) = clash {
                    let message = format!("port {} is published by {other} too", port.published);
                    let field = format!("{at}.published");
                    self.problems.push(Rule::DuplicatePort.problem(&field, message, "publish another port"));
                }
                others.push((at, address));
            }
            for (i, port) in service.expose.iter().enumerate() {
                let number = port.split('/').next().unwrap_or_default().parse::<u16>();
                let protocol = port.split_once('/').is_none_or(|(_, p)| matches!(p, "tcp" | "udp"));
                if number.is_ok_and(|n| n > 0) && protocol {
                    continue;
                }
                let message = format!("{:?} is not a port", shown(port));
                let field = format!("services.{name}.expose[{i}]");
                self.say(Rule::Port, &field, message, "write it like 80 or 53/udp");
            }
        }
    }

    fn port(&mut self, at: &str, port: &Port) {
        for (key, value) in [("published", port.published), ("target", port.target)] {
            if !(1..=65535).contains(&value) {
                let message = format!("{value} is not a port");
                self.say(Rule::Port, &format!("{at}.{key}"), message, "use a number from 1 to 65535");
            }
        }
        if (1..FIRST_UNPRIVILEGED_PORT).contains(&port.published) {
            let message = format!("port {} needs root, and the engine has none", port.published);
            let field = format!("{at}.published");
            self.say(Rule::PrivilegedPort, &field, message, "publish a port from 1024 on");
        }
        if !port.host_ip.is_empty() && port.host_ip.parse::<IpAddr>().is_err() {
            let message = format!("{:?} is no IP address", shown(&port.host_ip));
            self.say(Rule::HostIp, &format!("{at}.host_ip"), message, "write it like 127.0.0.1");
        }
    }

    /// The published port that a probe or an interface means.
    pub(super) fn published(&self, service: &'a Service, label: &str) -> Option<&'a Port> {
        service.ports.iter().find(|port| port.answers_to(label))
    }

    pub(super) fn interfaces(&mut self) {
        let manifest = self.manifest;
        for (name, interface) in &manifest.interfaces {
            let at = format!("interfaces.{name}");
            if let Some(service) = self.target(&format!("{at}.service"), Some(&interface.service)) {
                let field = format!("{at}.port");
                match self.published(service, &interface.port) {
                    None => {
                        let message =
                            format!("{:?} is no published port of the service", shown(&interface.port));
                        self.say(Rule::Interface, &field, message, "give the port a name and use it here");
                    }
                    Some(port) if port.protocol == Protocol::Udp => {
                        let message = "a browser opens no UDP port";
                        self.say(Rule::Interface, &field, message, "name a TCP port");
                    }
                    Some(_) => {}
                }
            }
            if !is_url_path(&interface.path) {
                let message = "a path begins with / and has no spaces";
                self.say(Rule::Interface, &format!("{at}.path"), message, "write it like /admin");
            }
        }
    }
}

/// Whether a text can be the path of a request.
pub(super) fn is_url_path(path: &str) -> bool {
    path.starts_with('/') && path.len() <= 1024 && path.bytes().all(|b| b.is_ascii_graphic())
}
