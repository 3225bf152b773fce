//! The whole node on real Podman, with the demo app of the catalog: what happens is done and checked from outside,
//! with signals, `podman`, HTTP and the WebSocket.
//!
//! Needs `ARCHIPELAGO_BIN` and `ARCHIPELAGO_CATALOG`, which `make test` gives.

pub(crate) mod support;

use crate::owner;
use protocol::{AppView, ContainerPhase, OpState, Phase};
use std::{
    fs::Permissions,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::unix::fs::PermissionsExt,
    path::Path,
};
use support::{RealNode, podman, podman_output};

/// The full name of a test, by which it runs again as another user.
macro_rules! test {
    ($name:ident) => {
        concat!(module_path!(), "::", stringify!($name))
    };
}

/// Phases of a container in the order in which a client saw them, without repetitions.
fn phases(history: &[AppView], service: &str) -> Vec<ContainerPhase> {
    let mut phases: Vec<ContainerPhase> = history.iter().map(|app| tests::phase_of(app, service)).collect();
    phases.dedup();
    phases
}

fn restarts(app: &AppView) -> Vec<u32> {
    app.containers.iter().map(|c| c.restarts).collect()
}

#[test]
fn the_demo_survives_kill_9_of_any_of_its_processes() {
    owner::run(test!(the_demo_survives_kill_9_of_any_of_its_processes), async {
        let mut t = RealNode::start("kill").await;
        t.install().await;
        t.visits().await;
        for service in ["cache", "api", "web"] {
            let before = t.app.clone().unwrap();
            t.history.clear();
            t.kill_process(service);
            let name = service.to_owned();
            let after = t
                .wait(move |app| {
                    app.phase == Phase::Running
                        && app.containers.iter().any(|c| c.service.as_str() == name && c.restarts == 1)
                })
                .await;
            let seen = phases(&t.history, service);
            // A row is the newest state: one that lasts for milliseconds may be skipped, the journal skips nothing.
            t.wait_event(&format!("{service} ended: exited with code 137")).await;
            assert!(
                !seen.contains(&ContainerPhase::Unknown),
                "{service}: nothing is forgotten meanwhile: {seen:?}"
            );
            let container = after.containers.iter().find(|c| c.service.as_str() == service).unwrap();
            assert_eq!(container.last_exit.as_ref().unwrap().code, Some(137), "{service}");
            for (old, new) in before.containers.iter().zip(&after.containers) {
                let same = old.started_at == new.started_at;
                assert_eq!(
                    same,
                    new.service.as_str() != service,
                    "{}: only the dead one was started",
                    new.service
                );
                assert_eq!(old.id, new.id, "{}: none was made anew", new.service);
            }
            t.visits().await;
        }
        t.uninstall().await;
    });
}

#[test]
fn visits_outlive_the_cache_that_counts_them() {
    owner::run(test!(visits_outlive_the_cache_that_counts_them), async {
        let mut t = RealNode::start("data").await;
        t.install().await;
        t.visit().await;
        let before = t.visits().await;
        assert!(before > 0);
        t.kill_process("cache");
        t.wait(|app| app.phase == Phase::Running && restarts(app).contains(&1)).await;
        assert!(t.visits().await >= before, "the volume kept what was counted");
        t.uninstall().await;
        assert!(
            podman(&["volume", "ls", "-q"]).contains(&format!("{}_cache-data", t.id)),
            "uninstall keeps the data"
        );
    });
}

#[test]
fn kill_9_of_the_daemon_restarts_no_container() {
    owner::run(test!(kill_9_of_the_daemon_restarts_no_container), async {
        let mut t = RealNode::start("adopt").await;
        t.install().await;
        let before = t.containers();
        t.kill_daemon();
        assert_eq!(t.containers(), before, "containers outlive the daemon");
        t.start_daemon().await;
        let app = t
            .wait(|app| app.phase == Phase::Running && app.containers.iter().all(|c| c.started_at.is_some()))
            .await;
        assert_eq!(restarts(&app), [0, 0, 0]);
        assert_eq!(t.containers(), before, "same ids, same start times");
        t.visits().await;
        t.uninstall().await;
    });
}

#[test]
fn a_users_stop_stays_after_kill_9_of_the_daemon() {
    owner::run(test!(a_users_stop_stays_after_kill_9_of_the_daemon), async {
        let mut t = RealNode::start("stop").await;
        t.install().await;
        t.operate("stop").await;
        t.wait(|app| app.phase == Phase::Stopped).await;
        t.kill_daemon();
        t.start_daemon().await;
        t.wait(|app| {
            app.phase == Phase::Stopped && app.containers.iter().all(|c| c.phase == ContainerPhase::Exited)
        })
        .await;
        assert_eq!(podman(&["ps", "-q", "--filter", &t.label()]), "");
        t.operate("start").await;
        t.wait(|app| app.phase == Phase::Running).await;
        t.uninstall().await;
    });
}

