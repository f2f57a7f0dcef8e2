//! A tenant that leaves with everything that it has, arrives in another appliance, or goes for good.

mod export;
mod import;
mod removal;

pub use export::{Export, KeptSecrets};
pub use import::{Import, ImportOptions, ImportView, MovedKeys, NewKeyView, Rehearsal};
pub use removal::{Farewell, RemovalView};

use super::App;
use super::error::Error;
use super::principal::Principal;
use crate::domain::problem::Problem;
use crate::store::access::{APPLIANCE, TenantRow};
use crate::store::moving::MoveFault;

/// The shortest passphrase that an export is sealed with.
const PASSPHRASE_CHARS_MIN: usize = 12;

impl App {
    /// Returns the tenant of this name to whoever owns the appliance.
    fn tenant_to_move(&self, who: &Principal, slug: &str) -> Result<TenantRow, Error> {
        self.check_owner(who)?;
        let rows = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
        let row = rows.into_iter().find(|row| row.slug == slug && row.deleted_at.is_none());
        row.ok_or_else(|| Error::NotFound { what: "tenant", id: slug.to_owned() })
    }
}

/// Whatever is done to a tenant is recorded where its author belongs, not in what is moved.
fn at_home(who: &Principal) -> Principal {
    Principal { tenant: who.home, ..who.clone() }
}

impl From<MoveFault> for Error {
    fn from(fault: MoveFault) -> Error {
        let (code, hint) = match &fault {
            MoveFault::Store(error) => return Error::from(error.clone()),
            MoveFault::Foreign => ("not_an_export", "give a file that `ergane tenant export` made"),
            MoveFault::Newer(_) => ("newer_export", "import it into a version that is as new"),
            MoveFault::Truncated => ("truncated", "export it again, to the end"),
            MoveFault::Damaged(_) => ("damaged", "export it again, or copy the file again"),
            MoveFault::PassphraseMissing => {
                ("passphrase_required", "give it with --passphrase-file, or in X-Passphrase")
            }
            MoveFault::PassphraseWrong => ("wrong_passphrase", "give the one of the export"),
        };
        Error::Invalid(vec![Problem::new("", code, fault.to_string()).with_hint(hint)])
    }
}
