//! From a [`ContainerSpec`] to the engine's words.

use apps::{ContainerSpec, Mount, MountSource, PortProtocol};
use podman_api::{
    models::{ContainerMount, NamedVolume, Namespace, PerNetworkOptions, PortMapping, Secret},
    models::{LinuxCpu, LinuxMemory, LinuxPids, LinuxResources},
    opts::{ContainerCreateOpts, ContainerRestartPolicy, SocketNotifyMode, SystemdEnabled},
};
use serde_json::{Value, json};

/// A log file is cut when it reaches this; enough to see why something died, too little to fill a disk.
const LOG_BYTES: u64 = 10_000_000;

/// The window in which processor time is counted; Linux' own default.
const CPU_PERIOD_MICROS: i64 = 100_000;

/// The JSON to create a container from, or why it cannot be made.
pub(super) fn create_body(spec: &ContainerSpec) -> Result<Value, String> {
    let mut options = ContainerCreateOpts::builder()
        .name(&spec.name)
        .image(&spec.image)
        .env(&spec.environment)
        .labels(&spec.labels)
        .init(spec.init)
        .read_only_fs(spec.read_only)
        .drop_capabilities(["ALL"])
        .add_capabilities(&spec.cap_add)
        // The tree alone restarts.
        .restart_policy(ContainerRestartPolicy::No)
        // Neither the image's command nor our own environment may change how a container is run.
        .systemd(SystemdEnabled::False)
        .sdnotify_mode(SocketNotifyMode::Ignore)
        .stop_timeout(spec.stop_grace.as_secs())
        .portmappings(spec.ports.iter().map(|port| {
            PortMapping {
                container_port: Some(port.target),
                host_ip: Some(port.host_ip.clone()),
                host_port: Some(port.published),
                protocol: Some(
                    match port.protocol {
                        PortProtocol::Tcp => "tcp",
                        PortProtocol::Udp => "udp",
                    }
                    .to_owned(),
                ),
                range: None,
            }
        }))
        .secrets(spec.secrets.iter().map(|secret| Secret {
            source: Some(secret.source.clone()),
            target: Some(secret.target.clone()),
            uid: Some(secret.uid),
            gid: Some(secret.gid),
            mode: Some(secret.mode),
        }))
        .volumes(spec.mounts.iter().filter_map(named_volume))
        .mounts(spec.mounts.iter().filter_map(bind).chain(tmpfs(spec)));

    if let Some(entrypoint) = &spec.entrypoint {
        options = options.entrypoint(entrypoint);
    }
    if let Some(command) = &spec.command {
        options = options.command(command);
    }
    if let Some(user) = &spec.user {
        options = options.user(user);
    }
    if let Some(folder) = &spec.working_dir {
        options = options.work_dir(folder);
    }
    if let Some(hostname) = &spec.hostname {
        options = options.hostname(hostname);
    }
    if let Some(signal) = &spec.stop_signal {
        options =
            options.stop_signal(signal_number(signal).ok_or_else(|| format!("invalid signal: {signal}"))?);
    }
    if let Some(anchor) = &spec.network_of {
        options = options
            .net_namespace(Namespace { nsmode: Some("container".to_owned()), value: Some(anchor.clone()) });
    } else if spec.no_network {
        options = options.net_namespace(Namespace { nsmode: Some("none".to_owned()), value: None });
    } else if !spec.networks.is_empty() {
        options = options
            .net_namespace(Namespace { nsmode: Some("bridge".to_owned()), value: None })
            .networks(spec.networks.iter().map(|(name, aliases)| (name, per_network(spec, aliases))));
    }
    if let Some(limits) = limits(spec) {
        options = options.resource_limits(limits);
    }

    let body = options.build().serialize().map_err(|error| error.to_string())?;
    let mut body: Value = serde_json::from_str(&body).map_err(|error| error.to_string())?;
    // Gap: `no_new_privilages()` sends a misspelt key, which the engine ignores.
    body["no_new_privileges"] = json!(true);
    // Gap: `log_configuration()` sends Docker's keys, which the engine ignores.
    // `k8s-file` works without journald, can be followed, and is cut at its size.
    body["log_configuration"] = json!({ "driver": "k8s-file", "size": LOG_BYTES });
    rest(spec, &mut body);
    Ok(body)
}

/// What the builder has no words for, or other ones than the engine. What is not asked for is left out.
fn rest(spec: &ContainerSpec, body: &mut Value) {
    if !spec.secret_env.is_empty() {
        body["secret_env"] = json!(spec.secret_env);
    }
    if let Some(bytes) = spec.shm_size {
        body["shm_size"] = json!(bytes);
    }
    if !spec.sysctls.is_empty() {
        body["sysctl"] = json!(spec.sysctls);
    }
    if !spec.devices.is_empty() {
        let devices = spec.devices.iter().map(|device| json!({ "path": device }));
        body["devices"] = devices.collect();
    }
    if !spec.ulimits.is_empty() {
        // The engine puts RLIMIT_ before the name, even where it stands there already.
        let limit = |(name, (soft, hard)): (&String, &(u64, u64))| json!({ "type": name.to_ascii_uppercase(), "soft": soft, "hard": hard });
        body["r_limits"] = spec.ulimits.iter().map(limit).collect();
    }
}

