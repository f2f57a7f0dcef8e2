//! Refused events: what was wrong with each, mended and tried again, or forgotten.

use actix_web::web;
use askama::Template;
use serde::Deserialize;
use serde_json::Value;

use super::pages::back;
use super::parts::json_tree::JsonTree;
use super::parts::moment::Moment;
use super::run::encoded;
use super::run_pages::json_of;
use super::shell::Shell;
use super::visit::{Visit, html};
use crate::app::App;
use crate::app::rejected::RejectedEvent;
use crate::app::views::Page;
use crate::web::error::Answer;
use crate::web::query::Query;
use crate::web::route::{CURSOR, Group, Route};

/// Refused events.
pub static PAGES: Group = Group {
    tag: "rejected-pages",
    about: "Where refused events are looked at, mended and tried again.",
    routes: &[
        Route::get("/events/rejected", || web::to(list))
            .named("page_rejected_events", "Lists refused events.")
            .page("events:read")
            .query(&[CURSOR]),
        Route::get("/events/rejected/{id}", || web::to(show))
            .named("page_rejected_event", "Shows a refused event with what was wrong.")
            .page("events:read"),
        Route::post("/events/rejected/{id}/replay", || web::to(replay))
            .named("page_rejected_event_replay", "Tries a refused event again.")
            .page("events:write"),
        Route::post("/events/rejected/{id}/remove", || web::to(remove))
            .named("page_rejected_event_remove", "Forgets a refused event.")
            .page("events:write"),
    ],
    schemas: &[],
    made: &[],
};

#[derive(Template)]
#[template(path = "rejected.html")]
struct ListPage {
    shell: Shell,
    rows: Vec<Row>,
    next: Option<String>,
    first: Option<String>,
    curl: String,
}

struct Row {
    href: String,
    kind: String,
    source: String,
    subject: String,
    why: String,
    more: usize,
    attempts: u32,
    at: Moment,
}

#[derive(Template)]
#[template(path = "rejected_event.html")]
struct EventPage {
    shell: Shell,
    id: String,
    href: String,
    kind: String,
    source: String,
    subject: String,
    event_id: String,
    at: Moment,
    tried: Moment,
    attempts: u32,
    bytes: usize,
    is_cut: bool,
    problems: Vec<(String, String, String, Option<String>)>,
    tree: JsonTree,
    payload: String,
    curl: String,
}

/// Lists refused events.
pub async fn list(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let list = app.rejected_events(&visit.who, &query.page()?)?;
    html(&list_page(visit.shell, query.text("cursor"), &query.seal(list)))
}

fn list_page(shell: Shell, cursor: Option<&str>, list: &Page<RejectedEvent>) -> impl Template {
    let next = list.next_cursor.as_ref().map(|cursor| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("cursor", cursor)
            .finish();
        shell.url(&format!("/events/rejected?{query}"))
    });
    ListPage {
        rows: list.data.iter().map(|event| row(&shell, event)).collect(),
        next,
        first: cursor.map(|_| shell.url("/events/rejected")),
        curl: shell.curl("/v1/events/rejected"),
        shell,
    }
}

fn row(shell: &Shell, event: &RejectedEvent) -> Row {
    let first = event.problems.first();
    Row {
        href: shell.url(&format!("/events/rejected/{}", encoded(&event.id))),
        kind: event.kind.clone(),
        source: event.source.clone(),
        subject: event.subject.clone().unwrap_or_default(),
        why: first.map_or_else(String::new, |it| format!("{} {}", it.pointer, it.detail)),
        more: event.problems.len().saturating_sub(1),
        attempts: event.attempts,
        at: Moment::relative(event.rejected_at, shell.now),
    }
}

/// Shows one refused event.
pub async fn show(app: web::Data<App>, visit: Visit, id: web::Path<String>) -> Answer {
    let event = app.rejected_event(&visit.who, &id)?;
    html(&event_page(visit.shell, event))
}

fn event_page(shell: Shell, event: RejectedEvent) -> impl Template {
    let path = format!("/events/rejected/{}", encoded(&event.id));
    let problems = event.problems.into_iter();
    EventPage {
        href: shell.url(&path),
        kind: event.kind,
        source: event.source,
        subject: event.subject.unwrap_or_default(),
        event_id: event.event_id.unwrap_or_default(),
        at: Moment::absolute(event.rejected_at),
        tried: Moment::relative(event.tried_at, shell.now),
        attempts: event.attempts,
        bytes: event.payload_bytes,
        is_cut: event.payload_cut,
        problems: problems.map(|it| (it.pointer, it.code, it.detail, it.hint)).collect(),
        tree: JsonTree::new("payload", &event.payload).unfolded(),
        payload: match event.payload {
            Value::Null if event.payload_cut => String::new(),
            payload => serde_json::to_string_pretty(&payload).unwrap_or_default(),
        },
        curl: shell.curl(&format!("/v1{path}")),
        id: event.id,
        shell,
    }
}

/// What stands in the place of the payload that was refused.
#[derive(Deserialize)]
pub struct ReplayForm {
    payload: Option<String>,
}

/// Tries a refused event again and shows the event that it became.
pub async fn replay(
    app: web::Data<App>,
    visit: Visit,
    id: web::Path<String>,
    form: web::Form<ReplayForm>,
) -> Answer {
    let payload = json_of("/payload", form.into_inner().payload)?;
    let accepted = app.replay_rejected(&visit.who, &id, payload).await?;
    Ok(back(&visit.shell, &format!("/events/{}", encoded(&accepted.id))))
}

/// Forgets a refused event.
pub async fn remove(app: web::Data<App>, visit: Visit, id: web::Path<String>) -> Answer {
    app.remove_rejected(&visit.who, &id).await?;
    Ok(back(&visit.shell, "/events/rejected"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::samples::{HOSTILE, NOW};
    use super::*;
    use crate::domain::problem::Problem;

    fn refused(text: &str) -> RejectedEvent {
        RejectedEvent {
            id: "J1".to_owned(),
            event_id: None,
            kind: text.to_owned(),
            source: text.to_owned(),
            subject: Some(text.to_owned()),
            time: None,
            actor: Default::default(),
            payload: json!({ "amount": text }),
            payload_bytes: 20,
            payload_cut: false,
            metadata: Default::default(),
            problems: vec![Problem::new("/data/amount", "wrong_type", text).with_hint(text)],
            rejected_at: NOW,
            tried_at: NOW,
            attempts: 2,
        }
    }

    #[test]
    fn a_refused_event_says_what_was_wrong_and_can_be_mended() {
        let page = event_page(Shell::for_tests("/ops"), refused("must be a number"));
        let html = page.render().expect("a page");
        for part in ["/data/amount", "must be a number", "/ops/events/rejected/J1/replay", "Forget"]
        {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn hostile_text_stays_text() {
        let shell = Shell::for_tests("");
        let list = Page { data: vec![refused(HOSTILE)], next_cursor: Some(HOSTILE.to_owned()) };
        let pages = [
            event_page(shell.clone(), refused(HOSTILE)).render(),
            list_page(shell, None, &list).render(),
        ];
        for html in pages {
            assert!(!html.expect("a page").contains("<img src=x"));
        }
    }
}
