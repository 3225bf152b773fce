//! The network half of a service.
//!
//! A container gets a new address at every start, its peers keep the old one, and its published ports may be lost.
//! So a sleeping container, the anchor, owns address, names and ports, and the real one joins its network:
//! it can end and start as often as it likes (docs/adr/0005).

use crate::{ContainerSpec, LABEL_DIGEST, LABEL_ROLE};
use std::time::Duration;

/// The anchor's image: one static process that sleeps. The engine builds it where it is missing.
pub const PAUSE_IMAGE: &str = "localhost/archipelago/pause:1";
/// Value of [`LABEL_ROLE`] for anchors.
pub const ROLE_ANCHOR: &str = "anchor";
/// What an anchor's name ends with. No service's name has an underscore.
const SUFFIX: &str = "_net";

/// Takes the network out of a container's configuration: the anchor, and what is left of the container.
///
/// `None` for a container without networks and ports, which nobody looks for.
pub(crate) fn split(mut spec: ContainerSpec) -> (Option<ContainerSpec>, ContainerSpec) {
    if spec.networks.is_empty() && spec.ports.is_empty() {
        return (None, spec);
    }
    // Settings of the network belong where it is made.
    let is_network = |key: &String| key.starts_with("net.");
    let network_sysctls = spec.sysctls.iter().filter(|(key, _)| is_network(key));
    let sysctls = network_sysctls.map(|(key, value)| (key.clone(), value.clone())).collect();
    spec.sysctls.retain(|key, _| !is_network(key));
    let mut anchor = ContainerSpec {
        sysctls,
        name: format!("{}{SUFFIX}", spec.name),
        image: PAUSE_IMAGE.to_owned(),
        labels: spec.labels.clone(),
        ports: spec.ports,
        networks: spec.networks,
        stop_grace: Duration::from_secs(1),
        read_only: true,
        ..ContainerSpec::default()
    };
    anchor.labels.insert(LABEL_ROLE.to_owned(), ROLE_ANCHOR.to_owned());
    for aliases in anchor.networks.values_mut() {
        // The engine lets peers find a container by its name; here they look for the real one.
        if !aliases.contains(&spec.name) {
            aliases.push(spec.name.clone());
        }
    }
    anchor.labels.insert(LABEL_DIGEST.to_owned(), anchor.digest());
    let mut container = ContainerSpec {
        network_of: Some(anchor.name.clone()),
        ports: Vec::new(),
        networks: Default::default(),
        ..spec
    };
    container.labels.insert(LABEL_DIGEST.to_owned(), container.digest());
    (Some(anchor), container)
}
