//! What a trigger would do: which of the last events it matches and why, or when it comes next.

use std::time::Duration;

use askama::Template;
use askama::filters::HtmlSafe;
use serde_json::{Value, json};

use super::super::super::parts::moment::Moment;
use super::super::super::parts::trace::Trace;
use super::super::super::run::encoded;
use super::super::super::shell::Shell;
use super::super::super::visit::Visit;
use crate::app::App;
use crate::app::error::Error;
use crate::app::live_match::{EventVerdict, LastEvents, Only};
use crate::app::schedules::PreviewRequest;
use crate::domain::problem::Problem;
use crate::web::state::Front;

/// On how many of the newest events a filter is tried.
const EVENTS_TRIED: usize = 200;
const EVENTS_SHOWN_MAX: usize = 25;
const TIMES_SHOWN: usize = 10;
/// One condition away from a match.
const NEAR: usize = 1;

/// What a trigger would do.
#[derive(Clone, Debug, Template)]
#[template(path = "editor/live.html")]
pub struct Live {
    shell: Shell,
    cases_href: String,
    body: LiveBody,
}

impl HtmlSafe for Live {}

#[derive(Clone, Debug)]
enum LiveBody {
    Nothing,
    Refused(Vec<Problem>),
    Matches(Matches),
    Times(Times),
}

#[derive(Clone, Debug)]
struct Matches {
    sentence: String,
    note: String,
    shows: Vec<(&'static str, String, bool)>,
    rows: Vec<MatchRow>,
    hidden: usize,
    percent: usize,
}

#[derive(Clone, Debug)]
struct MatchRow {
    id: String,
    href: String,
    subject: String,
    received: Moment,
    matches: bool,
    near: bool,
    refusal: String,
    trace: Option<Trace>,
}

#[derive(Clone, Debug)]
struct Times {
    words: String,
    timezone: String,
    rule: &'static str,
    rows: Vec<TimeRow>,
}

#[derive(Clone, Debug)]
struct TimeRow {
    at: Moment,
    utc: Moment,
    local: String,
    note: String,
}

impl Live {
    /// Tries a trigger, which may be unfinished, on what was recorded; `show` says which events are
    /// listed: `matched`, `unmatched`, `near`, or all.
    pub fn of(
        (app, front): (&App, &Front),
        visit: &Visit,
        name: &str,
        trigger: &Value,
        show: &str,
    ) -> Live {
        let body = match trigger {
            Value::Object(fields) if fields.contains_key("schedule") => {
                times(app, visit, name, &trigger["schedule"])
            }
            Value::Object(_) | Value::String(_) => {
                let kind = trigger["event"].as_str().or_else(|| trigger.as_str());
                let kind = kind.filter(|kind| *kind != "manual" && !kind.is_empty());
                let may_look = visit.who.scopes.allow("events:read");
                let time_max = Duration::from_millis(front.settings.live_match_ms_max);
                match kind.filter(|_| may_look) {
                    Some(kind) => matches(app, visit, (kind, &trigger["filter"]), show, time_max),
                    None => LiveBody::Nothing,
                }
            }
            _ => LiveBody::Nothing, // Only people start it.
        };
        let name = if name.is_empty() { "new" } else { name };
        Live {
            cases_href: visit.shell.url(&format!("/workflows/{}/cases", encoded(name))),
            shell: visit.shell.clone(),
            body,
        }
    }
}

fn refused(error: Error) -> LiveBody {
    match error {
        Error::Invalid(problems) => LiveBody::Refused(problems),
        other => LiveBody::Refused(vec![Problem::new("", "unavailable", other.to_string())]),
    }
}

fn times(app: &App, visit: &Visit, name: &str, schedule: &Value) -> LiveBody {
    let request = PreviewRequest {
        schedule: schedule.clone(),
        at: "/trigger/schedule",
        from: None,
        count: TIMES_SHOWN,
        workflow: (!name.is_empty()).then(|| name.to_owned()),
    };
    match app.preview_schedule(&request) {
        Err(error) => refused(error),
        Ok(preview) => LiveBody::Times(Times {
            words: preview.description,
            timezone: preview.timezone,
            rule: preview.rule,
            rows: preview
                .data
                .into_iter()
                .map(|next| TimeRow {
                    at: Moment::relative(next.fires_at.unwrap_or(next.at), visit.shell.now),
                    utc: Moment::absolute(next.at),
                    local: next.local,
                    note: next.note.unwrap_or_default(),
                })
                .collect(),
        }),
    }
}

fn matches(
    app: &App,
    visit: &Visit,
    (kind, filter): (&str, &Value),
    show: &str,
    time_max: Duration,
) -> LiveBody {
    let last = LastEvents {
        kind: crate::domain::event_type::canonical(kind).into_owned(),
        last: EVENTS_TRIED,
        limit: EVENTS_TRIED,
        only: Only::Every,
        time_max,
    };
    let all = json!({});
    let found = app.match_last(&visit.who, if filter.is_null() { &all } else { filter }, &last);
    let found = match found {
        Err(error) => return refused(error),
        Ok(found) => found,
    };
    let near = found.data.iter().filter(|verdict| is_near(verdict)).count();
    let counts = [
        ("", "all", found.data.len()),
        ("matched", "matching", found.matched),
        ("near", "near misses", near),
        ("unmatched", "not matching", found.looked - found.matched),
    ];
    let wanted = |verdict: &&EventVerdict| match show {
        "matched" => verdict.matches,
        "unmatched" => !verdict.matches,
        "near" => is_near(verdict),
        _ => true, // Every one.
    };
    let listed: Vec<&EventVerdict> = found.data.iter().filter(wanted).collect();
    let rows = listed.iter().take(EVENTS_SHOWN_MAX).map(|verdict| row(&visit.shell, verdict));
    LiveBody::Matches(Matches {
        sentence: sentence(found.matched, found.looked, kind),
        note: if found.partial { "The time was over before all were tried." } else { "" }
            .to_owned(),
        shows: counts
            .iter()
            .map(|(value, word, count)| (*value, format!("{word} ({count})"), *value == show))
            .collect(),
        rows: rows.collect(),
        hidden: listed.len().saturating_sub(EVENTS_SHOWN_MAX),
        percent: (found.matched * 100).checked_div(found.looked).unwrap_or_default(),
    })
}

fn sentence(matched: usize, looked: usize, kind: &str) -> String {
    match (matched, looked) {
        (_, 0) => format!("No {kind} has come yet"),
        (_, 1) if matched == 1 => format!("The one {kind} that came matches"),
        (_, 1) => format!("The one {kind} that came does not match"),
        _ => format!("{matched} of the last {looked} {kind} match"),
    }
}

fn is_near(verdict: &EventVerdict) -> bool {
    !verdict.matches && verdict.trace.misses() == NEAR
}

fn row(shell: &Shell, verdict: &EventVerdict) -> MatchRow {
    let trace = Trace::read(&json!(verdict.trace));
    MatchRow {
        href: shell.url(&format!("/events/{}", encoded(&verdict.event_id))),
        id: verdict.event_id.clone(),
        subject: verdict.subject.clone().unwrap_or_default(),
        received: Moment::relative(verdict.received_at, shell.now),
        matches: verdict.matches,
        near: is_near(verdict),
        refusal: trace.as_ref().and_then(Trace::first_refusal).unwrap_or_default(),
        trace,
    }
}
