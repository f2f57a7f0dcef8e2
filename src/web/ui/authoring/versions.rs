//! The versions of a workflow: how each fared, how two differ, and an old one brought back.

use actix_web::http::header::{self, ContentDisposition, DispositionParam, DispositionType};
use actix_web::{HttpResponse, web};
use askama::Template;
use serde_json::Value;

use super::super::parts::moment::Moment;
use super::super::run::encoded;
use super::super::shell::Shell;
use super::super::visit::{Visit, html, see_other};
use super::head::Head;
use super::{Choice, field, pairs};
use crate::app::App;
use crate::app::definitions::{Publish, Saved};
use crate::app::versions::{VersionDiff, VersionRecord};
use crate::app::views::WorkflowView;
use crate::domain::workflow::diff::{Change, ChangeKind};
use crate::domain::workflow::text_diff::{Line, side_by_side};
use crate::web::beside::beside;
use crate::web::body::Raw;
use crate::web::error::{Answer, ApiError};
use crate::web::query::Query;

/// How many lines are shown around a difference.
const AROUND: usize = 3;
const VALUE_CHARS_MAX: usize = 400;

#[derive(Template)]
#[template(path = "authoring/versions.html")]
struct VersionsPage {
    shell: Shell,
    head: Head,
    restore_href: String,
    diff_href: String,
    rows: Vec<VersionRow>,
    may_write: bool,
}

struct VersionRow {
    version: u32,
    href: String,
    diff_href: Option<String>,
    live: bool,
    draft: bool,
    saved: Moment,
    by: String,
    title: String,
    warnings: usize,
    runs: u64,
    rate: String,
    failed: u64,
    last: Option<Moment>,
    newest: bool,
}

/// Lists the versions.
pub async fn list(app: web::Data<App>, visit: Visit, name: web::Path<String>) -> Answer {
    let versions = app.workflow_versions(&visit.who, &name)?;
    let present = app.workflow(&visit.who, &name, None)?;
    let (counting, who, own) = (app.clone(), visit.who.clone(), name.clone());
    let records = beside(move || counting.version_records(&who, &own)).await?;
    let shell = visit.shell.clone();
    let place = format!("/workflows/{}", encoded(&name));
    let about = "Every version stays as it was saved. Runs that began with one keep it.";
    let curl = shell.curl(&format!("/v1{place}/versions"));
    html(&VersionsPage {
        head: Head::new(&shell, &name, ("/versions", "Versions", about), curl),
        restore_href: shell.url(&format!("{place}/restore")),
        diff_href: shell.url(&format!("{place}/diff")),
        rows: versions
            .iter()
            .enumerate()
            .map(|(at, view)| {
                let record = records.iter().find(|it| it.version == view.version);
                row(&shell, &present, view, at == 0, record)
            })
            .collect(),
        may_write: visit.who.scopes.allow("workflows:write"),
        shell,
    })
}

fn row(
    shell: &Shell,
    present: &WorkflowView,
    view: &WorkflowView,
    newest: bool,
    record: Option<&VersionRecord>,
) -> VersionRow {
    let place = format!("/workflows/{}", encoded(&view.name));
    let record = record.copied().unwrap_or_default();
    let before = view.version.checked_sub(1).filter(|before| *before > 0);
    VersionRow {
        version: view.version,
        href: shell.url(&format!("{place}?version={}", view.version)),
        diff_href: before
            .map(|before| shell.url(&format!("{place}/diff?from={before}&to={}", view.version))),
        live: view.active,
        draft: view.version > present.version,
        saved: Moment::relative(view.updated_at, shell.now),
        by: view.created_by.clone(),
        title: view.title.clone(),
        warnings: view.warnings.len(),
        runs: record.runs,
        rate: rate(record),
        failed: record.failed,
        last: record.last_run_at.map(|at| Moment::relative(at, shell.now)),
        newest,
    }
}

fn rate(record: VersionRecord) -> String {
    match record.succeeded + record.failed {
        0 => "–".to_owned(),
        ended => format!("{} %", record.succeeded * 100 / ended),
    }
}

