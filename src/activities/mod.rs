//! What a step can do: the two contracts, and the one list that everything else derives from.

mod checked;
pub mod desk;
pub mod identity;
pub mod installed;
pub mod outside;
mod platform;
pub mod settings;
pub mod worker;

#[cfg(test)]
mod harness;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::activity::custom::Account;
use crate::domain::activity::{ActivitySpec, Catalogue, Settling};
use crate::domain::event::{Actor, Cause};
use crate::domain::run::Failure;
use crate::domain::secret::{BoundSecrets, Mask};
use crate::store::tenant::TenantTx;

pub use checked::misfits;
use checked::{CheckedOutside, CheckedPlatform};
use outside::ai_prompt::AiPrompt;
use outside::connection::Connection;
use outside::courier::Courier;
use outside::graphql::GraphQl;
use outside::http_request::HttpRequest;
use outside::jira::Jira;
use outside::linear::Linear;
use outside::probe::Probe;
use outside::send_email::SendEmail;
use outside::slack::Slack;
use outside::token::{self, Grant, Token, Untold};
use platform::{OnDesk, accounts, comments, contacts, publish_event, sleep};
use platform::{teams, threads, ticket_verbs, tickets, transform, users, waits};
use settings::{EgressSettings, EventSettings};
use worker::WorkerActivity;

/// Every built-in activity on the platform's own records.
const ON_DESK: [OnDesk; 31] = [
    tickets::CREATE,
    tickets::UPDATE,
    tickets::GET,
    tickets::DELETE,
    tickets::SEARCH,
    ticket_verbs::ASSIGN,
    ticket_verbs::ESCALATE,
    ticket_verbs::SEND_SURVEY,
    ticket_verbs::ARCHIVE,
    ticket_verbs::UNARCHIVE,
    ticket_verbs::BULK_ARCHIVE,
    ticket_verbs::BULK_UNARCHIVE,
    ticket_verbs::ADD_TAGS,
    ticket_verbs::REMOVE_TAGS,
    comments::CREATE,
    comments::UPDATE,
    comments::DELETE,
    comments::ADD_REACTION,
    threads::GET,
    accounts::CREATE,
    accounts::UPDATE,
    accounts::GET,
    accounts::CREATE_NOTE,
    accounts::CREATE_TASK,
    accounts::CREATE_ACTIVITY,
    contacts::CREATE,
    contacts::UPDATE,
    teams::GET,
    users::GET,
    transform::TRANSFORM,
    publish_event::PUBLISH,
];

/// On whose behalf an activity changes the platform's records.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who the events that follow name as their actor.
    pub actor: Actor,
    /// The run whose step it is; `None` for a person or a program.
    pub cause: Option<Cause>,
    /// How many bytes of each text of a comment the events that follow carry at most.
    pub comment_text_bytes_max: usize,
    /// The teams whose tickets it reads and changes; none for every team.
    pub teams: Vec<String>,
}

impl Caller {
    /// Describes who changes records, under the usual limits.
    #[must_use]
    pub fn new(actor: Actor, cause: Option<Cause>) -> Caller {
        let comment_text_bytes_max = EventSettings::default().comment_text_bytes_max;
        Caller { actor, cause, comment_text_bytes_max, teams: Vec::new() }
    }

    /// Describes the platform itself, as when a deadline passes.
    #[must_use]
    pub fn platform() -> Caller {
        let actor =
            Actor { kind: "SYSTEM".to_owned(), id: "ergane".to_owned(), ..Actor::default() };
        Caller::new(actor, None)
    }
}

/// What a platform activity answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// What later steps see.
    pub output: Value,
    /// What `PlatformActivity::undo` needs to put things back; null when nothing was changed.
    pub undo: Value,
}

/// An operation on the platform's own records. It commits with the journal entries of its step
/// and with the events that it emits: exactly once, by construction.
pub trait PlatformActivity: Send + Sync {
    /// Describes the activity.
    fn spec(&self) -> ActivitySpec;
    /// Does it, inside the transaction of the step.
    ///
    /// # Errors
    /// Returns why it could not; the transaction takes back whatever was written before.
    fn run(
        &self,
        tx: &mut TenantTx<'_, '_>,
        caller: &Caller,
        input: &Value,
    ) -> Result<Done, Failure>;
}

