//! How the pages look and listen: the design language on a page, its choices, and the one stream.

use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::dashboard;
use super::parts::icon::Icon;
use super::parts::mark::Mark;
use super::shell::{Shell, Theme, safe_return};
use super::taste::{Choice, DENSITY, KEYS, TIMES};
use super::visit::{THEME_COOKIE, Visit, html, see_other};
use crate::app::App;
use crate::app::error::Error;
use crate::web::auth::{TENANT_COOKIE, shown_by};
use crate::web::error::{Answer, ApiError};
use crate::web::route::{Group, Route};
use crate::web::state::Front;
use crate::web::stream;

const YEAR_DAYS: i64 = 365;

/// The frame of the pages.
pub static GROUP: Group = Group {
    tag: "pages",
    about: "What people see and press.",
    routes: &[
        Route::get("/ui", || web::to(show))
            .named("page_ui", "Shows what the pages are made of.")
            .own_page(),
        Route::get("/live", || web::to(live))
            .named("page_live", "Tells a page when to look again.")
            .own_page(),
        Route::post("/profile/display", || web::to(display))
            .named("page_profile_display", "Keeps how the visitor likes the pages.")
            .own_page(),
        Route::post("/tenant", || web::to(tenant))
            .named("page_tenant", "Looks into another tenant.")
            .own_page(),
        Route::post("/attention/{cause}/retry", || web::to(dashboard::retry))
            .named("page_retry_cause", "Retries all runs that failed for one cause.")
            .page("runs:write"),
    ],
    schemas: &[],
    made: &[],
};

/// Everything that pages are made of, drawn once.
#[derive(Template)]
#[template(path = "ui.html")]
pub struct LookPage {
    shell: Shell,
    marks: Vec<(&'static str, Mark)>,
    undo: Vec<Mark>,
    icons: Vec<(&'static str, Icon)>,
}

const STATUSES: [&str; 11] = [
    "queued",
    "running",
    "retrying",
    "waiting",
    "compensating",
    "succeeded",
    "failed",
    "cancelled",
    "pending",
    "skipped",
    "unknown",
];

const ICONS: [&str; 18] = [
    "dashboard",
    "workflows",
    "runs",
    "events",
    "tickets",
    "approval",
    "account",
    "plug",
    "hook",
    "target",
    "key",
    "list",
    "tenant",
    "system",
    "lock",
    "people",
    "book",
    "braces",
];

const SURFACES: [(&str, &str); 6] = [
    ("ground", "behind everything"),
    ("surface", "panels and tables"),
    ("sunken", "code, and what is inside a row"),
    ("hover", "under the pointer"),
    ("line", "between things"),
    ("thread", "where you are"),
];

const TONES: [(&str, &str); 7] = [
    ("ok", "went well"),
    ("bad", "failed"),
    ("run", "happens now"),
    ("retry", "tries again, or asks for care"),
    ("wait", "waits"),
    ("undo", "is undone"),
    ("idle", "is over, or does nothing"),
];

const SIZES: [(&str, &str); 6] = [
    ("xxl", "26 px, a figure"),
    ("xl", "20 px, the page's name"),
    ("l", "16 px, an empty place's name"),
    ("m", "14 px, text"),
    ("s", "13 px, tables and controls"),
    ("xs", "12 px, what stands beside"),
];

impl LookPage {
    fn surfaces(&self) -> &'static [(&'static str, &'static str)] {
        &SURFACES
    }

    fn tones(&self) -> &'static [(&'static str, &'static str)] {
        &TONES
    }

    fn sizes(&self) -> &'static [(&'static str, &'static str)] {
        &SIZES
    }
}

/// Makes the page.
pub fn page(shell: Shell) -> LookPage {
    LookPage {
        marks: STATUSES.iter().map(|status| (*status, Mark::of(status))).collect(),
        undo: ["running", "done", "incomplete"].iter().map(|it| Mark::of_undo(it)).collect(),
        icons: ICONS.iter().map(|name| (*name, Icon::new(name))).collect(),
        shell,
    }
}

/// Shows what the pages are made of.
pub async fn show(visit: Visit) -> Answer {
    html(&page(visit.shell))
}

/// Tells a page when to look again, for as long as somebody looks at it.
pub async fn live(
    (app, front): (web::Data<App>, web::Data<Front>),
    visit: Visit,
    request: HttpRequest,
) -> Answer {
    let open = front.streams.enter(visit.who.tenant, front.settings.streams_max)?;
    Ok(stream::of_pulse(app.pulse(&visit.who), (open, shown_by(&request)), &front.settings))
}

/// How somebody likes the pages.
#[derive(Deserialize)]
pub struct Display {
    theme: String,
    density: String,
    keys: String,
    times: String,
}

/// Keeps how the visitor likes the pages.
pub async fn display(visit: Visit, form: web::Form<Display>) -> Answer {
    let shell = &visit.shell;
    let mut answer = see_other(shell.url("/profile#display"));
    let word = |choice: &Choice, value: &str| (choice.cookie, choice.word(value));
    for (cookie, value) in [
        (THEME_COOKIE, Theme::from_cookie(&form.theme).map_or("", Theme::word)),
        word(&DENSITY, &form.density),
        word(&KEYS, &form.keys),
        word(&TIMES, &form.times),
    ] {
        keep(shell, &mut answer, (cookie, value))?;
    }
    Ok(answer)
}

/// The tenant to look into, and where the form stood.
#[derive(Deserialize)]
pub struct Chosen {
    tenant: String,
    #[serde(rename = "return")]
    back: Option<String>,
}

/// Looks into another tenant from now on.
pub async fn tenant(app: web::Data<App>, visit: Visit, form: web::Form<Chosen>) -> Answer {
    app.tenant_for(&visit.who, &form.tenant).await?;
    // What one tenant has the other has not: its own list is where both can be.
    let place = form.back.as_deref().map_or("/", safe_return);
    let list = place.split(['?', '#']).next().unwrap_or_default().split('/').nth(1);
    let place = format!("/{}", list.unwrap_or_default());
    let mut answer = see_other(visit.shell.url(&place));
    keep(&visit.shell, &mut answer, (TENANT_COOKIE, &form.tenant))?;
    Ok(answer)
}

fn keep(
    shell: &Shell,
    answer: &mut HttpResponse,
    (name, value): (&'static str, &str),
) -> Result<(), ApiError> {
    let mut cookie = Cookie::build(name, value.to_owned())
        .path(shell.cookie_path().to_owned())
        .same_site(SameSite::Lax)
        .secure(shell.is_secure())
        .max_age(Duration::days(YEAR_DAYS))
        .finish();
    if value.is_empty() {
        cookie.make_removal();
    }
    let added = answer.add_cookie(&cookie);
    added.map_err(|error| Error::Internal(error.to_string()).into())
}
