//! The first visit: a one-time link makes its holder the owner, and shows the key once.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, web};
use askama::Template;
use serde::Deserialize;

use super::door::{is_foreign, session_cookie};
use super::shell::Shell;
use super::visit::{self, html, with_status};
use crate::app::App;
use crate::app::error::Error;
use crate::web::error::Answer;

/// The page, before and after the button was pressed.
#[derive(Template)]
#[template(path = "set_up.html")]
struct SetUpPage {
    shell: Shell,
    token: String,
    key: Option<String>,
    problem: Option<String>,
}

/// What the link carries.
#[derive(Deserialize)]
pub struct Token {
    t: String,
}

/// Shows the button; only pressing it uses the link, so that a preview of the link does not.
pub async fn show(request: HttpRequest, query: web::Query<Token>) -> Answer {
    let (shell, token) = (visit::shell(&request), query.into_inner().t);
    html(&SetUpPage { shell, token, key: None, problem: None })
}

/// Makes the owner's key, begins a session and shows the key.
pub async fn begin(request: HttpRequest, app: web::Data<App>, form: web::Form<Token>) -> Answer {
    let shell = visit::shell(&request);
    let refused = |shell, problem: String| {
        let page = SetUpPage { shell, token: String::new(), key: None, problem: Some(problem) };
        Ok(with_status(StatusCode::UNAUTHORIZED, &page))
    };
    if is_foreign(&request) {
        return refused(shell, "The form came from another site.".to_owned());
    }
    match app.set_up(&form.t).await {
        Ok(done) => {
            let cookie = session_cookie(&shell, done.session);
            let key = Some(done.made.key);
            let mut answer = html(&SetUpPage { shell, token: String::new(), key, problem: None })?;
            answer.add_cookie(&cookie).map_err(|error| Error::Internal(error.to_string()))?;
            Ok(answer)
        }
        Err(Error::Unauthenticated(detail)) => refused(shell, detail),
        Err(error) => Err(error.into()),
    }
}
