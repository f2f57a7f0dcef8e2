//! A person's visit to a page: who it is, how the page is framed, and what kind of answer is due.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentType};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, web};
use askama::Template;

use super::shell::{Data, Shell, Theme, Viewer};
use super::taste::Taste;
use crate::app::App;
use crate::app::page::PageRequest;
use crate::app::principal::{Kind, Principal};
use crate::domain::condition::{Condition, Reason};
use crate::failpoint;
use crate::web::error::{Answer, ApiError};
use crate::web::origin;
use crate::web::proof;
use crate::web::state::Front;

/// The cookie that holds the chosen theme.
pub const THEME_COOKIE: &str = "ergane_theme";
/// How many tenants the switch between them offers; the page of tenants has them all.
const TENANTS_SHOWN: usize = 30;

/// What a page's handler knows of its visitor.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Who is signed in.
    pub who: Principal,
    /// The frame of the page.
    pub shell: Shell,
    /// Whether only the changing part is asked for.
    pub part: Part,
}

/// How much of a page is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The part that changes by itself.
    Live,
}

impl FromRequest for Visit {
    type Error = ApiError;
    type Future = Ready<Result<Visit, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let who = request.extensions().get::<Principal>().cloned();
        let live = request.headers().contains_key("hx-request");
        let part = if live { Part::Live } else { Part::Whole };
        let refused = || crate::app::error::Error::Unauthenticated("please sign in".to_owned());
        ready(
            who.map(|who| Visit { who, shell: shell(request), part })
                .ok_or_else(|| refused().into()),
        )
    }
}

/// Builds the frame around whatever answers this request; without a principal, that of the door.
pub fn shell(request: &HttpRequest) -> Shell {
    let front = request.app_data::<web::Data<Front>>();
    let front = front.expect("every server is built with its state");
    let base = front.settings.base();
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let viewer = viewer(request);
    let theme = request.cookie(THEME_COOKIE);
    let data = match front.demo.as_ref().map(|demo| demo.switch.is_running()) {
        Some(true) => Data::Demo,
        Some(false) => Data::PausedDemo,
        None => Data::Real,
    };
    Shell {
        origin: address(request),
        here: path.strip_prefix(base.as_str()).unwrap_or(path).to_owned(),
        base,
        viewer,
        theme: theme.and_then(|cookie| Theme::from_cookie(cookie.value())),
        taste: Taste::of(request),
        data,
        paused: paused(request),
        token: proof::of_request(request),
        troubles: troubles(request),
        now: front.clock.now(),
    }
}

fn paused(request: &HttpRequest) -> Option<String> {
    let tenant = request.extensions().get::<Principal>()?.tenant;
    request.app_data::<web::Data<App>>()?.pause_of(tenant)
}

/// The pause has a stripe of its own, with a button.
fn troubles(request: &HttpRequest) -> Vec<Reason> {
    let app = request.app_data::<web::Data<App>>();
    let mut reasons = app.map(|app| app.standing().reasons).unwrap_or_default();
    reasons.retain(|reason| reason.condition != Condition::Paused);
    reasons
}

fn address(request: &HttpRequest) -> String {
    let scheme = if origin::is_secure(request) { "https" } else { "http" };
    format!("{scheme}://{}", origin::host(request))
}

fn viewer(request: &HttpRequest) -> Option<Viewer> {
    let who = request.extensions().get::<Principal>().cloned()?;
    let app = request.app_data::<web::Data<App>>()?;
    let tenant = app.tenant(who.tenant).ok()?;
    let is_person = who.kind == Kind::Person;
    let tenants = choices(app, &who);
    Some(Viewer { name: who.name, tenant: tenant.slug, scopes: who.scopes, is_person, tenants })
}

/// Returns the tenants that somebody may change to, where they have several.
fn choices(app: &App, who: &Principal) -> Vec<(String, String)> {
    let first = PageRequest { limit: TENANTS_SHOWN, after: None };
    let tenants = app.tenants(who, &first).map(|page| page.data).unwrap_or_default();
    match tenants.len() {
        0 | 1 => Vec::new(),
        _ => tenants.into_iter().map(|tenant| (tenant.slug, tenant.name)).collect(),
    }
}

/// Answers with a page.
pub fn html(page: &impl Template) -> Answer {
    Ok(with_status(StatusCode::OK, page))
}

/// Answers with a page under a status.
pub fn with_status(status: StatusCode, page: &impl Template) -> HttpResponse {
    failpoint::hit("page.render");
    match page.render() {
        Ok(body) => HttpResponse::build(status)
            .content_type(ContentType::html())
            .insert_header((header::VARY, "HX-Request, Cookie"))
            .body(body),
        Err(error) => {
            tracing::error!(%error, "Could not render a page");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// Leads the browser elsewhere after a form.
pub fn see_other(place: impl AsRef<str>) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, place.as_ref())).finish()
}
