//! What this machine is called and where it is found.

use apps::Facts;
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, UdpSocket},
};

/// The facts as they are now. A rootless container reaches the node under the node's own address.
pub(crate) fn gather() -> Facts {
    let host_ip = address().map(|address| address.to_string());
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim().split('.').next().unwrap_or_default();
    Facts {
        host_mdns: (!name.is_empty()).then(|| format!("{name}.local")),
        network_gateway: host_ip.clone(),
        host_ip,
    }
}

/// The address of the way out. Nothing is sent: the kernel only looks the way up.
fn address() -> Option<IpAddr> {
    /// Set aside for documentation (RFC 5737), so never in a network next to this one.
    const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((FAR, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_unspecified())
}
