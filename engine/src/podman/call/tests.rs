use super::*;

fn container(name: &'static str) -> Call {
    Call::container(name, "web", 10)
}

fn create() -> Call {
    container("create").image("localhost/web:1").authored()
}

/// The variant's name, for tables.
fn kind(error: &EngineError) -> &'static str {
    match error {
        EngineError::NotFound { .. } => "not found",
        EngineError::Conflict { .. } => "conflict",
        EngineError::PortInUse { .. } => "port in use",
        EngineError::ImageMissing { .. } => "image missing",
        EngineError::RegistryUnreachable { .. } => "registry unreachable",
        EngineError::NoSpace { .. } => "no space",
        EngineError::Timeout { .. } => "timeout",
        EngineError::Unreachable { .. } => "unreachable",
        EngineError::Refused { .. } => "refused",
        EngineError::Broken { .. } => "broken",
        EngineError::Damaged { .. } => "damaged",
        EngineError::Protocol { .. } => "protocol",
    }
}

/// Bodies as Podman 4.3.1 sent them; those marked 5.4 are from 5.4.2.
#[test]
fn refusals_are_told_apart_by_cause() {
    let pull =
        Call::new("pull_image", "image localhost/web:1".into(), 10).image("localhost/web:1").authored();
    let network = Call::new("remove_network", "network net".into(), 10);
    let volume = Call::new("remove_volume", "volume data".into(), 10);
    let secret = Call::new("create_secret", "secret key".into(), 10);
    let image = Call::new("remove_image", "image localhost/web:1".into(), 10);
    let table: &[(&Call, u16, &str, &str)] = &[
        (
            &container("inspect"),
            404,
            "no container with name or ID \"web\" found: no such container",
            "not found",
        ),
        (
            &container("start"),
            404,
            "no container with name or ID \"web\" found: no such container",
            "not found",
        ),
        (&create(), 500, "localhost/web:1: image not known", "image missing"),
        // 5.4
        (&create(), 404, "localhost/web:1: image not known", "image missing"),
        (
            &create(),
            500,
            "creating container storage: the container name \"web\" is already in use by 2d15fe632e8d. You have to remove that container to be able to reuse that name: that name is already in use",
            "conflict",
        ),
        (
            &container("start").starting(),
            500,
            "rootlessport listen udp 0.0.0.0:18081: bind: address already in use",
            "port in use",
        ),
        // 5.4
        (
            &container("start").starting(),
            500,
            "pasta failed with exit code 1: Failed to bind port 18081 (Address already in use) for option '-t 18081-18081:80-80', exiting",
            "port in use",
        ),
        (
            &container("start").starting(),
            500,
            "rootlessport cannot expose privileged port 80, you can add 'net.ipv4.ip_unprivileged_port_start=80' to /etc/sysctl.conf (currently 1024), or choose a larger port number (>= 1024): listen tcp 0.0.0.0:80: bind: permission denied",
            "refused",
        ),
        (
            &container("start").starting(),
            500,
            "runc: runc create failed: unable to start container process: exec: \"/nothere\": stat /nothere: no such file or directory: OCI runtime attempted to invoke a command that was not found",
            "refused",
        ),
        (
            &container("start").starting(),
            500,
            "unable to find user nouser: no matching entries in passwd file",
            "refused",
        ),
        (
            &container("remove"),
            500,
            "cannot remove container 2d15 as it is running - running or paused containers cannot be removed without force: container state improper",
            "conflict",
        ),
        (
            &container("kill"),
            500,
            "can only kill running containers. 7bbe is in state created: container state improper",
            "conflict",
        ),
        (&container("kill"), 500, "invalid signal: BOGUS", "refused"),
        (&create(), 500, "unable to find network with name or ID nonet: network not found", "refused"),
        (&create(), 500, "no secret with name or id \"nosecret\": no such secret", "refused"),
        (
            &create(),
            500,
            "running container create option: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument",
            "refused",
        ),
        (&create(), 500, "\"CAP_BOGUS\": unknown capability", "refused"),
        (&create(), 500, "statfs /nothere: no such file or directory", "refused"),
        (
            &container("exec").authored(),
            500,
            "can only create exec sessions on running containers: container state improper",
            "conflict",
        ),
        (&network, 404, "unable to find network with name or ID nothere: network not found", "not found"),
        (
            &network,
            500,
            "\"net\" has associated containers with it. Use -f to forcibly delete containers and pods: network is being used",
            "conflict",
        ),
        (&network, 409, "network name net already used: network already exists", "conflict"),
        (&volume, 404, "no volume with name \"data\" found: no such volume", "not found"),
        (&volume, 500, "volume with name data already exists: volume already exists", "conflict"),
        (
            &volume,
            409,
            "volume data is being used by the following container(s): 4056b12df2df: volume is being used",
            "conflict",
        ),
        (&secret, 500, "key: secret name in use", "conflict"),
        (&secret, 404, "no secret with name or id \"key\": no such secret", "not found"),
        (&secret, 500, "secret data must be larger than 0 and less than 512000 bytes", "refused"),
        (&image, 404, "localhost/web:1: image not known", "not found"),
        (
            &image,
            409,
            "image used by 03adab8fb93f: image is in use by a container: consider listing external containers and force-removing image",
            "conflict",
        ),
        (
            &pull,
            500,
            "initializing source docker://localhost:1/web:1: pinging container registry localhost:1: Get \"https://localhost:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
            "registry unreachable",
        ),
        (
            &pull,
            500,
            "initializing source docker://localhost:5000/web:1: reading manifest 1 in localhost:5000/web: manifest unknown",
            "image missing",
        ),
        (&create(), 500, "write /home/x/storage.lock: no space left on device", "no space"),
        (&container("inspect"), 500, "getting graph driver info \"4056\": readlink: no such file", "damaged"),
        (&container("list"), 500, "opening database /home/x/bolt_state.db: invalid database", "broken"),
        (&container("inspect"), 500, "something that nobody has seen yet", "broken"),
        (&container("start").starting(), 500, "something that nobody has seen yet", "broken"),
        (&container("start").starting(), 500, "netavark: code: 1, msg: iptables: Resource busy", "broken"),
    ];
    for (call, status, message, expected) in table {
        assert_eq!(kind(&call.fault(*status, message)), *expected, "{}: {status} {message}", call.name);
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_ends_at_its_deadline() {
    let error = container("inspect").run::<()>(std::future::pending()).await.unwrap_err();
    assert_eq!(
        error,
        EngineError::Timeout {
            call: "inspect",
            subject: "container web".into(),
            after: Duration::from_secs(10)
        }
    );
}
