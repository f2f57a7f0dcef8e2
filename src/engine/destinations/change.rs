//! Tells the world that a circuit opened or closed.

use std::rc::Rc;

use serde_json::json;
use tracing::{info, warn};

use crate::domain::destination::Change;
use crate::domain::event::{Actor, Event};
use crate::engine::tenant_state::TenantState;
use crate::store::seam::StoreError;

/// Records a change of a circuit as an event of the tenant.
pub(super) fn announce(tenant: &Rc<TenantState>, name: &str, change: Change) {
    let now = tenant.shared.clock.now();
    let seen = tenant.destinations.inner.borrow().seen_one(name, now);
    let Some(seen) = seen else { return };
    let state = seen.circuit.as_str();
    let series_max = tenant.shared.settings.destination_series_max;
    let metrics = &tenant.shared.metrics;
    metrics.set_destination_state((&tenant.facts.slug, name), state, series_max);
    let reason = seen.last_failure.as_ref().map(|failure| failure.message.clone());
    let reason = reason.unwrap_or_default();
    let kind = match change {
        Change::Opened => {
            warn!(destination = name, "No more calls for a while: {reason}");
            "destination:opened"
        }
        Change::Closed => {
            info!(destination = name, "Calls go again");
            "destination:closed"
        }
    };
    let mut destination = json!({
        "name": name, "state": state, "calls": seen.calls, "failures": seen.failures,
    });
    if let Some(until) = seen.until {
        destination["until"] = json!(until);
    }
    let event = Event {
        id: String::new(), // Given at its acceptance.
        kind: kind.to_owned(),
        source: "ergane".to_owned(),
        subject: Some(name.to_owned()),
        time: now,
        actor: Actor { id: "ergane".to_owned(), kind: "SYSTEM".to_owned(), email: String::new() },
        payload: json!({ "destination": destination, "reason": reason }),
        metadata: serde_json::Map::new(),
        cause: None,
    };
    let written = tenant.transact(|tx| {
        tx.emit(event);
        Ok::<_, StoreError>(())
    });
    if written.is_err() {
        warn!(destination = name, "The event of the change cannot be written");
    }
}
