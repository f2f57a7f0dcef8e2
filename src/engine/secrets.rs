//! Opens the secrets that the input of a call names, at the moment of the call.

use crate::domain::expression::Template;
use crate::domain::run::Failure;
use crate::domain::secret::{BoundSecret, BoundSecrets};
use crate::domain::workflow::secrets::names;
use crate::store::seam::StoreError;
use crate::store::secrets::place;
use crate::store::tenant::TenantView;

use super::tenant_state::TenantState;

/// Returns the secrets that `input` names, as they are now.
pub(super) fn open(tenant: &TenantState, input: &Template) -> Result<BoundSecrets, Failure> {
    let names = names(input);
    if names.is_empty() {
        return Ok(BoundSecrets::default());
    }
    let read = tenant.ledger.transact(|tx| {
        let view = TenantView::new(tenant.id(), &*tx);
        names
            .iter()
            .map(|name| Ok((name.clone(), view.secret(name)?)))
            .collect::<Result<Vec<_>, StoreError>>()
    });
    let Ok((rows, _)) = read else {
        return Err(Failure::retryable("secret_unreadable", "the secrets cannot be read now"));
    };
    let open = |(name, row): (String, Option<crate::store::secrets::SecretRow>)| {
        let missing = || {
            let message =
                format!("there is no secret `{name}`; put it with PUT /v1/secrets/{name}");
            Failure::terminal("secret_missing", message)
        };
        let row = row.ok_or_else(missing)?;
        let at = place(tenant.id(), &row.name, row.version);
        let opened = tenant.shared.sealer.open(at, &row.sealed);
        let value =
            opened.map_err(|error| Failure::terminal("secret_sealed", error.to_string()))?;
        Ok(BoundSecret { name, value, hosts: row.hosts })
    };
    let secrets: Result<Vec<BoundSecret>, Failure> = rows.into_iter().map(open).collect();
    secrets.map(BoundSecrets::new)
}
