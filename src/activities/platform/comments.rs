//! Comments: written, changed, deleted and reacted to.

use serde_json::{Map, Value, json};

use super::input::{named, refused, without};
use super::{OnDesk, changing, described, schema};
use crate::activities::desk::Desk;
use crate::domain::activity::ActivitySpec;
use crate::domain::desk::{RecordKind, comment};
use crate::domain::run::Failure;

const SCOPE: &str = "comments";
const KIND: RecordKind = RecordKind::Comment;
const KEYS: &[&str] = &["id", "commentId"];

pub(in crate::activities) const CREATE: OnDesk = OnDesk {
    spec: || {
        let text = "Writes a comment on a ticket, or on an account's note, task or activity. A \
                    repeated deDuplicationKey answers the comment that has it.";
        let spec = described("communications:create-comment-platform", "Create a comment", text);
        let input = schema::one_of_needed(schema::creation(KIND), &["ticketId", "entityId"]);
        changing(SCOPE, input, schema::record(KIND), spec)
    },
    run: |desk, input| Ok(desk.create(KIND, input)?.into()),
};

pub(in crate::activities) const UPDATE: OnDesk = OnDesk {
    spec: || {
        let text = "Changes a comment; new words mark it as edited.";
        let spec = described("communications:update-comment-platform", "Update a comment", text);
        changing(SCOPE, schema::change(KIND, KEYS), schema::record(KIND), spec)
    },
    run: |desk, input| Ok(desk.update(KIND, named(input, KEYS)?, &without(input, KEYS))?.into()),
};

pub(in crate::activities) const DELETE: OnDesk = OnDesk {
    spec: || {
        let text = "Deletes a comment; replies to it stay. The answer is the comment as it was.";
        let spec = described("communications:delete-comment-platform", "Delete a comment", text);
        changing(SCOPE, schema::key(KEYS), schema::record(KIND), spec)
    },
    run: |desk, input| Ok(desk.remove(KIND, named(input, KEYS)?)?.into()),
};

pub(in crate::activities) const ADD_REACTION: OnDesk = OnDesk { spec: reaction_spec, run: react };

fn reaction_spec() -> ActivitySpec {
    let text = "Adds a reaction to a comment, once per user; a run reacts in its own name unless \
                a user is given.";
    let spec = described("communications:add-reaction-platform", "React to a comment", text);
    let mut input = schema::keyed(
        schema::object(json!({
            "emoji": { "type": "string", "minLength": 1, "description": "Such as 👍 or :eyes:" },
            "userId": schema::text("The user, by id or mail address"),
        })),
        KEYS,
    );
    input["required"] = json!(["emoji"]);
    changing(SCOPE, input, schema::record(KIND), spec)
}

fn react(desk: &mut Desk<'_, '_, '_>, input: &Map<String, Value>) -> Result<Value, Failure> {
    let emoji = named(input, &["emoji"])?;
    let user = match input.get("userId").and_then(Value::as_str) {
        Some(user) => Some(desk.get(RecordKind::User, user)?),
        None => desk.user()?,
    };
    let own_name = desk.caller().actor.id.clone();
    let user = user.and_then(|user| user.get("id")?.as_str().map(str::to_owned));
    let user = user.unwrap_or(own_name);
    if user.is_empty() {
        return Err(refused("/userId", "required", "nobody is named who reacts"));
    }
    let changed = desk.apply(KIND, named(input, KEYS)?, |current, facts| {
        Ok(comment::add_reaction(current, emoji, &user, facts))
    })?;
    Ok(changed.into())
}
