//! Probes and what waits for them.

use super::{Check, port::is_url_path};
use crate::{
    manifest::{Condition, Exec, HttpGet, Probe, Protocol, RestartPolicy, Service, TcpSocket},
    order::start_order,
    rule::Rule,
    yaml::shown,
};
use protocol::ServiceName;

impl Check<'_> {
    pub(super) fn probes(&mut self, at: &str, service: &Service) {
        let probes = &service.probes;
        let all =
            [("startup", &probes.startup), ("readiness", &probes.readiness), ("liveness", &probes.liveness)];
        for (kind, probe) in all {
            if let Some(probe) = probe {
                self.probe(&format!("{at}.probes.{kind}"), service, probe);
            }
        }
        let Some(check) = &service.healthcheck else { return };
        let field = format!("{at}.healthcheck");
        match check.test.as_ref().map(|test| test.command()) {
            None if !check.disable => {
                let message = "there is nothing to run";
                self.say(Rule::Healthcheck, &field, message, "add test: [CMD, program], or disable: true");
            }
            Some(Err(message)) => {
                let remedy = "write it like [CMD, pg_isready, -U, postgres]";
                self.say(Rule::Healthcheck, &format!("{field}.test"), message, remedy);
            }
            _ => {}
        }
        for (key, span) in [("interval", check.interval), ("timeout", check.timeout)] {
            if span.is_some_and(|span| span.0.is_zero() || span.0.as_secs() > 3600) {
                self.say(Rule::Healthcheck, &format!("{field}.{key}"), "out of range", "use 1s to 1h");
            }
        }
    }

    fn probe(&mut self, at: &str, service: &Service, probe: &Probe) {
        let kinds = [probe.http_get.is_some(), probe.tcp_socket.is_some(), probe.exec.is_some()];
        if kinds.iter().filter(|given| **given).count() != 1 {
            let message = "a probe needs exactly one of httpGet, tcpSocket and exec";
            self.say(Rule::Probe, at, message, "keep one");
        }
        let (http, tcp) = (probe.http_get.as_ref(), probe.tcp_socket.as_ref());
        self.asked(at, Rule::Probe, Some(service), http, tcp, probe.exec.as_ref());
        for (key, value) in
            [("periodSeconds", probe.period_seconds), ("timeoutSeconds", probe.timeout_seconds)]
        {
            if !(1..=3600).contains(&value) {
                self.say(Rule::Probe, &format!("{at}.{key}"), "out of range", "use 1 to 3600");
            }
        }
        for (key, value) in
            [("failureThreshold", probe.failure_threshold), ("successThreshold", probe.success_threshold)]
        {
            if value == 0 {
                self.say(Rule::Probe, &format!("{at}.{key}"), "out of range", "use 1 or more");
            }
        }
    }

    /// What probes and gates have in common.
    pub(super) fn asked(
        &mut self,
        at: &str,
        rule: Rule,
        service: Option<&Service>,
        http: Option<&HttpGet>,
        tcp: Option<&TcpSocket>,
        exec: Option<&Exec>,
    ) {
        if let (Some(http), Some(service)) = (http, service) {
            self.probed_port(&format!("{at}.httpGet.port"), service, &http.port);
        }
        if let (Some(tcp), Some(service)) = (tcp, service) {
            self.probed_port(&format!("{at}.tcpSocket.port"), service, &tcp.port);
        }
        if http.is_some_and(|http| !is_url_path(&http.path)) {
            let message = "a path begins with / and has no spaces";
            self.say(rule, &format!("{at}.httpGet.path"), message, "write it like /healthz");
        }
        if let Some(exec) = exec {
            self.command(&format!("{at}.exec.command"), &exec.command);
        }
    }

    pub(super) fn probed_port(&mut self, field: &str, service: &Service, label: &str) {
        let found = service.ports.iter().find(|port| port.answers_to(label));
        match found.map(|port| port.protocol) {
            None => {
                let message = format!("{:?} is no published port of this service", shown(label));
                let remedy = "publish it (host_ip: 127.0.0.1 keeps it on the node), or use an exec probe";
                self.say(Rule::ProbePort, field, message, remedy);
            }
            Some(Protocol::Udp) => {
                let message = "a UDP port cannot be probed so";
                self.say(Rule::ProbePort, field, message, "use an exec probe");
            }
            Some(Protocol::Tcp) => {}
        }
    }

    pub(super) fn dependencies(&mut self, name: &ServiceName, service: &Service) {
        for (other, dependency) in &service.depends_on {
            let field = format!("services.{name}.depends_on.{other}");
            match self.manifest.services.get(other) {
                None => {
                    let message = format!("there is no service {other}");
                    self.say(Rule::UnknownDependency, &field, message, "name a service of this manifest");
                }
                Some(target)
                    if dependency.condition == Condition::ServiceHealthy
                        && target.readiness_probe().is_none() =>
                {
                    let message = format!("{other} has no readiness probe, so it never becomes healthy");
                    let remedy = "add probes.readiness to it, or wait for service_started";
                    self.say(Rule::NoProbe, &field, message, remedy);
                }
                Some(target)
                    if dependency.condition == Condition::ServiceCompletedSuccessfully
                        && matches!(target.restart, RestartPolicy::Always | RestartPolicy::UnlessStopped) =>
                {
                    let message = format!("{other} is restarted whenever it ends, so it never completes");
                    let remedy = "add restart: on-failure to it, or restart: no where one attempt is enough";
                    self.say(Rule::NeverEnds, &field, message, remedy);
                }
                Some(_) => {}
            }
        }
    }

    pub(super) fn order(&mut self) {
        let known = |name: &ServiceName| self.manifest.services.contains_key(name);
        if !self.manifest.services.values().all(|s| s.depends_on.keys().all(known)) {
            return; // told already
        }
        if let Err(cycle) = start_order(self.manifest) {
            let names: Vec<&str> = cycle.iter().map(ServiceName::as_str).collect();
            let field = cycle.first().map_or("services".into(), |name| format!("services.{name}.depends_on"));
            let message = format!("the services {} wait for each other", names.join(", "));
            self.say(Rule::Cycle, &field, message, "remove one of these dependencies");
        }
    }
}
