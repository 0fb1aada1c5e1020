//! Whom to believe that a service is what it says.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// A file of authorities is not longer.
const LONGEST: u64 = 4 << 20;

/// Believes the authorities in the file, or else the system's.
pub(super) fn config(authorities: Option<OwnedFd>) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(file) => {
            for certificate in written(file)? {
                roots.add(certificate).map_err(io::Error::other)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(io::Error::other("there is no authority that could vouch for the service"));
    }
    believing(roots)
}

/// Believes nobody: for a service that is asked in the clear.
pub(super) fn none() -> io::Result<ClientConfig> {
    believing(RootCertStore::empty())
}

fn believing(roots: RootCertStore) -> io::Result<ClientConfig> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn written(file: OwnedFd) -> io::Result<Vec<CertificateDer<'static>>> {
    let mut text = Vec::new();
    File::from(file).take(LONGEST).read_to_end(&mut text)?;
    let all = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    all.map_err(io::Error::other)
}
