//! A node with apps of the test's own, broken and looked at from outside.

use crate::node::support::{BOUND, copy_dir, free_port, kill_9, podman, variable};
use protocol::{
    AppView, Command, ContainerView, GateView, OpId, OpState, OpView, Phase, Row, StreamId,
    client::{Auth, Client, ClientError, StreamEvent, Subscription},
};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{self, Child, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::{Instant, timeout, timeout_at};

/// Seven containers, see the file.
pub(crate) const SEVEN: &str = include_str!("seven.yml");
/// A front end and its upstream, see the file.
pub(crate) const PAIR: &str = include_str!("pair.yml");

/// An app of the test.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    pub(crate) id: String,
    /// The published port of its front end, and the one for datagrams.
    pub(crate) port: u16,
    pub(crate) udp: u16,
}

impl Stack {
    /// The container of a service.
    pub(crate) fn container(&self, service: &str) -> String {
        format!("{}-{service}", self.id)
    }

    /// The anchor of a service.
    pub(crate) fn anchor(&self, service: &str) -> String {
        format!("{}-{service}_net", self.id)
    }

    /// Filter for everything of the app.
    pub(crate) fn label(&self) -> String {
        format!("label=archipelago.app={}", self.id)
    }
}

/// What Podman says about a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) id: String,
    pub(crate) started_at: String,
    pub(crate) state: String,
    pub(crate) pid: String,
    pub(crate) monitor: String,
}

impl Fact {
    /// Whether it is the same run of the same container.
    pub(crate) fn same_run(&self, other: &Self) -> bool {
        (&self.id, &self.started_at, &self.pid) == (&other.id, &other.started_at, &other.pid)
    }
}

/// Containers of an app by name.
pub(crate) type Facts = BTreeMap<String, Fact>;

/// The node.
pub(crate) struct Rig {
    pub(crate) client: Client,
    /// Every row that a client was sent, and when.
    pub(crate) history: Vec<(Instant, Row)>,
    apps: BTreeMap<String, AppView>,
    ops: BTreeMap<String, OpView>,
    gates: BTreeMap<String, GateView>,
    stacks: Vec<Stack>,
    stream: Subscription,
    daemon: Child,
    listen: u16,
    pub(crate) dir: TempDir,
    place: Place,
}

/// Where a node lives beside its folder.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    /// Home of another user of Podman, whose run folder is `run` in it.
    pub(crate) home: Option<PathBuf>,
    /// Data directory in the mount namespace of Podman.
    pub(crate) disk: Option<PathBuf>,
}

impl Rig {
    /// Starts a node with these apps: a name, and a manifest or `demo` for the catalog's.
    pub(crate) async fn start(apps: &[(&str, &str)]) -> (Self, Vec<Stack>) {
        Self::start_at(apps, Place::default()).await
    }

    /// The same at a place of its own.
    pub(crate) async fn start_at(apps: &[(&str, &str)], place: Place) -> (Self, Vec<Stack>) {
        let dir = tempfile::Builder::new().prefix("archipelago-fault-").tempdir().unwrap();
        let stacks: Vec<Stack> =
            apps.iter().map(|(name, manifest)| write_app(dir.path(), name, manifest)).collect();
        let listen = free_port();
        let daemon = spawn(dir.path(), listen, &place);
        let client = client(dir.path(), listen, &place);
        let stream = client.subscribe(&[StreamId::Apps, StreamId::Ops, StreamId::Gates]).await.unwrap();
        let mut rig = Self {
            client,
            history: vec![],
            apps: BTreeMap::new(),
            ops: BTreeMap::new(),
            gates: BTreeMap::new(),
            stacks: stacks.clone(),
            stream,
            daemon,
            listen,
            dir,
            place,
        };
        for stack in &stacks {
            rig.until(stack, |app| app.phase == Phase::NotInstalled).await;
        }
        (rig, stacks)
    }

    /// A command on an app.
    pub(crate) fn command(stack: &Stack, what: &str) -> Command {
        let app = stack.id.parse().unwrap();
        match what {
            "install" => Command::Install { app },
            "start" => Command::Start { app },
            "stop" => Command::Stop { app },
            "restart" => Command::Restart { app },
            "update" => Command::Update { app },
            "uninstall" => Command::Uninstall { app, purge: false },
            other => panic!("{other}"),
        }
    }

    /// Begins an operation.
    pub(crate) async fn submit(&self, stack: &Stack, what: &str) -> Result<OpId, ClientError> {
        Ok(self.client.command(&Self::command(stack, what), None).await?.op_id)
    }

