//! Fills a new tenant with the demo.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tracing::{info, warn};

use super::content::{self, Form, Message, People, Record, Ticket, WORKFLOWS};
use super::{AUTHOR, NAME, SLUG, author};
use crate::activities::Caller;
use crate::activities::desk::{Desk, DeskError, Query, find, list};
use crate::app::App;
use crate::app::connections::{NewConnection, SecretChanges};
use crate::app::definitions::{Definition, Publish};
use crate::app::error::Error;
use crate::app::principal::Principal;
use crate::domain::desk::RecordKind;
use crate::domain::event::Actor;
use crate::store::access::{APPLIANCE, TenantRow};
use crate::store::tenant::{TenantTx, TenantView};

/// Messages of one round carry one time; the next round is later.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(2);

/// What became of the wish for a demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seeded {
    /// The tenant was new, and is a demo now.
    Filled,
    /// It was one already.
    Already,
    /// It has other data, and was left alone.
    Foreign,
}

enum Found {
    /// Nothing, or a demo that was not finished.
    Room,
    Demo,
    Other,
}

/// Fills the tenant `default`, which is made where there is none; its connections lead to `own_url`.
/// A second call changes nothing, except that they follow a new `own_url`, and that workflows which
/// nobody has edited follow a new version of the demo.
///
/// # Errors
/// Returns what could not be written; a later call goes on from there.
pub async fn seed(app: &App, own_url: &str) -> anyhow::Result<Seeded> {
    let tenant = demo_tenant(app).await?;
    let who = author(tenant.id);
    match look(app, &who, &tenant)? {
        Found::Other => {
            warn!("The tenant `{SLUG}` has data of its own: no demo; use a new data directory");
            return Ok(Seeded::Foreign);
        }
        Found::Demo => {
            lead_to(app, &who, own_url).await?;
            save_workflows(app, &who).await?;
            info!("The tenant `{SLUG}` is a demo already");
            return Ok(Seeded::Already);
        }
        Found::Room => {}
    }
    name(app, tenant).await?;
    app.write_of(who.tenant, people).await.context("cannot make the people of the demo")?;
    let tickets = content::tickets();
    let ids = make_tickets(app, &who, &tickets).await.context("cannot make tickets")?;
    talk(app, &who, tickets, ids).await.context("cannot make conversations")?;
    // Last, so that the tickets from before start nothing and an interrupted demo is seen as such.
    lead_to(app, &who, own_url).await?;
    save_workflows(app, &who).await?;
    info!("Filled the tenant `{SLUG}` with a demo");
    Ok(Seeded::Filled)
}

async fn demo_tenant(app: &App) -> anyhow::Result<TenantRow> {
    if let Some(row) = default_tenant(app)? {
        return Ok(row);
    }
    let owner = Principal::program(APPLIANCE, "demo");
    app.create_tenant(&owner, SLUG, NAME).await.context("cannot make the tenant")?;
    default_tenant(app)?.context("the tenant that was just made is gone")
}

pub(super) fn default_tenant(app: &App) -> Result<Option<TenantRow>, Error> {
    let tenants = app.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
    Ok(tenants.into_iter().find(|row| row.slug == SLUG))
}

/// Returns whether a demo was finished there: its workflows were saved; deleted ones are remembered.
pub(super) fn is_demo(view: TenantView<'_>) -> Result<bool, Error> {
    let saved = view.workflows()?;
    let is_saved = |name: &str| saved.iter().any(|row| row.name == name);
    Ok(WORKFLOWS.iter().all(|(name, _)| is_saved(name)))
}

fn look(app: &App, who: &Principal, tenant: &TenantRow) -> Result<Found, Error> {
    app.read(who, |view| {
        if is_demo(view)? {
            return Ok(Found::Demo);
        }
        let is_ours = tenant.name == NAME || (view.workflows()?.is_empty() && is_empty(view)?);
        Ok(if is_ours { Found::Room } else { Found::Other })
    })
}

