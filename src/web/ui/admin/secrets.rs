//! The secrets of a tenant: who set each and when, where it may go, what sends it, and the key
//! that seals them all.

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;

use super::connections::{SHOWN_MAX, may};
use super::outcome::{Outcome, back_with};
use super::sent::Sent;
use super::users::{User, users_of};
use crate::app::App;
use crate::app::page::PageRequest;
use crate::app::seal_rotation::SealState;
use crate::app::secrets::{NewSecret, SecretView};
use crate::app::uses::Uses;
use crate::domain::secret::Secret;
use crate::web::body::Raw;
use crate::web::error::{Answer, ApiError};
use crate::web::query::Query;
use crate::web::ui::parts::list::{Address, Chip, Empty, Tab};
use crate::web::ui::parts::moment::Moment;
use crate::web::ui::run::encoded;
use crate::web::ui::shell::Shell;
use crate::web::ui::visit::{Visit, html, with_status};

struct Row {
    href: String,
    name: String,
    hosts: Vec<String>,
    version: u64,
    set: Moment,
    by: String,
    users: usize,
}

/// The page of the list.
#[derive(Template)]
#[template(path = "admin/secrets.html")]
pub struct SecretsPage {
    shell: Shell,
    outcome: Outcome,
    rows: Vec<Row>,
    tabs: Vec<Tab>,
    chips: Vec<Chip>,
    empty: Empty,
    address: Address,
    /// What was typed of a new one, but for its value.
    typed: (String, String),
    seal: Option<SealState>,
    can_write: bool,
    curl: String,
}

/// What the list is made of.
#[derive(Debug, Default)]
pub struct Found {
    /// Every secret.
    pub secrets: Vec<SecretView>,
    /// What sends them.
    pub uses: Uses,
    /// The key that seals, for whoever may know.
    pub seal: Option<SealState>,
}

/// Makes the page.
pub fn page(shell: Shell, address: Address, found: Found, outcome: Outcome) -> SecretsPage {
    let text = address.value("q").to_lowercase();
    let wants_unused = address.value("state") == "unused";
    let admits = |secret: &SecretView| {
        let hosts = secret.hosts.iter().any(|host| host.to_lowercase().contains(&text));
        let is_unused = found.uses.of_secret(&secret.name).is_empty();
        (hosts || secret.name.to_lowercase().contains(&text)) && (is_unused || !wants_unused)
    };
    let row = |secret: &SecretView| Row {
        href: shell.url(&format!("/secrets/{}", encoded(&secret.name))),
        name: secret.name.clone(),
        hosts: secret.hosts.clone(),
        version: secret.version,
        set: shell.ago(&secret.updated_at),
        by: secret.updated_by.clone().unwrap_or_default(),
        users: found.uses.of_secret(&secret.name).len(),
    };
    let rows: Vec<Row> = found.secrets.iter().filter(|one| admits(one)).map(row).collect();
    let chips = address.chips(&shell);
    SecretsPage {
        tabs: address.tabs(&shell, "state", &[("", "All"), ("unused", "Unused")]),
        empty: Empty::of(&rows, &chips),
        can_write: may(&shell, "secrets:write"),
        curl: shell.curl("/v1/secrets"),
        typed: Default::default(),
        seal: found.seal,
        shell,
        outcome,
        rows,
        chips,
        address,
    }
}

fn found(app: &App, visit: &Visit) -> Result<Found, ApiError> {
    let all = PageRequest { limit: SHOWN_MAX, after: None };
    Ok(Found {
        secrets: app.secrets(&visit.who, &all)?.data,
        uses: app.uses(&visit.who)?,
        seal: app.seal_state(&visit.who).ok(), // Whoever does not own the appliance sees none.
    })
}

/// Shows the list.
pub async fn list(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let owned = |name| query.text(name).map(str::to_owned);
    let address = Address::new("/secrets", vec![("state", owned("state")), ("q", owned("q"))]);
    let found = found(&app, &visit)?;
    html(&page(visit.shell, address, found, Outcome::of(&query)))
}

