//! Brings what triggers remember in line with the workflows that are active now.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::store::seam::StoreError;
use crate::store::tenant::TenantTx;

use super::intake::Begun;
use super::listeners::Listeners;
use super::live::LiveRun;
use super::tenant_state::TenantState;
use super::{lasting, windows};

/// Settles the windows of every workflow that was saved, switched or deleted in the transaction,
/// and returns the runs that this started.
pub(super) fn settle(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    before: &Listeners,
) -> Result<Vec<LiveRun>, StoreError> {
    let after = Rc::clone(&tenant.listeners.borrow());
    let names: BTreeSet<&str> = before.remembering().chain(after.remembering()).collect();
    let mut begun = Begun::default();
    for name in names {
        let (old, new) = (before.named(name), after.named(name));
        if old.map(|old| old.version) == new.map(|new| new.version) {
            continue;
        }
        if let Some(old) = old {
            windows::settle(tenant, tx, old, new, &mut begun)?;
        }
        lasting::settle(tenant, tx, old, new)?;
    }
    tenant.displace(&begun.displaced);
    Ok(begun.started)
}
