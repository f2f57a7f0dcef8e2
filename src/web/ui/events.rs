//! The list of events with what each has started.

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;

use super::parts::list::{Address, Chip, Empty, Tab};
use super::parts::moment::Moment;
use super::run::encoded;
use super::runs::short;
use super::shell::Shell;
use crate::app::event_reach::Listeners;
use crate::app::views::{EventView, Page};
use crate::domain::time::Timestamp;

const MINUTE: Duration = Duration::from_secs(60);

/// What the list can be filtered by, as it stands in the address.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct EventsQuery {
    /// A type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `true` for those that started a run, `false` for those that started none.
    pub matched: Option<String>,
    /// A source.
    pub source: Option<String>,
    /// A subject.
    pub subject: Option<String>,
    /// A text in the payload, the subject or the id.
    pub q: Option<String>,
    /// Not older than an instant or a span such as `24h`.
    pub since: Option<String>,
    /// `off` for a list that stands still.
    pub live: Option<String>,
    /// Where the page begins.
    pub cursor: Option<String>,
}

#[derive(Clone, Debug)]
struct Row {
    href: String,
    kind: String,
    id: String,
    subject: String,
    subject_short: String,
    source: String,
    actor: String,
    at: Moment,
    runs: usize,
    runs_href: String,
    /// How many workflows it was held back from, and the first reason.
    withheld: usize,
    withheld_why: String,
    /// How many listen and were not started.
    no: usize,
    inactive: usize,
    caused_by: Option<String>,
}

/// The page.
#[derive(Template)]
#[template(path = "events.html")]
pub struct EventsPage {
    shell: Shell,
    rows: Vec<Row>,
    tabs: Vec<Tab>,
    windows: Vec<Tab>,
    chips: Vec<Chip>,
    empty: Empty,
    address: Address,
    here: String,
    live: bool,
    /// The same list, standing still or moving.
    other_live: Option<(&'static str, String)>,
    /// How many come in a minute.
    rate: String,
    kinds: Vec<String>,
    next: Option<String>,
    first: Option<String>,
    curl: String,
    send: String,
}

/// Makes the page of one part of the list.
pub fn page(
    shell: Shell,
    query: &EventsQuery,
    events: &Page<EventView>,
    listeners: &BTreeMap<String, Listeners>,
) -> EventsPage {
    let address = Address::new(
        "/events",
        vec![
            ("type", query.kind.clone()),
            ("source", query.source.clone()),
            ("subject", query.subject.clone()),
            ("q", query.q.clone()),
            ("matched", query.matched.clone()),
            ("since", query.since.clone()),
        ],
    );
    let row = |event: &EventView| {
        let heard = listeners.get(&event.kind).copied().unwrap_or_default();
        row(&shell, event, heard)
    };
    let rows: Vec<Row> = events.data.iter().map(row).collect();
    let chips = address.chips(&shell);
    let here = address.here(&shell);
    let api = here[shell.base.len()..].to_owned();
    let moves = query.live.as_deref() != Some("off");
    let mut kinds: Vec<String> = events.data.iter().map(|event| event.kind.clone()).collect();
    kinds.sort();
    kinds.dedup();
    let matched = [("", "All"), ("true", "Started a run"), ("false", "Started none")];
    let windows = [("", "Any time"), ("1h", "1 h"), ("24h", "24 h"), ("7d", "7 d")];
    let later = query.cursor.is_some();
    EventsPage {
        tabs: address.tabs(&shell, "matched", &matched),
        windows: address.tabs(&shell, "since", &windows),
        empty: Empty::of(&rows, &chips),
        curl: shell.curl(&format!("/v1{api}")),
        next: events.next_cursor.as_ref().map(|cursor| address.with(&shell, "cursor", cursor)),
        first: later.then(|| here.clone()),
        live: !later && moves,
        other_live: match (later, moves) {
            (true, _) => None,
            (false, true) => Some(("Pause", address.with(&shell, "live", "off"))),
            (false, false) => Some(("Go on", here.clone())),
        },
        rate: rate(shell.now, &events.data),
        kinds,
        send: "ergane event send demo:hello '{\"hello\": \"world\"}'".to_owned(),
        shell,
        rows,
        chips,
        address,
        here,
    }
}

/// Says how many of the events came within the last minute.
fn rate(now: Timestamp, events: &[EventView]) -> String {
    let recent = events.iter().filter(|event| now.since(event.received_at) < MINUTE).count();
    let span = events.last().map_or(MINUTE, |oldest| now.since(oldest.received_at));
    if recent > 0 && recent == events.len() {
        // Older ones of this minute are on the next page.
        let per_minute = recent as f64 * MINUTE.as_secs_f64() / span.as_secs_f64().max(1.0);
        return format!("about {} a minute", per_minute.round());
    }
    format!("{recent} in the last minute")
}

fn row(shell: &Shell, event: &EventView, heard: Listeners) -> Row {
    let actor = &event.actor;
    let withheld = event.withheld.len();
    Row {
        href: shell.url(&format!("/events/{}", encoded(&event.id))),
        kind: event.kind.clone(),
        id: event.id.clone(),
        subject_short: match event.payload["ticket"]["ticketIdentifier"].as_str() {
            Some(identifier) => identifier.to_owned(),
            None => short(event.subject.as_deref().unwrap_or_default()),
        },
        subject: event.subject.clone().unwrap_or_default(),
        source: event.source.clone(),
        actor: if actor.email.is_empty() { actor.kind.clone() } else { actor.email.clone() },
        at: Moment::relative(event.received_at, shell.now),
        runs: event.runs.len(),
        withheld,
        withheld_why: event.withheld.first().map(|it| it.reason.clone()).unwrap_or_default(),
        no: heard.active.saturating_sub(event.runs.len() + withheld),
        inactive: heard.inactive,
        runs_href: match event.runs.as_slice() {
            [only] => shell.url(&format!("/runs/{only}")),
            _ => shell.url(&format!("/runs?event={}", encoded(&event.id))),
        },
        caused_by: event.cause.map(|cause| shell.url(&format!("/runs/{}", cause.run_id))),
    }
}
