//! [`Engine`] over a simulated world.

use super::{Call, Sim};
use crate::{
    BuildRequest, Engine, EngineError, EngineInfo, EngineState, Event, ExecOutput, ExecRequest, Inspect,
    LogLine, ProcessRef, ProgressSink, Result, Summary, Usage,
};
use apps::ContainerSpec;
use async_trait::async_trait;
use futures_util::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};

const LOOK: Duration = Duration::from_secs(10);
const CHANGE: Duration = Duration::from_secs(30);
const PATIENT: Duration = Duration::MAX;
const LONG: Duration = Duration::from_secs(30 * 60);

impl Sim {
    /// What every call goes through: outage, latency, deadline, ordered failures.
    async fn enter(&self, call: &'static str, subject: String, deadline: Duration) -> Result<()> {
        let (down, hangs, latency) = {
            let world = self.world();
            let latency = world.latencies.get(call).copied().unwrap_or_default();
            (world.down, world.hanging.contains(call), latency)
        };
        let unreachable = || Err(EngineError::Unreachable { message: "simulated outage".to_owned() });
        if down {
            return unreachable();
        }
        let answer = async {
            if hangs {
                self.until_resumed(call).await;
            } else if !latency.is_zero() {
                sleep(latency).await;
            }
        };
        if timeout(deadline, answer).await.is_err() {
            return Err(EngineError::Timeout { call, subject, after: deadline });
        }
        let mut world = self.world();
        if world.down {
            return unreachable();
        }
        if let Some(error) = world.failing.get(call) {
            return Err(error.clone());
        }
        world.failures.get_mut(call).and_then(|queue| queue.pop_front()).map_or(Ok(()), Err)
    }

    /// Waits until the method answers again, or the engine is gone.
    async fn until_resumed(&self, call: &'static str) {
        let mut changed = self.changed.subscribe();
        while {
            let world = self.world();
            !world.down && world.hanging.contains(call)
        } {
            // The sender lives as long as this engine.
            let _ = changed.changed().await;
        }
    }

    async fn look(&self, call: &'static str, subject: String) -> Result<()> {
        self.enter(call, subject, LOOK).await
    }

    async fn change(&self, call: &'static str, kind: &str, name: &str, deadline: Duration) -> Result<()> {
        let name = {
            let mut world = self.world();
            let by_id = if kind == "container" { world.find(name).ok() } else { None };
            let name = by_id.unwrap_or_else(|| name.to_owned());
            world.calls.push(Call { call, name: name.clone() });
            name
        };
        let panics = self.world().panics.remove(call);
        #[expect(clippy::panic, reason = "it is what was asked for")]
        if panics {
            panic!("the simulated engine panics at {call} of {name}, as it was told to");
        }
        let limited = match self.world().limits.get_mut(call) {
            Some((0, then)) => Some(then.clone()),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        };
        match limited {
            Some(Some(error)) => return Err(error),
            Some(None) => std::future::pending::<()>().await,
            None => {}
        }
        let hangs = self.world().hanging_for.iter().any(|(it, of)| *it == call && name.starts_with(of));
        if hangs {
            std::future::pending::<()>().await;
        }
        self.enter(call, format!("{kind} {name}"), deadline).await
    }
}

fn carries(found: &BTreeMap<String, String>, wanted: &[(&str, &str)]) -> bool {
    wanted.iter().all(|(key, value)| found.get(*key).is_some_and(|it| it == value))
}

fn conflict(subject: String, message: &str) -> EngineError {
    EngineError::Conflict { subject, message: message.to_owned() }
}

/// A stream of what a channel receives.
fn received<T: Send + 'static>(channel: mpsc::UnboundedReceiver<T>) -> BoxStream<'static, T> {
    stream::unfold(channel, |mut channel| async move { Some((channel.recv().await?, channel)) }).boxed()
}

#[async_trait]
impl Engine for Sim {
    async fn info(&self) -> Result<EngineInfo> {
        self.look("info", "the engine".to_owned()).await?;
        Ok(EngineInfo { name: "sim".to_owned(), version: "1".to_owned(), rootless: true })
    }

    async fn list(&self, labels: &[(&str, &str)]) -> Result<Vec<Summary>> {
        self.look("list", "containers".to_owned()).await?;
        let world = self.world();
        let now = Instant::now();
        let found = world.containers.iter().filter(|(_, container)| carries(&container.spec.labels, labels));
        Ok(found
            .map(|(name, container)| Summary {
                id: container.id.clone(),
                name: name.clone(),
                labels: container.spec.labels.clone(),
                state: container.state(now),
                process: container.process,
            })
            .collect())
    }

