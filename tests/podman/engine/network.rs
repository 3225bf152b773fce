//! Names and ports.

use super::{podman_test, support::kill9};
use apps::{PortMapping, PortProtocol};
use engine::{
    Engine,
    contract::{ok, soon},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
};

const SOON: Duration = Duration::from_secs(20);
const SERVE: &str = "echo pong > /srv/index.html; exec /bin/busybox httpd -f -p 8080 -h /srv";

/// Waits until the server answers on a published port.
async fn pong(port: u16) {
    loop {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await
            && stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.is_ok()
            && stream.read_to_string(&mut answer).await.is_ok()
            && answer.ends_with("pong\n")
        {
            return;
        }
        tokio::task::yield_now().await;
    }
}

podman_test!(an_alias_leads_to_the_container, |real| async move {
    let net = real.ground.name("net");
    ok(real.podman.ensure_network(&net, &BTreeMap::new()).await);
    let mut server = real.ground.running("server", &["sh", "-c", SERVE]);
    server.tmpfs.push("/srv".to_owned());
    server.networks.insert(net.clone(), vec!["front".to_owned(), server.name.clone()]);
    let address = real.ground.up(&server).await.addresses[&net].clone();
    let mut client = real.ground.spec("client");
    client.networks.insert(net.clone(), Vec::new());
    real.ground.up(&client).await;
    for host in ["front", server.name.as_str(), address.as_str()] {
        let argv = ["/bin/busybox", "wget", "-q", "-O-", &format!("http://{host}:8080/")].map(str::to_owned);
        let get = async {
            loop {
                let said = ok(real.podman.exec(&client.name, &argv, SOON).await);
                if said.code == 0 {
                    return said.output;
                }
            }
        };
        assert_eq!(soon(get).await, "pong\n", "{host}");
    }
});

podman_test!(published_ports_reach_the_container_over_tcp_and_udp, |real| async move {
    let mut server = real.ground.running("server", &["sh", "-c", SERVE]);
    server.tmpfs.push("/srv".to_owned());
    let net = real.ground.name("net");
    ok(real.podman.ensure_network(&net, &BTreeMap::new()).await);
    server.networks.insert(net, Vec::new());
    for protocol in [PortProtocol::Tcp, PortProtocol::Udp] {
        server.ports.push(PortMapping {
            host_ip: "127.0.0.1".to_owned(),
            published: real.ground.port,
            target: 8080,
            protocol,
        });
    }
    real.ground.up(&server).await;
    soon(pong(real.ground.port)).await;
    // Nobody listens on UDP in the container, so the kernel there counts a datagram to no port.
    let argv = ["/bin/busybox", "cat", "/proc/net/snmp"].map(str::to_owned);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let arrive = async {
        loop {
            socket.send_to(b"ping", ("127.0.0.1", real.ground.port)).await.unwrap();
            let said = ok(real.podman.exec(&server.name, &argv, SOON).await).output;
            let counts =
                said.lines().filter(|line| line.starts_with("Udp: ")).nth(1).unwrap_or_default().to_owned();
            if counts.split(' ').nth(2).is_some_and(|no_ports| no_ports != "0") {
                return;
            }
        }
    };
    soon(arrive).await;
});

podman_test!(a_published_port_survives_a_start_once_the_container_counts_as_exited, |real| async move {
    let mut server = real.ground.running("server", &["sh", "-c", SERVE]);
    server.tmpfs.push("/srv".to_owned());
    let net = real.ground.name("net");
    ok(real.podman.ensure_network(&net, &BTreeMap::new()).await);
    server.networks.insert(net, Vec::new());
    server.ports.push(PortMapping {
        host_ip: "127.0.0.1".to_owned(),
        published: real.ground.port,
        target: 8080,
        protocol: PortProtocol::Tcp,
    });
    let mut running = real.ground.up(&server).await;
    soon(pong(real.ground.port)).await;
    let mut times = Vec::new();
    for _ in 0..5 {
        let begin = Instant::now();
        kill9(running.process.unwrap().pid);
        real.ground.exited(&server.name).await;
        ok(real.podman.start(&server.name).await);
        running = ok(real.podman.inspect(&server.name).await);
        soon(pong(real.ground.port)).await;
        times.push(begin.elapsed());
    }
    times.sort();
    println!("kill -9 to an answer on the published port: {times:?}");
});