/// Puts a new secret in place.
pub async fn put(app: web::Data<App>, visit: Visit, Raw(raw): Raw) -> Answer {
    let sent = Sent::read(&raw);
    let name = sent.text("name").to_owned();
    let outcome = match app.named_secret(&visit.who, &name) {
        Ok(_) => Err((
            StatusCode::CONFLICT,
            Outcome::problem("name", "there is such a secret already; exchange its value there"),
        )),
        Err(_) => {
            let value = Secret::new(sent.exact("value").unwrap_or_default());
            let wanted = NewSecret { name: name.clone(), value, hosts: sent.words("hosts") };
            match app.put_secret(&visit.who, wanted).await {
                Ok(_) => Ok(()),
                Err(error) => Err(Outcome::refused(error)?),
            }
        }
    };
    match outcome {
        Ok(()) => Ok(back_with(&visit.shell, "/secrets", "saved")),
        Err((status, outcome)) => {
            let found = found(&app, &visit)?;
            let address = Address::new("/secrets", Vec::new());
            let mut page = page(visit.shell, address, found, outcome);
            page.typed = (name, sent.text("hosts").to_owned());
            Ok(with_status(status, &page))
        }
    }
}

/// The page of one secret.
#[derive(Template)]
#[template(path = "admin/secret.html")]
pub struct SecretPage {
    shell: Shell,
    outcome: Outcome,
    view: SecretView,
    by: String,
    href: String,
    reference: String,
    hosts: String,
    users: Vec<User>,
    can_write: bool,
    curl: String,
}

/// Makes the page of one secret.
pub fn one(shell: Shell, view: SecretView, uses: &Uses, outcome: Outcome) -> SecretPage {
    SecretPage {
        href: shell.url(&format!("/secrets/{}", encoded(&view.name))),
        reference: format!("{{{{ secrets.{} }}}}", view.name),
        hosts: view.hosts.join("\n"),
        by: view.updated_by.clone().unwrap_or_default(),
        users: users_of(&shell, uses.of_secret(&view.name)),
        can_write: may(&shell, "secrets:write"),
        curl: shell.curl(&format!("/v1/secrets/{}/uses", encoded(&view.name))),
        outcome,
        view,
        shell,
    }
}

/// Shows a secret without its value.
pub async fn show(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    query: Query,
) -> Answer {
    let view = app.named_secret(&visit.who, &name)?;
    html(&one(visit.shell, view, &app.uses(&visit.who)?, Outcome::of(&query)))
}

/// Exchanges a secret's value, and says anew where it may go.
pub async fn exchange(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    Raw(raw): Raw,
) -> Answer {
    let sent = Sent::read(&raw);
    let view = app.named_secret(&visit.who, &name)?;
    let value = Secret::new(sent.exact("value").unwrap_or_default());
    let wanted = NewSecret { name: name.clone(), value, hosts: sent.words("hosts") };
    match app.put_secret(&visit.who, wanted).await {
        Ok(_) => Ok(back_with(&visit.shell, &format!("/secrets/{}", encoded(&name)), "saved")),
        Err(error) => {
            let (status, outcome) = Outcome::refused(error)?;
            let mut page = one(visit.shell, view, &app.uses(&visit.who)?, outcome);
            page.hosts = sent.text("hosts").to_owned();
            Ok(with_status(status, &page))
        }
    }
}

/// Removes a secret, when its name was typed.
pub async fn remove(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    Raw(raw): Raw,
) -> Answer {
    if Sent::read(&raw).text("name") != *name {
        let view = app.named_secret(&visit.who, &name)?;
        let outcome = Outcome::problem("name", "type the secret's name to remove it");
        let page = one(visit.shell, view, &app.uses(&visit.who)?, outcome);
        return Ok(with_status(StatusCode::UNPROCESSABLE_ENTITY, &page));
    }
    app.remove_secret(&visit.who, &name).await?;
    Ok(back_with(&visit.shell, "/secrets", "removed"))
}

/// Exchanges the key that seals every secret.
pub async fn reseal(app: web::Data<App>, visit: Visit) -> Answer {
    match app.rotate_seal_key(&visit.who).await {
        Ok(_) => Ok(back_with(&visit.shell, "/secrets", "resealing")),
        Err(error) => {
            let (status, outcome) = Outcome::refused(error)?;
            let found = found(&app, &visit)?;
            let page = page(visit.shell, Address::new("/secrets", Vec::new()), found, outcome);
            Ok(with_status(status, &page))
        }
    }
}
