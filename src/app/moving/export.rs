//! Exports: everything of a tenant, as it was at one moment, as a file that is checked.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::super::App;
use super::super::audit::Change;
use super::super::error::Error;
use super::super::principal::Principal;
use super::{PASSPHRASE_CHARS_MIN, at_home};
use crate::domain::problem::Problem;
use crate::domain::secret::Secret;
use crate::store::access::{APPLIANCE, TenantRow};
use crate::store::moving::MoveFault;
use crate::store::moving::departure::{Departure, Wanted};
use crate::store::moving::passphrase::Lock;

/// How many pieces may wait for whoever takes the file.
const PIECES_WAITING_MAX: usize = 4;

/// What becomes of the secrets in an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeptSecrets {
    /// They are sealed with this passphrase.
    Sealed(Secret),
    /// They are left out.
    LeftOut,
}

/// An export that is being written.
#[derive(Debug)]
pub struct Export {
    /// A name for the file.
    pub file_name: String,
    /// What is written; an error means that the file ends before its end.
    pub pieces: mpsc::Receiver<Result<Bytes, Error>>,
}

impl KeptSecrets {
    /// Reads what was asked for: a passphrase, or `none` for secrets that are left out.
    ///
    /// # Errors
    /// `Invalid` when neither or both were asked for, or the passphrase is short.
    pub fn asked_for(
        passphrase: Option<&str>,
        secrets: Option<&str>,
    ) -> Result<KeptSecrets, Error> {
        let problem = match (passphrase, secrets) {
            (Some(text), None) if text.chars().count() >= PASSPHRASE_CHARS_MIN => {
                return Ok(KeptSecrets::Sealed(Secret::new(text)));
            }
            (None, Some("none")) => return Ok(KeptSecrets::LeftOut),
            (_, Some(_)) => {
                let detail = "must be `none`, without a passphrase, or not be there";
                Problem::new("/secrets", "contradiction", detail)
            }
            (Some(_), None) => {
                let detail = format!("must have at least {PASSPHRASE_CHARS_MIN} characters");
                Problem::new("/passphrase", "too_short", detail)
            }
            (None, None) => {
                let detail = "say how secrets leave: sealed with a passphrase, or not at all";
                let hint = "give --passphrase-file (X-Passphrase), or --without-secrets \
                            (?secrets=none)";
                Problem::new("/passphrase", "passphrase_required", detail).with_hint(hint)
            }
        };
        Err(Error::Invalid(vec![problem]))
    }
}

impl App {
    /// Begins to write everything of a tenant; the tenant goes on meanwhile, and what it does from
    /// now on is not in the file.
    ///
    /// # Errors
    /// `Forbidden` unless the caller owns the appliance, `NotFound` for an unknown tenant.
    pub async fn export_tenant(
        &self,
        who: &Principal,
        slug: &str,
        secrets: KeptSecrets,
    ) -> Result<Export, Error> {
        let tenant = self.tenant_to_move(who, slug)?;
        self.write_access(&at_home(who), Change::of("tenant.export", slug), |_, _| Ok(())).await?;
        let file_name = format!("{slug}-{}.ergane-tenant", self.now().day());
        let (sender, pieces) = mpsc::channel(PIECES_WAITING_MAX);
        let app = self.clone();
        // Reading and sealing take as long as the file is large, on a thread that nobody waits for.
        tokio::task::spawn_blocking(move || {
            let outcome = app.write_export(&tenant, &secrets, &sender);
            if let Err(fault) = outcome {
                tracing::error!(tenant.slug = %tenant.slug, "An export broke off: {fault}");
                // Whoever asked may have gone.
                let _ = sender.blocking_send(Err(Error::from(fault)));
            }
        });
        Ok(Export { file_name, pieces })
    }

    fn write_export(
        &self,
        tenant: &TenantRow,
        secrets: &KeptSecrets,
        sender: &mpsc::Sender<Result<Bytes, Error>>,
    ) -> Result<(), MoveFault> {
        let lock = match secrets {
            KeptSecrets::Sealed(passphrase) => Some(Lock::new(passphrase, self.clock().clone())?),
            KeptSecrets::LeftOut => None,
        };
        let rows = self.engine().snapshot(tenant.id)?;
        let access = self.engine().snapshot(APPLIANCE)?;
        let departure = Departure {
            tenant,
            part: self.engine().store().directory().place(tenant.id.0),
            rows: &rows,
            access: &access,
            sealer: self.sealer(),
            lock,
            at: self.now(),
        };
        departure.write(&mut |piece| match sender.blocking_send(Ok(piece)) {
            Ok(()) => Wanted::More,
            Err(_) => Wanted::Nothing,
        })
    }
}
