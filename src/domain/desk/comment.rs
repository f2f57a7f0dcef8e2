//! Comments: messages on tickets and on entries of accounts, with mentions and reactions.

use serde_json::{Map, Value, json};

use super::draft::{Draft, excerpt, part, touched};
use super::field::{CREATED_AT, Field, FieldType, ID, LONG_TEXT, METADATA, TEXT, UPDATED_AT};
use super::{Facts, RecordKind};
use crate::domain::problem::Problem;

use FieldType::{Any, Bool, Email, Enum, List, Ref, Timestamp};

const ENTITIES: FieldType = Enum(&["ticket", "account-task", "account-activity", "account-note"]);
const CONTENTS: [&str; 4] = ["content", "contentHtml", "contentMarkdown", "contentJson"];

/// The fields of a comment.
pub const FIELDS: &[Field] = &[
    ID,
    Field::new("entityType", ENTITIES, "What it is on: a ticket, or an entry of an account")
        .initial(),
    Field::new("entityId", TEXT, "The id of what it is on").initial(),
    Field::new("ticketId", Ref(RecordKind::Ticket), "The ticket that it is on")
        .initial()
        .follows("entityId"),
    Field::new("teamId", TEXT, "The ticket's team").system().follows("entityId"),
    Field::new("accountId", TEXT, "The account of what it is on").system().follows("entityId"),
    Field::new("content", LONG_TEXT, "The words"),
    Field::new("contentHtml", LONG_TEXT, "The words as HTML"),
    Field::new("contentMarkdown", LONG_TEXT, "The words as Markdown"),
    Field::new("contentJson", Any, "The words as a document"),
    Field::new("isEdited", Bool, "Whether the words were changed").system().volatile(),
    Field::new("threadName", TEXT, "The name of its thread"),
    Field::new("commentVisibility", Enum(&["public", "private"]), "Whether the customer sees it"),
    Field::new("commentType", Enum(&["comment", "reply", "note"]), "What kind of message it is"),
    Field::new("isPinned", Bool, "Whether it is kept on top"),
    Field::new("parentCommentId", Ref(RecordKind::Comment), "The comment that it answers")
        .initial(),
    Field::new("sourceEmailId", TEXT, "The mail that it came from").initial(),
    METADATA,
    Field::new("authorId", Ref(RecordKind::User), "Who wrote it; accepts a mail address").initial(),
    Field::new("author", TEXT, "The author's name").system(),
    Field::new("authorUserType", TEXT, "The author's kind, such as AGENT or CUSTOMER").system(),
    Field::new("authorAvatarUrl", LONG_TEXT, "The author's picture").system(),
    Field::new("customerEmail", Email, "The customer who wrote it").initial(),
    Field::new("customerContactId", TEXT, "The contact who wrote it").system(),
    Field::new("customerContactFirstName", TEXT, "The contact's first name").system(),
    Field::new("customerContactLastName", TEXT, "The contact's last name").system(),
    Field::new("customerContactEmail", TEXT, "The contact's mail address").system(),
    Field::new("customerContactAvatarUrl", LONG_TEXT, "The contact's picture").system(),
    Field::new("impersonatedUserName", TEXT, "Whom it names as its author").initial(),
    Field::new("impersonatedUserEmail", Email, "That author's mail address").initial(),
    Field::new("impersonatedUserAvatar", LONG_TEXT, "That author's picture").initial(),
    Field::new("attachmentIds", List(&TEXT), "Attached files"),
    Field::new("attachments", List(&Any), "Attached files, each with its id")
        .system()
        .follows("attachmentIds"),
    Field::new("shouldSendEmail", Bool, "Whether it also goes out as mail").initial(),
    Field::new("deDuplicationKey", TEXT, "A second creation with it makes no second comment")
        .initial(),
    CREATED_AT,
    UPDATED_AT,
    Field::new("deletedAt", Timestamp, "When it was deleted").system(),
];

/// What a new one begins with.
pub(super) fn begin(draft: &mut Draft<'_>) {
    set_entity(draft);
    set_author(draft);
    let kind = match draft.given("parentCommentId") {
        Some(_) => "reply",
        None => "comment",
    };
    draft.default("commentType", json!(kind));
    let is_note = draft.text("commentType") == Some("note");
    draft.default("commentVisibility", json!(if is_note { "private" } else { "public" }));
    let has_content = CONTENTS.iter().any(|name| is_filled(draft.value(name)))
        || draft.value("attachmentIds").as_array().is_some_and(|files| !files.is_empty());
    if !has_content {
        let detail = format!("a comment needs one of {}", CONTENTS.join(", "));
        draft.refuse(Problem::new("/content", "required", detail));
    }
    set_content(draft);
    set_mentions(draft);
}

