//! A node with apps of the benchmark's own, as a client sees it.

use crate::ground::{IMAGE, podman};
use protocol::{
    AppView, Command, ContainerPhase, Phase, Row, StreamId,
    client::{Auth, Client, StreamEvent, Subscription},
};
use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{self, Child, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

/// Bound of every wait.
const BOUND: Duration = Duration::from_secs(300);

/// The node.
pub(crate) struct Node {
    pub(crate) daemon: Child,
    pub(crate) apps: BTreeMap<String, AppView>,
    ids: Vec<String>,
    client: Client,
    stream: Subscription,
    dir: TempDir,
}

/// The manifest of an app with web servers, the first of them published on this port and probed.
pub(crate) fn manifest(id: &str, services: usize, port: u16) -> String {
    let mut text = format!(
        "manifest_version: 1\nid: {id}\nname: Bench\nversion: \"1\"\n\
         supervisor: {{strategy: one_for_one, intensity: 100000, period: 10m, \
         backoff: {{min: 1ms, max: 1ms, factor: 1, jitter: 0}}}}\nnetworks: {{inner: {{}}}}\nservices:\n"
    );
    for number in 0..services {
        text += &format!(
            "  s{number}:\n    image: {IMAGE}\n    entrypoint: [/bin/busybox, httpd, -f, -p, \"8080\", -h, /srv]\n    \
             networks: {{inner: {{}}}}\n    stop_grace_period: 1s\n"
        );
        if number == 0 {
            text += &format!(
                "    ports: [{{name: web, target: 8080, published: {port}, host_ip: 127.0.0.1}}]\n    \
                 probes: {{readiness: {{httpGet: {{path: /, port: web}}, periodSeconds: 10}}}}\n"
            );
        }
    }
    text
}

fn spawn(dir: &Path) -> (Child, String) {
    let log = fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
    let program = env::var("ARCHIPELAGO_BIN").expect("ARCHIPELAGO_BIN is set: run `make bench-recovery`");
    let mut daemon = process::Command::new(program)
        .arg("--data-dir")
        .arg(dir.join("data"))
        .arg("--catalog")
        .arg(dir.join("catalog"))
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("ARCHIPELAGO_BIN can be run");
    let mut line = String::new();
    BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
    (daemon, url)
}

impl Node {
    /// Starts a node with these apps installed: id and manifest.
    pub(crate) async fn start(apps: &[(String, String)]) -> Self {
        let dir = tempfile::Builder::new().prefix("archipelago-bench-").tempdir().unwrap();
        for (id, manifest) in apps {
            let folder = dir.path().join("catalog").join(id);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("manifest.yml"), manifest).unwrap();
        }
        let (daemon, url) = spawn(dir.path());
        let (client, stream) = connect(&url, dir.path()).await;
        let ids: Vec<String> = apps.iter().map(|(id, _)| id.clone()).collect();
        let mut node = Self { daemon, apps: BTreeMap::new(), ids, client, stream, dir };
        for id in node.ids.clone() {
            node.client.command(&Command::Install { app: id.parse().unwrap() }, None).await.unwrap();
        }
        node.until(|node| node.all_run()).await;
        node
    }

    /// Whether every container of every app runs.
    pub(crate) fn all_run(&self) -> bool {
        self.ids.iter().all(|id| {
            self.apps.get(id).is_some_and(|app| {
                app.phase == Phase::Running
                    && app.containers.iter().all(|c| c.phase == ContainerPhase::Running)
            })
        })
    }

    /// Restarts of all containers.
    pub(crate) fn restarts(&self) -> u32 {
        self.apps.values().map(|app| app.restarts).sum()
    }

    /// Takes rows until they are as asked for.
    pub(crate) async fn until(&mut self, good: impl Fn(&Self) -> bool) {
        let ended = timeout(BOUND, async {
            while !good(self) {
                self.next().await;
            }
        });
        if ended.await.is_err() {
            panic!("not as asked for: {:#?}\n{}", self.apps, self.log());
        }
    }

    /// Takes one event of the stream; it may be dropped and called anew.
    pub(crate) async fn next(&mut self) {
        let rows = match self.stream.next().await.unwrap() {
            StreamEvent::Snapshot { rows, .. } => rows,
            StreamEvent::Put { row, .. } => vec![row],
            _ => vec![],
        };
        for row in rows {
            if let Row::App(app) = row {
                self.apps.insert(app.id.to_string(), *app);
            }
        }
    }

    /// Kills the daemon; its engine's service stays, as it does after a crash.
    pub(crate) fn kill(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
    }

    /// The engine's service that the daemon runs.
    pub(crate) fn services(&self) -> Vec<u32> {
        let parent = self.daemon.id().to_string();
        let found = process::Command::new("pgrep").args(["-P", &parent, "-x", "podman"]).output().unwrap();
        String::from_utf8_lossy(&found.stdout).split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    fn end_services(&self) {
        for service in self.services() {
            let _ = process::Command::new("kill").args(["-9", &service.to_string()]).status();
        }
    }

    /// Starts the daemon anew: the time until a client has seen every container run.
    pub(crate) async fn restart(&mut self) -> Duration {
        let begun = Instant::now();
        let (daemon, url) = spawn(self.dir.path());
        self.daemon = daemon;
        self.apps.clear();
        (self.client, self.stream) = connect(&url, self.dir.path()).await;
        self.until(|node| node.all_run()).await;
        begun.elapsed()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

async fn connect(url: &str, dir: &Path) -> (Client, Subscription) {
    let token = fs::read_to_string(dir.join("data/owner-token")).unwrap();
    let client = Client::new(url, Auth::Bearer(token.trim().to_owned())).unwrap();
    let stream = client.subscribe(&[StreamId::Apps]).await.unwrap();
    (client, stream)
}

/// Leaves no container, also after a failure.
impl Drop for Node {
    fn drop(&mut self) {
        self.end_services();
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        if env::var_os("ARCHIPELAGO_BENCH_LOG").is_some() {
            println!("{}", self.log());
        }
        for id in &self.ids {
            let label = format!("label=archipelago.app={id}");
            for (list, remove) in [
                (vec!["ps", "-aq", "--filter", &label], vec!["rm", "-f", "--depend", "-t", "0"]),
                (vec!["network", "ls", "-q", "--filter", &label], vec!["network", "rm", "-f"]),
            ] {
                let found = podman(&list);
                if !found.is_empty() {
                    podman(&remove.into_iter().chain(found.split_whitespace()).collect::<Vec<_>>());
                }
            }
        }
    }
}
