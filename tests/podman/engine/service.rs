//! The engine's service, and its absence.

use super::{podman_test, support::spawn};
use engine::{
    Engine, EngineError, EngineState, Podman, PodmanService, ProcessRef,
    contract::{ok, soon},
};
use futures_util::StreamExt;
use std::time::Instant;

podman_test!(containers_outlive_the_service_and_are_found_again, |real| async move {
    let socket = real.folder.path().join("podman.sock");
    let mut service = spawn(&socket).await;
    let podman = Podman::connect(socket.clone());
    let spec = real.ground.spec("web");
    ok(podman.create(&spec).await);
    ok(podman.start(&spec.name).await);
    let before = ok(podman.inspect(&spec.name).await);
    let process = before.process.unwrap();
    let mut events = ok(podman.events(None).await);
    let taken = PodmanService::spawn(socket.clone(), &socket.with_extension("log")).await;
    assert!(matches!(taken, Err(EngineError::Conflict { .. })), "{taken:?}");

    // As the kernel does it for lack of memory: without a word, and the socket file stays.
    super::support::kill9(service.pid().unwrap());
    let begin = Instant::now();
    let end = soon(async {
        loop {
            match events.next().await {
                Some(Ok(_)) => {}
                end => return end,
            }
        }
    })
    .await;
    println!("death of the service seen after {:?} as {end:?}", begin.elapsed());
    assert!(!soon(service.wait()).await.unwrap().success());
    assert!(socket.exists());
    assert!(matches!(podman.inspect(&spec.name).await, Err(EngineError::Unreachable { .. })));
    assert!(matches!(podman.list(&[]).await, Err(EngineError::Unreachable { .. })));
    assert_eq!(ProcessRef::of(process.pid), Some(process));

    let begin = Instant::now();
    let mut service = spawn(&socket).await;
    println!("service answers again after {:?}", begin.elapsed());
    let after = ok(podman.inspect(&spec.name).await);
    assert_eq!(after.state, EngineState::Running);
    assert_eq!((&after.id, after.process, after.started_at), (&before.id, Some(process), before.started_at));
    ok(podman.stop(&spec.name, spec.stop_grace).await);
    service.kill().await.unwrap();
    assert!(!socket.exists());
});

podman_test!(the_service_of_an_earlier_life_is_ended, |real| async move {
    let socket = real.folder.path().join("podman.sock");
    ok(PodmanService::end_earlier(&socket).await);
    let mut earlier = spawn(&socket).await;
    ok(PodmanService::end_earlier(&socket).await);
    assert!(!soon(earlier.wait()).await.unwrap().success());
    let mut service = spawn(&socket).await;
    ok(Podman::connect(socket).info().await);
    service.kill().await.unwrap();
});

podman_test!(the_engine_says_what_it_is, |real| async move {
    let begin = Instant::now();
    let info = ok(real.podman.info().await);
    println!("{info:?} in {:?}", begin.elapsed());
    assert_eq!(info.name, "podman");
    assert!(info.rootless && info.version.starts_with(|first: char| first.is_ascii_digit()));
});
