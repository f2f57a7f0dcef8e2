//! One record: everything that is known of it, and what belongs to it.

use actix_web::web;
use askama::Template;
use serde_json::{Map, Value, json};

use super::blank::label;
use super::filled::Filled;
use super::nouns::Noun;
use super::records::cell;
use super::said::said;
use crate::app::App;
use crate::app::desk::{Precondition, Record, TicketQuery};
use crate::app::error::Error;
use crate::app::principal::Principal;
use crate::domain::desk::{Kept, RecordKind};
use crate::domain::problem::Problem;
use crate::web::error::Answer;
use crate::web::query::Query;
use crate::web::ui::pages::{back, beside};
use crate::web::ui::parts::moment::Moment;
use crate::web::ui::run::encoded;
use crate::web::ui::shell::Shell;
use crate::web::ui::tickets::{TicketModel, moment, read, text};
use crate::web::ui::visit::{Visit, html};

/// A field with its value.
struct Fact {
    label: String,
    text: String,
    chips: Vec<String>,
    at: Option<Moment>,
    link: Option<String>,
}

/// Something that belongs to the record.
#[derive(Debug)]
pub struct Beside {
    /// What they are.
    pub title: &'static str,
    /// Where all of them are.
    pub all: Option<String>,
    /// Each of them.
    pub rows: Vec<BesideRow>,
}

/// One thing that belongs to the record.
#[derive(Debug, Default)]
pub struct BesideRow {
    /// What it is called, or says.
    pub name: String,
    /// What stands under it.
    pub under: String,
    /// Its page.
    pub href: Option<String>,
    /// When it was made.
    pub at: Option<Moment>,
}

/// What belongs to a record.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// Its tickets.
    pub tickets: Option<Vec<Record>>,
    /// The rest.
    pub besides: Vec<Beside>,
}

/// The page.
#[derive(Template)]
#[template(path = "record.html")]
pub struct RecordPage {
    shell: Shell,
    noun: &'static Noun,
    said: Option<&'static str>,
    href: String,
    id: String,
    name: String,
    facts: Vec<Fact>,
    tickets: Option<Vec<TicketModel>>,
    besides: Vec<Beside>,
    may_write: bool,
    takes_notes: bool,
    curl: String,
}

/// Makes the page.
pub fn page(
    shell: Shell,
    noun: &'static Noun,
    record: &Record,
    around: Surroundings,
) -> RecordPage {
    let id = text(&Value::Object(record.clone()), &["id"]);
    let href = shell.url(&format!("{}/{}", noun.path, encoded(&id)));
    let may_write = shell.viewer.as_ref().is_some_and(|viewer| viewer.may(noun.write));
    RecordPage {
        said: None,
        name: noun.name_of(record),
        facts: facts(&shell, noun.kind, record),
        tickets: around.tickets.map(|tickets| {
            tickets.into_iter().map(|it| read(&shell, &Value::Object(it))).collect()
        }),
        besides: around.besides,
        may_write,
        takes_notes: may_write && noun.kind == RecordKind::Account,
        curl: shell.curl(&format!("/v1{}/{}", noun.path, encoded(&id))),
        href,
        id,
        noun,
        shell,
    }
}

/// What has a value is told; ids beside names, and what other programs keep, are not.
fn facts(shell: &Shell, kind: RecordKind, record: &Record) -> Vec<Fact> {
    const HIDDEN: [&str; 7] =
        ["id", "name", "metadata", "customFields", "dailyConfig", "firstName", "memberIds"];
    let mut facts = Vec::new();
    for field in kind.fields().iter().filter(|field| field.kept != Kept::No) {
        let is_id = field.name.ends_with("Id") || field.name.ends_with("Ids");
        let is_twin = field.name == "domain";
        if is_id || is_twin || HIDDEN.contains(&field.name) {
            continue;
        }
        facts.extend(record.get(field.name).and_then(|it| fact(shell, label(field.name), it)));
    }
    let custom = record.get("customFields").and_then(Value::as_object);
    for (name, value) in custom.into_iter().flatten() {
        facts.extend(fact(shell, name.replace('_', " "), value));
    }
    facts
}

fn fact(shell: &Shell, label: String, value: &Value) -> Option<Fact> {
    let chips = match value {
        Value::Array(items) => items.iter().map(cell).filter(|it| !it.is_empty()).collect(),
        _ => Vec::new(), // One value, or none.
    };
    let text = if chips.is_empty() { cell(value) } else { String::new() };
    if text.is_empty() && chips.is_empty() {
        return None;
    }
    let is_time = label.ends_with("at") || label.ends_with("date");
    let at = if is_time { moment(shell, value) } else { None };
    let is_link = text.starts_with("https://") || text.starts_with("http://");
    Some(Fact { label, chips, at, link: is_link.then(|| text.clone()), text })
}

