//! The catalogue of activities, in groups, and each by itself: what goes in and out, what uses it,
//! how it fares, and a form to try it.

use std::collections::BTreeMap;

use actix_web::web;
use askama::Template;
use serde_json::{Value, json};

use super::connections::{mark, may};
use super::entry::{Entry, read_object, read_properties};
use super::outcome::{Outcome, sentence};
use super::schema::{Property, properties_of};
use super::sent::Sent;
use super::users::{User, users_of};
use crate::app::App;
use crate::app::activities::ActivityView;
use crate::app::activity_record::ActivityRecord;
use crate::app::activity_trial::{ActivityTrial, Earnest};
use crate::app::error::Error;
use crate::app::principal::Principal;
use crate::app::uses::{UseView, Uses};
use crate::domain::trial::sample;
use crate::web::body::Raw;
use crate::web::error::Answer;
use crate::web::query::Query;
use crate::web::ui::parts::json_tree::JsonTree;
use crate::web::ui::parts::list::{Address, Chip, Empty};
use crate::web::ui::parts::mark::{Mark, capital};
use crate::web::ui::parts::moment::{Moment, span};
use crate::web::ui::parts::source::Source;
use crate::web::ui::run::encoded;
use crate::web::ui::shell::Shell;
use crate::web::ui::visit::{Visit, html, with_status};

struct Row {
    href: String,
    identifier: String,
    name: String,
    version: u32,
    description: String,
    undo: &'static str,
    outside: bool,
    users: usize,
}

struct Bundle {
    id: String,
    title: String,
    rows: Vec<Row>,
}

/// The page of the catalogue.
#[derive(Template)]
#[template(path = "admin/activities.html")]
pub struct ActivitiesPage {
    shell: Shell,
    outcome: Outcome,
    bundles: Vec<Bundle>,
    categories: Vec<(String, String)>,
    count: usize,
    chips: Vec<Chip>,
    empty: Empty,
    address: Address,
    can_import: bool,
    curl: String,
}

/// Makes the page.
pub fn page(
    shell: Shell,
    address: Address,
    (all, uses): (&[ActivityView], &Uses),
    outcome: Outcome,
) -> ActivitiesPage {
    let mut bundles: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    let mut categories: Vec<(String, String)> = Vec::new();
    for view in all {
        if !categories.iter().any(|(category, _)| *category == view.category) {
            categories.push((view.category.clone(), title_of(&view.category)));
        }
        let users = uses.of_activity(&view.unique_identifier).len();
        if admits(&address, view, users) {
            bundles.entry(&view.category).or_default().push(row(&shell, view, users));
        }
    }
    categories.sort();
    let count = bundles.values().map(Vec::len).sum();
    let bundles: Vec<Bundle> = bundles
        .into_iter()
        .map(|(category, rows)| Bundle {
            id: category.replace(|c: char| !c.is_ascii_alphanumeric(), "-"),
            title: title_of(category),
            rows,
        })
        .collect();
    let chips = address.chips(&shell);
    ActivitiesPage {
        empty: Empty::of(&bundles, &chips),
        can_import: may(&shell, "workflows:write"),
        curl: shell.curl("/v1/activities"),
        shell,
        outcome,
        bundles,
        categories,
        count,
        chips,
        address,
    }
}

fn title_of(category: &str) -> String {
    match category {
        "ai" => "AI".to_owned(),
        "" => "Other".to_owned(),
        other => capital(other),
    }
}

fn admits(address: &Address, view: &ActivityView, users: usize) -> bool {
    let category = address.value("category");
    let is_used = match address.value("used") {
        "yes" => users > 0,
        "no" => users == 0,
        _ => true,
    };
    (category.is_empty() || view.category == category)
        && is_used
        && view.has_text(address.value("q"))
}

fn undo_words(compensation: &str) -> &'static str {
    match compensation {
        "auto" => "is put back by itself",
        "offered" => "can be taken back",
        "manual" => "needs a compensation of its own",
        _ => "changes nothing",
    }
}

fn row(shell: &Shell, view: &ActivityView, users: usize) -> Row {
    Row {
        href: shell.url(&format!("/activities/{}", encoded(&view.unique_identifier))),
        identifier: view.unique_identifier.clone(),
        name: if view.name.is_empty() { &view.unique_identifier } else { &view.name }.clone(),
        version: view.version,
        description: view.description.clone(),
        undo: undo_words(view.compensation),
        outside: view.in_doubt.is_some(),
        users,
    }
}

