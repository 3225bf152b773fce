//! From a manifest to what the engine is asked for: pure, and the same for the same input.

mod service;

use crate::{
    ContainerSpec, LABEL_APP, LABEL_NODE, Manifest, PortMapping,
    manifest::{
        AdoptPolicy, Condition, Generate, LifecycleHook, Network, Owner, Probe, PullPolicy, RestartPolicy,
        VolumeType,
    },
    order::start_order,
    policy::path::RESERVED,
    template::{Template, Variable},
};
use protocol::ServiceName;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// What is known of the node for the variables of templates. What is not known stays to be filled in and is listed
/// in [`Rendered::unresolved`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The node's address in its network.
    pub host_ip: Option<String>,
    /// The node's name in its network.
    pub host_mdns: Option<String>,
    /// The address under which the app's containers reach the node.
    pub network_gateway: Option<String>,
}

impl Facts {
    /// What is known for a variable. Secrets are never known here: nothing that is rendered holds one.
    pub fn get(&self, variable: &Variable) -> Option<String> {
        match variable {
            Variable::HostIp => self.host_ip.clone(),
            Variable::HostMdns => self.host_mdns.clone(),
            Variable::NetworkGateway => self.network_gateway.clone(),
            Variable::Secret(_) | Variable::Config(_) => None,
        }
    }
}

/// What rendering needs to know of the node.
#[derive(Debug, Clone)]
pub struct RenderContext {
    /// Id of the node, for the labels.
    pub node_id: String,
    /// The app's data directory, for bind mounts.
    pub data_dir: PathBuf,
    /// The manifest's folder, for build contexts.
    pub manifest_dir: PathBuf,
    /// What is known for the variables of templates.
    pub facts: Facts,
}

/// Everything that an app needs from the engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// Labels of everything that belongs to the app.
    pub labels: BTreeMap<String, String>,
    /// Networks by their names in the engine.
    pub networks: Vec<String>,
    /// Those of all its networks whose containers reach nothing outside.
    pub internal_networks: BTreeSet<String>,
    /// Networks that are shared with other apps and outlive this one.
    pub shared_networks: Vec<String>,
    /// Volumes by their names in the engine.
    pub volumes: Vec<String>,
    /// Folders to make under the app's data directory.
    pub directories: Vec<PathBuf>,
    /// Owners of those folders where they are fresh, as the containers see them.
    pub owners: BTreeMap<PathBuf, Owner>,
    /// Secrets that the node generates.
    pub secrets: Vec<RenderedSecret>,
    /// Secrets that the owner gives: the name in the manifest, and in the engine.
    pub external_secrets: BTreeMap<String, String>,
    /// Certificates.
    pub certs: Vec<RenderedCert>,
    /// Files.
    pub configs: Vec<RenderedConfig>,
    /// Variables in environments and commands that nothing is known for: the app cannot be installed so.
    pub unresolved: BTreeSet<Variable>,
    /// Containers in start order.
    pub services: Vec<RenderedService>,
}

/// A secret of the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedSecret {
    /// Name in the manifest.
    pub name: String,
    /// Name in the engine.
    pub engine_name: String,
    /// How it is generated.
    pub generate: Generate,
}

/// A certificate of the app: the files `tls.crt` and `tls.key` in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedCert {
    /// Name in the manifest.
    pub name: String,
    /// Folder.
    pub dir: PathBuf,
    /// Names and addresses it is good for.
    pub sans: Vec<Template>,
    /// Days it is good for.
    pub days: u32,
}

/// Where a file's text comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigText {
    /// From the manifest.
    Template(Template),
    /// From a file in the manifest's folder, which is a template too.
    File(PathBuf),
}

/// A file of the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedConfig {
    /// Name in the manifest.
    pub name: String,
    /// Where it is written.
    pub path: PathBuf,
    /// Its text.
    pub text: ConfigText,
    /// Whether it is written anew at every start.
    pub overwrite: bool,
}

