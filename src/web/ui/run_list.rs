//! The list of runs: found by a typed search, drawn over time, saved under a name.

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;
use serde::Deserialize;

use super::bulk;
use super::pages::back;
use super::parts::list::{Address, Chip, Empty, Tab};
use super::run_bars::{RunBars, counted};
use super::runs::{RunRow, rows};
use super::shell::Shell;
use super::visit::{Part, Visit, html, see_other, with_status};
use crate::app::App;
use crate::app::error::Error;
use crate::app::run_histogram::RunHistogram;
use crate::app::run_views::{SavedRunView, Sharing};
use crate::app::run_words::RunWords;
use crate::app::views::{Page, RunSummary};
use crate::domain::problem::Problem;
use crate::web::api::run_lists::words;
use crate::web::error::Answer;
use crate::web::query::Query;
use crate::web::route::{Group, Route};

/// What people press on the list of runs.
pub static PAGES: Group = Group {
    tag: "run-pages",
    about: "What people press on the list of runs.",
    routes: &[
        Route::post("/runs/views", || web::to(save))
            .named("page_run_view_save", "Saves a search for runs under a name.")
            .page("runs:read"),
        Route::post("/runs/views/{id}/remove", || web::to(remove))
            .named("page_run_view_remove", "Removes a saved search for runs.")
            .page("runs:read"),
    ],
    schemas: &[],
    made: &[],
};

const STATUSES: [(&str, &str); 9] = [
    ("", "All"),
    ("running", "Running"),
    ("retrying", "Retrying"),
    ("waiting", "Waiting"),
    ("queued", "Queued"),
    ("compensating", "Undoing"),
    ("succeeded", "Succeeded"),
    ("failed", "Failed"),
    ("cancelled", "Cancelled"),
];
const WINDOWS: [(&str, &str); 4] =
    [("", "Any time"), ("1h", "1 h"), ("24h", "24 h"), ("7d", "7 d")];
/// What can be typed whatever the list holds.
const SUGGESTED: [&str; 14] = [
    "status:failed",
    "status:retrying",
    "status:waiting",
    "status:running",
    "status:succeeded",
    "undo:incomplete",
    "undo:done",
    "waitingFor:approval",
    "waitingFor:incident",
    "waitingFor:sleep",
    "attempts:>3",
    "since:2h",
    "since:24h",
    "until:1d",
];
const SUGGESTIONS_MAX: usize = 60;

/// What the page is made from.
pub(super) struct Found {
    pub(super) words: RunWords,
    pub(super) runs: Page<RunSummary>,
    pub(super) histogram: Option<RunHistogram>,
    pub(super) views: Vec<SavedRunView>,
    /// Whether an earlier page was left.
    pub(super) is_later: bool,
    pub(super) problems: Vec<Problem>,
}

