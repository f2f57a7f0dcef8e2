//! Makes things happen at the desk, as customers and agents would, until the engine stops.

use std::time::Duration;

use serde_json::{Value, json};
use tracing::{debug, warn};

use super::author;
use super::chance::Chance;
use super::content::{self, Arrivals, Record, record};
use super::seed::{caller, default_tenant, is_demo};
use crate::activities::Caller;
use crate::activities::desk::{Desk, Query, list};
use crate::app::App;
use crate::app::demo::DemoSwitch;
use crate::app::error::Error;
use crate::app::page::PageRequest;
use crate::app::principal::Principal;
use crate::app::runs::RunFilter;
use crate::domain::desk::{CLOSED, RecordKind};
use crate::store::tenant::TenantTx;

/// From this many tickets on, no more come in.
const TICKETS_MAX: usize = 500;
/// With fewer open ones than this, a full desk opens old ones again.
const OPEN_MIN: usize = 40;
const SEED: u64 = 2026;
/// How soon one thing follows another while a new demo begins.
const OPENING_PAUSE: Duration = Duration::from_secs(1);
/// How soon the end of the engine is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const REFUND: &str = "refund";
/// What our workflows and wishes leave on a ticket; gone when it is closed.
const PASSING_TAGS: [&str; 3] = [REFUND, "refund-pending", "unanswered"];

/// One kind of thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deed {
    /// A customer asks for the first time.
    Create,
    /// A customer writes again.
    CustomerWrites,
    /// An agent answers, or leaves a note.
    AgentWrites,
    /// A ticket goes to an agent.
    Assign,
    /// A ticket gets another priority.
    Prioritise,
    /// A ticket gets the next status.
    Advance,
    /// A ticket is escalated.
    Escalate,
    /// A ticket asks for a refund.
    AskRefund,
    /// A ticket gets a tag.
    Tag,
    /// The oldest open ticket is closed.
    CloseOldest,
    /// A customer opens a closed ticket again.
    Reopen,
}

/// What happens first in a new demo, so that each example workflow has something to show.
const OPENING: [Deed; 14] = [
    Deed::Create,
    Deed::Escalate,
    Deed::AskRefund,
    Deed::CloseOldest,
    Deed::Create,
    Deed::AskRefund,
    Deed::AgentWrites,
    Deed::AskRefund,
    Deed::Escalate,
    Deed::Create,
    Deed::CustomerWrites,
    Deed::AskRefund,
    Deed::CloseOldest,
    Deed::Assign,
];

const OFTEN: [(Deed, u64); 11] = [
    (Deed::Create, 20),
    (Deed::CustomerWrites, 15),
    (Deed::AgentWrites, 15),
    (Deed::Assign, 12),
    (Deed::Prioritise, 8),
    (Deed::Advance, 12),
    (Deed::Escalate, 5),
    (Deed::AskRefund, 6),
    (Deed::Tag, 4),
    (Deed::CloseOldest, 2),
    (Deed::Reopen, 1),
];

/// Makes one thing after another happen while `switch` lets it; ends when the engine stops.
pub async fn generator(app: App, switch: DemoSwitch) {
    let mut generator = match Generator::new(app.clone(), switch.clone()) {
        Ok(Some(generator)) => generator,
        Ok(None) => return,
        Err(error) => return warn!("The demo's generator cannot begin: {error}"),
    };
    while !app.engine().is_stopping() {
        rest(&app, generator.pause()).await;
        if !switch.is_running() || !app.engine().is_ready() {
            continue;
        }
        match generator.step().await {
            Ok(deed) => debug!(?deed, "The demo made something happen"),
            Err(error) => warn!("The demo's generator goes on after a failure: {error}"),
        }
    }
}

/// Sleeps, unless the engine stops meanwhile.
async fn rest(app: &App, pause: Duration) {
    let mut left = pause;
    while !left.is_zero() && !app.engine().is_stopping() {
        let part = left.min(LOOK_EVERY);
        tokio::time::sleep(part).await;
        left -= part;
    }
}

/// Chooses what happens next, and makes it happen.
pub struct Generator {
    app: App,
    who: Principal,
    switch: DemoSwitch,
    chance: Chance,
    arrivals: Arrivals,
    opening: std::vec::IntoIter<Deed>,
}

