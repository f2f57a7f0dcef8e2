//! The list of the records of a kind.

use actix_web::web;
use askama::Template;
use serde_json::Value;

use super::blank::shown;
use super::nouns::{Noun, Sheets};
use super::said::said;
use crate::app::App;
use crate::app::desk::Record;
use crate::app::views::Page;
use crate::web::query::Query;
use crate::web::ui::parts::list::{Address, Chip, Empty};
use crate::web::ui::parts::moment::Moment;
use crate::web::ui::run::encoded;
use crate::web::ui::shell::Shell;
use crate::web::ui::tickets::moment;
use crate::web::ui::visit::{Visit, html};

/// A record as the list shows it.
struct Row {
    href: String,
    name: String,
    under: String,
    cells: Vec<(&'static str, String)>,
    updated: Option<Moment>,
}

/// The page.
#[derive(Template)]
#[template(path = "records.html")]
pub struct RecordsPage {
    shell: Shell,
    noun: &'static Noun,
    said: Option<&'static str>,
    rows: Vec<Row>,
    address: Address,
    chips: Vec<Chip>,
    empty: Empty,
    next: Option<String>,
    first: Option<String>,
    may_write: bool,
    curl: String,
}

impl RecordsPage {
    fn takes_sheets(&self) -> bool {
        self.noun.sheet == Sheets::Taken
    }
}

/// Makes the page of one part of the list.
pub fn page(
    shell: Shell,
    noun: &'static Noun,
    text: Option<&str>,
    list: &Page<Record>,
) -> RecordsPage {
    let address = Address::new(noun.path, vec![("q", text.map(str::to_owned))]);
    let rows: Vec<Row> = list.data.iter().map(|record| row(&shell, noun, record)).collect();
    let chips = address.chips(&shell);
    RecordsPage {
        said: None,
        empty: Empty::of(&rows, &chips),
        next: list.next_cursor.as_ref().map(|cursor| address.with(&shell, "cursor", cursor)),
        first: None,
        may_write: shell.viewer.as_ref().is_some_and(|viewer| viewer.may(noun.write)),
        curl: shell.curl(&format!("/v1{}", noun.path)),
        noun,
        shell,
        rows,
        address,
        chips,
    }
}

fn row(shell: &Shell, noun: &'static Noun, record: &Record) -> Row {
    let text = |name: &str| record.get(name).map(cell).unwrap_or_default();
    Row {
        href: shell.url(&format!("{}/{}", noun.path, encoded(&text("id")))),
        name: noun.name_of(record),
        under: text(noun.under),
        cells: noun.columns.iter().map(|(title, name)| (*title, text(name))).collect(),
        updated: record.get("updatedAt").and_then(|at| moment(shell, at)),
    }
}

/// Writes a value in few words: a person by name, a constant in lower case.
pub(super) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Object(fields) => ["name", "email", "id"]
            .iter()
            .find_map(|name| fields.get(*name)?.as_str())
            .unwrap_or_default()
            .to_owned(),
        other => shown(other),
    };
    let is_constant = text.chars().all(|c| c.is_ascii_uppercase() || c == '_') && text.len() > 3;
    if is_constant { text.to_lowercase().replace('_', " ") } else { text }
}

/// Makes the handler that lists records of a noun.
pub fn list(noun: &'static Noun) -> actix_web::Route {
    web::to(move |app: web::Data<App>, visit: Visit, query: Query| async move {
        let list = app.records(&visit.who, noun.kind, query.text("q"), &query.page()?)?;
        let mut page = page(visit.shell, noun, query.text("q"), &query.seal(list));
        page.said = said(&query);
        page.first = query.text("cursor").map(|_| page.address.here(&page.shell));
        html(&page)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cell_is_written_in_few_words() {
        for (value, text) in [
            (json!("MID_MARKET"), "mid market"),
            (json!("WED"), "WED"),
            (json!({"id": "U1", "name": "Ada"}), "Ada"),
            (json!(null), ""),
        ] {
            assert_eq!(cell(&value), text);
        }
    }
}