#[derive(Template)]
#[template(path = "authoring/diff.html")]
struct DiffPage {
    shell: Shell,
    head: Head,
    here: String,
    restore_href: String,
    from: u32,
    to: u32,
    befores: Vec<Choice>,
    afters: Vec<Choice>,
    sides: [Side; 2],
    changes: Vec<ChangeRow>,
    lines: Vec<SideLine>,
    may_write: bool,
    enable_href: Option<String>,
}

struct Side {
    name: String,
    saved: Option<Moment>,
    by: String,
    runs: u64,
    rate: String,
}

struct ChangeRow {
    place: String,
    tone: &'static str,
    word: &'static str,
    before: String,
    after: String,
}

struct SideLine {
    before: String,
    after: String,
    before_class: &'static str,
    after_class: &'static str,
    skipped: usize,
}

/// Shows how two versions differ.
pub async fn diff(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    query: Query,
) -> Answer {
    let (from, to) = (query.number("from")?, query.number("to")?);
    let found = app.diff_versions(&visit.who, &name, from, to)?;
    let versions = app.workflow_versions(&visit.who, &name)?;
    let (counting, who, own) = (app.clone(), visit.who.clone(), name.clone());
    let records = beside(move || counting.version_records(&who, &own)).await?;
    let shell = visit.shell.clone();
    let place = format!("/workflows/{}", encoded(&name));
    let definition = |version: u32| {
        let view = versions.iter().find(|view| view.version == version);
        view.map_or(&Value::Null, |view| &view.definition)
    };
    let options = |chosen: u32| -> Vec<Choice> {
        let option = |view: &WorkflowView| Choice {
            value: view.version.to_string(),
            word: format!("v{}{}", view.version, if view.active { " · live" } else { "" }),
            chosen: view.version == chosen,
        };
        versions.iter().map(option).collect()
    };
    let (before, after) = (definition(found.from), definition(found.to));
    let may_write = visit.who.scopes.allow("workflows:write");
    let is_live = versions.iter().any(|view| view.version == found.to && view.active);
    let is_newest = versions.first().is_some_and(|view| view.version == found.to);
    let api = format!("/v1{place}/diff?from={}&to={}", found.from, found.to);
    let title = format!("Version {} against {}", found.to, found.from);
    html(&DiffPage {
        head: Head::new(&shell, &name, ("/versions", &title, ""), shell.curl(&api)),
        here: shell.url(&format!("{place}/diff")),
        restore_href: shell.url(&format!("{place}/restore")),
        from: found.from,
        to: found.to,
        befores: options(found.from),
        afters: options(found.to),
        sides: [found.from, found.to].map(|version| side(&shell, version, &versions, &records)),
        changes: found.changes.iter().map(|change| change_row(change, before, after)).collect(),
        lines: lines(&found),
        may_write,
        enable_href: (may_write && is_newest && !is_live)
            .then(|| shell.url(&format!("{place}/restore"))),
        shell,
    })
}

fn side(shell: &Shell, version: u32, versions: &[WorkflowView], records: &[VersionRecord]) -> Side {
    let view = versions.iter().find(|view| view.version == version);
    let record = records.iter().find(|it| it.version == version).copied().unwrap_or_default();
    Side {
        name: format!("v{version}"),
        saved: view.map(|view| Moment::relative(view.updated_at, shell.now)),
        by: view.map(|view| view.created_by.clone()).unwrap_or_default(),
        runs: record.runs,
        rate: rate(record),
    }
}

fn change_row(change: &Change, before: &Value, after: &Value) -> ChangeRow {
    let (tone, word, document) = match change.kind {
        ChangeKind::Added => ("ok", "added", after),
        ChangeKind::Removed => ("bad", "removed", before),
        ChangeKind::Changed => ("retry", "changed", after),
    };
    let shown = |value: &Option<Value>| value.as_ref().map(abridged).unwrap_or_default();
    ChangeRow {
        place: place_words(&change.pointer, document),
        tone,
        word,
        before: shown(&change.before),
        after: shown(&change.after),
    }
}