#[test]
fn a_container_that_died_while_the_daemon_was_away_is_brought_back() {
    owner::run(test!(a_container_that_died_while_the_daemon_was_away_is_brought_back), async {
        let mut t = RealNode::start("away").await;
        t.install().await;
        t.kill_daemon();
        t.kill_process("cache");
        podman(&["wait", &t.container("cache")]);
        t.start_daemon().await;
        t.wait(|app| app.phase == Phase::Running && app.containers.iter().all(|c| c.started_at.is_some()))
            .await;
        t.visits().await;
        t.uninstall().await;
    });
}

#[test]
fn a_zombie_and_a_container_removed_from_outside_are_recovered() {
    owner::run(test!(a_zombie_and_a_container_removed_from_outside_are_recovered), async {
        let mut t = RealNode::start("zombie").await;
        t.install().await;
        // conmon first, so that nobody tells Podman of the death.
        let cache = t.container("cache");
        let conmon = podman(&["inspect", "-f", "{{.State.ConmonPid}}", &cache]);
        support::kill_9(&conmon);
        t.kill_process("cache");
        t.wait(|app| app.phase == Phase::Running && restarts(app).contains(&1)).await;
        t.visits().await;
        let removed = podman(&["inspect", "-f", "{{.Id}}", &t.container("api")]);
        podman(&["rm", "-f", "-t", "0", &t.container("api")]);
        // Once or twice: Podman kills the container before it removes it, and both may be seen.
        let made_anew = |app: &AppView| {
            app.containers.iter().any(|c| {
                c.service.as_str() == "api"
                    && c.restarts > 0
                    && c.id.as_ref().is_some_and(|id| *id != removed)
            })
        };
        t.wait(|app| app.phase == Phase::Running && made_anew(app)).await;
        t.visits().await;
        t.uninstall().await;
    });
}

#[test]
fn the_engines_service_is_restarted_and_the_apps_stay_on_the_page() {
    owner::run(test!(the_engines_service_is_restarted_and_the_apps_stay_on_the_page), async {
        let mut t = RealNode::start("service").await;
        t.install().await;
        let before = t.containers();
        t.history.clear();
        t.kill_engine_service();
        t.wait(|app| app.confidence == protocol::Confidence::LastKnown).await;
        t.wait(|app| app.confidence == protocol::Confidence::Live).await;
        assert!(t.history.iter().all(|app| app.phase == Phase::Running && app.installed));
        assert_eq!(t.containers(), before);
        t.kill_process("api");
        t.wait(|app| app.phase == Phase::Running && restarts(app).contains(&1)).await;
        t.uninstall().await;
    });
}

#[test]
fn a_run_folder_that_survived_a_crash_of_the_machine_is_mended() {
    owner::run(test!(a_run_folder_that_survived_a_crash_of_the_machine_is_mended), async {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().join("run/libpod/tmp");
        std::fs::create_dir_all(&state).unwrap();
        std::fs::set_permissions(home.path().join("run"), Permissions::from_mode(0o700)).unwrap();
        let config = ".config/containers/containers.conf.d";
        std::fs::create_dir_all(home.path().join(config)).unwrap();
        for file in std::fs::read_dir(Path::new(&std::env::var("HOME").unwrap()).join(config)).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), home.path().join(config).join(file.file_name())).unwrap();
        }
        // The process that held the user namespace; its number belongs to nobody.
        std::fs::write(state.join("pause.pid"), "4194303").unwrap();
        let t = RealNode::start_at("crash", Some(home.path())).await;
        t.wait_log("engine reached").await;
        assert!(t.log().contains("podman lost its user namespace"), "{}", t.log());
        // The new holder would outlive the folder.
        support::kill_9(std::fs::read_to_string(state.join("pause.pid")).unwrap().trim());
    });
}

