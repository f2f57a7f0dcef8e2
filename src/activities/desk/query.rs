//! Reading records: by key, in lists, and comments as conversations.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::index::natural_field;
use crate::domain::desk::RecordKind;
use crate::domain::filter::Filter;
use crate::domain::scope::Scope;
use crate::store::seam::StoreError;
use crate::store::tenant::TenantView;

type Record = Map<String, Value>;

/// How many records a search reads at most before it answers with what it has.
const SCANNED_ROWS_MAX: usize = 5_000;
const CHUNK_ROWS: usize = 500;
const ITEMS_DEFAULT: usize = 50;
const ITEMS_MAX: usize = 500;

/// What a list of records of any kind is narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Query {
    /// Words that some text of the record contains, in any case.
    #[serde(rename = "q")]
    pub text: Option<String>,
    /// Only records that are older than the one of this id.
    pub before: Option<String>,
    /// How many to answer, at most 500; 50 unless told.
    pub limit: Option<usize>,
}

/// What a search for tickets is narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct TicketQuery {
    /// A status, by name or id; one of the four also finds those below it.
    #[serde(alias = "statusName", alias = "statusId")]
    pub status: Option<String>,
    /// A priority, by name or id.
    #[serde(alias = "priorityName", alias = "priorityId")]
    pub priority: Option<String>,
    /// A team, by id or identifier.
    #[serde(alias = "team")]
    pub team_id: Option<String>,
    /// The ids of the teams that whoever asks may see; none for every team.
    #[serde(skip)]
    pub teams: Vec<String>,
    /// An account, by id or domain.
    #[serde(alias = "account")]
    pub account_id: Option<String>,
    /// An agent, by id or mail address.
    #[serde(alias = "assignedAgentEmail", alias = "agentId", alias = "assignedAgent")]
    pub assigned_agent_id: Option<String>,
    /// Who asks, by mail address or contact id.
    #[serde(alias = "requestor", alias = "customerContactId")]
    pub requestor_email: Option<String>,
    /// Only archived tickets, or only others.
    pub is_archived: Option<bool>,
    /// Words that the ticket's texts contain, in any case.
    #[serde(rename = "q", alias = "text", alias = "query")]
    pub text: Option<String>,
    /// Only tickets that are older than the one of this id.
    pub before: Option<String>,
    /// How many to answer, at most 500; 50 unless told.
    pub limit: Option<usize>,
}

/// What a search found, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Found {
    /// How many records match among those that were read.
    pub total: usize,
    /// The first of them.
    pub items: Vec<Record>,
    /// Whether older records were left unread.
    pub truncated: bool,
    /// The `before` of the next page, if there is one.
    pub next: Option<String>,
}

/// Returns the record that `key` names by its id or its natural key, in any case.
///
/// # Errors
/// Fails on an unreadable or damaged record.
pub fn find(
    view: &TenantView<'_>,
    kind: RecordKind,
    key: &str,
) -> Result<Option<Record>, StoreError> {
    let key = key.trim();
    if key.is_empty() {
        return Ok(None);
    }
    if let Some(record) = view.record(kind, key)? {
        return Ok(Some(record));
    }
    let Some(field) = natural_field(kind) else { return Ok(None) };
    match view.holder(kind, field, key)? {
        Some(id) => view.record(kind, &id),
        None => Ok(None),
    }
}

/// Returns records of `kind`, newest first.
///
/// # Errors
/// Fails on an unreadable or damaged record.
pub fn list(view: &TenantView<'_>, kind: RecordKind, query: &Query) -> Result<Found, StoreError> {
    let words = query.text.as_deref().map(str::to_lowercase);
    let is_wanted = |record: &Record| {
        words.as_ref().is_none_or(|words| {
            let texts = record.values().filter_map(Value::as_str);
            texts.into_iter().any(|text| text.to_lowercase().contains(words))
        })
    };
    page(view, kind, query.before.as_deref(), query.limit, is_wanted)
}

/// Returns the tickets that match `query`, newest first.
///
/// # Errors
/// Fails on an unreadable or damaged record.
pub fn search_tickets(
    view: &TenantView<'_>,
    query: &TicketQuery,
    filter: Option<&Filter>,
) -> Result<Found, StoreError> {
    let holds = |ticket: &Record| {
        filter.is_none_or(|filter| {
            let payload = Value::Object(ticket.clone());
            filter.matches(&Scope::of_event(json!({ "payload": payload })))
        })
    };
    let is_wanted = |ticket: &Record| query.matches(ticket) && holds(ticket);
    page(view, RecordKind::Ticket, query.before.as_deref(), query.limit, is_wanted)
}