    async fn inspect(&self, container: &str) -> Result<Inspect> {
        self.look("inspect", format!("container {container}")).await?;
        let world = self.world();
        let name = world.find(container)?;
        let it = &world.containers[&name];
        if it.damaged {
            let subject = format!("container {container}");
            return Err(EngineError::Damaged { subject, message: "getting graph driver info".to_owned() });
        }
        Ok(it.inspect(world.now()))
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<String> {
        self.change("create", "container", &spec.name, PATIENT).await?;
        self.world().create(spec)
    }

    async fn start(&self, container: &str) -> Result<()> {
        self.change("start", "container", container, PATIENT).await?;
        let mut world = self.world();
        let name = world.find(container)?;
        if world.containers[&name].damaged {
            let subject = format!("container {container}");
            return Err(EngineError::Damaged { subject, message: "mounting its layers".to_owned() });
        }
        world.start(&name)
    }

    async fn stop(&self, container: &str, grace: Duration) -> Result<()> {
        self.change("stop", "container", container, PATIENT).await?;
        let (name, patient) = {
            let mut world = self.world();
            let name = world.find(container)?;
            let it = &world.containers[&name];
            if !matches!(it.state(Instant::now()), EngineState::Running | EngineState::Paused) {
                return Ok(());
            }
            let (alive, patient) = (it.process.is_some(), it.ignores_term);
            world.stopping(&name);
            if !alive {
                // The engine waits for nobody and is content; the container stays like this until it is removed.
                return Ok(());
            }
            (name, patient)
        };
        if patient {
            sleep(grace).await;
        }
        self.world().end(&name, if patient { 137 } else { 143 }, false);
        Ok(())
    }

    async fn kill(&self, container: &str, signal: &str) -> Result<()> {
        self.change("kill", "container", container, LOOK).await?;
        let mut world = self.world();
        let name = world.find(container)?;
        let it = &world.containers[&name];
        if it.state(Instant::now()) != EngineState::Running {
            return Err(conflict(format!("container {container}"), "can only kill running containers"));
        }
        match signal.trim_start_matches("SIG") {
            "KILL" | "9" => world.end(&name, 137, false),
            "TERM" | "15" if !it.ignores_term => world.end(&name, 143, false),
            _ => {}
        }
        Ok(())
    }

    async fn remove(&self, container: &str, force: bool) -> Result<()> {
        self.change("remove", "container", container, PATIENT).await?;
        let mut world = self.world();
        let name = world.find(container)?;
        if let Some(dependant) = world.dependant(&name) {
            return Err(conflict(
                format!("container {container}"),
                &format!("it has dependent containers which must be removed before it: {dependant}"),
            ));
        }
        if !force && matches!(world.containers[&name].state(Instant::now()), EngineState::Running) {
            return Err(conflict(
                format!("container {container}"),
                "it is running: container state improper",
            ));
        }
        world.remove(&name);
        Ok(())
    }

    async fn unpause(&self, container: &str) -> Result<()> {
        self.change("unpause", "container", container, PATIENT).await?;
        let mut world = self.world();
        let name = world.find(container)?;
        world.set_paused(&name, false);
        Ok(())
    }

    async fn reap(&self, id: &str) -> Result<()> {
        self.change("reap", "container", id, LOOK).await?;
        let mut world = self.world();
        if let Ok(name) = world.find(id) {
            world.end(&name, 137, false);
        }
        Ok(())
    }

    async fn events(&self, since: Option<u64>) -> Result<BoxStream<'static, Result<Event>>> {
        self.look("events", "the engine".to_owned()).await?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut world = self.world();
        let earliest = since.map_or(u64::MAX, |seconds| seconds.saturating_mul(1_000_000_000));
        for past in world.history.iter().filter(|(_, event)| event.time_nano >= earliest) {
            let _ = sender.send(past.clone());
        }
        world.watchers.push(sender);
        Ok(received(receiver)
            .then(|(due, event)| async move {
                sleep_until(due).await;
                Ok(event)
            })
            .boxed())
    }

