//! What Slack sends: events, presses of buttons and commands, and the events that they become
//! (<https://docs.slack.dev/apis/events-api/>, <https://docs.slack.dev/interactivity/>).

use serde_json::{Map, Value, json};

use super::Mapped;
use crate::domain::time::Timestamp;

/// What a request from Slack asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Slack checks the address and wants its challenge back.
    Challenge(String),
    /// An event.
    Event(Box<SlackEvent>),
    /// A slash command, which shows the answer to whoever typed it.
    Command(Box<SlackEvent>),
    /// A press of a button, a filled-in dialog, a shortcut.
    Interaction(Box<SlackEvent>),
    /// Nothing that becomes an event, such as a check of the certificate or a notice of limits.
    Nothing,
}

/// An event of Slack in our words.
#[derive(Clone, Debug, PartialEq)]
pub struct SlackEvent {
    /// Its type, payload, subject and id.
    pub mapped: Mapped,
    /// When it happened, if Slack says so.
    pub time: Option<Timestamp>,
    /// The member who made it happen, empty when nobody did.
    pub user: String,
    /// What stands around it: the team, the app.
    pub metadata: Map<String, Value>,
}

impl Request {
    /// Reads a body that was signed: JSON of the Events API, or the fields of a form.
    #[must_use]
    pub fn read(body: &Value) -> Request {
        if let Some(payload) = body.get("payload").and_then(Value::as_str) {
            return match serde_json::from_str(payload) {
                Ok(payload) => Request::Interaction(Box::new(interaction(payload))),
                Err(_) => Request::Nothing,
            };
        }
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        match text("type") {
            "url_verification" => Request::Challenge(text("challenge").to_owned()),
            "event_callback" => match callback(body) {
                Some(event) => Request::Event(Box::new(event)),
                None => Request::Nothing,
            },
            _ if !text("command").is_empty() => Request::Command(Box::new(command(body))),
            _ => Request::Nothing,
        }
    }
}

/// Returns Slack's id of what a body holds: the same when it is sent again.
#[must_use]
pub fn id_of(body: &Value) -> Option<&str> {
    body.get("event_id").or_else(|| body.get("trigger_id")).and_then(Value::as_str)
}

/// Returns our type for a type of the Events API: the first underscore separates what something
/// happened to from what happened; `app_mention` is one thing.
#[must_use]
pub fn kind_of(inner: &str) -> String {
    match inner {
        "app_mention" => "slack:app_mention".to_owned(),
        inner => format!("slack:{}", inner.replacen('_', ":", 1)),
    }
}

fn callback(body: &Value) -> Option<SlackEvent> {
    let mut event = body.get("event")?.as_object()?.clone();
    let inner = event.get("type")?.as_str()?.to_owned();
    let kind = kind_of(&inner);
    super::rules::check_kind(&kind).ok()?;
    if let (None, Some(team)) = (event.get("team"), body.get("team_id")) {
        event.insert("team".to_owned(), team.clone());
    }
    let metadata = around(body, ["team_id", "api_app_id", "event_id", "event_context"]);
    let time = body.get("event_time").and_then(Value::as_i64);
    let event = Value::Object(event);
    Some(SlackEvent {
        time: time.map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1_000))),
        user: id_at(&event, "user"),
        metadata,
        mapped: Mapped {
            kind,
            id: id_of(body).map(str::to_owned),
            subject: subject_of(&event),
            payload: event,
        },
    })
}

/// The channel that an event is about, or else the member.
fn subject_of(event: &Value) -> Option<String> {
    let item = event.get("item").map(|item| id_at(item, "channel")).unwrap_or_default();
    let candidates = [id_at(event, "channel"), item, id_at(event, "user")];
    candidates.into_iter().find(|id| !id.is_empty())
}

/// Slack names a thing by its id or shows it whole.
fn id_at(value: &Value, name: &str) -> String {
    let found = value.get(name).unwrap_or(&Value::Null);
    let id = found.as_str().or_else(|| found.get("id")?.as_str());
    id.unwrap_or_default().to_owned()
}

fn around<const N: usize>(body: &Value, names: [&str; N]) -> Map<String, Value> {
    let present = names.into_iter().filter_map(|name| Some((name, body.get(name)?)));
    present.map(|(name, value)| (name.to_owned(), value.clone())).collect()
}

fn interaction(mut payload: Value) -> SlackEvent {
    drop_token(&mut payload);
    let actions = payload.get("actions").and_then(Value::as_array);
    let ids: Vec<&str> = actions
        .into_iter()
        .flatten()
        .filter_map(|action| action.get("action_id").and_then(Value::as_str))
        .collect();
    let ids = json!(ids);
    let id = id_of(&payload).map(str::to_owned);
    let channel = id_at(&payload, "channel");
    let (user, metadata) = (id_at(&payload, "user"), team_of(&payload));
    payload["actionIds"] = ids;
    SlackEvent {
        time: None,
        user: user.clone(),
        metadata,
        mapped: Mapped {
            kind: "slack:interaction".to_owned(),
            id,
            subject: [channel, user].into_iter().find(|id| !id.is_empty()),
            payload,
        },
    }
}

fn team_of(payload: &Value) -> Map<String, Value> {
    let team = id_at(payload, "team");
    let mut metadata = around(payload, ["api_app_id"]);
    if !team.is_empty() {
        metadata.insert("team_id".to_owned(), Value::String(team));
    }
    metadata
}

fn command(body: &Value) -> SlackEvent {
    let mut payload = body.clone();
    drop_token(&mut payload);
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    SlackEvent {
        time: None,
        user: text("user_id"),
        metadata: around(body, ["team_id", "api_app_id"]),
        mapped: Mapped {
            kind: "slack:command".to_owned(),
            id: id_of(body).map(str::to_owned),
            subject: Some(text("channel_id")).filter(|id| !id.is_empty()),
            payload,
        },
    }
}

/// Slack's old way of proving itself, which nobody needs to keep.
fn drop_token(payload: &mut Value) {
    if let Some(fields) = payload.as_object_mut() {
        fields.shift_remove("token");
    }
}
