//! What the engine will be asked for, as this node asks it.

use crate::{Manifest, Rendered};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Everything that is asked for, what is as usual left out. Secrets are named and never shown.
pub(super) fn requests(manifest: &Manifest, rendered: &Rendered) -> Value {
    let mut containers = Map::new();
    for spec in rendered.services.iter().flat_map(|service| service.containers()) {
        let mut body = serde_json::to_value(spec).unwrap_or_default();
        let empty = |value: &Value| match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        if let Value::Object(body) = &mut body {
            body.retain(|key, value| key != "name" && !empty(value));
        }
        containers.insert(spec.name.clone(), body);
    }
    let secret = |secret: &crate::RenderedSecret| {
        (secret.engine_name.clone(), json!([secret.generate.bytes, secret.generate.encoding]))
    };
    json!({
        "kind": manifest.kind,
        "networks": rendered.networks,
        "shared_networks": rendered.shared_networks,
        "volumes": rendered.volumes,
        "directories": rendered.directories,
        "secrets": rendered.secrets.iter().map(secret).collect::<BTreeMap<_, _>>(),
        "external_secrets": rendered.external_secrets.values().collect::<Vec<_>>(),
        "files": rendered.configs.iter().map(|config| &config.path).collect::<Vec<_>>(),
        "certs": rendered.certs.iter().map(|cert| &cert.dir).collect::<Vec<_>>(),
        "start_order": rendered.services.iter().map(|service| service.service.as_str()).collect::<Vec<_>>(),
        "containers": containers,
    })
}
