//! What a container may do and see, its output, and its death.

use super::{
    podman_test,
    support::{Real, kill9, podman_inspect},
};
use apps::{ContainerSpec, Mount, MountSource, SecretMount};
use engine::{
    Engine, EngineError, EngineState, EventAction, ProcessRef,
    contract::{events_until, ok, soon},
};
use futures_util::{StreamExt, TryStreamExt};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

const SOON: Duration = Duration::from_secs(20);

impl Real {
    /// What a command of busybox says in a container.
    async fn busybox(&self, container: &str, words: &[&str]) -> String {
        let argv: Vec<_> = ["/bin/busybox"].iter().chain(words).map(|&word| word.to_owned()).collect();
        let said = ok(self.podman.exec(container, &argv, SOON).await);
        assert_eq!(said.code, 0, "{words:?}: {}", said.output);
        said.output
    }

    async fn status(&self, container: &str) -> BTreeMap<String, String> {
        let status = self.busybox(container, &["cat", "/proc/1/status"]).await;
        let field =
            |line: &str| line.split_once(":\t").map(|(key, value)| (key.to_owned(), value.to_owned()));
        status.lines().filter_map(field).collect()
    }
}

podman_test!(a_container_has_no_capabilities_and_gains_none, |real| async move {
    let spec = real.ground.spec("bare");
    real.ground.up(&spec).await;
    let status = real.status(&spec.name).await;
    assert_eq!(status["NoNewPrivs"], "1");
    for set in ["CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh"] {
        assert_eq!(status[set], "0000000000000000", "{set}");
    }
    let mut spec = real.ground.spec("some");
    spec.cap_add.push("NET_BIND_SERVICE".to_owned());
    real.ground.up(&spec).await;
    let status = real.status(&spec.name).await;
    assert_eq!((status["CapBnd"].as_str(), status["NoNewPrivs"].as_str()), ("0000000000000400", "1"));
    assert_eq!(podman_inspect(&spec.name, "{{.HostConfig.RestartPolicy.Name}}"), "no");
});

podman_test!(everything_of_a_spec_arrives_in_the_container, |real| async move {
    std::fs::write(real.folder.path().join("file"), "from the host").unwrap();
    let mount = |source, target: &str, read_only| Mount {
        source,
        target: target.to_owned(),
        read_only,
        chown: false,
    };
    let spec = ContainerSpec {
        environment: [("GREETING".to_owned(), "hello $HOME 'quoted'".to_owned())].into(),
        user: Some("1234:5678".to_owned()),
        working_dir: Some("/tmp".to_owned()),
        hostname: Some("harbour".to_owned()),
        read_only: true,
        tmpfs: vec!["/tmp".to_owned()],
        stop_signal: Some("SIGINT".to_owned()),
        stop_grace: Duration::from_secs(7),
        memory: Some(64 << 20),
        pids: Some(50),
        mounts: vec![
            mount(MountSource::Bind(real.folder.path().to_owned()), "/host", true),
            mount(MountSource::Volume(real.ground.name("data")), "/data", false),
        ],
        ..real
            .ground
            .running("full", &["sh", "-c", "trap 'exit 7' INT; while :; do /bin/busybox sleep 0.1; done"])
    };
    real.ground.up(&spec).await;
    let see = "exec 2>/dev/null; echo $GREETING; pwd -P; /bin/busybox hostname; /bin/busybox id -u; /bin/busybox id -g; \
        cat /host/file; echo; echo x > /tmp/x && echo tmp; echo x > /x || echo root; echo x > /host/x || echo host; \
        echo x > /data/x && echo data";
    let see = see.replace("cat ", "/bin/busybox cat ");
    let said = real.busybox(&spec.name, &["sh", "-c", &see]).await;
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "hello $HOME 'quoted'",
            "/tmp",
            "harbour",
            "1234",
            "5678",
            "from the host",
            "tmp",
            "root",
            "host",
            "data"
        ],
        "{said}"
    );
    ok(real.podman.stop(&spec.name, spec.stop_grace).await);
    assert_eq!(real.ground.exited(&spec.name).await.exit_code, 7);
});

