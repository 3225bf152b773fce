//! What no app may do, however its manifest is written.
//!
//! Kept apart from syntax: the format has these keys, so that a manifest that uses one is told which policy refuses
//! it, and so that a grant by the owner of a node would have one place to change.

pub(crate) mod path;

use crate::{
    Manifest,
    manifest::{Device, NetworkMode, Service, VolumeType},
    rule::Rule,
    template::Template,
    yaml::shown,
};
use path::inside;
use protocol::Problem;

/// Capabilities that containers of an app may keep.
pub(crate) const CAPABILITIES: &[&str] =
    &["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID", "SETPCAP"];

/// Devices that containers of an app may have; a trailing `#` stands for a number.
pub(crate) const DEVICES: &[&str] = &[
    "/dev/dri",
    "/dev/dri/card#",
    "/dev/dri/renderD#",
    "/dev/net/tun",
    "/dev/snd",
    "/dev/ttyACM#",
    "/dev/ttyUSB#",
    "/dev/video#",
];

/// Kernel settings that belong to a container's own namespaces.
pub(crate) const SYSCTLS: &[&str] = &["net.", "fs.mqueue.", "kernel.msg", "kernel.sem", "kernel.shm"];

/// All broken policies.
pub(crate) fn check(manifest: &Manifest) -> Vec<Problem> {
    let mut check = Check { problems: Vec::new() };
    for (name, service) in &manifest.services {
        let at = format!("services.{name}");
        check.rights(&at, service);
        check.namespaces(&at, service);
        check.paths(&at, service);
        check.secrets(&at, manifest, service);
    }
    for (i, device) in manifest.requirements.devices.iter().enumerate() {
        check.device(&format!("requirements.devices[{i}]"), device);
    }
    if let Some(icon) = &manifest.metadata.icon {
        check.inside("metadata.icon", icon);
    }
    for (name, config) in &manifest.configs {
        if let Some(file) = &config.file {
            check.inside(&format!("configs.{name}.file"), file);
        }
    }
    for (i, hook) in manifest.hooks.post_install.iter().enumerate() {
        if let Some(copy) = &hook.copy_from_host {
            check.inside(&format!("hooks.post_install[{i}].copy_from_host.src"), &copy.src);
        }
    }
    for (i, path) in manifest.backup.include.iter().enumerate() {
        check.inside(&format!("backup.include[{i}]"), path);
    }
    check.nested(manifest);
    for (i, path) in manifest.backup.exclude.iter().enumerate() {
        check.inside(&format!("backup.exclude[{i}]"), path);
    }
    check.problems
}

struct Check {
    problems: Vec<Problem>,
}

impl Check {
    fn say(&mut self, rule: Rule, field: &str, message: impl Into<String>, remedy: &str) {
        self.problems.push(rule.problem(field, message, remedy));
    }

    fn rights(&mut self, at: &str, service: &Service) {
        let hooks = [("post_start", &service.post_start), ("pre_stop", &service.pre_stop)];
        let hooks = hooks.iter().flat_map(|(key, hooks)| {
            let wants = hooks.iter().enumerate().filter(|(_, hook)| hook.privileged);
            wants.map(move |(i, _)| format!("{at}.{key}[{i}].privileged"))
        });
        let whole = service.privileged.then(|| format!("{at}.privileged"));
        for field in whole.into_iter().chain(hooks) {
            let remedy = "name what is needed under cap_add and devices, as far as policy allows it";
            self.say(Rule::Privileged, &field, "privileged containers are refused by policy", remedy);
        }
        for (i, cap) in service.cap_add.iter().enumerate() {
            let bare = cap.strip_prefix("CAP_").unwrap_or(cap);
            if !CAPABILITIES.contains(&bare) {
                let message = format!("capability {:?} is refused by policy", shown(cap));
                let remedy = format!("the app has to do without it; allowed are {}", CAPABILITIES.join(", "));
                self.say(Rule::Capability, &format!("{at}.cap_add[{i}]"), message, &remedy);
            }
        }
        for (i, option) in service.security_opt.iter().enumerate() {
            if !matches!(
                option.as_str(),
                "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true"
            ) {
                let message = format!("security option {:?} is refused by policy", shown(option));
                let remedy = "remove it: the engine's own confinement holds, and no-new-privileges always";
                self.say(Rule::SecurityOpt, &format!("{at}.security_opt[{i}]"), message, remedy);
            }
        }
        for (i, Device { source, target, permissions }) in service.devices.iter().enumerate() {
            let field = format!("{at}.devices[{i}]");
            self.device(&field, source);
            let good = |target: &String| target.starts_with("/dev/") && path::plain(target);
            if target.as_ref().is_some_and(|target| !good(target)) {
                self.say(Rule::Device, &field, "a device belongs under /dev", "use a path like /dev/ttyUSB0");
            }
            let known = |p: &String| !p.is_empty() && p.len() <= 3 && p.chars().all(|c| "rwm".contains(c));
            if permissions.as_ref().is_some_and(|permissions| !known(permissions)) {
                self.say(Rule::Device, &field, "these are no permissions of a device", "use rwm or less");
            }
        }
        for name in service.sysctls.keys() {
            if !SYSCTLS.iter().any(|own| name.starts_with(own)) || !path::plain(name) {
                let message = format!("kernel setting {:?} is refused by policy", shown(name));
                let remedy = "only those of the container's own namespaces can be set: net.*, kernel.shm* and the like";
                self.say(Rule::Sysctl, &format!("{at}.sysctls.{name}"), message, remedy);
            }
        }
    }

