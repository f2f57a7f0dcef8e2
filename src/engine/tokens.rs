//! Tokens of connections: renewed before they end and when they are refused, once for all calls
//! that wait, and on disk before they are used.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tracing::{info, warn};

use crate::activities::OutsideCall;
use crate::activities::outside::connection::{ACCESS_TOKEN, Connection, refuses_credentials};
use crate::activities::outside::token::{Grant, Token, Untold};
use crate::domain::run::Failure;
use crate::domain::secret::{Mask, Secret};
use crate::domain::time::Timestamp;
use crate::store::connections::{ConnectionRow, SealedValue, Unauthorized};
use crate::store::seam::StoreError;
use crate::store::tenant::TenantTx;

use super::connections;
use super::tenant_state::TenantState;

/// How long before its end a token is renewed, at most; of a short one a tenth.
const MARGIN_MAX: Duration = Duration::from_secs(60);
const REFRESH_TOKEN: &str = "refreshToken";
const REASON_CHARS_MAX: usize = 300;

/// Who renews the tokens of one tenant, and which connections are not believed.
#[derive(Default)]
pub(super) struct Renewals {
    by_connection: RefCell<HashMap<String, Rc<Mutex<Option<Failed>>>>>,
    unauthorized: RefCell<HashSet<String>>,
}

/// A renewal that failed, for those who waited for it.
struct Failed {
    at: Timestamp,
    failure: Failure,
}

impl Renewals {
    /// Notes whether a connection is known not to be believed.
    pub(super) fn note(&self, row: &ConnectionRow) {
        let mut known = self.unauthorized.borrow_mut();
        match &row.unauthorized {
            Some(_) => known.insert(row.name.clone()),
            None => known.remove(&row.name),
        };
    }

    fn is_unauthorized(&self, connection: &str) -> bool {
        self.unauthorized.borrow().contains(connection)
    }

    fn lock_of(&self, connection: &str) -> Rc<Mutex<Option<Failed>>> {
        Rc::clone(self.by_connection.borrow_mut().entry(connection.to_owned()).or_default())
    }
}

/// How a call is made.
pub(super) type Make = Box<dyn Fn(OutsideCall) -> BoxFuture<'static, Result<Value, Failure>>>;

/// Makes a call, with a token that holds where its connection needs one.
pub(super) async fn call(
    tenant: Rc<TenantState>,
    mut call: OutsideCall,
    make: Make,
) -> Result<Value, Failure> {
    let Some(connection) = call.connection.clone() else { return make(call).await };
    let name = connection.name.clone();
    let Some(row) = row_of(&tenant, &name)? else { return make(call).await };
    let app = row.app.as_str();
    let renews = Grant::of(app, &connection)?.is_some();
    if renews && !connection.secrets.contains_key(ACCESS_TOKEN) {
        put(&mut call, renewed(&tenant, app, &name, None).await?);
    }
    let mut outcome = make(call.clone()).await;
    if renews && outcome.as_ref().is_err_and(refuses_credentials) {
        // Nothing was done, so that the same call may go again with another token, once.
        let refused = token_of(&call);
        put(&mut call, renewed(&tenant, app, &name, refused).await?);
        outcome = make(call.clone()).await;
    }
    note_outcome(&tenant, &name, &outcome);
    let mask = Mask::new(token_of(&call).as_ref());
    match outcome {
        Ok(output) => Ok(mask.value(output)),
        Err(failure) => Err(failure.masked(&mask)),
    }
}

/// Opens a connection with a token that holds now, for whoever tries it out.
pub(super) async fn opened(tenant: &Rc<TenantState>, name: &str) -> Result<Connection, Failure> {
    let row = row_of(tenant, name)?.ok_or_else(|| gone(name))?;
    let app = row.app.clone();
    let mut connection = connections::opened(tenant, row)?;
    let needs_token = !connection.secrets.contains_key(ACCESS_TOKEN);
    if needs_token && Grant::of(&app, &connection)?.is_some() {
        let token = renewed(tenant, &app, name, None).await?;
        connection.secrets.insert(ACCESS_TOKEN.to_owned(), token);
    }
    Ok(connection)
}

fn token_of(call: &OutsideCall) -> Option<Secret> {
    call.connection.as_ref().and_then(|it| it.secrets.get(ACCESS_TOKEN)).cloned()
}

fn put(call: &mut OutsideCall, token: Secret) {
    if let Some(connection) = &mut call.connection {
        connection.secrets.insert(ACCESS_TOKEN.to_owned(), token);
    }
}

/// Returns a token that is not the refused one. In a task of its own: a call that is given up must
/// not lose a token that was exchanged for another.
async fn renewed(
    tenant: &Rc<TenantState>,
    app: &str,
    name: &str,
    refused: Option<Secret>,
) -> Result<Secret, Failure> {
    let (tenant, app, name) = (Rc::clone(tenant), app.to_owned(), name.to_owned());
    let task = actix::spawn(async move { renew(&tenant, &app, &name, refused).await });
    task.await.unwrap_or_else(|_| {
        Err(Failure::retryable("token_unavailable", "renewing the token came to an end by itself"))
    })
}

async fn renew(
    tenant: &Rc<TenantState>,
    app: &str,
    name: &str,
    refused: Option<Secret>,
) -> Result<Secret, Failure> {
    let asked_at = tenant.shared.clock.now();
    let lock = tenant.renewals.lock_of(name);
    let mut last = lock.lock().await;
    if let Some(failed) = last.as_ref().filter(|failed| failed.at > asked_at) {
        return Err(failed.failure.clone());
    }
    let connection = read(tenant, name)?;
    if let Some(token) =
        connection.secrets.get(ACCESS_TOKEN).filter(|it| Some(*it) != refused.as_ref())
    {
        return Ok(token.clone()); // Another call was first.
    }
    let outcome = match Grant::of(app, &connection)? {
        Some(grant) => exchanged(tenant, name, &grant).await,
        None => Err(Failure::terminal("connection_incomplete", "the connection has no grant")),
    };
    let at = tenant.shared.clock.now();
    *last = outcome.as_ref().err().map(|failure| Failed { at, failure: failure.clone() });
    outcome
}

