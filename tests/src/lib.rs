//! What the tests share: a node over the simulated engine, and waiting for conditions on what it publishes.

use actors::{Faults, NodeConfig, NodeHandle};
use engine::{
    ExecOutput,
    sim::{Sim, SimVault},
    vault::Retention,
};
use protocol::{
    AppView, Command, ContainerPhase, ErrorCode, OpId, OpState, OpView, Phase, StreamId, TreeView,
};
use serde_json::from_str;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;

/// Bound of every wait; under a paused clock it takes no time.
pub const BOUND: Duration = Duration::from_secs(900);

/// Two services: `web` waits until `db` is healthy.
pub const SHOP: &str = r#"manifest_version: 1
id: shop
name: Shop
version: "1"
supervisor: {strategy: one_for_one, intensity: 3, period: 10m, backoff: {min: 1s, max: 4s, factor: 2, jitter: 0}}
secrets: {pass: {generate: {bytes: 24}}}
volumes: {db: {}}
networks: {inner: {}}
services:
  db:
    image: localhost/db:1
    networks: {inner: {}}
    volumes: [{type: volume, source: db, target: /data}]
    secrets: [{source: pass}]
    probes: {readiness: {exec: {command: [ping]}}}
  web:
    image: localhost/web:1
    networks: {inner: {}}
    depends_on: {db: {condition: service_healthy}}
    ports: [{name: http, target: 80, published: 28080, host_ip: 127.0.0.1}]
interfaces: {main: {service: web, port: http}}
"#;

/// What outlives a node: the engine, the catalog and the data.
pub struct Ground {
    /// The engine.
    pub sim: Sim,
    /// The repository of backups.
    pub vault: SimVault,
    /// Whether readiness probes succeed.
    pub probes_succeed: Arc<AtomicBool>,
    dir: TempDir,
}

impl Ground {
    /// An engine without containers, and a catalog that holds these manifests.
    pub fn new(manifests: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for manifest in manifests {
            add(dir.path(), manifest);
        }
        let (sim, vault) = (Sim::new(), SimVault::default());
        sim.keep_volumes_in(dir.path().join("volumes"));
        for image in ["localhost/db:1", "localhost/web:1", "localhost/web:2"] {
            sim.add_image(image);
        }
        // Calls take time, so that what is shown meanwhile is seen.
        for (call, millis) in [("create", 50), ("start", 200), ("stop", 100), ("remove", 30), ("inspect", 2)]
        {
            sim.delay(call, Duration::from_millis(millis));
        }
        let probes_succeed = Arc::new(AtomicBool::new(true));
        let answer = Arc::clone(&probes_succeed);
        sim.on_exec(move |_, _| ExecOutput {
            code: i32::from(!answer.load(Ordering::Relaxed)),
            output: String::new(),
        });
        Self { sim, vault, probes_succeed, dir }
    }
}

/// A node over a simulated engine.
pub struct SimNode {
    /// The engine.
    pub sim: Sim,
    /// The repository of backups.
    pub vault: SimVault,
    /// Whether readiness probes succeed.
    pub probes_succeed: Arc<AtomicBool>,
    /// The node.
    pub node: NodeHandle,
    dir: TempDir,
}

impl SimNode {
    /// Starts a node whose catalog holds these manifests.
    pub async fn start(manifests: &[&str]) -> Self {
        Self::upon(Ground::new(manifests), None).await
    }

    /// Starts a node upon what an earlier one may have left.
    pub async fn upon(ground: Ground, faults: Option<Faults>) -> Self {
        let Ground { sim, vault, probes_succeed, dir } = ground;
        let node = start_node(dir.path(), &sim, &vault, faults).await;
        Self { sim, vault, probes_succeed, node, dir }
    }

    /// Leaves the node as it is. With the end of its runtime it is gone, without a chance to clean up.
    pub fn abandon(self) -> Ground {
        let Self { sim, vault, probes_succeed, dir, .. } = self;
        Ground { sim, vault, probes_succeed, dir }
    }

    /// Ends the node and starts it anew over the same engine and data.
    pub async fn restart(self) -> Self {
        self.restart_after(|| ()).await
    }

    /// The same, with something done in between.
    pub async fn restart_after(self, between: impl FnOnce()) -> Self {
        let Self { sim, vault, probes_succeed, node, dir } = self;
        node.stop().await;
        between();
        let node = start_node(dir.path(), &sim, &vault, None).await;
        Self { sim, vault, probes_succeed, node, dir }
    }

    /// Puts a manifest into the catalog.
    pub fn add(&self, manifest: &str) {
        add(self.dir.path(), manifest);
    }