fn is_empty(view: TenantView<'_>) -> Result<bool, Error> {
    let one = Query { limit: Some(1), ..Query::default() };
    // Every tenant is described to itself.
    for kind in RecordKind::ALL.into_iter().filter(|kind| *kind != RecordKind::Organization) {
        if !list(&view, kind, &one)?.items.is_empty() {
            return Ok(false);
        }
    }
    Ok(view.events_before(None, 1)?.is_empty())
}

/// The name also marks a demo that is not finished yet.
async fn name(app: &App, tenant: TenantRow) -> Result<(), Error> {
    if tenant.name == NAME {
        return Ok(());
    }
    let row = TenantRow { name: NAME.to_owned(), ..tenant };
    app.write_of(APPLIANCE, move |tx| {
        tx.put_tenant(&row);
        Ok(())
    })
    .await
}

fn people(tx: &mut TenantTx<'_, '_>) -> Result<(), Error> {
    let caller = caller("demo", "SYSTEM", "");
    let mut desk = Desk::new(tx, &caller);
    let people = content::people();
    for team in &people.teams {
        let mut plain = team.clone();
        plain.shift_remove("teamOwnerId"); // Nobody exists yet.
        ensure(&mut desk, RecordKind::Team, "identifier", &plain)?;
    }
    for user in &people.users {
        ensure(&mut desk, RecordKind::User, "email", user)?;
    }
    for team in &people.teams {
        let is_member = |user: &&Record| {
            user["teamIds"].as_array().is_some_and(|teams| teams.contains(&team["identifier"]))
        };
        let members = people.users.iter().filter(is_member).map(|user| user["email"].clone());
        let patch = content::record(json!({
            "teamOwnerId": team["teamOwnerId"],
            "memberIds": members.collect::<Vec<Value>>(),
        }));
        desk.update(RecordKind::Team, text(team, "identifier"), &patch)?;
    }
    for (kind, key, records) in [
        (RecordKind::Tag, "name", &people.tags),
        (RecordKind::Account, "primaryDomain", &people.accounts),
        (RecordKind::Contact, "email", &people.contacts),
    ] {
        for record in records {
            ensure(&mut desk, kind, key, record)?;
        }
    }
    Ok(())
}

fn ensure(
    desk: &mut Desk<'_, '_, '_>,
    kind: RecordKind,
    key: &str,
    input: &Record,
) -> Result<(), DeskError> {
    if find(&desk.view(), kind, text(input, key))?.is_none() {
        desk.create(kind, input)?;
    }
    Ok(())
}

/// Each in a transaction of its own: what is made later is listed above.
async fn make_tickets(
    app: &App,
    who: &Principal,
    tickets: &[Ticket],
) -> Result<Vec<String>, Error> {
    let people = content::people();
    let mut ids = Vec::with_capacity(tickets.len());
    for (number, ticket) in tickets.iter().enumerate() {
        let input = ticket.input(number, &people);
        let caller = caller(&ticket.from, "CUSTOMER", &ticket.from);
        let make = move |tx: &mut TenantTx<'_, '_>| {
            let made = Desk::new(tx, &caller).create(RecordKind::Ticket, &input)?;
            Ok(text(&made, "id").to_owned())
        };
        ids.push(app.write_of(who.tenant, make).await?);
    }
    Ok(ids)
}

/// Writes the first message of every conversation, then the second of every one, and so on, so
/// that each is later than the one before it.
async fn talk(
    app: &App,
    who: &Principal,
    tickets: Vec<Ticket>,
    ids: Vec<String>,
) -> Result<(), Error> {
    let longest = tickets.iter().map(|ticket| ticket.talk.len()).max().unwrap_or(0);
    let (people, tickets) = (Arc::new(content::people()), Arc::new(tickets));
    let mut answered: HashMap<usize, String> = HashMap::new();
    for round in 0..longest {
        tokio::time::sleep(BETWEEN_ROUNDS).await;
        let (people, tickets) = (Arc::clone(&people), Arc::clone(&tickets));
        let (ids, before) = (ids.clone(), answered.clone());
        let written = app.write_of(who.tenant, move |tx| {
            let mut written = Vec::new();
            for (number, ticket) in tickets.iter().enumerate() {
                let Some(message) = ticket.message(round) else { continue };
                let mut input = comment(&message, (ticket, &people), before.get(&number));
                input.insert("ticketId".to_owned(), json!(ids[number]));
                let key = format!("demo/{number}/{round}");
                input.insert("deDuplicationKey".to_owned(), json!(key));
                let caller = message_caller(&message, ticket, &people);
                let made = Desk::new(tx, &caller).create(RecordKind::Comment, &input)?;
                if message.form == Form::Comment {
                    written.push((number, text(&made, "id").to_owned()));
                }
            }
            Ok(written)
        });
        answered.extend(written.await?);
    }
    Ok(())
}