    /// Waits for an operation's terminal row.
    pub(crate) async fn ended(&mut self, op: &OpId) -> OpView {
        let end = Instant::now() + BOUND;
        loop {
            if let Some(op) = self.ops.get(op.0.as_ref()).filter(|op| op.state.is_terminal()) {
                return op.clone();
            }
            self.next(end).await;
        }
    }

    /// Runs an operation and expects a good end.
    pub(crate) async fn operate(&mut self, stack: &Stack, what: &str) {
        let op = self.submit(stack, what).await.unwrap();
        let op = self.ended(&op).await;
        assert_eq!(op.state, OpState::Succeeded, "{what}: {op:#?}\n{}", self.log());
    }

    /// Installs an app and waits until it runs.
    pub(crate) async fn install(&mut self, stack: &Stack) {
        self.operate(stack, "install").await;
        self.until(stack, |app| app.phase == Phase::Running).await;
    }

    /// Waits until an app's row is as asked for; the present one counts.
    pub(crate) async fn until(&mut self, stack: &Stack, good: impl Fn(&AppView) -> bool) -> AppView {
        let end = Instant::now() + BOUND;
        loop {
            if let Some(app) = self.apps.get(&stack.id).filter(|app| good(app)) {
                return app.clone();
            }
            self.next(end).await;
        }
    }

    /// Waits until a gate's row is as asked for; the present one counts.
    pub(crate) async fn until_gate(&mut self, id: &str, good: impl Fn(&GateView) -> bool) -> GateView {
        let end = Instant::now() + BOUND;
        loop {
            if let Some(gate) = self.gates.get(id).filter(|gate| good(gate)) {
                return gate.clone();
            }
            self.next(end).await;
        }
    }

    /// A gate's rows since the history was cleared.
    pub(crate) fn gate_rows(&self, id: &str) -> Vec<&GateView> {
        let rows = self
            .history
            .iter()
            .filter_map(|(_, row)| if let Row::Gate(gate) = row { Some(&**gate) } else { None });
        rows.filter(|gate| gate.id == id).collect()
    }

    /// Waits until an app runs and a service of it was restarted more often than this.
    pub(crate) async fn recovered(&mut self, stack: &Stack, service: &str, restarts: u32) -> AppView {
        self.until(stack, |app| app.phase == Phase::Running && of(app, service).restarts > restarts).await
    }

    /// The last row of an app.
    pub(crate) fn app(&self, stack: &Stack) -> &AppView {
        &self.apps[&stack.id]
    }

    /// The app's rows since the history was cleared.
    pub(crate) fn rows(&self, stack: &Stack) -> Vec<&AppView> {
        let app = |row: &'_ Row| matches!(row, Row::App(app) if app.id.as_str() == stack.id);
        let rows = self.history.iter().filter(|(_, row)| app(row));
        rows.filter_map(|(_, row)| if let Row::App(app) = row { Some(&**app) } else { None }).collect()
    }

    /// The next event of the stream.
    pub(crate) async fn next(&mut self, end: Instant) {
        let event = timeout_at(end, self.stream.next()).await;
        let event = event.unwrap_or_else(|_| {
            let last = (&self.apps, &self.gates);
            panic!("not as asked for within {BOUND:?}; last: {last:#?}\n{}", self.log())
        });
        self.take(event.unwrap());
    }

    /// Takes the next event, if one comes until then.
    pub(crate) async fn moved(&mut self, until: Instant) -> bool {
        let event = timeout_at(until, self.stream.next()).await;
        event.map(|event| self.take(event.unwrap())).is_ok()
    }

    fn take(&mut self, event: StreamEvent) {
        let rows = match event {
            StreamEvent::Snapshot { rows, .. } => rows,
            StreamEvent::Put { row, .. } => vec![row],
            _ => vec![],
        };
        for row in rows {
            match &row {
                Row::App(app) => drop(self.apps.insert(app.id.to_string(), (**app).clone())),
                Row::Gate(gate) => drop(self.gates.insert(gate.id.clone(), (**gate).clone())),
                Row::Op(op) => drop(self.ops.insert(op.id.0.to_string(), (**op).clone())),
                _ => {}
            }
            self.history.push((Instant::now(), row));
        }
    }

    /// Kills the daemon; containers have their own sessions.
    pub(crate) fn kill_daemon(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
    }