/// The desk as it stands.
struct Scene {
    /// Newest first.
    tickets: Vec<Record>,
    total: usize,
    agents: Vec<Record>,
    contacts: Vec<Record>,
    tags: Vec<Record>,
}

/// A change of one record: of the one that `key` names, or a new one.
struct Change {
    kind: RecordKind,
    key: Option<String>,
    input: Record,
    caller: Caller,
}

impl Generator {
    /// Returns a generator for the tenant `default`; `None` where that is no demo, whose data is
    /// left alone. It begins with an opening where no run has been yet.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn new(app: App, switch: DemoSwitch) -> Result<Option<Generator>, Error> {
        let Some(tenant) = default_tenant(&app)? else { return Ok(None) };
        let who = author(tenant.id);
        if !app.read(&who, is_demo)? {
            return Ok(None);
        }
        let one = PageRequest { limit: 1, after: None };
        let is_new = app.runs(&who, &RunFilter::default(), &one)?.data.is_empty();
        let opening = if is_new { OPENING.to_vec() } else { Vec::new() };
        Ok(Some(Generator {
            app,
            who,
            switch,
            chance: Chance::new(SEED),
            arrivals: content::arrivals(),
            opening: opening.into_iter(),
        }))
    }

    /// Makes one thing happen and returns what; `None` when nothing fitted.
    ///
    /// # Errors
    /// Returns why it could not be written.
    pub async fn step(&mut self) -> Result<Option<Deed>, Error> {
        let scene = self.look()?;
        let chosen = self.opening.next().unwrap_or_else(|| self.chance.weighted(&OFTEN));
        let deed = within_bounds(chosen, &scene);
        let Some(change) = self.decide(deed, &scene) else { return Ok(None) };
        self.app.write_of(self.who.tenant, move |tx| perform(tx, &change)).await?;
        self.switch.count();
        Ok(Some(deed))
    }

    /// Returns how long to wait before the next thing.
    fn pause(&mut self) -> Duration {
        if self.opening.len() > 0 {
            return OPENING_PAUSE;
        }
        let usual_ms = 60_000 / u64::from(self.switch.view().rate_per_minute.max(1));
        Duration::from_millis(usual_ms / 2 + self.chance.below(usual_ms))
    }

    fn look(&self) -> Result<Scene, Error> {
        let all = Query { limit: Some(TICKETS_MAX), ..Query::default() };
        self.app.read(&self.who, |view| {
            let tickets = list(&view, RecordKind::Ticket, &all)?;
            Ok(Scene {
                total: tickets.total,
                tickets: tickets.items,
                agents: list(&view, RecordKind::User, &all)?.items,
                contacts: list(&view, RecordKind::Contact, &all)?.items,
                tags: list(&view, RecordKind::Tag, &all)?.items,
            })
        })
    }

    fn decide(&mut self, deed: Deed, scene: &Scene) -> Option<Change> {
        match deed {
            Deed::Create => self.create(scene),
            Deed::CustomerWrites => {
                let ticket = self.ticket(scene, is_open)?;
                let words = self.chance.pick(&self.arrivals.customer)?.clone();
                let input =
                    json!({ "customerEmail": field(ticket, "requestorEmail"), "content": words });
                Some(comment(ticket, input, customer_of(ticket)))
            }
            Deed::AgentWrites => self.answer(scene),
            Deed::Assign => {
                let ticket = self.ticket(scene, |ticket| is_open(ticket) && is_free(ticket))?;
                let agent = self.agent_for(ticket, scene)?;
                let patch = json!({ "assignedAgentId": field(agent, "id") });
                Some(patched(ticket, patch, agent_caller(agent)))
            }
            Deed::Prioritise => self.prioritise(scene),
            Deed::Advance => {
                let ticket = self.ticket(scene, is_open)?;
                let patch = match self.next_status(ticket) {
                    "Resolved" => closing(ticket, "Resolved"),
                    status => json!({ "statusName": status }),
                };
                self.by_agent(ticket, scene, patch)
            }
            Deed::Escalate => {
                let fits =
                    |ticket: &Record| is_open(ticket) && *field(ticket, "isEscalated") != true;
                let ticket = self.ticket(scene, fits)?;
                Some(patched(ticket, json!({ "isEscalated": true }), customer_of(ticket)))
            }
            Deed::AskRefund => {
                let ticket = self.ticket(scene, |it| is_open(it) && !has_tag(it, REFUND))?;
                let patch = json!({ "tags": with_tag(ticket, REFUND) });
                self.by_agent(ticket, scene, patch)
            }
            Deed::Tag => self.tag(scene),
            Deed::CloseOldest => {
                let ticket = scene.tickets.iter().rev().find(|ticket| is_open(ticket))?;
                self.by_agent(ticket, scene, closing(ticket, CLOSED))
            }
            Deed::Reopen => {
                let ticket =
                    self.ticket(scene, |ticket| is_changeable(ticket) && !is_open(ticket))?;
                Some(patched(ticket, json!({ "statusName": "Open" }), customer_of(ticket)))
            }
        }
    }

    fn create(&mut self, scene: &Scene) -> Option<Change> {
        let arrival = self.chance.pick(&self.arrivals.tickets)?.clone();
        let contact = self.chance.pick(&scene.contacts)?;
        let priority =
            self.chance.weighted(&[("low", 3), ("medium", 5), ("high", 3), ("urgent", 1)]);
        let source = self.chance.weighted(&[("email", 4), ("web", 3), ("slack", 2)]);
        let input = record(json!({
            "title": arrival.title,
            "description": arrival.description,
            "teamId": arrival.team,
            "requestorEmail": field(contact, "email"),
            "priorityName": priority,
            "source": source,
        }));
        let caller = caller(text(contact, "id"), "CUSTOMER", text(contact, "email"));
        Some(Change { kind: RecordKind::Ticket, key: None, input, caller })
    }

    fn prioritise(&mut self, scene: &Scene) -> Option<Change> {
        let ticket = self.ticket(scene, is_open)?;
        let others: Vec<&str> = ["low", "medium", "high", "urgent"]
            .into_iter()
            .filter(|name| *field(ticket, "priorityName") != **name)
            .collect();
        let priority = *self.chance.pick(&others)?;
        self.by_agent(ticket, scene, json!({ "priorityName": priority }))
    }

    fn tag(&mut self, scene: &Scene) -> Option<Change> {
        let tags: Vec<&str> = scene.tags.iter().map(|tag| text(tag, "name")).collect();
        let tag = *self.chance.pick(&tags)?;
        let fits = |ticket: &Record| tag != REFUND && is_open(ticket) && !has_tag(ticket, tag);
        let ticket = self.ticket(scene, fits)?;
        self.by_agent(ticket, scene, json!({ "tags": with_tag(ticket, tag) }))
    }

    fn answer(&mut self, scene: &Scene) -> Option<Change> {
        let ticket = self.ticket(scene, is_open)?;
        let agent = self.agent_for(ticket, scene)?;
        let kind = self.chance.weighted(&[("comment", 3), ("note", 1)]);
        let words = if kind == "note" { &self.arrivals.note } else { &self.arrivals.agent };
        let words = self.chance.pick(words)?.clone();
        let input =
            json!({ "authorId": field(agent, "id"), "commentType": kind, "content": words });
        Some(comment(ticket, input, agent_caller(agent)))
    }

    fn by_agent(&mut self, ticket: &Record, scene: &Scene, patch: Value) -> Option<Change> {
        let agent = self.agent_for(ticket, scene)?;
        Some(patched(ticket, patch, agent_caller(agent)))
    }

    fn ticket<'s>(
        &mut self,
        scene: &'s Scene,
        fits: impl Fn(&Record) -> bool,
    ) -> Option<&'s Record> {
        let fitting: Vec<&Record> = scene.tickets.iter().filter(|ticket| fits(ticket)).collect();
        self.chance.pick(&fitting).copied()
    }

    /// Returns who works on the ticket, or else somebody of its team, or else anybody.
    fn agent_for<'s>(&mut self, ticket: &Record, scene: &'s Scene) -> Option<&'s Record> {
        let own = scene
            .agents
            .iter()
            .find(|agent| field(agent, "id") == field(ticket, "assignedAgentId"));
        if own.is_some() {
            return own;
        }
        let is_in_team = |agent: &&Record| {
            field(agent, "teamIds")
                .as_array()
                .is_some_and(|teams| teams.contains(field(ticket, "teamId")))
        };
        let team: Vec<&Record> = scene.agents.iter().filter(is_in_team).collect();
        match self.chance.pick(&team) {
            Some(agent) => Some(*agent),
            None => self.chance.pick(&scene.agents),
        }
    }

    fn next_status(&mut self, ticket: &Record) -> &'static str {
        match text(ticket, "statusName") {
            "In progress" => self.chance.weighted(&[("Pending", 2), ("Resolved", 3)]),
            _ => "In progress", // Whatever it waited for, somebody works on it now.
        }
    }
}

