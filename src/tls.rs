//! The certificates of the doors that speak TLS: read, checked, and exchanged while they are in use.

mod validity;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error as RustlsError, InconsistentKeys, ServerConfig};
use tracing::{info, warn};
use zeroize::Zeroizing;

use crate::domain::time::Timestamp;
pub use validity::Validity;

/// The one protocol that is spoken over TLS (RFC 7301): the HTTP/2 of the framework stays off.
const HTTP: &[u8] = b"http/1.1";

/// Where a certificate and its key are, both as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, then the chain up to a root.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// One of two settings is empty.
    #[error("`{given}` is set; set `{missing}` too")]
    Half {
        /// The setting that has a value.
        given: &'static str,
        /// The one that has none.
        missing: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read the {what} {path}: {reason}")]
    Unreadable {
        /// `certificate` or `key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A file holds something else.
    #[error("cannot use the {what} {path}: {reason}")]
    Unusable {
        /// `certificate` or `key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The two files do not belong together.
    #[error("the key {key} does not belong to the certificate {certificate}")]
    Mismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
}

impl TlsFiles {
    /// Reads two settings, of which both or none must be given; `names` are theirs.
    ///
    /// # Errors
    /// Names the setting that is missing.
    pub fn of(
        names: [&'static str; 2],
        certificate: &str,
        key: &str,
    ) -> Result<Option<TlsFiles>, TlsError> {
        let [of_certificate, of_key] = names;
        match (certificate.is_empty(), key.is_empty()) {
            (true, true) => Ok(None),
            (false, false) => {
                Ok(Some(TlsFiles { certificate: certificate.into(), key: key.into() }))
            }
            (false, true) => Err(TlsError::Half { given: of_certificate, missing: of_key }),
            (true, false) => Err(TlsError::Half { given: of_key, missing: of_certificate }),
        }
    }
}

/// A certificate in use, with what is known of its files.
#[derive(Debug)]
pub struct Certificates {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<CertifiedKey>,
    watched: Mutex<Watched>,
}

/// What the last look at the files showed.
#[derive(Debug)]
struct Watched {
    /// The files as they were read last, good or bad, so that each change is tried once.
    tried: Result<Pair, TlsError>,
    fault: Option<TlsError>,
    validity: Validity,
}

/// The bytes of both files.
#[derive(Debug, PartialEq, Eq)]
struct Pair {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Certificates {
    /// Reads the files; one that has ended or has not begun yet is used all the same, with a
    /// warning.
    ///
    /// # Errors
    /// Says which file cannot be used, and why.
    pub fn load(files: TlsFiles, now: Timestamp) -> Result<Arc<Certificates>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let pair = read(&files)?;
        let (certified, validity) = certify(&files, &pair, &provider)?;
        warn_of(&files, validity, now);
        Ok(Arc::new(Certificates {
            files,
            provider,
            current: ArcSwap::from_pointee(certified),
            watched: Mutex::new(Watched { tried: Ok(pair), fault: None, validity }),
        }))
    }

    /// Takes the files into use if they have changed. Connections that are open keep what they
    /// have; bad files change nothing, and are named in the log and by [`Certificates::fault`].
    pub fn refresh(&self, now: Timestamp) {
        let mut watched = self.watched.lock();
        let found = read(&self.files);
        if found == watched.tried {
            return;
        }
        let outcome = match &found {
            Ok(pair) => certify(&self.files, pair, &self.provider),
            Err(fault) => Err(fault.clone()),
        };
        watched.tried = found;
        match outcome {
            Ok((certified, validity)) => {
                self.current.store(Arc::new(certified));
                watched.fault = None;
                watched.validity = validity;
                info!(
                    "Took the certificate {} into use; it ends at {}",
                    self.files.certificate.display(),
                    validity.ends
                );
                warn_of(&self.files, validity, now);
            }
            Err(fault) => {
                warn!("Keeping the certificate that was read before: {fault}");
                watched.fault = Some(fault);
            }
        }
    }

    /// Returns why the files as they are now are not in use.
    #[must_use]
    pub fn fault(&self) -> Option<TlsError> {
        self.watched.lock().fault.clone()
    }

    /// Returns when the certificate in use begins and ends.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.watched.lock().validity
    }

    /// Returns what a door for HTTP speaks TLS with.
    ///
    /// # Errors
    /// Fails when the provider of the ciphers knows no version of TLS.
    pub fn for_http(self: &Arc<Certificates>) -> Result<Arc<ServerConfig>, RustlsError> {
        self.server(vec![HTTP.to_vec()])
    }

    /// Returns what a door for mail speaks TLS with.
    ///
    /// # Errors
    /// Fails when the provider of the ciphers knows no version of TLS.
    pub fn for_mail(self: &Arc<Certificates>) -> Result<Arc<ServerConfig>, RustlsError> {
        self.server(Vec::new())
    }

    fn server(
        self: &Arc<Certificates>,
        protocols: Vec<Vec<u8>>,
    ) -> Result<Arc<ServerConfig>, RustlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Certificates>::clone(self);
        let mut server = builder.with_cert_resolver(resolver);
        server.alpn_protocols = protocols;
        Ok(Arc::new(server))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn read(files: &TlsFiles) -> Result<Pair, TlsError> {
    let bytes = |what: &'static str, path: &Path| {
        std::fs::read(path).map_err(|error| TlsError::Unreadable {
            what,
            path: path.to_owned(),
            reason: error.to_string(),
        })
    };
    let certificate = bytes("certificate", &files.certificate)?;
    Ok(Pair { certificate, key: Zeroizing::new(bytes("key", &files.key)?) })
}

fn certify(
    files: &TlsFiles,
    pair: &Pair,
    provider: &CryptoProvider,
) -> Result<(CertifiedKey, Validity), TlsError> {
    let of_certificate = |reason: String| TlsError::Unusable {
        what: "certificate",
        path: files.certificate.clone(),
        reason,
    };
    let of_key =
        |reason: String| TlsError::Unusable { what: "key", path: files.key.clone(), reason };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pair.certificate).collect();
    let chain = chain.map_err(|error| of_certificate(error.to_string()))?;
    let Some(first) = chain.first() else {
        return Err(of_certificate("it holds no PEM block `BEGIN CERTIFICATE`".to_owned()));
    };
    let validity = Validity::of(first)
        .ok_or_else(|| of_certificate("it holds no X.509 certificate".to_owned()))?;
    let key = PrivateKeyDer::from_pem_slice(&pair.key).map_err(|_| {
        of_key("it holds no PEM block of a private key that has no password".to_owned())
    })?;
    let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        RustlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsError::Mismatch { key: files.key.clone(), certificate: files.certificate.clone() }
        }
        RustlsError::InvalidCertificate(fault) => of_certificate(fault.to_string()),
        other => of_key(other.to_string()),
    })?;
    Ok((certified, validity))
}

fn warn_of(files: &TlsFiles, validity: Validity, now: Timestamp) {
    let path = files.certificate.display();
    if validity.ends <= now {
        warn!("The certificate {path} has ended at {}; clients refuse it", validity.ends);
    } else if validity.begins > now {
        warn!("The certificate {path} begins at {} only; clients refuse it", validity.begins);
    }
}