/// Shows the catalogue.
pub async fn list(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let owned = |name| query.text(name).map(str::to_owned);
    let pairs = ["category", "used", "q"].map(|name| (name, owned(name)));
    let address = Address::new("/activities", pairs.into());
    let (all, uses) = (app.activities(&visit.who, None), app.uses(&visit.who)?);
    html(&page(visit.shell, address, (&all, &uses), Outcome::of(&query)))
}

struct Fared {
    percent: Option<usize>,
    attempts: usize,
    failed: usize,
    runs: usize,
    more: bool,
    p50: String,
    p95: String,
    failure: Option<(String, String, Moment)>,
}

struct Tried {
    mark: Mark,
    took: String,
    detail: String,
    output: Option<JsonTree>,
    is_mock: bool,
}

/// The page of one activity.
#[derive(Template)]
#[template(path = "admin/activity.html")]
pub struct ActivityPage {
    shell: Shell,
    outcome: Outcome,
    view: ActivityView,
    title: String,
    href: String,
    input: Vec<Property>,
    output: Vec<Property>,
    input_raw: Source,
    output_raw: Source,
    example: Source,
    example_text: String,
    undo: &'static str,
    repeats: &'static str,
    throttle: String,
    retry: String,
    users: Vec<User>,
    fared: Option<Fared>,
    entries: Vec<Entry>,
    more: Entry,
    tried: Option<Tried>,
    can_try: bool,
    lacking: Vec<String>,
    curl: String,
}

/// What the page is made of.
pub struct Found {
    /// The activity.
    pub view: ActivityView,
    /// What uses it.
    pub users: Vec<UseView>,
    /// How it fared, for whoever may see runs.
    pub record: Option<ActivityRecord>,
}

/// Makes the page.
pub fn one(shell: Shell, found: &Found, sent: Option<&Sent>, outcome: Outcome) -> ActivityPage {
    let view = &found.view;
    let example = example_of(view);
    let lacking = view.scopes.iter().filter(|scope| !may(&shell, scope)).cloned().collect();
    let help = "Fields that are not above, or the whole input; it goes over what is above.";
    let more = Entry::json("more", "More of the input (JSON)", help, &Value::Null);
    ActivityPage {
        title: if view.name.is_empty() { &view.unique_identifier } else { &view.name }.clone(),
        href: shell.url(&format!("/activities/{}", encoded(&view.unique_identifier))),
        input: properties_of(&view.input_schema),
        output: properties_of(&view.output_schema),
        input_raw: Source::new("Schema of the input", &format!("{:#}", view.input_schema)),
        output_raw: Source::new("Schema of the output", &format!("{:#}", view.output_schema)),
        example: Source::new("A step that calls it", &example),
        example_text: example,
        undo: undo_words(view.compensation),
        repeats: match view.in_doubt {
            None => "commits with its step, exactly once",
            Some("repeat") => "is made again with the same key when nobody knows what came of it",
            Some("lookup") => "asks whether it happened before it is made again",
            Some(_) => "asks a person when nobody knows what came of it",
        },
        throttle: throttle_of(&view.throttle),
        retry: format!(
            "{} attempts, first after {}, at most {} apart",
            view.retry["attempts"],
            view.retry["initial"].as_str().unwrap_or_default(),
            view.retry["max"].as_str().unwrap_or_default(),
        ),
        users: users_of(&shell, &found.users),
        fared: found.record.as_ref().map(|record| fared(&shell, record)),
        entries: entries_of(&view.input_schema, sent),
        more: match sent {
            Some(sent) => more.typed(sent),
            None => more,
        },
        tried: None,
        can_try: may(&shell, "runs:write"),
        lacking,
        curl: shell.curl(&format!("/v1/activities/{}", encoded(&view.unique_identifier))),
        view: view.clone(),
        outcome,
        shell,
    }
}

fn entries_of(schema: &Value, sent: Option<&Sent>) -> Vec<Entry> {
    let is_needed = |name: &str| {
        schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name))
    };
    let made = schema["properties"].as_object().into_iter().flatten().map(|(name, inner)| {
        let entry = Entry::property("input", name, inner, None);
        let entry = if is_needed(name) { entry.needed() } else { entry };
        match sent {
            Some(sent) => entry.typed(sent),
            None => entry,
        }
    });
    made.collect()
}

fn throttle_of(throttle: &Value) -> String {
    match (throttle["limit"].as_u64(), throttle["window"].as_str(), throttle["key"].as_str()) {
        (Some(limit), Some(window), Some(key)) => format!("{limit} in {window} for each {key}"),
        _ => "none".to_owned(),
    }
}

