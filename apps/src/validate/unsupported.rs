//! What the format has and the node does not do yet. It is refused: a manifest that is accepted is carried out as it
//! stands.

use super::Check;
use crate::{
    manifest::{Condition, RestartPolicy, Scheme, Service},
    rule::Rule,
};

impl Check<'_> {
    /// Seen on Podman 4.3.1: while the container runs, `podman inspect` shows the value among its environment.
    pub(super) fn unsupported_env(&mut self, field: &str) {
        let message = "the engine would show this secret to everybody who inspects the container";
        let remedy =
            "let the program read the file, most images know a variable for it: KEY_FILE: /run/secrets/key";
        self.say(Rule::Unsupported, field, message, remedy);
    }

    pub(super) fn unsupported(&mut self, at: &str, service: &Service) {
        if matches!(service.restart, RestartPolicy::OnFailure | RestartPolicy::No) {
            let message = "containers that end for good are not supported yet";
            self.say(Rule::Unsupported, &format!("{at}.restart"), message, "use always or unless-stopped");
        }
        for (other, dependency) in &service.depends_on {
            if dependency.condition == Condition::ServiceCompletedSuccessfully {
                let message = "containers that end for good are not supported yet";
                let field = format!("{at}.depends_on.{other}.condition");
                self.say(Rule::Unsupported, &field, message, "use service_started or service_healthy");
            }
        }
        if service.build.as_ref().is_some_and(|build| !build.args.is_empty()) {
            let message = "build arguments are not supported yet";
            let field = format!("{at}.build.args");
            self.say(Rule::Unsupported, &field, message, "write the values into the Containerfile");
        }
        let probes = &service.probes;
        for (kind, probe) in
            [("startup", &probes.startup), ("readiness", &probes.readiness), ("liveness", &probes.liveness)]
        {
            let http = probe.as_ref().and_then(|probe| probe.http_get.as_ref());
            if http.is_some_and(|http| http.scheme == Scheme::Https) {
                let message = "probes with TLS are not supported yet";
                let field = format!("{at}.probes.{kind}.httpGet.scheme");
                self.say(Rule::Unsupported, &field, message, "use tcpSocket, or exec in the container");
            }
        }
    }
}
