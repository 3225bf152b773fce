//! A manifest as a compose file.

use super::is_fact;
use crate::{
    Manifest, Template, Variable,
    manifest::{Service, ServiceConfig},
};
use serde_yaml::{Mapping, Value};

/// Where everything stands that compose has no word for.
const OWN: &str = "x-archipelago";

pub(super) fn text(manifest: &Manifest) -> String {
    let mut value = manifest.to_value();
    let mut services = take(&mut value, "services");
    for (name, service) in services.iter_mut() {
        let model = name.as_str().and_then(|name| manifest.services.get(&name.parse().ok()?));
        if let (Value::Mapping(service), Some(model)) = (service, model) {
            one(service, model);
        }
    }
    let mut secrets = take(&mut value, "secrets");
    for (name, secret) in secrets.iter_mut() {
        let mut given = Mapping::new();
        given.insert("file".into(), format!("./secrets/{}", name.as_str().unwrap_or_default()).into());
        given.insert(OWN.into(), std::mem::replace(secret, Value::Null));
        *secret = given.into();
    }
    let mut configs = take(&mut value, "configs");
    for (_, config) in configs.iter_mut() {
        let Value::Mapping(config) = config else { continue };
        if let Some(Value::String(text)) = config.get_mut("content") {
            *text = text.replace('$', "$$");
        }
        if let Some(Value::String(file)) = config.get_mut("file") {
            *file = format!("./{file}");
        }
        if let Some(overwrite) = config.shift_remove("overwrite").filter(|value| *value == Value::Bool(false))
        {
            let own: Mapping = [("overwrite".into(), overwrite)].into_iter().collect();
            config.insert(OWN.into(), own.into());
        }
    }
    let (volumes, networks) = (take(&mut value, "volumes"), take(&mut value, "networks"));
    value.shift_remove("id");
    let mut compose = Mapping::new();
    compose.insert("name".into(), manifest.id.as_str().into());
    for (key, part) in [
        (OWN, value),
        ("services", services),
        ("secrets", secrets),
        ("configs", configs),
        ("volumes", volumes),
        ("networks", networks),
    ] {
        if !part.is_empty() {
            compose.insert(key.into(), part.into());
        }
    }
    format!("{}{}", head(manifest), serde_yaml::to_string(&compose).unwrap_or_default())
}

fn take(value: &mut Mapping, key: &str) -> Mapping {
    match value.shift_remove(key) {
        Some(Value::Mapping(map)) => map,
        _ => Mapping::new(),
    }
}

fn head(manifest: &Manifest) -> String {
    let mut text = format!("# {} as a compose file.\n", manifest.id);
    let mut line = |note: &str| text.push_str(&format!("# {note}\n"));
    line(
        "HOST_IP, HOST_MDNS and NETWORK_GATEWAY have to be given in the environment where they stand below.",
    );
    for name in manifest.secrets.keys() {
        line(&format!("By hand: write the secret {name} to ./secrets/{name}."));
    }
    for (name, config) in &manifest.configs {
        let template = config.content.as_deref().and_then(|text| Template::parse(text).ok());
        if template.is_some_and(|template| template.variables().next().is_some()) {
            line(&format!("By hand: fill in the variables in two braces of the file {name}."));
        }
    }
    if !manifest.certs.is_empty() {
        line("By hand: make the certificates and mount them.");
    }
    line(
        "Not done by compose: what stands under x-archipelago (probes over HTTP and TCP, gates, hooks, backups).",
    );
    text
}

fn one(service: &mut Mapping, model: &Service) {
    let mut own = Mapping::new();
    for key in ["probes", "certs", "env_file"] {
        if let Some(value) = service.shift_remove(key) {
            own.insert(key.into(), value);
        }
    }
    for key in ["environment", "command", "entrypoint"] {
        if let Some(value) = service.get_mut(key) {
            texts(value, &|text| interpolated(text, model));
        }
    }
    for key in ["labels", "healthcheck", "post_start", "pre_stop", "sysctls", "working_dir", "user"] {
        if let Some(value) = service.get_mut(key) {
            texts(value, &|text| text.replace('$', "$$"));
        }
    }
    let context = service.get_mut("build").and_then(|build| build.get_mut("context"));
    if let Some(Value::String(context)) = context
        && context != "."
    {
        *context = format!("./{context}");
    }
    if let Some(Value::Sequence(volumes)) = service.get_mut("volumes") {
        for volume in volumes.iter_mut().filter_map(Value::as_mapping_mut) {
            let bind = volume.get("type").and_then(Value::as_str) == Some("bind");
            if let (true, Some(Value::String(source))) = (bind, volume.get_mut("source")) {
                *source = format!("./{source}");
            }
            aside(volume, &["chown", "owner"]);
        }
    }
    if let Some(Value::Sequence(secrets)) = service.get_mut("secrets") {
        secrets.iter_mut().filter_map(Value::as_mapping_mut).for_each(|secret| aside(secret, &["env"]));
    }
    if !service.contains_key("restart") {
        service.insert("restart".into(), "always".into());
    }
    // Both hold always here; elsewhere they have to be said.
    service.insert("cap_drop".into(), vec![Value::from("ALL")].into());
    service.insert("security_opt".into(), vec![Value::from("no-new-privileges:true")].into());
    if !own.is_empty() {
        service.insert(OWN.into(), own.into());
    }
}

/// Puts what compose does not know where it does not look.
fn aside(value: &mut Mapping, keys: &[&str]) {
    let own: Mapping =
        keys.iter().filter_map(|key| Some((Value::from(*key), value.shift_remove(*key)?))).collect();
    if !own.is_empty() {
        value.insert(OWN.into(), own.into());
    }
}

fn texts(value: &mut Value, change: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = change(text),
        Value::Sequence(list) => list.iter_mut().for_each(|one| texts(one, change)),
        Value::Mapping(map) => map.iter_mut().for_each(|(_, one)| texts(one, change)),
        _ => {}
    }
}

/// Compose replaces `$`, the node replaces what stands in two braces.
fn interpolated(text: &str, model: &Service) -> String {
    let escaped = text.replace('$', "$$");
    let Ok(template) = Template::parse(&escaped) else { return escaped };
    let known = |variable: &Variable| match variable {
        Variable::Config(name) => {
            model.configs.iter().find(|config| config.source == *name).map(ServiceConfig::path)
        }
        fact if is_fact(fact) => Some(format!("${{{}}}", fact.to_string().trim_matches(['{', '}']))),
        other => Some(other.to_string()),
    };
    template.fill(known).unwrap_or(escaped)
}