/// Names the steps in a pointer by their ids: `/steps/1/input/id` becomes `notify: input.id`.
fn place_words(pointer: &str, document: &Value) -> String {
    let mut rest: Vec<String> = Vec::new();
    let mut steps: Vec<String> = Vec::new();
    let mut at = Some(document);
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        at = at.and_then(|value| match value {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            other => other.get(&part),
        });
        match at.and_then(|value| value["id"].as_str()) {
            Some(id) => {
                steps.push(id.to_owned());
                rest.clear();
            }
            None => rest.push(part),
        }
    }
    match (steps.is_empty(), rest.is_empty()) {
        (true, true) => "everything".to_owned(),
        (true, false) => rest.join("."),
        (false, true) => format!("step {}", steps.join(" / ")),
        (false, false) => format!("step {}: {}", steps.join(" / "), rest.join(".")),
    }
}

fn abridged(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn lines(found: &VersionDiff) -> Vec<SideLine> {
    let line = |line: Line| {
        let (before, after, before_class, after_class, skipped) = match line {
            Line::Same(text) => (text.clone(), text, "", "", 0),
            Line::Gone(text) => (text, String::new(), "gone", "", 0),
            Line::New(text) => (String::new(), text, "", "new", 0),
            Line::Changed(before, after) => (before, after, "gone", "new", 0),
            Line::Skipped(count) => (String::new(), String::new(), "", "", count),
        };
        SideLine { before, after, before_class, after_class, skipped }
    };
    side_by_side(&found.before, &found.after, AROUND).into_iter().map(line).collect()
}

/// Saves an old version again: as a draft, or so that events start it.
pub async fn restore(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    Raw(body): Raw,
) -> Answer {
    let fields = pairs(&body);
    let version = field(&fields, "version").and_then(|text| text.parse().ok());
    let wrong = || ApiError::bad_parameter("version", "must be a version");
    let version: u32 = version.ok_or_else(wrong)?;
    let publish = match field(&fields, "publish") {
        Some("active") => Publish::Active,
        _ => Publish::Draft,
    };
    let saved = app.restore_version(&visit.who, &name, version, publish).await?;
    let (Saved::Created(view) | Saved::Changed(view) | Saved::Same(view)) = saved;
    let place = format!("/workflows/{}", encoded(&view.name));
    Ok(see_other(visit.shell.url(&match publish {
        Publish::Draft if view.version != version => {
            format!("{place}/diff?from={version}&to={}", view.version)
        }
        _ => format!("{place}/versions"),
    })))
}

/// Hands out a workflow as a file.
pub async fn export(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    query: Query,
) -> Result<HttpResponse, ApiError> {
    let version = query.number("version")?;
    let pretty = |value: &Value| format!("{value:#}\n");
    let (text, kind, ending) = match query.text("format") {
        None | Some("yaml") => {
            (app.export_yaml(&visit.who, &name, version)?, "application/yaml", "yaml")
        }
        Some("json") => {
            let view = app.workflow(&visit.who, &name, version)?;
            (pretty(&view.definition), "application/json", "json")
        }
        Some("thena") => {
            let body = app.export_thena(&visit.who, &name, version)?;
            (pretty(&body), "application/json", "thena.json")
        }
        Some(_) => return Err(ApiError::bad_parameter("format", "must be yaml, json or thena")),
    };
    let file = DispositionParam::Filename(format!("{name}.{ending}"));
    let disposition =
        ContentDisposition { disposition: DispositionType::Attachment, parameters: vec![file] };
    Ok(HttpResponse::Ok()
        .content_type(kind)
        .insert_header((header::CONTENT_DISPOSITION, disposition))
        .body(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_named_by_steps() {
        let document = json!({"trigger": {"event": "a:b"}, "steps": [
            {"id": "one", "input": {"x": 1}},
            {"id": "loop", "forEach": {"steps": [{"id": "inner", "sleep": "1s"}]}}]});
        for (pointer, words) in [
            ("/trigger/event", "trigger.event"),
            ("/steps/0", "step one"),
            ("/steps/0/input/x", "step one: input.x"),
            ("/steps/1/forEach/steps/0/sleep", "step loop / inner: sleep"),
            ("/steps", "steps"),
            ("", "everything"),
        ] {
            assert_eq!(place_words(pointer, &document), words);
        }
    }
}
