//! The list of destinations: how each fares, who waits for it, and its reset.

use actix_web::web;
use askama::Template;
use serde::Deserialize;

use super::pages::back;
use super::parts::list::Empty;
use super::parts::mark::Mark;
use super::parts::moment::Moment;
use super::run::encoded;
use super::shell::Shell;
use super::visit::{Visit, html};
use crate::app::App;
use crate::app::destinations::DestinationView;
use crate::app::views::Page;
use crate::web::error::Answer;
use crate::web::query::Query;

struct Row {
    name: String,
    mark: Mark,
    since: Moment,
    until: Option<Moment>,
    in_flight: u32,
    waiting: usize,
    calls: u32,
    failures: u32,
    last: Option<(String, Moment)>,
    retries_left: u32,
    /// Whether a reset would change anything.
    is_held: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "destinations.html")]
pub struct DestinationsPage {
    shell: Shell,
    rows: Vec<Row>,
    empty: Empty,
    next: Option<String>,
    first: Option<String>,
    curl: String,
}

/// Makes the page of one part of the list.
pub fn page(shell: Shell, cursor: Option<&str>, list: &Page<DestinationView>) -> DestinationsPage {
    let rows: Vec<Row> = list.data.iter().map(|view| row(&shell, view)).collect();
    let here = shell.url("/destinations");
    DestinationsPage {
        empty: Empty::of(&rows, &[]),
        next: list.next_cursor.as_ref().map(|next| format!("{here}?cursor={}", encoded(next))),
        first: cursor.map(|_| here),
        curl: shell.curl("/v1/destinations"),
        shell,
        rows,
    }
}

fn row(shell: &Shell, view: &DestinationView) -> Row {
    let is_paused = view.paused_until.is_some();
    Row {
        name: view.name.clone(),
        mark: Mark::of(match view.state {
            "closed" if is_paused => "paused",
            state => state,
        }),
        since: Moment::relative(view.since, shell.now),
        until: view.until.map(|until| Moment::relative(until, shell.now)),
        in_flight: view.in_flight,
        waiting: view.waiting,
        calls: view.window.calls,
        failures: view.window.failures,
        last: view.last_failure.as_ref().map(|failure| {
            let told = format!("{}: {}", failure.code, failure.message);
            (told, Moment::relative(failure.at, shell.now))
        }),
        retries_left: view.retries_left,
        is_held: view.state != "closed" || is_paused || view.waiting > 0,
    }
}

/// Shows the list.
pub async fn list(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let list = app.destinations(&visit.who, &query.page()?).await?;
    html(&page(visit.shell, query.text("cursor"), &query.seal(list)))
}

/// Which destination is meant.
#[derive(Deserialize)]
pub struct ResetForm {
    name: String,
}

/// Lets calls go there again.
pub async fn reset(app: web::Data<App>, visit: Visit, form: web::Form<ResetForm>) -> Answer {
    app.reset_destination(&visit.who, &form.name).await?;
    Ok(back(&visit.shell, "/destinations"))
}