/// A full desk takes no more tickets: old ones are closed, or opened again when few are left.
fn within_bounds(deed: Deed, scene: &Scene) -> Deed {
    if deed != Deed::Create || scene.total <= TICKETS_MAX {
        return deed;
    }
    let open = scene.tickets.iter().filter(|ticket| is_open(ticket)).count();
    if open > OPEN_MIN { Deed::CloseOldest } else { Deed::Reopen }
}

fn perform(tx: &mut TenantTx<'_, '_>, change: &Change) -> Result<(), Error> {
    let mut desk = Desk::new(tx, &change.caller);
    match &change.key {
        Some(key) => desk.update(change.kind, key, &change.input)?,
        None => desk.create(change.kind, &change.input)?,
    };
    Ok(())
}

fn patched(ticket: &Record, patch: Value, caller: Caller) -> Change {
    let key = Some(text(ticket, "id").to_owned());
    Change { kind: RecordKind::Ticket, key, input: record(patch), caller }
}

fn comment(ticket: &Record, mut input: Value, caller: Caller) -> Change {
    input["ticketId"] = field(ticket, "id").clone();
    Change { kind: RecordKind::Comment, key: None, input: record(input), caller }
}

fn closing(ticket: &Record, status: &str) -> Value {
    let tags = field(ticket, "tags").as_array().into_iter().flatten();
    let is_kept = |tag: &&Value| !PASSING_TAGS.iter().any(|passing| tag == passing);
    let kept: Vec<&Value> = tags.filter(is_kept).collect();
    json!({ "statusName": status, "isEscalated": false, "tags": kept })
}

