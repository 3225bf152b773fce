//! Golden fixtures: one JSON file per topic, read here and by the UI's tests.
//!
//! A fixture is an array of `{ "name", "value" }`. The Rust values below are the source; a file that differs from
//! them is written anew and the test fails.

use super::keep_current;
use crate::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::fmt::Debug;

fn id<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: Debug,
{
    text.parse().unwrap()
}

/// Keeps a file of named values, and checks that each decodes to what it was and has no other form.
fn golden<T: Serialize + DeserializeOwned + PartialEq + Debug>(file: &str, values: &[(&str, T)]) {
    let items: Vec<Value> =
        values.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    keep_current(
        &format!("protocol/fixtures/{file}.json"),
        &(serde_json::to_string_pretty(&items).unwrap() + "\n"),
    );
    for (item, (name, value)) in items.iter().zip(values) {
        assert_eq!(serde_json::from_value::<T>(item["value"].clone()).unwrap(), *value, "{file}: {name}");
    }
}

fn op() -> OpView {
    OpView {
        id: OpId("01KB0000000000000000000001".into()),
        kind: OpKind::Install,
        app: id("demo"),
        state: OpState::Failed,
        stages: vec![Stage {
            key: "images".into(),
            state: StageState::Failed,
            progress: Some(0.5),
            detail: Some("layer 2 of 4".into()),
            started_at: Some(1_795_215_600_000),
            ended_at: Some(1_795_215_601_000),
        }],
        started_at: 1_795_215_600_000,
        ended_at: Some(1_795_215_601_000),
        error: Some(OpError {
            code: "pull_failed".into(),
            message: "the image cannot be pulled".into(),
            hint: Some("check the network".into()),
            retryable: true,
        }),
        residue: vec!["network demo_default, which a container of another owner uses".into()],
        cancellable: false,
        late: false,
    }
}

fn app() -> AppView {
    AppView {
        id: id("demo"),
        name: "Demo".into(),
        tagline: "Shows what a node does".into(),
        version: "1".into(),
        installed: true,
        phase: Phase::Restarting,
        reason: Some("cache is being restarted".into()),
        since: 1_795_215_600_000,
        observed_at: 1_795_215_600_500,
        confidence: Confidence::Live,
        desired: Desired::Running,
        op: None,
        last_op: Some(op().id),
        wait: vec![WaitView {
            on: "chain/synced".into(),
            condition: "gate_open".into(),
            progress: Some(0.5),
            app: Some(id("chain")),
            state: Some(GateState::Progressing),
            detail: Some("8 peers".into()),
            may_skip: true,
        }],
        restarts: 3,
        containers: vec![ContainerView {
            service: id("cache"),
            name: "demo-cache".into(),
            id: Some("4f".into()),
            phase: ContainerPhase::Backoff,
            health: Health::Unhealthy,
            wait: vec![],
            reason: Some("exited with 137".into()),
            since: 1_795_215_600_000,
            started_at: None,
            restarts: 3,
            last_restart: Some(RestartView {
                cause: vec!["store exited with code 1".into()],
                at: 1_795_215_600_000,
            }),
            last_exit: Some(ExitView { code: Some(137), oom: true, at: 1_795_215_600_000 }),
            ended: None,
            image: "localhost/cache:1".into(),
        }],
        launch: vec![LaunchUrl {
            name: "main".into(),
            scheme: "http".into(),
            port: 8_090,
            path: "/".into(),
            url: None,
        }],
        next_retry: None,
        update: Some("2".into()),
        backup: Some(BackupView {
            id: "4f1c2d3e".parse().unwrap(),
            app: id("demo"),
            version: "1".into(),
            at: 1_795_215_000_000,
            files: 12,
            bytes: 4_096,
        }),
        category: Some("examples".into()),
        icon: true,
    }
}

fn tree() -> TreeView {
    TreeView {
        path: "node/stacks/demo/containers".into(),
        parent: Some("node/stacks/demo".into()),
        order: 0,
        kind: TreeKind::Supervisor,
        strategy: Some("rest_for_one".into()),
        restart: "permanent".into(),
        intensity: Some(Intensity { max: 5, window_ms: 60_000, used: 2 }),
        state: TreeState::Running,
        generation: 1,
        restarts: 0,
        last_exit: None,
        last_exit_at: None,
        cause: Some("initial".into()),
    }
}

