//! The keys that programs sign in with: made and shown once, listed by their beginning, revoked.

use std::time::Duration;

use actix_web::web;
use askama::Template;

use super::connections::{SHOWN_MAX, may};
use super::outcome::{Outcome, back_with};
use super::sent::Sent;
use crate::app::App;
use crate::app::error::Error;
use crate::app::keys::NewKey;
use crate::app::page::PageRequest;
use crate::app::views::KeyView;
use crate::domain::role::RESOURCES;
use crate::domain::time::parse_duration;
use crate::web::body::Raw;
use crate::web::error::Answer;
use crate::web::query::Query;
use crate::web::ui::parts::list::{Address, Chip, Empty, Tab};
use crate::web::ui::parts::mark::Mark;
use crate::web::ui::parts::moment::Moment;
use crate::web::ui::run::encoded;
use crate::web::ui::shell::{Shell, quoted};
use crate::web::ui::visit::{Visit, html, with_status};

/// A key that nobody used for so long may not be needed.
const UNUSED_AFTER: Duration = Duration::from_secs(90 * 24 * 60 * 60);

struct Row {
    href: String,
    name: String,
    prefix: String,
    scopes: Vec<String>,
    mark: Mark,
    made: Moment,
    by: String,
    used: Option<Moment>,
    ends: Option<Moment>,
}

struct Made {
    name: String,
    key: String,
    curl: String,
}

/// A resource with its two boxes.
struct Choice {
    resource: &'static str,
    reads: bool,
    writes: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "admin/keys.html")]
pub struct KeysPage {
    shell: Shell,
    outcome: Outcome,
    made: Option<Made>,
    rows: Vec<Row>,
    tabs: Vec<Tab>,
    chips: Vec<Chip>,
    empty: Empty,
    address: Address,
    name: String,
    choices: Vec<Choice>,
    everything: bool,
    can_write: bool,
    tenant: String,
    curl: String,
}

/// Makes the page.
pub fn page(shell: Shell, address: Address, keys: &[KeyView], outcome: Outcome) -> KeysPage {
    let rows: Vec<Row> = keys
        .iter()
        .map(|key| (key, row(&shell, key)))
        .filter(|(key, row)| admits(&address, key, row))
        .map(|(_, row)| row)
        .collect();
    let chips = address.chips(&shell);
    let choices = [("", "All"), ("unused", "Unused for 90 days"), ("ended", "Ended")];
    KeysPage {
        tabs: address.tabs(&shell, "state", &choices),
        empty: Empty::of(&rows, &chips),
        can_write: may(&shell, "keys:write"),
        curl: shell.curl("/v1/keys"),
        tenant: shell.viewer.as_ref().map(|viewer| viewer.tenant.clone()).unwrap_or_default(),
        made: None,
        name: String::new(),
        choices: choices_of(&shell, &[]),
        everything: false,
        shell,
        outcome,
        rows,
        chips,
        address,
    }
}

fn choices_of(shell: &Shell, ticked: &[String]) -> Vec<Choice> {
    let has = |resource: &str, action: &str| ticked.contains(&format!("{resource}:{action}"));
    // Nobody gives away more than they have, so nothing else is offered.
    let holds = |resource: &&str| may(shell, &format!("{resource}:read"));
    let choice = |resource: &'static str| Choice {
        resource,
        reads: has(resource, "read"),
        writes: has(resource, "write"),
    };
    let mut known: Vec<&str> = RESOURCES.into_iter().filter(|it| holds(it)).collect();
    known.sort_unstable();
    known.into_iter().map(choice).collect()
}

fn row(shell: &Shell, key: &KeyView) -> Row {
    let is_over = key.expires_at.is_some_and(|end| end <= shell.now);
    let is_unused = key.last_used_at.unwrap_or(key.created_at) < shell.now - UNUSED_AFTER;
    let mark = match (is_over, is_unused) {
        (true, _) => super::connections::mark("idle", "cancelled", "Ended"),
        (false, true) => super::connections::mark("retry", "warning", "Unused for 90 days"),
        (false, false) => super::connections::mark("ok", "succeeded", "Opens"),
    };
    Row {
        href: shell.url(&format!("/keys/{}", encoded(&key.id))),
        name: key.name.clone(),
        prefix: key.prefix.clone(),
        scopes: key.scopes.clone(),
        mark,
        made: shell.ago(&key.created_at),
        by: key.created_by.clone().unwrap_or_default(),
        used: key.last_used_at.map(|at| shell.ago(&at)),
        ends: key.expires_at.map(|at| shell.ago(&at)),
    }
}

fn admits(address: &Address, key: &KeyView, row: &Row) -> bool {
    let text = address.value("q").to_lowercase();
    let fields = [key.name.as_str(), key.prefix.as_str(), row.by.as_str()];
    let in_scope = key.scopes.iter().any(|scope| scope.contains(&text));
    let state = match address.value("state") {
        "unused" => row.mark.tone == "retry",
        "ended" => row.mark.tone == "idle",
        _ => true,
    };
    state && (in_scope || fields.iter().any(|field| field.to_lowercase().contains(&text)))
}

fn shown(app: &App, visit: Visit, address: Address, outcome: Outcome) -> Result<KeysPage, Error> {
    let all = PageRequest { limit: SHOWN_MAX, after: None };
    let keys = app.keys(&visit.who, &all)?.data;
    Ok(page(visit.shell, address, &keys, outcome))
}

/// Shows the list.
pub async fn list(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let owned = |name| query.text(name).map(str::to_owned);
    let address = Address::new("/keys", vec![("state", owned("state")), ("q", owned("q"))]);
    html(&shown(&app, visit, address, Outcome::of(&query))?)
}

/// Makes a key and shows it, this once.
pub async fn create(app: web::Data<App>, visit: Visit, Raw(raw): Raw) -> Answer {
    let sent = Sent::read(&raw);
    let everything = sent.is_ticked("everything");
    let scopes = if everything { vec!["*".to_owned()] } else { sent.list("scope") };
    let life = parse_duration(sent.text("life")).ok();
    let wanted = NewKey {
        name: sent.text("name").to_owned(),
        scopes: scopes.clone(),
        expires_at: life.map(|life| app.now() + life),
    };
    let outcome = match wanted.name.is_empty() {
        true => Err((
            actix_web::http::StatusCode::UNPROCESSABLE_ENTITY,
            Outcome::problem("name", "say what the key is for"),
        )),
        false => match app.create_key(&visit.who, wanted).await {
            Ok(made) => Ok(made),
            Err(error) => Err(Outcome::refused(error)?),
        },
    };
    let address = Address::new("/keys", Vec::new());
    match outcome {
        Ok(made) => {
            let mut page = shown(&app, visit, address, Outcome::default())?;
            let place = format!("{}{}", page.shell.origin, page.shell.url("/v1/me"));
            let bearer = quoted(&format!("Authorization: Bearer {}", made.key));
            page.made = Some(Made {
                name: made.view.name,
                curl: format!("curl -H {bearer} {}", quoted(&place)),
                key: made.key,
            });
            html(&page)
        }
        Err((status, outcome)) => {
            let mut page = shown(&app, visit, address, outcome)?;
            page.name = sent.text("name").to_owned();
            page.everything = everything;
            page.choices = choices_of(&page.shell, &scopes);
            Ok(with_status(status, &page))
        }
    }
}

/// Revokes a key.
pub async fn revoke(app: web::Data<App>, visit: Visit, id: web::Path<String>) -> Answer {
    app.revoke_key(&visit.who, &id).await?;
    Ok(back_with(&visit.shell, "/keys", "revoked"))
}