/// Where a service's image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// From a registry, unless it is there.
    Pull,
    /// Built from a folder.
    Build {
        /// Arguments of the build.
        args: BTreeMap<String, String>,
        /// Build context.
        context: PathBuf,
        /// Containerfile within it.
        dockerfile: String,
    },
}

/// What is done in a container whenever it was made anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RenderedHooks {
    /// Files and folders of the manifest's folder, with their places in the container; copied before its first start.
    pub copies: Vec<(PathBuf, String)>,
    /// Commands, run once it is ready for the first time.
    pub commands: Vec<LifecycleHook>,
}

impl RenderedHooks {
    /// BLAKE3 of all that they say: others have to be applied anew.
    pub fn digest(&self) -> String {
        let json = serde_json::to_vec(&(&self.copies, &self.commands)).unwrap_or_default();
        blake3::hash(&json).to_hex().to_string()
    }
}

/// One container of the app.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderedService {
    /// Name in the manifest.
    pub service: ServiceName,
    /// What the engine is asked to create.
    pub spec: ContainerSpec,
    /// The container whose network it joins, where it has a network.
    pub anchor: Option<ContainerSpec>,
    /// Whether and how a container of its name that carries no node's label is taken over.
    pub adopt: Option<AdoptPolicy>,
    /// Where its image comes from.
    pub image: ImageSource,
    /// When it is pulled.
    pub pull_policy: PullPolicy,
    /// What it waits for.
    pub depends_on: Vec<(ServiceName, Condition)>,
    /// Its ports by their names, and the TCP ones by their numbers in the container as well.
    pub ports: Vec<(String, PortMapping)>,
    /// Its probe of having come up.
    pub startup: Option<Probe>,
    /// Its readiness probe.
    pub readiness: Option<Probe>,
    /// Its liveness probe.
    pub liveness: Option<Probe>,
    /// Which ends lead to a restart.
    pub restart: RestartPolicy,
    /// Certificates for whose renewal it is restarted.
    pub renewals: Vec<String>,
    /// What is done in the container whenever it was made anew.
    pub hooks: RenderedHooks,
    /// Commands in the container after its start.
    pub post_start: Vec<LifecycleHook>,
    /// Commands in the container before it is stopped.
    pub pre_stop: Vec<LifecycleHook>,
}

impl RenderedService {
    /// The ports that are published for it.
    pub fn published(&self) -> &[PortMapping] {
        self.anchor.as_ref().map_or(&self.spec.ports, |anchor| &anchor.ports)
    }

    /// Its containers: the anchor, if any, and itself.
    pub fn containers(&self) -> impl Iterator<Item = &ContainerSpec> {
        self.anchor.iter().chain([&self.spec])
    }
}

impl Manifest {
    /// The container's name in the engine.
    pub fn container_name(&self, service: &ServiceName) -> String {
        let declared = self.services.get(service).and_then(|s| s.container_name.clone());
        declared.unwrap_or_else(|| format!("{}-{service}", self.id))
    }

    /// Renders the manifest. It must be valid, as everything that [`Manifest::parse`] returns is.
    pub fn render(&self, context: &RenderContext) -> Rendered {
        let labels = BTreeMap::from([
            (LABEL_APP.to_owned(), self.id.to_string()),
            (LABEL_NODE.to_owned(), context.node_id.clone()),
        ]);
        let mut unresolved = BTreeSet::new();
        let order = start_order(self).unwrap_or_default();
        let services: Vec<RenderedService> = order
            .into_iter()
            .filter_map(|name| {
                let service = self.services.get(&name)?;
                Some(self.service(&name, service, &labels, context, &mut unresolved))
            })
            .collect();
        let (directories, owners) = self.directories(context);
        let (shared, own): (Vec<_>, Vec<_>) =
            self.networks.iter().partition(|(_, network)| network.unwrap_or_default().external);
        let mut networks: Vec<String> = own.iter().map(|(name, _)| self.scoped(name)).collect();
        if self.has_default_network() && !networks.contains(&self.scoped(DEFAULT_NETWORK)) {
            networks.push(self.scoped(DEFAULT_NETWORK));
        }
        let internal = |(_, network): &(&String, &Option<Network>)| network.unwrap_or_default().internal;
        Rendered {
            networks,
            internal_networks: self.networks.iter().filter(internal).map(|(n, _)| self.network(n)).collect(),
            shared_networks: shared.iter().map(|(name, _)| (*name).clone()).collect(),
            volumes: self.volumes.keys().map(|n| self.scoped(n)).collect(),
            directories,
            owners,
            secrets: self
                .secrets
                .iter()
                .filter_map(|(name, secret)| {
                    Some(RenderedSecret {
                        name: name.clone(),
                        engine_name: self.scoped(name),
                        generate: secret.generate.clone()?,
                    })
                })
                .collect(),
            external_secrets: self
                .secrets
                .iter()
                .filter(|(_, secret)| secret.external)
                .map(|(name, _)| (name.clone(), self.scoped(name)))
                .collect(),
            certs: self.certs.iter().map(|(name, cert)| rendered_cert(name, cert, context)).collect(),
            configs: self.configs.iter().filter_map(|(n, c)| rendered_config(n, c, context)).collect(),
            unresolved,
            services,
            labels,
        }
    }