impl TicketQuery {
    fn matches(&self, ticket: &Record) -> bool {
        let is = |wanted: &Option<String>, names: &[&str]| {
            wanted.as_ref().is_none_or(|wanted| {
                let mut known = names.iter().filter_map(|name| ticket.get(*name)?.as_str());
                known.any(|known| plain(known) == plain(wanted))
            })
        };
        let domain =
            ticket.get("account").and_then(|account| account.get("primaryDomain")?.as_str());
        let is_archived = ticket.get("isArchived") == Some(&json!(true));
        is(&self.status, &["statusName", "statusId", "parentStatusName"])
            && is(&self.priority, &["priorityName", "priorityId"])
            && is(&self.team_id, &["teamId", "teamIdentifier", "teamName"])
            && (self.teams.is_empty()
                || self
                    .teams
                    .iter()
                    .any(|team| ticket.get("teamId").is_some_and(|own| own == team)))
            && is(&self.assigned_agent_id, &["assignedAgentId", "assignedAgentEmail"])
            && is(&self.requestor_email, &["requestorEmail", "customerContactId"])
            && (is(&self.account_id, &["accountId"]) || domain == self.account_id.as_deref())
            && self.is_archived.is_none_or(|wanted| wanted == is_archived)
            && self.text.as_ref().is_none_or(|words| speaks_of(ticket, words))
    }
}

/// Returns the comments on a record, oldest first.
///
/// # Errors
/// Fails on an unreadable or damaged record.
pub fn comments(view: &TenantView<'_>, entity_id: &str) -> Result<Vec<Record>, StoreError> {
    let mut comments = Vec::new();
    for id in view.children(RecordKind::Comment, entity_id)? {
        comments.extend(view.record(RecordKind::Comment, &id)?);
    }
    comments.sort_by_cached_key(|comment| {
        let text = |name: &str| comment.get(name).and_then(Value::as_str).map(str::to_owned);
        (text("createdAt"), text("id"))
    });
    Ok(comments)
}

/// Returns the conversations on a record, oldest first: each comment that answers none, with
/// `replies` below it at every depth.
///
/// # Errors
/// Fails on an unreadable or damaged record.
pub fn threads(view: &TenantView<'_>, entity_id: &str) -> Result<Vec<Record>, StoreError> {
    let all = comments(view, entity_id)?;
    let is_known = |id: &Value| all.iter().any(|comment| comment.get("id") == Some(id));
    let is_top = |comment: &&Record| comment.get("parentCommentId").is_none_or(|id| !is_known(id));
    Ok(all.iter().filter(is_top).map(|comment| with_replies(comment, &all)).collect())
}

/// Returns the conversation that begins with the comment `id`.
///
/// # Errors
/// Fails on an unreadable or damaged record.
pub fn thread(view: &TenantView<'_>, id: &str) -> Result<Option<Record>, StoreError> {
    let Some(comment) = view.record(RecordKind::Comment, id)? else { return Ok(None) };
    let entity = comment.get("entityId").and_then(Value::as_str).unwrap_or_default();
    Ok(Some(with_replies(&comment, &comments(view, entity)?)))
}

/// A comment answers only an older one, so no circle can be made.
fn with_replies(comment: &Record, all: &[Record]) -> Record {
    let is_reply = |other: &&Record| other.get("parentCommentId") == comment.get("id");
    let replies = all.iter().filter(is_reply).map(|reply| with_replies(reply, all));
    let replies = replies.map(Value::Object).collect();
    let mut comment = comment.clone();
    comment.insert("replies".to_owned(), Value::Array(replies));
    comment
}

fn page(
    view: &TenantView<'_>,
    kind: RecordKind,
    before: Option<&str>,
    limit: Option<usize>,
    is_wanted: impl Fn(&Record) -> bool,
) -> Result<Found, StoreError> {
    let limit = limit.unwrap_or(ITEMS_DEFAULT).clamp(1, ITEMS_MAX);
    let (mut items, unread) = scan(view, kind, before, is_wanted)?;
    let total = items.len();
    let is_cut = total > limit;
    items.truncate(limit);
    let last = items.last().and_then(|record| record.get("id")?.as_str().map(str::to_owned));
    let next = if is_cut { last } else { unread.clone() };
    Ok(Found { total, items, truncated: unread.is_some(), next })
}

/// Returns the wanted records, newest first, and the id of the last that was read if it was not the
/// oldest.
pub(super) fn scan(
    view: &TenantView<'_>,
    kind: RecordKind,
    before: Option<&str>,
    is_wanted: impl Fn(&Record) -> bool,
) -> Result<(Vec<Record>, Option<String>), StoreError> {
    let mut wanted = Vec::new();
    let mut before = before.map(str::to_owned);
    for _ in 0..SCANNED_ROWS_MAX / CHUNK_ROWS {
        let rows = view.records_before(kind, before.as_deref(), CHUNK_ROWS)?;
        let is_last = rows.len() < CHUNK_ROWS;
        before = rows.last().and_then(|row| row.get("id")?.as_str().map(str::to_owned));
        wanted.extend(rows.into_iter().filter(&is_wanted));
        if is_last {
            return Ok((wanted, None));
        }
    }
    Ok((wanted, before))
}

fn speaks_of(ticket: &Record, words: &str) -> bool {
    const TEXTS: [&str; 6] = [
        "title",
        "description",
        "ticketIdentifier",
        "requestorEmail",
        "customerContactFirstName",
        "id",
    ];
    let words = words.to_lowercase();
    let tags = ticket.get("tags").and_then(Value::as_array).into_iter().flatten();
    let texts = TEXTS.iter().filter_map(|name| ticket.get(*name)).chain(tags);
    texts.filter_map(Value::as_str).any(|text| text.to_lowercase().contains(&words))
}

fn plain(text: &str) -> String {
    text.trim().to_lowercase().replace(['_', '-'], " ")
}
