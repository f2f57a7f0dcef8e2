//! The card that says what starts a workflow: an event with its filter, a schedule, a webhook or
//! nobody but people. It is rendered from a definition, and read back from what its form posts.

mod filter;
mod live;
mod schedule;

use askama::Template;
use askama::filters::HtmlSafe;
use serde_json::{Map, Value, json};

use self::filter::FilterPart;
pub use self::live::Live;
use self::schedule::SchedulePart;
use super::super::parts::json_tree::JsonTree;
use super::super::run::encoded;
use super::super::shell::Shell;
use super::super::visit::Visit;
use crate::app::App;
use crate::app::event_fields::{EventChoice, EventFields};
use crate::app::page::PageRequest;
use crate::web::state::Front;

/// What a trigger waits for when nothing was said yet.
const FIRST_EVENT: &str = "ticket:created";
const HOOKS_MAX: usize = 20;

/// The card.
#[derive(Clone, Debug, Template)]
#[template(path = "editor/trigger.html")]
pub struct TriggerCard {
    shell: Shell,
    card_href: String,
    match_href: String,
    kinds: Vec<(&'static str, &'static str, bool)>,
    /// What stands in the trigger beside what the card shows, as JSON.
    rest: String,
    body: CardBody,
    live: Live,
}

impl HtmlSafe for TriggerCard {}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one on a page")]
enum CardBody {
    Event {
        event: EventPart,
        filter: FilterPart,
        hooks: Option<Vec<(String, String)>>,
    },
    Schedule(SchedulePart),
    Manual,
    /// Something that has no form: as JSON.
    Other(String),
    /// Several triggers, or Thena's spelling, which only the source can show.
    Source,
}

#[derive(Clone, Debug)]
struct EventPart {
    kind: String,
    name: String,
    description: String,
    recent: String,
    events_href: String,
    choices: Vec<(String, String)>,
    sample: Option<JsonTree>,
    newest: Option<(String, String)>,
}

/// The fields that the card's form posted.
#[derive(Clone, Copy)]
pub(super) struct Posted<'a>(&'a [(String, String)]);

impl<'a> Posted<'a> {
    fn text(self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    fn filled(self, name: &str) -> Option<&'a str> {
        self.text(name).map(str::trim).filter(|text| !text.is_empty())
    }

