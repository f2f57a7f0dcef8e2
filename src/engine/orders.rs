//! What the supervisor of a tenant is told.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use actix::Message;
use serde::Serialize;

use crate::domain::id::RunId;
use crate::domain::time::Timestamp;
use crate::domain::workflow::Workflow;
use crate::store::alarms::Alarm;

use super::live::LiveRun;
use super::run_actor::Delivery;
use super::tenant_state::TenantState;

/// Why a run's actor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// The run is over.
    Finished,
    /// The run waits; the store remembers what for.
    Waiting,
    /// A record could not be read.
    Faulted(String),
    /// The part was lost; whoever owns it next goes on.
    Lost,
    /// It panicked.
    Panicked,
}

/// Runs that were just begun.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Adopt(pub(super) Vec<LiveRun>);

/// An input for a run that may have no actor.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Deliver {
    pub(super) run: RunId,
    pub(super) delivery: Delivery,
}

/// Runs with a deadline that has come, or with something else to look at.
#[derive(Default, Message)]
#[rtype(result = "()")]
pub(super) struct Wake(pub(super) Vec<RunId>);

/// Alarms whose time has come.
#[derive(Default, Message)]
#[rtype(result = "()")]
pub(super) struct Ring(pub(super) Vec<(Timestamp, Alarm)>);

/// Subscriptions whose queues are to be worked off.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct SendDeliveries(pub(super) BTreeSet<String>);

/// The end of a run's actor.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Down {
    pub(super) run: RunId,
    pub(super) instance: u64,
    pub(super) exit: Exit,
    pub(super) workflow: Arc<Workflow>,
    pub(super) concurrency_key: Option<String>,
}

/// Work to be done on the tenant's thread.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Work(pub(super) Job);

type Job = Box<dyn FnOnce(&Rc<TenantState>) + Send>;

/// Asks what the supervisor sees.
#[derive(Message)]
#[rtype(result = "Observation")]
pub(super) struct Observe;

/// What a tenant's supervisor sees of its runs.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Observation {
    /// Runs with an actor.
    pub active: usize,
    /// Actors that crashed since the start.
    pub crashes: u64,
    /// Runs that were set aside because their actor crashed again and again.
    pub quarantined: u64,
}

/// The tenant works again: its runs go on from where they rested, and these ones in any case.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct GoOn(pub(super) Vec<RunId>);

/// There may be more room for runs than before.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct MakeRoom;

/// Ends the supervisor and its runs' actors: the part was lost, and its next owner starts anew.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Close;
