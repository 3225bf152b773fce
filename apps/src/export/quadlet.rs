//! An app as Quadlet units.
//!
//! Every text of a manifest is written through [`value`] or [`quoted`]: none can begin a line, a key or a section.

use super::{by_hand, whole};
use crate::{ContainerSpec, ExportFile, Manifest, MountSource, PortProtocol, Rendered, manifest::Condition};
use std::fmt::Write;

pub(super) fn files(manifest: &Manifest, rendered: &Rendered) -> Vec<ExportFile> {
    let mut files = Vec::new();
    for name in rendered.networks.iter().chain(&rendered.shared_networks) {
        let internal = manifest.networks.iter().any(|(own, network)| {
            network.unwrap_or_default().internal && format!("{}_{own}", manifest.id) == *name
        });
        let mut unit = Unit::new("A network of the app.");
        unit.section("Network");
        unit.line("NetworkName", &value(name));
        if internal {
            unit.line("Internal", "true");
        }
        files.push(unit.file(format!("{name}.network")));
    }
    for name in &rendered.volumes {
        let mut unit = Unit::new("A volume of the app.");
        unit.section("Volume");
        unit.line("VolumeName", &value(name));
        files.push(unit.file(format!("{name}.volume")));
    }
    for service in &rendered.services {
        let mut unit = Unit::new(&format!("{} {}: {}", manifest.id, manifest.version, service.service));
        for note in by_hand(manifest, rendered) {
            unit.comment(&format!("By hand: {note}."));
        }
        unit.section("Unit");
        unit.line("Description", &value(&format!("{} ({})", manifest.name, service.service)));
        for (other, condition) in &service.depends_on {
            let Some(target) = rendered.services.iter().find(|one| one.service == *other) else { continue };
            let target = value(&format!("{}.service", target.spec.name));
            unit.line(if *condition == Condition::ServiceStarted { "Wants" } else { "Requires" }, &target);
            unit.line("After", &target);
        }
        unit.section("Container");
        container(&mut unit, &whole(service));
        if let Some((probe, exec)) =
            service.readiness.as_ref().and_then(|probe| Some((probe, probe.exec.as_ref()?)))
        {
            // A list in JSON is a command without a shell.
            let words: Vec<String> = exec.command.iter().map(|word| json(word)).collect();
            unit.line("HealthCmd", &literal(&format!("[{}]", words.join(","))));
            unit.line("HealthInterval", &format!("{}s", probe.period_seconds));
            unit.line("HealthTimeout", &format!("{}s", probe.timeout_seconds));
            unit.line("HealthRetries", &probe.failure_threshold.to_string());
            unit.line("Notify", "healthy");
        }
        unit.section("Service");
        unit.line("Restart", "always");
        unit.line("TimeoutStopSec", &(service.spec.stop_grace.as_secs() + 15).to_string());
        // The first start fetches the image.
        unit.line("TimeoutStartSec", "900");
        unit.section("Install");
        unit.line("WantedBy", "default.target");
        files.push(unit.file(format!("{}.container", service.spec.name)));
    }
    files
}