    async fn exit_of(&self, process: ProcessRef) -> Result<BoxFuture<'static, ()>> {
        let gone = || EngineError::NotFound { subject: format!("process {}", process.pid) };
        let mut world = self.world();
        if let Some(error) = world.failures.get_mut("exit_of").and_then(|queue| queue.pop_front()) {
            return Err(error);
        }
        let mut ended = world.processes.get(&(process.pid, process.start_time)).ok_or_else(gone)?.subscribe();
        Ok(Box::pin(async move {
            // An error means that the world itself is gone, and its processes with it.
            let _ = ended.wait_for(|ended| *ended).await;
        }))
    }

    /// Every container uses the same: a tenth of a core, a mebibyte.
    async fn usage(&self, process: ProcessRef) -> Result<Usage> {
        self.look("usage", format!("process {}", process.pid)).await?;
        let world = self.world();
        if !world.containers.values().any(|it| it.process == Some(process)) {
            return Err(EngineError::NotFound { subject: format!("process {}", process.pid) });
        }
        Ok(Usage { cpu: world.begin.elapsed() / 10, memory_bytes: 1 << 20, pids: 1, ..Usage::default() })
    }

    async fn run(&self, container: &str, request: &ExecRequest, timeout: Duration) -> Result<ExecOutput> {
        self.enter("exec", format!("container {container}"), timeout).await?;
        let (name, hook) = {
            let world = self.world();
            let name = world.find(container)?;
            if world.containers[&name].state(Instant::now()) != EngineState::Running {
                return Err(conflict(
                    format!("container {container}"),
                    "it does not run: container state improper",
                ));
            }
            (name, world.exec.clone())
        };
        Ok(hook.map_or(ExecOutput { code: 0, output: String::new() }, |hook| (hook.0)(&name, &request.argv)))
    }

    async fn copy_into(&self, container: &str, _: &Path, to: &str) -> Result<()> {
        self.change("copy_into", "container", container, CHANGE).await?;
        let mut world = self.world();
        let name = world.find(container)?;
        if let Some(it) = world.containers.get_mut(&name) {
            it.copies.push(to.to_owned());
        }
        Ok(())
    }

    async fn logs(
        &self,
        container: &str,
        tail: u32,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogLine>>> {
        self.look("logs", format!("container {container}")).await?;
        let mut world = self.world();
        let name = world.find(container)?;
        let running = world.containers[&name].process.is_some();
        let Some(it) = world.containers.get_mut(&name) else { return Ok(stream::empty().boxed()) };
        let skip = it.log.len().saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX));
        let past = stream::iter(it.log[skip..].to_vec());
        if !(follow && running) {
            return Ok(past.map(Ok).boxed());
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        it.followers.push(sender);
        Ok(past.chain(received(receiver)).map(Ok).boxed())
    }

    async fn ensure_pause_image(&self) -> Result<()> {
        self.look("ensure_pause_image", format!("image {}", apps::PAUSE_IMAGE)).await?;
        self.world().images.entry(apps::PAUSE_IMAGE.to_owned()).or_default();
        Ok(())
    }

    async fn image_present(&self, reference: &str) -> Result<bool> {
        self.look("image_present", format!("image {reference}")).await?;
        Ok(self.world().images.contains_key(reference))
    }

    async fn image_labels(&self, reference: &str) -> Result<BTreeMap<String, String>> {
        self.look("image_labels", format!("image {reference}")).await?;
        let labels = self.world().images.get(reference).cloned();
        labels.ok_or_else(|| EngineError::NotFound { subject: format!("image {reference}") })
    }

    async fn build_image(&self, request: &BuildRequest, progress: ProgressSink) -> Result<()> {
        self.change("build_image", "image", &request.tag, LONG).await?;
        progress("STEP 1/1: FROM scratch");
        progress(&format!("Successfully tagged {}", request.tag));
        self.world().images.insert(request.tag.clone(), request.labels.clone());
        Ok(())
    }

    async fn pull_image(&self, reference: &str, progress: ProgressSink) -> Result<()> {
        self.change("pull_image", "image", reference, LONG).await?;
        progress(&format!("Trying to pull {reference}..."));
        let mut world = self.world();
        if !world.registry.contains(reference) {
            return Err(EngineError::ImageMissing { image: reference.to_owned() });
        }
        world.images.insert(reference.to_owned(), BTreeMap::new());
        Ok(())
    }

    async fn remove_image(&self, reference: &str) -> Result<()> {
        self.change("remove_image", "image", reference, CHANGE).await?;
        let mut world = self.world();
        if world.containers.values().any(|container| container.spec.image == reference) {
            return Err(conflict(format!("image {reference}"), "image is in use by a container"));
        }
        world.images.remove(reference);
        Ok(())
    }

    async fn create_network(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
        _internal: bool,
    ) -> Result<()> {
        self.look("create_network", format!("network {name}")).await?;
        let mut world = self.world();
        if !world.networks.contains_key(name) {
            world.calls.push(Call { call: "create_network", name: name.to_owned() });
            world.networks.insert(name.to_owned(), labels.clone());
        }
        Ok(())
    }

    async fn list_networks(&self, labels: &[(&str, &str)]) -> Result<Vec<String>> {
        self.look("list_networks", "networks".to_owned()).await?;
        let world = self.world();
        let found = world.networks.iter().filter(|(_, it)| carries(it, labels));
        Ok(found.map(|(name, _)| name.clone()).collect())
    }

    async fn remove_network(&self, name: &str) -> Result<()> {
        self.change("remove_network", "network", name, CHANGE).await?;
        let mut world = self.world();
        if world.containers.values().any(|container| container.spec.networks.contains_key(name)) {
            return Err(conflict(format!("network {name}"), "network is being used"));
        }
        world.networks.remove(name);
        Ok(())
    }

    async fn ensure_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<()> {
        self.change("ensure_volume", "volume", name, CHANGE).await?;
        let dir = {
            let mut world = self.world();
            world.volumes.entry(name.to_owned()).or_insert_with(|| labels.clone());
            world.volume_dir(name)
        };
        if let Some(dir) = dir {
            folder(&dir, std::fs::create_dir_all(&dir))?;
        }
        Ok(())
    }

    async fn list_volumes(&self, labels: &[(&str, &str)]) -> Result<Vec<String>> {
        self.look("list_volumes", "volumes".to_owned()).await?;
        let world = self.world();
        Ok(world.volumes.iter().filter(|(_, it)| carries(it, labels)).map(|(name, _)| name.clone()).collect())
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        self.change("remove_volume", "volume", name, CHANGE).await?;
        let mut world = self.world();
        let uses = |mount: &apps::Mount| matches!(&mount.source, apps::MountSource::Volume(it) if it == name);
        if world.containers.values().any(|container| container.spec.mounts.iter().any(uses)) {
            return Err(conflict(format!("volume {name}"), "volume is being used"));
        }
        world.volumes.remove(name);
        if let Some(dir) = world.volume_dir(name).as_deref().and_then(Path::parent).filter(|dir| dir.exists())
        {
            folder(dir, std::fs::remove_dir_all(dir))?;
        }
        Ok(())
    }

    async fn create_secret(&self, name: &str, value: &[u8]) -> Result<()> {
        self.change("create_secret", "secret", name, CHANGE).await?;
        let mut world = self.world();
        if !world.secrets.contains_key(name) {
            world.secrets.insert(name.to_owned(), value.to_vec());
            return Ok(());
        }
        Err(conflict(format!("secret {name}"), "secret name in use"))
    }

    async fn secret_exists(&self, name: &str) -> Result<bool> {
        self.look("secret_exists", format!("secret {name}")).await?;
        Ok(self.world().secrets.contains_key(name))
    }

    async fn remove_secret(&self, name: &str) -> Result<()> {
        self.change("remove_secret", "secret", name, CHANGE).await?;
        self.world().secrets.remove(name);
        Ok(())
    }

    async fn volume_dir(&self, name: &str) -> Result<PathBuf> {
        self.look("volume_dir", format!("volume {name}")).await?;
        let world = self.world();
        let absent = || EngineError::NotFound { subject: format!("volume {name}") };
        world.volumes.get(name).and_then(|_| world.volume_dir(name)).ok_or_else(absent)
    }

    async fn move_folder(&self, from: &Path, to: &Path) -> Result<()> {
        self.change("move_folder", "folder", &to.display().to_string(), CHANGE).await?;
        if let Some(parent) = to.parent() {
            folder(parent, std::fs::create_dir_all(parent))?;
        }
        folder(to, std::fs::rename(from, to))
    }

    async fn make_folder(&self, path: &Path) -> Result<()> {
        self.change("make_folder", "folder", &path.display().to_string(), CHANGE).await?;
        folder(path, std::fs::create_dir_all(path))
    }

    /// There is one user here, to whom everything belongs.
    async fn give_folder(&self, path: &Path, _: u32, _: u32) -> Result<()> {
        self.change("give_folder", "folder", &path.display().to_string(), CHANGE).await?;
        folder(path, std::fs::metadata(path).map(drop))
    }

    async fn remove_folder(&self, path: &Path) -> Result<()> {
        self.change("remove_folder", "folder", &path.display().to_string(), LONG).await?;
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => folder(path, other),
        }
    }
}

fn folder(path: &Path, result: std::io::Result<()>) -> Result<()> {
    let broken = |error: std::io::Error| EngineError::Broken {
        subject: format!("folder {}", path.display()),
        message: error.to_string(),
    };
    result.map_err(broken)
}
