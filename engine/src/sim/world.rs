//! What is true in a simulated engine.

use super::Call;
use crate::{EngineError, EngineState, Event, EventAction, ExecOutput, Inspect, LogLine, ProcessRef, Result};
use apps::{ContainerSpec, MountSource, PortProtocol};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    time::Instant,
};

/// When a simulated world begins, in milliseconds since the Unix epoch.
const EPOCH: u64 = 1_700_000_000_000;

type Hook = dyn Fn(&str, &[String]) -> ExecOutput + Send + Sync;

#[derive(Clone)]
pub(super) struct ExecHook(pub(super) Arc<Hook>);

impl fmt::Debug for ExecHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExecHook")
    }
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) begin: Instant,
    next: u64,
    pub(super) containers: BTreeMap<String, Container>,
    pub(super) processes: BTreeMap<ProcessRefKey, watch::Sender<bool>>,
    pub(super) images: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) registry: BTreeSet<String>,
    pub(super) networks: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) volumes: BTreeMap<String, BTreeMap<String, String>>,
    /// Folder with one folder per volume.
    pub(super) volume_root: Option<PathBuf>,
    pub(super) secrets: BTreeMap<String, Vec<u8>>,
    pub(super) foreign_ports: BTreeSet<(PortProtocol, u16)>,
    pub(super) latencies: BTreeMap<&'static str, Duration>,
    pub(super) hanging: BTreeSet<&'static str>,
    pub(super) hanging_for: Vec<(&'static str, String)>,
    /// Calls that are made as they should until so many were; what becomes of the others.
    pub(super) limits: BTreeMap<&'static str, (usize, Option<EngineError>)>,
    pub(super) failures: BTreeMap<&'static str, VecDeque<EngineError>>,
    pub(super) failing: BTreeMap<&'static str, EngineError>,
    pub(super) damages: BTreeSet<String>,
    pub(super) panics: BTreeSet<&'static str>,
    pub(super) down: bool,
    pub(super) calls: Vec<Call>,
    pub(super) history: Vec<(Instant, Event)>,
    pub(super) watchers: Vec<UnboundedSender<(Instant, Event)>>,
    pub(super) exec: Option<ExecHook>,
}

/// Pid and start time.
type ProcessRefKey = (u32, u64);

#[derive(Debug)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) spec: ContainerSpec,
    /// What the engine believes.
    believed: EngineState,
    /// When the engine notices the end of the process.
    noticed: Option<Instant>,
    pub(super) process: Option<ProcessRef>,
    monitor: Option<ProcessRef>,
    /// Id of the container whose network it joined.
    network_of: Option<String>,
    exit_code: i32,
    oom: bool,
    started_at: Option<u64>,
    finished_at: Option<u64>,
    address: u64,
    pub(super) ignores_term: bool,
    /// Files of it are gone from the engine's storage.
    pub(super) damaged: bool,
    /// Paths that were copied into it.
    pub(super) copies: Vec<String>,
    pub(super) log: Vec<LogLine>,
    pub(super) followers: Vec<UnboundedSender<LogLine>>,
}

impl Container {
    pub(super) fn state(&self, now: Instant) -> EngineState {
        match self.noticed {
            Some(noticed) if now < noticed => EngineState::Stopped,
            _ => self.believed,
        }
    }

    pub(super) fn inspect(&self, now: Instant) -> Inspect {
        let running = self.believed == EngineState::Running;
        let address = |network: &String| (network.clone(), format!("10.89.0.{}", self.address));
        Inspect {
            id: self.id.clone(),
            name: self.spec.name.clone(),
            labels: self.spec.labels.clone(),
            state: self.state(now),
            process: self.process,
            monitor: self.monitor,
            exit_code: self.exit_code,
            oom: self.oom,
            started_at: self.started_at,
            finished_at: self.finished_at,
            image: self.spec.image.clone(),
            addresses: self.spec.networks.keys().filter(|_| running).map(address).collect(),
            network_of: self.network_of.clone(),
        }
    }

    fn ports(&self) -> impl Iterator<Item = (PortProtocol, u16)> {
        self.spec.ports.iter().map(|port| (port.protocol, port.published))
    }
}

impl Default for World {
    fn default() -> Self {
        Self {
            begin: Instant::now(),
            next: 0,
            containers: BTreeMap::new(),
            processes: BTreeMap::new(),
            images: BTreeMap::new(),
            registry: BTreeSet::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            volume_root: None,
            secrets: BTreeMap::new(),
            foreign_ports: BTreeSet::new(),
            latencies: BTreeMap::new(),
            hanging: BTreeSet::new(),
            hanging_for: Vec::new(),
            limits: BTreeMap::new(),
            failures: BTreeMap::new(),
            failing: BTreeMap::new(),
            damages: BTreeSet::new(),
            panics: BTreeSet::new(),
            down: false,
            calls: Vec::new(),
            history: Vec::new(),
            watchers: Vec::new(),
            exec: None,
        }
    }
}

