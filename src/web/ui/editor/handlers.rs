//! Handlers of the editor: parse, change the draft, show it again.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde_json::Value;

use super::super::pages::back;
use super::super::run::encoded;
use super::super::shell::Shell;
use super::super::visit::{Part, Visit, html, see_other, with_status};
use super::deeds::{Next, apply, is_meant};
use super::page::{EditQuery, Known, live, page};
use super::posted::Posted;
use super::state::Refused;
use super::trigger::{self, TriggerCard};
use crate::app::App;
use crate::app::definitions::{Definition, Verdict};
use crate::app::drafts::{DraftText, Opened};
use crate::app::editing::Sample;
use crate::app::error::Error;
use crate::app::events::EventFilter;
use crate::app::page::PageRequest;
use crate::domain::event_type::Pattern;
use crate::domain::problem::Problem;
use crate::domain::workflow::document::Format;
use crate::domain::workflow::source::{Extent, pretty, rewrite, yaml};
use crate::web::error::Answer;
use crate::web::query::Query;
use crate::web::state::Front;

/// How many events can be chosen from to look at values.
const EVENTS_OFFERED: usize = 8;

fn asked(query: &Query) -> EditQuery {
    let text = |name: &str| query.text(name).unwrap_or_default().to_owned();
    EditQuery {
        tab: text("tab"),
        open: text("open"),
        add: text("add"),
        find: text("find"),
        event: query.text("event").filter(|id| !id.is_empty()).map(str::to_owned),
        fx: text("fx"),
    }
}

/// What was read to show a draft.
struct Read {
    name: String,
    opened: Opened,
    document: Value,
    verdict: Result<Verdict, Problem>,
    sample: Sample,
    events: Vec<(String, String)>,
}

fn read(
    app: &App,
    visit: &Visit,
    name: &str,
    opened: Opened,
    event: Option<&str>,
) -> Result<Read, Error> {
    let who = &visit.who;
    let (document, verdict) = match opened.source.definition() {
        Ok(definition) => {
            let verdict = app.validate_workflow(who, &definition)?;
            (definition.document, Ok(verdict))
        }
        Err(problem) => (Value::Null, Err(problem)),
    };
    let sample = match app.sample_of(who, name, &document, event) {
        Err(Error::NotFound { .. }) => app.sample_of(who, name, &document, None)?,
        sample => sample?,
    };
    let kind = super::page::trigger_word(&document);
    let filter = EventFilter { kind: Some(Pattern::restore(&kind)), ..EventFilter::default() };
    let events = match kind.contains(':') && who.scopes.allow("events:read") {
        true => app.events(who, &filter, &PageRequest { limit: EVENTS_OFFERED, after: None })?.data,
        false => Vec::new(),
    };
    let told = |event: crate::app::views::EventView| {
        let subject = event.subject.clone().unwrap_or_default();
        let time = visit.shell.at(&event.time).to_string();
        (event.id, format!("{subject} {}", plain(&time)))
    };
    let events = events.into_iter().map(told).collect();
    Ok(Read { name: name.to_owned(), opened, document, verdict, sample, events })
}

/// Takes the text out of a moment, which is a tag.
fn plain(time: &str) -> String {
    let text = time.split('>').nth(1).and_then(|rest| rest.split('<').next());
    text.unwrap_or_default().trim().to_owned()
}

fn known<'k>(
    read: &'k Read,
    catalogue: &'k crate::domain::activity::Catalogue,
    trigger: Option<TriggerCard>,
    hand: &str,
) -> Known<'k> {
    Known {
        name: &read.name,
        opened: &read.opened,
        document: &read.document,
        verdict: read.verdict.clone(),
        sample: &read.sample,
        catalogue,
        events: read.events.clone(),
        trigger,
        hand: hand.to_owned(),
    }
}

/// Shows the editor.
pub async fn show(
    (app, front): (web::Data<App>, web::Data<Front>),
    visit: Visit,
    name: web::Path<String>,
    query: Query,
) -> Answer {
    let query = asked(&query);
    let opened = app.open_definition(&visit.who, &name)?;
    let read = read(&app, &visit, &name, opened, query.event.as_deref())?;
    let catalogue = app.catalogue(visit.who.tenant);
    let hand = hand(&app);
    let card = trigger::card((&app, &front), &visit, &name, &read.document);
    let known = known(&read, &catalogue, Some(card), &hand);
    html(&page(visit.shell, query, known))
}

