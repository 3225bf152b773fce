//! Certificates that an app's services show: they sign themselves, and are made anew before they end.

use super::SupplyError;
use crate::private;
use apps::{Facts, RenderedCert};
use engine::Engine;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use time::OffsetDateTime;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A certificate that ends within this time is made anew, or within a third of its life where that is shorter.
const RENEW: u32 = 30;

/// What the node remembers of a certificate: its folder may belong to a container's user, where it cannot look.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Made {
    sans: Vec<String>,
    /// Its end, in seconds since the Unix epoch.
    until: u64,
}

/// Sees to it that the certificate is there, is good for its names, and is for some time; says whether it is a new one.
pub(super) async fn ensure(
    engine: &dyn Engine,
    cert: &RenderedCert,
    app: &str,
    facts: &Facts,
    now: SystemTime,
) -> Result<bool, SupplyError> {
    let name = || format!("certificate {}", cert.name);
    let sans: Vec<String> = cert
        .sans
        .iter()
        .map(|san| san.fill(|variable| facts.get(variable)).map_err(SupplyError::unknown(&name())))
        .collect::<Result<_, _>>()?;
    let note = cert.dir.with_file_name(format!(".{}.json", cert.name));
    let earlier = fs::read(&note).ok().and_then(|json| serde_json::from_slice::<Made>(&json).ok());
    let due = now + DAY * RENEW.min(cert.days / 3);
    let is_good = earlier.is_some_and(|it| it.sans == sans && it.until > seconds(due));
    let (file, key) = (cert.dir.join("tls.crt"), cert.dir.join("tls.key"));
    if is_good && is_there(&file) && is_there(&key) {
        return Ok(false);
    }
    let wrong = |path: &Path| {
        let path = path.to_owned();
        move |source| SupplyError::Disk { path, source }
    };
    if cert.dir.is_dir() {
        // It was a container's; at its next start the container gets it again.
        engine.give_folder(&cert.dir, 0, 0).await?;
    }
    let end = now + DAY * cert.days;
    let (pem, secret) = make(app, sans.clone(), now, end)
        .map_err(|source| SupplyError::Certificate { name: cert.name.clone(), source })?;
    private::write(&key, secret.as_bytes()).map_err(wrong(&key))?;
    private::write(&file, pem.as_bytes()).map_err(wrong(&file))?;
    // The note last: without it the certificate is made again.
    let made = serde_json::to_vec(&Made { sans, until: seconds(end) }).unwrap_or_default();
    private::write(&note, &made).map_err(wrong(&note))?;
    Ok(true)
}

/// The certificate and its key.
fn make(
    app: &str,
    sans: Vec<String>,
    now: SystemTime,
    end: SystemTime,
) -> Result<(String, String), rcgen::Error> {
    let mut params = CertificateParams::new(sans)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, app);
    // A browser whose clock is a little behind takes it, too.
    params.not_before = OffsetDateTime::from(now - DAY);
    params.not_after = OffsetDateTime::from(end);
    let key = KeyPair::generate()?;
    let cert = params.self_signed(&key)?;
    Ok((cert.pem(), key.serialize_pem()))
}

/// A file in a folder that the node may not enter is there.
fn is_there(path: &Path) -> bool {
    !fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