fn gate() -> GateView {
    GateView {
        id: "chain/synced".into(),
        app: id("chain"),
        title: "The chain is synced".into(),
        kind: "http_json".into(),
        state: GateState::Progressing,
        progress: Some(0.8563),
        current: Some(817_652),
        target: Some(954_850),
        unit: Some("blocks".into()),
        rate: Some(12.5),
        eta_s: Some(10_975),
        eta_max_s: Some(14_400),
        detail: Some("8 peers".into()),
        waiters: vec![id("demo")],
        may_skip: true,
        since: 1_795_215_600_000,
        observed_at: 1_795_215_600_500,
        last_ok: Some(1_795_215_600_500),
    }
}

fn metrics() -> MetricsView {
    MetricsView {
        app: id("demo"),
        measured_at: 1_795_215_600_500,
        usage: vec![ContainerMetrics {
            service: id("cache"),
            cpu: 0.25,
            memory_bytes: 10_485_760,
            memory_limit_bytes: Some(134_217_728),
            rx_bytes: 1_024,
            tx_bytes: 2_048,
            read_bytes: 0,
            write_bytes: 4_096,
            pids: 4,
        }],
    }
}

fn node() -> NodeView {
    NodeView {
        key: "engine".into(),
        ok: true,
        detail: "podman 5.4.2".into(),
        last_ok: Some(1_795_215_600_500),
    }
}

fn event() -> Event {
    Event {
        seq: 91,
        at: 1_795_215_600_500,
        severity: Severity::Warning,
        actor: EventActor::Supervisor,
        kind: "child_restarted".into(),
        app: Some(id("demo")),
        subject: Some("node/stacks/demo/containers/cache".into()),
        op: None,
        message: "cache is restarted".into(),
        cause: vec!["container exited with 137".into(), "out of memory".into()],
        suppressed: 0,
    }
}

#[test]
fn rows() {
    golden(
        "rows",
        &[
            ("app", Row::App(Box::new(app()))),
            ("op", Row::Op(Box::new(op()))),
            ("tree", Row::Tree(Box::new(tree()))),
            ("gate", Row::Gate(Box::new(gate()))),
            ("node", Row::Node(Box::new(node()))),
            ("metrics", Row::Metrics(Box::new(metrics()))),
        ],
    );
}

#[test]
fn frames_of_the_node() {
    let hello = ServerMsg::Hello {
        proto: PROTOCOL_VERSION,
        server: "archipelago 0.1.0".into(),
        epoch: "01KB0000000000000000000000".into(),
        now_ms: 1_795_215_600_123,
        ping_ms: 15_000,
        session_expires_ms: Some(1_797_807_600_123),
        features: vec![feature::EVENTS.into(), feature::LOGS.into(), feature::TUNE.into()],
    };
    let apps: StreamName = StreamId::Apps.into();
    golden(
        "server",
        &[
            ("hello", hello),
            (
                "snapshot",
                ServerMsg::Snapshot {
                    stream: StreamId::Apps,
                    seq: 1_041,
                    reason: SnapshotReason::Initial,
                    part: 0,
                    last: true,
                    items: vec![Row::App(Box::new(app()))],
                },
            ),
            (
                "delta",
                ServerMsg::Delta {
                    stream: StreamId::Gates,
                    from: 1_041,
                    seq: 1_044,
                    ops: vec![
                        DeltaOp::Put { v: Row::Gate(Box::new(gate())) },
                        DeltaOp::Del { key: "old/gate".into(), why: "uninstalled".into() },
                    ],
                },
            ),
            (
                "entries of events",
                ServerMsg::Entries {
                    stream: StreamName::Events,
                    from: 90,
                    seq: 91,
                    items: vec![Entry::Event(Box::new(event()))],
                    dropped: 0,
                },
            ),
            (
                "entries of a log with a gap",
                ServerMsg::Entries {
                    stream: id("logs:demo/cache"),
                    from: 10,
                    seq: 15,
                    items: vec![Entry::Log(LogEntry { seq: 15, stderr: Some(true), line: "ready".into() })],
                    dropped: 4,
                },
            ),
            (
                "mark",
                ServerMsg::Mark {
                    streams: [(apps, 1_044), (StreamName::Events, 91)].into(),
                    now_ms: 1_795_215_600_123,
                },
            ),
            ("pong", ServerMsg::Pong { id: 7, now_ms: 1_795_215_600_123 }),
            (
                "error",
                ServerMsg::Error {
                    r#ref: Some(3),
                    code: "bad_frame".into(),
                    message: "unknown stream".into(),
                    retryable: false,
                },
            ),
            (
                "bye",
                ServerMsg::Bye {
                    code: close_code::RESTART,
                    reason: "the node is being restarted".into(),
                    retry_after_ms: Some(1_000),
                },
            ),
        ],
    );
}

