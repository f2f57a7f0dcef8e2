//! Finds the connection that a call goes over and opens its secrets, at the moment of the call.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::activities::OutsideActivity;
use crate::activities::outside::connection::Connection;
use crate::domain::activity::custom::Account;
use crate::domain::run::Failure;
use crate::store::connections::ConnectionRow;
use crate::store::tenant::TenantView;

use super::tenant_state::TenantState;

/// Returns what a call of `activity` goes over, if it needs anything.
pub(super) fn of_call(
    tenant: &TenantState,
    activity: &dyn OutsideActivity,
    input: &Value,
) -> Result<Option<Connection>, Failure> {
    match activity.account() {
        Account::Nobody => activity.app_for(input).map(|app| open(tenant, app, input)).transpose(),
        Account::Connection(name) => named(tenant, &name).map(Some),
    }
}

/// Returns the connection of this name, whatever its app.
fn named(tenant: &TenantState, name: &str) -> Result<Connection, Failure> {
    let read = tenant.ledger.transact(|tx| TenantView::new(tenant.id(), &*tx).connection(name));
    let Ok((row, _)) = read else { return Err(unreadable()) };
    let missing = || {
        let message = format!("there is no connection `{name}`; make it with POST /v1/connections");
        Failure::terminal("connection_missing", message)
    };
    opened(tenant, row.ok_or_else(missing)?)
}

fn unreadable() -> Failure {
    Failure::retryable("connection_unreadable", "the connections cannot be read now")
}

/// Returns the tenant's connection of `app`: the one that the input names, or else the only one.
fn open(tenant: &TenantState, app: &str, input: &Value) -> Result<Connection, Failure> {
    let read = tenant.ledger.transact(|tx| TenantView::new(tenant.id(), &*tx).connections());
    let Ok((rows, _)) = read else { return Err(unreadable()) };
    let wanted = input.get("connection").and_then(Value::as_str);
    opened(tenant, choose(rows.into_iter().filter(|row| row.app == app).collect(), app, wanted)?)
}

/// Opens the secrets of a connection that hold now.
pub(super) fn opened(tenant: &TenantState, row: ConnectionRow) -> Result<Connection, Failure> {
    tenant.renewals.note(&row);
    let mut secrets = BTreeMap::new();
    let now = tenant.shared.clock.now();
    for name in row.secrets.keys() {
        let opened = row.open((&tenant.shared.sealer, tenant.id()), name, now);
        let values =
            opened.map_err(|error| Failure::terminal("secret_sealed", error.to_string()))?;
        if let Some(newest) = values.into_iter().next() {
            secrets.insert(name.clone(), newest);
        }
    }
    Ok(Connection { name: row.name, settings: row.settings, secrets })
}

/// Fails for good when it is not clear which one is meant: waiting would not make it clearer.
fn choose(
    mut of_app: Vec<ConnectionRow>,
    app: &str,
    wanted: Option<&str>,
) -> Result<ConnectionRow, Failure> {
    let names: Vec<String> = of_app.iter().map(|row| row.name.clone()).collect();
    let missing = |message: String| {
        let details = json!({ "app": app, "connections": names });
        Err(Failure::terminal("connection_missing", message).with_details(details))
    };
    if let Some(name) = wanted {
        let found = of_app.into_iter().find(|row| row.name == name);
        return found.map_or_else(
            || missing(format!("there is no connection `{name}` of the app `{app}`")),
            Ok,
        );
    }
    match of_app.len() {
        0 => missing(format!(
            "there is no connection of the app `{app}`; make one with POST /v1/connections"
        )),
        1 => Ok(of_app.remove(0)),
        _ => {
            let told = names.join(", ");
            let message = format!(
                "there are several connections of the app `{app}`: {told}; name one in \
                 `connection`"
            );
            let details = json!({ "app": app, "connections": names });
            Err(Failure::terminal("connection_ambiguous", message).with_details(details))
        }
    }
}
