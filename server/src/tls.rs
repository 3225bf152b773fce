//! TLS: with a certificate of one's own, or with one that the node makes for itself.

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::ring,
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{self, PemObject},
        },
    },
};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read. Remedy: check its path and permissions.
    #[error("{path} is no certificate or key that can be read")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// Certificate and key do not work together. Remedy: give those that belong to each other.
    #[error("the certificate cannot be used with this key")]
    Unusable(#[source] rustls::Error),
    /// No certificate could be made. Remedy: give one.
    #[error("no certificate could be made")]
    Make(#[source] rcgen::Error),
    /// It could not be written. Remedy: check the data directory.
    #[error("{path} could not be written")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What connections are encrypted with.
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

impl Tls {
    /// With a certificate chain and its key, both as PEM.
    ///
    /// # Errors
    ///
    /// When they cannot be read or do not belong to each other.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let wrong = |path: &Path| {
            let path = path.to_owned();
            move |source| TlsError::File { path, source }
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(wrong(certificate))?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(wrong(key))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
            .map_err(TlsError::Unusable)?;
        Ok(Self(Arc::new(config)))
    }

    /// With a certificate that the node made for itself and keeps in `dir`, for these names. Browsers warn of it once;
    /// `archy` trusts the file.
    ///
    /// # Errors
    ///
    /// When it cannot be made, written or read.
    pub fn own(dir: &Path, names: &[String]) -> Result<Self, TlsError> {
        let (certificate, key) = (dir.join("tls-cert.pem"), dir.join("tls-key.pem"));
        if !certificate.exists() || !key.exists() {
            let mut all: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(String::from).into();
            all.extend(names.iter().cloned());
            let made = rcgen::generate_simple_self_signed(all).map_err(TlsError::Make)?;
            // The certificate last: it is there only when its key is.
            write(&key, &made.signing_key.serialize_pem())?;
            write(&certificate, &made.cert.pem())?;
        }
        Self::from_files(&certificate, &key)
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0))
    }
}

/// Whole or not at all, for the owner only.
fn write(path: &Path, text: &str) -> Result<(), TlsError> {
    let new = path.with_extension("new");
    let write = || {
        // Left behind by a crash.
        let _ = fs::remove_file(&new);
        let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(|source| TlsError::Write { path: path.to_owned(), source })
}
