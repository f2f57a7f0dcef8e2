//! The inbox of approvals: what a run asks, by when, and the two buttons that answer.

use actix_web::web;
use askama::Template;

use super::filled::Filled;
use super::said::said;
use crate::app::App;
use crate::app::approvals::{Approvals, AskedView, Verdict};
use crate::app::views::Page;
use crate::domain::run::Decision;
use crate::web::api::runs::run_id;
use crate::web::error::{Answer, ApiError};
use crate::web::query::Query;
use crate::web::ui::pages::back;
use crate::web::ui::parts::list::{Address, Tab};
use crate::web::ui::parts::mark::Mark;
use crate::web::ui::parts::moment::Moment;
use crate::web::ui::run::encoded;
use crate::web::ui::shell::Shell;
use crate::web::ui::visit::{Visit, html};

/// An approval as the page shows it.
struct Card {
    view: AskedView,
    anchor: String,
    mark: Mark,
    run_href: String,
    href: String,
    asked: Moment,
    until: Option<Moment>,
    escalates: Option<Moment>,
    decided: Option<Moment>,
}

/// The page.
#[derive(Template)]
#[template(path = "approvals.html")]
pub struct ApprovalsPage {
    shell: Shell,
    said: Option<&'static str>,
    tabs: Vec<Tab>,
    which: String,
    cards: Vec<Card>,
    next: Option<String>,
    first: Option<String>,
    curl: String,
}

const TABS: [(&str, &str); 3] = [("", "For me"), ("all", "All open"), ("decided", "Decided")];

/// Makes the page of one part of a list; `which` is empty for the caller's own.
pub fn page(shell: Shell, which: &str, list: Page<AskedView>) -> ApprovalsPage {
    let address = Address::new("/approvals", vec![("show", Some(which.to_owned()))]);
    let status = match which {
        "all" => "pending",
        "decided" => "decided",
        _ => "mine", // What nobody asked for by name.
    };
    let cards = list.data.into_iter().map(|view| card(&shell, view)).collect();
    ApprovalsPage {
        said: None,
        tabs: address.tabs(&shell, "show", &TABS),
        next: list.next_cursor.as_ref().map(|cursor| address.with(&shell, "cursor", cursor)),
        first: None,
        curl: shell.curl(&format!("/v1/approvals?status={status}")),
        which: which.to_owned(),
        shell,
        cards,
    }
}

fn card(shell: &Shell, view: AskedView) -> Card {
    let asked = &view.approval;
    let mark = match asked.status.as_str() {
        "approved" => Mark::of("succeeded").worded("Approved"),
        "rejected" => Mark::of("failed").worded("Rejected"),
        "withdrawn" => Mark::of("cancelled").worded("No longer asked"),
        _ => Mark::of("waiting").worded("Waits for a decision"),
    };
    let run = asked.run.to_string();
    Card {
        mark,
        anchor: format!("{run}-{}", asked.step.replace(['.', '[', ']'], "-")),
        run_href: shell.url(&format!("/runs/{run}")),
        href: shell.url(&format!("/approvals/{run}/{}", encoded(&asked.step))),
        asked: shell.ago(&asked.requested_at),
        until: asked.until.map(|at| shell.ago(&at)),
        escalates: view.escalates_at.filter(|at| *at > shell.now).map(|at| shell.ago(&at)),
        decided: asked.decided_at.map(|at| shell.ago(&at)),
        view,
    }
}

/// Shows a list.
pub async fn list(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let which = query.text("show").unwrap_or_default().to_owned();
    let list = match which.as_str() {
        "" => Approvals::Mine,
        "all" => Approvals::Pending,
        "decided" => Approvals::Decided,
        other => {
            let detail = format!("`{other}` is no list; it must be all or decided");
            return Err(ApiError::bad_parameter("show", detail));
        }
    };
    let list = query.seal(app.approvals(&visit.who, list, &query.page()?)?);
    let mut page = page(visit.shell, &which, list);
    page.said = said(&query);
    if query.text("cursor").is_some() {
        let address = Address::new("/approvals", vec![("show", Some(which))]);
        page.first = Some(address.here(&page.shell));
    }
    html(&page)
}

/// Decides about one.
pub async fn decide(
    app: web::Data<App>,
    visit: Visit,
    place: web::Path<(String, String)>,
    form: web::Bytes,
) -> Answer {
    let (run, step) = place.into_inner();
    let form = Filled::read(&form);
    let (decision, word) = match form.text("decision") {
        "approve" => (Decision::Approved, "approved"),
        "reject" => (Decision::Rejected, "rejected"),
        other => {
            let detail = format!("`{other}` is no decision; it must be approve or reject");
            return Err(ApiError::bad_parameter("decision", detail));
        }
    };
    let comment = form.text("comment").to_owned();
    app.decide(&visit.who, run_id(&run)?, &step, Verdict { decision, comment }).await?;
    let show = if form.text("show") == "all" { "&show=all" } else { "" };
    Ok(back(&visit.shell, &format!("/approvals?said={word}{show}")))
}
