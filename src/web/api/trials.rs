//! Trials of workflows and their test cases: nothing is written and nothing is called.

use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use super::super::auth::Caller;
use super::super::beside::beside;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::fields::Fields;
use super::workflows::start;
use crate::app::App;
use crate::app::cases::Cases;
use crate::app::error::Error;
use crate::app::trial::{Otherwise, TrialRequest};
use crate::domain::problem::Problem;
use crate::domain::run::Failure;
use crate::domain::trial::FailAt;
use crate::domain::workflow::cases::{Mock, failure_of, read_mocks};

/// Tries a workflow without any effect.
pub async fn test(
    app: web::Data<App>,
    (Caller(who), name): (Caller, web::Path<String>),
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let mode = fields.text("mode").unwrap_or_else(|| "check".to_owned());
    if !matches!(mode.as_str(), "check" | "mock") {
        fields.problem("mode", "invalid_value", "must be `check` or `mock`");
    }
    let mut problems = Vec::new();
    let request = trial(&mut fields, &mut problems);
    let bent = !request.fail_at.is_empty()
        || !request.mocks.is_empty()
        || request.otherwise == Otherwise::Recorded;
    if mode == "check" && bent {
        let detail = "`mocks`, `outputs`, `fromRun` and `failAt` need the mode `mock`";
        fields.problem("mode", "contradiction", detail);
    }
    fields.end()?;
    if !problems.is_empty() {
        return Err(Error::Invalid(problems).into());
    }
    let tried = beside(move || app.try_workflow(&who, &name, request)).await?;
    Ok(HttpResponse::Ok().json(tried))
}

fn trial(fields: &mut Fields, problems: &mut Vec<Problem>) -> TrialRequest {
    let outputs = fields.object("outputs").unwrap_or_default();
    let from_run = fields.text("fromRun").and_then(|text| match text.parse() {
        Ok(id) => Some(id),
        Err(_) => {
            fields.problem("fromRun", "not_found", format!("there is no run `{text}`"));
            None
        }
    });
    let (mocks, otherwise) = match fields.value("mocks") {
        Some(Value::String(word)) if word == "recorded" => (None, Otherwise::Recorded),
        Some(given) => (Some(given), Otherwise::Sample),
        None if from_run.is_some() => (None, Otherwise::Recorded),
        None => (None, Otherwise::Sample),
    };
    let mut request = TrialRequest {
        start: start(fields),
        draft: fields.value("definition"),
        otherwise,
        from_run,
        up_to: fields.text("upTo"),
        fail_at: fail_at(fields.value("failAt"), problems),
        ..TrialRequest::default()
    };
    match mocks.map(|given| read_mocks(&given, "/mocks")) {
        Some(Ok(mocks)) => request.mocks = mocks,
        Some(Err(faults)) => problems.extend(faults),
        None => {}
    }
    request.mocks.extend(outputs.into_iter().map(|(id, output)| (id, Mock::Output(output))));
    request
}

fn fail_at(value: Option<Value>, problems: &mut Vec<Problem>) -> Vec<FailAt> {
    let items = match value {
        None => return Vec::new(),
        Some(Value::Array(items)) => items,
        Some(one) => vec![one],
    };
    let mut found = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let at = format!("/failAt/{index}");
        match item {
            Value::String(step) => {
                let failure = Failure::terminal("trial", "this step was asked to fail");
                found.push(FailAt { step, failure });
            }
            Value::Object(mut fields) => {
                let step = fields.shift_remove("step");
                let Some(Value::String(step)) = step else {
                    problems.push(Problem::new(at, "required", "`step` names the step that fails"));
                    continue;
                };
                match failure_of(&Value::Object(fields), &at) {
                    Ok(failure) => found.push(FailAt { step, failure }),
                    Err(faults) => problems.extend(faults),
                }
            }
            _ => problems.push(Problem::new(at, "wrong_type", "must be a step's id or an object")),
        }
    }
    found
}

/// Plays the test cases of a workflow or of a definition.
pub async fn tests(
    app: web::Data<App>,
    (Caller(who), name): (Caller, web::Path<String>),
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let definition: Option<Map<String, Value>> = fields.object("definition");
    let version = fields.number("version", 1..=u64::from(u32::MAX)).map(|it| it as u32);
    if definition.is_some() && version.is_some() {
        fields.problem("version", "contradiction", "give `definition` or `version`, not both");
    }
    fields.end()?;
    let cases = definition.map_or(Cases::Saved(version), |body| Cases::Draft(json!(body)));
    let played = beside(move || app.play_cases(&who, &name, cases)).await?;
    Ok(HttpResponse::Ok().json(played))
}
