//! The Podman adapter: [`Engine`] over podman-api 0.11, with `raw` for what that crate gets wrong.

mod call;
mod event;
mod exec;
mod folder;
mod image;
mod inspect;
mod mux;
mod raw;
mod spec;

use crate::{
    BuildRequest, Engine, EngineError, EngineInfo, Event, ExecOutput, Inspect, LogLine, ProcessRef,
    ProgressSink, Result, Summary, Usage, process, usage,
};
use apps::ContainerSpec;
use async_trait::async_trait;
use call::Call;
use futures_util::{FutureExt, StreamExt, TryFutureExt, future::BoxFuture, stream::BoxStream};
use hyper::Method;
use podman_api::{
    models::ContainerCreateCreatedBody,
    opts::{
        ContainerDeleteOpts, ContainerListFilter, ContainerListOpts, ContainerStopOpts, NetworkCreateOpts,
        PullOpts, VolumeCreateOpts, VolumeListFilter, VolumeListOpts,
    },
};
use raw::{Content, Raw, encode};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Mutex;

/// Deadline in seconds of calls that only look; they take milliseconds, or hang with a lock of the engine.
const LOOK: u64 = 10;
/// Deadline in seconds of calls that change something other than a container.
const CHANGE: u64 = 30;
/// Deadline in seconds of builds and pulls.
const LONG: u64 = 30 * 60;

/// What cargo-fuzz reaches beside the public interface; see `tests/fuzz`.
#[cfg(fuzzing)]
#[expect(missing_docs, reason = "not part of the interface")]
pub mod fuzz {
    pub fn event(line: &[u8]) -> Option<crate::Event> {
        super::event::parse(line).ok().flatten()
    }

    pub fn inspect(body: &[u8]) -> Option<crate::Inspect> {
        serde_json::from_slice::<super::inspect::Body>(body).ok().map(Into::into)
    }
}

/// Podman, on the unix socket of its API.
#[derive(Debug, Clone)]
pub struct Podman {
    api: podman_api::Podman,
    raw: Raw,
    /// Held while the pause image is built.
    building: Arc<Mutex<()>>,
}

impl Podman {
    /// An engine on this socket. Nothing is sent yet: every call opens a connection of its own.
    pub fn connect(socket: PathBuf) -> Self {
        Self { api: podman_api::Podman::unix(&socket), raw: Raw::new(socket), building: Arc::default() }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        self.raw.socket()
    }

    fn container(&self, name: &str) -> podman_api::api::Container {
        self.api.containers().get(name)
    }

    async fn look(&self, call: &Call, container: &str) -> Result<Inspect> {
        // Gap: the crate's inspect forces `size=true`.
        let body: inspect::Body =
            call.run(self.raw.get(call, &format!("/containers/{}/json", encode(container)))).await?;
        Ok(body.into())
    }

    async fn delete(&self, call: &Call, container: &str, force: bool) -> Result<()> {
        let options = ContainerDeleteOpts::builder().force(force);
        let options = if force { options.timeout(0) } else { options }.build();
        call.api(self.container(container).delete(&options)).await
    }
}

/// Whether the call did nothing because it was done before: the crate takes the status 304 for an error.
fn unless_done(result: podman_api::Result<()>) -> podman_api::Result<()> {
    match result {
        Err(podman_api::Error::Fault { code, .. }) if code.as_u16() == 304 => Ok(()),
        result => result,
    }
}

/// Whether a removal may have come to its end all the same, or will the next time.
fn is_half_done(error: &EngineError) -> bool {
    match error {
        EngineError::Conflict { message, .. } => !message.contains("dependent containers"),
        EngineError::Broken { .. } | EngineError::Damaged { .. } => true,
        _ => false,
    }
}

fn or_absent(result: Result<()>) -> Result<()> {
    match result {
        Err(EngineError::NotFound { .. }) => Ok(()),
        result => result,
    }
}

fn or_present(result: Result<()>) -> Result<()> {
    match result {
        Err(EngineError::Conflict { .. }) => Ok(()),
        result => result,
    }
}

