//! Where an invitation or a reset leads: its holder sets a password and is signed in.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, web};
use askama::Template;
use serde::Deserialize;

use super::door::{FOREIGN, refusal, session_cookie};
use super::shell::Shell;
use super::visit::{self, html, see_other, with_status};
use crate::app::App;
use crate::app::error::Error;
use crate::app::links::{Invited, Purpose};
use crate::web::error::Answer;
use crate::web::origin;

/// The page, for somebody or, when the link does not open, for nobody.
#[derive(Template)]
#[template(path = "join.html")]
pub struct JoinPage {
    shell: Shell,
    token: String,
    invited: Option<Invited>,
    problem: Option<String>,
}

impl JoinPage {
    fn is_new(&self) -> bool {
        self.invited.as_ref().is_some_and(|invited| invited.purpose == Purpose::Invitation)
    }
}

/// Makes the page.
pub fn page(shell: Shell, token: &str, invited: Option<Invited>) -> JoinPage {
    JoinPage { shell, token: token.to_owned(), invited, problem: None }
}

/// What the link carries.
#[derive(Deserialize)]
pub struct Token {
    t: String,
}

/// Shows the form; only sending it uses the link, so that a preview of the link does not.
pub async fn show(request: HttpRequest, app: web::Data<App>, query: web::Query<Token>) -> Answer {
    let shell = visit::shell(&request);
    match app.invited(&query.t) {
        Ok(invited) => html(&page(shell, &query.t, Some(invited))),
        Err(error) => closed(page(shell, "", None), error),
    }
}

/// What the form sends.
#[derive(Deserialize)]
pub struct NewPassword {
    t: String,
    password: String,
}

/// Sets the password and begins a session.
pub async fn begin(
    request: HttpRequest,
    app: web::Data<App>,
    form: web::Form<NewPassword>,
) -> Answer {
    let form = form.into_inner();
    let mut page = page(visit::shell(&request), &form.t, app.invited(&form.t).ok());
    if !origin::is_own_page(&request) {
        page.problem = Some(FOREIGN.to_owned());
        return Ok(with_status(StatusCode::FORBIDDEN, &page));
    }
    match app.join(&form.t, form.password, origin::of(&request)).await {
        Ok(entered) => {
            let mut answer = see_other(page.shell.url("/"));
            let cookie = session_cookie(&page.shell, entered.token);
            answer.add_cookie(&cookie).map_err(|error| Error::Internal(error.to_string()))?;
            Ok(answer)
        }
        Err(error) => closed(page, error),
    }
}

fn closed(mut page: JoinPage, error: Error) -> Answer {
    let Some((status, problem)) = refusal(&error) else { return Err(error.into()) };
    page.problem = Some(problem);
    Ok(with_status(status, &page))
}
