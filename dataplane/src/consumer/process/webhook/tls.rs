//! Whom a webhook's certificate is trusted from.

use std::{error::Error, io, path::Path};

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{
    CertificateError, ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Connects to http and https, with the TLS of the AWS SDK. The authorities in the PEM file `ca` are trusted beside
/// those of the system (of `SSL_CERT_FILE`, where it is set).
///
/// # Errors
/// When the file cannot be read or has no certificate in it, or there is nobody to trust at all.
pub(super) fn connector(ca: Option<&Path>) -> Result<HttpsConnector<HttpConnector>, String> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = ca {
        let added = add(&mut roots, path);
        added.map_err(|problem| format!("{}: {problem}", path.display()))?;
    }
    if roots.is_empty() {
        let problems: Vec<_> = system.errors.iter().map(ToString::to_string).collect();
        return Err(format!("the system has no root certificates: {}", problems.join("; ")));
    }
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ClientConfig::builder_with_provider(provider.into()).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build())
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let certificates: Vec<CertificateDer<'_>> = read.map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("no certificate in PEM form in it".to_owned());
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Whether a connection failed because nobody who is trusted has signed the other side's certificate.
pub(super) fn is_unknown_authority(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        // An I/O error names as its source what is below the error that it carries.
        let carried = error.downcast_ref().and_then(io::Error::get_ref);
        let tls = carried.map_or_else(|| error.downcast_ref(), |carried| carried.downcast_ref());
        if tls == Some(&rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) {
            return true;
        }
        cause = match carried {
            Some(carried) => Some(carried),
            None => error.source(),
        };
    }
    false
}
