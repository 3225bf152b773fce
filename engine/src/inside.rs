//! Whether a connection to this host comes from one of its containers.
//!
//! Rootless networks end in a process of the user who runs them, which opens the containers' connections anew: their
//! source is this host's own address. Only whose socket it is tells them from a person's at this machine.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
};

/// The programs that carry rootless networks.
const CARRIERS: &[&str] = &["slirp4netns", "pasta", "passt"];

/// Whether the other end of a connection, which this host accepted on `local`, belongs to a network of containers.
///
/// It reads `/proc`, and only where both ends have the same address.
pub fn is_from_containers(remote: SocketAddr, local: SocketAddr) -> bool {
    let (remote, local) = (canonical(remote), canonical(local));
    remote.ip() == local.ip() && !remote.ip().is_loopback() && is_carried(Path::new("/proc"), remote)
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn is_carried(proc: &Path, remote: SocketAddr) -> bool {
    let Some(inode) = ["net/tcp", "net/tcp6"].iter().find_map(|table| {
        let table = fs::read_to_string(proc.join(table)).ok()?;
        table.lines().skip(1).find_map(|line| inode_of(line, remote)).map(str::to_owned)
    }) else {
        return false;
    };
    let socket = format!("socket:[{inode}]");
    fs::read_dir(proc).into_iter().flatten().flatten().any(|process| {
        let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        if !CARRIERS.iter().any(|carrier| name.starts_with(carrier)) {
            return false;
        }
        match fs::read_dir(process.path().join("fd")) {
            Ok(open) => open
                .flatten()
                .any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target.as_os_str() == socket.as_str())),
            // It hides its sockets even from its own user: whatever cannot be told from it counts as its own.
            Err(_) => true,
        }
    })
}

/// The socket of a line of the kernel's table, where its own end is this address.
fn inode_of(line: &str, own: SocketAddr) -> Option<&str> {
    let mut fields = line.split_ascii_whitespace();
    let address = fields.nth(1)?;
    (parse(address)? == own).then(|| fields.nth(7))?
}

/// Addresses are hexadecimal words in the order of this machine's bytes, ports plain hexadecimal numbers.
fn parse(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match address.len() {
        8 => IpAddr::from(word(0)?),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at * 8)?);
            }
            IpAddr::from(bytes)
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 0501A8C0:A1B2 0501A8C0:20E4 01 00000000:00000000 00:00000000 00000000  1001        0 4711 1 0 20 4 30 10 -1\n";

    fn machine(carrier: &str) -> tempfile::TempDir {
        let proc = tempfile::tempdir().unwrap();
        let fd = proc.path().join("77/fd");
        fs::create_dir_all(&fd).unwrap();
        fs::create_dir(proc.path().join("net")).unwrap();
        fs::write(proc.path().join("net/tcp"), TABLE).unwrap();
        fs::write(proc.path().join("77/comm"), format!("{carrier}\n")).unwrap();
        symlink("socket:[4711]", fd.join("5")).unwrap();
        proc
    }

    #[test]
    fn the_owner_of_the_socket_tells_a_container_from_a_person() {
        let theirs: SocketAddr = "192.168.1.5:41394".parse().unwrap();
        assert!(is_carried(machine("slirp4netns").path(), theirs));
        assert!(is_carried(machine("pasta.avx2").path(), theirs));
        assert!(!is_carried(machine("firefox").path(), theirs));
        assert!(!is_carried(machine("slirp4netns").path(), "192.168.1.5:41395".parse().unwrap()));
    }

    #[test]
    fn another_machine_and_the_loopback_are_no_containers() {
        let local = "192.168.1.5:8420".parse().unwrap();
        assert!(!is_from_containers("192.168.1.6:5000".parse().unwrap(), local));
        assert!(!is_from_containers("127.0.0.1:5000".parse().unwrap(), "127.0.0.1:8420".parse().unwrap()));
    }

    #[test]
    fn both_kinds_of_addresses_are_read() {
        assert_eq!(parse("0100007F:1F90"), Some("127.0.0.1:8080".parse().unwrap()));
        let mapped = parse("0000000000000000FFFF00000501A8C0:0050");
        assert_eq!(mapped, Some("192.168.1.5:80".parse().unwrap()));
        for bad in ["", ":", "0100007F", "zz:1", "0100007F:zz", "0100007F0:1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
