//! The verbs of Slack as data: the method behind each, its fields, and the verb that undoes it.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::activities::UndoCall;
use crate::domain::activity::{ActivitySpec, Compensation, Reach};
use crate::domain::workflow::Retry;

/// What can be asked of Slack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Post,
    Update,
    Delete,
    AddReaction,
    RemoveReaction,
    CreateChannel,
    ArchiveChannel,
}

use Verb::{AddReaction, ArchiveChannel, CreateChannel, Delete, Post, RemoveReaction, Update};

impl Verb {
    pub(super) const ALL: [Verb; 7] =
        [Post, Update, Delete, AddReaction, RemoveReaction, CreateChannel, ArchiveChannel];

    fn identifier(self) -> &'static str {
        match self {
            Post => "slack.postMessage",
            Update => "slack.updateMessage",
            Delete => "slack.deleteMessage",
            AddReaction => "slack.addReaction",
            RemoveReaction => "slack.removeReaction",
            CreateChannel => "slack.createChannel",
            ArchiveChannel => "slack.archiveChannel",
        }
    }

    /// Returns the method of Slack's Web API.
    pub(super) fn method(self) -> &'static str {
        match self {
            Post => "chat.postMessage",
            Update => "chat.update",
            Delete => "chat.delete",
            AddReaction => "reactions.add",
            RemoveReaction => "reactions.remove",
            CreateChannel => "conversations.create",
            ArchiveChannel => "conversations.archive",
        }
    }

    fn told(self) -> (&'static str, &'static str) {
        match self {
            Post => (
                "Post to Slack",
                "Posts a message to a channel, or into a thread. `compensate: auto` deletes it.",
            ),
            Update => ("Change a Slack message", "Puts another text in the place of a message."),
            Delete => {
                ("Delete a Slack message", "Deletes a message; one that is gone already is fine.")
            }
            AddReaction => (
                "React in Slack",
                "Adds a reaction to a message; one that is there already is fine. \
                 `compensate: auto` removes it.",
            ),
            RemoveReaction => (
                "Take back a Slack reaction",
                "Removes a reaction from a message; one that is gone already is fine. \
                 `compensate: auto` adds it again.",
            ),
            CreateChannel => (
                "Create a Slack channel",
                "Creates a channel, open or private. `compensate: auto` archives it.",
            ),
            ArchiveChannel => (
                "Archive a Slack channel",
                "Archives a channel; one that is archived already is fine.",
            ),
        }
    }

    /// Returns the refusals that say that what was asked for is so already, as after a call whose
    /// answer was lost.
    pub(super) fn already_done(self) -> &'static [&'static str] {
        match self {
            Post | Update | CreateChannel => &[],
            Delete => &["message_not_found"],
            AddReaction => &["already_reacted"],
            RemoveReaction => &["no_reaction"],
            ArchiveChannel => &["already_archived"],
        }
    }

    /// Returns the fields of the input, each with what Slack calls it and whether it is needed.
    fn fields(self) -> &'static [(&'static str, &'static str, Need)] {
        use Need::{Always, Maybe};
        match self {
            Post => &[
                ("channel", "channel", Always),
                ("text", "text", Always),
                ("blocks", "blocks", Maybe),
                ("threadTs", "thread_ts", Maybe),
            ],
            Update => &[
                ("channel", "channel", Always),
                ("ts", "ts", Always),
                ("text", "text", Always),
                ("blocks", "blocks", Maybe),
            ],
            Delete => &[("channel", "channel", Always), ("ts", "ts", Always)],
            AddReaction | RemoveReaction => &[
                ("channel", "channel", Always),
                ("ts", "timestamp", Always),
                ("name", "name", Always),
            ],
            CreateChannel => &[("name", "name", Always), ("isPrivate", "is_private", Maybe)],
            ArchiveChannel => &[("channel", "channel", Always)],
        }
    }

    /// Returns what is sent for an input.
    pub(super) fn body(self, input: &Value) -> Map<String, Value> {
        let given = self.fields().iter().filter(|(ours, ..)| !input[*ours].is_null());
        given.map(|(ours, theirs, _)| ((*theirs).to_owned(), input[*ours].clone())).collect()
    }

    /// Returns the output of the step for what Slack answered.
    pub(super) fn output(self, input: &Value, answer: &Value) -> Value {
        let channel = match &answer["channel"] {
            Value::Null => &input["channel"],
            channel if channel.is_object() => &channel["id"],
            channel => channel,
        };
        let mut output = json!({ "ok": true, "channel": channel });
        let mut tell = |name: &str, value: &Value| output[name] = value.clone();
        match self {
            Post => {
                tell("ts", &answer["ts"]);
                tell("message", &answer["message"]);
            }
            Update => {
                tell("ts", &input["ts"]);
                tell("message", &answer["message"]);
            }
            Delete => tell("ts", &input["ts"]),
            AddReaction | RemoveReaction => {
                tell("ts", &input["ts"]);
                tell("name", &input["name"]);
            }
            CreateChannel => tell("name", &answer["channel"]["name"]),
            ArchiveChannel => {}
        }
        output
    }

    /// Returns the verb that takes back what this one did, and its fields.
    fn inverse(self) -> Option<(Verb, &'static [&'static str])> {
        match self {
            Post => Some((Delete, &["channel", "ts"])),
            AddReaction => Some((RemoveReaction, &["channel", "ts", "name"])),
            RemoveReaction => Some((AddReaction, &["channel", "ts", "name"])),
            CreateChannel => Some((ArchiveChannel, &["channel"])),
            Update | Delete | ArchiveChannel => None,
        }
    }

    /// Returns the call that takes back what a call did.
    pub(super) fn undo(self, input: &Value, output: &Value) -> Option<UndoCall> {
        let (inverse, names) = self.inverse()?;
        let mut undo: Map<String, Value> =
            names.iter().map(|name| ((*name).to_owned(), output[*name].clone())).collect();
        if !input["connection"].is_null() {
            undo.insert("connection".to_owned(), input["connection"].clone());
        }
        Some(UndoCall { activity: inverse.identifier().to_owned(), input: Value::Object(undo) })
    }

    pub(super) fn spec(self) -> ActivitySpec {
        let (name, description) = self.told();
        ActivitySpec {
            identifier: self.identifier().to_owned(),
            name: name.to_owned(),
            version: 1,
            category: "slack".to_owned(),
            source: "slack".to_owned(),
            description: description.to_owned(),
            input_schema: self.input_schema(),
            output_schema: output_schema(self),
            reach: Reach::Outside,
            compensation: match self.inverse() {
                Some(_) => Compensation::Offered,
                None => Compensation::Manual,
            },
            scopes: vec!["slack:write".to_owned()],
            timeout: Duration::from_secs(30),
            retry: Retry::DEFAULT,
            throttle: None,
        }
    }

    fn input_schema(self) -> Value {
        let fields = self.fields();
        let mut properties: Map<String, Value> =
            fields.iter().map(|(ours, _, need)| ((*ours).to_owned(), field(ours, *need))).collect();
        let connection = json!({
            "type": ["string", "null"],
            "description": "The connection to use; may be left out where Slack has only one",
        });
        properties.insert("connection".to_owned(), connection);
        let needed = fields.iter().filter(|(.., need)| *need == Need::Always);
        let required: Vec<&str> = needed.map(|(ours, ..)| *ours).collect();
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Always,
    Maybe,
}