fn customer_of(ticket: &Record) -> Caller {
    caller(text(ticket, "customerContactId"), "CUSTOMER", text(ticket, "requestorEmail"))
}

fn agent_caller(agent: &Record) -> Caller {
    caller(text(agent, "id"), "AGENT", text(agent, "email"))
}

fn is_changeable(ticket: &Record) -> bool {
    *field(ticket, "isArchived") != true
}

fn is_open(ticket: &Record) -> bool {
    is_changeable(ticket) && *field(ticket, "parentStatusName") != CLOSED
}

fn is_free(ticket: &Record) -> bool {
    field(ticket, "assignedAgentId").is_null()
}

fn has_tag(ticket: &Record, tag: &str) -> bool {
    field(ticket, "tags").as_array().is_some_and(|tags| tags.iter().any(|known| known == tag))
}

fn with_tag(ticket: &Record, tag: &str) -> Vec<Value> {
    let mut tags = field(ticket, "tags").as_array().cloned().unwrap_or_default();
    tags.push(json!(tag));
    tags
}

fn field<'r>(record: &'r Record, name: &str) -> &'r Value {
    record.get(name).unwrap_or(&Value::Null)
}

fn text<'r>(record: &'r Record, name: &str) -> &'r str {
    record.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_desk_takes_no_more_tickets() {
        let ticket = |status: &str| record(json!({ "parentStatusName": status }));
        for (total, open, deed) in [
            (TICKETS_MAX, 0, Deed::Create),
            (TICKETS_MAX + 1, OPEN_MIN + 1, Deed::CloseOldest),
            (TICKETS_MAX + 1, OPEN_MIN, Deed::Reopen),
        ] {
            let mut tickets = vec![ticket("Open"); open];
            tickets.push(ticket(CLOSED));
            let (agents, contacts, tags) = (Vec::new(), Vec::new(), Vec::new());
            let scene = Scene { tickets, total, agents, contacts, tags };
            assert_eq!(within_bounds(Deed::Create, &scene), deed);
            assert_eq!(within_bounds(Deed::Tag, &scene), Deed::Tag);
        }
    }
}
