//! How a test gets real Podman: as the unprivileged user, with a service of its own, and cleaned up behind it.

use engine::{
    BuildRequest, Engine, Podman, PodmanService, ProcessRef,
    contract::{Ground, ok},
};
use futures_util::FutureExt;
use std::{
    fs::{self, File},
    net::TcpListener,
    panic::{AssertUnwindSafe, resume_unwind},
    path::{Path, PathBuf},
    process::{self, Command},
    sync::Arc,
};

const IMAGE: &str = "localhost/archy-test-busybox:1";

/// Real Podman with a ground of its own.
pub(crate) struct Real {
    pub(crate) ground: Ground,
    pub(crate) podman: Podman,
    pub(crate) folder: tempfile::TempDir,
}

/// Runs a test on Podman.
pub(crate) fn on_podman<F>(test: &str, body: impl FnOnce(Arc<Real>) -> F)
where
    F: Future<Output = ()>,
{
    crate::owner::run(test, async {
        let run = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR").expect("XDG_RUNTIME_DIR is not set"));
        let given = std::env::var_os("PODMAN_SOCKET").map(PathBuf::from);
        let mut service = match &given {
            Some(_) => None,
            None => Some(spawn(&run.join(format!("archy-test-{}.sock", process::id()))).await),
        };
        let socket = given.unwrap_or_else(|| service.as_ref().unwrap().socket().to_owned());
        let podman = Podman::connect(socket);
        ensure_image(&podman, &run).await;
        let real = Arc::new(Real { ground: ground(&podman), podman, folder: tempfile::tempdir().unwrap() });
        let result = AssertUnwindSafe(body(real.clone())).catch_unwind().await;
        real.ground.clean().await;
        if let Some(service) = &mut service {
            service.kill().await.unwrap();
        }
        if let Err(panic) = result {
            resume_unwind(panic);
        }
    });
}

pub(crate) async fn spawn(socket: &Path) -> PodmanService {
    ok(PodmanService::spawn(socket.to_owned(), &socket.with_extension("log")).await)
}

fn ground(podman: &Podman) -> Ground {
    Ground {
        engine: Arc::new(podman.clone()),
        image: IMAGE.to_owned(),
        prefix: format!("archy-test-{}-", process::id()),
        port: TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(),
        kill9: Arc::new(|_, process| kill9(process.pid)),
        has_begun,
    }
}

/// The runtime's helper is called `runc init` (or `crun`) until it becomes the container's command.
fn has_begun(process: ProcessRef) -> bool {
    let line = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
    let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
    !["runc", "crun"].iter().any(|name| program.ends_with(name.as_bytes()))
}

pub(crate) fn kill9(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

/// What `podman` says about a container.
pub(crate) fn podman_inspect(container: &str, format: &str) -> String {
    let output = Command::new("podman").args(["inspect", "--format", format, container]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Builds the image of these tests once for all of them.
async fn ensure_image(podman: &Podman, run: &Path) {
    let lock = File::create(run.join("archy-test.lock")).unwrap();
    lock.lock().unwrap();
    if ok(podman.image_present(IMAGE).await) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    busybox_context(folder.path(), "FROM scratch\nCOPY busybox /bin/busybox\n");
    ok(podman.build_image(&request(folder.path(), IMAGE), Arc::new(|line| println!("{line}"))).await);
}

/// A folder to build from, with busybox in it.
pub(crate) fn busybox_context(folder: &Path, dockerfile: &str) {
    fs::copy("/bin/busybox", folder.join("busybox")).unwrap();
    fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
}

pub(crate) fn request(context: &Path, tag: &str) -> BuildRequest {
    BuildRequest {
        context: context.to_owned(),
        dockerfile: "Dockerfile".to_owned(),
        args: Default::default(),
        tag: tag.to_owned(),
        labels: [("archipelago.test".to_owned(), "yes".to_owned())].into(),
    }
}
