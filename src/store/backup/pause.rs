//! The pause of a restored appliance: what was sent since its backup is not known, so that nothing
//! goes on by itself until somebody says so.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::id::{RunId, TenantId};
use crate::domain::time::Timestamp;
use crate::store::access::APPLIANCE;
use crate::store::family::Meta;
use crate::store::key::Key;
use crate::store::seam::{Space, StoreError};
use crate::store::tenant::{TenantTx, TenantView};

const PAUSE: u8 = Meta::Pause as u8;

/// Why and since when everything rests, and what goes on all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PauseRow {
    /// When the store was restored.
    pub since: Timestamp,
    /// The moment that the restored store shows.
    pub shows: Timestamp,
    /// Why, for a person.
    pub reason: String,
    /// Tenants that somebody has let go on.
    #[serde(default)]
    pub tenants: BTreeSet<TenantId>,
    /// Runs that somebody has let go on.
    #[serde(default)]
    pub runs: BTreeSet<RunId>,
}

/// Returns the key of the row, without its part.
pub(super) fn pause_key() -> Vec<u8> {
    Key::of(APPLIANCE).tag(PAUSE).done()
}

impl TenantView<'_> {
    /// Returns why the appliance rests; `None` when it does not.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn pause(&self) -> Result<Option<PauseRow>, StoreError> {
        self.json(Space::Meta, &pause_key())
    }
}

impl TenantTx<'_, '_> {
    /// Lets the appliance rest, but for what the row names.
    pub fn put_pause(&mut self, row: &PauseRow) {
        self.put_json(Space::Meta, pause_key(), row);
    }

    /// Ends the rest.
    pub fn remove_pause(&mut self) {
        self.remove(Space::Meta, pause_key());
    }
}
