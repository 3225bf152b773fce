//! What every engine must do: cases that run against the simulated engine and against real Podman alike.
//!
//! Each case takes a [`Ground`] of its own and panics where the engine breaks the contract.

mod ground;

pub use ground::{Ground, Kill, events_until, ok, soon};

use crate::{EngineError, EngineState, EventAction, ProcessRef};
use apps::{
    ContainerSpec, LABEL_NODE, LABEL_SERVICE, Mount, MountSource, PAUSE_IMAGE, PortMapping, PortProtocol,
};
use std::{collections::BTreeMap, time::Duration};

/// How long a command may take.
const SOON: Duration = Duration::from_secs(20);

/// Hands the names of all cases to a macro, so that nobody who runs them leaves one out.
#[macro_export]
macro_rules! contract_cases {
    ($run:ident) => {
        $run!(
            lifecycle,
            absence,
            missing_image,
            conflicts,
            port_in_use,
            list,
            events,
            exec,
            exit_of,
            anchor,
            volumes,
            folders,
        );
    };
}

macro_rules! refused {
    ($result:expr, $($kind:ident)|+) => {{
        let error = $result.map(|_| ()).err();
        assert!(
            matches!(error, $(Some(EngineError::$kind { .. }))|+),
            "wanted {}, got {error:?}",
            stringify!($($kind)|+)
        );
    }};
}

fn port(ground: &Ground) -> PortMapping {
    PortMapping {
        host_ip: "127.0.0.1".to_owned(),
        published: ground.port,
        target: 8080,
        protocol: PortProtocol::Tcp,
    }
}

fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// A container is created, started, stopped and removed; repeating a step is no error.
pub async fn lifecycle(ground: Ground) {
    let engine = &ground.engine;
    let spec = ground.spec("web");
    let id = ok(engine.create(&spec).await);
    let created = ok(engine.inspect(&spec.name).await);
    assert_eq!((created.id.as_str(), created.name.as_str()), (id.as_str(), spec.name.as_str()));
    assert_eq!(created.image, spec.image);
    assert_eq!((created.state, created.process, created.started_at), (EngineState::Created, None, None));
    assert_eq!(created.labels.get(LABEL_SERVICE).map(String::as_str), Some("web"));

    ok(engine.start(&spec.name).await);
    let running = ground.begun(&id).await;
    assert_eq!(running.state, EngineState::Running);
    assert!(running.process.is_some() && running.started_at.is_some());
    ok(engine.start(&spec.name).await);
    assert_eq!(ok(engine.inspect(&id).await).process, running.process);

    ok(engine.stop(&spec.name, spec.stop_grace).await);
    let stopped = ground.exited(&id).await;
    assert_eq!((stopped.exit_code, stopped.oom, stopped.process), (143, false, None));
    assert!(stopped.finished_at >= stopped.started_at);
    ok(engine.stop(&spec.name, spec.stop_grace).await);

    ok(engine.start(&spec.name).await);
    let again = ok(engine.inspect(&spec.name).await);
    assert_eq!((again.id, again.state), (id, EngineState::Running));
    assert_ne!(again.process, running.process);
    ok(engine.remove(&spec.name, true).await);
    refused!(engine.inspect(&spec.name).await, NotFound);
}

/// What does not exist is `NotFound`, except where its absence is what was asked for.
pub async fn absence(ground: Ground) {
    let engine = &ground.engine;
    let name = &ground.name("nobody");
    refused!(engine.inspect(name).await, NotFound);
    refused!(engine.start(name).await, NotFound);
    refused!(engine.stop(name, Duration::ZERO).await, NotFound);
    refused!(engine.kill(name, "SIGKILL").await, NotFound);
    refused!(engine.remove(name, false).await, NotFound);
    refused!(engine.remove(name, true).await, NotFound);
    refused!(engine.exec(name, &argv(&["true"]), SOON).await, NotFound);
    refused!(engine.logs(name, 1, true).await, NotFound);
    let image = format!("localhost/{name}:1");
    assert!(!ok(engine.image_present(&image).await));
    refused!(engine.image_labels(&image).await, NotFound);
    ok(engine.remove_image(&image).await);
    ok(engine.remove_network(name).await);
    ok(engine.remove_volume(name).await);
    ok(engine.remove_secret(name).await);
    assert!(!ok(engine.secret_exists(name).await));
    assert!(ok(engine.image_present(&ground.image).await));
    ok(engine.image_labels(&ground.image).await);
    assert!(!ok(engine.info().await).version.is_empty());
}

/// A container whose image is missing is not created, and nothing is pulled.
pub async fn missing_image(ground: Ground) {
    let mut spec = ground.spec("web");
    spec.image = "registry.invalid/archipelago/nothing:1".to_owned();
    let made = ground.engine.create(&spec).await;
    assert_eq!(made, Err(EngineError::ImageMissing { image: spec.image }));
    refused!(ground.engine.inspect(&spec.name).await, NotFound);
}

