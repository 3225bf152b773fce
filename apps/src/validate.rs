//! What a manifest says, and whether its parts fit each other. Each rule has a name, a place and a remedy; all that are
//! broken are told.

mod gate;
mod lifecycle;
mod mount;
mod name;
mod port;
mod probe;
mod require;
mod service;
mod supply;
mod template;
mod top;

use crate::{Manifest, manifest::Service, rule::Rule, yaml::shown};
use protocol::{Problem, ServiceName};
use std::collections::BTreeSet;

pub(crate) use service::env_lines;

/// All broken rules.
pub(crate) fn validate(manifest: &Manifest) -> Vec<Problem> {
    let mut check = Check { manifest, problems: Vec::new() };
    check.top();
    check.supply();
    check.requires();
    for (name, service) in &manifest.services {
        let at = format!("services.{name}");
        check.service(&at, service);
        check.mounts(&at, service);
        check.probes(&at, service);
        check.dependencies(name, service);
    }
    check.ports();
    check.order();
    check.names();
    check.interfaces();
    check.gates();
    check.lifecycle();
    check.problems
}

struct Check<'a> {
    manifest: &'a Manifest,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    fn say(&mut self, rule: Rule, field: &str, message: impl Into<String>, remedy: &str) {
        self.problems.push(rule.problem(field, message, remedy));
    }

    /// A name that stands for something that has to be declared under another key.
    fn declared(&mut self, rule: Rule, field: &str, what: &str, name: &str, known: bool) {
        if !known {
            let message = format!("{what} {:?} is not declared", shown(name));
            self.say(rule, field, message, &format!("add it under {what}s:"));
        }
    }

    /// The service of the given name, or the only one where none is named.
    fn target(&mut self, field: &str, name: Option<&ServiceName>) -> Option<&'a Service> {
        let services = &self.manifest.services;
        let found = match name {
            Some(name) => services.get(name),
            None if services.len() == 1 => services.values().next(),
            None => None,
        };
        if found.is_none() {
            let message = match name {
                Some(name) => format!("there is no service {name}"),
                None => "it is not said which service is meant".to_owned(),
            };
            self.say(Rule::UnknownService, field, message, "name a service of this manifest");
        }
        found
    }

    /// Names in a list, each of which should stand there once.
    fn once<T: Ord + std::fmt::Display>(&mut self, field: &str, list: &[T]) {
        let mut seen = BTreeSet::new();
        for (i, one) in list.iter().enumerate() {
            if !seen.insert(one) {
                let message = format!("{} stands twice", shown(&one.to_string()));
                self.say(Rule::Repeated, &format!("{field}[{i}]"), message, "keep one of the two");
            }
        }
    }

    fn command(&mut self, field: &str, command: &[String]) {
        if command.first().is_none_or(String::is_empty) {
            self.say(Rule::Command, field, "the command is empty", "name a program");
        }
    }

    fn container_path(&mut self, field: &str, path: &str) {
        if let Err(message) = crate::policy::path::in_container(path) {
            let remedy = "use an absolute path without '.', '..', ':' and ',', outside /proc, /sys and /dev";
            self.say(Rule::ContainerPath, field, message, remedy);
        }
    }

    /// `uid[:gid]`, in numbers or names.
    fn user(&mut self, field: &str, user: &str) {
        let good = |part: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
            !part.is_empty() && part.len() <= 32 && part.chars().all(plain) && !part.starts_with('-')
        };
        if user.split(':').count() > 2 || !user.split(':').all(good) {
            let message = format!("{:?} is no user", shown(user));
            self.say(Rule::User, field, message, "write it like 1000:1000 or postgres");
        }
    }
}