fn named_volume(mount: &Mount) -> Option<NamedVolume> {
    let MountSource::Volume(name) = &mount.source else { return None };
    Some(NamedVolume {
        name: Some(name.clone()),
        dest: Some(mount.target.clone()),
        options: Some(access(mount)),
        is_anonymous: None,
    })
}

fn bind(mount: &Mount) -> Option<ContainerMount> {
    let MountSource::Bind(path) = &mount.source else { return None };
    Some(ContainerMount {
        destination: Some(mount.target.clone()),
        source: Some(path.display().to_string()),
        options: Some([vec!["rbind".to_owned()], access(mount)].concat()),
        _type: Some("bind".to_owned()),
        uid_mappings: None,
        gid_mappings: None,
    })
}

fn access(mount: &Mount) -> Vec<String> {
    let mut options = vec![if mount.read_only { "ro" } else { "rw" }.to_owned()];
    if mount.chown {
        options.push("U".to_owned());
    }
    options
}

fn tmpfs(spec: &ContainerSpec) -> impl Iterator<Item = ContainerMount> {
    let asked = spec.tmpfs.iter().map(|path| (path.clone(), "mode=1777"));
    asked.chain(secrets_folder(spec)).map(|(path, mode)| ContainerMount {
        destination: Some(path),
        source: Some("tmpfs".to_owned()),
        options: Some(["rw", "nosuid", "nodev", mode].map(str::to_owned).to_vec()),
        _type: Some("tmpfs".to_owned()),
        uid_mappings: None,
        gid_mappings: None,
    })
}

/// Podman 4.3 makes no mount point in the folder of secrets where the root is read-only (EROFS): it is given a
/// tmpfs of its own. One on `/run` does not help.
fn secrets_folder(spec: &ContainerSpec) -> Option<(String, &'static str)> {
    let inside = |target: &str| !target.starts_with('/') || target.starts_with("/run/secrets/");
    let needed = spec.read_only
        && spec.secrets.iter().any(|secret| inside(&secret.target))
        && !spec.tmpfs.iter().any(|path| path.trim_end_matches('/') == "/run/secrets");
    needed.then(|| ("/run/secrets".to_owned(), "mode=0755"))
}

fn per_network(spec: &ContainerSpec, aliases: &[String]) -> PerNetworkOptions {
    // The container's own name resolves anyway; said twice, it is answered twice.
    let aliases = aliases.iter().filter(|alias| **alias != spec.name).cloned().collect();
    PerNetworkOptions { aliases: Some(aliases), interface_name: None, static_ips: None, static_mac: None }
}

fn limits(spec: &ContainerSpec) -> Option<LinuxResources> {
    if spec.memory.is_none() && spec.pids.is_none() && spec.cpu_millis.is_none() {
        return None;
    }
    Some(LinuxResources {
        memory: spec.memory.map(|bytes| LinuxMemory {
            limit: Some(i64::try_from(bytes).unwrap_or(i64::MAX)),
            disable_oom_killer: None,
            kernel: None,
            kernel_tcp: None,
            reservation: None,
            swap: None,
            swappiness: None,
            use_hierarchy: None,
        }),
        pids: spec.pids.map(|count| LinuxPids { limit: Some(i64::from(count)) }),
        block_io: None,
        cpu: spec.cpu_millis.map(|millis| LinuxCpu {
            quota: Some(i64::from(millis) * CPU_PERIOD_MICROS / 1000),
            period: u64::try_from(CPU_PERIOD_MICROS).ok(),
            cpus: None,
            mems: None,
            realtime_period: None,
            realtime_runtime: None,
            shares: None,
        }),
        devices: None,
        hugepage_limits: None,
        network: None,
        rdma: None,
        unified: None,
    })
}

/// The number that the engine wants for a signal, as Linux counts on x86 and ARM.
fn signal_number(signal: &str) -> Option<i64> {
    let name = signal.strip_prefix("SIG").unwrap_or(signal);
    let number = match name {
        "HUP" => 1,
        "INT" => 2,
        "QUIT" => 3,
        "ABRT" => 6,
        "KILL" => 9,
        "USR1" => 10,
        "USR2" => 12,
        "PIPE" => 13,
        "ALRM" => 14,
        "TERM" => 15,
        "CONT" => 18,
        "STOP" => 19,
        "TSTP" => 20,
        "WINCH" => 28,
        "PWR" => 30,
        "RTMIN" => 34,
        "RTMAX" => 64,
        name => match name.strip_prefix("RTMIN+") {
            Some(offset) => 34 + offset.parse::<i64>().ok()?,
            None => name.parse().ok()?,
        },
    };
    (1..=64).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests;
