//! The first visit: a one-time link makes its holder the owner.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, web};
use askama::Template;
use serde::Deserialize;

use super::door::{FOREIGN, refusal, session_cookie};
use super::shell::Shell;
use super::visit::{self, html, with_status};
use crate::app::App;
use crate::app::error::Error;
use crate::app::links::{FirstKey, NewOwner};
use crate::web::error::Answer;
use crate::web::origin;

/// The page: what is asked for, or what came of it.
#[derive(Template)]
#[template(path = "set_up.html")]
pub struct SetUpPage {
    shell: Shell,
    step: Step,
    token: String,
    name: String,
    email: String,
    key: Option<String>,
    problem: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Ask,
    Done,
    Closed,
}

/// Makes the page that asks.
pub fn page(shell: Shell, token: &str) -> SetUpPage {
    let (name, email, token) = (String::new(), String::new(), token.to_owned());
    SetUpPage { shell, step: Step::Ask, token, name, email, key: None, problem: None }
}

/// What the link carries.
#[derive(Deserialize)]
pub struct Token {
    t: String,
}

/// Shows the form; only sending it uses the link, so that a preview of the link does not.
pub async fn show(request: HttpRequest, app: web::Data<App>, query: web::Query<Token>) -> Answer {
    let page = page(visit::shell(&request), &query.t);
    match app.check_setup_link(&query.t) {
        Ok(()) => html(&page),
        Err(error) => refused(page, error),
    }
}

/// What the form sends.
#[derive(Deserialize)]
pub struct Owner {
    t: String,
    name: String,
    email: String,
    password: String,
    key: Option<String>,
}

/// Makes the owner, begins their session, and shows a key where one was wanted.
pub async fn begin(request: HttpRequest, app: web::Data<App>, form: web::Form<Owner>) -> Answer {
    let form = form.into_inner();
    let mut page = page(visit::shell(&request), &form.t);
    (page.name, page.email) = (form.name.clone(), form.email.clone());
    if !origin::is_own_page(&request) {
        page.problem = Some(FOREIGN.to_owned());
        return Ok(with_status(StatusCode::FORBIDDEN, &page));
    }
    let key = if form.key.is_some() { FirstKey::Wanted } else { FirstKey::Unwanted };
    let owner = NewOwner { name: form.name, email: form.email, password: form.password, key };
    match app.set_up(&form.t, owner, origin::of(&request)).await {
        Ok(done) => {
            let cookie = session_cookie(&page.shell, done.entered.token);
            (page.step, page.key) = (Step::Done, done.key);
            let mut answer = html(&page)?;
            answer.add_cookie(&cookie).map_err(|error| Error::Internal(error.to_string()))?;
            Ok(answer)
        }
        Err(error) => refused(page, error),
    }
}

fn refused(mut page: SetUpPage, error: Error) -> Answer {
    let Some((status, problem)) = refusal(&error) else { return Err(error.into()) };
    if matches!(error, Error::Unauthenticated(_)) {
        page.step = Step::Closed;
    }
    page.problem = Some(problem);
    Ok(with_status(status, &page))
}
