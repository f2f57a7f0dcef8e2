//! What Thena's create body spells its own way: names, events, activities, sleeps, kept fields.

use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::fields::{Field, Fields};
use super::parse::{Origin, Reading};
use super::step::{Draft, gather};
use super::{ThenaFields, ThenaStep};
use crate::domain::activity::Catalogue;

/// The activity that pauses a run in Thena's body.
pub(super) const SLEEP: &str = "workflows:sleep-platform";

/// The activity that waits for an event in Thena's body.
pub(super) const WAIT: &str = "workflows:wait-for-event-platform";

/// The activity that starts another workflow in Thena's body.
pub(super) const RUN: &str = "workflows:run-workflow-platform";

/// The longest name of a workflow, in characters.
const NAME_MAX: usize = 64;

/// Whose body a document is; keys of both are read in either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    Native,
    Thena,
}

/// Recognises Thena's body by the keys that only it has.
pub(super) fn spelling_of(raw: &Value) -> Spelling {
    let has = |key| raw.get(key).is_some();
    if has("workflowDefinition") || (has("triggerEvent") && !has("steps")) {
        return Spelling::Thena;
    }
    Spelling::Native
}

/// Reads the name; Thena's is for people, so that it becomes the title and its slug the name.
pub(super) fn name_and_title(
    body: &mut Fields<'_>,
    spelling: Spelling,
) -> Option<(String, String)> {
    let title = body.take(&["title"]).map(|field| field.text().map(str::to_owned));
    let name = body.need(&["name"], "lower case letters, digits and hyphens")?;
    let text = name.text()?;
    if is_name(text) {
        return Some((text.to_owned(), title.unwrap_or(Some(String::new()))?));
    }
    if spelling == Spelling::Thena && !text.trim().is_empty() {
        return Some((slug(text), title.unwrap_or(Some(text.to_owned()))?));
    }
    let detail = format!("`{text}` is no name: lower case letters, digits and hyphens, 1 to 64");
    let problem = name.problem("invalid_name", detail);
    name.report(match text.trim() {
        "" => problem,
        _ => problem.with_hint(format!("use `{}`, and `title` for the rest", slug(text))),
    })
}

fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=NAME_MAX).contains(&text.len())
        && text.chars().all(|c| plain(c) || c == '-')
        && text.starts_with(plain)
        && text.ends_with(plain)
}

/// Turns a name for people into one for paths; one without Latin letters gets a stable number.
pub(super) fn slug(text: &str) -> String {
    let mut words = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            words.push(c);
        } else if !words.is_empty() && !words.ends_with('-') {
            words.push('-');
        }
    }
    words.truncate(NAME_MAX);
    match words.trim_end_matches('-') {
        "" => format!("workflow-{:08x}", xxh3_64(text.as_bytes()) as u32),
        slug => slug.to_owned(),
    }
}

/// Reads the fields that are only kept; `None` when a native document has none of them.
pub(super) fn fields_of(body: &mut Fields<'_>, spelling: Spelling) -> Option<ThenaFields> {
    let kind = body.take(&["type"]);
    let sub_type = body.take(&["subType"]);
    let team_id = body.take(&["teamId"]);
    let executing_agent = body.take(&["executingAgent"]);
    let metadata = body.take(&["metadata"]);
    body.take(&["isActive"]).and_then(|field| field.truth());
    let given = [&kind, &sub_type, &team_id, &executing_agent, &metadata];
    if spelling == Spelling::Native && given.iter().all(|field| field.is_none()) {
        return None;
    }
    let word = |field: Option<Field<'_>>, words: &[(&'static str, &'static str)]| {
        field.map_or(Some(words[0].1), |field| field.choice(words)).unwrap_or(words[0].1).to_owned()
    };
    let text = |field: Option<Field<'_>>| field.and_then(|field| field.text().map(str::to_owned));
    Some(ThenaFields {
        kind: word(kind, &[("MANUAL", "MANUAL"), ("WORKFLOW", "WORKFLOW")]),
        sub_type: word(sub_type, &[("WORKFLOW", "WORKFLOW"), ("AI_AGENT", "AI_AGENT")]),
        team_id: text(team_id),
        executing_agent: text(executing_agent),
        metadata: metadata
            .and_then(|field| field.object().and_then(|_| field.value.as_object().cloned()))
            .unwrap_or_default(),
        steps: Default::default(),
    })
}

/// Adds what the steps keep; a step that keeps something makes the workflow keep it.
pub(super) fn with_steps(
    fields: Option<ThenaFields>,
    drafts: &[Draft],
    handler: &[Draft],
) -> Option<ThenaFields> {
    let mut all = Vec::new();
    gather(drafts, &mut all);
    gather(handler, &mut all);
    let kept: std::collections::BTreeMap<String, ThenaStep> = all
        .into_iter()
        .filter(|draft| draft.kept != ThenaStep::default())
        .map(|draft| (draft.id.clone(), draft.kept.clone()))
        .collect();
    if fields.is_none() && kept.is_empty() {
        return None;
    }
    let fields = fields.unwrap_or_else(|| ThenaFields {
        kind: "MANUAL".to_owned(),
        sub_type: "WORKFLOW".to_owned(),
        ..ThenaFields::default()
    });
    Some(ThenaFields { steps: kept, ..fields })
}

