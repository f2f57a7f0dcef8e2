//! Tickets: their fields, and the rules of status, priority, assignment, tags and archive.

use serde_json::{Map, Value, json};

use super::choice::{self, CLOSED, Choice};
use super::draft::{Draft, contradiction, excerpt, part, touched};
use super::field::{
    CREATED_AT, CUSTOM_FIELD_VALUES, CUSTOM_FIELDS, Field, FieldType, ID, LONG_TEXT, METADATA,
    TEXT, UPDATED_AT,
};
use super::{Facts, RecordKind, ticket_status};
use crate::domain::problem::Problem;

use FieldType::{Any, Bool, Email, Enum, List, Map as Object, Number, Ref, Timestamp};

const TAG: FieldType = FieldType::Text { max: 50 };
const CHANNELS: FieldType = Enum(&["email", "slack", "msteams", "web", "api"]);

/// The fields of a ticket.
pub const FIELDS: &[Field] = &[
    ID,
    Field::new("ticketId", Number, "The number in its team, from 1").system(),
    Field::new("ticketIdentifier", TEXT, "The team's identifier and the number: `WED-5`").system(),
    Field::new("title", FieldType::Text { max: 500 }, "What it is about").required(),
    Field::new("description", LONG_TEXT, "The request in full"),
    Field::new("status", TEXT, "The status in lower case; accepts its name or id")
        .follows("statusName"),
    Field::new("statusId", TEXT, "The status's id; accepts its name").follows("statusName"),
    Field::new("statusName", TEXT, "The status: Open, In progress, On hold, Closed or one below"),
    Field::new("parentStatusName", TEXT, "The status among the four that it stands under")
        .system()
        .follows("statusName"),
    Field::new("priority", TEXT, "The priority in lower case; accepts its name or id")
        .follows("priorityName"),
    Field::new("priorityId", TEXT, "The priority's id; accepts its name").follows("priorityName"),
    Field::new("priorityName", TEXT, "The priority: low, medium, high or urgent"),
    Field::new("sentiment", TEXT, "The sentiment; accepts its name or id").follows("sentimentName"),
    Field::new("sentimentId", TEXT, "The sentiment's id; accepts its name")
        .follows("sentimentName"),
    Field::new("sentimentName", TEXT, "The sentiment: positive, neutral or negative"),
    Field::new("type", TEXT, "The type, such as INCIDENT or PROBLEM"),
    Field::new("typeId", TEXT, "The type's id; accepts its name").follows("type"),
    Field::new("teamId", Ref(RecordKind::Team), "The team that has it; accepts an identifier")
        .required(),
    Field::new("teamName", TEXT, "The team's name").system().follows("teamId"),
    Field::new("teamIdentifier", TEXT, "The team's identifier").system().follows("teamId"),
    Field::new("subTeamId", Ref(RecordKind::Team), "The team within the team"),
    Field::new("subTeamName", TEXT, "The inner team's name").system().follows("subTeamId"),
    Field::new("subTeamIdentifier", TEXT, "The inner team's identifier")
        .system()
        .follows("subTeamId"),
    Field::new("requestorEmail", Email, "Who asks").required().initial(),
    Field::new("submitterEmail", Email, "Who wrote it down, if another").initial(),
    Field::new("customer", Any, "Who asks: id, email and name").system().follows("requestorEmail"),
    Field::new("customerContactId", TEXT, "The contact who asks")
        .system()
        .follows("requestorEmail"),
    Field::new("customerContactFirstName", TEXT, "The contact's first name")
        .system()
        .follows("requestorEmail"),
    Field::new("customerContactLastName", TEXT, "The contact's last name")
        .system()
        .follows("requestorEmail"),
    Field::new("customerContactEmail", TEXT, "The contact's mail address")
        .system()
        .follows("requestorEmail"),
    Field::new("accountId", Ref(RecordKind::Account), "The customer; found by contact or domain"),
    Field::new("account", Any, "The customer: id, name and domain").system().follows("accountId"),
    Field::new("assignedAgentId", Ref(RecordKind::User), "Who works on it"),
    Field::new("assignedAgentEmail", Email, "The agent's mail address").follows("assignedAgentId"),
    Field::new("assignedTo", TEXT, "The agent's id").system().follows("assignedAgentId"),
    Field::new("assignedAgent", Any, "The agent: id, uid, email and name")
        .system()
        .follows("assignedAgentId"),
    Field::new("assignedAgentAvatar", TEXT, "The agent's picture")
        .system()
        .follows("assignedAgentId"),
    Field::new("tags", List(&TAG), "The tags, each once"),
    Field::new("isEscalated", Bool, "Whether it is escalated"),
    Field::new("isArchived", Bool, "Whether it is archived").system(),
    Field::new("isPrivate", Bool, "Whether only its team sees it"),
    Field::new("isProactive", Bool, "Whether we began it"),
    Field::new("proactiveChannels", List(&CHANNELS), "Where we wrote first"),
    Field::new("source", TEXT, "Where it came from, such as EMAIL, Slack or web"),
    Field::new("dueDate", Timestamp, "When it should be done"),
    Field::new("storyPoints", Number, "Its size"),
    Field::new("parentTicketId", Ref(RecordKind::Ticket), "The ticket that it is part of"),
    Field::new("formId", TEXT, "The form that made it").initial(),
    Field::new("attachmentUrls", List(&LONG_TEXT), "Addresses of attached files"),
    Field::new("aiGeneratedTitle", TEXT, "A title made by a model"),
    Field::new("aiGeneratedSummary", LONG_TEXT, "A summary made by a model"),
    CUSTOM_FIELD_VALUES,
    CUSTOM_FIELDS,
    METADATA,
    Field::new("deDuplicationKey", TEXT, "A second creation with it makes no second ticket")
        .initial(),
    Field::new("performRouting", Bool, "Whether routing rules choose the team").initial().unkept(),
    Field::new("commentContent", LONG_TEXT, "The first comment").initial().unkept(),
    Field::new("commentContentHtml", LONG_TEXT, "The first comment as HTML").initial().unkept(),
    Field::new("commentContentJson", Any, "The first comment as a document").initial().unkept(),
    Field::new("commentAttachmentIds", List(&TEXT), "The first comment's files").initial().unkept(),
    Field::new("commentMetadata", Object, "The first comment's metadata").initial().unkept(),
    Field::new("commentImpersonatedUserName", TEXT, "Whom the first comment names as its author")
        .initial()
        .unkept(),
    Field::new("commentImpersonatedUserEmail", Email, "That author's mail address")
        .initial()
        .unkept(),
    Field::new("commentImpersonatedUserAvatar", LONG_TEXT, "That author's picture")
        .initial()
        .unkept(),
    Field::new("lastCustomerComment", Timestamp, "When the customer last wrote")
        .system()
        .volatile(),
    Field::new("lastVendorComment", Timestamp, "When we last wrote").system().volatile(),
    Field::new("lastVendorReply", Timestamp, "When we last wrote so that the customer sees it")
        .system()
        .volatile(),
    Field::new("sla", Any, "How it stands against what was promised").system().volatile(),
    Field::new("csat", Any, "The survey: sentAt, rating, comment and receivedAt").system(),
    Field::new("closedAt", Timestamp, "When it was closed").follows("statusName"),
    Field::new("closedById", Ref(RecordKind::User), "Who closed it").follows("statusName"),
    Field::new("archivedAt", Timestamp, "When it was archived").system().follows("isArchived"),
    CREATED_AT,
    UPDATED_AT,
    Field::new("deletedAt", Timestamp, "When it was deleted").system(),
];