    /// The folders of the binds, and who owns them where they are fresh: whoever is named, else the container's user.
    fn directories(&self, context: &RenderContext) -> (Vec<PathBuf>, BTreeMap<PathBuf, Owner>) {
        let (mut directories, mut owners) = (Vec::new(), BTreeMap::new());
        for service in self.services.values() {
            for volume in service.volumes.iter().filter(|volume| volume.r#type == VolumeType::Bind) {
                let path = context.data_dir.join(&volume.source);
                let (uid, gid) = service::numeric_user(service.user.as_deref());
                let user = Some(Owner { uid, gid }).filter(|user| user.uid != 0);
                if let Some(owner) = volume.owner.or(user) {
                    owners.entry(path.clone()).or_insert(owner);
                }
                if !directories.contains(&path) {
                    directories.push(path);
                }
            }
        }
        (directories, owners)
    }

    /// The name of one of its secrets, volumes or own networks in the engine.
    pub fn engine_name(&self, name: &str) -> String {
        self.scoped(name)
    }

    /// A name of the app in the engine's flat name space. Ids have no underscore, so two apps never meet.
    pub(crate) fn scoped(&self, name: &str) -> String {
        format!("{}_{name}", self.id)
    }

    /// Whether there are services that name no network, and so share one, as compose has it. One alone needs none.
    fn has_default_network(&self) -> bool {
        self.services.values().filter(|service| service.is_on_default_network()).count() > 1
    }

    /// A network's name in the engine; a shared one has no app in it.
    fn network(&self, name: &str) -> String {
        let external = self.networks.get(name).copied().flatten().is_some_and(|network| network.external);
        if external { name.to_owned() } else { self.scoped(name) }
    }
}

/// Name of the network of the services that name none.
const DEFAULT_NETWORK: &str = "default";

/// Where the node keeps what it writes for an app.
fn own_path(context: &RenderContext, kind: &str, name: &str) -> PathBuf {
    context.data_dir.join(RESERVED).join(kind).join(name)
}

fn rendered_cert(name: &str, cert: &crate::manifest::Cert, context: &RenderContext) -> RenderedCert {
    RenderedCert {
        name: name.to_owned(),
        dir: own_path(context, "certs", name),
        sans: cert.sans.iter().filter_map(|san| Template::parse(san).ok()).collect(),
        days: cert.days,
    }
}

fn rendered_config(
    name: &str,
    config: &crate::manifest::Config,
    context: &RenderContext,
) -> Option<RenderedConfig> {
    let text = match (&config.content, &config.file) {
        (Some(content), _) => ConfigText::Template(Template::parse(content).ok()?),
        (None, Some(file)) => ConfigText::File(context.manifest_dir.join(file)),
        (None, None) => return None,
    };
    let path = own_path(context, "configs", name);
    Some(RenderedConfig { name: name.to_owned(), path, text, overwrite: config.overwrite })
}
