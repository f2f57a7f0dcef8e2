//! The right to make one call, given back however the call ends.

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::state::{Ended, Granted};
use super::{Hold, change, pump, release_one};
use crate::domain::destination::{Fared, LastFailure, Reason};
use crate::domain::run::{Failure, FailureClass};
use crate::engine::tenant_state::TenantState;
use crate::store::seam::StoreError;

/// Refusals for want of a pause, besides HTTP's own.
const TOO_MANY: [&str; 3] = ["http_429", "ratelimited", "rate_limited"];

/// The right to make one call.
pub(in crate::engine) struct Pass {
    tenant: Rc<TenantState>,
    granted: Option<Granted>,
}

impl Pass {
    pub(super) fn new(tenant: &Rc<TenantState>, granted: Granted) -> Pass {
        Pass { tenant: Rc::clone(tenant), granted: Some(granted) }
    }

    /// Writes the use of what is throttled where the store does not cover it, so that it counts
    /// after a crash too.
    pub(super) async fn write_use(&self) -> Result<(), Hold> {
        let Some(used) = self.granted.as_ref().and_then(|granted| granted.used.as_ref()) else {
            return Ok(());
        };
        let now = self.tenant.shared.clock.now();
        let inner = &self.tenant.destinations.inner;
        let Some(unwritten) = inner.borrow().unwritten(used, now) else { return Ok(()) };
        let lost = Hold { reason: Reason::Throttled, until: now + Duration::from_secs(1) };
        let written = self.tenant.transact(|tx| {
            tx.put_throttle_uses(&used.id, &unwritten.row);
            Ok::<_, StoreError>(())
        });
        let settled = written.map_err(|_| lost)?;
        settled.receipt.durable().await.map_err(|_| lost)?;
        inner.borrow_mut().throttles.note_written(&used.id, unwritten.covers);
        Ok(())
    }

    /// Gives it back with what came of the call.
    pub(in crate::engine) fn end(mut self, outcome: &Result<Value, Failure>) {
        let Some(granted) = self.granted.take() else { return };
        let now = self.tenant.shared.clock.now();
        let failure = outcome.as_ref().err();
        let fared = failure.map_or(Fared::Well, fared);
        let ended = Ended {
            fared,
            pause: failure.and_then(|failure| self.pause_after(failure)),
            failure: failure.filter(|_| fared == Fared::Badly).map(|failure| LastFailure {
                at: now,
                code: failure.code.clone(),
                message: failure.message.clone(),
            }),
        };
        let changed = self.tenant.destinations.inner.borrow_mut().end(&granted, &ended, now);
        if let Some(changed) = changed {
            change::announce(&self.tenant, &granted.destination, changed);
        }
        pump(&self.tenant);
        let mut inner = self.tenant.destinations.inner.borrow_mut();
        let has_place = inner.has_place_for_crowd(&granted.destination, now);
        drop(inner);
        if has_place {
            release_one(&self.tenant, &granted.destination);
        }
    }

    fn pause_after(&self, failure: &Failure) -> Option<Duration> {
        let limits = &self.tenant.destinations.inner.borrow().limits;
        let is_too_many = TOO_MANY.contains(&failure.code.as_str());
        failure.retry_after.or_else(|| is_too_many.then_some(limits.pause_default))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let Some(granted) = self.granted.take() else { return };
        let now = self.tenant.shared.clock.now();
        self.tenant.destinations.inner.borrow_mut().end(&granted, &Ended::unknown(), now);
        pump(&self.tenant);
    }
}

/// A refusal is an answer: the destination works. What was refused before it left says nothing.
fn fared(failure: &Failure) -> Fared {
    let code = failure.code.as_str();
    if TOO_MANY.contains(&code) || code == "panic" {
        return Fared::Unknown;
    }
    let has_answered = ["status", "method"].iter().any(|name| !failure.details[*name].is_null());
    match failure.class {
        FailureClass::Retryable | FailureClass::InDoubt => Fared::Badly,
        FailureClass::Terminal if has_answered => Fared::Well,
        FailureClass::Terminal => Fared::Unknown,
    }
}
