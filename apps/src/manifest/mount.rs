//! What is mounted into a container.

use super::form::{Scalar, Short, wrong};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a mount comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VolumeType {
    /// A named volume.
    Volume,
    /// A folder under the app's data directory.
    Bind,
}

/// A volume in a container; in short `source:target[:ro]`, where a source that begins with `./` is a bind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Volume {
    /// Where it comes from.
    pub r#type: VolumeType,
    /// Name of the volume, or path under the app's data directory.
    pub source: String,
    /// Absolute path in the container.
    pub target: String,
    /// Whether the container may only read it.
    #[serde(default)]
    pub read_only: bool,
    /// Whether the engine gives what is in it to the container's user at every start (Podman's `U`). Default: yes for
    /// a writable bind of a service whose `user` is a number other than 0, else no.
    pub chown: Option<bool>,
    /// Owner of a fresh folder, `uid[:gid]` as the container sees them, for images that change their user by
    /// themselves.
    pub owner: Option<Owner>,
}

const REMEDY: &str = "write it like \"data:/var/lib/data\", \"./conf:/etc/conf:ro\", or in full";

impl Short for Volume {
    const FORMAT: &'static str = "volume";
    fn short(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let (Some(source), Some(target), mode, None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong(format!("{text:?} does not say what is mounted where"), REMEDY));
        };
        let (mut read_only, mut chown) = (false, None);
        for option in mode.into_iter().flat_map(|mode| mode.split(',')) {
            match option {
                "ro" => read_only = true,
                "rw" => read_only = false,
                "U" => chown = Some(true),
                other => {
                    return Err(wrong(format!("{other:?} is no option of a volume"), "use ro, rw or U"));
                }
            }
        }
        // A path is a bind in compose; policy says what it thinks of the path.
        let bind = source.starts_with(['.', '/', '~']) || source.contains('/');
        Ok(Self {
            r#type: if bind { VolumeType::Bind } else { VolumeType::Volume },
            source: source.strip_prefix("./").unwrap_or(source).to_owned(),
            target: target.to_owned(),
            read_only,
            chown,
            owner: None,
        })
    }
}

/// A user and a group in numbers, written `uid` or `uid:gid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Scalar", into = "String")]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group; the user's number where none is given.
    pub gid: u32,
}

impl Short for Owner {
    const FORMAT: &'static str = "owner";
    fn short(text: &str) -> Result<Self, String> {
        let remedy = "write it in numbers, like 999 or 999:999";
        let (uid, gid) = text.split_once(':').unwrap_or((text, text));
        let number = |part| super::form::number(part, "number of a user or group", remedy);
        Ok(Self { uid: number(uid)?, gid: number(gid)? })
    }
}

impl TryFrom<Scalar> for Owner {
    type Error = String;
    fn try_from(text: Scalar) -> Result<Self, String> {
        Self::short(&text.0)
    }
}

impl From<Owner> for String {
    fn from(owner: Owner) -> Self {
        format!("{}:{}", owner.uid, owner.gid)
    }
}

/// A secret shown to a container; in short its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceSecret {
    /// Name under the manifest's `secrets`.
    pub source: String,
    /// File name under `/run/secrets`; default the source's name. Not together with `env`.
    pub target: Option<String>,
    /// Environment variable that holds it instead of a file, for images that read no file.
    pub env: Option<String>,
}

impl Short for ServiceSecret {
    const FORMAT: &'static str = "name";
    fn short(text: &str) -> Result<Self, String> {
        Ok(Self { source: text.to_owned(), target: None, env: None })
    }
}

/// A file of the manifest's `configs` in a container; in short its name, which is then the file `/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceConfig {
    /// Name under the manifest's `configs`.
    pub source: String,
    /// Absolute path in the container; default `/<source>`.
    pub target: Option<String>,
}

impl ServiceConfig {
    /// Where the container finds the file.
    pub fn path(&self) -> String {
        self.target.clone().unwrap_or_else(|| format!("/{}", self.source))
    }
}

impl Short for ServiceConfig {
    const FORMAT: &'static str = "name";
    fn short(text: &str) -> Result<Self, String> {
        Ok(Self { source: text.to_owned(), target: None })
    }
}

/// A certificate of the manifest's `certs` in a container, as the files `tls.crt` and `tls.key` of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceCert {
    /// Name under the manifest's `certs`.
    pub source: String,
    /// Absolute path of the folder in the container.
    pub target: String,
    /// Whether the service is restarted when the certificate was renewed while it ran; otherwise it finds the new files
    /// in place of the old ones.
    #[serde(default)]
    pub restart: bool,
}

/// A device in a container; in short `path` or `path:path in the container[:rwm]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Device {
    /// Path on the host.
    pub source: String,
    /// Path in the container; default the same.
    pub target: Option<String>,
    /// What the container may do with it: of `r`, `w` and `m`; default all.
    pub permissions: Option<String>,
}

impl Short for Device {
    const FORMAT: &'static str = "device";
    fn short(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':').map(str::to_owned);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(source), target, permissions, None) => Ok(Self { source, target, permissions }),
            _ => Err(wrong(format!("{text:?} is no device"), "write it like /dev/ttyUSB0")),
        }
    }
}