/// Reads the event that starts a workflow: its type, its uid, or an object of both.
pub(super) fn event_names(field: &Field<'_>) -> Option<Vec<String>> {
    if !field.value.is_object() {
        let text = field.text()?;
        if text.is_empty() {
            return field.report(field.problem("missing", "the event type is empty"));
        }
        return Some(vec![text.to_owned()]);
    }
    let mut fields = field.object()?;
    // The name may be one for people beside the type, so that it is asked last.
    let names: [&[&'static str]; 3] = [&["eventType", "type"], &["uid", "id"], &["eventName"]];
    let names = names.map(|names| fields.take(names));
    // The rest describes the event and comes back from an export.
    for key in ["name", "description", "source", "schema", "teamId", "metadata", "isActive"] {
        fields.take(&[key]);
    }
    fields.close();
    let given: Vec<String> =
        names.iter().flatten().filter_map(|name| name.text().map(str::to_owned)).collect();
    if given.is_empty() {
        let problem = field.problem("missing", "the event needs `eventName` or `uid`");
        return field.report(problem);
    }
    Some(given)
}

/// Which activity a step names, resolved.
pub(super) struct Named {
    pub(super) identifier: String,
    /// `None` follows the newest.
    pub(super) pinned: Option<u32>,
    /// A version that was given without being pinned.
    pub(super) noted: Option<u32>,
}

/// Reads `"x"`, `"x@3"` or `{uniqueIdentifier, version, autoUpgradeToLatestVersion}`.
pub(super) fn activity(reading: &Reading<'_>, field: &Field<'_>) -> Option<Named> {
    let catalogue = match reading.origin {
        Origin::Written(known) => Some(known.catalogue),
        Origin::Stored => None,
    };
    if !field.value.is_object() {
        let text = field.text()?;
        let (name, version) = match text.split_once('@') {
            None => (text, None),
            Some((name, version)) => match version.parse::<u32>() {
                Ok(version) if version > 0 => (name, Some(version)),
                _ => {
                    let detail = format!("`{version}` is no version: a number from 1 follows `@`");
                    return field.report(field.problem("unknown_version", detail));
                }
            },
        };
        return Some(Named { identifier: bare(name, catalogue), pinned: version, noted: None });
    }
    let mut fields = field.object()?;
    let name = fields.need(&["uniqueIdentifier"], "name the activity");
    let version = fields.take(&["version"]);
    let follows = fields.take(&["autoUpgradeToLatestVersion"]);
    fields.close();
    let version = version.map_or(Some(None), |field| field.whole(1..=u32::MAX).map(Some));
    let follows = follows.map_or(Some(true), |field| field.truth());
    let identifier = bare(name?.text()?, catalogue);
    let (version, follows) = (version?, follows?);
    if follows {
        return Some(Named { identifier, pinned: None, noted: version });
    }
    let newest = reading.spec(&identifier).map(|spec| spec.version);
    Some(Named { identifier, pinned: version.or(newest), noted: None })
}

fn bare(name: &str, catalogue: Option<&Catalogue>) -> String {
    catalogue.map_or(name, |known| known.bare(name)).to_owned()
}

/// What a sleep's input may call its length, and the unit that a bare number there has.
const SLEEP_KEYS: [(&str, &str); 14] = [
    ("duration", "s"),
    ("seconds", "s"),
    ("durationSeconds", "s"),
    ("durationInSeconds", "s"),
    ("sleepDuration", "s"),
    ("delay", "s"),
    ("durationMs", "ms"),
    ("milliseconds", "ms"),
    ("minutes", "m"),
    ("durationMinutes", "m"),
    ("hours", "h"),
    ("durationHours", "h"),
    ("days", "d"),
    ("durationDays", "d"),
];

/// Reads how long a sleep lasts from the input of the sleeping activity.
pub(super) fn sleep_length(input: &Field<'_>) -> Option<(Value, String)> {
    let mut fields = input.object()?;
    let unit = fields.take(&["unit"]);
    let names: Vec<&'static str> = SLEEP_KEYS.iter().map(|(name, _)| *name).collect();
    let given: Vec<Field<'_>> = names.iter().filter_map(|name| fields.take(&[*name])).collect();
    fields.close();
    if let [first, second, ..] = &given[..] {
        let detail =
            format!("`{}` and `{}` say the same thing differently", first.name, second.name);
        return second.report(second.problem("ambiguous", detail).with_hint("keep one of them"));
    }
    let Some(length) = given.first() else {
        let problem = input.problem("missing", "`duration` is missing");
        return input.report(problem.with_hint("such as \"4h\", or a number of seconds"));
    };
    let of_key = SLEEP_KEYS.iter().find(|(name, _)| *name == length.name).map(|(_, unit)| *unit);
    let unit = match unit {
        None => of_key.unwrap_or("s"),
        Some(unit) => unit.choice(&[
            ("milliseconds", "ms"),
            ("millisecond", "ms"),
            ("ms", "ms"),
            ("seconds", "s"),
            ("second", "s"),
            ("s", "s"),
            ("minutes", "m"),
            ("minute", "m"),
            ("m", "m"),
            ("hours", "h"),
            ("hour", "h"),
            ("h", "h"),
            ("days", "d"),
            ("day", "d"),
            ("d", "d"),
        ])?,
    };
    let value = match length.value {
        value if unit == "s" => value.clone(),
        Value::Number(number) => json!(format!("{number}{unit}")),
        Value::String(text) if text.contains("{{") || text.parse::<f64>().is_ok() => {
            json!(format!("{text}{unit}"))
        }
        other => other.clone(),
    };
    Some((value, length.at.clone()))
}
