//! Advice on the manifest as a whole: what people open, shared networks, what is declared.

use super::Advice;
use crate::{
    manifest::{Kind, Protocol},
    rule::Rule,
};
use std::collections::BTreeSet;

/// Names that many apps give to a part of theirs.
const COMMON: &[&str] = &[
    "api", "app", "backend", "cache", "cron", "database", "db", "frontend", "mariadb", "minio", "mysql",
    "nginx", "postgres", "proxy", "redis", "relay", "server", "ui", "valkey", "web", "worker",
];

impl Advice<'_> {
    pub(super) fn whole(&mut self) {
        self.interfaces();
        self.shared_networks();
        self.unused();
        self.store_page();
    }

    fn interfaces(&mut self) {
        let m = self.manifest;
        let web = |service: &crate::manifest::Service| {
            let probed = service.probes.readiness.as_ref().and_then(|probe| probe.http_get.as_ref());
            service.ports.iter().any(|port| {
                let open = port.host_ip.is_empty() && port.protocol == Protocol::Tcp;
                let http = port.app_protocol.as_deref().is_some_and(|protocol| protocol.starts_with("http"));
                open && (http || probed.is_some_and(|probe| port.answers_to(&probe.port)))
            })
        };
        let opened = m.interfaces.is_empty() && m.services.values().any(web);
        if (opened || !m.interfaces.is_empty()) && !m.interfaces.contains_key("main") {
            self.say(Rule::NoMain, "interfaces", "no interface is called main");
        }
    }

    fn shared_networks(&mut self) {
        let m = self.manifest;
        for (name, service) in &m.services {
            for (network, place) in &service.networks {
                if !m.networks.get(network).copied().flatten().is_some_and(|network| network.external) {
                    continue;
                }
                let at = format!("services.{name}.networks.{network}");
                let aliases = place.iter().flat_map(|place| &place.aliases);
                for (alias, field) in aliases
                    .enumerate()
                    .map(|(i, alias)| (alias.as_str(), format!("{at}.aliases[{i}]")))
                    .chain([(name.as_str(), at.clone())])
                {
                    if COMMON.contains(&alias) {
                        let message = format!("{alias} is a name that other apps on {network} use, too");
                        self.say(Rule::SharedAlias, &field, message);
                    }
                }
            }
        }
    }

    fn unused(&mut self) {
        let m = self.manifest;
        let services = || m.services.values();
        let templates = self.root.texts();
        let in_text = |kind: &str, name: &str| {
            let wanted = format!("{{{{{kind}:{name}}}}}");
            templates.iter().any(|text| text.contains(&wanted))
        };
        let auth: BTreeSet<&String> =
            m.gates.values().filter_map(|gate| Some(&gate.probe.auth.as_ref()?.secret)).collect();
        let mut unused: Vec<String> = Vec::new();
        let mut look = |kind: &str, names: Vec<&String>, used: &dyn Fn(&String) -> bool| {
            unused.extend(names.into_iter().filter(|name| !used(name)).map(|name| format!("{kind}.{name}")));
        };
        look("volumes", m.volumes.keys().collect(), &|name| {
            services().any(|service| service.volumes.iter().any(|volume| volume.source == *name))
        });
        look("networks", m.networks.keys().collect(), &|name| {
            services().any(|service| service.networks.contains_key(name))
        });
        look("secrets", m.secrets.keys().collect(), &|name| {
            let given = services().any(|service| service.secrets.iter().any(|secret| secret.source == *name));
            given || auth.contains(name) || in_text("secret", name)
        });
        look("configs", m.configs.keys().collect(), &|name| {
            services().any(|service| {
                service.configs.iter().any(|config| config.source == *name) || service.env_file.contains(name)
            })
        });
        look("certs", m.certs.keys().collect(), &|name| {
            services().any(|service| service.certs.iter().any(|cert| cert.source == *name))
        });
        for field in unused {
            self.say(Rule::Unused, &field, "nobody uses this");
        }
    }

    fn store_page(&mut self) {
        let m = &self.manifest.metadata;
        let link = self.manifest.kind == Kind::Link;
        let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let missing: Vec<&str> = [
            ("tagline", !m.tagline.is_empty()),
            ("description", !m.description.is_empty()),
            ("category", given(&m.category)),
            ("license", given(&m.license) || link),
            ("website", given(&m.website) || given(&m.repo)),
            ("icon", given(&m.icon)),
        ]
        .into_iter()
        .filter(|(_, given)| !given)
        .map(|(key, _)| key)
        .collect();
        if !missing.is_empty() {
            self.say(Rule::StorePage, "metadata", format!("{} is missing", missing.join(", ")));
        }
    }
}
