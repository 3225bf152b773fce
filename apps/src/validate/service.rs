//! One container: its image, its process, its limits.

use super::Check;
use crate::{
    manifest::{NetworkMode, PullPolicy, Service},
    rule::Rule,
    yaml::shown,
};
use std::time::Duration;

/// Longest grace before a container is killed; a stop may take it and some seconds more.
const MAX_GRACE: Duration = Duration::from_secs(3600);
/// Signals that ask a process to end, without their prefix.
const SIGNALS: &[&str] = &["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH", "KILL"];
/// Limits of processes that Linux knows.
const ULIMITS: &[&str] = &[
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];
/// Least memory with which a container starts.
const MIN_MEMORY: u64 = 6 << 20;

/// Whether an environment variable can be called so.
pub(super) fn is_env_name(key: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !key.is_empty() && key.chars().all(good) && !key.starts_with(|c: char| c.is_ascii_digit())
}

/// The variables of an environment file, or the number of the first line that is none.
pub(crate) fn env_lines(text: &str) -> Result<Vec<(&str, &str)>, usize> {
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let pair = |(i, line): (usize, &'_ str)| -> Result<(usize, usize), usize> {
        let name = line.split_once('=').map(|(name, _)| name).filter(|name| is_env_name(name));
        name.map(|name| (i, name.len())).ok_or(i + 1)
    };
    let all: Vec<&str> = text.lines().map(str::trim).collect();
    let found: Result<Vec<(usize, usize)>, usize> = lines.map(pair).collect();
    let split = |(i, length): (usize, usize)| all.get(i).map(|line| (&line[..length], &line[length + 1..]));
    Ok(found?.into_iter().filter_map(split).collect())
}

