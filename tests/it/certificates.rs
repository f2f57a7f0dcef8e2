//! Certificates for the tests, made by the `openssl` of the machine and good for a hundred years.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::{Certificate, Client};
use tempfile::TempDir;

/// An authority of its own, in a directory of its own.
pub struct Authority {
    directory: TempDir,
}

/// The two files of a server.
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new() -> Authority {
        let authority = Authority { directory: TempDir::new().expect("a directory") };
        authority.request("ca", 36_500, &["-subj", "/CN=Tests", "-addext", "keyUsage=keyCertSign"]);
        authority
    }

    /// Returns the certificate that clients trust.
    pub fn file(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Makes a certificate for this machine that is good for `days`.
    pub fn pair(&self, name: &str, days: u32) -> Pair {
        let (authority, key) = (self.file(), self.path("ca.key"));
        self.request(
            name,
            days,
            &[
                "-subj",
                "/CN=localhost",
                "-CA",
                authority.to_str().expect("a plain path"),
                "-CAkey",
                key.to_str().expect("a plain path"),
                "-addext",
                "subjectAltName=IP:127.0.0.1,DNS:localhost",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ],
        );
        Pair {
            certificate: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}.key")),
        }
    }

    /// Returns a client that trusts this authority alone.
    pub fn client(&self) -> Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let pem = std::fs::read(self.file()).expect("it was made");
        let root = Certificate::from_pem(&pem).expect("a certificate");
        let builder = Client::builder().no_proxy().tls_certs_only([root]).tls_info(true);
        builder.redirect(reqwest::redirect::Policy::none()).build().expect("a client")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn request(&self, name: &str, days: u32, more: &[&str]) {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-nodes", "-days", &days.to_string(), "-keyout"])
            .arg(self.path(&format!("{name}.key")))
            .arg("-out")
            .arg(self.path(&format!("{name}.pem")))
            .args(more)
            .output()
            .expect("openssl is on this machine");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}

/// Puts another pair in the place of one, each file in one step.
pub fn replace(pair: &Pair, with: (&Path, &Path)) {
    for (place, from) in [(&pair.certificate, with.0), (&pair.key, with.1)] {
        let beside = place.with_extension("new");
        std::fs::copy(from, &beside).expect("it is copied");
        std::fs::rename(&beside, place).expect("it is put in place");
    }
}
