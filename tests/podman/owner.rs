//! Every test here runs as the unprivileged user who owns the containers, for root has no rootless ones, and on the
//! Podman that the environment names.

use std::{
    env,
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::{self, Command},
};

/// What a test may be told by its environment.
const VARIABLES: &[&str] =
    &["PODMAN_SOCKET", "RUST_BACKTRACE", "ARCHIPELAGO_BIN", "ARCHY_BIN", "ARCHIPELAGO_CATALOG", "FAULT_SEED"];

/// Set where a test already runs as the owner.
const OWNED: &str = "ARCHIPELAGO_TEST_OWNED";

/// Runs a test's body in a process of the owner of the containers.
pub(crate) fn run(test: &str, body: impl Future<Output = ()>) {
    if env::var_os(OWNED).is_none() {
        return as_owner(test);
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(body);
}

/// The owner cannot read where cargo builds, so that the binary is copied.
fn as_owner(test: &str) {
    let me = env::current_exe().unwrap();
    let meta = me.metadata().unwrap();
    let folder = env::temp_dir().join("archy-test");
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    // Cargo's name for the binary tells checkouts apart, size and time tell builds.
    let name = me.file_name().unwrap().to_str().unwrap();
    let copy = folder.join(format!("{name}-{}-{}", meta.len(), meta.mtime()));
    if !copy.exists() {
        for old in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap()) {
            if old.path() != copy && old.file_name().to_str().unwrap().starts_with(name) {
                let _ = fs::remove_file(old.path());
            }
        }
        let fresh = folder.join(format!("fresh-{}", process::id()));
        fs::copy(&me, &fresh).unwrap();
        fs::set_permissions(&fresh, Permissions::from_mode(0o755)).unwrap();
        fs::rename(&fresh, &copy).unwrap();
    }
    let as_user = Path::new(env!("CARGO_MANIFEST_DIR")).join("../archipelago/setup/as-user.sh");
    let mut command = Command::new(as_user);
    command.args(["env", &format!("{OWNED}=1")]);
    for name in VARIABLES {
        if let Ok(value) = env::var(name) {
            command.arg(format!("{name}={value}"));
        }
    }
    let (_, name) = test.split_once("::").unwrap();
    let status = command.arg(copy).args(["--exact", name, "--nocapture"]).status().unwrap();
    assert!(status.success(), "{name} failed as the owner of the containers: {status}");
}
