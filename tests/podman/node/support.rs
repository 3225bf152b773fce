//! A node of its own with an app of its own: the catalog's demo under another name, port and set of containers.

use protocol::{
    AppId, AppView, Command, OpState, OpView, Phase, Row, StreamId,
    client::{Auth, Client, StreamEvent, Subscription},
};
use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{self, Child, Output, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

/// Bound of every wait, however many rows come meanwhile.
pub(crate) const BOUND: Duration = Duration::from_secs(120);

/// Runs `podman`, whatever comes of it.
pub fn podman_output(args: &[&str]) -> Output {
    process::Command::new("podman").args(args).output().expect("podman is installed")
}

/// Runs `podman` and returns what it printed.
pub fn podman(args: &[&str]) -> String {
    let output = podman_output(args);
    assert!(output.status.success(), "podman {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr)).trim().to_owned()
}

/// Kills a process as `kill -9` does.
pub fn kill_9(pid: &str) {
    assert!(pid.parse::<u32>().is_ok_and(|pid| pid > 1), "{pid:?} is no process");
    assert!(process::Command::new("kill").args(["-9", pid]).status().unwrap().success());
}

/// A node with one app, from outside.
pub struct RealNode {
    /// The app's id.
    pub id: String,
    /// Every row of the app that a client was sent.
    pub history: Vec<AppView>,
    /// The last of them.
    pub app: Option<AppView>,
    /// The client.
    pub client: Client,
    stream: Subscription,
    daemon: Child,
    port: u16,
    listen: SocketAddr,
    dir: TempDir,
    log: Log,
}

pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(crate) fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run these tests through `make test`"))
}

/// What the daemon has said in all its lives.
type Log = Arc<watch::Sender<String>>;

/// Starts a daemon and waits until it listens.
pub(crate) fn spawn(dir: &Path, listen: SocketAddr, home: Option<&Path>, log: &Log) -> Child {
    let mut daemon = process::Command::new(variable("ARCHIPELAGO_BIN"))
        .arg("--data-dir")
        .arg(dir.join("data"))
        .arg("--catalog")
        .arg(dir.join("catalog"))
        .args(["--listen", &listen.to_string()])
        .envs(
            home.into_iter()
                .flat_map(|home| [("HOME", home.to_owned()), ("XDG_RUNTIME_DIR", home.join("run"))]),
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ARCHIPELAGO_BIN can be run");
    let said = BufReader::new(daemon.stderr.take().unwrap());
    let reader = {
        let log = Arc::clone(log);
        // It ends when the daemon and what has its standard error are gone.
        thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                log.send_modify(|text| *text += &(line + "\n"));
            }
        })
    };
    let mut line = String::new();
    BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if !line.starts_with("listening on http://") {
        daemon.kill().unwrap();
        reader.join().unwrap();
        panic!("{line:?}: {}", *log.borrow());
    }
    daemon
}

impl RealNode {
    /// Starts a node; `name` tells the tests of one run apart.
    pub async fn start(name: &str) -> Self {
        Self::start_at(name, None).await
    }