/// Names a page that is about to be shown.
fn hand(app: &App) -> String {
    format!("{:x}", app.clock().random())
}

/// Changes the draft by what a form of it says.
pub async fn change(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    form: web::Bytes,
) -> Answer {
    let posted = Posted::read(&form);
    let opened = app.open_definition(&visit.who, &name)?;
    let Ok(Definition { mut document, .. }) = opened.source.definition() else {
        return Ok(to_editor(&visit.shell, &name, "?tab=source#source"));
    };
    if visit.part == Part::Live && !is_meant(&document, &posted) {
        return unkept(&app, visit, (&name, posted.text("part")), opened, Refused::Stale);
    }
    let catalogue = app.catalogue(visit.who.tenant);
    let next = apply(&mut document, &posted, &catalogue);
    let format = opened.source.format;
    let refused = |problem| Error::Invalid(vec![problem]);
    let changed = rewrite(&opened.source.text, format, &document).map_err(refused)?;
    let asks = !changed.lost.is_empty() && posted.text("agree") != "yes";
    if asks && (changed.extent == Extent::Whole || posted.text("do") != "remove") {
        return match visit.part {
            Part::Live => unkept(
                &app,
                visit,
                (&name, posted.text("part")),
                opened,
                Refused::Comments(changed.lost),
            ),
            Part::Whole => {
                let href = visit.shell.url(&format!("/workflows/{}/edit", encoded(&name)));
                let fields = posted.0.into_iter().filter(|(name, _)| name != "_token").collect();
                html(&LossPage { href, lost: changed.lost, fields, shell: visit.shell })
            }
        };
    }
    if changed.text == opened.source.text && visit.part == Part::Whole {
        return Ok(to_editor(&visit.shell, &name, &place(&next)));
    }
    let text = DraftText { text: changed.text, format };
    let kept = app.keep_draft(&visit.who, &name, text.clone(), posted.lock()).await;
    match (kept, visit.part) {
        (Ok(_), Part::Whole) => Ok(to_editor(&visit.shell, &name, &place(&next))),
        (Ok(_), Part::Live) => {
            let opened = app.open_definition(&visit.who, &name)?;
            follow(&app, visit, &name, opened, &posted)
        }
        (Err(Error::Stale { .. }), Part::Live) => {
            unkept(&app, visit, (&name, posted.text("part")), opened, Refused::Stale)
        }
        (Err(Error::Stale { .. }), Part::Whole) => conflict(visit, &name, &text.text, &opened),
        (Err(error), _) => Err(error.into()),
    }
}

/// Answers what was typed with how the draft stands now.
fn follow(app: &App, visit: Visit, name: &str, opened: Opened, posted: &Posted) -> Answer {
    let query = EditQuery {
        open: posted.text("open").to_owned(),
        fx: posted.text("fx").to_owned(),
        ..EditQuery::default()
    };
    let event = posted.given("event").filter(|id| !id.is_empty());
    let read = read(app, &visit, name, opened, event)?;
    let catalogue = app.catalogue(visit.who.tenant);
    let known = known(&read, &catalogue, None, "");
    html(&live(visit.shell, &query, &known))
}

/// Says why what a form says was not kept.
fn unkept(
    app: &App,
    visit: Visit,
    (name, part): (&str, &str),
    opened: Opened,
    refused: Refused,
) -> Answer {
    let form = match part {
        "head" => "head-form",
        "trigger" => "trigger",
        _ => "card-form", // A step's, or the source.
    };
    let read = read(app, &visit, name, opened, None)?;
    let catalogue = app.catalogue(visit.who.tenant);
    let known = known(&read, &catalogue, None, "");
    html(&live(visit.shell, &EditQuery::default(), &known).refused(refused, form))
}