const STATUS: [&str; 3] = ["statusName", "statusId", "status"];
const PRIORITY: [&str; 3] = ["priorityName", "priorityId", "priority"];
const SENTIMENT: [&str; 3] = ["sentimentName", "sentimentId", "sentiment"];

/// What a new one begins with.
pub(super) fn begin(draft: &mut Draft<'_>) {
    set_team(draft);
    let number = draft.facts().number;
    draft.set("ticketId", json!(number));
    let identifier = draft.text("teamIdentifier").unwrap_or_default().to_owned();
    draft.set("ticketIdentifier", json!(format!("{identifier}-{number}")));
    set_customer(draft);
}

/// Returns the ticket as archived; unchanged if it is already.
#[must_use]
pub fn archive(current: &Map<String, Value>, facts: &Facts<'_>) -> Map<String, Value> {
    if is_archived(current) {
        return current.clone();
    }
    let mut ticket = touched(current.clone(), facts);
    ticket.insert("isArchived".to_owned(), json!(true));
    ticket.insert("archivedAt".to_owned(), json!(facts.now));
    ticket
}

/// Returns the ticket as no longer archived; unchanged if it is not.
#[must_use]
pub fn unarchive(current: &Map<String, Value>, facts: &Facts<'_>) -> Map<String, Value> {
    if !is_archived(current) {
        return current.clone();
    }
    let mut ticket = touched(current.clone(), facts);
    ticket.insert("isArchived".to_owned(), json!(false));
    ticket.insert("archivedAt".to_owned(), Value::Null);
    ticket
}

