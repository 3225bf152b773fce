//! Podman as the benchmark uses it: a service of its own, an image, one network; all of it removed at the end.

use apps::{ContainerSpec, PortMapping, PortProtocol};
use engine::{BuildRequest, Engine, EngineState, Inspect, Podman, PodmanService, ProcessRef};
use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{self, Command},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

/// Image with a static web server and nothing else.
pub(crate) const IMAGE: &str = "localhost/archipelago/bench:1";
/// What a container runs.
pub(crate) const SERVE: [&str; 7] = ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/srv"];
/// Bound of every wait; a port that does not answer until then is lost.
pub(crate) const LOST: Duration = Duration::from_secs(10);
/// Pause between two attempts to reach a port: short beside what is measured, long enough to leave the processor free.
const ATTEMPT: Duration = Duration::from_millis(2);

/// The ground.
pub(crate) struct Ground {
    pub(crate) podman: Podman,
    pub(crate) prefix: String,
    service: PodmanService,
}

impl Ground {
    pub(crate) async fn lay() -> Self {
        let run = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR").expect("XDG_RUNTIME_DIR is set"));
        let prefix = format!("bench{}-", process::id());
        let socket = run.join(format!("{prefix}podman.sock"));
        let service = PodmanService::spawn(socket.clone(), &socket.with_extension("log")).await.unwrap();
        let podman = Podman::connect(socket);
        if !podman.image_present(IMAGE).await.unwrap() {
            let folder = tempfile::tempdir().unwrap();
            fs::copy("/bin/busybox", folder.path().join("busybox")).expect("busybox-static is installed");
            fs::write(folder.path().join("pong"), "pong\n").unwrap();
            let file = "FROM scratch\nCOPY busybox /bin/busybox\nCOPY pong /srv/index.html\n";
            fs::write(folder.path().join("Containerfile"), file).unwrap();
            let request = BuildRequest {
                args: Default::default(),
                context: folder.path().to_owned(),
                dockerfile: "Containerfile".to_owned(),
                tag: IMAGE.to_owned(),
                labels: BTreeMap::new(),
            };
            podman.build_image(&request, Arc::new(|_| ())).await.unwrap();
        }
        podman.ensure_pause_image().await.unwrap();
        let ground = Self { podman, prefix, service };
        ground.podman.ensure_network(&ground.name("net"), &BTreeMap::new()).await.unwrap();
        ground
    }

    pub(crate) fn name(&self, what: &str) -> String {
        format!("{}{what}", self.prefix)
    }

    /// A web server, on the network and published unless it joins somebody's.
    pub(crate) fn server(&self, what: &str, port: u16) -> ContainerSpec {
        ContainerSpec {
            name: self.name(what),
            image: IMAGE.to_owned(),
            entrypoint: Some(SERVE.map(str::to_owned).to_vec()),
            networks: [(self.name("net"), vec![])].into(),
            ports: vec![PortMapping {
                host_ip: "127.0.0.1".to_owned(),
                published: port,
                target: 8080,
                protocol: PortProtocol::Tcp,
            }],
            stop_grace: Duration::from_secs(1),
            ..ContainerSpec::default()
        }
    }

    pub(crate) async fn up(&self, spec: &ContainerSpec) {
        self.podman.create(spec).await.unwrap();
        self.podman.start(&spec.name).await.unwrap();
    }

    /// The container as soon as it runs with a process other than this one.
    pub(crate) async fn running(&self, container: &str, but: Option<ProcessRef>) -> Inspect {
        let asked = async {
            loop {
                if let Ok(found) = self.podman.inspect(container).await
                    && found.state == EngineState::Running
                    && found.process.is_some()
                    && found.process != but
                {
                    return found;
                }
                sleep(ATTEMPT).await;
            }
        };
        timeout(LOST * 6, asked).await.unwrap_or_else(|_| panic!("{container} does not run again"))
    }

    pub(crate) async fn clear(mut self) {
        let filter = format!("name=^{}", self.prefix);
        for (list, remove) in [
            (vec!["pod", "ps", "-q", "--filter", &filter], vec!["pod", "rm", "-f", "-t", "0"]),
            (vec!["ps", "-aq", "--filter", &filter], vec!["rm", "-f", "--depend", "-t", "0"]),
            (vec!["network", "ls", "-q", "--filter", &filter], vec!["network", "rm", "-f"]),
        ] {
            let found = podman(&list);
            if !found.is_empty() {
                podman(&remove.into_iter().chain(found.split_whitespace()).collect::<Vec<_>>());
            }
        }
        self.service.kill().await.unwrap();
        let _ = fs::remove_file(self.podman.socket());
        let _ = fs::remove_file(self.podman.socket().with_extension("log"));
    }
}

/// Runs `podman` and returns what it printed.
pub(crate) fn podman(args: &[&str]) -> String {
    let output = Command::new("podman").args(args).output().expect("podman is installed");
    assert!(output.status.success(), "podman {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Kills processes as `kill -9` does.
pub(crate) fn kill_9(processes: &[ProcessRef]) {
    let pids = processes.iter().map(|process| process.pid.to_string());
    assert!(Command::new("kill").arg("-9").args(pids).status().unwrap().success());
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Resolves when the server behind a published port answers.
pub(crate) async fn answers(port: u16) {
    let mut answer = Vec::new();
    loop {
        answer.clear();
        let ask = async {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
            stream.read_to_end(&mut answer).await
        };
        if matches!(timeout(Duration::from_millis(500), ask).await, Ok(Ok(_))) && answer.ends_with(b"pong\n")
        {
            return;
        }
        sleep(ATTEMPT).await;
    }
}