#[test]
fn frames_of_a_client() {
    let resume = Resume { epoch: "01KB0000000000000000000000".into(), seq: 1_041 };
    let apps: StreamName = StreamId::Apps.into();
    golden(
        "client",
        &[
            (
                "sub",
                ClientMsg::Sub {
                    r#ref: 3,
                    streams: vec![
                        SubStream { resume: Some(resume), ..SubStream::new(apps.clone()) },
                        SubStream { tail: Some(200), ..SubStream::new(id::<StreamName>("logs:demo/cache")) },
                        SubStream::new(StreamName::Events),
                    ],
                },
            ),
            ("unsub", ClientMsg::Unsub { streams: vec![id("logs:demo/cache")] }),
            ("ack", ClientMsg::Ack { stream: apps.clone(), seq: 1_044 }),
            ("tune", ClientMsg::Tune { stream: apps, min_interval_ms: 1_000 }),
            ("ping", ClientMsg::Ping { id: 7 }),
        ],
    );
}

#[test]
fn refusals() {
    let refusal = |code| ApiError::new(code, "no");
    golden(
        "errors",
        &[
            (
                "in progress",
                ApiError { op_id: Some(op().id), ..refusal(ErrorCode::OpInProgress).hint("wait") },
            ),
            (
                "invalid",
                ApiError {
                    problems: vec![Problem {
                        rule: "unknown_key".into(),
                        field: "services.web.foo".into(),
                        line: Some(3),
                        column: Some(5),
                        message: "there is no such key".into(),
                        remedy: "remove it".into(),
                    }],
                    ..refusal(ErrorCode::Invalid)
                },
            ),
            (
                "confirm",
                ApiError {
                    confirm: Some(Box::new(Confirm {
                        plan: Plan {
                            removes: vec!["3 containers".into()],
                            keeps: vec![],
                            dependents: vec![id("shop")],
                            type_to_confirm: Some("demo".into()),
                        },
                        token: "0011".into(),
                    })),
                    ..refusal(ErrorCode::ConfirmRequired)
                },
            ),
        ],
    );
}

#[test]
fn facts() {
    let facts = AppFacts {
        id: id("demo"),
        version: "1".into(),
        installed: true,
        description: "Counts visits.".into(),
        license: Some("MIT".into()),
        website: None,
        repo: None,
        support: None,
        author: Some("The founders".into()),
        release_notes: None,
        needs: MachineNeeds {
            architectures: vec!["amd64".into()],
            architecture: "amd64".into(),
            memory: Some(1 << 28),
            memory_there: Some(1 << 34),
            storage: None,
            storage_there: Some(1 << 40),
            devices: vec![],
        },
        requires: vec![RequireFact {
            name: "chain".into(),
            providers: vec![id("chain")],
            gate: Some("synced".into()),
            version: Some(">=1".into()),
            optional: false,
            reason: Some("it reads its blocks".into()),
        }],
        ports: vec![PortFact {
            service: id("web"),
            published: 8_090,
            target: 80,
            protocol: "tcp".into(),
            host_ip: String::new(),
        }],
        data: vec![DataFact {
            name: "data".into(),
            place: "demo_data".into(),
            folder: false,
            services: vec![id("cache")],
            backed_up: true,
        }],
        networks: vec![NetworkFact { name: "inner".into(), external: false, internal: true }],
        secrets: vec![SecretFact { name: "db-password".into(), external: false }],
        backup_stops: true,
        update: Some(UpdateFact {
            version: "2".into(),
            release_notes: Some("Counts faster.".into()),
            backs_up: true,
            rolls_back: true,
        }),
        problems: vec![],
    };
    golden("facts", &[("installed", facts)]);
}

#[test]
fn accounts() {
    let session = SessionView {
        id: "01KB0000000000000000000002".into(),
        created_at: 1_795_215_600_000,
        seen_at: 1_795_215_660_000,
        expires_at: 1_797_807_600_000,
        address: "192.168.1.7".into(),
        agent: "Mozilla/5.0".into(),
        current: true,
    };
    golden("sessions", &[("current", session)]);
    let token = TokenView {
        id: "01KB0000000000000000000003".into(),
        name: "backup script".into(),
        scope: Scope::Operate,
        created_at: 1_795_215_600_000,
        used_at: None,
        expires_at: None,
    };
    golden("tokens", &[("unused", token)]);
    golden("auth", &[("first run", AuthView { setup: true, totp: false })]);
}
