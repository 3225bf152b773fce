//! A manifest as text: in the order of the format, without what is as usual.

use crate::Manifest;
use serde_yaml::{Mapping, Value};
use std::sync::LazyLock;

/// A manifest and a service that say nothing.
static USUAL: LazyLock<Option<(Mapping, Mapping)>> = LazyLock::new(|| {
    let text = "{manifest_version: 1, id: a, name: a, version: a, services: {a: {}}}";
    let manifest: Manifest = serde_yaml::from_str(text).ok()?;
    let Value::Mapping(mut whole) = serde_yaml::to_value(manifest).ok()? else { return None };
    let services = whole.remove("services")?;
    Some((whole, services.get("a")?.as_mapping()?.clone()))
});

impl Manifest {
    /// The manifest as YAML. Read again it is the same manifest.
    pub fn to_yaml(&self) -> String {
        serde_yaml::to_string(&self.to_value()).unwrap_or_default()
    }

    /// The manifest as a value, without what is as usual.
    pub(crate) fn to_value(&self) -> Mapping {
        let Ok(Value::Mapping(mut whole)) = serde_yaml::to_value(self) else { return Mapping::new() };
        let Some((usual, service)) = USUAL.as_ref() else { return whole };
        for key in ["volumes", "networks"] {
            declared(whole.get_mut(key));
        }
        if let Some(Value::Mapping(services)) = whole.get_mut("services") {
            for (_, value) in services.iter_mut() {
                let Value::Mapping(one) = value else { continue };
                declared(one.get_mut("networks"));
                strip(one, service);
                tidy(one);
            }
        }
        whole.retain(|key, value| {
            let always = matches!(key.as_str(), Some("manifest_version" | "id" | "name" | "version"));
            always || usual.get(key) != Some(value)
        });
        for (key, value) in whole.iter_mut() {
            if let (Value::Mapping(inner), Some(Value::Mapping(usual))) = (value, usual.get(key)) {
                strip(inner, usual);
            }
        }
        tidy(&mut whole);
        whole
    }
}

/// What is declared without a word gets an empty mapping, which nobody takes for something left out; and so does what is
/// declared with the usual words.
fn declared(value: Option<&mut Value>) {
    let Some(Value::Mapping(names)) = value else { return };
    for (_, value) in names.iter_mut() {
        if value.is_null() {
            *value = Mapping::new().into();
        }
        let usual = |value: &Value| {
            matches!(value, Value::Bool(false)) || value.as_sequence().is_some_and(Vec::is_empty)
        };
        if let Value::Mapping(words) = value {
            words.retain(|_, value| !usual(value));
        }
    }
}

/// Takes out what is as usual, also within settings that differ in part.
fn strip(value: &mut Mapping, usual: &Mapping) {
    value.retain(|key, value| usual.get(key) != Some(value));
    for (key, value) in value.iter_mut() {
        if let (Value::Mapping(inner), Some(Value::Mapping(usual))) = (value, usual.get(key)) {
            strip(inner, usual);
        }
    }
}

/// Takes out keys without a value.
fn tidy(value: &mut Mapping) {
    value.retain(|_, value| !value.is_null());
    value.iter_mut().for_each(|(_, value)| inside(value));
}

fn inside(value: &mut Value) {
    match value {
        Value::Mapping(map) => tidy(map),
        Value::Sequence(list) => list.iter_mut().for_each(inside),
        _ => {}
    }
}
