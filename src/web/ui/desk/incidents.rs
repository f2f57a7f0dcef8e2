//! Incidents by their cause: what failed where, how often, and one form that settles them all.

use actix_web::web;
use askama::Template;
use serde_json::Value;

use super::filled::Filled;
use crate::app::App;
use crate::app::causes::{Cause, CauseView, Causes};
use crate::app::error::Error;
use crate::app::incidents::{Settlement, resolution};
use crate::app::views::IncidentView;
use crate::domain::problem::Problem;
use crate::web::error::Answer;
use crate::web::query::Query;
use crate::web::ui::pages::back;
use crate::web::ui::parts::moment::Moment;
use crate::web::ui::settle;
use crate::web::ui::shell::Shell;
use crate::web::ui::visit::{Visit, html};

/// One incident of a cause.
struct One {
    view: IncidentView,
    href: String,
    since: Moment,
}

/// A cause as the page shows it.
struct Group {
    view: CauseView,
    id: usize,
    first: Moment,
    last: Moment,
    ones: Vec<One>,
    more: usize,
    more_href: String,
    actions: [(&'static str, &'static str); 4],
}

/// The page.
#[derive(Template)]
#[template(path = "incidents.html")]
pub struct IncidentsPage {
    shell: Shell,
    said: Option<String>,
    tone: &'static str,
    groups: Vec<Group>,
    total: usize,
    partial: bool,
    may_settle: bool,
    curl: String,
}

/// Makes the page.
pub fn page(shell: Shell, causes: Causes) -> IncidentsPage {
    let total = causes.data.iter().map(|cause| cause.count).sum();
    let groups = causes.data.into_iter().enumerate();
    let groups = groups.map(|(id, view)| group(&shell, id, view)).collect();
    IncidentsPage {
        said: None,
        tone: "ok",
        total,
        partial: causes.partial,
        may_settle: shell.viewer.as_ref().is_some_and(|viewer| viewer.may("runs:write")),
        curl: shell.curl("/v1/incidents/causes"),
        groups,
        shell,
    }
}

fn group(shell: &Shell, id: usize, mut view: CauseView) -> Group {
    let one = |incident: IncidentView| {
        let stuck = settle::stuck(shell, &format!("/runs/{}", incident.run), &incident);
        One {
            href: shell.url(&format!("/runs/{}#{}", incident.run, stuck.anchor)),
            since: shell.ago(&incident.since),
            view: incident,
        }
    };
    let newest = std::mem::take(&mut view.newest);
    let actions = newest.first().map(|it| settle::stuck(shell, "", it).actions);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("status", "waiting").append_pair("workflow", &view.workflow);
    Group {
        id,
        first: shell.ago(&view.first_at),
        last: shell.ago(&view.last_at),
        more: view.count.saturating_sub(newest.len()),
        more_href: shell.url(&format!("/runs?{}", query.finish())),
        ones: newest.into_iter().map(one).collect(),
        actions: actions.unwrap_or_default(),
        view,
    }
}

/// Shows the causes.
pub async fn list(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let mut page = page(visit.shell, app.causes(&visit.who)?);
    let count = |name: &str| query.text(name).and_then(|text| text.parse::<u32>().ok());
    if let Some(settled) = count("settled") {
        let (refused, left) = (count("refused").unwrap_or(0), count("left").unwrap_or(0));
        page.said = Some(told(settled, refused, left));
        page.tone = if refused == 0 { "ok" } else { "bad" };
    }
    html(&page)
}

fn told(settled: u32, refused: u32, left: u32) -> String {
    let mut text = match settled {
        1 => "One incident was settled.".to_owned(),
        count => format!("{count} incidents were settled."),
    };
    if refused > 0 {
        text.push_str(&format!(" {refused} could not be; they stand here still."));
    }
    if left > 0 {
        text.push_str(&format!(" {left} are left: press once more."));
    }
    text
}

/// Settles every incident of a cause.
pub async fn settle_all(app: web::Data<App>, visit: Visit, form: web::Bytes) -> Answer {
    let form = Filled::read(&form);
    let text = |name: &str| form.text(name).to_owned();
    let cause = Cause { workflow: text("workflow"), step: text("step"), code: text("code") };
    let action = form.text("action");
    let output = form.optional("value").filter(|_| action == "complete");
    let output = output.map(|text| serde_json::from_str::<Value>(&text)).transpose();
    let output = output.map_err(|error| {
        Error::Invalid(vec![Problem::new("/value", "syntax", format!("no JSON: {error}"))])
    })?;
    let resolution = resolution(action, None, output).map_err(|it| Error::Invalid(vec![it]))?;
    let settlement = Settlement { resolution, comment: text("comment") };
    let outcome = app.settle_cause(&visit.who, &cause, &settlement).await?;
    let (settled, refused, left) = (outcome.settled, outcome.refused.len(), outcome.left);
    let place = format!("/incidents?settled={settled}&refused={refused}&left={left}");
    Ok(back(&visit.shell, &place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_it_is_a_sentence() {
        assert_eq!(told(1, 0, 0), "One incident was settled.");
        assert!(told(200, 2, 31).ends_with("31 are left: press once more."));
    }
}