/// What is in the way is a `Conflict`.
pub async fn conflicts(ground: Ground) {
    let engine = &ground.engine;
    let none = BTreeMap::new();
    let (net, key) = (ground.name("net"), ground.name("key"));
    ok(engine.ensure_network(&net, &none).await);
    ok(engine.ensure_network(&net, &none).await);
    ok(engine.create_secret(&key, b"one").await);
    refused!(engine.create_secret(&key, b"two").await, Conflict);
    assert!(ok(engine.secret_exists(&key).await));

    let mut spec = ground.spec("web");
    spec.networks.insert(net.clone(), vec!["front".to_owned()]);
    ok(engine.create(&spec).await);
    refused!(engine.create(&spec).await, Conflict);
    refused!(engine.kill(&spec.name, "SIGKILL").await, Conflict);
    refused!(engine.exec(&spec.name, &argv(&["/bin/busybox", "true"]), SOON).await, Conflict);
    ok(engine.start(&spec.name).await);
    assert!(ok(engine.inspect(&spec.name).await).addresses.contains_key(&net));
    refused!(engine.remove(&spec.name, false).await, Conflict);
    refused!(engine.remove_network(&net).await, Conflict);
    ok(engine.stop(&spec.name, spec.stop_grace).await);
    ground.exited(&spec.name).await;
    ok(engine.remove(&spec.name, false).await);
    ok(engine.remove_network(&net).await);

    let mut spec = ground.spec("lost");
    spec.networks.insert(net, Vec::new());
    refused!(engine.create(&spec).await, Refused);
}

/// A port that is taken is `PortInUse` at the start.
pub async fn port_in_use(ground: Ground) {
    let with_port = |what: &str| {
        let mut spec = ground.spec(what);
        spec.ports.push(port(&ground));
        spec
    };
    ground.up(&with_port("one")).await;
    let two = with_port("two");
    ok(ground.engine.create(&two).await);
    refused!(ground.engine.start(&two.name).await, PortInUse);
    ok(ground.engine.remove(&ground.name("one"), true).await);
    ok(ground.engine.start(&two.name).await);
}

/// A list holds what carries all labels, running or not.
pub async fn list(ground: Ground) {
    let engine = &ground.engine;
    let one = ground.up(&ground.spec("one")).await;
    ok(engine.create(&ground.spec("two")).await);
    let node = (LABEL_NODE, ground.prefix.as_str());
    let mut all = ok(engine.list(&[node]).await);
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let seen: Vec<_> = all.iter().map(|it| (it.name.clone(), it.state)).collect();
    let wanted = [(ground.name("one"), EngineState::Running), (ground.name("two"), EngineState::Created)];
    assert_eq!(seen, wanted);
    assert_eq!(all[0].process, one.process);
    assert_eq!((all[0].id.as_str(), all[1].process), (one.id.as_str(), None));
    assert_eq!(ok(engine.list(&[node, (LABEL_SERVICE, "two")]).await).len(), 1);
    assert_eq!(ok(engine.list(&[(LABEL_NODE, "nobody")]).await).len(), 0);
}

/// Events tell a container's life in order, with its id, name and labels.
pub async fn events(ground: Ground) {
    let engine = &ground.engine;
    let mut stream = ok(engine.events(None).await);
    let spec = ground.spec("web");
    let running = ground.up(&spec).await;
    ok(engine.kill(&spec.name, "SIGKILL").await);
    ground.exited(&spec.name).await;
    ok(engine.remove(&spec.name, false).await);
    let seen = events_until(&mut stream, &spec.name, &EventAction::Remove).await;
    let actions: Vec<_> = seen.iter().map(|event| event.action.clone()).collect();
    assert_eq!(actions, [EventAction::Create, EventAction::Start, EventAction::Died, EventAction::Remove]);
    assert!(seen.iter().all(|event| event.id == running.id));
    assert!(seen.iter().all(|event| event.labels.get(LABEL_NODE) == Some(&ground.prefix)));
    assert!(seen.is_sorted_by_key(|event| event.time_nano));

    let since = seen.first().map(|event| event.time_nano / 1_000_000_000);
    let mut replay = ok(engine.events(since).await);
    let again = events_until(&mut replay, &spec.name, &EventAction::Remove).await;
    assert_eq!(again, seen);
}

/// A command's exit code and output come back; one that does not end is a `Timeout`.
pub async fn exec(ground: Ground) {
    let engine = &ground.engine;
    let spec = ground.spec("web");
    ground.up(&spec).await;
    let said =
        ok(engine.exec(&spec.name, &argv(&["/bin/busybox", "sh", "-c", "echo hi; exit 3"]), SOON).await);
    assert_eq!((said.code, said.output.as_str()), (3, "hi\n"));
}

/// The end of a process is told by the kernel, once, and then the container has exited.
pub async fn exit_of(ground: Ground) {
    let engine = &ground.engine;
    let spec = ground.spec("web");
    let running = ground.up(&spec).await;
    let Some(process) = running.process else { return assert_eq!(running.process, None, "it runs") };
    let stranger = ProcessRef { start_time: process.start_time + 1, ..process };
    refused!(engine.exit_of(stranger).await, NotFound);
    let mut exit = ok(engine.exit_of(process).await);
    assert!(futures_util::poll!(&mut exit).is_pending());
    (ground.kill9)(&spec.name, process);
    soon(exit).await;
    refused!(engine.exit_of(process).await, NotFound);
    let exited = ground.exited(&spec.name).await;
    assert_eq!((exited.exit_code, exited.process, exited.oom), (137, None, false));
}

