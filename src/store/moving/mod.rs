//! A tenant that leaves, arrives and goes: everything that is kept of it, as a file and back, and the
//! removal of it.
//!
//! An export holds rows, not things: whatever is kept of a tenant in any space is in it, also what
//! later versions keep, and only what must not leave as it lies is named here: the tenant's number,
//! what is sealed with the key of this appliance, and the holds of workers.

pub mod arrival;
pub mod departure;
pub mod entry;
pub mod frame;
pub mod manifest;
pub mod passphrase;
pub mod removal;
mod sealed;
pub mod state;

#[cfg(test)]
mod tests;

use super::seam::StoreError;

/// Why an export cannot be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveFault {
    /// It is something else.
    #[error("this is no export of a tenant")]
    Foreign,
    /// A later version wrote it.
    #[error("the export was written by a later version: {0}")]
    Newer(String),
    /// It ends before its end.
    #[error("the export is cut short: its end is missing")]
    Truncated,
    /// What is read is not what was written.
    #[error("the export is damaged: {0}")]
    Damaged(String),
    /// Its secrets are sealed and nobody said with what.
    #[error("the secrets of this export are sealed with a passphrase, and none was given")]
    PassphraseMissing,
    /// They are sealed with another one.
    #[error("the passphrase is not the one that the export was sealed with")]
    PassphraseWrong,
    /// A row of this store cannot be read or sealed.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl MoveFault {
    pub(super) fn damaged(detail: impl std::fmt::Display) -> MoveFault {
        MoveFault::Damaged(detail.to_string())
    }
}