    fn all(self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn pairs(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// Reads the trigger out of what the form posted, the pressed button's wish fulfilled; `None` when
/// the form has no trigger's card, or one that leaves the trigger to the source.
pub fn read(fields: &[(String, String)]) -> Option<Value> {
    let posted = Posted(fields);
    match posted.text("trigger.kind")? {
        "manual" => Some(json!("manual")),
        "schedule" => Some(schedule::read(posted)),
        "other" => posted.text("trigger.raw").map(json_or_text),
        _ => Some(event_of(posted)), // An event, whoever sends it.
    }
}

fn event_of(posted: Posted<'_>) -> Value {
    let rest = posted.text("trigger.rest").unwrap_or_default();
    let mut trigger: Map<String, Value> = serde_json::from_str(rest).unwrap_or_default();
    let event = posted.filled("trigger.event").unwrap_or(FIRST_EVENT);
    trigger.insert("event".to_owned(), json!(event));
    let filter = filter::read(posted);
    if filter.as_object().is_none_or(|fields| !fields.is_empty()) {
        trigger.insert("filter".to_owned(), filter);
    }
    Value::Object(trigger)
}

/// Keeps what is no JSON as a text, which a check then refuses where it stands.
fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

/// Makes the card of the workflow called `name`, whose definition may be unfinished.
pub fn card(state: (&App, &Front), visit: &Visit, name: &str, draft: &Value) -> TriggerCard {
    let trigger = &draft["trigger"];
    let place = format!("/workflows/{}", encoded(if name.is_empty() { "new" } else { name }));
    let card_href = visit.shell.url(&format!("{place}/trigger"));
    let (kind, body, rest) = body(state.0, (visit, &card_href), draft);
    let kinds = [
        ("event", "Event"),
        ("schedule", "Schedule"),
        ("webhook", "Webhook"),
        ("manual", "By hand"),
    ];
    let other = (kind == "other").then_some(("other", "Other"));
    TriggerCard {
        card_href,
        match_href: visit.shell.url(&format!("{place}/match")),
        kinds: kinds.into_iter().chain(other).map(|(it, word)| (it, word, it == kind)).collect(),
        rest,
        live: Live::of(state, visit, name, trigger, ""),
        body,
        shell: visit.shell.clone(),
    }
}

fn body(app: &App, visit: (&Visit, &str), draft: &Value) -> (&'static str, CardBody, String) {
    let trigger = &draft["trigger"];
    let elsewhere = ["triggers", "on", "triggerEvent", "filters", "schedule"];
    let is_elsewhere = elsewhere.iter().any(|key| draft.get(key).is_some());
    let none = String::new();
    match trigger {
        Value::Null if is_elsewhere => ("", CardBody::Source, none),
        Value::Null => ("manual", CardBody::Manual, none),
        Value::String(word) if word == "manual" => ("manual", CardBody::Manual, none),
        Value::String(kind) => event_body(app, visit, kind, &Value::Null, none),
        Value::Object(fields) if fields.contains_key("schedule") => {
            ("schedule", CardBody::Schedule(SchedulePart::of(&trigger["schedule"])), none)
        }
        Value::Object(fields) if trigger["event"].is_string() => {
            let mut rest = fields.clone();
            rest.shift_remove("event");
            rest.shift_remove("filter");
            let rest = if rest.is_empty() { none } else { Value::Object(rest).to_string() };
            let kind = trigger["event"].as_str().unwrap_or_default();
            event_body(app, visit, kind, &trigger["filter"], rest)
        }
        other => ("other", CardBody::Other(pretty(other)), none),
    }
}

fn pretty(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_else(|_| other.to_string()),
    }
}

fn event_body(
    app: &App,
    (visit, card_href): (&Visit, &str),
    kind: &str,
    filter: &Value,
    rest: String,
) -> (&'static str, CardBody, String) {
    let may_look = visit.who.scopes.allow("events:read");
    let known = may_look.then(|| app.event_fields(&visit.who, kind).ok()).flatten();
    let choices = app.event_choices(&visit.who).unwrap_or_default();
    let source = choices.iter().find(|choice| choice.kind == kind).map(|it| it.source.as_str());
    // What neither the platform nor a clock makes comes in by a webhook.
    let is_hooked = source.is_some_and(|source| !matches!(source, "platform" | "timer" | "desk"));
    let hooks = is_hooked.then(|| hooks(app, visit));
    let fields = known.as_ref().map_or(&[][..], |known| &known.fields);
    let filter = FilterPart::new((&visit.shell, card_href), filter, fields);
    let event = EventPart::new(&visit.shell, kind, known.as_ref(), &choices);
    let word = if is_hooked { "webhook" } else { "event" };
    (word, CardBody::Event { event, filter, hooks }, rest)
}

/// Returns each connection with the address that others send to.
fn hooks(app: &App, visit: &Visit) -> Vec<(String, String)> {
    let page = PageRequest { limit: HOOKS_MAX, after: None };
    if !visit.who.scopes.allow("connections:read") {
        return Vec::new();
    }
    let connections = app.connections(&visit.who, &page).map(|page| page.data).unwrap_or_default();
    let address = |path: &str| format!("{}{}", visit.shell.origin, visit.shell.url(path));
    connections.into_iter().map(|it| (it.name, address(&it.hook_path))).collect()
}

impl EventPart {
    fn new(
        shell: &Shell,
        kind: &str,
        known: Option<&EventFields>,
        choices: &[EventChoice],
    ) -> EventPart {
        let label = |choice: &EventChoice| match choice.recent {
            0 => choice.name.clone(),
            recent => format!("{} · {recent} in 7 days", choice.name),
        };
        let newest = known.and_then(|known| known.newest_event.clone());
        let recent = known.map_or(0, |known| known.recent);
        let more = if known.is_some_and(|known| known.recent_is_more) { "+" } else { "" };
        EventPart {
            name: known.map(|known| known.name.clone()).unwrap_or_default(),
            description: known.map(|known| known.description.clone()).unwrap_or_default(),
            recent: match recent {
                0 => "none came in the last 7 days".to_owned(),
                1 => "1 came in the last 7 days".to_owned(),
                many => format!("{many}{more} came in the last 7 days"),
            },
            events_href: shell.url(&format!("/events?type={}", encoded(kind))),
            choices: choices.iter().map(|it| (it.kind.clone(), label(it))).collect(),
            sample: known
                .and_then(|known| known.sample.as_ref())
                .map(|sample| JsonTree::new("trigger.payload", sample).unfolded()),
            newest: newest.map(|id| (shell.url(&format!("/events/{}", encoded(&id))), id)),
            kind: kind.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posted(pairs: &[(&str, &str)]) -> Option<Value> {
        let fields: Vec<(String, String)> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        read(&fields)
    }

    #[test]
    fn a_form_without_the_card_has_no_trigger() {
        assert_eq!(posted(&[("title", "x")]), None);
        assert_eq!(posted(&[("trigger.kind", "manual")]), Some(json!("manual")));
    }

    #[test]
    fn the_event_keeps_its_gates_and_gets_its_filter() {
        let read = posted(&[
            ("trigger.kind", "event"),
            ("trigger.event", "ticket:updated"),
            ("trigger.rest", r#"{"dedupe":{"key":"k","within":"5m"}}"#),
            ("trigger.f.group", "all"),
            ("trigger.f.0.path", "ticket.priorityName"),
            ("trigger.f.0.op", "~in"),
            ("trigger.f.0.value", "high, urgent"),
            ("trigger.f.1.group", "any"),
            ("trigger.f.1.0.path", "ticket.vip"),
            ("trigger.f.1.0.op", "~eq"),
            ("trigger.f.1.0.value", "true"),
        ]);
        let expected = json!({
            "dedupe": {"key": "k", "within": "5m"},
            "event": "ticket:updated",
            "filter": {"ticket.priorityName": {"~in": ["high", "urgent"]},
                "~or": [{"ticket.vip": {"~eq": true}}]},
        });
        assert_eq!(read, Some(expected));
    }

    #[test]
    fn buttons_add_and_remove_rows() {
        let base = [
            ("trigger.kind", "event"),
            ("trigger.event", "a:b"),
            ("trigger.f.group", "all"),
            ("trigger.f.0.path", "x"),
            ("trigger.f.0.op", "~eq"),
            ("trigger.f.0.value", "1"),
            ("trigger.f.new", "y.z\thigh"),
        ];
        for (wish, filter) in [
            ("add", json!({"x": {"~eq": 1}, "y.z": {"~eq": "high"}})),
            ("group", json!({"x": {"~eq": 1}, "~or": [{"y.z": {"~eq": "high"}}]})),
            ("remove 0", json!(null)),
        ] {
            let pairs: Vec<_> = base.into_iter().chain([("trigger.do", wish)]).collect();
            let read = posted(&pairs).expect("a trigger");
            assert_eq!(read["filter"], filter, "{wish}");
        }
    }

    #[test]
    fn json_that_is_none_is_kept_as_it_was_typed() {
        let read = posted(&[
            ("trigger.kind", "event"),
            ("trigger.event", "a:b"),
            ("trigger.f.mode", "raw"),
            ("trigger.f.raw", "{\"x\":"),
        ]);
        assert_eq!(read, Some(json!({"event": "a:b", "filter": "{\"x\":"})));
    }
}