fn field(name: &str, need: Need) -> Value {
    let (kind, description) = match name {
        "channel" => ("string", "The channel's id, or its name with a #"),
        "text" => ("string", "The text, in Slack's markdown; with blocks, what is notified"),
        "blocks" => ("array", "Blocks of Slack's Block Kit"),
        "threadTs" => ("string", "The ts of the message that is answered"),
        "ts" => ("string", "The ts of the message, as posting it told"),
        "isPrivate" => ("boolean", "Whether only who is invited sees the channel"),
        _ => ("string", "The name: of an emoji without colons, or of a channel"),
    };
    let mut schema = match need {
        Need::Always => json!({ "type": kind }),
        Need::Maybe => json!({ "type": [kind, "null"] }),
    };
    if (kind, need) == ("string", Need::Always) {
        schema["minLength"] = json!(1);
    }
    if kind == "array" {
        schema["items"] = json!({ "type": "object" });
    }
    schema["description"] = json!(description);
    schema
}

fn output_schema(verb: Verb) -> Value {
    let mut required = vec!["ok", "channel"];
    if !matches!(verb, CreateChannel | ArchiveChannel) {
        required.push("ts");
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "ok": { "const": true, "description": "Always true: a refusal fails the step" },
            "channel": { "type": "string", "description": "The channel's id, where Slack told it" },
            "ts": { "type": "string", "description": "What names the message in its channel" },
            "message": { "description": "The message as Slack keeps it" },
            "name": { "type": "string", "description": "Of the reaction or the channel" },
        },
        "required": required,
    })
}