/// Returns the ticket as escalated; unchanged if it is already.
///
/// # Errors
/// Returns that the ticket is archived if it is.
pub fn escalate(
    current: &Map<String, Value>,
    facts: &Facts<'_>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    super::update(RecordKind::Ticket, current, &only("isEscalated", json!(true)), facts)
}

/// Returns the ticket as no longer escalated; unchanged if it is not.
///
/// # Errors
/// Returns that the ticket is archived if it is.
pub fn unescalate(
    current: &Map<String, Value>,
    facts: &Facts<'_>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    super::update(RecordKind::Ticket, current, &only("isEscalated", json!(false)), facts)
}

/// Returns the ticket with the agent whom `agent` names by id or mail address; `None` unassigns.
///
/// # Errors
/// Returns that the agent is unknown or that the ticket is archived.
pub fn assign(
    current: &Map<String, Value>,
    agent: Option<&str>,
    facts: &Facts<'_>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    super::update(RecordKind::Ticket, current, &only("assignedAgentId", json!(agent)), facts)
}

/// Returns the ticket with `tags` added behind those that it has, each once.
///
/// # Errors
/// Returns every fault of the tags, or that the ticket is archived.
pub fn add_tags(
    current: &Map<String, Value>,
    tags: &[String],
    facts: &Facts<'_>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let mut all = tags_of(current);
    all.extend(tags.iter().map(|tag| json!(tag)));
    super::update(RecordKind::Ticket, current, &only("tags", Value::Array(all)), facts)
}

/// Returns the ticket without `tags`; those that it does not have are no fault.
///
/// # Errors
/// Returns that the ticket is archived if it is.
pub fn remove_tags(
    current: &Map<String, Value>,
    tags: &[String],
    facts: &Facts<'_>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let is_kept = |tag: &Value| !tags.iter().any(|gone| same_tag(tag, &json!(gone)));
    let kept: Vec<Value> = tags_of(current).into_iter().filter(is_kept).collect();
    super::update(RecordKind::Ticket, current, &only("tags", Value::Array(kept)), facts)
}

/// Returns the input of the first comment, without its `entityId`, if the creation of a ticket
/// carries one.
#[must_use]
pub fn first_comment(input: &Map<String, Value>) -> Option<Map<String, Value>> {
    const NAMES: [(&str, &str); 8] = [
        ("commentContent", "content"),
        ("commentContentHtml", "contentHtml"),
        ("commentContentJson", "contentJson"),
        ("commentAttachmentIds", "attachmentIds"),
        ("commentMetadata", "metadata"),
        ("commentImpersonatedUserName", "impersonatedUserName"),
        ("commentImpersonatedUserEmail", "impersonatedUserEmail"),
        ("commentImpersonatedUserAvatar", "impersonatedUserAvatar"),
    ];
    let has_content = NAMES[..3].iter().any(|(name, _)| input.get(*name).is_some_and(is_set));
    let given = NAMES.iter().filter_map(|(name, own)| {
        let value = input.get(*name).filter(|value| is_set(value))?;
        Some(((*own).to_owned(), value.clone()))
    });
    has_content.then(|| given.collect())
}

/// Returns the ticket with the time of `comment` noted as the customer's or our last one; this
/// alone emits nothing.
#[must_use]
pub fn commented(ticket: &Map<String, Value>, comment: &Map<String, Value>) -> Map<String, Value> {
    let is_customer = comment.get("authorUserType") == Some(&json!("CUSTOMER"));
    let name = if is_customer { "lastCustomerComment" } else { "lastVendorComment" };
    let mut ticket = ticket.clone();
    ticket.insert(name.to_owned(), part(Some(comment), "createdAt"));
    if !is_customer && comment.get("commentVisibility") != Some(&json!("private")) {
        ticket.insert("lastVendorReply".to_owned(), part(Some(comment), "createdAt"));
    }
    ticket
}

/// Returns the ticket in the status `name`, archived or not, as when the status that it had ends.
///
/// # Errors
/// Returns that there is no such status.
pub fn restatus(
    current: &Map<String, Value>,
    name: &str,
    facts: &Facts<'_>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let mut draft =
        Draft::update(RecordKind::Ticket, current, &only("statusName", json!(name)), facts);
    set_status(&mut draft);
    draft.finish()
}

pub(super) fn refuse_archived(current: &Map<String, Value>) -> Result<(), Vec<Problem>> {
    if !is_archived(current) {
        return Ok(());
    }
    let problem = Problem::new("", "archived", "the ticket is archived and takes no changes");
    Err(vec![problem.with_hint("unarchive it first")])
}