    /// Starts the daemon again, on the same port, and forgets what was seen.
    pub(crate) fn start_daemon(&mut self) {
        self.daemon = spawn(self.dir.path(), self.listen, &self.place);
        // The old one keeps a connection to the daemon that is gone.
        self.client = client(self.dir.path(), self.listen, &self.place);
        self.apps.clear();
        self.history.clear();
    }

    /// Kills the engine's service, which is the daemon's child.
    pub(crate) fn kill_engine_service(&self) {
        let parent = self.daemon.id().to_string();
        let found = process::Command::new("pgrep").args(["-P", &parent, "-x", "podman"]).output().unwrap();
        kill_9(String::from_utf8_lossy(&found.stdout).trim());
    }

    /// Runs `podman` as the user of the node's place.
    fn podman(&self, args: &[&str]) -> String {
        let mut command = process::Command::new("podman");
        if let Some(home) = &self.place.home {
            command.env("HOME", home).env("XDG_RUNTIME_DIR", home.join("run"));
        }
        let output = command.args(args).output().unwrap();
        assert!(output.status.success(), "podman {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Containers of an app, as Podman tells them.
    pub(crate) fn facts(&self, stack: &Stack) -> Facts {
        let ids = self.podman(&["ps", "-aq", "--no-trunc", "--filter", &stack.label()]);
        if ids.is_empty() {
            return Facts::new();
        }
        let format =
            "{{.Name}} {{.Id}} {{.State.Status}} {{.State.Pid}} {{.State.ConmonPid}} {{.State.StartedAt}}";
        let told = self.podman(&["inspect", "-f", format].into_iter().chain(ids.lines()).collect::<Vec<_>>());
        let fact = |line: &str| {
            let mut words = line.splitn(6, ' ').map(str::to_owned);
            let mut word = || words.next().unwrap_or_else(|| panic!("{line}"));
            let (name, id, state, pid, monitor, started_at) =
                (word(), word(), word(), word(), word(), word());
            (name, Fact { id, started_at, state, pid, monitor })
        };
        told.lines().map(fact).collect()
    }

    /// Waits until the front end answers with what its upstream says.
    pub(crate) async fn answers(&self, stack: &Stack) -> Duration {
        let begun = Instant::now();
        let url = format!("http://127.0.0.1:{}/", stack.port);
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        let mut last = String::new();
        let asked = async {
            loop {
                match http.get(&url).timeout(Duration::from_secs(5)).send().await {
                    Ok(answer) if answer.status() == 200 => return,
                    Ok(answer) => last = answer.status().to_string(),
                    Err(error) => last = error.to_string(),
                }
                tokio::task::yield_now().await;
            }
        };
        if timeout(Duration::from_secs(30), asked).await.is_err() {
            panic!("the front end of {} answers {last:?}\n{:#?}\n{}", stack.id, self.app(stack), self.log());
        }
        begun.elapsed()
    }

    /// The folder from which a container is told to misbehave.
    pub(crate) fn control_dir(&self, stack: &Stack) -> PathBuf {
        self.dir.path().join("data/data").join(&stack.id).join("ctl")
    }

    /// The daemon's log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

/// Says loudly what cannot be tested on this machine; the runner is told to show it (`setup/nextest.toml`).
pub(crate) fn skipped(reason: &str) {
    println!("skipped: {reason}");
}

/// A service's container in an app's row.
pub(crate) fn of<'a>(app: &'a AppView, service: &str) -> &'a ContainerView {
    app.containers.iter().find(|c| c.service.as_str() == service).unwrap()
}

/// Kills several processes at once.
pub(crate) fn kill_all<'a>(pids: impl IntoIterator<Item = &'a String>) {
    let pids: Vec<&String> = pids.into_iter().collect();
    assert!(pids.iter().all(|pid| pid.parse::<u32>().is_ok_and(|pid| pid > 1)), "{pids:?}");
    assert!(process::Command::new("kill").arg("-9").args(pids).status().unwrap().success());
}