/// Writes a step that calls it, with a sample for each field that must be there.
fn example_of(view: &ActivityView) -> String {
    let schema = &view.input_schema;
    let needed: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut lines = vec![
        "- id: step".to_owned(),
        format!("  activity: {}", view.unique_identifier),
        "  input:".to_owned(),
    ];
    for name in &needed {
        let value = sample(&schema["properties"][*name], 0);
        lines.push(format!("    {name}: {value}"));
    }
    if needed.is_empty() {
        lines[2].push_str(" {}");
    }
    lines.join("\n")
}

fn fared(shell: &Shell, record: &ActivityRecord) -> Fared {
    let time = |ms: Option<i64>| ms.map(span).unwrap_or_else(|| "–".to_owned());
    Fared {
        percent: record.success_percent(),
        attempts: record.succeeded + record.failed + record.unknown,
        failed: record.failed,
        runs: record.runs,
        more: record.more,
        p50: time(record.p50_ms),
        p95: time(record.p95_ms),
        failure: record.last_failure.as_ref().map(|failure| {
            let href = shell.url(&format!("/runs/{}#step-{}", failure.run, encoded(&failure.step)));
            (href, failure.error.message.clone(), shell.ago(&failure.at))
        }),
    }
}

fn found(app: &App, who: &Principal, identifier: &str) -> Result<Found, Error> {
    let mut view = app.activity(who, identifier)?;
    app.show_throttles(who, std::slice::from_mut(&mut view))?;
    let record = match who.scopes.allow("runs:read") {
        true => Some(app.activity_record(who, &view.unique_identifier)?),
        false => None,
    };
    let users = app.uses(who)?.of_activity(&view.unique_identifier).to_vec();
    Ok(Found { view, users, record })
}

/// Shows an activity.
pub async fn show(app: web::Data<App>, visit: Visit, id: web::Path<String>) -> Answer {
    html(&one(visit.shell, &found(&app, &visit.who, &id)?, None, Outcome::default()))
}

/// Tries an activity with what was typed, and shows what came of it.
pub async fn trial(
    app: web::Data<App>,
    visit: Visit,
    id: web::Path<String>,
    Raw(raw): Raw,
) -> Answer {
    let sent = Sent::read(&raw);
    let earnest = match (sent.text("mode"), sent.is_ticked("sure")) {
        ("real", true) => Earnest::Real,
        _ => Earnest::Mock,
    };
    let found = found(&app, &visit.who, &id)?;
    if sent.text("mode") == "real" && earnest == Earnest::Mock {
        let detail = "tick that you mean it: the call is made for real";
        let page = one(visit.shell, &found, Some(&sent), Outcome::problem("sure", detail));
        return Ok(with_status(actix_web::http::StatusCode::UNPROCESSABLE_ENTITY, &page));
    }
    let mut problems = Vec::new();
    let mut input = read_properties("input", &found.view.input_schema, &sent, &mut problems);
    input.extend(read_object("more", &sent, &mut problems));
    let tried = match problems.is_empty() {
        true => app.try_activity(&visit.who, &id, json!(input), earnest).await,
        false => Err(Error::Invalid(problems)),
    };
    match tried {
        Ok(tried) => {
            let mut page = one(visit.shell, &found, Some(&sent), Outcome::default());
            page.tried = Some(shown(&tried));
            html(&page)
        }
        Err(error) => {
            let (status, outcome) = Outcome::refused(error)?;
            Ok(with_status(status, &one(visit.shell, &found, Some(&sent), outcome)))
        }
    }
}

fn shown(tried: &ActivityTrial) -> Tried {
    let text = |name: &str| tried.error[name].as_str().unwrap_or_default();
    Tried {
        mark: match (tried.ok, tried.mode) {
            (true, "mock") => mark("wait", "yes", "The input fits"),
            (true, _) => mark("ok", "succeeded", "It was done"),
            (false, _) => mark("bad", "failed", "It failed"),
        },
        took: span(i64::try_from(tried.duration_ms).unwrap_or(i64::MAX)),
        detail: match tried.ok {
            true => String::new(),
            false => format!("{}: {}", text("code"), text("message")),
        },
        output: tried.ok.then(|| JsonTree::new("", &tried.output)),
        is_mock: tried.mode == "mock",
    }
}

/// Writes what an import leaves out or does not support, each with its place.
pub fn notes_of(problems: &[crate::domain::problem::Problem]) -> Vec<String> {
    problems.iter().map(sentence).collect()
}