podman_test!(every_setting_of_a_manifest_is_taken_by_the_engine, |real| async move {
    let fresh = real.folder.path().join("fresh");
    std::fs::create_dir(&fresh).unwrap();
    let spec = ContainerSpec {
        user: Some("1234:5678".to_owned()),
        no_network: true,
        cpu_millis: Some(500),
        shm_size: Some(1 << 20),
        sysctls: [("net.ipv4.ip_default_ttl".to_owned(), "42".to_owned())].into(),
        ulimits: [("nofile".to_owned(), (100, 200))].into(),
        devices: vec!["/dev/net/tun:/dev/net/tun:rw".to_owned()],
        mounts: vec![Mount {
            source: MountSource::Bind(fresh.clone()),
            target: "/fresh".to_owned(),
            read_only: false,
            chown: true,
        }],
        ..real.ground.spec("settings")
    };
    real.ground.up(&spec).await;
    let see = "B=/bin/busybox; $B awk '/open files/ {print $4, $5}' /proc/1/limits; $B cat /proc/sys/net/ipv4/ip_default_ttl; \
        $B ls /sys/class/net; $B stat -c %u:%g /fresh; echo x > /fresh/x && echo writes; \
        $B test -c /dev/net/tun && echo device; $B df -k /dev/shm | $B awk 'END {print $2}'";
    let said = real.busybox(&spec.name, &["sh", "-c", see]).await;
    let lines: Vec<_> = said.lines().collect();
    let expected = ["100 200", "42", "lo", "1234:5678", "writes", "device", "1024"];
    assert_eq!(lines, expected, "{said}");
});

podman_test!(a_secret_is_a_file_that_no_inspection_shows, |real| async move {
    let value = "s3cret \"quoted\" \u{e9}\n\0end";
    let key = real.ground.name("key");
    ok(real.podman.create_secret(&key, value.as_bytes()).await);
    let secret = |target: &str| SecretMount {
        source: key.clone(),
        target: target.to_owned(),
        uid: 1234,
        gid: 5678,
        mode: 0o440,
    };
    for (what, read_only) in [("plain", false), ("sealed", true)] {
        let mut spec = real.ground.spec(what);
        spec.read_only = read_only;
        spec.secrets = vec![secret("password"), secret("/etc/app/password")];
        real.ground.up(&spec).await;
        for path in ["/run/secrets/password", "/etc/app/password"] {
            assert_eq!(real.busybox(&spec.name, &["stat", "-c", "%u %g %a", path]).await, "1234 5678 440\n");
        }
        let inspect = podman_inspect(&spec.name, "{{json .}}");
        assert!(!inspect.contains("s3cret") && inspect.contains(&key));
    }
    let mut spec = real.ground.spec("reader");
    spec.user = Some("1234".to_owned());
    spec.secrets.push(secret("password"));
    real.ground.up(&spec).await;
    assert_eq!(real.busybox(&spec.name, &["cat", "/run/secrets/password"]).await, value);
});

podman_test!(a_command_that_hangs_times_out_and_is_killed, |real| async move {
    let spec = real.ground.spec("web");
    real.ground.up(&spec).await;
    let argv = ["/bin/busybox", "sleep", "777"].map(str::to_owned);
    let begin = Instant::now();
    let result = real.podman.exec(&spec.name, &argv, Duration::from_millis(500)).await;
    assert!(matches!(result, Err(EngineError::Timeout { call: "exec", .. })), "{result:?}");
    assert!(begin.elapsed() < Duration::from_secs(5));
    let gone = async {
        while real.busybox(&spec.name, &["ps"]).await.contains("sleep 777") {
            tokio::task::yield_now().await;
        }
    };
    soon(gone).await;
    let missing = ok(real.podman.exec(&spec.name, &["/nothere".to_owned()], SOON).await);
    assert_eq!(missing.code, 127);
    let flood = ["/bin/busybox", "seq", "1", "100000"].map(str::to_owned);
    let flood = ok(real.podman.exec(&spec.name, &flood, SOON).await);
    assert_eq!((flood.code, flood.output.len()), (0, 64 << 10));
});

