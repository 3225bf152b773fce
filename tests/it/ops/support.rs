//! Two versions of a shop, a neighbour that nobody may touch, and what there is of them in the engine.

use protocol::{AppView, Command, OpView, Phase, StageState};
use std::{collections::BTreeSet, path::PathBuf};
use tests::SimNode;

/// `old` and its network are in this version only.
pub const V1: &str = r#"manifest_version: 1
id: shop
name: Shop
version: "1"
supervisor: {strategy: one_for_one, intensity: 3, period: 10m, backoff: {min: 1s, max: 4s, factor: 2, jitter: 0}}
secrets: {pass: {generate: {bytes: 24}}}
volumes: {db: {}}
networks: {inner: {}, past: {}}
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
    volumes: [{type: bind, source: files, target: /files}]
    ports: [{name: http, target: 80, published: 28080, host_ip: 127.0.0.1}]
  old:
    image: localhost/db:1
    networks: {past: {}}
interfaces: {main: {service: web, port: http}}
"#;

/// `web` has another image, `fresh` and its network are new, `db` is the same.
pub fn v2() -> String {
    V1.replace("version: \"1\"", "version: \"2\"\nupdate: {snapshot: false, verify_timeout: 1m}")
        .replace("localhost/web:1", "localhost/web:2")
        .replace("past: {}", "more: {}")
        .replace("  old:\n    image: localhost/db:1", "  fresh:\n    image: localhost/web:1")
        .replace(
            "    networks: {more: {}}\ninterfaces",
            "    networks: {more: {}}\n    probes: {readiness: {exec: {command: [fresh]}}}\ninterfaces",
        )
}

/// The same, whose data are backed up before.
pub fn v2_with_backup() -> String {
    v2().replace("snapshot: false, ", "")
}

/// An app beside it.
pub fn kiosk() -> String {
    tests::SHOP.replace("id: shop", "id: kiosk").replace("28080", "28090")
}

pub fn install(app: &str) -> Command {
    Command::Install { app: app.parse().unwrap() }
}

/// Names in the engine that begin with the app's.
pub struct There {
    pub containers: BTreeSet<String>,
    pub networks: BTreeSet<String>,
    pub volumes: BTreeSet<String>,
    pub secrets: BTreeSet<String>,
}

fn own(names: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    names.into_iter().filter(|name| name.starts_with("shop")).collect()
}

pub fn there(t: &SimNode) -> There {
    There {
        containers: own(t.sim.states().into_keys()),
        networks: own(t.sim.networks()),
        volumes: own(t.sim.volumes()),
        secrets: own(t.sim.secrets()),
    }
}

pub fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A file in the app's data that has to be there as long as nobody asks for its end.
pub fn canary(t: &SimNode) -> PathBuf {
    t.data_dir().join("data/shop/files/canary")
}

/// Ids and starts of an app's containers.
pub fn facts(app: &AppView) -> Vec<(String, Option<String>, Option<u64>)> {
    app.containers.iter().map(|c| (c.service.to_string(), c.id.clone(), c.started_at)).collect()
}

/// The containers of a version run, and nothing else of the app is there.
pub async fn runs_at(t: &SimNode, version: &str) {
    let app = t.wait_app("shop", |app| app.phase == Phase::Running && app.version == version).await;
    let (third, network) = if version == "1" { ("old", "past") } else { ("fresh", "more") };
    let services: Vec<_> = app.containers.iter().map(|c| c.service.to_string()).collect();
    assert_eq!(BTreeSet::from_iter(services), names(&["db", "web", third]));
    let all = ["db", "web", third].map(|it| [format!("shop-{it}"), format!("shop-{it}_net")]).concat();
    let there = there(t);
    assert_eq!(there.containers, BTreeSet::from_iter(all));
    assert_eq!(there.networks, names(&["shop_inner", &format!("shop_{network}")]));
    assert_eq!((there.volumes, there.secrets), (names(&["shop_db"]), names(&["shop_pass"])));
}

/// What is shown never goes back.
#[derive(Default)]
pub struct Forwards {
    last: Option<OpView>,
}

impl Forwards {
    /// The node has died: the stage that ran is carried out anew, and counts anew.
    pub fn next_life(&mut self) {
        for stage in self.last.iter_mut().flat_map(|last| &mut last.stages) {
            if stage.state == StageState::Running {
                stage.progress = None;
            }
        }
    }

    pub fn look(&mut self, view: OpView) {
        if let Some(last) = &self.last {
            assert!(!last.state.is_terminal() || last.state == view.state, "{last:#?} became {view:#?}");
            for (before, after) in last.stages.iter().zip(&view.stages) {
                let ended = |state| matches!(state, StageState::Done | StageState::Skipped);
                assert!(!ended(before.state) || before.state == after.state, "{last:#?} became {view:#?}");
                assert!(before.progress <= after.progress, "{last:#?} became {view:#?}");
                assert!(after.progress < Some(1.0) || after.state == StageState::Done, "{view:#?}");
            }
        }
        self.last = Some(view);
    }
}
