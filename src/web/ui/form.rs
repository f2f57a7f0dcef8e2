//! The page of a hosted form: rendered from its schema, works without scripts, keeps what was typed.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde_json::{Map, Value, json};

use super::shell::Shell;
use super::visit::{self, html, with_status};
use crate::app::App;
use crate::app::error::Error;
use crate::app::forms::{OpenForm, Submission};
use crate::domain::form::{Field, FieldKind};
use crate::domain::problem::{Problem, pointer_to};
use crate::web::body::Raw;
use crate::web::cloudevents::media_type;
use crate::web::error::{Answer, ApiError};
use crate::web::json;
use crate::web::state::{Front, Verdict};

/// A field that people do not see; what fills it in is a program.
const TRAP: &str = "_website";
const ID: &str = "_id";
const ID_CHARS_MAX: usize = 64;

/// The page, empty, with what is wrong, or with thanks.
#[derive(Template)]
#[template(path = "form.html")]
struct FormPage {
    shell: Shell,
    title: String,
    description: String,
    thanks: String,
    notice: String,
    id: String,
    lines: Vec<Line>,
    sent: bool,
}

/// A field with what was typed and what is wrong with it.
struct Line {
    name: String,
    label: String,
    help: String,
    required: bool,
    kind: &'static str,
    value: String,
    wrong: String,
    options: Vec<Choice>,
    least: Option<String>,
    most: Option<String>,
}

struct Choice {
    text: String,
    chosen: bool,
}

impl Line {
    fn new(field: &Field, values: &Map<String, Value>, wrong: &BTreeMap<String, String>) -> Line {
        let value = values.get(&field.name).unwrap_or(&Value::Null);
        let chosen = |option: &String| match value {
            Value::Array(items) => items.iter().any(|item| item == option),
            single => single == option,
        };
        let options = match &field.kind {
            FieldKind::Choice(options) | FieldKind::Choices(options) => options
                .iter()
                .map(|option| Choice { text: option.clone(), chosen: chosen(option) })
                .collect(),
            _ => Vec::new(), // Typed, not chosen.
        };
        let is_number = matches!(field.kind, FieldKind::Whole | FieldKind::Number);
        let bound = |bound: &Option<serde_json::Number>| {
            bound.as_ref().filter(|_| is_number).map(ToString::to_string)
        };
        Line {
            name: field.name.clone(),
            label: field.label.clone(),
            help: field.help.clone(),
            required: field.required,
            kind: kind_of(&field.kind),
            value: match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            },
            wrong: wrong.get(&field.name).cloned().unwrap_or_default(),
            options,
            least: bound(&field.bounds.0),
            most: bound(&field.bounds.1),
        }
    }

    fn is_group(&self) -> bool {
        self.kind == "group"
    }

    fn is_switch(&self) -> bool {
        self.kind == "switch"
    }

    fn is_choice(&self) -> bool {
        self.kind == "choice"
    }

    fn is_long(&self) -> bool {
        self.kind == "long"
    }

    fn is_any_number(&self) -> bool {
        self.kind == "number"
    }

    fn is_on(&self) -> bool {
        self.value == "true"
    }

    fn is_wrong(&self) -> bool {
        !self.wrong.is_empty()
    }

    fn has_notes(&self) -> bool {
        self.is_wrong() || !self.help.is_empty()
    }
}

fn kind_of(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "text",
        FieldKind::LongText => "long",
        FieldKind::Email => "email",
        FieldKind::Url => "url",
        FieldKind::Date => "date",
        FieldKind::Whole | FieldKind::Number => "number",
        FieldKind::Switch => "switch",
        FieldKind::Choice(_) => "choice",
        FieldKind::Choices(_) => "group",
    }
}

/// What a page shows beside the form itself.
#[derive(Default)]
struct Said {
    values: Map<String, Value>,
    wrong: BTreeMap<String, String>,
    notice: String,
    id: String,
}