impl World {
    /// Where a volume's files are, as laid out by Podman.
    pub(super) fn volume_dir(&self, name: &str) -> Option<PathBuf> {
        self.volume_root.as_ref().map(|root| root.join(name).join("_data"))
    }

    pub(super) fn now(&self) -> Instant {
        Instant::now()
    }

    fn millis(&self, at: Instant) -> u64 {
        EPOCH + u64::try_from(at.duration_since(self.begin).as_millis()).unwrap_or(u64::MAX)
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Name of the container that is called by name or by the beginning of its id.
    pub(super) fn find(&self, container: &str) -> Result<String> {
        let by_id =
            || self.containers.iter().find(|(_, it)| it.id.starts_with(container)).map(|(name, _)| name);
        self.containers
            .get_key_value(container)
            .map(|(name, _)| name)
            .or_else(by_id)
            .cloned()
            .ok_or_else(|| EngineError::NotFound { subject: format!("container {container}") })
    }

    fn tell(&mut self, name: &str, action: EventAction, at: Instant) {
        let number = self.number();
        let Some(container) = self.containers.get(name) else { return };
        let event = Event {
            id: container.id.clone(),
            name: name.to_owned(),
            labels: container.spec.labels.clone(),
            action,
            // Events of one instant keep their order.
            time_nano: self.millis(at) * 1_000_000 + number % 1_000_000,
        };
        self.watchers.retain(|watcher| watcher.send((at, event.clone())).is_ok());
        self.history.push((at, event));
    }

    pub(super) fn create(&mut self, spec: &ContainerSpec) -> Result<String> {
        let subject = format!("container {}", spec.name);
        if !self.images.contains_key(&spec.image) {
            return Err(EngineError::ImageMissing { image: spec.image.clone() });
        }
        if self.containers.contains_key(&spec.name) {
            return Err(EngineError::Conflict { subject, message: "that name is already in use".to_owned() });
        }
        let network = spec.networks.keys().find(|name| !self.networks.contains_key(*name));
        let secret =
            spec.secrets.iter().map(|secret| &secret.source).find(|name| !self.secrets.contains_key(*name));
        if let Some(missing) = network.or(secret) {
            return Err(EngineError::Refused { subject, message: format!("{missing}: not found") });
        }
        for mount in &spec.mounts {
            if let MountSource::Volume(name) = &mount.source {
                self.volumes.entry(name.clone()).or_default();
            }
        }
        let network_of = match &spec.network_of {
            Some(name) => Some(self.find(name).map(|name| self.containers[&name].id.clone())?),
            None => None,
        };
        let id = format!("{:064x}", u128::from(self.number()) << 64);
        let container = Container {
            id: id.chars().rev().collect(),
            spec: spec.clone(),
            believed: EngineState::Created,
            noticed: None,
            process: None,
            monitor: None,
            network_of,
            exit_code: 0,
            oom: false,
            started_at: None,
            finished_at: None,
            address: 0,
            ignores_term: false,
            damaged: self.damages.contains(&spec.name),
            copies: Vec::new(),
            log: Vec::new(),
            followers: Vec::new(),
        };
        let id = container.id.clone();
        self.containers.insert(spec.name.clone(), container);
        self.tell(&spec.name, EventAction::Create, self.now());
        Ok(id)
    }

    pub(super) fn start(&mut self, name: &str) -> Result<()> {
        let Some(container) = self.containers.get(name) else { return Ok(()) };
        if container.believed == EngineState::Running {
            return Ok(());
        }
        let is_up = |id: &String| {
            self.containers.values().any(|it| it.id == *id && it.believed == EngineState::Running)
        };
        if container.network_of.as_ref().is_some_and(|anchor| !is_up(anchor)) {
            let message = "some dependencies of the container are not started".to_owned();
            return Err(EngineError::Refused { subject: format!("container {name}"), message });
        }
        let taken = |port: &(PortProtocol, u16)| {
            let by_container = |(other, it): (&String, &Container)| {
                other != name && it.believed == EngineState::Running && it.ports().any(|used| used == *port)
            };
            self.foreign_ports.contains(port) || self.containers.iter().any(by_container)
        };
        if let Some((_, port)) = container.ports().find(taken) {
            let message = format!("listen 0.0.0.0:{port}: bind: address already in use");
            return Err(EngineError::PortInUse { subject: format!("container {name}"), message });
        }
        let (number, now) = (self.number(), self.now());
        let started_at = Some(self.millis(now));
        let process =
            ProcessRef { pid: 1000 + u32::try_from(number).unwrap_or(u32::MAX - 1000), start_time: number };
        let monitor = ProcessRef { pid: process.pid + 1_000_000, ..process };
        for process in [process, monitor] {
            self.processes.insert((process.pid, process.start_time), watch::Sender::new(false));
        }
        if let Some(container) = self.containers.get_mut(name) {
            container.believed = EngineState::Running;
            container.noticed = None;
            container.process = Some(process);
            container.monitor = Some(monitor);
            container.started_at = started_at;
            container.oom = false;
            container.exit_code = 0;
            // A container gets another address at each start.
            container.address = 2 + number % 250;
        }
        self.tell(name, EventAction::Other("init".to_owned()), now);
        self.tell(name, EventAction::Start, now);
        Ok(())
    }

    /// The process ends, and the engine notices after a while.
    pub(super) fn end(&mut self, name: &str, code: i32, oom: bool) {
        let now = self.now();
        let noticed = now + self.latencies.get("cleanup").copied().unwrap_or_default();
        let finished_at = Some(self.millis(now));
        let Some(container) = self.containers.get_mut(name) else { return };
        let Some(process) = container.process.take() else { return };
        container.believed = EngineState::Exited;
        container.noticed = Some(noticed);
        container.exit_code = code;
        container.oom = oom;
        container.finished_at = finished_at;
        container.followers.clear();
        let monitor = container.monitor.take();
        self.reap(process);
        monitor.into_iter().for_each(|monitor| self.reap(monitor));
        self.tell(name, EventAction::Died, noticed);
        self.tell(name, EventAction::Other("cleanup".to_owned()), noticed);
    }

    /// The process ends and the engine does not notice.
    pub(super) fn bury(&mut self, name: &str) {
        self.orphan(name);
        let process = self.containers.get_mut(name).and_then(|container| container.process.take());
        if let Some(process) = process {
            self.reap(process);
        }
    }

    /// The monitor ends, the container runs on.
    pub(super) fn orphan(&mut self, name: &str) {
        let monitor = self.containers.get_mut(name).and_then(|container| container.monitor.take());
        if let Some(monitor) = monitor {
            self.reap(monitor);
        }
    }

    /// Gives a container another name.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        if let Some(mut container) = self.containers.remove(from) {
            container.spec.name = to.to_owned();
            self.containers.insert(to.to_owned(), container);
        }
    }

    /// The processes of all containers are gone with the machine, and what ran counts as created.
    pub(super) fn reboot(&mut self) {
        for container in self.containers.values_mut() {
            container.process = None;
            container.monitor = None;
            container.noticed = None;
            container.followers.clear();
            if matches!(
                container.believed,
                EngineState::Running | EngineState::Stopping | EngineState::Paused
            ) {
                container.believed = EngineState::Created;
            }
        }
        self.processes.values().for_each(|ended| {
            ended.send_replace(true);
        });
        self.processes.clear();
    }

    pub(super) fn remake(&mut self, name: &str, change: impl FnOnce(&mut ContainerSpec)) {
        if let Some(container) = self.containers.get_mut(name) {
            change(&mut container.spec);
            if container.spec.network_of.is_none() {
                container.network_of = None;
            }
        }
    }

    /// Id of a container that joined this one's network.
    pub(super) fn dependant(&self, name: &str) -> Option<&str> {
        let anchor = &self.containers.get(name)?.id;
        let joins = |it: &&Container| it.network_of.as_ref() == Some(anchor);
        self.containers.values().find(joins).map(|it| it.id.as_str())
    }

    pub(super) fn set_paused(&mut self, name: &str, paused: bool) {
        if let Some(container) = self.containers.get_mut(name) {
            match (container.believed, paused) {
                (EngineState::Running, true) => container.believed = EngineState::Paused,
                (EngineState::Paused, false) => container.believed = EngineState::Running,
                _ => {}
            }
        }
    }

    fn reap(&mut self, process: ProcessRef) {
        if let Some(ended) = self.processes.remove(&(process.pid, process.start_time)) {
            ended.send_replace(true);
        }
    }

    pub(super) fn stopping(&mut self, name: &str) {
        if let Some(container) = self.containers.get_mut(name) {
            container.believed = EngineState::Stopping;
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.end(name, 137, false);
        self.tell(name, EventAction::Remove, self.now());
        self.containers.remove(name);
    }

    pub(super) fn log(&mut self, name: &str, line: LogLine) {
        if let Some(container) = self.containers.get_mut(name) {
            container.followers.retain(|follower| follower.send(line.clone()).is_ok());
            container.log.push(line);
        }
    }
}
