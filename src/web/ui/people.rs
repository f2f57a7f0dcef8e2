//! The people of a tenant: who they are, what they may do, and the way in for a new one.

use actix_web::web;
use askama::Template;
use serde::Deserialize;

use super::desk::filled::Filled;
use super::desk::said::said;
use super::door::refusal;
use super::parts::moment::Moment;
use super::run::encoded;
use super::shell::Shell;
use super::visit::{Visit, html, see_other, with_status};
use crate::app::App;
use crate::app::desk::Record;
use crate::app::error::Error;
use crate::app::links::OneTimeLink;
use crate::app::page::PageRequest;
use crate::app::people::{NewPerson, PersonPatch, PersonView, Standing};
use crate::app::sessions::{SessionView, Whose};
use crate::domain::desk::RecordKind;
use crate::domain::role::Role;
use crate::web::error::Answer;
use crate::web::query::Query;

const PEOPLE_SHOWN: usize = 500;

/// The page.
#[derive(Template)]
#[template(path = "people.html")]
pub struct PeoplePage {
    shell: Shell,
    rows: Vec<PersonRow>,
    roles: [Role; 7],
    teams: Vec<(String, String)>,
    sessions: Vec<SessionRow>,
    said: Option<&'static str>,
    link: Option<ShownLink>,
    problem: Option<String>,
}

/// A signed-in browser as the page shows it.
struct SessionRow {
    view: SessionView,
    href: String,
    seen: Moment,
    began: Moment,
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

    fn is_in(&self, team: &str) -> bool {
        self.view.teams.iter().any(|own| own == team)
    }
}

impl PeoplePage {
    fn may_change(&self) -> bool {
        self.shell.viewer.as_ref().is_some_and(|viewer| viewer.may("people:write"))
    }

    /// Shows the browsers that are signed in.
    pub fn show_sessions(&mut self, sessions: Vec<SessionView>) {
        let shell = &self.shell;
        let row = |view: SessionView| SessionRow {
            href: shell.url(&format!("/people/sessions/{}/end", encoded(&view.id))),
            seen: shell.ago(&view.seen_at),
            began: shell.ago(&view.created_at),
            view,
        };
        self.sessions = sessions.into_iter().map(row).collect();
    }

    fn team_name<'a>(&'a self, id: &'a str) -> &'a str {
        let known = self.teams.iter().find(|(team, _)| team == id);
        known.map_or(id, |(_, name)| name)
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
    PeoplePage {
        shell,
        rows,
        roles: Role::ALL,
        teams: Vec::new(),
        sessions: Vec::new(),
        said: None,
        link: None,
        problem: None,
    }
}

fn shown(app: &App, visit: Visit) -> Result<PeoplePage, Error> {
    let all = PageRequest { limit: PEOPLE_SHOWN, after: None };
    let who = &visit.who;
    let mut page = page(visit.shell, app.people(who, &all)?.data);
    if who.scopes.allow("teams:read") {
        let teams = app.records(who, RecordKind::Team, None, &all)?.data;
        let word = |team: &Record, name: &str| {
            team.get(name).and_then(|it| it.as_str()).unwrap_or_default().to_owned()
        };
        page.teams = teams.iter().map(|team| (word(team, "id"), word(team, "name"))).collect();
    }
    let mut sessions = app.sessions(who, Whose::Everybody, &all)?.data;
    sessions.reverse();
    page.show_sessions(sessions);
    Ok(page)
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
pub async fn show(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let mut page = shown(&app, visit)?;
    page.said = said(&query);
    html(&page)
}

/// Ends somebody's session.
pub async fn end_session(app: web::Data<App>, visit: Visit, id: web::Path<String>) -> Answer {
    app.end_session(&visit.who, Whose::Everybody, &id).await?;
    Ok(see_other(visit.shell.url("/people?said=ended")))
}

/// Invites somebody and shows the link.
pub async fn invite(app: web::Data<App>, visit: Visit, form: web::Bytes) -> Answer {
    let fields = Filled::read(&form);
    let wanted = NewPerson {
        email: fields.text("email").to_owned(),
        name: fields.text("name").to_owned(),
        roles: fields.list("role"),
        teams: fields.list("team"),
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
    let fields = Filled::read(&form);
    // A form without teams to tick, where they could not be listed, leaves them as they are.
    let teams = fields.given("teams").map(|_| fields.list("team"));
    let roles = Some(fields.list("role"));
    let patch = PersonPatch { roles, teams, ..PersonPatch::default() };
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
