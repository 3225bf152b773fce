//! What an update changes, what matters most first.

use crate::Manifest;
use serde_json::Value;

/// What a change is about, what matters most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Matter {
    /// What its containers may do and see: capabilities, devices, folders of the host, ports, secrets, other apps.
    Privileges,
    /// What is kept, backed up and gone back to.
    Data,
    /// Which program runs.
    Image,
    /// How it runs.
    Behaviour,
    /// What people read.
    Words,
}

impl Matter {
    /// As a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Privileges => "privileges",
            Self::Data => "data",
            Self::Image => "image",
            Self::Behaviour => "behaviour",
            Self::Words => "words",
        }
    }

    /// What a field of the manifest is about.
    fn of(field: &str) -> Self {
        let mut parts = field.split(['.', '[']);
        let (top, last) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default());
        match (top, last) {
            (
                "services",
                "cap_add" | "devices" | "ports" | "networks" | "network_mode" | "user" | "secrets"
                | "privileged" | "pid" | "ipc" | "uts" | "userns_mode" | "cgroup" | "cgroup_parent"
                | "security_opt" | "sysctls" | "read_only",
            )
            | ("requires" | "provides" | "networks" | "secrets" | "requirements" | "adopt" | "hooks", _) => {
                Self::Privileges
            }
            ("services", "volumes" | "tmpfs") | ("volumes" | "backup" | "update" | "uninstall", _) => {
                Self::Data
            }
            ("services", "image" | "build") | ("version" | "architectures", _) => Self::Image,
            ("metadata" | "name", _) => Self::Words,
            // A service that comes or goes as a whole.
            ("services", "") => Self::Privileges,
            _ => Self::Behaviour,
        }
    }
}

/// A value that is another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What it is about.
    pub matter: Matter,
    /// Path of the field.
    pub field: String,
    /// What it was; none where it is new.
    pub old: Option<Value>,
    /// What it is; none where it is gone.
    pub new: Option<Value>,
}

/// Everything that differs between two versions of an app, what matters most first.
pub fn diff(old: &Manifest, new: &Manifest) -> Vec<Change> {
    let value = |manifest: &Manifest| serde_json::to_value(manifest.to_value()).unwrap_or_default();
    let mut changes = Vec::new();
    walk(String::new(), Some(&value(old)), Some(&value(new)), &mut changes);
    changes.sort_by(|one, other| (one.matter, &one.field).cmp(&(other.matter, &other.field)));
    changes
}

fn walk(field: String, old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<Change>) {
    match (old, new) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let keys: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let mut path = field.clone();
                crate::yaml::push_key(&mut path, key);
                walk(path, one.get(key), other.get(key), changes);
            }
        }
        (one, other) if one == other => {}
        (one, other) => {
            changes.push(Change {
                matter: Matter::of(&field),
                field,
                old: one.cloned(),
                new: other.cloned(),
            });
        }
    }
}