/// Whether a process lives.
pub(crate) fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// Starts a daemon and waits until it listens.
fn spawn(dir: &Path, listen: u16, place: &Place) -> Child {
    let log = fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
    let program = variable("ARCHIPELAGO_BIN");
    let mut command = match &place.disk {
        Some(_) => {
            let mut command = process::Command::new("podman");
            command.args(["unshare", &program]);
            command
        }
        None => process::Command::new(program),
    };
    if let Some(home) = &place.home {
        command.env("HOME", home).env("XDG_RUNTIME_DIR", home.join("run"));
    }
    let data = place.disk.clone().unwrap_or_else(|| dir.join("data"));
    command.arg("--data-dir").arg(data).arg("--catalog").arg(dir.join("catalog"));
    command.args(["--listen", &format!("127.0.0.1:{listen}")]);
    let mut daemon = command.stdout(Stdio::piped()).stderr(log).spawn().expect("ARCHIPELAGO_BIN can be run");
    let mut line = String::new();
    BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said = || fs::read_to_string(dir.join("log")).unwrap();
    assert!(line.starts_with("listening on http://"), "{line:?}: {}", said());
    daemon
}

fn client(dir: &Path, listen: u16, place: &Place) -> Client {
    let token = match &place.disk {
        Some(disk) => podman(&["unshare", "cat", disk.join("owner-token").to_str().unwrap()]),
        None => fs::read_to_string(dir.join("data/owner-token")).unwrap(),
    };
    Client::new(&format!("http://127.0.0.1:{listen}"), Auth::Bearer(token.trim().to_owned())).unwrap()
}

/// A process's children and theirs.
fn descendants(pid: u32) -> Vec<u32> {
    let found = process::Command::new("pgrep").args(["-P", &pid.to_string()]).output().unwrap();
    let children = String::from_utf8_lossy(&found.stdout).into_owned();
    let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    children.flat_map(|pid| [vec![pid], descendants(pid)].concat()).collect()
}

/// Writes an app into the catalog of a node's folder.
fn write_app(dir: &Path, name: &str, manifest: &str) -> Stack {
    let id = format!("t{}-{name}", process::id());
    let stack = Stack { id: id.clone(), port: free_port(), udp: free_port() };
    let folder = dir.join("catalog").join(&id);
    fs::create_dir_all(&folder).unwrap();
    let manifest = if manifest == "demo" {
        copy_dir(&Path::new(&variable("ARCHIPELAGO_CATALOG")).join("demo"), &folder);
        // Killed more often than a real one, and not to be waited for.
        fs::read_to_string(folder.join("manifest.yml"))
            .unwrap()
            .replace("intensity: 5", "intensity: 1000")
            .replace("backoff: {min: 1s,", "backoff: {min: 10ms,")
            .replace("max: 30s, factor: 2,", "max: 20ms, factor: 1,")
    } else {
        manifest.to_owned()
    };
    let manifest = manifest
        .replace("\nid: demo\n", &format!("\nid: {id}\n"))
        .replace("\nid: ID\n", &format!("\nid: {id}\n"))
        .replace("container_name: demo-", &format!("container_name: {id}-"))
        .replace("published: 8090", &format!("published: {}", stack.port))
        .replace("published: 28080", &format!("published: {}", stack.port))
        .replace("published: 29000", &format!("published: {}", stack.udp));
    assert!(manifest.contains(&format!("published: {}", stack.port)), "{manifest}");
    fs::write(folder.join("manifest.yml"), manifest).unwrap();
    stack
}

/// Leaves nothing on the machine, also after a failure.
impl Drop for Rig {
    fn drop(&mut self) {
        // The engine's service is the daemon's child and would outlive it.
        let children = descendants(self.daemon.id());
        let _ = process::Command::new("kill").arg("-9").args(children.iter().map(u32::to_string)).status();
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        let run = |args: &[&str]| {
            let mut command = process::Command::new("podman");
            if let Some(home) = &self.place.home {
                command.env("HOME", home).env("XDG_RUNTIME_DIR", home.join("run"));
            }
            let output = command.args(args).output();
            output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default()
        };
        for stack in &self.stacks {
            let label = stack.label();
            let images = format!("reference=localhost/archipelago/{}-*", stack.id);
            let secrets = format!("name=^{}_", stack.id);
            for (list, remove) in [
                (vec!["ps", "-aq", "--filter", &label], vec!["rm", "-f", "--depend", "-t", "0"]),
                (vec!["network", "ls", "-q", "--filter", &label], vec!["network", "rm", "-f"]),
                (vec!["volume", "ls", "-q", "--filter", &label], vec!["volume", "rm", "-f"]),
                (vec!["secret", "ls", "-q", "--filter", &secrets], vec!["secret", "rm"]),
                (
                    vec!["images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", &images],
                    vec!["rmi", "-f"],
                ),
            ] {
                let found = run(&list);
                if !found.trim().is_empty() {
                    run(&remove.into_iter().chain(found.split_whitespace()).collect::<Vec<_>>());
                }
            }
        }
    }
}
