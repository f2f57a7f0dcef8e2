//! The form that makes a record, or changes one.

use actix_web::web;
use askama::Template;

use super::blank::{Blank, Control, Form};
use super::filled::Filled;
use super::nouns::Noun;
use crate::app::App;
use crate::app::desk::{Precondition, Record};
use crate::app::error::Error;
use crate::domain::problem::Problem;
use crate::web::error::{Answer, ApiError};
use crate::web::ui::door::refusal;
use crate::web::ui::pages::back;
use crate::web::ui::run::encoded;
use crate::web::ui::shell::Shell;
use crate::web::ui::visit::{Visit, html, with_status};

/// The page.
#[derive(Template)]
#[template(path = "record_form.html")]
pub struct RecordFormPage {
    shell: Shell,
    noun: &'static Noun,
    blanks: Vec<Blank>,
    problem: Option<String>,
    name: String,
    action: String,
    leave: String,
}

/// Makes the page; without a record it asks for a new one.
pub fn page(
    shell: Shell,
    noun: &'static Noun,
    record: Option<&Record>,
    blanks: Vec<Blank>,
) -> RecordFormPage {
    let id = record.and_then(|record| record.get("id")?.as_str()).map(encoded);
    let list = shell.url(noun.path);
    let leave = id.map_or_else(|| list.clone(), |id| format!("{list}/{id}"));
    RecordFormPage {
        problem: None,
        name: record.map(|record| noun.name_of(record)).unwrap_or_default(),
        action: leave.clone(),
        leave,
        noun,
        blanks,
        shell,
    }
}

fn form<'a>(noun: &'static Noun, record: Option<&'a Record>) -> Form<'a> {
    Form { kind: noun.kind, names: noun.form, custom: noun.custom, record }
}

/// Makes the handler that asks for a new record.
pub fn new(noun: &'static Noun) -> actix_web::Route {
    web::to(move |app: web::Data<App>, visit: Visit| async move {
        let blanks = form(noun, None).blanks(&app, &visit.who, None, &[])?;
        html(&page(visit.shell, noun, None, blanks))
    })
}

/// Makes the handler that asks what is to be changed.
pub fn edit(noun: &'static Noun) -> actix_web::Route {
    web::to(move |app: web::Data<App>, visit: Visit, key: web::Path<String>| async move {
        let record = app.record(&visit.who, noun.kind, &key)?;
        let blanks = form(noun, Some(&record)).blanks(&app, &visit.who, None, &[])?;
        html(&page(visit.shell, noun, Some(&record), blanks))
    })
}

/// Makes the handler that makes a record and shows it.
pub fn create(noun: &'static Noun) -> actix_web::Route {
    web::to(move |app: web::Data<App>, visit: Visit, body: web::Bytes| async move {
        let typed = Filled::read(&body);
        let answers = form(noun, None).answers(&app, &visit.who, &typed);
        let made = match answers {
            Ok(input) => app.create_record(&visit.who, noun.kind, input).await,
            Err(error) => Err(error),
        };
        match made {
            Ok(made) => {
                let id = made.get("id").and_then(|id| id.as_str()).unwrap_or_default();
                Answer::Ok(back(&visit.shell, &format!("{}/{}?said=made", noun.path, encoded(id))))
            }
            Err(error) => again(&app, visit, noun, (None, &typed), &error),
        }
    })
}

/// Makes the handler that changes a record.
pub fn change(noun: &'static Noun) -> actix_web::Route {
    web::to(
        move |app: web::Data<App>, visit: Visit, key: web::Path<String>, body: web::Bytes| async move {
            let typed = Filled::read(&body);
            let record = app.record(&visit.who, noun.kind, &key)?;
            let answers = form(noun, Some(&record)).answers(&app, &visit.who, &typed);
            let place = (noun.kind, key.as_str());
            let changed = match answers {
                Ok(patch) => {
                    app.update_record(&visit.who, place, patch, Precondition::none()).await
                }
                Err(error) => Err(error),
            };
            match changed {
                Ok(_) => {
                    let place = format!("{}/{}?said=saved", noun.path, encoded(&key));
                    Answer::Ok(back(&visit.shell, &place))
                }
                Err(error) => again(&app, visit, noun, (Some(&record), &typed), &error),
            }
        },
    )
}

/// Shows the form once more with what was typed, and what is wrong with it.
fn again(
    app: &App,
    visit: Visit,
    noun: &'static Noun,
    (record, typed): (Option<&Record>, &Filled),
    error: &Error,
) -> Answer {
    let Some((status, told)) = refusal(error) else { return Err(ApiError::from(error.clone())) };
    let problems: &[Problem] = match error {
        Error::Invalid(problems) => problems,
        _ => &[], // It is about the whole.
    };
    let blanks = form(noun, record).blanks(app, &visit.who, Some(typed), problems)?;
    let all_shown = !problems.is_empty()
        && problems.len() <= blanks.iter().filter(|blank| blank.problem.is_some()).count();
    let mut page = page(visit.shell, noun, record, blanks);
    page.problem = Some(match all_shown {
        true => "Nothing was saved yet: look at the fields that are marked.".to_owned(),
        false => told,
    });
    Ok(with_status(status, &page))
}
