//! One call that no run asks for: somebody tries an activity out.

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use crate::activities::{Activity, OutsideActivity, OutsideCall};
use crate::domain::id::TenantId;
use crate::domain::run::Failure;
use crate::domain::secret::BoundSecrets;
use crate::store::seam::StoreError;
use crate::store::tenant::panic_message;

use super::tenant_state::TenantState;
use super::{Engine, Refusal, connections, tokens};

/// How much longer than its own timeout a call may take before it is given up on.
const GRACE: Duration = Duration::from_secs(2);

/// A call that is made once, whatever comes of it.
#[derive(Clone, Debug)]
pub struct SingleCall {
    /// The activity's identifier.
    pub activity: String,
    /// Its input, as it is; nothing is rendered in it.
    pub input: Value,
    /// By which the other side recognises it.
    pub idempotency_key: String,
}

impl Engine {
    /// Calls an activity on the outside once, beside the queue of its destination, and answers with
    /// what came of it. No run knows of it and nothing repeats it.
    ///
    /// # Errors
    /// Returns that the tenant cannot be asked now; that the call failed is no error.
    pub async fn call_once(
        &self,
        tenant: TenantId,
        call: SingleCall,
    ) -> Result<Result<Value, Failure>, Refusal<StoreError>> {
        self.on_thread(tenant, move |state, reply| {
            let state = Rc::clone(state);
            actix::spawn(async move {
                // Whoever asked may have gone.
                let _ = reply.send(Ok(made(state, call).await));
            });
        })
        .await
    }
}

async fn made(tenant: Rc<TenantState>, call: SingleCall) -> Result<Value, Failure> {
    let SingleCall { activity: identifier, input, idempotency_key } = call;
    let found = tenant.find_activity(&identifier, None, tenant.shared.clock.now())?;
    let Activity::Outside(activity) = found else {
        let message = format!("`{identifier}` is not called on the outside");
        return Err(Failure::terminal("not_callable", message));
    };
    let connection = connections::of_call(&tenant, &*activity, &input)?;
    let timeout = activity.spec().timeout;
    let secrets = BoundSecrets::default();
    let traceparent = None;
    let call = OutsideCall { input, idempotency_key, timeout, secrets, connection, traceparent };
    let mask = call.mask();
    let outcome = within(Rc::clone(&tenant), activity, call, timeout + GRACE).await;
    // The other side may say back what it was told.
    let known = tenant.known_secrets();
    match outcome {
        Ok(output) => Ok(known.value(mask.value(output))),
        Err(failure) => Err(failure.masked(&mask).masked(&known)),
    }
}

/// Makes the call in a task of its own, so that its panic ends nothing else.
async fn within(
    tenant: Rc<TenantState>,
    activity: std::sync::Arc<dyn OutsideActivity>,
    call: OutsideCall,
    limit: Duration,
) -> Result<Value, Failure> {
    let make: tokens::Make = Box::new(move |call| activity.call(call));
    let mut task = actix::spawn(tokens::call(tenant, call, make));
    match tokio::time::timeout(limit, &mut task).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => {
            let message = match error.try_into_panic() {
                Ok(panic) => panic_message(panic.as_ref()),
                Err(error) => error.to_string(),
            };
            Err(Failure::in_doubt("panic", format!("the activity panicked: {message}")))
        }
        Err(_) => {
            task.abort();
            Err(Failure::in_doubt("timeout", format!("no answer within {} ms", limit.as_millis())))
        }
    }
}