async fn exchanged(tenant: &Rc<TenantState>, name: &str, grant: &Grant) -> Result<Secret, Failure> {
    let used = row_of(tenant, name)?.and_then(|row| newest(&row, REFRESH_TOKEN));
    match tenant.activities().token(grant).await {
        Ok(token) => {
            info!(tenant.slug = %tenant.facts.slug, connection = name, "Renewed the token of the connection `{name}`");
            keep(tenant, name, used, &token).await?;
            Ok(token.access)
        }
        Err(Untold::Later(failure)) => Err(failure),
        Err(Untold::Refused(reason)) => {
            mark(tenant, name, &reason);
            let message = format!(
                "the connection `{name}` gets no token: {reason}; give it new secrets with PATCH \
                 /v1/connections/{name}"
            );
            let details = json!({ "code": "unauthorized", "connection": name });
            Err(Failure::terminal("connection_unauthorized", message).with_details(details))
        }
    }
}

fn newest(row: &ConnectionRow, secret: &str) -> Option<u64> {
    row.secrets.get(secret).and_then(|values| values.first()).map(|value| value.version)
}

/// Writes a token and what takes the place of the refresh token, and waits until that is on disk:
/// the old one is worth nothing any more.
async fn keep(
    tenant: &Rc<TenantState>,
    name: &str,
    used: Option<u64>,
    token: &Token,
) -> Result<(), Failure> {
    let settled = tenant.transact(|tx| {
        let Some(mut row) = tx.view().connection(name)? else { return Ok(()) };
        let margin = MARGIN_MAX.min(token.lifetime / 10);
        let until = tx.now() + token.lifetime.saturating_sub(margin);
        // Whoever gave another refresh token in the meantime means that one.
        if newest(&row, REFRESH_TOKEN) == used {
            if let Some(refresh) = &token.refresh {
                set(tenant, tx, &mut row, REFRESH_TOKEN, (refresh, None))?;
            }
            set(tenant, tx, &mut row, ACCESS_TOKEN, (&token.access, Some(until)))?;
            row.unauthorized = None;
            tx.put_connection(&row);
        }
        Ok::<_, StoreError>(())
    });
    let lost = |_| {
        let message = "the new token cannot be kept, so that it is not used";
        Failure::retryable("token_unavailable", message)
    };
    let Ok(settled) = settled else { return Err(lost(())) };
    settled.receipt.durable().await.map_err(|_| lost(()))
}

fn set(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    row: &mut ConnectionRow,
    secret: &str,
    (value, valid_until): (&Secret, Option<Timestamp>),
) -> Result<(), StoreError> {
    let version = tx.next_number("connection secrets")?;
    let sealed = row.seal((&tenant.shared.sealer, tenant.id()), secret, version, value);
    let set_at = Some(tx.now());
    let value = SealedValue { version, sealed, valid_until, set_at, set_by: None };
    row.secrets.insert(secret.to_owned(), vec![value]);
    Ok(())
}

fn row_of(tenant: &TenantState, name: &str) -> Result<Option<ConnectionRow>, Failure> {
    let read = tenant
        .ledger
        .transact(|tx| crate::store::tenant::TenantView::new(tenant.id(), &*tx).connection(name));
    let unreadable =
        |_| Failure::retryable("connection_unreadable", "the connections cannot be read now");
    read.map(|(row, _)| row).map_err(unreadable)
}

fn read(tenant: &TenantState, name: &str) -> Result<Connection, Failure> {
    connections::opened(tenant, row_of(tenant, name)?.ok_or_else(|| gone(name))?)
}

fn gone(name: &str) -> Failure {
    let message = format!("there is no connection `{name}` any more");
    Failure::terminal("connection_missing", message)
}

/// Notes when a connection begins or ceases to be believed; between these nothing is written.
fn note_outcome(tenant: &TenantState, name: &str, outcome: &Result<Value, Failure>) {
    let was_unauthorized = tenant.renewals.is_unauthorized(name);
    match outcome {
        Ok(_) if was_unauthorized => change(tenant, name, None),
        Err(failure) if !was_unauthorized && refuses_credentials(failure) => {
            mark(tenant, name, &failure.message);
        }
        Ok(_) | Err(_) => {} // As it was.
    }
}

fn mark(tenant: &TenantState, name: &str, reason: &str) {
    warn!(tenant.slug = %tenant.facts.slug, connection = name, "The connection `{name}` is not believed: {reason}");
    if !tenant.renewals.is_unauthorized(name) {
        let reason = reason.chars().take(REASON_CHARS_MAX).collect();
        change(tenant, name, Some(reason));
    }
}

fn change(tenant: &TenantState, name: &str, reason: Option<String>) {
    let settled = tenant.transact(|tx| {
        let Some(mut row) = tx.view().connection(name)? else { return Ok(()) };
        let since = tx.now();
        row.unauthorized = reason.map(|reason| Unauthorized { since, reason });
        tx.put_connection(&row);
        tenant.renewals.note(&row);
        Ok::<_, StoreError>(())
    });
    if settled.is_err() {
        warn!(tenant.slug = %tenant.facts.slug, connection = name, "The state of the connection `{name}` cannot be kept");
    }
}
