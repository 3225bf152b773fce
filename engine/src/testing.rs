//! What tests of this crate share.

use apps::ContainerSpec;
use std::time::Duration;

/// A container without anything special.
pub(crate) fn spec(name: &str, image: &str) -> ContainerSpec {
    ContainerSpec {
        name: name.to_owned(),
        image: image.to_owned(),
        stop_grace: Duration::from_secs(10),
        ..ContainerSpec::default()
    }
}