/// A container that joins another's network ends and starts under the same address, and goes before it.
pub async fn anchor(ground: Ground) {
    let engine = &ground.engine;
    let net = ground.name("net");
    ok(engine.ensure_network(&net, &BTreeMap::new()).await);
    ok(engine.ensure_pause_image().await);
    ok(engine.ensure_pause_image().await);
    let mut anchor = ContainerSpec {
        image: PAUSE_IMAGE.to_owned(),
        entrypoint: None,
        command: None,
        init: false,
        read_only: true,
        ..ground.spec("anchor")
    };
    anchor.networks.insert(net.clone(), vec!["front".to_owned()]);
    anchor.ports.push(port(&ground));
    let mut spec = ground.spec("web");
    spec.network_of = Some(anchor.name.clone());
    refused!(engine.create(&spec).await, NotFound | Refused);
    let made = ground.up(&anchor).await;
    let first = ground.up(&spec).await;
    assert_eq!(first.network_of.as_ref(), Some(&made.id));
    assert_eq!(made.network_of, None);
    assert!(first.monitor.is_some() && made.monitor.is_some());

    let Some(process) = first.process else { return assert_eq!(first.process, None, "it runs") };
    (ground.kill9)(&spec.name, process);
    let down = soon(async {
        loop {
            let found = ok(engine.inspect(&spec.name).await);
            if matches!(found.state, EngineState::Stopped | EngineState::Exited) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(down.exit_code, 137);
    // At once, also before the engine has cleaned up.
    ok(engine.start(&spec.name).await);
    assert_eq!(ok(engine.inspect(&spec.name).await).state, EngineState::Running);
    let after = ok(engine.inspect(&anchor.name).await);
    assert_eq!((after.process, after.addresses), (made.process, made.addresses));

    refused!(engine.remove(&anchor.name, true).await, Conflict);
    assert_eq!(ok(engine.inspect(&anchor.name).await).state, EngineState::Running);
    ok(engine.remove(&spec.name, true).await);
    ok(engine.remove(&anchor.name, true).await);
    refused!(engine.inspect(&anchor.name).await, NotFound);
}

/// Volumes exist once, carry labels, outlive their containers and go only when told.
pub async fn volumes(ground: Ground) {
    let engine = &ground.engine;
    let labels = [(LABEL_NODE, ground.prefix.as_str()), (LABEL_SERVICE, "data")];
    let (data, data2) = (ground.name("data"), ground.name("data2"));
    let owned: BTreeMap<_, _> = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    ok(engine.ensure_volume(&data, &owned).await);
    ok(engine.ensure_volume(&data, &owned).await);
    let other = BTreeMap::from([(LABEL_NODE.to_owned(), ground.prefix.clone())]);
    ok(engine.ensure_volume(&data2, &other).await);
    assert_eq!(ok(engine.list_volumes(&labels).await), std::slice::from_ref(&data));
    assert_eq!(ok(engine.list_volumes(&labels[..1]).await).len(), 2);

    let mut spec = ground.spec("web");
    let source = MountSource::Volume(data.clone());
    spec.mounts.push(Mount { source, target: "/data".to_owned(), read_only: false, chown: false });
    ground.up(&spec).await;
    refused!(engine.remove_volume(&data).await, Conflict);
    ok(engine.remove(&spec.name, true).await);
    assert_eq!(ok(engine.list_volumes(&labels).await), std::slice::from_ref(&data));
    ok(engine.remove_volume(&data).await);
    assert_eq!(ok(engine.list_volumes(&labels).await).len(), 0);
}

/// A folder can be given to a user of the containers, moved and removed all the same; one that is not there cannot, and
/// nothing is moved over what is there.
pub async fn folders(ground: Ground) {
    let engine = &ground.engine;
    let folder = std::env::temp_dir().join(ground.name("folder"));
    refused!(engine.give_folder(&folder, 1000, 1000).await, Broken);
    ok(engine.remove_folder(&folder).await);
    assert!(std::fs::create_dir_all(folder.join("below")).is_ok(), "the ground has a disk");
    ok(engine.give_folder(&folder, 1000, 1000).await);
    let (moved, empty) = (folder.with_extension("moved"), folder.with_extension("empty"));
    ok(engine.make_folder(&empty).await);
    ok(engine.make_folder(&empty).await);
    let deep = moved.join("deep/er");
    ok(engine.move_folder(&folder, &deep).await);
    refused!(engine.move_folder(&folder, &deep).await, Broken);
    refused!(engine.move_folder(&empty, &moved).await, Broken);
    ok(engine.move_folder(&deep, &empty).await);
    assert!(empty.exists() && !folder.exists() && !deep.exists());
    for folder in [&moved, &empty] {
        ok(engine.remove_folder(folder).await);
        assert!(!folder.exists());
    }
}