/// One call to the outside.
#[derive(Clone, Debug)]
pub struct OutsideCall {
    /// The rendered input, which fits the activity's schema.
    pub input: Value,
    /// The same through every retry and restart of the step.
    pub idempotency_key: String,
    /// How long the attempt may take.
    pub timeout: Duration,
    /// The secrets whose markers stand in the input.
    pub secrets: BoundSecrets,
    /// The connection of the app that the activity names.
    pub connection: Option<Connection>,
    /// What the other side is told of the trace that the call belongs to.
    pub traceparent: Option<String>,
}

impl OutsideCall {
    /// Returns the connection that the call goes over.
    ///
    /// # Errors
    /// Fails for good when there is none.
    pub fn connection(&self) -> Result<&Connection, Failure> {
        let missing = || Failure::terminal("connection_missing", "the call has no connection");
        self.connection.as_ref().ok_or_else(missing)
    }

    /// Returns what takes everything that is secret to the call out of answers.
    #[must_use]
    pub fn mask(&self) -> Mask {
        let connected = self.connection.iter().flat_map(|connection| connection.secrets.values());
        Mask::new(self.secrets.values().chain(connected))
    }
}

/// The call that takes back what another call did, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UndoCall {
    /// The activity that takes it back.
    pub activity: String,
    /// Its input.
    pub input: Value,
}

impl UndoCall {
    /// Reads what a finished step left; `None` when it is undone in another way.
    #[must_use]
    pub fn read(undo: &Value) -> Option<UndoCall> {
        if !undo.is_object() {
            return None;
        }
        UndoCall::deserialize(undo).ok()
    }

    /// Returns what a finished step leaves for its undo.
    #[must_use]
    pub fn written(&self) -> Value {
        json!({ "activity": self.activity, "input": self.input })
    }
}

/// An operation on another system. Its intent is durable before it is called; after a crash it is
/// called again with the same key.
pub trait OutsideActivity: Send + Sync {
    /// Describes the activity.
    fn spec(&self) -> ActivitySpec;
    /// Returns the app whose connection a call needs; `None` where it needs none.
    fn app(&self) -> Option<&'static str> {
        None
    }
    /// Returns the app whose connection a call with this input needs.
    fn app_for(&self, _input: &Value) -> Option<&'static str> {
        self.app()
    }
    /// Returns whose settings and secrets a call uses beside an app's connection.
    fn account(&self) -> Account {
        Account::Nobody
    }
    /// Returns the address that every call goes to, where it is not the `url` of the input; what is
    /// filled in may stand behind its host.
    fn address(&self) -> Option<&str> {
        None
    }
    /// Returns the call that takes back what a call with this input and output did, if there is
    /// one; only a step that says `compensate: auto` is undone by it.
    fn undo(&self, _input: &Value, _output: &Value) -> Option<UndoCall> {
        None
    }
    /// Returns how a call whose outcome is unknown is settled, unless its step says otherwise.
    fn settles(&self) -> Settling {
        Settling::Repeat
    }
    /// Asks the other system whether an earlier call with this key has happened: its output, or
    /// `None` when it has not. It is made before such a call is repeated, by activities that settle
    /// their doubts in this way, and changes nothing there; when it fails, the doubt stays.
    fn lookup(&self, _call: OutsideCall) -> BoxFuture<'static, Result<Option<Value>, Failure>> {
        ready(Ok(None)).boxed()
    }
    /// Calls the other system.
    fn call(&self, call: OutsideCall) -> BoxFuture<'static, Result<Value, Failure>>;
}

/// How an activity is carried out.
#[derive(Clone)]
pub enum Activity {
    /// Inside the transaction.
    Platform(Arc<dyn PlatformActivity>),
    /// Outside, after the intent is durable.
    Outside(Arc<dyn OutsideActivity>),
    /// By a worker that asks for it, after the intent is durable.
    Worker(Arc<WorkerActivity>),
}

/// Every activity by its identifier.
#[derive(Clone)]
pub struct Activities {
    by_identifier: Arc<HashMap<String, Activity>>,
    catalogue: Arc<Catalogue>,
    events: Arc<EventSettings>,
    courier: Arc<Courier>,
    probe: Arc<Probe>,
    http: HttpRequest,
}

impl Activities {
    /// Sets the limits of events.
    #[must_use]
    pub fn with_events(self, settings: &EventSettings) -> Activities {
        Activities { events: Arc::new(settings.clone()), ..self }
    }

