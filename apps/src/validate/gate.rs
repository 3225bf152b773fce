//! Gates that the app exports.

use super::{Check, port::is_url_path};
use crate::{
    manifest::{Gate, Ready},
    rule::Rule,
};
use std::time::Duration;

impl Check<'_> {
    pub(super) fn gates(&mut self) {
        let manifest = self.manifest;
        for (name, gate) in &manifest.gates {
            let at = format!("gates.{name}");
            self.gate_probe(&at, gate);
            for (i, ready) in gate.ready.iter().enumerate() {
                let one = format!("{at}.ready");
                self.condition(&if gate.ready.len() == 1 { one } else { format!("{one}[{i}]") }, ready);
            }
            if let Some(impossible) = &gate.impossible {
                self.condition(&format!("{at}.impossible.when"), &impossible.when);
            }
            for (key, span) in [("interval", gate.interval), ("timeout", gate.timeout)] {
                if !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&span.0) {
                    self.say(Rule::Gate, &format!("{at}.{key}"), "out of range", "use 1s to 1h");
                }
            }
        }
    }

    fn condition(&mut self, at: &str, ready: &Ready) {
        if ready.comparisons() != 1 {
            let message = "a condition needs exactly one comparison";
            let remedy = "keep one of equals, notEquals, atLeast, atMost and exists";
            self.say(Rule::Gate, at, message, remedy);
        }
    }

    fn gate_probe(&mut self, at: &str, gate: &Gate) {
        let probe = &gate.probe;
        let field = format!("{at}.probe");
        let service = self.target(&format!("{at}.service"), gate.service.as_ref());
        let kinds = [
            probe.json_rpc.is_some(),
            probe.http_get.is_some(),
            probe.tcp_socket.is_some(),
            probe.exec.is_some(),
        ];
        if kinds.iter().filter(|given| **given).count() != 1 {
            let message = "a gate needs exactly one of jsonRpc, httpGet, tcpSocket and exec";
            self.say(Rule::Gate, &field, message, "keep one");
        }
        let (http, tcp) = (probe.http_get.as_ref(), probe.tcp_socket.as_ref());
        self.asked(&field, Rule::Gate, service, http, tcp, probe.exec.as_ref());
        if let Some(rpc) = &probe.json_rpc {
            if let Some(service) = service {
                self.probed_port(&format!("{field}.jsonRpc.port"), service, &rpc.port);
            }
            if rpc.method.is_empty() || !rpc.method.bytes().all(|b| b.is_ascii_graphic()) {
                let message = "this is no method";
                self.say(Rule::Gate, &format!("{field}.jsonRpc.method"), message, "name the method to call");
            }
            if !is_url_path(&rpc.path) {
                let message = "a path begins with / and has no spaces";
                self.say(Rule::Gate, &format!("{field}.jsonRpc.path"), message, "write it like /rpc");
            }
        }
        if probe.tcp_socket.is_some() && gate.reads_answers() {
            let message = "a connection has no answer to look into";
            self.say(Rule::Gate, &field, message, "use jsonRpc, httpGet or exec, or remove the pointers");
        }
        if let Some(auth) = &probe.auth {
            let known = self.manifest.secrets.contains_key(&auth.secret);
            let name = format!("{field}.auth.secret");
            self.declared(Rule::UnknownSecret, &name, "secret", &auth.secret, known);
            if probe.json_rpc.is_none() && probe.http_get.is_none() {
                let message = "only jsonRpc and httpGet say who asks";
                self.say(Rule::Gate, &format!("{field}.auth"), message, "remove it");
            }
            if auth.username.as_ref().is_some_and(|user| user.is_empty() || user.contains(':')) {
                let message = "this is no user of basic authentication";
                self.say(Rule::Gate, &format!("{field}.auth.username"), message, "use one without ':'");
            }
        }
    }
}
