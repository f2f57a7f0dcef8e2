//! The desk's records for people and programs: listed, made, changed by merge, with entity tags.

use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::App;
use super::audit::Change;
use super::error::Error;
use super::events::actor;
use super::page::PageRequest;
use super::principal::Principal;
use super::views::Page;
use crate::activities::desk::{
    Desk, DeskError, Found, Query, comments, find, list, search_tickets, threads,
};
use crate::domain::desk::{RecordKind, comment, csat, ticket};
use crate::domain::problem::Problem;
use crate::store::tenant::TenantView;

pub use crate::activities::desk::TicketQuery;

/// A record as it is kept.
pub type Record = Map<String, Value>;

/// Which version of a record a change is meant for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition(Option<Vec<String>>);

/// How the comments on a record are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommentForm {
    /// One after another, oldest first.
    Flat,
    /// As conversations, each with its replies.
    Threads,
}

/// What is done to a ticket as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TicketAction {
    /// Puts it away.
    Archive,
    /// Takes it back.
    Unarchive,
    /// Marks that it needs attention.
    Escalate,
    /// Takes that mark away.
    Unescalate,
    /// Gives it to an agent, named by id or mail address, or to nobody.
    Assign(Option<String>),
    /// Adds tags.
    AddTags(Vec<String>),
    /// Removes tags.
    RemoveTags(Vec<String>),
    /// Asks the customer for an opinion.
    SendSurvey,
    /// Notes the customer's opinion.
    AnswerSurvey {
        /// From 1 to 5.
        rating: Value,
        /// In words, or null.
        comment: Value,
    },
}

impl TicketAction {
    /// Returns the word for it in the audit.
    const fn name(&self) -> &'static str {
        match self {
            TicketAction::Archive => "archive",
            TicketAction::Unarchive => "unarchive",
            TicketAction::Escalate => "escalate",
            TicketAction::Unescalate => "unescalate",
            TicketAction::Assign(_) => "assign",
            TicketAction::AddTags(_) => "addTags",
            TicketAction::RemoveTags(_) => "removeTags",
            TicketAction::SendSurvey => "sendSurvey",
            TicketAction::AnswerSurvey { .. } => "answerSurvey",
        }
    }
}

/// What is done to a comment's reactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Adds one.
    Add(String),
    /// Takes one away.
    Remove(String),
}

/// Returns the strong entity tag of a record: it changes with any field.
#[must_use]
pub fn tag_of(record: &Record) -> String {
    let bytes = serde_json::to_vec(record).expect("a record has only JSON-safe fields");
    format!("\"{:016x}\"", xxh3_64(&bytes))
}

impl Precondition {
    /// Allows any version.
    #[must_use]
    pub fn none() -> Precondition {
        Precondition(None)
    }

    /// Allows the versions with these tags; `*` allows any that exists.
    #[must_use]
    pub fn any_of(tags: Vec<String>) -> Precondition {
        Precondition(Some(tags))
    }

    /// Compares with the version that there is.
    ///
    /// # Errors
    /// `Stale` with the present tag.
    pub fn check(&self, present: &str) -> Result<(), Error> {
        let Some(tags) = &self.0 else { return Ok(()) };
        let is_present =
            |tag: &String| tag == "*" || tag.trim_matches('"') == present.trim_matches('"');
        if tags.iter().any(is_present) {
            return Ok(());
        }
        Err(Error::Stale { etag: present.to_owned() })
    }
}

impl App {
    /// Lists records of a kind, newest first, narrowed to those that contain `text`.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn records(
        &self,
        who: &Principal,
        kind: RecordKind,
        text: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<Record>, Error> {
        let query = Query {
            text: text.map(str::to_owned),
            before: page.after.clone(),
            limit: Some(page.limit),
        };
        self.read(who, |view| {
            let mut found = list(&view, kind, &query)?;
            let mut seen = Vec::with_capacity(found.items.len());
            for record in found.items {
                if check_sight(&view, who, kind, &record).is_ok() {
                    seen.push(record);
                }
            }
            found.items = seen;
            Ok(found.into())
        })
    }

