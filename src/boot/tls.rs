//! The certificates of both doors: found in the settings, read at the start, read again on SIGHUP.

use std::sync::Arc;

use anyhow::{Context, bail};
use rustls::ServerConfig;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tracing::info;

use super::doors::Doors;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::time::Timestamp;
use crate::tls::Certificates;

/// The certificate of each door that has one.
pub(super) struct Tls {
    pub(super) http: Option<Arc<Certificates>>,
    mail: Option<Arc<Certificates>>,
}

impl Tls {
    /// Reads the certificates; mail has that of the address unless it has one of its own.
    pub(super) fn load(config: &Config, doors: Doors, now: Timestamp) -> anyhow::Result<Tls> {
        if doors == Doors::Control {
            return Ok(Tls { http: None, mail: None });
        }
        let load = |files| Certificates::load(files, now).context("cannot speak TLS");
        let http = config.http.tls_files()?.map(load).transpose()?;
        let own = config.mail.tls_files()?.filter(|_| config.mail.is_on());
        let mail = match own.map(load).transpose()? {
            Some(own) => Some(own),
            None => http.clone().filter(|_| config.mail.is_on()),
        };
        if config.mail.is_on() && config.mail.require_tls && mail.is_none() {
            bail!("`mail.require_tls` is set; set `mail.tls_certificate_file` too");
        }
        Ok(Tls { http, mail })
    }

    pub(super) fn by_door(&self) -> Vec<(&'static str, Arc<Certificates>)> {
        let http = self.http.iter().map(|found| ("http", Arc::clone(found)));
        http.chain(self.mail.iter().map(|found| ("mail", Arc::clone(found)))).collect()
    }

    /// Returns each certificate once.
    pub(super) fn certificates(&self) -> Vec<Arc<Certificates>> {
        let mut found: Vec<_> = self.by_door().into_iter().map(|(_, found)| found).collect();
        found.dedup_by(|one, other| Arc::ptr_eq(one, other));
        found
    }

    pub(super) fn for_http(&self) -> anyhow::Result<Option<Arc<ServerConfig>>> {
        Ok(self.http.as_ref().map(Certificates::for_http).transpose()?)
    }

    pub(super) fn for_mail(&self) -> anyhow::Result<Option<Arc<ServerConfig>>> {
        Ok(self.mail.as_ref().map(Certificates::for_mail).transpose()?)
    }

    /// Reads the files again on SIGHUP, which ends a process that has no certificate.
    pub(super) fn watch(&self, clock: Clock) -> anyhow::Result<Option<JoinHandle<()>>> {
        let certificates = self.certificates();
        if certificates.is_empty() {
            return Ok(None);
        }
        let mut asked = signal(SignalKind::hangup())?;
        Ok(Some(tokio::task::spawn_local(async move {
            while asked.recv().await.is_some() {
                info!("Reading the certificates again, as asked");
                for certificate in &certificates {
                    certificate.refresh(clock.now());
                }
            }
        })))
    }
}
