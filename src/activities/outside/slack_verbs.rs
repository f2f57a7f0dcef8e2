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
    OpenDirect,
    LookUp,
    Whisper,
}

use Verb::{
    AddReaction, ArchiveChannel, CreateChannel, Delete, LookUp, OpenDirect, Post, RemoveReaction,
    Update, Whisper,
};

impl Verb {
    pub(super) const ALL: [Verb; 10] = [
        Post,
        Update,
        Delete,
        AddReaction,
        RemoveReaction,
        CreateChannel,
        ArchiveChannel,
        OpenDirect,
        LookUp,
        Whisper,
    ];

    fn identifier(self) -> &'static str {
        match self {
            Post => "slack.postMessage",
            Update => "slack.updateMessage",
            Delete => "slack.deleteMessage",
            AddReaction => "slack.addReaction",
            RemoveReaction => "slack.removeReaction",
            CreateChannel => "slack.createChannel",
            ArchiveChannel => "slack.archiveChannel",
            OpenDirect => "slack.openDirectMessage",
            LookUp => "slack.lookupUser",
            Whisper => "slack.postEphemeral",
        }
    }

    /// Returns the method of Slack's Web API.
    pub(super) fn method(self, input: &Value) -> &'static str {
        match self {
            Post => "chat.postMessage",
            Update => "chat.update",
            Delete => "chat.delete",
            AddReaction => "reactions.add",
            RemoveReaction => "reactions.remove",
            CreateChannel => "conversations.create",
            ArchiveChannel => "conversations.archive",
            OpenDirect => "conversations.open",
            LookUp if input["email"].is_null() => "users.info",
            LookUp => "users.lookupByEmail",
            Whisper => "chat.postEphemeral",
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
            OpenDirect => (
                "Open a Slack direct message",
                "Opens the conversation with one person or several, and returns its channel; one \
                 that is open already is the same.",
            ),
            LookUp => ("Look up a Slack user", "Finds a person by mail address or by id."),
            Whisper => (
                "Post to one person in Slack",
                "Shows a message to one person in a channel; it can neither be found nor taken \
                 back later.",
            ),
        }
    }

    /// Returns the refusals that say that what was asked for is so already, as after a call whose
    /// answer was lost.
    pub(super) fn already_done(self) -> &'static [&'static str] {
        match self {
            Post | Update | CreateChannel | OpenDirect | LookUp | Whisper => &[],
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
                ("text", "text", Maybe),
                ("blocks", "blocks", Maybe),
                ("attachments", "attachments", Maybe),
                ("threadTs", "thread_ts", Maybe),
                ("thread_ts", "thread_ts", Maybe),
                ("reply_broadcast", "reply_broadcast", Maybe),
                ("mrkdwn", "mrkdwn", Maybe),
                ("parse", "parse", Maybe),
                ("link_names", "link_names", Maybe),
                ("unfurl_links", "unfurl_links", Maybe),
                ("unfurl_media", "unfurl_media", Maybe),
                ("username", "username", Maybe),
                ("icon_emoji", "icon_emoji", Maybe),
                ("icon_url", "icon_url", Maybe),
            ],
            OpenDirect => &[("users", "users", Always)],
            LookUp => &[("email", "email", Maybe), ("user", "user", Maybe)],
            Whisper => &[
                ("channel", "channel", Always),
                ("user", "user", Always),
                ("text", "text", Always),
                ("blocks", "blocks", Maybe),
                ("thread_ts", "thread_ts", Maybe),
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
        given.map(|(ours, theirs, _)| ((*theirs).to_owned(), sent(ours, &input[*ours]))).collect()
    }

    /// Returns whether the method takes its fields in the address and not as JSON.
    pub(super) fn is_read(self) -> bool {
        self == LookUp
    }

    /// Returns the output of the step for what Slack answered.
    pub(super) fn output(self, input: &Value, answer: &Value) -> Value {
        let channel = match &answer["channel"] {
            Value::Null => &input["channel"],
            channel if channel.is_object() => &channel["id"],
            channel => channel,
        };
        let mut output = json!({ "ok": true });
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
            LookUp => {
                let user = &answer["user"];
                for (ours, theirs) in [("id", "id"), ("name", "name"), ("realName", "real_name")] {
                    tell(ours, &user[theirs]);
                }
                tell("email", &user["profile"]["email"]);
                tell("user", user);
            }
            Whisper => tell("messageTs", &answer["message_ts"]),
            ArchiveChannel | OpenDirect => {}
        }
        if self != LookUp {
            output["channel"] = channel.clone();
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
            Update | Delete | ArchiveChannel | OpenDirect | LookUp | Whisper => None,
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
                None if matches!(self, OpenDirect | LookUp) => Compensation::NotNeeded,
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
        let mut schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        });
        let one_of: &[&str] = match self {
            Post => &["text", "blocks", "attachments"],
            LookUp => &["email", "user"],
            _ => &[], // All that they need is said already.
        };
        if !one_of.is_empty() {
            schema["anyOf"] = one_of.iter().map(|name| json!({ "required": [name] })).collect();
        }
        schema
    }
}

