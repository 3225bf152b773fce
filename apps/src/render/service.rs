//! One service, to what the engine is asked to create.

use super::{DEFAULT_NETWORK, ImageSource, RenderContext, RenderedHooks, RenderedService, own_path};
use crate::{
    ContainerSpec, LABEL_DIGEST, LABEL_FILES, LABEL_SERVICE, Manifest, Mount, MountSource, PortMapping,
    PortProtocol, SecretMount, anchor,
    manifest::{Device, LifecycleHook, NetworkMode, Port, Protocol, Service, Volume, VolumeType},
    template::{Template, Variable},
    validate::env_lines,
};
use protocol::ServiceName;
use std::collections::{BTreeMap, BTreeSet};

impl Manifest {
    pub(super) fn service(
        &self,
        name: &ServiceName,
        service: &Service,
        labels: &BTreeMap<String, String>,
        context: &RenderContext,
        unresolved: &mut BTreeSet<Variable>,
    ) -> RenderedService {
        let built = || format!("localhost/archipelago/{}-{name}:{}", self.id, tag(&self.version));
        let image = match &service.build {
            None => ImageSource::Pull,
            Some(build) => ImageSource::Build {
                args: build.args.clone(),
                context: if build.context == "." {
                    context.manifest_dir.clone()
                } else {
                    context.manifest_dir.join(&build.context)
                },
                dockerfile: build.dockerfile.clone(),
            },
        };
        let mut fill = |text: &str| filled(text, service, context, unresolved);
        let limits = &service.deploy.resources.limits;
        let mut spec = ContainerSpec {
            name: self.container_name(name),
            image: service.image.clone().unwrap_or_else(built),
            entrypoint: service.entrypoint.as_ref().map(|words| words.iter().map(|w| fill(w)).collect()),
            command: service.command.as_ref().map(|words| words.iter().map(|w| fill(w)).collect()),
            environment: self.environment(service, &mut fill),
            user: service.user.clone(),
            working_dir: service.working_dir.clone(),
            hostname: service.hostname.clone(),
            init: service.init,
            labels: self.labels(name, service, labels),
            ports: service.ports.iter().map(port).collect(),
            mounts: self.mounts(service, context),
            tmpfs: service.tmpfs.clone(),
            secrets: self.secret_files(service),
            networks: self.places(name, service),
            cap_add: service.cap_add.iter().map(|cap| bare(cap)).collect(),
            read_only: service.read_only,
            stop_signal: service.stop_signal.clone(),
            stop_grace: service.stop_grace_period.0,
            memory: limits.memory.map(|size| size.0),
            pids: limits.pids,
            secret_env: service
                .secrets
                .iter()
                .filter_map(|secret| Some((secret.env.clone()?, self.scoped(&secret.source))))
                .collect(),
            no_network: service.network_mode == NetworkMode::None,
            cpu_millis: limits.cpus.map(|cpus| cpus.millis),
            shm_size: service.shm_size.map(|size| size.0),
            devices: service.devices.iter().map(device).collect(),
            sysctls: service.sysctls.clone(),
            ulimits: service
                .ulimits
                .iter()
                .map(|(name, limit)| (name.clone(), (limit.soft, limit.hard)))
                .collect(),
            network_of: None,
        };
        spec.labels.insert(LABEL_DIGEST.to_owned(), spec.digest());
        let (anchor, spec) = anchor::split(spec);
        RenderedService {
            service: name.clone(),
            anchor,
            adopt: self
                .adopt
                .as_ref()
                .filter(|adopt| adopt.names.contains(&spec.name))
                .map(|adopt| adopt.policy),
            spec,
            image,
            pull_policy: service.pull_policy,
            depends_on: service.depends_on.iter().map(|(n, d)| (n.clone(), d.condition)).collect(),
            ports: known_ports(service),
            startup: service.probes.startup.clone(),
            readiness: service.readiness_probe(),
            liveness: service.probes.liveness.clone(),
            restart: service.restart,
            renewals: service.certs.iter().filter(|it| it.restart).map(|it| it.source.clone()).collect(),
            hooks: self.hooks_of(name, context),
            post_start: service.post_start.clone(),
            pre_stop: service.pre_stop.clone(),
        }
    }

    /// The hooks that are about this service.
    fn hooks_of(&self, name: &ServiceName, context: &RenderContext) -> RenderedHooks {
        let mut hooks = RenderedHooks::default();
        for hook in &self.hooks.post_install {
            if let Some(copy) = &hook.copy_from_host
                && copy.service.as_ref().is_none_or(|service| service == name)
            {
                hooks.copies.push((context.manifest_dir.join(&copy.src), copy.dest.clone()));
            }
            if let Some(exec) = hook.exec.as_ref().filter(|exec| exec.service == *name) {
                hooks.commands.push(LifecycleHook {
                    command: exec.command.clone(),
                    user: exec.user.clone(),
                    working_dir: None,
                    privileged: false,
                });
            }
        }
        hooks
    }

    /// The lines of its files, and over them what the manifest says itself.
    fn environment(
        &self,
        service: &Service,
        fill: &mut impl FnMut(&str) -> String,
    ) -> BTreeMap<String, String> {
        let files = service.env_file.iter().filter_map(|name| self.configs.get(name)?.content.as_deref());
        let lines = files.flat_map(|text| env_lines(text).unwrap_or_default());
        let own = service.environment.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        lines.chain(own).map(|(key, value)| (key.to_owned(), fill(value))).collect()
    }

