//! The people of a tenant: who they are, what they may do, and the way in for a new one.

use actix_web::web;
use askama::Template;
use serde::Deserialize;

use super::door::refusal;
use super::parts::moment::Moment;
use super::run::encoded;
use super::shell::Shell;
use super::visit::{Visit, html, see_other, with_status};
use crate::app::App;
use crate::app::error::Error;
use crate::app::links::OneTimeLink;
use crate::app::page::PageRequest;
use crate::app::people::{NewPerson, PersonPatch, PersonView, Standing};
use crate::domain::role::Role;
use crate::web::error::Answer;

const PEOPLE_SHOWN: usize = 500;

/// The page.
#[derive(Template)]
#[template(path = "people.html")]
pub struct PeoplePage {
    shell: Shell,
    rows: Vec<PersonRow>,
    roles: [Role; 7],
    link: Option<ShownLink>,
    problem: Option<String>,
}

/// A one-time link as the page shows it, this once.
#[derive(Clone, Debug)]
struct ShownLink {
    email: String,
    address: String,
    ends: Moment,
}

/// Somebody as the page shows them.
#[derive(Clone, Debug)]
struct PersonRow {
    href: String,
    view: PersonView,
    tone: &'static str,
    signed_in: Option<Moment>,
}

impl PersonRow {
    fn has(&self, role: &Role) -> bool {
        self.view.roles.contains(role)
    }
}

impl PeoplePage {
    fn may_change(&self) -> bool {
        self.shell.viewer.as_ref().is_some_and(|viewer| viewer.may("people:write"))
    }
}

/// Makes the page.
pub fn page(shell: Shell, people: Vec<PersonView>) -> PeoplePage {
    let row = |view: PersonView| PersonRow {
        href: shell.url(&format!("/people/{}", encoded(&view.id))),
        tone: match view.status {
            "active" => "ok",
            "invited" => "wait",
            _ => "idle", // Disabled.
        },
        signed_in: view.signed_in_at.map(|at| shell.ago(&at)),
        view,
    };
    let rows = people.into_iter().map(row).collect();
    PeoplePage { shell, rows, roles: Role::ALL, link: None, problem: None }
}

fn shown(app: &App, visit: Visit) -> Result<PeoplePage, Error> {
    let all = PageRequest { limit: PEOPLE_SHOWN, after: None };
    Ok(page(visit.shell, app.people(&visit.who, &all)?.data))
}

fn with_link(app: &App, visit: Visit, outcome: Result<(String, OneTimeLink), Error>) -> Answer {
    let mut page = shown(app, visit)?;
    match outcome {
        Ok((email, link)) => {
            let address = format!("{}{}", page.shell.origin, page.shell.url(&link.path));
            let ends = page.shell.ago(&link.expires_at);
            page.link = Some(ShownLink { email, address, ends });
            html(&page)
        }
        Err(error) => {
            let Some((status, problem)) = refusal(&error) else { return Err(error.into()) };
            page.problem = Some(problem);
            Ok(with_status(status, &page))
        }
    }
}

/// Shows everybody.
pub async fn show(app: web::Data<App>, visit: Visit) -> Answer {
    html(&shown(&app, visit)?)
}

/// Invites somebody and shows the link.
pub async fn invite(app: web::Data<App>, visit: Visit, form: web::Bytes) -> Answer {
    let fields = Fields::read(&form);
    let wanted = NewPerson {
        email: fields.text("email"),
        name: fields.text("name"),
        roles: fields.list("role"),
        teams: Vec::new(),
    };
    let invited = app.invite(&visit.who, wanted).await;
    with_link(&app, visit, invited.map(|made| (made.person.email, made.link)))
}

/// Changes somebody's roles.
pub async fn change(
    app: web::Data<App>,
    visit: Visit,
    id: web::Path<String>,
    form: web::Bytes,
) -> Answer {
    let roles = Some(Fields::read(&form).list("role"));
    let patch = PersonPatch { roles, ..PersonPatch::default() };
    let changed = app.change_person(&visit.who, &id, patch).await.map(drop);
    back(&app, visit, changed)
}

/// What is done to somebody, as the path names it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Deed {
    Disable,
    Enable,
    ResetPassword,
    Remove,
}

/// Disables, enables, resets or removes somebody.
pub async fn act(app: web::Data<App>, visit: Visit, path: web::Path<(String, String)>) -> Answer {
    let (id, deed) = path.into_inner();
    let stand = |standing| PersonPatch { standing: Some(standing), ..PersonPatch::default() };
    let deed = serde_json::from_value(deed.as_str().into());
    let outcome = match deed {
        Ok(Deed::Disable) => {
            app.change_person(&visit.who, &id, stand(Standing::Disabled)).await.map(drop)
        }
        Ok(Deed::Enable) => {
            app.change_person(&visit.who, &id, stand(Standing::Enabled)).await.map(drop)
        }
        Ok(Deed::Remove) => app.remove_person(&visit.who, &id).await,
        Ok(Deed::ResetPassword) => {
            let reset = app.reset_password(&visit.who, &id).await;
            return with_link(&app, visit, reset.map(|made| (made.person.email, made.link)));
        }
        Err(_) => Err(Error::NotFound { what: "page", id }),
    };
    back(&app, visit, outcome)
}

fn back(app: &App, visit: Visit, outcome: Result<(), Error>) -> Answer {
    match outcome {
        Ok(()) => Ok(see_other(visit.shell.url("/people"))),
        Err(error) => with_link(app, visit, Err(error)),
    }
}

/// A form in which a field may stand several times, as boxes to tick do.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn read(form: &[u8]) -> Fields {
        Fields(url::form_urlencoded::parse(form).into_owned().collect())
    }

    fn list(&self, name: &str) -> Vec<String> {
        let named = self.0.iter().filter(|(field, _)| field == name);
        named.map(|(_, value)| value.clone()).collect()
    }

    fn text(&self, name: &str) -> String {
        self.list(name).into_iter().next().unwrap_or_default()
    }
}