#[derive(Template)]
#[template(path = "runs.html")]
struct RunsPage {
    shell: Shell,
    rows: Vec<RunRow>,
    tabs: Vec<Tab>,
    windows: Vec<Tab>,
    views: Vec<Tab>,
    /// Saved searches that the visitor may remove: the word and where the form goes.
    removable: Vec<(String, String)>,
    chips: Vec<Chip>,
    empty: Empty,
    q: String,
    /// The filters in force beside what is typed.
    kept: Vec<(&'static str, String)>,
    /// The search in force, as it could be typed.
    typed: String,
    suggestions: Vec<String>,
    problems: Vec<String>,
    bars: Option<RunBars>,
    /// `412 runs`, as far as they were counted.
    total: Option<String>,
    /// What can be done to all of them: the page and the word.
    acts: Vec<(String, &'static str)>,
    export: String,
    clear: String,
    here: String,
    live: bool,
    next: Option<String>,
    first: Option<String>,
    may_share: bool,
}

/// Shows the list; a search that names fields is led to the address that has them apart.
pub async fn show(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let asked = words(&query);
    if asked.is_folded() {
        let apart = asked.unfolded().unwrap_or_default();
        return Ok(see_other(address(&apart).here(&visit.shell)));
    }
    let is_live = visit.part == Part::Live;
    let (who, shell) = (visit.who, visit.shell);
    let filter = match asked.filter(app.now()) {
        Ok(filter) => filter,
        Err(problems) => {
            let runs = Page { data: vec![], next_cursor: None };
            let views = app.run_views(&who)?;
            let found =
                Found { words: asked, runs, histogram: None, views, is_later: true, problems };
            return Ok(with_status(StatusCode::BAD_REQUEST, &page(shell, found)));
        }
    };
    let list = app.runs(&who, &filter, &query.page()?)?;
    // What is fetched again and again is the list alone.
    let histogram = if is_live { None } else { Some(app.run_histogram(&who, &filter)?) };
    let views = if is_live { vec![] } else { app.run_views(&who)? };
    let is_later = query.text("cursor").is_some();
    let runs = query.seal(list);
    let found = Found { words: asked, runs, histogram, views, is_later, problems: vec![] };
    html(&page(shell, found))
}

/// A search on its way to a name.
#[derive(Deserialize)]
pub struct SaveForm {
    title: String,
    q: String,
    shared: Option<String>,
}

/// Saves a search under a name and shows its list.
pub async fn save(app: web::Data<App>, visit: Visit, form: web::Form<SaveForm>) -> Answer {
    let sharing = if form.shared.is_some() { Sharing::Shared } else { Sharing::Private };
    let view = app.save_run_view(&visit.who, &form.title, &form.q, sharing).await?;
    let words = RunWords::typed(&view.q).map_err(Error::Invalid)?;
    Ok(see_other(address(&words).here(&visit.shell)))
}

/// Removes a saved search.
pub async fn remove(app: web::Data<App>, visit: Visit, id: web::Path<String>) -> Answer {
    app.remove_run_view(&visit.who, &id).await?;
    Ok(back(&visit.shell, "/runs"))
}

fn address(words: &RunWords) -> Address {
    listed("/runs", words)
}

/// Returns the address of a page about the runs that are meant.
pub(super) fn listed(path: &'static str, words: &RunWords) -> Address {
    let pairs = words.pairs().iter().map(|(name, value)| (*name, Some(value.clone())));
    Address::new(path, pairs.collect())
}

/// Makes the page of one part of the list.
pub(super) fn page(shell: Shell, found: Found) -> impl Template {
    let Found { words, runs, histogram, views, is_later, problems } = found;
    let address = address(&words);
    let rows = rows(&shell, &runs.data);
    let chips = address.chips(&shell);
    let here = address.here(&shell);
    let query = here.split_once('?').map_or(String::new(), |(_, query)| format!("?{query}"));
    let kept = words.pairs().iter().filter(|(name, _)| *name != "q").cloned().collect();
    let viewer = shell.viewer.as_ref();
    RunsPage {
        tabs: address.tabs(&shell, "status", &STATUSES),
        windows: address.tabs(&shell, "since", &WINDOWS),
        views: tabs(&shell, &words, &views),
        removable: removable(&shell, &views),
        empty: Empty::of(&rows, &chips),
        q: words.value("q").unwrap_or_default().to_owned(),
        kept,
        typed: words.text(),
        suggestions: suggestions(&runs.data),
        problems: problems.into_iter().map(told).collect(),
        bars: histogram
            .as_ref()
            .filter(|all| all.total > 0)
            .map(|all| RunBars::new(&shell, &address, all)),
        total: histogram.as_ref().map(|all| match all.complete {
            true => counted(all.total),
            false => format!("more than {}", counted(all.total)),
        }),
        acts: match viewer.is_some_and(|viewer| viewer.may("runs:write")) && !rows.is_empty() {
            true => bulk::offered(&shell, &words),
            false => vec![],
        },
        export: shell.url(&format!("/v1/runs/export{query}")),
        clear: shell.url("/runs"),
        next: runs.next_cursor.as_ref().map(|cursor| address.with(&shell, "cursor", cursor)),
        live: !is_later,
        first: is_later.then(|| here.clone()),
        may_share: viewer.is_some_and(|viewer| viewer.may("runs:write")),
        shell,
        rows,
        chips,
        here,
    }
}

fn told(problem: Problem) -> String {
    let hint = problem.hint.map_or_else(String::new, |hint| format!(" ({hint})"));
    format!("{}{hint}", problem.detail)
}

fn tabs(shell: &Shell, words: &RunWords, views: &[SavedRunView]) -> Vec<Tab> {
    let tab = |view: &SavedRunView| {
        let meant = RunWords::typed(&view.q).ok()?;
        let mark = if view.kind == "private" { " (private)" } else { "" };
        Some(Tab {
            word: format!("{}{mark}", view.title),
            href: address(&meant).here(shell),
            chosen: meant == *words,
        })
    };
    views.iter().filter_map(tab).collect()
}

fn removable(shell: &Shell, views: &[SavedRunView]) -> Vec<(String, String)> {
    let own = views.iter().filter(|view| view.removable);
    own.map(|view| {
        let path = format!("/runs/views/{}/remove", view.id);
        (view.title.clone(), shell.url(&path))
    })
    .collect()
}

/// Returns what could be typed: what the list itself tells, then what is always there.
fn suggestions(runs: &[RunSummary]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for run in runs {
        let error = run.error.as_ref();
        let quoted = |text: &str| match text.contains(char::is_whitespace) {
            true => format!("\"{text}\""),
            false => text.to_owned(),
        };
        all.push(format!("workflow:{}", run.workflow));
        all.extend(error.map(|error| format!("errorCode:{}", quoted(&error.code))));
        all.extend(run.current_step.as_ref().map(|step| format!("step:{}", quoted(step))));
        all.extend(run.event_type.as_ref().map(|kind| format!("event:{}", quoted(kind))));
    }
    all.sort();
    all.dedup();
    all.truncate(SUGGESTIONS_MAX - SUGGESTED.len());
    all.extend(SUGGESTED.map(str::to_owned));
    all
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn found(q: &str) -> Found {
        Found {
            words: RunWords::typed(q).expect("words"),
            runs: samples::runs(),
            histogram: None,
            views: vec![SavedRunView {
                id: "V1".to_owned(),
                title: "<b>Mine</b>".to_owned(),
                q: "status:failed".to_owned(),
                kind: "private",
                created_by: Some("Ada".to_owned()),
                created_at: None,
                removable: true,
            }],
            is_later: false,
            problems: vec![],
        }
    }

    #[test]
    fn every_field_in_force_is_a_chip_that_can_be_dropped() {
        let html = page(Shell::for_tests(""), found("status:failed step:notify BIL")).render();
        let html = html.expect("a page");
        for part in [
            "Drop the filter status failed",
            "Drop the filter step notify",
            "Drop the filter q BIL",
            "href=\"/runs?q=BIL&#38;status=failed\"",
            "/v1/runs/export?q=BIL&#38;status=failed&#38;step=notify",
            "value=\"errorCode:not_in_channel\"",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains("<b>Mine</b>"), "{html}");
    }

    #[test]
    fn a_saved_search_is_marked_where_it_is_in_force() {
        let html = page(Shell::for_tests(""), found("status:failed")).render().expect("a page");
        assert!(
            html.contains("<a href=\"/runs?status=failed\" aria-current=\"true\">&#60;b&#62;Mine")
        );
    }
}