pub(super) fn set_team(draft: &mut Draft<'_>) {
    for (id, name, identifier) in [
        ("teamId", "teamName", "teamIdentifier"),
        ("subTeamId", "subTeamName", "subTeamIdentifier"),
    ] {
        if draft.given(id).is_some() {
            let team = draft.referenced(id);
            let (title, short) = (part(team, "name"), part(team, "identifier"));
            draft.set(name, title);
            draft.set(identifier, short);
        }
    }
}

fn set_customer(draft: &mut Draft<'_>) {
    let Some(email) = draft.text("requestorEmail").map(str::to_owned) else { return };
    let contact = (draft.related().get)(RecordKind::Contact, &email);
    let (id, first, last) = (
        part(contact.as_ref(), "id"),
        part(contact.as_ref(), "firstName"),
        part(contact.as_ref(), "lastName"),
    );
    let words: Vec<&str> = [&first, &last].into_iter().filter_map(|name| name.as_str()).collect();
    let name = if words.is_empty() { email.clone() } else { words.join(" ") };
    draft.set("customer", json!({ "id": id, "email": email, "name": name }));
    draft.set("customerContactId", id);
    draft.set("customerContactFirstName", first);
    draft.set("customerContactLastName", last);
    draft.set("customerContactEmail", json!(email));
    if draft.given("accountId").is_none() {
        find_account(draft, contact.as_ref(), &email);
    }
}

fn find_account(draft: &mut Draft<'_>, contact: Option<&Map<String, Value>>, email: &str) {
    let related = draft.related();
    let of_contact = contact
        .and_then(|contact| contact.get("accountIds")?.get(0)?.as_str())
        .and_then(|id| (related.get)(RecordKind::Account, id));
    let of_domain = || {
        let (_, domain) = email.rsplit_once('@')?;
        (related.get)(RecordKind::Account, domain)
    };
    let account = of_contact.or_else(of_domain);
    draft.set("accountId", part(account.as_ref(), "id"));
    draft.set("account", excerpt(account.as_ref(), &["id", "name", "primaryDomain"]));
}

/// What holds of every one.
pub(super) fn apply_rules(draft: &mut Draft<'_>) {
    if draft.given("accountId").is_some() {
        let account = excerpt(draft.referenced("accountId"), &["id", "name", "primaryDomain"]);
        draft.set("account", account);
    }
    set_agent(draft);
    set_status(draft);
    let priority = draft.chosen(&PRIORITY, &choice::priorities());
    let priority = match (priority, draft.current()) {
        (None, None) => Some(choice::find(&choice::priorities(), "medium").cloned()),
        (priority, _) => priority,
    };
    set_choice(draft, PRIORITY, priority);
    let sentiment = draft.chosen(&SENTIMENT, &choice::sentiments());
    set_choice(draft, SENTIMENT, sentiment);
    set_type(draft);
    draft.merge_custom_fields(|value| value);
    let was_closed =
        draft.current().is_some_and(|it| it.get("parentStatusName") == Some(&json!(CLOSED)));
    if !was_closed && draft.text("parentStatusName") == Some(CLOSED) {
        draft.require_custom_fields("mandatoryOnClose", "to be closed");
    }
    let tags = tags_once(draft.value("tags"));
    draft.set("tags", tags);
}

fn set_agent(draft: &mut Draft<'_>) {
    let by_email = match draft.given("assignedAgentEmail") {
        None => None,
        Some(Value::String(email)) => {
            let email = email.clone();
            let user = (draft.related().get)(RecordKind::User, &email);
            if user.is_none() {
                draft.refuse_unknown("assignedAgentEmail", RecordKind::User, &email);
            }
            Some(user)
        }
        Some(_) => Some(None),
    };
    let by_id = draft.given("assignedAgentId").is_some();
    let by_id = by_id.then(|| draft.referenced("assignedAgentId").cloned());
    if let (Some(one), Some(other)) = (&by_id, &by_email)
        && part(one.as_ref(), "id") != part(other.as_ref(), "id")
    {
        draft.refuse(contradiction(
            "/assignedAgentEmail",
            &["assignedAgentId", "assignedAgentEmail"],
        ));
    }
    let Some(agent) = by_id.or(by_email) else { return };
    let id = part(agent.as_ref(), "id");
    let mut shown = excerpt(agent.as_ref(), &["id", "email", "name"]);
    if !shown.is_null() {
        shown["uid"] = id.clone();
    }
    draft.set("assignedAgentId", id.clone());
    draft.set("assignedTo", id);
    draft.set("assignedAgentEmail", part(agent.as_ref(), "email"));
    draft.set("assignedAgentAvatar", part(agent.as_ref(), "avatarUrl"));
    draft.set("assignedAgent", shown);
}