fn place(next: &Next) -> String {
    if next.open.is_empty() {
        return "#steps".to_owned();
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("open", &next.open);
    if !next.fx.is_empty() {
        query.append_pair("fx", &next.fx);
    }
    format!("?{}#card", query.finish())
}

fn to_editor(shell: &Shell, name: &str, place: &str) -> HttpResponse {
    see_other(shell.url(&format!("/workflows/{}/edit{place}", encoded(name))))
}

/// Asks before comments are lost.
#[derive(Template)]
#[template(path = "editor/loss.html")]
struct LossPage {
    shell: Shell,
    href: String,
    lost: Vec<String>,
    fields: Vec<(String, String)>,
}

/// Shows two drafts of which one has to go.
#[derive(Template)]
#[template(path = "editor/conflict.html")]
struct ConflictPage {
    shell: Shell,
    name: String,
    href: String,
    mine: String,
    theirs: String,
    by: String,
    revision: u64,
    format: &'static str,
    changes: Vec<crate::domain::workflow::diff::Change>,
}

fn conflict(visit: Visit, name: &str, mine: &str, opened: &Opened) -> Answer {
    let read = |text: &str| {
        let text = DraftText { text: text.to_owned(), format: opened.source.format };
        text.definition().map(|definition| definition.document).unwrap_or_default()
    };
    let theirs = &opened.source.text;
    let page = ConflictPage {
        href: visit.shell.url(&format!("/workflows/{}/edit", encoded(name))),
        name: name.to_owned(),
        changes: crate::domain::workflow::diff::diff_values(&read(theirs), &read(mine)),
        mine: mine.to_owned(),
        theirs: theirs.clone(),
        by: opened.draft.as_ref().map(|draft| draft.updated_by.clone()).unwrap_or_default(),
        revision: opened.revision(),
        format: crate::app::drafts::spelled(opened.source.format),
        shell: visit.shell,
    };
    Ok(with_status(StatusCode::CONFLICT, &page))
}

/// Keeps the draft as it was typed, or only checks it.
pub async fn source(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    form: web::Bytes,
) -> Answer {
    let posted = Posted::read(&form);
    let mut text = DraftText::of(posted.text("text"), posted.text("format"));
    match (posted.text("do"), text.definition()) {
        ("check", _) => return checked(&app, visit, &name, text),
        ("json", Ok(definition)) => {
            text = DraftText { text: pretty(&definition.document), format: Format::Json };
        }
        ("yaml", Ok(definition)) => {
            text = DraftText { text: yaml(&definition.document), format: Format::Yaml };
        }
        _ => {} // What cannot be read stays as it is spelled.
    }
    let kept = app.keep_draft(&visit.who, &name, text.clone(), posted.lock()).await;
    match (kept, visit.part) {
        (Ok(_), Part::Whole) => Ok(to_editor(&visit.shell, &name, "?tab=source#source")),
        (Ok(_), Part::Live) => {
            let opened = app.open_definition(&visit.who, &name)?;
            follow(&app, visit, &name, opened, &posted)
        }
        (Err(Error::Stale { .. }), Part::Live) => {
            let opened = app.open_definition(&visit.who, &name)?;
            unkept(&app, visit, (&name, posted.text("part")), opened, Refused::Stale)
        }
        (Err(Error::Stale { .. }), Part::Whole) => {
            let opened = app.open_definition(&visit.who, &name)?;
            conflict(visit, &name, &text.text, &opened)
        }
        (Err(error), _) => Err(error.into()),
    }
}

fn checked(app: &App, visit: Visit, name: &str, text: DraftText) -> Answer {
    let opened = app.open_definition(&visit.who, name)?;
    let typed = text.text.clone();
    let read = read(app, &visit, name, Opened { source: text, ..opened }, None)?;
    let catalogue = app.catalogue(visit.who.tenant);
    let hand = hand(app);
    let known = known(&read, &catalogue, None, &hand);
    let query = EditQuery { tab: "source".to_owned(), ..EditQuery::default() };
    html(&page(visit.shell, query, known).with_text(&typed))
}

/// Throws the draft away.
pub async fn discard(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    form: web::Bytes,
) -> Answer {
    let posted = Posted::read(&form);
    app.discard_draft(&visit.who, &name, posted.lock()).await?;
    let exists = app.workflow(&visit.who, &name, None).is_ok();
    let place = if exists { format!("/workflows/{}", encoded(&name)) } else { "/workflows".into() };
    Ok(back(&visit.shell, &place))
}