/// What a change has to keep.
pub(super) fn change(draft: &mut Draft<'_>) {
    if CONTENTS.iter().any(|name| draft.given(name).is_some()) {
        set_content(draft);
        if !CONTENTS.iter().any(|name| is_filled(draft.value(name))) {
            draft.refuse(Problem::new("/content", "required", "a comment cannot become empty"));
        }
        let is_new = CONTENTS.iter().any(|name| draft.value(name) != &part(draft.current(), name));
        if is_new {
            draft.set("isEdited", json!(true));
        }
    }
    set_files(draft);
    set_mentions(draft);
}

/// Returns the comment with the reaction `emoji` of the user `user_id`; unchanged if it is there.
#[must_use]
pub fn add_reaction(
    current: &Map<String, Value>,
    emoji: &str,
    user_id: &str,
    facts: &Facts<'_>,
) -> Map<String, Value> {
    let mut reactions = reactions(Some(current));
    if reactions.iter().any(|reaction| is_reaction(reaction, emoji, user_id)) {
        return current.clone();
    }
    reactions.push(json!({ "emoji": emoji, "userId": user_id, "createdAt": facts.now }));
    with_reactions(current, reactions, facts)
}

/// Returns the comment without the reaction `emoji` of the user `user_id`; unchanged if there is
/// none.
#[must_use]
pub fn remove_reaction(
    current: &Map<String, Value>,
    emoji: &str,
    user_id: &str,
    facts: &Facts<'_>,
) -> Map<String, Value> {
    let before = reactions(Some(current));
    let kept: Vec<Value> =
        before.iter().filter(|reaction| !is_reaction(reaction, emoji, user_id)).cloned().collect();
    if kept.len() == before.len() {
        return current.clone();
    }
    with_reactions(current, kept, facts)
}

/// Returns the reactions of a comment, oldest first.
#[must_use]
pub fn reactions(comment: Option<&Map<String, Value>>) -> Vec<Value> {
    listed(comment, "userReactions")
}

/// Returns the users whom a comment mentions, each with an id.
#[must_use]
pub fn mentions(comment: Option<&Map<String, Value>>) -> Vec<Value> {
    let has_id = |user: &Value| user.get("id").is_some_and(Value::is_string);
    listed(comment, "mentions").into_iter().filter(has_id).collect()
}

/// Returns the kind of record that a comment with this `entityType` is on.
#[must_use]
pub fn entity_kind(entity_type: &str) -> RecordKind {
    match RecordKind::from_name(entity_type) {
        Some(
            kind
            @ (RecordKind::AccountNote | RecordKind::AccountTask | RecordKind::AccountActivity),
        ) => kind,
        _ => RecordKind::Ticket, // What else a comment is on.
    }
}

fn set_entity(draft: &mut Draft<'_>) {
    let named = draft.given_text("ticketId").map(str::to_owned);
    let given = draft.given_text("entityId").map(str::to_owned);
    let kind = match (&named, draft.text("entityType")) {
        (Some(_), _) => RecordKind::Ticket,
        (None, entity) => entity_kind(entity.unwrap_or("ticket")),
    };
    let Some(id) = named.or(given) else {
        // A wrong ticketId has its problem already; this one names the general field.
        draft.refuse(Problem::new("/entityId", "required", "a comment needs what it is on"));
        return;
    };
    let Some(entity) = (draft.related().get)(kind, &id) else {
        return draft.refuse_unknown("entityId", kind, &id);
    };
    let id = part(Some(&entity), "id");
    if draft.referenced("parentCommentId").is_some_and(|above| part(Some(above), "entityId") != id)
    {
        let detail = "answers a comment on something else";
        draft.refuse(Problem::new("/parentCommentId", "contradiction", detail));
    }
    draft.set("entityType", json!(kind.name()));
    if kind == RecordKind::Ticket {
        draft.set("ticketId", id.clone());
    }
    draft.set("entityId", id);
    draft.set("teamId", part(Some(&entity), "teamId"));
    draft.set("accountId", part(Some(&entity), "accountId"));
}