impl Check<'_> {
    pub(super) fn service(&mut self, at: &str, service: &Service) {
        self.image(at, service);
        self.process(at, service);
        self.environment(at, service);
        self.service_texts(at, service);
        self.limits(at, service);
        for network in service.networks.keys() {
            let known = self.manifest.networks.contains_key(network);
            let field = format!("{at}.networks.{network}");
            self.declared(Rule::UnknownNetwork, &field, "network", network, known);
        }
        let alone = service.network_mode == NetworkMode::None;
        let field = format!("{at}.network_mode");
        if service.network_mode != NetworkMode::Bridge && !service.networks.is_empty() {
            self.say(Rule::NetworkMode, &field, "networks are given as well", "keep one of the two");
        }
        if alone && !service.ports.is_empty() {
            let message = "a container without a network publishes no ports";
            self.say(Rule::NetworkMode, &field, message, "remove ports or network_mode");
        }
    }

    fn image(&mut self, at: &str, service: &Service) {
        match (&service.image, &service.build) {
            (None, None) => {
                let remedy = "add image: with a reference, or build: with a context";
                let message = "neither image nor build is given";
                self.say(Rule::ImageMissing, &format!("{at}.image"), message, remedy);
            }
            (Some(_), Some(_)) => {
                let message = "both image and build are given";
                self.say(Rule::ImageOrBuild, &format!("{at}.build"), message, "keep one");
            }
            (Some(image), None) => {
                let good = |c: char| c.is_ascii_alphanumeric() || "._-/:@+".contains(c);
                let edge = |c: char| c.is_ascii_alphanumeric();
                if !image.chars().all(good) || !image.starts_with(edge) || !image.ends_with(edge) {
                    let message = format!("{:?} is no image reference", shown(image));
                    let remedy = "write it like registry/name:tag@sha256:...";
                    self.say(Rule::Image, &format!("{at}.image"), message, remedy);
                }
                if service.pull_policy == PullPolicy::Build {
                    let message = "there is nothing to build";
                    self.say(
                        Rule::PullPolicy,
                        &format!("{at}.pull_policy"),
                        message,
                        "add build: or remove it",
                    );
                }
            }
            (None, Some(build)) => {
                if matches!(service.pull_policy, PullPolicy::Always | PullPolicy::Never) {
                    let message = "an image that is built here is not pulled";
                    self.say(
                        Rule::PullPolicy,
                        &format!("{at}.pull_policy"),
                        message,
                        "use build or remove it",
                    );
                }
                for key in build.args.keys() {
                    self.env_name(&format!("{at}.build.args.{key}"), key);
                }
            }
        }
    }

    fn process(&mut self, at: &str, service: &Service) {
        for (key, command) in [("entrypoint", &service.entrypoint), ("command", &service.command)] {
            // An empty list takes the image's own away, which is what compose means by it.
            if command.as_ref().is_some_and(|words| words.first().is_some_and(String::is_empty)) {
                self.command(&format!("{at}.{key}"), &[]);
            }
        }
        for (key, hooks) in [("post_start", &service.post_start), ("pre_stop", &service.pre_stop)] {
            for (i, hook) in hooks.iter().enumerate() {
                let at = format!("{at}.{key}[{i}]");
                self.command(&format!("{at}.command"), &hook.command);
                if let Some(user) = &hook.user {
                    self.user(&format!("{at}.user"), user);
                }
                if let Some(dir) = &hook.working_dir {
                    self.container_path(&format!("{at}.working_dir"), dir);
                }
            }
        }
        if service.stop_grace_period.0 > MAX_GRACE {
            let field = format!("{at}.stop_grace_period");
            self.say(Rule::Grace, &field, "longer than an hour", "use at most 1h");
        }
        if let Some(signal) = &service.stop_signal {
            let name = signal.strip_prefix("SIG").unwrap_or(signal);
            if !SIGNALS.contains(&name) {
                let message = format!("{:?} is no signal that asks for an end", shown(signal));
                let field = format!("{at}.stop_signal");
                self.say(Rule::StopSignal, &field, message, "use SIGTERM, SIGINT or the like");
            }
        }
        if let Some(hostname) = &service.hostname {
            self.name(&format!("{at}.hostname"), hostname);
        }
        if let Some(dir) = &service.working_dir {
            self.container_path(&format!("{at}.working_dir"), dir);
        }
        if let Some(user) = &service.user {
            self.user(&format!("{at}.user"), user);
        }
    }

    fn env_name(&mut self, field: &str, key: &str) {
        if !is_env_name(key) {
            let message = format!("{:?} is no name of an environment variable", shown(key));
            self.say(Rule::Environment, field, message, "use A-Z, a-z, 0-9 and _");
        }
    }

    fn environment(&mut self, at: &str, service: &Service) {
        for key in service.environment.keys() {
            self.env_name(&format!("{at}.environment.{key}"), key);
        }
        for (i, name) in service.env_file.iter().enumerate() {
            let field = format!("{at}.env_file[{i}]");
            match self.manifest.configs.get(name) {
                None => {
                    let message = format!("file {:?} is not declared", shown(name));
                    let remedy = "add it under configs:, files of the host are not read";
                    self.say(Rule::UnknownConfig, &field, message, remedy);
                }
                Some(config) => match config.content.as_deref().map(env_lines) {
                    Some(Ok(_)) => {}
                    Some(Err(line)) => {
                        let message = format!("line {line} of the file is not NAME=value");
                        self.say(Rule::EnvFile, &field, message, "mend the line, or begin it with #");
                    }
                    None => {
                        let message = "the file's text has to stand in the manifest";
                        self.say(Rule::EnvFile, &field, message, "use content: instead of file:");
                    }
                },
            }
        }
        for (key, value) in &service.labels {
            let good = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
            let field = format!("{at}.labels.{key}");
            if key.is_empty() || !key.chars().all(good) || value.contains('\n') {
                self.say(
                    Rule::Label,
                    &field,
                    "this is no label",
                    "use letters, digits, '.', '_', '-' and '/'",
                );
            } else if key.starts_with("archipelago.") || key.starts_with("io.podman.") {
                self.say(
                    Rule::Label,
                    &field,
                    "labels that begin so are not the app's",
                    "choose another name",
                );
            }
        }
    }

    fn limits(&mut self, at: &str, service: &Service) {
        let limits = &service.deploy.resources.limits;
        let field = format!("{at}.deploy.resources.limits");
        if limits.memory.is_some_and(|memory| memory.0 < MIN_MEMORY) {
            let message = "no container starts with so little";
            self.say(Rule::Limit, &format!("{field}.memory"), message, "use 6M or more");
        }
        if limits.pids == Some(0) {
            self.say(Rule::Limit, &format!("{field}.pids"), "no process could run", "use 1 or more");
        }
        if service.shm_size.is_some_and(|size| size.0 == 0) {
            self.say(Rule::Limit, &format!("{at}.shm_size"), "this is nothing", "use 64M or more");
        }
        for (name, limit) in &service.ulimits {
            let field = format!("{at}.ulimits.{name}");
            if !ULIMITS.contains(&name.as_str()) {
                let message = format!("{:?} is no limit of Linux", shown(name));
                self.say(Rule::Limit, &field, message, "use nofile, nproc, memlock or the like");
            }
            if limit.soft > limit.hard {
                self.say(Rule::Limit, &field, "soft is above hard", "raise hard or lower soft");
            }
        }
        for (name, value) in &service.sysctls {
            if value.is_empty() || value.contains('\n') {
                let field = format!("{at}.sysctls.{name}");
                self.say(Rule::Limit, &field, "this is no value of a kernel setting", "write one");
            }
        }
    }
}
