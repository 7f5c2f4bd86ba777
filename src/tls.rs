//! PEM files as rustls takes them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    #[error("{0} cannot be read")]
    File(PathBuf),
    #[error("{0} holds no certificate")]
    Certificate(PathBuf),
    #[error("{0} holds no private key")]
    Key(PathBuf),
}

/// The one provider of cryptography.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Every certificate of a file, in its order.
///
/// # Errors
/// [`TlsFileError`].
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let pem = std::fs::read(path).map_err(|_| TlsFileError::File(path.to_owned()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or_else(|| TlsFileError::Certificate(path.to_owned()))
}

/// The authorities of a file.
///
/// # Errors
/// [`TlsFileError`].
pub fn authorities(path: &Path) -> Result<RootCertStore, TlsFileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|_| TlsFileError::Certificate(path.to_owned()))?;
    }
    Ok(roots)
}

/// The first private key of a file.
///
/// # Errors
/// [`TlsFileError`].
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    let pem = std::fs::read(path).map_err(|_| TlsFileError::File(path.to_owned()))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| TlsFileError::Key(path.to_owned()))
}