#[async_trait]
impl Engine for Podman {
    async fn info(&self) -> Result<EngineInfo> {
        // `info` and `version` take up to half a second each: they ask the package manager about their parts.
        let call = Call::new("info", "the engine".to_owned(), LOOK);
        let ping = call.api(self.api.ping()).await?;
        let socket = std::fs::metadata(self.raw.socket())
            .map_err(|error| EngineError::Unreachable { message: error.to_string() })?;
        Ok(EngineInfo {
            name: "podman".to_owned(),
            version: ping.libpod_api_version,
            // The service is its owner's.
            rootless: socket.uid() != 0,
        })
    }

    async fn list(&self, labels: &[(&str, &str)]) -> Result<Vec<Summary>> {
        let filter = |(key, value): &(&str, &str)| {
            ContainerListFilter::LabelKeyVal((*key).to_owned(), (*value).to_owned())
        };
        let options = ContainerListOpts::builder().all(true).filter(labels.iter().map(filter)).build();
        let call = Call::new("list", "containers".to_owned(), LOOK);
        let containers = call.api(self.api.containers().list(&options)).await?;
        Ok(containers.into_iter().filter_map(inspect::summary).collect())
    }

    async fn inspect(&self, container: &str) -> Result<Inspect> {
        self.look(&Call::container("inspect", container, LOOK), container).await
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<String> {
        let call = Call::container("create", &spec.name, CHANGE).patient().image(&spec.image).authored();
        let body = spec::create_body(spec)
            .map_err(|message| EngineError::Refused { subject: call.subject.clone(), message })?;
        let content = Content::Json(body.to_string().into_bytes());
        let created: ContainerCreateCreatedBody =
            call.run(self.raw.post(&call, "/containers/create", content)).await?;
        for warning in created.warnings {
            tracing::warn!(container = spec.name, warning, "engine warned about a container");
        }
        Ok(created.id)
    }

    async fn start(&self, container: &str) -> Result<()> {
        let call = Call::container("start", container, CHANGE).patient().authored();
        call.api(self.container(container).start(None).map(unless_done)).await
    }

    async fn stop(&self, container: &str, grace: Duration) -> Result<()> {
        let call = Call::container("stop", container, CHANGE).patient();
        let seconds = grace.as_secs() + u64::from(grace.subsec_nanos() > 0);
        let options =
            ContainerStopOpts::builder().timeout(usize::try_from(seconds).unwrap_or(usize::MAX)).build();
        call.api(self.container(container).stop(&options).map(unless_done)).await
    }

    async fn kill(&self, container: &str, signal: &str) -> Result<()> {
        let call = Call::container("kill", container, LOOK);
        call.api(self.container(container).send_signal(signal)).await
    }

    async fn remove(&self, container: &str, force: bool) -> Result<()> {
        let call = Call::container("remove", container, CHANGE).patient();
        match self.delete(&call, container, force).await {
            // A container whose processes are gone without the engine's knowledge: the first request finds that
            // out and fails, the second removes it.
            Err(error) if force && is_half_done(&error) => match self.delete(&call, container, force).await {
                Err(EngineError::NotFound { .. }) => Ok(()),
                result => result,
            },
            result => result,
        }
    }

    async fn unpause(&self, container: &str) -> Result<()> {
        let call = Call::container("unpause", container, CHANGE).patient();
        call.api(self.container(container).unpause()).await
    }

    async fn reap(&self, id: &str) -> Result<()> {
        process::reap(id).await
    }

    async fn events(&self, since: Option<u64>) -> Result<BoxStream<'static, Result<Event>>> {
        let call = Call::new("events", "the engine".to_owned(), LOOK);
        // When the engine cuts its log (1 MB), a stream from now on repeats some events, and one with `since` ends:
        // the observer drops the former and connects anew after the latter.
        let mut path = format!("/events?stream=true&filters={}", encode(r#"{"type":["container"]}"#));
        if let Some(since) = since {
            path.push_str(&format!("&since={since}"));
        }
        let answer = call.run(self.raw.stream(&call, Method::GET, &path, Content::Nothing)).await?;
        Ok(event::events(call, answer))
    }

    async fn exit_of(&self, process: ProcessRef) -> Result<BoxFuture<'static, ()>> {
        process.exit()
    }

    async fn usage(&self, process: ProcessRef) -> Result<Usage> {
        let broken = |message| EngineError::Broken { subject: format!("process {}", process.pid), message };
        tokio::task::spawn_blocking(move || usage::of(process))
            .await
            .map_err(|error| broken(error.to_string()))?
    }

    async fn exec(&self, container: &str, argv: &[String], timeout: Duration) -> Result<ExecOutput> {
        self.run_exec(container, argv, timeout).await
    }

    async fn logs(
        &self,
        container: &str,
        tail: u32,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogLine>>> {
        let call = Call::container("logs", container, LOOK);
        // The engine answers with the first line, which may never come, so errors are looked for here.
        let id = self.look(&call, container).await?.id;
        let path = format!("/containers/{id}/logs?stdout=true&stderr=true&tail={tail}&follow={follow}");
        let (raw, asked) = (self.raw.clone(), call.clone());
        let answer = async move { raw.stream(&asked, Method::GET, &path, Content::Nothing).await };
        Ok(mux::lines(call, answer.try_flatten_stream().boxed()))
    }

    async fn ensure_pause_image(&self) -> Result<()> {
        let _building = self.building.lock().await;
        if self.image_present(apps::PAUSE_IMAGE).await? {
            return Ok(());
        }
        let call = Call::new("ensure_pause_image", format!("image {}", apps::PAUSE_IMAGE), LONG).authored();
        let packed = tokio::task::spawn_blocking(image::pack_pause)
            .await
            .map_err(|error| call.not_understood(error))??;
        let request = BuildRequest {
            context: PathBuf::new(),
            dockerfile: image::CONTAINERFILE.to_owned(),
            tag: apps::PAUSE_IMAGE.to_owned(),
            labels: BTreeMap::new(),
        };
        call.run(async {
            let path = image::build_query(&request);
            let answer = self.raw.stream(&call, Method::POST, &path, Content::Tar(packed)).await?;
            let quiet: ProgressSink = Arc::new(|_| ());
            image::follow_build(&call, answer, &quiet).await
        })
        .await
    }

    async fn image_present(&self, reference: &str) -> Result<bool> {
        // `exists` says yes also when a layer is gone.
        match self.image_labels(reference).await {
            Ok(_) => Ok(true),
            Err(EngineError::NotFound { .. } | EngineError::Broken { .. } | EngineError::Damaged { .. }) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn image_labels(&self, reference: &str) -> Result<BTreeMap<String, String>> {
        let call = Call::new("image_labels", format!("image {reference}"), LOOK);
        let image = call.api(self.api.images().get(reference).inspect()).await?;
        Ok(inspect::sorted(image.labels.unwrap_or_default()))
    }

    async fn build_image(&self, request: &BuildRequest, progress: ProgressSink) -> Result<()> {
        let call = Call::new("build_image", format!("image {}", request.tag), LONG).authored();
        let context = request.context.clone();
        // Gap: the crate packs the context by following links, wherever they lead.
        let packed = tokio::task::spawn_blocking(move || image::pack(&context))
            .await
            .map_err(|error| call.not_understood(error))??;
        call.run(async {
            let path = image::build_query(request);
            let answer = self.raw.stream(&call, Method::POST, &path, Content::Tar(packed)).await?;
            image::follow_build(&call, answer, &progress).await
        })
        .await
    }

    async fn pull_image(&self, reference: &str, progress: ProgressSink) -> Result<()> {
        let call = Call::new("pull_image", format!("image {reference}"), LONG).image(reference).authored();
        let options = PullOpts::builder().reference(reference).build();
        call.run(async {
            let images = self.api.images();
            let mut reports = images.pull(&options);
            while let Some(report) = reports.next().await {
                let report = report.map_err(|error| call.api_error(error))?;
                // A pull that fails arrives as an orderly item with its error inside.
                if let Some(error) = report.error.filter(|error| !error.is_empty()) {
                    return Err(call.fault(500, &error));
                }
                image::say(&report.stream.unwrap_or_default(), &progress);
            }
            Ok(())
        })
        .await
    }

    async fn remove_image(&self, reference: &str) -> Result<()> {
        let call = Call::new("remove_image", format!("image {reference}"), CHANGE);
        or_absent(call.api(self.api.images().get(reference).delete()).await)
    }

    async fn ensure_network(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<()> {
        let call = Call::new("ensure_network", format!("network {name}"), CHANGE);
        let options = NetworkCreateOpts::builder().name(name).dns_enabled(true).labels(labels).build();
        or_present(call.api(self.api.networks().create(&options)).await.map(|_| ()))
    }

    async fn remove_network(&self, name: &str) -> Result<()> {
        let call = Call::new("remove_network", format!("network {name}"), CHANGE);
        let reports = call.api(self.api.networks().get(name).delete()).await;
        or_absent(reports.and_then(|reports| {
            let error = reports.into_iter().find_map(|report| report.err.filter(|error| !error.is_empty()));
            error.map_or(Ok(()), |error| Err(call.fault(500, &error)))
        }))
    }

    async fn ensure_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<()> {
        let call = Call::new("ensure_volume", format!("volume {name}"), CHANGE);
        let options = VolumeCreateOpts::builder().name(name).labels(labels).build();
        or_present(call.api(self.api.volumes().create(&options)).await.map(|_| ()))
    }

    async fn list_volumes(&self, labels: &[(&str, &str)]) -> Result<Vec<String>> {
        let filter = |(key, value): &(&str, &str)| {
            VolumeListFilter::LabelKeyVal((*key).to_owned(), (*value).to_owned())
        };
        let options = VolumeListOpts::builder().filter(labels.iter().map(filter)).build();
        let call = Call::new("list_volumes", "volumes".to_owned(), LOOK);
        let volumes = call.api(self.api.volumes().list(&options)).await?;
        // The engine is content when one of several labels matches.
        let carries_all = |volume: &podman_api::models::Volume| {
            labels.iter().all(|(key, value)| volume.labels.get(*key).is_some_and(|found| found == value))
        };
        Ok(volumes.into_iter().filter(carries_all).map(|volume| volume.name).collect())
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        let call = Call::new("remove_volume", format!("volume {name}"), CHANGE);
        or_absent(call.api(self.api.volumes().get(name).delete()).await)
    }

    async fn create_secret(&self, name: &str, value: &[u8]) -> Result<()> {
        let call = Call::new("create_secret", format!("secret {name}"), CHANGE);
        let path = format!("/secrets/create?name={}", encode(name));
        // Gap: the crate sends the value as JSON, so that the container would see it in quotes.
        let content = Content::Octets(value.to_vec());
        call.run(self.raw.post::<serde_json::Value>(&call, &path, content)).await.map(|_| ())
    }

    async fn secret_exists(&self, name: &str) -> Result<bool> {
        let call = Call::new("secret_exists", format!("secret {name}"), LOOK);
        match call.api(self.api.secrets().get(name).inspect()).await {
            Ok(_) => Ok(true),
            Err(EngineError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn remove_secret(&self, name: &str) -> Result<()> {
        let call = Call::new("remove_secret", format!("secret {name}"), CHANGE);
        or_absent(call.api(self.api.secrets().get(name).delete()).await)
    }

    async fn give_folder(&self, path: &Path, uid: u32, gid: u32) -> Result<()> {
        let owner = format!("{uid}:{gid}");
        folder::inside("give_folder", path, &[OsStr::new("chown"), OsStr::new(&owner)]).await
    }

    async fn remove_folder(&self, path: &Path) -> Result<()> {
        folder::inside("remove_folder", path, &[OsStr::new("rm"), OsStr::new("-rf")]).await
    }
}

#[cfg(test)]
mod tests;
