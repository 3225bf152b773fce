//! Secrets of apps: generated once, kept in files of mode 0600, handed to the engine, never changed, never logged.

use super::SupplyError;
use crate::private;
use apps::RenderedSecret;
use engine::{Engine, EngineError};
use std::{collections::BTreeMap, fs, io, path::Path};

/// Sees to it that the secrets exist, in their files and in the engine; returns their values.
///
/// A value that is there stays.
pub(super) async fn ensure(
    engine: &dyn Engine,
    dir: &Path,
    secrets: &[RenderedSecret],
) -> Result<BTreeMap<String, String>, SupplyError> {
    let mut values = BTreeMap::new();
    for secret in secrets {
        let value = ensure_file(dir, secret)?;
        if !engine.secret_exists(&secret.engine_name).await? {
            match engine.create_secret(&secret.engine_name, value.as_bytes()).await {
                Ok(()) | Err(EngineError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        values.insert(secret.name.clone(), value);
    }
    Ok(values)
}

fn ensure_file(dir: &Path, secret: &RenderedSecret) -> Result<String, SupplyError> {
    let path = dir.join(&secret.name);
    let wrong = |source| SupplyError::Disk { path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(value) if !value.is_empty() => return Ok(value),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(wrong(error)),
    }
    let mut bytes = vec![0; secret.generate.bytes];
    getrandom::fill(&mut bytes).map_err(SupplyError::Random)?;
    let value = secret.generate.encoding.encode(&bytes);
    private::write(&path, value.as_bytes()).map_err(wrong)?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use apps::manifest::{Encoding, Generate};

    #[test]
    fn a_secret_is_generated_once_and_an_empty_file_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let secret = RenderedSecret {
            name: "pass".into(),
            engine_name: "shop_pass".into(),
            generate: Generate { bytes: 24, encoding: Encoding::Hex },
        };
        fs::write(dir.path().join("pass"), "").unwrap();
        let first = ensure_file(dir.path(), &secret).unwrap();
        assert_eq!(first.len(), 48);
        assert_eq!(ensure_file(dir.path(), &secret).unwrap(), first);
    }
}