podman_test!(logs_are_bounded_and_can_be_followed, |real| async move {
    let script = "echo one; echo err >&2; echo; echo three; while [ ! -e /tmp/go ]; do /bin/busybox sleep 0.02; done; \
        echo four; echo five";
    let mut spec = real.ground.running("talker", &["sh", "-c", script]);
    spec.tmpfs.push("/tmp".to_owned());
    real.ground.up(&spec).await;
    let mut follow = ok(real.podman.logs(&spec.name, 100, true).await);
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let line = ok(soon(follow.next()).await.unwrap());
        seen.push((line.stderr, line.line));
    }
    seen.sort();
    let line = |stderr, text: &str| (stderr, text.to_owned());
    assert_eq!(seen, [line(false, ""), line(false, "one"), line(false, "three"), line(true, "err")]);
    real.busybox(&spec.name, &["touch", "/tmp/go"]).await;
    let rest: Vec<_> = soon(follow.map_ok(|line| line.line).try_collect()).await.unwrap();
    assert_eq!(rest, ["four", "five"]);
    real.ground.exited(&spec.name).await;
    let tail: Vec<_> = ok(ok(real.podman.logs(&spec.name, 2, false).await).try_collect().await);
    assert_eq!(tail.iter().map(|line| line.line.as_str()).collect::<Vec<_>>(), ["four", "five"]);
    assert_eq!(
        podman_inspect(&spec.name, "{{.HostConfig.LogConfig.Type}} {{.HostConfig.LogConfig.Size}}"),
        "k8s-file 10MB"
    );
    let quiet = real.ground.spec("quiet");
    real.ground.up(&quiet).await;
    let mut silence = ok(real.podman.logs(&quiet.name, 10, true).await);
    assert!(tokio::time::timeout(Duration::from_millis(300), silence.next()).await.is_err());
    ok(real.podman.remove(&quiet.name, true).await);
    assert_eq!(soon(silence.count()).await, 0);
});

podman_test!(death_is_told_by_the_kernel_before_the_engine_knows, |real| async move {
    let spec = real.ground.spec("web");
    ok(real.podman.create(&spec).await);
    let mut events = ok(real.podman.events(None).await);
    let (mut kernel, mut engine) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        ok(real.podman.start(&spec.name).await);
        let process = ok(real.podman.inspect(&spec.name).await).process.unwrap();
        let exit = ok(real.podman.exit_of(process).await);
        let begin = Instant::now();
        kill9(process.pid);
        soon(exit).await;
        kernel.push(begin.elapsed());
        events_until(&mut events, &spec.name, &EventAction::Died).await;
        engine.push(begin.elapsed());
        real.ground.exited(&spec.name).await;
    }
    for (who, times) in [("pidfd", &mut kernel), ("died event", &mut engine)] {
        times.sort();
        println!("kill -9 seen by {who}: min {:?} p50 {:?} max {:?}", times[0], times[10], times[19]);
    }
    assert!(kernel[10] < engine[10]);
});

podman_test!(a_container_whose_monitor_died_with_it_can_be_replaced, |real| async move {
    let spec = real.ground.spec("web");
    let running = real.ground.up(&spec).await;
    let process = running.process.unwrap();
    let exit = ok(real.podman.exit_of(process).await);
    let monitor: u32 = podman_inspect(&spec.name, "{{.State.ConmonPid}}").parse().unwrap();
    kill9(monitor);
    kill9(process.pid);
    soon(exit).await;
    let seen = ok(real.podman.inspect(&spec.name).await);
    assert_eq!((seen.state, seen.process), (EngineState::Running, None));
    ok(real.podman.remove(&spec.name, true).await);
    let again = real.ground.up(&spec).await;
    assert!(again.process.is_some_and(|it| ProcessRef::of(it.pid) == Some(it)));
});

podman_test!(what_is_left_of_a_forgotten_container_is_ended, |real| async move {
    let spec = ContainerSpec { init: false, user: Some("1234".to_owned()), ..real.ground.spec("left") };
    let id = real.ground.up(&spec).await.id;
    let found = ok(real.podman.inspect(&id).await);
    let (process, monitor) = (found.process.unwrap(), found.monitor.unwrap());
    let exits = [ok(real.podman.exit_of(process).await), ok(real.podman.exit_of(monitor).await)];
    ok(real.podman.reap(&id.replace(|_| true, "0")).await);
    assert_eq!(ProcessRef::of(process.pid), Some(process), "another id means another container");
    ok(real.podman.reap(&id).await);
    soon(futures_util::future::join_all(exits)).await;
});

podman_test!(a_folder_that_was_given_to_a_container_s_user_is_its_own_and_goes_whole, |real| async move {
    let data = real.folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    ok(real.podman.give_folder(&data, 1000, 1000).await);
    let write = "mkdir -m 700 /data/mine && echo hello >/data/mine/file";
    let mut spec = real.ground.running("writer", &["sh", "-c", write]);
    spec.user = Some("1000:1000".to_owned());
    let source = MountSource::Bind(data.clone());
    spec.mounts.push(Mount { source, target: "/data".to_owned(), read_only: false, chown: false });
    real.ground.up(&spec).await;
    assert_eq!(real.ground.exited(&spec.name).await.exit_code, 0);
    assert!(std::fs::remove_dir_all(&data).is_err(), "the node alone may not");
    ok(real.podman.remove(&spec.name, true).await);
    ok(real.podman.remove_folder(&data).await);
    assert!(!data.exists());
});