fn comment(
    message: &Message<'_>,
    (ticket, people): (&Ticket, &People),
    answers: Option<&String>,
) -> Record {
    let mut input = content::record(json!({ "content": message.text }));
    let (name, author) = match message.agent {
        Some(agent) => ("authorId", people.agent_email(agent)),
        None => ("customerEmail", ticket.from.clone()),
    };
    input.insert(name.to_owned(), json!(author));
    match (message.form, answers) {
        (Form::Note, _) => drop(input.insert("commentType".to_owned(), json!("note"))),
        (Form::Reply, Some(id)) => drop(input.insert("parentCommentId".to_owned(), json!(id))),
        (Form::Reply, None) | (Form::Comment, _) => {}
    }
    input
}

fn message_caller(message: &Message<'_>, ticket: &Ticket, people: &People) -> Caller {
    match message.agent {
        Some(agent) => {
            let email = people.agent_email(agent);
            caller(&email, "AGENT", &email)
        }
        None => caller(&ticket.from, "CUSTOMER", &ticket.from),
    }
}

/// Makes the connections that are missing; those of an earlier start follow a new address.
async fn lead_to(app: &App, who: &Principal, own_url: &str) -> anyhow::Result<()> {
    for system in content::SYSTEMS {
        let base = content::system_url(system, own_url);
        let row = app.read(who, |view| Ok(view.connection(system)?))?;
        let is_ours = |at: &str| at != base && at.ends_with(&content::system_url(system, ""));
        if row.is_some_and(|row| {
            !row.settings.get("baseUrl").and_then(Value::as_str).is_some_and(is_ours)
        }) {
            continue;
        }
        let wanted = NewConnection {
            name: system.to_owned(),
            app: "http".to_owned(),
            settings: content::record(json!({ "baseUrl": base })),
            secrets: SecretChanges::default(),
        };
        let made = app.put_connection(who, wanted).await;
        made.with_context(|| format!("cannot make the connection `{system}`"))?;
    }
    Ok(())
}

/// Saves the workflows that are missing, and those of an earlier version of the demo.
async fn save_workflows(app: &App, who: &Principal) -> anyhow::Result<()> {
    for (name, text) in WORKFLOWS {
        let Some(publish) = app.read(who, |view| wanted(view, name, text))? else { continue };
        let document = serde_norway::from_str(text).context("a workflow is no YAML")?;
        let definition = Definition { document, source: Some(text.to_owned()) };
        let saved = app.put_workflow(who, name, definition, publish).await;
        saved.with_context(|| format!("cannot save the workflow `{name}`"))?;
    }
    Ok(())
}

fn wanted(view: TenantView<'_>, name: &str, text: &str) -> Result<Option<Publish>, Error> {
    let Some(row) = view.workflow(name)? else { return Ok(Some(Publish::Active)) };
    let newest = view.version(name, row.newest)?;
    let is_old = newest.is_some_and(|version| {
        version.created_by == AUTHOR && version.source.as_deref() != Some(text)
    });
    let publish = if row.active { Publish::Active } else { Publish::Draft };
    Ok((is_old && row.deleted_at.is_none()).then_some(publish))
}

pub(super) fn caller(id: &str, kind: &str, email: &str) -> Caller {
    let actor = Actor { id: id.to_owned(), kind: kind.to_owned(), email: email.to_owned() };
    Caller::new(actor, None)
}

fn text<'r>(record: &'r Record, name: &str) -> &'r str {
    record.get(name).and_then(Value::as_str).unwrap_or_default()
}