/// Makes the handler that shows a record of a noun.
pub fn show(noun: &'static Noun) -> actix_web::Route {
    web::to(
        move |app: web::Data<App>, visit: Visit, key: web::Path<String>, query: Query| async move {
            let record = app.record(&visit.who, noun.kind, &key)?;
            let around = around(&app, &visit.who, &visit.shell, noun.kind, &record)?;
            let mut page = page(visit.shell, noun, &record, around);
            page.said = said(&query);
            html(&page)
        },
    )
}

fn around(
    app: &App,
    who: &Principal,
    shell: &Shell,
    kind: RecordKind,
    record: &Record,
) -> Result<Surroundings, Error> {
    let word = |name: &str| record.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut around = Surroundings::default();
    let wanted = match kind {
        RecordKind::Account => TicketQuery { account_id: word("id"), ..TicketQuery::default() },
        RecordKind::Contact => {
            TicketQuery { requestor_email: word("email"), ..TicketQuery::default() }
        }
        RecordKind::Team => TicketQuery { team_id: word("id"), ..TicketQuery::default() },
        _ => return Ok(around), // The others have no tickets.
    };
    if who.scopes.allow("tickets:read") {
        around.tickets = Some(app.tickets(who, wanted, &beside())?.data);
    }
    let id = word("id").unwrap_or_default();
    if kind == RecordKind::Account {
        let domain = word("primaryDomain").unwrap_or_default();
        if who.scopes.allow("contacts:read") {
            around.besides.push(contacts(app, who, shell, (&id, &domain))?);
        }
        let notes = app.entries_of(who, &id, RecordKind::AccountNote)?;
        let text = |note: &Record, name: &str| note.get(name).map(cell).unwrap_or_default();
        let rows = notes.iter().map(|note| BesideRow {
            name: text(note, "content"),
            at: note.get("createdAt").and_then(|at| moment(shell, at)),
            ..BesideRow::default()
        });
        around.besides.push(Beside { title: "Notes", all: None, rows: rows.collect() });
    }
    if kind == RecordKind::Team && who.scopes.allow("users:read") {
        let members = app.members_of(who, &id)?;
        let text = |user: &Record, name: &str| user.get(name).map(cell).unwrap_or_default();
        let rows = members.iter().map(|user| BesideRow {
            name: text(user, "name"),
            under: text(user, "email"),
            ..BesideRow::default()
        });
        around.besides.push(Beside { title: "Members", all: None, rows: rows.collect() });
    }
    Ok(around)
}

/// Most people of an account have addresses below its domain; that is what a search finds.
fn contacts(
    app: &App,
    who: &Principal,
    shell: &Shell,
    (account, domain): (&str, &str),
) -> Result<Beside, Error> {
    let mut found = app.records(who, RecordKind::Contact, Some(domain), &beside())?.data;
    found.retain(|contact| {
        let ids = contact.get("accountIds").and_then(Value::as_array);
        ids.is_some_and(|ids| ids.iter().any(|id| id == account))
    });
    let rows = found.iter().map(|contact| {
        let value = Value::Object(contact.clone());
        BesideRow {
            name: super::nouns::CONTACTS.name_of(contact),
            under: text(&value, &["email"]),
            href: Some(shell.url(&format!("/contacts/{}", encoded(&text(&value, &["id"]))))),
            at: None,
        }
    });
    let rows = rows.collect();
    let all = shell.url(&format!("/contacts?q={}", encoded(domain)));
    Ok(Beside { title: "Contacts", all: Some(all), rows })
}

/// Makes the handler that removes a record of a noun, whose name must be typed.
pub fn remove(noun: &'static Noun) -> actix_web::Route {
    web::to(
        move |app: web::Data<App>, visit: Visit, key: web::Path<String>, form: web::Bytes| async move {
            let record = app.record(&visit.who, noun.kind, &key)?;
            let typed = Filled::read(&form);
            if typed.text("confirm") != noun.name_of(&record).trim() {
                let detail = "must be the name of what is removed";
                let problem = Problem::new("/confirm", "confirmation_required", detail);
                return Answer::Err(Error::Invalid(vec![problem]).into());
            }
            let place = (noun.kind, key.as_str());
            app.remove_record(&visit.who, place, Precondition::none()).await?;
            Ok(back(&visit.shell, &format!("{}?said=removed", noun.path)))
        },
    )
}

/// Adds a note to an account.
pub async fn note(
    app: web::Data<App>,
    visit: Visit,
    key: web::Path<String>,
    form: web::Bytes,
) -> Answer {
    let account = app.record(&visit.who, RecordKind::Account, &key)?;
    let mut note = Map::new();
    note.insert("accountId".to_owned(), account.get("id").cloned().unwrap_or_default());
    note.insert("content".to_owned(), json!(Filled::read(&form).text("content")));
    app.create_record(&visit.who, RecordKind::AccountNote, note).await?;
    Ok(back(&visit.shell, &format!("/accounts/{}?said=commented", encoded(&key))))
}
