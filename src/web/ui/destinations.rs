//! The list of destinations: how each fares, who waits for it, and its reset.

use actix_web::web;
use askama::Template;
use serde::Deserialize;

use super::admin::{Outcome, back_with};
use super::parts::list::{Address, Chip, Empty, Tab};
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
    /// The connection that it is, if it is one.
    href: Option<String>,
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
    outcome: Outcome,
    rows: Vec<Row>,
    tabs: Vec<Tab>,
    chips: Vec<Chip>,
    empty: Empty,
    address: Address,
    next: Option<String>,
    first: Option<String>,
    curl: String,
}

/// Makes the page of one part of the list.
#[cfg(test)]
pub fn page(shell: Shell, cursor: Option<&str>, list: &Page<DestinationView>) -> DestinationsPage {
    let pairs = vec![("cursor", cursor.map(str::to_owned))];
    found(shell, Address::new("/destinations", pairs), list, Outcome::default())
}

/// Makes the page of what of one part of the list passes the filters.
pub fn found(
    shell: Shell,
    address: Address,
    list: &Page<DestinationView>,
    outcome: Outcome,
) -> DestinationsPage {
    let rows = list.data.iter().map(|view| row(&shell, view));
    let rows: Vec<Row> = rows.filter(|row| admits(&address, row)).collect();
    let mut chips = address.chips(&shell);
    chips.retain(|chip| chip.name != "cursor");
    DestinationsPage {
        tabs: address.tabs(&shell, "state", &[("", "All"), ("trouble", "In trouble")]),
        empty: Empty::of(&rows, &chips),
        next: list.next_cursor.as_ref().map(|next| address.with(&shell, "cursor", next)),
        first: match address.value("cursor") {
            "" => None,
            _ => Some(address.with(&shell, "cursor", "")),
        },
        curl: shell.curl("/v1/destinations"),
        outcome,
        shell,
        rows,
        chips,
        address,
    }
}

fn admits(address: &Address, row: &Row) -> bool {
    let text = address.value("q").to_lowercase();
    let in_trouble = row.is_held || row.failures > 0;
    row.name.to_lowercase().contains(&text) && (address.value("state") != "trouble" || in_trouble)
}

fn row(shell: &Shell, view: &DestinationView) -> Row {
    let is_paused = view.paused_until.is_some();
    Row {
        href: (!view.name.contains("://"))
            .then(|| shell.url(&format!("/connections/{}", encoded(&view.name)))),
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
    let owned = |name| query.text(name).map(str::to_owned);
    let pairs = ["state", "q", "cursor"].map(|name| (name, owned(name)));
    let address = Address::new("/destinations", pairs.into());
    html(&found(visit.shell, address, &query.seal(list), Outcome::of(&query)))
}

/// Which destination is meant.
#[derive(Deserialize)]
pub struct ResetForm {
    name: String,
}

/// Lets calls go there again.
pub async fn reset(app: web::Data<App>, visit: Visit, form: web::Form<ResetForm>) -> Answer {
    app.reset_destination(&visit.who, &form.name).await?;
    Ok(back_with(&visit.shell, "/destinations", "reset"))
}