fn set_status(draft: &mut Draft<'_>) {
    let team = draft.text("teamId").and_then(|id| (draft.related().get)(RecordKind::Team, id));
    let is_named = STATUS.iter().any(|name| draft.given(name).is_some());
    if draft.current().is_some() && !is_named {
        return refuse_closing_time(draft);
    }
    let own = (draft.related().all)(RecordKind::TicketStatus);
    let statuses = ticket_status::choices(team.as_ref(), &own);
    let was_closed = draft.text("parentStatusName") == Some(CLOSED);
    let status = match (draft.chosen(&STATUS, &statuses), draft.current()) {
        (None, None) => {
            let default = ticket_status::default_below(&statuses[0].name, team.as_ref(), &own);
            default.unwrap_or_else(|| statuses[0].clone())
        }
        (None, Some(_)) => return refuse_closing_time(draft),
        (Some(Some(status)), _) => status,
        (Some(None), _) => {
            let problem = Problem::new("/statusName", "required", "a ticket has a status");
            return draft.refuse(problem);
        }
    };
    let is_closed = status.parent == CLOSED;
    draft.set("parentStatusName", json!(status.parent));
    set_choice(draft, STATUS, Some(Some(status)));
    match (was_closed, is_closed) {
        (false, true) => {
            let closed_at = draft.given("closedAt").filter(|time| !time.is_null()).cloned();
            let closed_by = draft.given("closedById").cloned().unwrap_or(Value::Null);
            draft.set("closedAt", closed_at.unwrap_or(json!(draft.facts().now)));
            draft.set("closedById", closed_by);
        }
        (true, false) => {
            draft.set("closedAt", Value::Null);
            draft.set("closedById", Value::Null);
            refuse_closing_time(draft);
        }
        (true, true) | (false, false) => refuse_closing_time(draft),
    }
}

/// Who closed a ticket, and when, is told together with the closing and not at another time.
fn refuse_closing_time(draft: &mut Draft<'_>) {
    for name in ["closedAt", "closedById"] {
        let is_new = draft.given(name).is_some_and(|value| value != draft.value(name));
        if is_new {
            let problem =
                Problem::new(format!("/{name}"), "contradiction", "nothing is closed here");
            draft.refuse(problem.with_hint("give a closed status with it"));
        }
    }
}

fn set_choice(draft: &mut Draft<'_>, names: [&str; 3], choice: Option<Option<Choice>>) {
    let Some(choice) = choice else { return };
    let [name, id, plain] = names;
    draft.set(name, json!(choice.as_ref().map(|choice| &choice.name)));
    draft.set(id, json!(choice.as_ref().map(|choice| &choice.id)));
    draft.set(plain, json!(choice.as_ref().map(|choice| choice.name.to_lowercase())));
}

/// Types are free: a name makes its id, and an id that was made so gives its name back.
fn set_type(draft: &mut Draft<'_>) {
    let given = draft.given("type").or(draft.given("typeId")).cloned();
    match given.as_ref().map(Value::as_str) {
        None => {}
        Some(None) => {
            draft.set("type", Value::Null);
            draft.set("typeId", Value::Null);
        }
        Some(Some(text)) => {
            let name = text.strip_prefix("TY-").map(|rest| rest.replace('-', " "));
            let name = name.unwrap_or_else(|| text.to_owned());
            draft.set("typeId", json!(choice::id_of("TY", &name)));
            draft.set("type", json!(name));
        }
    }
}

fn tags_once(tags: &Value) -> Value {
    let mut once: Vec<Value> = Vec::new();
    for tag in tags.as_array().into_iter().flatten() {
        let is_blank = tag.as_str().is_none_or(|tag| tag.trim().is_empty());
        if !is_blank && !once.iter().any(|known| same_tag(known, tag)) {
            once.push(tag.clone());
        }
    }
    Value::Array(once)
}

fn same_tag(left: &Value, right: &Value) -> bool {
    left.as_str().map(str::to_lowercase) == right.as_str().map(str::to_lowercase)
}

fn tags_of(ticket: &Map<String, Value>) -> Vec<Value> {
    ticket.get("tags").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn is_archived(ticket: &Map<String, Value>) -> bool {
    ticket.get("isArchived") == Some(&Value::Bool(true))
}

fn is_set(value: &Value) -> bool {
    !value.is_null() && value.as_str() != Some("")
}

fn only(name: &str, value: Value) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), value)])
}
