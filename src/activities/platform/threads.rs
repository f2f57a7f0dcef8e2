//! Conversations: comments with the replies below them.

use serde_json::{Map, Value, json};

use super::input::{refused, texts};
use super::{OnDesk, described, reading, schema};
use crate::activities::desk::{Desk, DeskError, find, thread, threads};
use crate::domain::activity::ActivitySpec;
use crate::domain::desk::RecordKind;
use crate::domain::run::Failure;

const NAMES: &[&str] = &["ids", "commentIds", "ticketIds", "id", "ticketId", "entityId"];
const ENTITIES: &[RecordKind] = &[
    RecordKind::Ticket,
    RecordKind::AccountNote,
    RecordKind::AccountTask,
    RecordKind::AccountActivity,
];

pub(in crate::activities) const GET: OnDesk = OnDesk { spec, run };

fn spec() -> ActivitySpec {
    let text = "Reads conversations, oldest first, with replies under what they answer. An id may \
                be a comment's, or that of a ticket or an account's entry, which gives all of its.";
    let name = "Get comment threads";
    let spec = described("communications:get-comment-threads-platform", name, text);
    let ids = json!({
        "type": ["array", "string", "null"], "items": { "type": "string" },
        "description": "Ids of comments, or of what they are on",
    });
    let names = NAMES.iter().map(|name| ((*name).to_owned(), ids.clone())).collect();
    let input = schema::one_of_needed(schema::object(Value::Object(names)), NAMES);
    let output = schema::listed("threads", schema::record(RecordKind::Comment));
    reading("comments", input, output, spec)
}

fn run(desk: &mut Desk<'_, '_, '_>, input: &Map<String, Value>) -> Result<Value, Failure> {
    let ids: Vec<String> = NAMES.iter().flat_map(|name| texts(input, name)).collect();
    if ids.is_empty() {
        return Err(refused("", "required", "no id is given"));
    }
    let mut found: Vec<Map<String, Value>> = Vec::new();
    for id in &ids {
        for thread in threads_of(desk, id)? {
            if !found.iter().any(|known| known.get("id") == thread.get("id")) {
                found.push(thread);
            }
        }
    }
    Ok(json!({ "total": found.len(), "threads": found }))
}

fn threads_of(desk: &Desk<'_, '_, '_>, id: &str) -> Result<Vec<Map<String, Value>>, DeskError> {
    let view = desk.view();
    if let Some(thread) = thread(&view, id)? {
        desk.check_team(RecordKind::Comment, &thread)?;
        return Ok(vec![thread]);
    }
    for kind in ENTITIES {
        if let Some(entity) = find(&view, *kind, id)? {
            desk.check_team(*kind, &entity)?;
            let id = entity.get("id").and_then(Value::as_str).unwrap_or(id);
            return Ok(threads(&view, id)?);
        }
    }
    Err(DeskError::NotFound { kind: RecordKind::Comment, id: id.to_owned() })
}