fn container(unit: &mut Unit, spec: &ContainerSpec) {
    unit.line("ContainerName", &value(&spec.name));
    unit.line("Image", &value(&spec.image));
    if let Some(words) = &spec.entrypoint {
        let words: Vec<String> = words.iter().map(|word| json(word)).collect();
        unit.line("Entrypoint", &literal(&format!("[{}]", words.join(","))));
    }
    if let Some(words) = &spec.command {
        // A dollar would be a variable of the unit there.
        let words: Vec<String> = words.iter().map(|word| quoted(word).replace('$', "$$")).collect();
        unit.line("Exec", &words.join(" "));
    }
    spec.environment
        .iter()
        .for_each(|(key, text)| unit.line("Environment", &quoted(&format!("{key}={text}"))));
    spec.labels.iter().for_each(|(key, text)| unit.line("Label", &quoted(&format!("{key}={text}"))));
    if let Some(user) = &spec.user {
        let (user, group) = user.split_once(':').unwrap_or((user.as_str(), ""));
        unit.line("User", &value(user));
        if !group.is_empty() {
            unit.line("Group", &value(group));
        }
    }
    for (key, text) in
        [("WorkingDir", &spec.working_dir), ("HostName", &spec.hostname), ("StopSignal", &spec.stop_signal)]
    {
        if let Some(text) = text {
            unit.line(key, &value(text));
        }
    }
    unit.line("RunInit", if spec.init { "true" } else { "false" });
    for port in &spec.ports {
        let host = match port.host_ip.as_str() {
            "" => String::new(),
            ip if ip.contains(':') => format!("[{ip}]:"),
            ip => format!("{ip}:"),
        };
        let protocol = if port.protocol == PortProtocol::Udp { "/udp" } else { "" };
        unit.line("PublishPort", &value(&format!("{host}{}:{}{protocol}", port.published, port.target)));
    }
    for mount in &spec.mounts {
        let source = match &mount.source {
            MountSource::Volume(name) => format!("{name}.volume"),
            MountSource::Bind(path) => path.display().to_string(),
        };
        let mode = if mount.read_only { "ro" } else { "rw" };
        let chown = if mount.chown { ",U" } else { "" };
        unit.line("Volume", &value(&format!("{source}:{}:{mode}{chown}", mount.target)));
    }
    spec.tmpfs.iter().for_each(|path| unit.line("Tmpfs", &value(path)));
    for secret in &spec.secrets {
        let place = format!("uid={},gid={},mode={:04o}", secret.uid, secret.gid, secret.mode);
        unit.line(
            "Secret",
            &value(&format!("{},type=mount,target={},{place}", secret.source, secret.target)),
        );
    }
    for (key, name) in &spec.secret_env {
        unit.line("Secret", &value(&format!("{name},type=env,target={key}")));
    }
    for (network, aliases) in &spec.networks {
        let names: Vec<String> = aliases
            .iter()
            // The engine knows the container's own name; said twice it would be answered twice.
            .filter(|alias| **alias != spec.name)
            .map(|alias| format!("alias={alias}"))
            .collect();
        let names = if names.is_empty() { String::new() } else { format!(":{}", names.join(",")) };
        unit.line("Network", &value(&format!("{network}.network{names}")));
    }
    if spec.no_network {
        unit.line("Network", "none");
    }
    unit.line("DropCapability", "all");
    spec.cap_add.iter().for_each(|cap| unit.line("AddCapability", &value(cap)));
    unit.line("NoNewPrivileges", "true");
    if spec.read_only {
        unit.line("ReadOnly", "true");
    }
    unit.line("StopTimeout", &spec.stop_grace.as_secs().to_string());
    spec.devices.iter().for_each(|device| unit.line("AddDevice", &value(device)));
    spec.sysctls.iter().for_each(|(key, text)| unit.line("Sysctl", &quoted(&format!("{key}={text}"))));
    spec.ulimits
        .iter()
        .for_each(|(key, (soft, hard))| unit.line("Ulimit", &value(&format!("{key}={soft}:{hard}"))));
    if let Some(size) = spec.shm_size {
        unit.line("ShmSize", &size.to_string());
    }
    if let Some(pids) = spec.pids {
        unit.line("PidsLimit", &pids.to_string());
    }
    // These two have no key of their own in Podman 5.4.
    if let Some(memory) = spec.memory {
        unit.line("PodmanArgs", &format!("--memory={memory}"));
    }
    if let Some(millis) = spec.cpu_millis {
        unit.line("PodmanArgs", &format!("--cpus={}.{:03}", millis / 1000, millis % 1000));
    }
}

/// A unit that is being written.
struct Unit(String);

impl Unit {
    fn new(comment: &str) -> Self {
        let mut unit = Self(String::new());
        unit.comment(comment);
        unit
    }

    fn comment(&mut self, text: &str) {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        // A backslash at the end would take the next line in.
        let _ = writeln!(self.0, "# {}", text.trim_end_matches('\\'));
    }

    fn section(&mut self, name: &str) {
        let _ = write!(self.0, "\n[{name}]\n");
    }

    fn line(&mut self, key: &str, text: &str) {
        let _ = writeln!(self.0, "{key}={text}");
    }

    fn file(self, name: String) -> ExportFile {
        ExportFile { name, text: self.0 }
    }
}

/// A text that stands for itself to the end of the line: only systemd's `%` means something, and the end.
fn literal(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.replace('%', "%%");
    // A backslash at the end would take the next line in; a space ends the line without it.
    if line.ends_with('\\') { format!("{line} ") } else { line }
}

/// A text as one value: as it is where nothing in it could be misread, else quoted.
pub(super) fn value(text: &str) -> String {
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && !"\"'\\".contains(c);
    let simple = !text.is_empty() && text.chars().all(plain);
    if simple { text.replace('%', "%%") } else { literal(text.trim()) }
}

/// A text as one word of a value that is split into words.
pub(super) fn quoted(text: &str) -> String {
    let mut word = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => word.push_str("\\\""),
            '\\' => word.push_str("\\\\"),
            '\n' => word.push_str("\\n"),
            '\t' => word.push_str("\\t"),
            '\r' => word.push_str("\\r"),
            '%' => word.push_str("%%"),
            c if c.is_control() => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(word, "\\x{byte:02x}");
                }
            }
            c => word.push(c),
        }
    }
    word.push('"');
    word
}

fn json(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}