    /// Returns the limits of events.
    #[must_use]
    pub fn events(&self) -> &EventSettings {
        &self.events
    }

    /// Describes on whose behalf records are changed, under the limits of this installation.
    #[must_use]
    pub fn caller(&self, actor: Actor, cause: Option<Cause>) -> Caller {
        let comment_text_bytes_max = self.events.comment_text_bytes_max;
        Caller { comment_text_bytes_max, ..Caller::new(actor, cause) }
    }

    /// Returns the activities that every installation has; calls leave as `egress` allows.
    #[must_use]
    pub fn built_in(egress: &EgressSettings) -> Activities {
        let on_desk = ON_DESK.into_iter().map(|found| Activity::Platform(Arc::new(found)));
        let http = HttpRequest::new(egress);
        let slack = Slack::all(&http).into_iter().map(outside);
        let jira = Jira::all(&http).into_iter().map(outside);
        let linear = Linear::all(&http).into_iter().map(outside);
        let single = [
            outside(SendEmail::new(egress)),
            outside(AiPrompt::new(&http)),
            outside(GraphQl::new(&http)),
            outside(http.clone()),
        ];
        let outside = slack.chain(jira).chain(linear).chain(single);
        let kept = vec![sleep::spec(), waits::wait_for_event(), waits::run_workflow()];
        let all = Activities::new(on_desk.chain(outside).collect(), kept);
        let (courier, probe) = (Arc::new(Courier::new(egress)), Arc::new(Probe::new(egress)));
        Activities { courier, probe, http, ..all }
    }

    /// Collects activities, and the specs of those that the run itself carries out. Each is held to
    /// its schemas.
    #[must_use]
    pub fn new(activities: Vec<Activity>, kept_by_run: Vec<ActivitySpec>) -> Activities {
        let activities: Vec<Activity> = activities.into_iter().map(Activity::checked).collect();
        let specs = activities.iter().map(Activity::spec).chain(kept_by_run);
        let settling = activities.iter().filter_map(Activity::settling);
        let catalogue = Arc::new(Catalogue::new(specs).with_settling(settling));
        let by_identifier =
            activities.into_iter().map(|activity| (activity.spec().identifier, activity)).collect();
        let egress = EgressSettings::default();
        let (courier, probe) = (Arc::new(Courier::new(&egress)), Arc::new(Probe::new(&egress)));
        let by_identifier = Arc::new(by_identifier);
        let http = HttpRequest::new(&egress);
        Activities { by_identifier, catalogue, events: Arc::default(), courier, probe, http }
    }

    /// Asks an authorization server for a token.
    ///
    /// # Errors
    /// Returns why there is none.
    pub async fn token(&self, grant: &Grant) -> Result<Token, Untold> {
        token::fetch(&self.http, grant).await
    }

    /// Returns what asks other systems whether they are there.
    #[must_use]
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Returns what makes HTTP calls.
    fn http(&self) -> &HttpRequest {
        &self.http
    }

    /// Returns how the built-in activity `identifier` is carried out.
    #[must_use]
    pub fn find(&self, identifier: &str) -> Option<&Activity> {
        self.by_identifier.get(identifier)
    }

    /// Returns who brings messages to subscribers.
    #[must_use]
    pub fn courier(&self) -> &Arc<Courier> {
        &self.courier
    }

    /// Returns what every built-in activity says of itself.
    #[must_use]
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }
}

fn outside(activity: impl OutsideActivity + 'static) -> Activity {
    Activity::Outside(Arc::new(activity))
}

impl Activity {
    fn checked(self) -> Activity {
        match self {
            Activity::Platform(inner) => Activity::Platform(Arc::new(CheckedPlatform::new(inner))),
            Activity::Outside(inner) => Activity::Outside(Arc::new(CheckedOutside::new(inner))),
            Activity::Worker(_) => self, // It checks by itself.
        }
    }

    fn settling(&self) -> Option<(String, Settling)> {
        match self {
            Activity::Platform(_) | Activity::Worker(_) => None,
            Activity::Outside(activity) => Some((activity.spec().identifier, activity.settles())),
        }
    }

    /// Describes the activity.
    #[must_use]
    pub fn spec(&self) -> ActivitySpec {
        match self {
            Activity::Platform(activity) => activity.spec(),
            Activity::Outside(activity) => activity.spec(),
            Activity::Worker(activity) => activity.row().spec(),
        }
    }
}