    /// Its own labels, and over them ours.
    fn labels(
        &self,
        name: &ServiceName,
        service: &Service,
        ours: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let mut labels = service.labels.clone();
        labels.extend(ours.clone());
        labels.insert(LABEL_SERVICE.to_owned(), name.to_string());
        let files: Vec<_> =
            service.configs.iter().map(|c| (&c.source, self.configs.get(&c.source))).collect();
        if !files.is_empty() {
            // Of the templates, not of what they become: no secret gets into a label, not even as a hash.
            let json = serde_json::to_vec(&files).unwrap_or_default();
            labels.insert(LABEL_FILES.to_owned(), blake3::hash(&json).to_hex().to_string());
        }
        labels
    }

    fn mounts(&self, service: &Service, context: &RenderContext) -> Vec<Mount> {
        let user = numeric_user(service.user.as_deref());
        let volumes = service.volumes.iter().map(|volume| Mount {
            source: match volume.r#type {
                VolumeType::Volume => MountSource::Volume(self.scoped(&volume.source)),
                VolumeType::Bind => MountSource::Bind(context.data_dir.join(&volume.source)),
            },
            target: volume.target.clone(),
            read_only: volume.read_only,
            chown: volume.chown.unwrap_or_else(|| for_user(volume, user.0)),
        });
        // What the node writes belongs to the node; a container whose user is another one has to be given it.
        let ours = |kind, name: &str, target: String| Mount {
            source: MountSource::Bind(own_path(context, kind, name)),
            target,
            read_only: true,
            chown: user.0 != 0,
        };
        let configs = service.configs.iter().map(|config| ours("configs", &config.source, config.path()));
        let certs = service.certs.iter().map(|cert| ours("certs", &cert.source, cert.target.clone()));
        volumes.chain(configs).chain(certs).collect()
    }

    fn secret_files(&self, service: &Service) -> Vec<SecretMount> {
        let (uid, gid) = numeric_user(service.user.as_deref());
        let files = service.secrets.iter().filter(|secret| secret.env.is_none());
        let mount = |secret: &crate::manifest::ServiceSecret| {
            let target = secret.target.as_deref().unwrap_or(&secret.source);
            SecretMount {
                source: self.scoped(&secret.source),
                target: target.strip_prefix("/run/secrets/").unwrap_or(target).to_owned(),
                uid,
                gid,
                mode: 0o400,
            }
        };
        files.map(mount).collect()
    }

    /// Its networks with its names on them, never its container's own: said twice, it is answered twice.
    fn places(&self, name: &ServiceName, service: &Service) -> BTreeMap<String, Vec<String>> {
        let own = self.container_name(name);
        let place = |(network, attachment): (&String, &Option<crate::manifest::Attachment>)| {
            let mut aliases = attachment.as_ref().map(|a| a.aliases.clone()).unwrap_or_default();
            if !aliases.iter().any(|alias| alias == name.as_str()) {
                aliases.push(name.to_string());
            }
            aliases.retain(|alias| *alias != own);
            (self.network(network), aliases)
        };
        if service.is_on_default_network() && self.has_default_network() {
            return [place((&DEFAULT_NETWORK.to_owned(), &None))].into();
        }
        service.networks.iter().map(place).collect()
    }
}

/// A template filled in with what is known; what is not stays as it stands.
fn filled(
    text: &str,
    service: &Service,
    context: &RenderContext,
    unresolved: &mut BTreeSet<Variable>,
) -> String {
    let Ok(template) = Template::parse(text) else { return text.to_owned() };
    let config = |name: &String| service.configs.iter().find(|config| config.source == *name);
    let known = |variable: &Variable| match variable {
        Variable::Config(name) => config(name).map(crate::manifest::ServiceConfig::path),
        other => context.facts.get(other),
    };
    unresolved.extend(template.variables().filter(|variable| known(variable).is_none()).cloned());
    let filled = template.fill(|variable| Some(known(variable).unwrap_or_else(|| variable.to_string())));
    filled.unwrap_or_else(|_| text.to_owned())
}

/// Whether a fresh folder would be of no use to the container's user otherwise.
fn for_user(volume: &Volume, uid: u32) -> bool {
    volume.r#type == VolumeType::Bind && !volume.read_only && volume.owner.is_none() && uid != 0
}

fn known_ports(service: &Service) -> Vec<(String, PortMapping)> {
    let named = service.ports.iter().filter_map(|p| Some((p.name.clone()?, port(p))));
    let tcp = service.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    named.chain(tcp.map(|p| (p.target.to_string(), port(p)))).collect()
}

fn port(port: &Port) -> PortMapping {
    PortMapping {
        host_ip: port.host_ip.clone(),
        published: u16::try_from(port.published).unwrap_or_default(),
        target: u16::try_from(port.target).unwrap_or_default(),
        protocol: match port.protocol {
            Protocol::Tcp => PortProtocol::Tcp,
            Protocol::Udp => PortProtocol::Udp,
        },
    }
}

fn device(device: &Device) -> String {
    let target = device.target.as_ref().unwrap_or(&device.source);
    format!("{}:{target}:{}", device.source, device.permissions.as_deref().unwrap_or("rwm"))
}

fn bare(cap: &str) -> String {
    cap.strip_prefix("CAP_").unwrap_or(cap).to_owned()
}

/// Owner of the secrets' files: the container's user where it is given in numbers, else root.
pub(super) fn numeric_user(user: Option<&str>) -> (u32, u32) {
    let Some(user) = user else { return (0, 0) };
    let (uid, gid) = user.split_once(':').unwrap_or((user, user));
    uid.parse().and_then(|uid| gid.parse().map(|gid| (uid, gid))).unwrap_or((0, 0))
}

/// A version as an image tag.
fn tag(version: &str) -> String {
    let good = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    version.chars().map(good).take(100).collect()
}