    fn device(&mut self, field: &str, device: &str) {
        let numbered = |pattern: &str| {
            let number = pattern.strip_suffix('#').and_then(|begin| device.strip_prefix(begin));
            number.is_some_and(|n| (1..=3).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()))
        };
        if !DEVICES.iter().any(|allowed| *allowed == device || numbered(allowed)) {
            let message = format!("device {:?} is refused by policy", shown(device));
            let remedy = format!("allowed are {} (# is a number)", DEVICES.join(", "));
            self.say(Rule::Device, field, message, &remedy);
        }
    }

    fn namespaces(&mut self, at: &str, service: &Service) {
        if service.network_mode == NetworkMode::Host {
            let message = "the host's network is refused by policy";
            let remedy = "publish the ports that are needed under ports:";
            self.say(Rule::HostNetwork, &format!("{at}.network_mode"), message, remedy);
        }
        let given = [
            (Rule::HostPid, "pid", &service.pid),
            (Rule::HostIpc, "ipc", &service.ipc),
            (Rule::HostUts, "uts", &service.uts),
            (Rule::HostUserns, "userns_mode", &service.userns_mode),
            (Rule::Cgroup, "cgroup", &service.cgroup),
        ];
        for (rule, key, value) in given {
            if let Some(value) = value.as_ref().filter(|value| *value != "private") {
                let message = format!("{key} {:?} is refused by policy", shown(value));
                let remedy = "remove it: every container has namespaces of its own";
                self.say(rule, &format!("{at}.{key}"), message, remedy);
            }
        }
        if service.cgroup_parent.is_some() {
            let message = "another place in the cgroups is refused by policy";
            self.say(Rule::Cgroup, &format!("{at}.cgroup_parent"), message, "remove it");
        }
    }

    fn paths(&mut self, at: &str, service: &Service) {
        for (i, volume) in service.volumes.iter().enumerate() {
            if volume.r#type == VolumeType::Bind {
                self.inside(&format!("{at}.volumes[{i}].source"), &volume.source);
            }
        }
        if let Some(build) = &service.build {
            // A context that is the whole folder is usual.
            if build.context != "." {
                self.inside(&format!("{at}.build.context"), &build.context);
            }
            self.inside(&format!("{at}.build.dockerfile"), &build.dockerfile);
        }
    }

    /// What lies below a folder that a container writes may be a link by the time it is mounted or backed up.
    fn nested(&mut self, manifest: &Manifest) {
        let mut paths = Vec::new();
        let mut written = Vec::new();
        for (name, service) in &manifest.services {
            for (i, volume) in
                service.volumes.iter().enumerate().filter(|(_, it)| it.r#type == VolumeType::Bind)
            {
                paths.push((format!("services.{name}.volumes[{i}].source"), &volume.source));
                if !volume.read_only {
                    written.push(&volume.source);
                }
            }
        }
        let include = manifest.backup.include.iter().enumerate();
        paths.extend(include.map(|(i, path)| (format!("backup.include[{i}]"), path)));
        for (field, path) in paths {
            let below = |outer: &&&String| {
                path.strip_prefix(outer.as_str()).is_some_and(|rest| rest.starts_with('/'))
            };
            if let Some(outer) = written.iter().find(below) {
                let message =
                    format!("{:?} lies below {:?}, which a container may write", shown(path), shown(outer));
                let remedy = "use folders beside each other, or the outer one itself";
                self.say(Rule::PathNested, &field, message, remedy);
            }
        }
    }

    fn inside(&mut self, field: &str, path: &str) {
        if let Err((rule, message, remedy)) = inside(path) {
            self.say(rule, field, message, remedy);
        }
    }

    /// Everybody who can inspect a container reads its environment, its command and its labels.
    fn secrets(&mut self, at: &str, manifest: &Manifest, service: &Service) {
        let environment =
            service.environment.iter().map(|(key, text)| (format!("{at}.environment.{key}"), text));
        let labels = service.labels.iter().map(|(key, text)| (format!("{at}.labels.{key}"), text));
        let words = |key: &'static str, words: &Option<Vec<String>>| {
            let words = words.clone().unwrap_or_default().into_iter().enumerate();
            words.map(move |(i, text)| (format!("{at}.{key}[{i}]"), text)).collect::<Vec<_>>()
        };
        let (entrypoint, command) =
            (words("entrypoint", &service.entrypoint), words("command", &service.command));
        let shown = entrypoint.iter().chain(&command).map(|(field, text)| (field.clone(), text));
        for (field, text) in environment.chain(labels).chain(shown) {
            self.exposed(&field, text);
        }
        for (i, name) in service.env_file.iter().enumerate() {
            if let Some(text) = manifest.configs.get(name).and_then(|config| config.content.as_ref()) {
                self.exposed(&format!("{at}.env_file[{i}]"), text);
            }
        }
    }

    fn exposed(&mut self, field: &str, text: &str) {
        if Template::parse(text).is_ok_and(|template| template.has_secret()) {
            let message = "a secret would stand where everybody who inspects the container reads it";
            let remedy = "hand it over under secrets:, as a file or with env:";
            self.say(Rule::SecretExposed, field, message, remedy);
        }
    }
}