#[test]
fn uninstall_leaves_no_ghost_and_no_look_shows_the_secret() {
    owner::run(test!(uninstall_leaves_no_ghost_and_no_look_shows_the_secret), async {
        let mut t = RealNode::start("ghost").await;
        t.install().await;
        let secret =
            std::fs::read_to_string(t.data_dir().join(format!("secrets/{}/redis-password", t.id))).unwrap();
        for service in ["cache", "api", "web"] {
            let name = t.container(service);
            for text in
                [podman(&["inspect", &name]), podman(&["logs", &name]), podman(&["top", &name, "args"])]
            {
                assert!(!text.contains(&secret), "{service} shows the secret");
            }
            let status = podman(&["exec", &name, "cat", "/proc/1/status"]);
            assert!(
                status.contains("NoNewPrivs:\t1") && status.contains("CapEff:\t0000000000000000"),
                "{service}: {status}"
            );
        }
        assert!(!t.log().contains(&secret));
        t.uninstall().await;
        assert_eq!(podman(&["ps", "-aq", "--filter", &t.label()]), "");
        assert!(!podman(&["network", "ls", "-q"]).lines().any(|name| name == format!("{}_demo", t.id)));
        let app = t.app.clone().unwrap();
        assert_eq!((app.phase, app.installed), (Phase::NotInstalled, false));
        t.install().await;
        t.visits().await;
        t.uninstall().await;
    });
}

#[test]
fn an_image_that_cannot_be_built_fails_the_install_and_leaves_nothing() {
    owner::run(test!(an_image_that_cannot_be_built_fails_the_install_and_leaves_nothing), async {
        let mut t = RealNode::start("build").await;
        let file = t.manifest_dir().join("images/api/Containerfile");
        std::fs::write(file, "FROM localhost/archipelago/no-such-base:1\n").unwrap();
        let op = t.submit("install").await;
        assert_eq!(op.state, OpState::Failed, "{op:#?}");
        let error = op.error.unwrap();
        assert!(!error.message.is_empty() && error.hint.is_some(), "{error:?}");
        t.wait(|app| app.phase == Phase::NotInstalled).await;
        assert_eq!(podman(&["ps", "-aq", "--filter", &t.label()]), "");
    });
}

#[test]
fn the_node_refuses_a_bad_manifest_as_the_command_line_does() {
    owner::run(test!(the_node_refuses_a_bad_manifest_as_the_command_line_does), async {
        let t = RealNode::start("bad").await;
        let path = t.manifest_dir().join("manifest.yml");
        let good = std::fs::read_to_string(&path).unwrap();
        let cases = [
            ("kind: app", "kind: app\ncolour: red", "colour", "unknown_key"),
            ("target: 8080", "target: 99999", "services.web.ports[0].target", "port"),
            ("build: {context: images/web}", "init: false", "services.web.image", "image_missing"),
            ("context: images/web", "context: ../web", "services.web.build.context", "path"),
        ];
        for (from, to, field, rule) in cases {
            assert!(good.contains(from), "{from}");
            std::fs::write(&path, good.replacen(from, to, 1)).unwrap();
            let refused = t.client.command(&t.command("install"), None).await.unwrap_err();
            let text = format!("{refused:?}");
            assert!(text.contains(field) && text.contains(rule), "{text}");
            let cli = t.archy(&["app", "validate", path.to_str().unwrap()]);
            assert_eq!(cli.status.code(), Some(1));
            let said =
                String::from_utf8_lossy(&cli.stdout).into_owned() + &String::from_utf8_lossy(&cli.stderr);
            assert!(said.contains(field) && said.contains(rule) && said.contains("remedy"), "{said}");
        }
    });
}

#[test]
fn app_to_control_plane_a_container_is_refused_where_a_person_is_served() {
    owner::run(test!(app_to_control_plane_a_container_is_refused_where_a_person_is_served), async {
        let mut t = RealNode::start_on(Ipv4Addr::UNSPECIFIED, "inside", None).await;
        t.install().await;
        // Nothing is sent: the kernel says which address it would be sent from.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.connect("192.0.2.1:9").unwrap();
        let own = SocketAddr::new(socket.local_addr().unwrap().ip(), t.port_of_node());
        let url = format!("http://{own}/healthz");
        assert_eq!(reqwest::get(&url).await.unwrap().status(), 200);
        let asked = podman_output(&["exec", &t.container("cache"), "busybox", "wget", "-q", "-O-", &url]);
        let said = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert!(said.contains("403"), "{said} {:?}", asked.stdout);
        for loopback in ["127.0.0.1", "host.containers.internal"] {
            let url = format!("http://{loopback}:{}/healthz", own.port());
            let asked = podman_output(&[
                "exec",
                &t.container("cache"),
                "busybox",
                "wget",
                "-q",
                "-T",
                "5",
                "-O-",
                &url,
            ]);
            assert!(!asked.status.success(), "{loopback} leads to the node: {asked:?}");
        }
        t.uninstall().await;
    });
}
