//! Trust in a file of certificates (`PREFECT_API_SSL_CERT_FILE`) and nothing else, as Prefect has it.
//!
//! Many a private server has one certificate that signed itself. OpenSSL, and so Prefect, trusts it when the file
//! holds it; rustls refuses every server certificate that is also an authority. That one case is allowed here.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, crypto::ring,
};
use rustls_platform_verifier::ConfigVerifierExt;

use super::error::ApiError;
use crate::model::Connection;

/// The encryption settings for a file of certificates.
pub(super) fn config(path: &Path, http2: bool) -> Result<ClientConfig, ApiError> {
    let bad = |problem: String| ApiError::Setup {
        problem: format!("`PREFECT_API_SSL_CERT_FILE` (or `SSL_CERT_FILE`) names `{}`, {problem}", path.display()),
    };
    let pem = std::fs::read(path).map_err(|error| bad(format!("which cannot be read: {error}")))?;
    let listed: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(listed.iter().cloned());
    let provider = Arc::new(ring::default_provider());
    let strict = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|_| bad("which holds no certificates in PEM form".to_owned()))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(format!("which cannot be used: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Listed { strict, listed }))
        .with_no_client_auth();
    config.alpn_protocols = if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    Ok(config)
}

/// The encryption settings of connections that are no requests.
pub(super) fn for_sockets(connection: &Connection) -> Result<ClientConfig, ApiError> {
    if let Some(path) = connection.ca_file.as_deref().filter(|_| !connection.tls_insecure) {
        return config(path, false);
    }
    if connection.tls_insecure {
        // Requests do without a check where the user says so; what only makes things faster need not.
        return Err(ApiError::Setup {
            problem: "WebSockets are not opened where certificates go unchecked".to_owned(),
        });
    }
    let _ = ring::default_provider().install_default();
    ClientConfig::with_platform_verifier()
        .map_err(|error| ApiError::Setup { problem: format!("no encrypted connection can be made: {error}") })
}

/// Checks as rustls does, but takes an authority's own certificate for a server's if it is in the list.
#[derive(Debug)]
struct Listed {
    strict: Arc<WebPkiServerVerifier>,
    listed: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Listed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.strict.verify_server_cert(end_entity, intermediates, server_name, ocsp, now) {
            // webpki looks at the dates before this, and at the name after it.
            Err(error) if is_authority(&error) && self.listed.contains(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.strict.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.strict.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.strict.supported_verify_schemes()
    }
}

/// Whether the only complaint is that the server's certificate is an authority's.
fn is_authority(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => format!("{other:?}").contains("CaUsedAsEndEntity"),
        _ => false,
    }
}
