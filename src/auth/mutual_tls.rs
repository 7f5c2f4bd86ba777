//! Mutual TLS between proxy and portal: the pages' address speaks TLS and asks for the proxy's certificate.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::verify_server_name;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde::Deserialize;

use crate::tls::{self, TlsFileError};

/// The portal's certificate and what the proxy's must be.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MutualTlsOptions {
    /// PEM of the portal's certificate with its chain.
    pub certificate_file: PathBuf,
    pub key_file: PathBuf,
    /// PEM of the authorities that the proxy's certificate may come from.
    pub authorities_file: PathBuf,
    /// The DNS name in the proxy's certificate: an authority may certify others too.
    pub proxy_name: String,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum MutualTlsError {
    #[error(transparent)]
    File(#[from] TlsFileError),
    #[error("`proxy-name` is no DNS name")]
    Name,
    #[error("certificate and key do not fit TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the authorities cannot be used: {0}")]
    Authorities(#[from] rustls::server::VerifierBuilderError),
}

/// The server's side of TLS 1.3 and 1.2, which ends a handshake without the proxy's certificate.
///
/// # Errors
/// [`MutualTlsError`].
pub fn server_config(options: &MutualTlsOptions) -> Result<ServerConfig, MutualTlsError> {
    let provider = tls::provider();
    let roots = Arc::new(tls::authorities(&options.authorities_file)?);
    let name = ServerName::try_from(options.proxy_name.clone()).map_err(|_| MutualTlsError::Name)?;
    let chain = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build()?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(Proxy { chain, name }))
        .with_single_cert(tls::certificates(&options.certificate_file)?, tls::private_key(&options.key_file)?)?;
    Ok(config)
}

/// A client of the right authority and the right name.
#[derive(Debug)]
struct Proxy {
    chain: Arc<dyn ClientCertVerifier>,
    name: ServerName<'static>,
}

impl ClientCertVerifier for Proxy {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.chain.verify_client_cert(certificate, intermediates, now)?;
        verify_server_name(&ParsedCertificate::try_from(certificate)?, &self.name)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