    /// Lists tickets, newest first.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn tickets(
        &self,
        who: &Principal,
        query: TicketQuery,
        page: &PageRequest,
    ) -> Result<Page<Record>, Error> {
        let (before, limit) = (page.after.clone(), Some(page.limit));
        let query = TicketQuery { before, limit, teams: who.teams.clone(), ..query };
        self.read(who, |view| Ok(search_tickets(&view, &query, None)?.into()))
    }

    /// Returns one record, by its id or its natural key.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn record(&self, who: &Principal, kind: RecordKind, key: &str) -> Result<Record, Error> {
        self.read(who, |view| {
            let missing = || Error::NotFound { what: kind.name(), id: key.to_owned() };
            let found = find(&view, kind, key)?.ok_or_else(missing)?;
            check_sight(&view, who, kind, &found)?;
            Ok(found)
        })
    }

    /// Makes a record.
    ///
    /// # Errors
    /// `Invalid` with every problem of the input, `Conflict` for a key that is taken.
    pub async fn create_record(
        &self,
        who: &Principal,
        kind: RecordKind,
        input: Record,
    ) -> Result<Record, Error> {
        let change = Change::of(format!("{}.create", kind.name()), "");
        let teams = who.clone();
        self.change(who, (kind, change), move |desk, _| {
            let made = desk.create(kind, &input)?;
            check_sight(&desk.view(), &teams, kind, &made)?;
            Ok(made)
        })
        .await
    }

    /// Changes the fields that `patch` gives; null clears one.
    ///
    /// # Errors
    /// `NotFound`, `Stale` for another version, `Invalid` with every problem, `Conflict`.
    pub async fn update_record(
        &self,
        who: &Principal,
        (kind, key): (RecordKind, &str),
        patch: Record,
        precondition: Precondition,
    ) -> Result<Record, Error> {
        let (key, teams) = (key.to_owned(), who.clone());
        let change = Change::of(format!("{}.update", kind.name()), "");
        self.change(who, (kind, change), move |desk, change| {
            let before = desk.get(kind, &key)?;
            check_sight(&desk.view(), &teams, kind, &before)?;
            precondition.check(&tag_of(&before))?;
            note_before(change, kind, &before);
            let after = desk.update(kind, &key, &patch)?;
            check_team(&teams, kind, &after)?;
            Ok(after)
        })
        .await
    }

    /// Removes a record and what cannot stand without it.
    ///
    /// # Errors
    /// `NotFound`, `Stale` for another version, `Conflict` when others need it.
    pub async fn remove_record(
        &self,
        who: &Principal,
        (kind, key): (RecordKind, &str),
        precondition: Precondition,
    ) -> Result<Record, Error> {
        let (key, teams) = (key.to_owned(), who.clone());
        let change = Change::of(format!("{}.remove", kind.name()), "");
        self.change(who, (kind, change), move |desk, _| {
            let before = desk.get(kind, &key)?;
            check_sight(&desk.view(), &teams, kind, &before)?;
            precondition.check(&tag_of(&before))?;
            Ok(desk.remove(kind, &key)?)
        })
        .await
    }

    /// Does something to a ticket as a whole.
    ///
    /// # Errors
    /// `NotFound`, `Stale` for another version, `Invalid` when the ticket does not allow it.
    pub async fn act_on_ticket(
        &self,
        who: &Principal,
        key: &str,
        action: TicketAction,
        precondition: Precondition,
    ) -> Result<Record, Error> {
        let (key, teams, kind) = (key.to_owned(), who.clone(), RecordKind::Ticket);
        let change = Change::of(format!("ticket.{}", action.name()), "");
        self.change(who, (kind, change), move |desk, change| {
            let before = desk.get(kind, &key)?;
            check_sight(&desk.view(), &teams, kind, &before)?;
            precondition.check(&tag_of(&before))?;
            note_before(change, kind, &before);
            let acted = desk.apply(RecordKind::Ticket, &key, |current, facts| match &action {
                TicketAction::Archive => Ok(ticket::archive(current, facts)),
                TicketAction::Unarchive => Ok(ticket::unarchive(current, facts)),
                TicketAction::Escalate => ticket::escalate(current, facts),
                TicketAction::Unescalate => ticket::unescalate(current, facts),
                TicketAction::Assign(agent) => ticket::assign(current, agent.as_deref(), facts),
                TicketAction::AddTags(tags) => ticket::add_tags(current, tags, facts),
                TicketAction::RemoveTags(tags) => ticket::remove_tags(current, tags, facts),
                TicketAction::SendSurvey => Ok(csat::send(current, facts)),
                TicketAction::AnswerSurvey { rating, comment } => {
                    csat::receive(current, rating, comment, facts)
                }
            });
            Ok(acted?)
        })
        .await
    }

    /// Lists the comments on a record, oldest first.
    ///
    /// # Errors
    /// `NotFound` when there is no such record.
    pub fn comments_on(
        &self,
        who: &Principal,
        (kind, key): (RecordKind, &str),
        form: CommentForm,
        page: &PageRequest,
    ) -> Result<Page<Record>, Error> {
        let id = id_of(&self.record(who, kind, key)?);
        let all = self.read(who, |view| {
            Ok(match form {
                CommentForm::Flat => comments(&view, &id)?,
                CommentForm::Threads => threads(&view, &id)?,
            })
        })?;
        let text = |record: &Record, name: &str| {
            record.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        Ok(page.cut(all, |record| format!("{} {}", text(record, "createdAt"), text(record, "id"))))
    }

    /// Adds a comment to a record.
    ///
    /// # Errors
    /// `NotFound` when there is no such record, `Invalid` with every problem of the input.
    pub async fn comment_on(
        &self,
        who: &Principal,
        (kind, key): (RecordKind, &str),
        mut input: Record,
    ) -> Result<Record, Error> {
        let id = id_of(&self.record(who, kind, key)?);
        let problems: Vec<Problem> = [("entityId", id.as_str()), ("entityType", kind.name())]
            .into_iter()
            .filter(|(name, own)| input.get(*name).is_some_and(|given| given != own))
            .map(|(name, own)| {
                let detail = format!("contradicts the path, which says `{own}`");
                Problem::new(format!("/{name}"), "contradiction", detail)
            })
            .collect();
        if !problems.is_empty() {
            return Err(Error::Invalid(problems));
        }
        input.insert("entityId".to_owned(), id.into());
        input.insert("entityType".to_owned(), kind.name().into());
        self.create_record(who, RecordKind::Comment, input).await
    }

    /// Adds the caller's reaction to a comment or takes it away.
    ///
    /// # Errors
    /// `NotFound` when there is no such comment.
    pub async fn react(
        &self,
        who: &Principal,
        key: &str,
        reaction: Reaction,
    ) -> Result<Record, Error> {
        let (key, user) = (key.to_owned(), who.id.clone());
        let kind = RecordKind::Comment;
        let change = Change::of("comment.react", "");
        let teams = who.clone();
        self.change(who, (kind, change), move |desk, _| {
            check_sight(&desk.view(), &teams, kind, &desk.get(kind, &key)?)?;
            let reacted = desk.apply(RecordKind::Comment, &key, |current, facts| {
                Ok(match &reaction {
                    Reaction::Add(emoji) => comment::add_reaction(current, emoji, &user, facts),
                    Reaction::Remove(emoji) => {
                        comment::remove_reaction(current, emoji, &user, facts)
                    }
                })
            });
            Ok(reacted?)
        })
        .await
    }

    /// Lists the notes, tasks, activities or relationships of an account, newest first.
    ///
    /// # Errors
    /// `NotFound` when there is no such account.
    pub fn entries_of(
        &self,
        who: &Principal,
        account: &str,
        kind: RecordKind,
    ) -> Result<Vec<Record>, Error> {
        let id = id_of(&self.record(who, RecordKind::Account, account)?);
        self.read(who, |view| {
            let mut entries = Vec::new();
            for child in view.children(kind, &id)?.into_iter().rev() {
                entries.extend(view.record(kind, &child)?);
            }
            Ok(entries)
        })
    }

    pub(super) async fn change(
        &self,
        who: &Principal,
        (kind, change): (RecordKind, Change),
        decide: impl FnOnce(&mut Desk<'_, '_, '_>, &mut Change) -> Result<Record, Error>
        + Send
        + 'static,
    ) -> Result<Record, Error> {
        let caller = self.engine().activities().caller(actor(who), None);
        self.write(who, change, move |tx, change| {
            let record = decide(&mut Desk::new(tx, &caller), change)?;
            change.target(id_of(&record));
            if kind != RecordKind::Comment && change.has_before() {
                change.after(&record);
            }
            Ok(record)
        })
        .await
    }
}

/// What people wrote to each other stays out of a record that nobody can take back.
fn note_before(change: &mut Change, kind: RecordKind, record: &Record) {
    if kind != RecordKind::Comment {
        change.before(record);
    }
}

/// Hides also what people wrote about tickets of other teams.
fn check_sight(
    view: &TenantView<'_>,
    who: &Principal,
    kind: RecordKind,
    record: &Record,
) -> Result<(), Error> {
    let ticket = record.get("entityId").and_then(Value::as_str);
    match (kind, ticket) {
        (RecordKind::Comment, Some(ticket)) if !who.teams.is_empty() => {
            match view.record(RecordKind::Ticket, ticket)? {
                Some(ticket) => check_team(who, RecordKind::Ticket, &ticket),
                None => Ok(()), // It is about something else.
            }
        }
        _ => check_team(who, kind, record), // Whatever is no comment.
    }
}

/// Hides the tickets of other teams from whoever is limited to some.
fn check_team(who: &Principal, kind: RecordKind, record: &Record) -> Result<(), Error> {
    let team = record.get("teamId").and_then(Value::as_str).unwrap_or_default();
    if kind != RecordKind::Ticket || who.sees_team(team) {
        return Ok(());
    }
    Err(Error::NotFound { what: kind.name(), id: id_of(record) })
}

fn id_of(record: &Record) -> String {
    record.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl From<Found> for Page<Record> {
    fn from(found: Found) -> Page<Record> {
        Page { data: found.items, next_cursor: found.next }
    }
}

impl From<DeskError> for Error {
    fn from(error: DeskError) -> Error {
        match error {
            DeskError::NotFound { kind, id } | DeskError::OtherTeam { kind, id } => {
                Error::NotFound { what: kind.name(), id }
            }
            DeskError::Invalid(problems) => Error::Invalid(problems),
            DeskError::Conflict { code, detail } => {
                let code = match code.as_str() {
                    "in_use" => "in_use",
                    "protected" => "protected",
                    "too_many" => "too_many",
                    _ => "duplicate", // Another record has its key.
                };
                Error::Conflict { code, detail }
            }
            DeskError::Store(error) => error.into(),
        }
    }
}
