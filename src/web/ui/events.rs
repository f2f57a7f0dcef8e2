//! The list of events with what each has started.

use askama::Template;

use super::parts::list::{Address, Chip, Empty, Tab};
use super::parts::moment::Moment;
use super::run::encoded;
use super::runs::short;
use super::shell::Shell;
use crate::app::views::{EventView, Page};

/// What the list can be filtered by, as it stands in the address.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct EventsQuery {
    /// A type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `true` for those that started a run, `false` for those that started none.
    pub matched: Option<String>,
    /// Not older than an instant or a span such as `24h`.
    pub since: Option<String>,
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
    next: Option<String>,
    first: Option<String>,
    curl: String,
    send: String,
}

/// Makes the page of one part of the list.
pub fn page(shell: Shell, query: &EventsQuery, events: &Page<EventView>) -> EventsPage {
    let address = Address::new(
        "/events",
        vec![
            ("type", query.kind.clone()),
            ("matched", query.matched.clone()),
            ("since", query.since.clone()),
        ],
    );
    let rows: Vec<Row> = events.data.iter().map(|event| row(&shell, event)).collect();
    let chips = address.chips(&shell);
    let here = address.here(&shell);
    let api = here[shell.base.len()..].to_owned();
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
        live: !later,
        send: "ergane event send demo:hello '{\"hello\": \"world\"}'".to_owned(),
        shell,
        rows,
        chips,
        address,
        here,
    }
}

fn row(shell: &Shell, event: &EventView) -> Row {
    let actor = &event.actor;
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
        runs_href: match event.runs.as_slice() {
            [only] => shell.url(&format!("/runs/{only}")),
            _ => shell.url(&format!("/runs?event={}", encoded(&event.id))),
        },
        caused_by: event.cause.map(|cause| shell.url(&format!("/runs/{}", cause.run_id))),
    }
}
