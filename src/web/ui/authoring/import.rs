//! The page by which a definition comes in: pasted or as a file, looked at before it is saved.

use actix_web::http::header;
use actix_web::{HttpRequest, web};
use askama::Template;
use serde_json::Value;

use super::super::run::encoded;
use super::super::shell::Shell;
use super::super::visit::{Visit, html, see_other};
use super::sketch::{pieces, trigger_words};
use super::{field, pairs};
use crate::app::App;
use crate::app::definitions::{Definition, Plan, Publish, Saved, Told, Verdict};
use crate::app::error::Error;
use crate::domain::problem::Problem;
use crate::domain::workflow::document::{Format, TextLimits, parse_text};
use crate::web::body::Raw;
use crate::web::error::Answer;
use crate::web::multipart;

#[derive(Template)]
#[template(path = "authoring/import.html")]
struct ImportPage {
    shell: Shell,
    here: String,
    text: String,
    told: Vec<Told>,
    found: Option<Found>,
}

/// What was found in the text.
struct Found {
    name: String,
    title: String,
    spelling: &'static str,
    trigger: String,
    pieces: Vec<String>,
    sentence: String,
    changes: Vec<(String, String, String)>,
    may_save: bool,
}

/// Shows the empty page.
pub async fn show(visit: Visit) -> Answer {
    html(&page(visit.shell, String::new(), Vec::new(), None))
}

fn page(shell: Shell, text: String, told: Vec<Told>, found: Option<Found>) -> ImportPage {
    ImportPage { here: shell.url("/workflows/import"), text, told, found, shell }
}

/// Looks at a definition, or saves it.
pub async fn take(
    app: web::Data<App>,
    visit: Visit,
    request: HttpRequest,
    Raw(body): Raw,
) -> Answer {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let fields = match kind.and_then(multipart::boundary) {
        Some(boundary) => multipart::parts(boundary, &body),
        None => pairs(&body),
    };
    let text = field(&fields, "file").or(field(&fields, "text")).unwrap_or_default().to_owned();
    let definition = match read(&text) {
        Ok(definition) => definition,
        Err(problem) => {
            let told = Told::all(vec![problem], Vec::new());
            return html(&page(visit.shell, text, told, None));
        }
    };
    let publish = match field(&fields, "do") {
        Some("draft") => Some(Publish::Draft),
        Some("active") => Some(Publish::Active),
        _ => None, // Only looked at.
    };
    let verdict = app.validate_workflow(&visit.who, &definition)?;
    let name = verdict.definition.as_ref().and_then(|it| it["name"].as_str()).map(str::to_owned);
    let Some(name) = name else {
        return html(&page(visit.shell, text, verdict.problems, None));
    };
    let Some(publish) = publish.filter(|_| visit.who.scopes.allow("workflows:write")) else {
        let spelling = spelling(&definition);
        let plan = app.plan_workflow(&visit.who, &name, definition)?;
        let may_save = visit.who.scopes.allow("workflows:write");
        let found = found(&name, &verdict, spelling, &plan, may_save);
        return html(&page(visit.shell, text, verdict.problems, Some(found)));
    };
    match app.put_workflow(&visit.who, &name, definition, publish).await {
        Ok(Saved::Created(view) | Saved::Changed(view) | Saved::Same(view)) => {
            let place = format!("/workflows/{}?version={}", encoded(&view.name), view.version);
            Ok(see_other(visit.shell.url(&place)))
        }
        Err(Error::Invalid(problems)) => {
            html(&page(visit.shell, text, Told::all(problems, Vec::new()), None))
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads JSON where the text begins as JSON does, else YAML.
fn read(text: &str) -> Result<Definition, Problem> {
    let format = if text.trim_start().starts_with('{') { Format::Json } else { Format::Yaml };
    if text.trim().is_empty() {
        return Err(Problem::new("", "required", "there is no text and no file"));
    }
    let document = parse_text(text, format, TextLimits::default())?;
    Ok(Definition { document, source: (format == Format::Yaml).then(|| text.to_owned()) })
}

fn spelling(definition: &Definition) -> &'static str {
    let document = &definition.document;
    match (document.get("workflowDefinition").is_some(), &definition.source) {
        (true, _) => "Thena's body",
        (false, Some(_)) => "YAML",
        (false, None) => "JSON",
    }
}

fn found(
    name: &str,
    verdict: &Verdict,
    spelling: &'static str,
    plan: &Plan,
    may_save: bool,
) -> Found {
    let definition = verdict.definition.as_ref().unwrap_or(&Value::Null);
    let from = plan.from_version.unwrap_or_default();
    let short = |value: &Option<Value>| value.as_ref().map(abridged).unwrap_or_default();
    Found {
        name: name.to_owned(),
        title: definition["title"].as_str().filter(|it| !it.is_empty()).unwrap_or(name).to_owned(),
        spelling,
        trigger: trigger_words(definition),
        pieces: pieces(definition),
        sentence: match plan.action {
            "create" => "It is new here.".to_owned(),
            "none" => format!("It is the same as version {from}, the newest one."),
            _ => format!("It would become version {} of it, after {from}.", plan.to_version),
        },
        changes: plan
            .diff
            .iter()
            .map(|change| (change.pointer.clone(), short(&change.before), short(&change.after)))
            .collect(),
        may_save,
    }
}

fn abridged(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