fn page(request: &HttpRequest, open: &OpenForm, said: &Said) -> FormPage {
    let lines = open.form.fields.iter();
    FormPage {
        shell: visit::shell(request),
        title: open.title().to_owned(),
        description: open.description().to_owned(),
        thanks: open.thanks().to_owned(),
        notice: said.notice.clone(),
        id: said.id.clone(),
        lines: lines.map(|field| Line::new(field, &said.values, &said.wrong)).collect(),
        sent: false,
    }
}

fn thanks(request: &HttpRequest, open: &OpenForm) -> Answer {
    html(&FormPage { sent: true, ..page(request, open, &Said::default()) })
}

/// Shows the empty form.
pub async fn show(
    (app, front): (web::Data<App>, web::Data<Front>),
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Answer {
    let open = app.open_form(&path.0, &path.1)?;
    let defaults = open.form.fields.iter();
    let values = defaults.filter_map(|field| Some((field.name.clone(), field.default.clone()?)));
    let said = Said { values: values.collect(), id: fresh_id(&front), ..Said::default() };
    html(&page(&request, &open, &said))
}

fn fresh_id(front: &Front) -> String {
    format!("sub_{:016x}{:016x}", front.clock.random(), front.clock.random())
}

/// Takes a filled-in form, from a browser or from a program.
pub async fn submit(
    (app, front): (web::Data<App>, web::Data<Front>),
    request: HttpRequest,
    path: web::Path<(String, String)>,
    Raw(raw): Raw,
) -> Answer {
    let open = app.open_form(&path.0, &path.1)?;
    let hasher = ahash::RandomState::with_seeds(5, 6, 7, 8);
    let address = hasher.hash_one(request.peer_addr().map(|address| address.ip()));
    let taken = front.forms.take(address);
    let is_too_fast = taken.is_some_and(|taken| taken.verdict == Verdict::Refused);
    if media_type(request.headers()) == "application/json" {
        if is_too_fast {
            return Err(too_fast().into());
        }
        let values = json::parse(&raw, front.settings.json_depth_max)?;
        return from_program(&app, &open, values).await;
    }
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(&raw).into_owned().collect();
    let given = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    if given(TRAP).is_some_and(|filled| !filled.is_empty()) {
        // A program is thanked as well, so that it learns nothing.
        return thanks(&request, &open);
    }
    let id = given(ID).filter(|id| !id.is_empty() && id.len() <= ID_CHARS_MAX).cloned();
    let id = id.unwrap_or_else(|| fresh_id(&front));
    let values = open.form.values(&pairs);
    let mut said = Said { values: values.clone(), id: id.clone(), ..Said::default() };
    if is_too_fast {
        said.notice = "That was too fast. Please wait a minute and send it again.".to_owned();
        let mut answer = with_status(StatusCode::TOO_MANY_REQUESTS, &page(&request, &open, &said));
        answer.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("60"));
        return Ok(answer);
    }
    match app.submit_form(&open, values, Some(id)).await? {
        Submission::Accepted(_) => thanks(&request, &open),
        Submission::Wrong(wrong) => {
            let general = "Something is not right yet; see below.".to_owned();
            said.notice = wrong.get("").cloned().unwrap_or(general);
            said.wrong = wrong;
            Ok(with_status(StatusCode::UNPROCESSABLE_ENTITY, &page(&request, &open, &said)))
        }
    }
}

fn too_fast() -> Error {
    let detail = "too many submissions from this address; wait a minute".to_owned();
    Error::Busy { detail, retry_after: std::time::Duration::from_secs(60) }
}

async fn from_program(app: &App, open: &OpenForm, values: Value) -> Answer {
    let Value::Object(values) = values else {
        let problem = Problem::new("", "wrong_type", "must be an object of values");
        return Err(ApiError::invalid(vec![problem]));
    };
    match app.submit_form(open, values, None).await? {
        Submission::Accepted(accepted) => {
            Ok(HttpResponse::Accepted().json(json!({"accepted": [accepted], "rejected": []})))
        }
        Submission::Wrong(wrong) => {
            let problems = wrong.into_iter().map(|(name, told)| {
                let at = if name.is_empty() { name } else { pointer_to("", &name) };
                Problem::new(at, "invalid", told)
            });
            Err(ApiError::invalid(problems.collect()))
        }
    }
}