    /// The same for a user whose home is this folder and whose run folder is `run` in it.
    pub async fn start_at(name: &str, home: Option<&Path>) -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST, name, home).await
    }

    /// The same, listening on this address.
    pub async fn start_on(ip: Ipv4Addr, name: &str, home: Option<&Path>) -> Self {
        let id = format!("t{}-{name}", process::id());
        let dir = tempfile::Builder::new().prefix("archipelago-test-").tempdir().unwrap();
        let folder = dir.path().join("catalog").join(&id);
        copy_dir(&Path::new(&variable("ARCHIPELAGO_CATALOG")).join("demo"), &folder);
        let manifest = fs::read_to_string(folder.join("manifest.yml")).unwrap();
        let port = free_port();
        let manifest = manifest
            .replace("\nid: demo\n", &format!("\nid: {id}\n"))
            .replace("container_name: demo-", &format!("container_name: {id}-"))
            .replace("published: 8090", &format!("published: {port}"));
        assert!(manifest.contains(&format!("published: {port}")), "the demo's port has another notation now");
        fs::write(folder.join("manifest.yml"), manifest).unwrap();
        let listen = SocketAddr::from((ip, free_port()));
        let log = Log::default();
        let daemon = spawn(dir.path(), listen, home, &log);
        let token = fs::read_to_string(dir.path().join("data/owner-token")).unwrap();
        let url = format!("http://127.0.0.1:{}", listen.port());
        let client = Client::new(&url, Auth::Bearer(token.trim().to_owned())).unwrap();
        let stream = client.subscribe(&[StreamId::Apps, StreamId::Ops]).await.unwrap();
        let mut node =
            Self { id, history: vec![], app: None, client, stream, daemon, port, listen, dir, log };
        node.wait(|app| app.phase == Phase::NotInstalled).await;
        node
    }

    /// Kills the daemon and what it was started with; containers have their own sessions.
    pub fn kill_daemon(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
    }

    /// Starts the daemon again, on the same port.
    pub async fn start_daemon(&mut self) {
        self.daemon = spawn(self.dir.path(), self.listen, None, &self.log);
        self.app = None;
        self.history.clear();
    }

    /// Kills the engine's service, which is the daemon's child.
    pub fn kill_engine_service(&self) {
        let parent = self.daemon.id().to_string();
        let found = process::Command::new("pgrep").args(["-P", &parent, "-x", "podman"]).output().unwrap();
        kill_9(String::from_utf8_lossy(&found.stdout).trim());
    }

    /// A command on the app.
    pub fn command(&self, what: &str) -> Command {
        let app: AppId = self.id.parse().unwrap();
        match what {
            "install" => Command::Install { app },
            "start" => Command::Start { app },
            "stop" => Command::Stop { app },
            "uninstall" => Command::Uninstall { app, purge: false },
            other => panic!("{other}"),
        }
    }

    /// Begins an operation and waits for its terminal row.
    pub async fn submit(&mut self, what: &str) -> OpView {
        let accepted = self.client.command(&self.command(what), None).await.unwrap();
        let end = Instant::now() + BOUND;
        loop {
            if let Some(Row::Op(op)) = self.next(end).await
                && op.id == accepted.op_id
                && op.state.is_terminal()
            {
                return *op;
            }
        }
    }

    /// The same, and expects a good end.
    pub async fn operate(&mut self, what: &str) {
        let op = self.submit(what).await;
        assert_eq!(op.state, OpState::Succeeded, "{what}: {op:#?}\n{}", self.log());
    }

    /// Installs the app and waits until it runs.
    pub async fn install(&mut self) {
        self.operate("install").await;
        self.wait(|app| app.phase == Phase::Running).await;
    }

    /// Uninstalls the app.
    pub async fn uninstall(&mut self) {
        self.operate("uninstall").await;
        self.wait(|app| app.phase == Phase::NotInstalled).await;
    }

    /// Waits until the app's row is as asked for; the present one counts.
    pub async fn wait(&mut self, good: impl Fn(&AppView) -> bool) -> AppView {
        let end = Instant::now() + BOUND;
        loop {
            if let Some(app) = self.app.as_ref().filter(|app| good(app)) {
                return app.clone();
            }
            self.next(end).await;
        }
    }

    /// The next row of the app or of an operation.
    async fn next(&mut self, end: Instant) -> Option<Row> {
        let event = timeout_at(end, self.stream.next()).await;
        let event = event.unwrap_or_else(|_| {
            panic!("not as asked for within {BOUND:?}; last: {:#?}\n{}", self.app, self.log())
        });
        let rows = match event.unwrap() {
            StreamEvent::Snapshot { rows, .. } => rows,
            StreamEvent::Put { row, .. } => vec![row],
            _ => vec![],
        };
        let mut last = None;
        for row in rows {
            if let Row::App(app) = &row {
                self.history.push((**app).clone());
                self.app = Some((**app).clone());
            }
            last = Some(row);
        }
        last
    }

    /// Where the node listens.
    pub fn port_of_node(&self) -> u16 {
        self.listen.port()
    }

    /// The container of a service.
    pub fn container(&self, service: &str) -> String {
        format!("{}-{service}", self.id)
    }

    /// Filter for all containers of the app.
    pub fn label(&self) -> String {
        format!("label=archipelago.app={}", self.id)
    }

    /// Ids and start times of all containers, as Podman tells them.
    pub fn containers(&self) -> String {
        let names = ["cache", "api", "web"].map(|service| self.container(service));
        let names = names.iter().map(String::as_str);
        podman(
            &["inspect", "-f", "{{.Name}} {{.Id}} {{.State.StartedAt}}"]
                .into_iter()
                .chain(names)
                .collect::<Vec<_>>(),
        )
    }

    /// Kills the init process of a service's container.
    pub fn kill_process(&self, service: &str) {
        kill_9(&podman(&["inspect", "-f", "{{.State.Pid}}", &self.container(service)]));
    }

    /// Counts a visit through the front end.
    pub async fn visit(&self) {
        self.counter("POST").await;
    }

    /// The visits as the front end tells them, through the API and the cache.
    pub async fn visits(&self) -> u64 {
        self.counter("GET").await
    }

    async fn counter(&self, method: &str) -> u64 {
        let url = format!("http://127.0.0.1:{}/api/visits", self.port);
        let http = reqwest::Client::new();
        // The front end looks its upstream up anew once a second; ask until it has.
        let mut last = String::new();
        let answer = timeout(Duration::from_secs(30), async {
            loop {
                let request = http.request(method.parse().unwrap(), &url).timeout(Duration::from_secs(5));
                match request.send().await {
                    Ok(answer) if answer.status() == 200 => {
                        return answer.json::<serde_json::Value>().await.unwrap();
                    }
                    Ok(answer) => last = answer.status().to_string(),
                    Err(error) => last = error.to_string(),
                }
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("the front end answers {last:?}"));
        answer["visits"].as_u64().unwrap_or_else(|| panic!("{answer}"))
    }

    /// Runs the command-line tool.
    pub fn archy(&self, args: &[&str]) -> Output {
        process::Command::new(variable("ARCHY_BIN"))
            .arg("--data-dir")
            .arg(self.data_dir())
            .args(args)
            .output()
            .expect("ARCHY_BIN can be run")
    }

    /// The daemon's log.
    pub fn log(&self) -> String {
        self.log.borrow().clone()
    }

    /// Waits until the daemon's log says this.
    pub async fn wait_log(&self, what: &str) {
        let mut log = self.log.subscribe();
        let said = timeout(BOUND, log.wait_for(|text| text.contains(what))).await;
        assert!(said.is_ok(), "{what:?} is not said: {}", self.log());
    }

    /// Waits until the app's journal tells this.
    pub async fn wait_event(&self, message: &str) {
        let app: AppId = self.id.parse().unwrap();
        let told = async {
            loop {
                let page = self.client.events(Some(&app), None, 100).await.unwrap();
                if page.items.iter().any(|event| event.message.starts_with(message)) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let told = timeout(BOUND, told).await;
        let events = self.client.events(Some(&app), None, 20).await;
        assert!(told.is_ok(), "{message:?} is not told: {events:#?}");
    }

    /// The node's data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The folder of the app's manifest.
    pub fn manifest_dir(&self) -> PathBuf {
        self.dir.path().join("catalog").join(&self.id)
    }
}

/// Leaves nothing on the machine, also after a failure.
impl Drop for RealNode {
    fn drop(&mut self) {
        // The engine's service is the daemon's child and would outlive it.
        let parent = self.daemon.id().to_string();
        let _ = process::Command::new("pkill").args(["-9", "-P", &parent, "-x", "podman"]).status();
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        let run = |args: &[&str]| {
            process::Command::new("podman")
                .args(args)
                .output()
                .map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
        };
        let label = self.label();
        for (list, remove) in [
            (vec!["ps", "-aq", "--filter", &label], vec!["rm", "-f", "-t", "0"]),
            (vec!["network", "ls", "-q", "--filter", &label], vec!["network", "rm", "-f"]),
            (vec!["volume", "ls", "-q", "--filter", &label], vec!["volume", "rm", "-f"]),
        ] {
            let found = run(&list).unwrap_or_default();
            if !found.trim().is_empty() {
                let _ = run(&remove.into_iter().chain(found.split_whitespace()).collect::<Vec<_>>());
            }
        }
        let _ = run(&["secret", "rm", &format!("{}_redis-password", self.id)]);
        for service in ["cache", "api", "web"] {
            let _ = run(&["rmi", "-f", &format!("localhost/archipelago/{}-{service}:1.0.0", self.id)]);
        }
    }
}
