//! Keys of compose that a manifest has not, and what their absence means.

/// Keys of a service that are left out, and why the app can do without.
pub(super) const DROPPED: &[(&str, &str)] = &[
    ("annotations", "annotations are for other engines"),
    ("attach", "it is about the terminal of compose"),
    ("blkio_config", "shares of disks are the machine's to give"),
    ("cpu_count", "only Windows knows it"),
    ("cpu_percent", "only Windows knows it"),
    ("cpu_shares", "shares between containers are the machine's to give"),
    ("cpuset", "which processors are used is the machine's to say"),
    ("develop", "it is for developing, not for running"),
    ("domainname", "a domain name changes what the container calls itself only"),
    ("logging", "the node keeps the logs, within bounds"),
    ("mem_reservation", "a reservation is no limit"),
    ("mem_swappiness", "swapping is the machine's to set"),
    ("memswap_limit", "swapping is the machine's to set"),
    ("oom_score_adj", "who is killed first is the machine's to say"),
    ("platform", "the image for the machine's own processor is used"),
    ("pull_refresh_after", "images change with updates only"),
    ("stdin_open", "nobody types into a container of a node"),
    ("tty", "nobody types into a container of a node"),
    ("mac_address", "addresses are the network's to give"),
    ("dns_opt", "names are resolved by the network's own server"),
    ("dns_search", "names are resolved by the network's own server"),
    ("x-casaos", "it is for the page of that platform; what is known of it is taken over"),
    ("x-runtipi", "it is for that platform alone"),
];

/// Keys of a service without which the app would be another one.
pub(super) const REFUSED: &[(&str, &str)] = &[
    ("cpu_period", "use cpus, the share of processors"),
    ("cpu_quota", "use cpus, the share of processors"),
    ("cpu_rt_period", "real time needs rights that no app may have"),
    ("cpu_rt_runtime", "real time needs rights that no app may have"),
    ("credential_spec", "only Windows knows it"),
    ("device_cgroup_rules", "name the devices under devices"),
    ("dns", "names of the app's own services would not be found"),
    ("external_links", "containers outside of the app are reached through requires and a shared network"),
    ("extra_hosts", "names of other machines are not written into containers; use their addresses or names"),
    ("gpus", "name the device under devices, for instance /dev/dri"),
    ("group_add", "further groups of the host are refused by policy"),
    ("isolation", "only Windows knows it"),
    ("models", "a model is an app of its own"),
    ("oom_kill_disable", "a program without a limit takes the machine with it"),
    ("provider", "what is not a container is no part of an app"),
    ("runtime", "the engine's own runtime is used"),
    ("storage_opt", "the engine's own storage is used"),
    ("use_api_socket", "the socket of the engine is refused by policy"),
    ("volumes_from", "name the volumes of the other service under volumes"),
];

/// Keys of a service that both have, in the same words.
pub(super) const SAME: &[&str] = &[
    "cap_add",
    "cgroup",
    "cgroup_parent",
    "command",
    "container_name",
    "entrypoint",
    "expose",
    "image",
    "init",
    "ipc",
    "pid",
    "post_start",
    "pre_stop",
    "privileged",
    "pull_policy",
    "read_only",
    "restart",
    "shm_size",
    "stop_grace_period",
    "stop_signal",
    "sysctls",
    "ulimits",
    "user",
    "userns_mode",
    "uts",
    "working_dir",
];

/// Keys at the top that are left out or refused.
pub(super) const TOP: &[(&str, bool, &str)] = &[
    ("version", true, "compose does not look at it either"),
    ("x-runtipi", true, "it is for that platform alone"),
    ("schemaVersion", true, "it is for that platform alone"),
    ("overrides", false, "give the file for one processor"),
    ("include", false, "write everything into one file"),
    ("models", false, "a model is an app of its own"),
];

pub(super) fn find<'t>(table: &'t [(&str, &str)], key: &str) -> Option<&'t str> {
    table.iter().find(|(name, _)| *name == key).map(|(_, why)| *why)
}
