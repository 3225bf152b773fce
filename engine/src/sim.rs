//! A simulated engine for tests: containers in memory, on tokio's clock, with faults on demand.
//!
//! Under a paused clock everything is deterministic and takes no real time.
//! What it cannot do: nothing listens on its published ports, so probes from the host find nobody; `exec` answers
//! by a hook.

mod engine;
mod vault;
mod world;

use crate::{EngineError, EngineState, ExecOutput, LogLine};
use apps::{ContainerSpec, PortProtocol};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::watch;
pub use vault::SimVault;
use world::World;

/// A call that changes something, as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Name of the method of [`crate::Engine`].
    pub call: &'static str,
    /// Name of the container, image, network, volume or secret.
    pub name: String,
}

/// A simulated engine. Clones share one world.
#[derive(Debug, Clone, Default)]
pub struct Sim {
    world: Arc<Mutex<World>>,
    /// Tells calls that hang that they may go on.
    changed: watch::Sender<()>,
}

impl Sim {
    /// An empty world whose clock starts now.
    pub fn new() -> Self {
        Self::default()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an image on the machine.
    pub fn add_image(&self, reference: &str) {
        self.world().images.insert(reference.to_owned(), BTreeMap::new());
    }

    /// Keeps the files of volumes in folders below this one. Without it volumes have no files.
    pub fn keep_volumes_in(&self, root: impl Into<std::path::PathBuf>) {
        self.world().volume_root = Some(root.into());
    }

    /// Puts an image into the registry, so that it can be pulled.
    pub fn add_to_registry(&self, reference: &str) {
        self.world().registry.insert(reference.to_owned());
    }

    /// Lets the process of a container end with this code, as if it had exited or been killed from outside.
    pub fn crash(&self, name: &str, code: i32) {
        self.world().end(name, code, false);
    }

    /// Lets the kernel kill a container for lack of memory.
    pub fn oom(&self, name: &str) {
        self.world().end(name, 137, true);
    }

    /// Lets a container die together with its monitor: the process is gone, the engine says `Running` for ever
    /// and no event comes.
    pub fn zombie(&self, name: &str) {
        self.world().bury(name);
    }

    /// Lets only the monitor of a container die.
    pub fn kill_monitor(&self, name: &str) {
        self.world().orphan(name);
    }

    /// Pauses a container as another user of the engine would.
    pub fn pause_behind(&self, name: &str) {
        self.world().set_paused(name, true);
    }

    /// Renames a container as another user of the engine would.
    pub fn rename_behind(&self, from: &str, to: &str) {
        self.world().rename(from, to);
    }

    /// Takes files of a container out of the engine's storage.
    pub fn damage(&self, name: &str) {
        if let Some(container) = self.world().containers.get_mut(name) {
            container.damaged = true;
        }
    }

    /// Takes files of every container of this name out of the engine's storage as soon as it is made, or not any more.
    pub fn damage_new(&self, name: &str, damaged: bool) {
        let mut world = self.world();
        if damaged {
            world.damages.insert(name.to_owned());
        } else {
            world.damages.remove(name);
        }
    }

    /// Changes how a container was made, as if another node or a person had made it.
    pub fn remake(&self, name: &str, change: impl FnOnce(&mut ContainerSpec)) {
        self.world().remake(name, change);
    }

    /// The machine was started anew: no process is left and nothing runs.
    pub fn reboot(&self) {
        self.world().reboot();
    }

    /// Removes a container as another user of the engine would.
    pub fn remove_behind(&self, name: &str) {
        self.world().remove(name);
    }

    /// Lets a container ignore the signal of a stop, so that it takes the whole grace.
    pub fn ignore_term(&self, name: &str) {
        if let Some(container) = self.world().containers.get_mut(name) {
            container.ignores_term = true;
        }
    }

    /// Writes a line to a container's log.
    pub fn log(&self, name: &str, line: &str) {
        self.world().log(name, LogLine { stderr: false, line: line.to_owned() });
    }

    /// The value of a secret.
    pub fn secret(&self, name: &str) -> Option<Vec<u8>> {
        self.world().secrets.get(name).cloned()
    }

    /// The names by which others on its networks find a container.
    pub fn aliases(&self, name: &str) -> BTreeMap<String, Vec<String>> {
        self.world().containers.get(name).map(|it| it.spec.networks.clone()).unwrap_or_default()
    }

    /// Paths that were copied into a container since it was made.
    pub fn copies(&self, name: &str) -> Vec<String> {
        self.world().containers.get(name).map(|it| it.copies.clone()).unwrap_or_default()
    }

    /// Answers commands inside of containers. Without it every command succeeds without output.
    pub fn on_exec(&self, answer: impl Fn(&str, &[String]) -> ExecOutput + Send + Sync + 'static) {
        self.world().exec = Some(world::ExecHook(Arc::new(answer)));
    }

    /// Lets something else listen on a port of the host, or stop listening.
    pub fn occupy_port(&self, protocol: PortProtocol, port: u16, occupied: bool) {
        let mut world = self.world();
        if occupied {
            world.foreign_ports.insert((protocol, port));
        } else {
            world.foreign_ports.remove(&(protocol, port));
        }
    }

    /// Lets the next call of this method fail; several add up.
    pub fn fail_next(&self, call: &'static str, error: EngineError) {
        self.world().failures.entry(call).or_default().push_back(error);
    }

    /// Lets every call of these methods fail like this, or none any more.
    pub fn fail_all(&self, calls: &[&'static str], error: Option<&EngineError>) {
        let mut world = self.world();
        for call in calls {
            match error {
                Some(error) => drop(world.failing.insert(call, error.clone())),
                None => drop(world.failing.remove(call)),
            }
        }
    }

    /// Lets the next call of this method panic.
    pub fn panic_next(&self, call: &'static str) {
        self.world().panics.insert(call);
    }

    /// Sets how long this method takes from now on.
    ///
    /// `cleanup` is how long after the end of a process the engine cleans up behind it: until then the container is
    /// `Stopped` and its event has not come.
    pub fn delay(&self, call: &'static str, latency: Duration) {
        self.world().latencies.insert(call, latency);
    }

    /// Lets this method not answer until [`Sim::resume`] or an outage; its deadline, if it has one, passes.
    pub fn hang(&self, call: &'static str) {
        self.world().hanging.insert(call);
    }

    /// The same for containers whose names begin like this.
    pub fn hang_for(&self, call: &'static str, prefix: &str) {
        self.world().hanging_for.push((call, prefix.to_owned()));
    }

    /// Lets this many more calls of a method be made as they should; those after them fail, or are never answered
    /// where there is no error, until [`Sim::unlimited`].
    pub fn limit(&self, call: &'static str, good: usize, then: Option<EngineError>) {
        self.world().limits.insert(call, (good, then));
    }

    /// Ends [`Sim::limit`] for calls to come.
    pub fn unlimited(&self, call: &'static str) {
        self.world().limits.remove(call);
    }

    /// Ends [`Sim::hang`].
    pub fn resume(&self, call: &'static str) {
        self.world().hanging.remove(call);
        self.changed.send_replace(());
    }

    /// Makes the engine unreachable, or reachable again. Streams end; containers run on.
    pub fn outage(&self, down: bool) {
        let mut world = self.world();
        world.down = down;
        if down {
            world.watchers.clear();
            world.containers.values_mut().for_each(|container| container.followers.clear());
        }
        drop(world);
        self.changed.send_replace(());
    }

    /// Every changing call since the beginning, in order, failed ones included.
    pub fn calls(&self) -> Vec<Call> {
        self.world().calls.clone()
    }

    /// How often a method was called for a name.
    pub fn count(&self, call: &str, name: &str) -> usize {
        self.world().calls.iter().filter(|made| made.call == call && made.name == name).count()
    }

    /// Forgets the calls made so far.
    pub fn forget_calls(&self) {
        self.world().calls.clear();
    }

    /// Names of the networks.
    pub fn networks(&self) -> BTreeSet<String> {
        self.world().networks.keys().cloned().collect()
    }

    /// Names of the secrets.
    pub fn secrets(&self) -> BTreeSet<String> {
        self.world().secrets.keys().cloned().collect()
    }

    /// Names of the volumes.
    pub fn volumes(&self) -> BTreeSet<String> {
        self.world().volumes.keys().cloned().collect()
    }

    /// Names of the containers with their states.
    pub fn states(&self) -> BTreeMap<String, EngineState> {
        let world = self.world();
        world
            .containers
            .iter()
            .map(|(name, container)| (name.clone(), container.state(world.now())))
            .collect()
    }
}

#[cfg(test)]
mod tests;