fn set_author(draft: &mut Draft<'_>) {
    if let Some(user) = draft.referenced("authorId").cloned() {
        draft.set("author", part(Some(&user), "name"));
        draft.set("authorUserType", part(Some(&user), "userType"));
        draft.set("authorAvatarUrl", part(Some(&user), "avatarUrl"));
    }
    if let Some(email) = draft.given_text("customerEmail").map(str::to_owned) {
        let contact = (draft.related().get)(RecordKind::Contact, &email);
        let contact = contact.as_ref();
        let name = match part(contact, "firstName").as_str() {
            Some(first) => match part(contact, "lastName").as_str() {
                Some(last) => format!("{first} {last}"),
                None => first.to_owned(),
            },
            None => email.clone(),
        };
        draft.default("author", json!(name));
        draft.default("authorUserType", json!("CUSTOMER"));
        draft.set("customerContactId", part(contact, "id"));
        draft.set("customerContactFirstName", part(contact, "firstName"));
        draft.set("customerContactLastName", part(contact, "lastName"));
        draft.set("customerContactEmail", json!(email));
        draft.set("customerContactAvatarUrl", part(contact, "avatarUrl"));
    }
    let impersonated = draft.value("impersonatedUserName").clone();
    draft.default("author", impersonated);
}

/// The plain words follow whatever was given; other spellings that were not given would be stale.
fn set_content(draft: &mut Draft<'_>) {
    let is_given = |name: &str| draft.given(name).is_some();
    let stale: Vec<&str> = CONTENTS.into_iter().filter(|name| !is_given(name)).collect();
    for name in stale {
        draft.set(name, Value::Null);
    }
    if !is_filled(draft.value("content")) {
        let words = match (draft.text("contentMarkdown"), draft.text("contentHtml")) {
            (Some(markdown), _) => json!(markdown),
            (None, Some(html)) => json!(words_of(html)),
            (None, None) => Value::Null,
        };
        draft.set("content", words);
    }
    set_files(draft);
}

fn set_files(draft: &mut Draft<'_>) {
    let ids = draft.value("attachmentIds").as_array().cloned().unwrap_or_default();
    let files = ids.into_iter().map(|id| json!({ "id": id })).collect();
    draft.set("attachments", Value::Array(files));
}

/// Mentions are given as ids, mail addresses or objects; whoever is known is kept with a name.
fn set_mentions(draft: &mut Draft<'_>) {
    let Some(given) = draft.given("metadata").and_then(|data| data.get("mentions")).cloned() else {
        return;
    };
    let mut known: Vec<Value> = Vec::new();
    for mention in given.as_array().into_iter().flatten() {
        let text = ["id", "userId", "email"]
            .iter()
            .find_map(|key| mention.get(*key).and_then(Value::as_str))
            .or(mention.as_str());
        let user = text.and_then(|text| (draft.related().get)(RecordKind::User, text));
        let shown = match &user {
            Some(user) => excerpt(
                Some(user),
                &["id", "email", "name", "userType", "status", "teams", "metadata"],
            ),
            None => mention.clone(),
        };
        if !known.contains(&shown) {
            known.push(shown);
        }
    }
    let mut metadata = draft.value("metadata").clone();
    metadata["mentions"] = Value::Array(known);
    draft.set("metadata", metadata);
}

fn words_of(html: &str) -> String {
    let mut words = String::new();
    let mut is_inside_tag = false;
    for c in html.chars() {
        match c {
            '<' => is_inside_tag = true,
            '>' if is_inside_tag => {
                is_inside_tag = false;
                words.push(' ');
            }
            c if !is_inside_tag => words.push(c),
            _ => {} // A part of a tag.
        }
    }
    let plain = words
        .replace("&nbsp;", " ")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&");
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_filled(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        _ => true, // A document.
    }
}

fn listed(comment: Option<&Map<String, Value>>, name: &str) -> Vec<Value> {
    let metadata = comment.and_then(|comment| comment.get("metadata"));
    metadata.and_then(|data| data.get(name)?.as_array().cloned()).unwrap_or_default()
}

fn is_reaction(reaction: &Value, emoji: &str, user_id: &str) -> bool {
    reaction.get("emoji") == Some(&json!(emoji)) && reaction.get("userId") == Some(&json!(user_id))
}

fn with_reactions(
    current: &Map<String, Value>,
    reactions: Vec<Value>,
    facts: &Facts<'_>,
) -> Map<String, Value> {
    let mut comment = touched(current.clone(), facts);
    let mut metadata = part(Some(current), "metadata").as_object().cloned().unwrap_or_default();
    metadata.insert("userReactions".to_owned(), Value::Array(reactions));
    comment.insert("metadata".to_owned(), Value::Object(metadata));
    comment
}
