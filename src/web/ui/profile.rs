//! The visitor's own account: password, second factor, sessions.

use actix_web::{HttpResponse, web};
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qrcode::QrCode;
use qrcode::render::svg;
use serde::Deserialize;

use super::door::{refusal, session_cookie};
use super::parts::moment::Moment;
use super::shell::Shell;
use super::visit::{Visit, html, see_other, with_status};
use crate::app::App;
use crate::app::error::Error;
use crate::app::page::PageRequest;
use crate::app::profile::MeView;
use crate::app::sessions::{SessionView, Whose};
use crate::web::error::Answer;

const QR_PIXELS_MIN: u32 = 180;
const SESSIONS_SHOWN: usize = 200;

/// The page.
#[derive(Template)]
#[template(path = "profile.html")]
pub struct ProfilePage {
    shell: Shell,
    me: MeView,
    sessions: Vec<SessionRow>,
    /// What a form came to.
    outcome: Outcome,
}

/// What a form came to, on the page that it leads back to.
#[derive(Clone, Debug, Default)]
pub enum Outcome {
    /// No form was sent.
    #[default]
    None,
    /// It did what was asked.
    Done(String),
    /// It was refused.
    Refused(String),
    /// An authenticator waits for its first code.
    Enrolling {
        /// The secret to type.
        secret: String,
        /// The image of it.
        qr_code: String,
        /// Why the last code was refused.
        problem: Option<String>,
    },
    /// The authenticator is in use.
    Enrolled(Vec<String>),
}

/// A session as the page shows it.
#[derive(Clone, Debug)]
pub struct SessionRow {
    id: String,
    agent: String,
    address: String,
    began: Moment,
    seen: Moment,
    current: bool,
}

/// Makes the page.
pub fn page(shell: Shell, me: MeView, sessions: Vec<SessionView>, outcome: Outcome) -> ProfilePage {
    let row = |view: SessionView| SessionRow {
        id: view.id,
        agent: browser(view.agent.as_deref().unwrap_or_default()),
        address: view.address.unwrap_or_default(),
        began: shell.ago(&view.created_at),
        seen: shell.ago(&view.seen_at),
        current: view.current,
    };
    let sessions = sessions.into_iter().rev().map(row).collect();
    ProfilePage { shell, me, sessions, outcome }
}

/// Returns a QR code as an image that stands in the page itself.
pub fn qr_code(text: &str) -> String {
    let Ok(code) = QrCode::new(text) else { return String::new() };
    let mut image = code.render::<svg::Color<'_>>();
    let text = image.min_dimensions(QR_PIXELS_MIN, QR_PIXELS_MIN).build();
    format!("data:image/svg+xml;base64,{}", STANDARD.encode(text))
}

/// Names a browser in two words, as far as it says what it is.
fn browser(agent: &str) -> String {
    let first = |names: &[(&str, &'static str)]| {
        names.iter().find(|(part, _)| agent.contains(part)).map(|(_, name)| *name)
    };
    let browser = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Windows", "Windows"),
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, _) if agent.is_empty() => "unknown".to_owned(),
        (None, _) => agent.chars().take(40).collect(),
    }
}

fn shown(app: &App, visit: Visit, outcome: Outcome) -> Result<ProfilePage, Error> {
    let first = PageRequest { limit: SESSIONS_SHOWN, after: None };
    let sessions = app.sessions(&visit.who, Whose::Own, &first)?.data;
    Ok(page(visit.shell, app.me(&visit.who)?, sessions, outcome))
}

/// Shows the account.
pub async fn show(app: web::Data<App>, visit: Visit) -> Answer {
    html(&shown(&app, visit, Outcome::None)?)
}

fn refuse(app: &App, visit: Visit, error: Error) -> Answer {
    let Some((status, problem)) = refusal(&error) else { return Err(error.into()) };
    Ok(with_status(status, &shown(app, visit, Outcome::Refused(problem))?))
}

/// What the form of the password sends.
#[derive(Deserialize)]
pub struct NewPassword {
    current: String,
    password: String,
}

/// Sets another password; the browser goes on with a new session.
pub async fn password(app: web::Data<App>, visit: Visit, form: web::Form<NewPassword>) -> Answer {
    let form = form.into_inner();
    match app.change_password(&visit.who, form.current, form.password).await {
        Ok(entered) => {
            let cookie = session_cookie(&visit.shell, entered.token);
            let done = "The password is changed, and every other session has ended.".to_owned();
            let mut answer: HttpResponse = html(&shown(&app, visit, Outcome::Done(done))?)?;
            answer.add_cookie(&cookie).map_err(|error| Error::Internal(error.to_string()))?;
            Ok(answer)
        }
        Err(error) => refuse(&app, visit, error),
    }
}

/// Makes a secret for an authenticator and shows it.
pub async fn begin(app: web::Data<App>, visit: Visit) -> Answer {
    match app.begin_second_factor(&visit.who).await {
        Ok(enrolment) => {
            let qr_code = qr_code(&enrolment.uri);
            let outcome = Outcome::Enrolling { secret: enrolment.secret, qr_code, problem: None };
            html(&shown(&app, visit, outcome)?)
        }
        Err(error) => refuse(&app, visit, error),
    }
}

/// What confirms an authenticator.
#[derive(Deserialize)]
pub struct Code {
    code: String,
}

/// Takes the authenticator into use and shows the recovery codes.
pub async fn confirm(app: web::Data<App>, visit: Visit, form: web::Form<Code>) -> Answer {
    match app.confirm_second_factor(&visit.who, &form.code).await {
        Ok(codes) => html(&shown(&app, visit, Outcome::Enrolled(codes.recovery_codes))?),
        Err(error) => refuse(&app, visit, error),
    }
}

/// What allows to take the authenticator away.
#[derive(Deserialize)]
pub struct Password {
    password: String,
}

/// Takes the authenticator away.
pub async fn remove(app: web::Data<App>, visit: Visit, form: web::Form<Password>) -> Answer {
    match app.remove_second_factor(&visit.who, form.into_inner().password).await {
        Ok(()) => {
            let done = "Codes are no longer asked for.".to_owned();
            html(&shown(&app, visit, Outcome::Done(done))?)
        }
        Err(error) => refuse(&app, visit, error),
    }
}

/// Which session is to end: one, or every other one.
#[derive(Deserialize)]
pub struct End {
    id: Option<String>,
}

/// Ends one session or every other one.
pub async fn end(app: web::Data<App>, visit: Visit, form: web::Form<End>) -> Answer {
    match form.into_inner().id {
        Some(id) => app.end_session(&visit.who, Whose::Own, &id).await?,
        None => app.end_other_sessions(&visit.who).await?,
    }
    Ok(see_other(visit.shell.url("/profile")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_named_in_a_few_words() {
        for (agent, name) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140 Safari/537.36",
                "Chrome on Linux",
            ),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 18 like Mac OS X) Safari/604", "Safari on iPhone"),
            ("curl/8.0", "curl/8.0"),
            ("", "unknown"),
        ] {
            assert_eq!(browser(agent), name);
        }
    }

    #[test]
    fn a_qr_code_is_an_image_of_its_own() {
        assert!(qr_code("otpauth://totp/x").starts_with("data:image/svg+xml;base64,"));
    }
}
