//! Images that are built and pulled.

use super::{
    podman_test,
    support::{busybox_context, request},
};
use engine::{Engine, EngineError, ProgressSink, contract::ok};
use std::sync::{Arc, Mutex};

fn sink() -> (ProgressSink, Arc<Mutex<Vec<String>>>) {
    let said = Arc::new(Mutex::new(Vec::new()));
    let into = said.clone();
    (Arc::new(move |line| into.lock().unwrap().push(line.to_owned())), said)
}

podman_test!(a_build_tells_its_progress_and_runs_commands, |real| async move {
    let tag = format!("localhost/{}image:1", real.ground.prefix);
    let base = &real.ground.image;
    busybox_context(
        real.folder.path(),
        &format!("FROM {base}\nRUN [\"/bin/busybox\", \"echo\", \"built here\"]\n"),
    );
    let (progress, said) = sink();
    ok(real.podman.build_image(&request(real.folder.path(), &tag), progress).await);
    let said = said.lock().unwrap().join("\n");
    assert!(said.contains("STEP 2/3: RUN") && said.contains("built here"), "{said}");
    assert!(ok(real.podman.image_present(&tag).await));
    assert_eq!(
        ok(real.podman.image_labels(&tag).await).get("archipelago.test").map(String::as_str),
        Some("yes")
    );
    ok(real.podman.remove_image(&tag).await);
    assert!(!ok(real.podman.image_present(&tag).await));
});

podman_test!(a_build_that_fails_says_why, |real| async move {
    let tag = format!("localhost/{}image:1", real.ground.prefix);
    let base = &real.ground.image;
    let cases = [
        (format!("FROM {base}\nRUN [\"/bin/busybox\", \"false\"]\n"), "exit status 1"),
        (format!("FROM {base}\nCOPY nothere /\n"), "no such file"),
        ("FROM scratch\nBOGUS\n".to_owned(), "Unknown instruction"),
    ];
    for (dockerfile, reason) in cases {
        busybox_context(real.folder.path(), &dockerfile);
        let result = real.podman.build_image(&request(real.folder.path(), &tag), sink().0).await;
        let Err(EngineError::Refused { message, .. }) = &result else { panic!("{dockerfile}: {result:?}") };
        assert!(message.contains(reason), "{message}");
    }
    let mut lost = request(real.folder.path(), &tag);
    lost.dockerfile = "Elsewhere".to_owned();
    assert!(matches!(real.podman.build_image(&lost, sink().0).await, Err(EngineError::Refused { .. })));
    assert!(!ok(real.podman.image_present(&tag).await));
});

podman_test!(a_registry_that_is_away_is_no_fault_of_the_manifest, |real| async move {
    let image = "localhost:1/archipelago/nothing:1";
    let result = real.podman.pull_image(image, sink().0).await;
    assert!(matches!(result, Err(EngineError::RegistryUnreachable { .. })), "{result:?}");
    busybox_context(real.folder.path(), &format!("FROM {image}\n"));
    let tag = format!("localhost/{}image:1", real.ground.prefix);
    let result = real.podman.build_image(&request(real.folder.path(), &tag), sink().0).await;
    assert!(matches!(result, Err(EngineError::RegistryUnreachable { .. })), "{result:?}");
});
