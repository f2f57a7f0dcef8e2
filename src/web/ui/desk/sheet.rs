//! A table of records that is pasted in: looked at first, taken in then.

use actix_web::web;
use askama::Template;

use super::filled::Filled;
use super::nouns::Noun;
use super::records::cell;
use crate::app::App;
use crate::app::sheets::{SheetMode, SheetView, names};
use crate::web::error::Answer;
use crate::web::ui::door::refusal;
use crate::web::ui::pages::back;
use crate::web::ui::shell::{Shell, quoted};
use crate::web::ui::visit::{Visit, html, with_status};

/// The page.
#[derive(Template)]
#[template(path = "sheet.html")]
pub struct SheetPage {
    shell: Shell,
    noun: &'static Noun,
    action: String,
    text: String,
    fields: Vec<&'static str>,
    outcome: Option<SheetView>,
    shown: Vec<Vec<String>>,
    problem: Option<String>,
    curl: String,
}

/// Makes the page; with an outcome it is shown what would become, or became, of the table.
pub fn page(
    shell: Shell,
    noun: &'static Noun,
    text: String,
    outcome: Option<SheetView>,
) -> SheetPage {
    let address = format!("{}{}", shell.origin, shell.url(&format!("/v1{}/import", noun.path)));
    let curl = format!(
        "curl -H \"Authorization: Bearer $ERGANE_KEY\" -H 'Content-Type: text/csv' \
         --data-binary @{}.csv {}",
        noun.title.to_lowercase(),
        quoted(&address)
    );
    SheetPage {
        action: shell.url(&format!("{}/import", noun.path)),
        fields: names(noun.kind).collect(),
        shown: outcome.as_ref().map(rows).unwrap_or_default(),
        problem: None,
        noun,
        text,
        outcome,
        curl,
        shell,
    }
}

fn rows(outcome: &SheetView) -> Vec<Vec<String>> {
    let fields = outcome.columns.iter().filter_map(|column| column.field);
    let fields: Vec<&str> = fields.collect();
    let of = |record: &crate::app::desk::Record| {
        fields.iter().map(|name| record.get(*name).map(cell).unwrap_or_default()).collect()
    };
    outcome.preview.iter().map(of).collect()
}

/// Makes the handler that asks for a table.
pub fn ask(noun: &'static Noun) -> actix_web::Route {
    web::to(move |visit: Visit| async move { html(&page(visit.shell, noun, String::new(), None)) })
}

/// Makes the handler that looks at a table or takes it in.
pub fn take(noun: &'static Noun) -> actix_web::Route {
    web::to(move |app: web::Data<App>, visit: Visit, form: web::Bytes| async move {
        let typed = Filled::read(&form);
        let text = typed.text("text").to_owned();
        let mode = match typed.text("mode") {
            "make" => SheetMode::Make,
            _ => SheetMode::Check, // Nothing is made that was not asked for.
        };
        match app.import_sheet(&visit.who, noun.kind, &text, mode).await {
            Ok(outcome) if outcome.made == outcome.rows && outcome.problems.is_empty() => {
                Answer::Ok(back(&visit.shell, &format!("{}?said=imported", noun.path)))
            }
            Ok(outcome) => {
                // What was made already must not be sent once more.
                let text = if outcome.made > 0 { String::new() } else { text };
                Ok(html(&page(visit.shell, noun, text, Some(outcome)))?)
            }
            Err(error) => {
                let Some((status, told)) = refusal(&error) else { return Err(error.into()) };
                let mut page = page(visit.shell, noun, text, None);
                page.problem = Some(told);
                Ok(with_status(status, &page))
            }
        }
    })
}