/// Several people are one text in Slack's API.
fn sent(name: &str, value: &Value) -> Value {
    match (name, value.as_array()) {
        ("users", Some(users)) => {
            let names: Vec<&str> = users.iter().filter_map(Value::as_str).collect();
            json!(names.join(","))
        }
        _ => value.clone(), // Slack has the same type for it.
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
        "attachments" => ("array", "Attachments of Slack's older kind"),
        "thread_ts" => ("string", "As threadTs"),
        "reply_broadcast" => ("boolean", "Whether an answer is shown in the channel as well"),
        "mrkdwn" => ("boolean", "Whether the text is read as markdown; true unless told"),
        "parse" => ("string", "How the text is read: full or none"),
        "link_names" => ("boolean", "Whether names become links"),
        "unfurl_links" | "unfurl_media" => ("boolean", "Whether links show what is behind them"),
        "username" => ("string", "The name shown as the sender, where the token allows it"),
        "icon_emoji" | "icon_url" => ("string", "The picture shown beside it"),
        "email" => ("string", "The mail address of the person"),
        "user" => ("string", "The id of the person, such as U0123"),
        "users" => ("string", "The ids of one person or several, with commas, or a list"),
        _ => ("string", "The name: of an emoji without colons, or of a channel"),
    };
    let mut schema = match need {
        Need::Always => json!({ "type": kind }),
        Need::Maybe => json!({ "type": [kind, "null"] }),
    };
    if (kind, need) == ("string", Need::Always) {
        schema["minLength"] = json!(1);
    }
    if name == "users" {
        schema["type"] = json!(["string", "array"]);
        schema["items"] = json!({ "type": "string" });
    }
    if kind == "array" {
        schema["items"] = json!({ "type": "object" });
    }
    schema["description"] = json!(description);
    schema
}

fn output_schema(verb: Verb) -> Value {
    let ok = json!({ "const": true, "description": "Always true: a refusal fails the step" });
    let mut properties = json!({ "ok": ok });
    let mut tell = |name: &str, kind: Value, told: &str| {
        properties[name] = json!({ "type": kind, "description": told });
    };
    let mut needed = vec!["ok"];
    match verb {
        LookUp => {
            tell("id", json!("string"), "The person's id");
            tell("name", json!(["string", "null"]), "The name in Slack");
            tell("realName", json!(["string", "null"]), "The name of the person");
            tell("email", json!(["string", "null"]), "The mail address, where the token sees it");
            tell("user", json!("object"), "The person as Slack keeps it");
            needed.push("id");
        }
        _ => {
            tell("channel", json!("string"), "The channel's id, where Slack told it");
            tell("ts", json!("string"), "What names the message in its channel");
            tell("name", json!("string"), "Of the reaction or the channel");
            needed.push("channel");
            properties["message"] = json!({ "description": "The message as Slack keeps it" });
        }
    }
    if matches!(verb, Post | Update | Delete | AddReaction | RemoveReaction) {
        needed.push("ts");
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": needed,
    })
}
