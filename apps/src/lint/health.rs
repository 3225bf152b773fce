//! Advice on probes, on waiting, and on the end of a container.

use super::{Advice, database};
use crate::{
    manifest::{Condition, Service, Test},
    rule::Rule,
};
use protocol::ServiceName;
use std::time::Duration;

/// Time that a failing service gets at least before it is restarted, in seconds.
const PATIENCE: u32 = 30;
/// Shortest grace of a database.
const GRACE: Duration = Duration::from_secs(30);
/// What a shell would do something with.
const SHELL: &str = "|&;<>()$`*?[]#~=%!{}\n";

impl Advice<'_> {
    pub(super) fn health(&mut self, _: &ServiceName, at: &str, service: &Service) {
        if service.readiness_probe().is_none() {
            let message = "nobody asks this service whether it works";
            self.say(Rule::NoHealth, at, message);
        }
        if let Some(test) = service.healthcheck.as_ref().and_then(|check| check.test.as_ref()) {
            self.shell(at, test);
        }
        if let Some(probe) = &service.probes.liveness {
            let patience = probe.period_seconds.saturating_mul(probe.failure_threshold);
            if patience < PATIENCE {
                let field = format!("{at}.probes.liveness");
                self.say(
                    Rule::HastyLiveness,
                    &field,
                    format!("it is restarted after {patience} s without an answer"),
                );
            }
        }
        for (other, dependency) in &service.depends_on {
            let target = self.manifest.services.get(other);
            let ready =
                target.is_some_and(|target| database(target).is_some() && target.readiness_probe().is_some());
            if ready && dependency.condition == Condition::ServiceStarted {
                let message = format!("{other} runs before it answers");
                let given = format!("{at}.depends_on.{other}.condition");
                let field =
                    if self.root.value_at(&given).is_some() { given } else { format!("{at}.depends_on") };
                self.say_fixed(Rule::StartedOnly, &field, message, "service_healthy");
            }
        }
        if database(service).is_some() && service.stop_grace_period.0 < GRACE {
            let message = format!("it is killed after {} s", service.stop_grace_period.0.as_secs());
            self.say_fixed(Rule::ShortGrace, &format!("{at}.stop_grace_period"), message, "60s");
        }
    }

    fn shell(&mut self, at: &str, test: &Test) {
        if !test.needs_shell() {
            return;
        }
        let field = format!("{at}.healthcheck.test");
        let message = "this check needs a shell, which small images do not have";
        // A text without anything for a shell to do is the same without one.
        match test {
            Test::Shell(text) if !text.contains(|c| SHELL.contains(c)) => match shlex::split(text) {
                Some(words) if !words.is_empty() => {
                    let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
                    self.say_fixed(
                        Rule::ShellProbe,
                        &field,
                        message,
                        &format!("[CMD, {}]", words.join(", ")),
                    );
                }
                _ => self.say(Rule::ShellProbe, &field, message),
            },
            _ => self.say(Rule::ShellProbe, &field, message),
        }
    }
}