    /// The node's data directory.
    pub fn data_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }

    /// The folder of a volume's files.
    pub fn volume(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("volumes").join(name).join("_data")
    }

    /// Begins an operation.
    pub async fn submit(&self, command: Command) -> Result<OpId, ErrorCode> {
        self.node.submit(command, None).await.map(|accepted| accepted.op_id).map_err(|error| error.code)
    }

    /// Begins an operation, waits for its end and expects it to be good.
    pub async fn perform(&self, command: Command) -> OpView {
        let op = self.submit(command.clone()).await.unwrap();
        let view = self.ended(&op).await;
        assert_eq!(view.state, OpState::Succeeded, "{command:?}: {view:#?}\n{:#?}", self.app("shop"));
        view
    }

    /// Waits for an operation's terminal row.
    pub async fn ended(&self, op: &OpId) -> OpView {
        self.wait(StreamId::Ops, || {
            let row: OpView = from_str(&self.node.board().row(StreamId::Ops, &op.0)?).unwrap();
            row.state.is_terminal().then_some(row)
        })
        .await
    }

    /// An operation's row.
    pub fn op(&self, op: &OpId) -> OpView {
        from_str(&self.node.board().row(StreamId::Ops, &op.0).unwrap()).unwrap()
    }

    /// An app's row.
    pub fn app(&self, id: &str) -> Option<AppView> {
        self.node.board().row(StreamId::Apps, id).map(|json| from_str(&json).unwrap())
    }

    /// Waits until an app's row is as asked for.
    pub async fn wait_app(&self, id: &str, good: impl Fn(&AppView) -> bool) -> AppView {
        self.wait(StreamId::Apps, || self.app(id).filter(&good)).await
    }

    /// Waits until an app is in a phase.
    pub async fn wait_phase(&self, id: &str, phase: Phase) -> AppView {
        self.wait_app(id, |app| app.phase == phase).await
    }

    /// Kills an actor and waits for its next incarnation: its name, and its path in the tree.
    pub async fn kill(&self, (name, path): (&str, &str)) {
        let generation = || {
            let row = self.node.board().row(StreamId::Tree, path);
            row.map(|row| from_str::<TreeView>(&row).unwrap().generation)
        };
        let before = generation();
        assert!(self.node.kill_actor(name), "{name}");
        self.wait(StreamId::Tree, || (generation() > before).then_some(())).await;
    }

    /// Waits for something on a stream of the board.
    pub async fn wait<T>(&self, stream: StreamId, look: impl Fn() -> Option<T>) -> T {
        let mut heads = self.node.board().watch(stream);
        let found = async {
            loop {
                heads.borrow_and_update();
                if let Some(found) = look() {
                    return found;
                }
                heads.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(BOUND, found).await {
            Ok(found) => found,
            Err(_) => {
                panic!("not seen within {BOUND:?}; apps: {:#?}", self.node.board().snapshot(StreamId::Apps))
            }
        }
    }
}

/// This process's own address: tests run side by side, and an install looks whether its ports are free.
pub fn host() -> String {
    let [_, b, c, d] = std::process::id().to_be_bytes();
    format!("127.{}.{c}.{d}", b | 1)
}

fn add(dir: &Path, manifest: &str) {
    let manifest = &manifest.replace("host_ip: 127.0.0.1", &format!("host_ip: {}", host()));
    let id = manifest.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    let folder = dir.join("catalog").join(id);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("manifest.yml"), manifest).unwrap();
}

async fn start_node(dir: &Path, sim: &Sim, vault: &SimVault, faults: Option<Faults>) -> NodeHandle {
    let config = NodeConfig {
        data_dir: dir.join("data"),
        catalog_dir: dir.join("catalog"),
        engine: Arc::new(sim.clone()),
        vault: Arc::new(vault.clone()),
        retention: Retention::default(),
        service: None,
        faults,
    };
    NodeHandle::start(config).await.unwrap()
}

/// The phase of one container of an app.
pub fn phase_of(app: &AppView, service: &str) -> ContainerPhase {
    app.containers.iter().find(|c| c.service.as_str() == service).unwrap().phase
}

/// `install`, `start` and their kin on the app `shop`.
pub mod shop {
    use protocol::{AppId, Command, OpId};

    fn id() -> AppId {
        "shop".parse().unwrap()
    }
    /// Install it.
    pub fn install() -> Command {
        Command::Install { app: id() }
    }
    /// Start it.
    pub fn start() -> Command {
        Command::Start { app: id() }
    }
    /// Stop it.
    pub fn stop() -> Command {
        Command::Stop { app: id() }
    }
    /// Restart it.
    pub fn restart() -> Command {
        Command::Restart { app: id() }
    }
    /// Bring it to the catalog's version.
    pub fn update() -> Command {
        Command::Update { app: id() }
    }
    /// End an operation on it.
    pub fn cancel(op: &OpId) -> Command {
        Command::Cancel { app: id(), op: op.clone() }
    }
    /// Uninstall it.
    pub fn uninstall() -> Command {
        Command::Uninstall { app: id(), purge: false }
    }
    /// Uninstall it with its data.
    pub fn purge() -> Command {
        Command::Uninstall { app: id(), purge: true }
    }
}
