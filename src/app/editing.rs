//! What the author of a step can refer to: the trigger's event and what earlier steps answered,
//! with types and a sample of each.

use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::error::Error;
use super::events::EventFilter;
use super::page::PageRequest;
use super::principal::Principal;
use super::runs::RunFilter;
use crate::domain::activity::Catalogue;
use crate::domain::event_type::Pattern;
use crate::domain::scope::Scope;
use crate::domain::trial::sample;
use crate::domain::workflow::outline::{Outlined, outline};

/// How many references are told at most.
const REFERENCES_MAX: usize = 400;
/// How deep objects are followed.
const DEPTH_MAX: usize = 5;
/// In how many of the newest runs an answer of a step is looked for.
const RUNS_LOOKED_AT: usize = 5;

/// Something that an expression can name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReferenceView {
    /// How it is written: `trigger.payload.ticket.id`.
    pub path: String,
    /// Its JSON type; empty where that is not known.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its value in the sample.
    pub sample: Option<Value>,
    /// What it means, as the schema says.
    pub about: String,
}

/// What stands for the world while a definition is written.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The id of the recorded event; none where it was made of the schema.
    pub event: Option<String>,
    /// The ids of the runs of which answers were taken.
    pub runs: Vec<String>,
    /// What expressions see.
    pub scope: Scope,
    payload_schema: Value,
    outputs: Vec<(String, Value)>,
}

impl App {
    /// Finds a sample for a definition: a recorded event of its trigger's type, and what its steps
    /// answered in the newest runs, else what their schemas promise.
    ///
    /// # Errors
    /// `NotFound` for an unknown event; fails when the store cannot be read.
    pub fn sample_of(
        &self,
        who: &Principal,
        name: &str,
        document: &Value,
        event: Option<&str>,
    ) -> Result<Sample, Error> {
        let kind = trigger_event(document);
        let payload_schema = kind
            .and_then(|kind| self.event_type(who, kind).ok())
            .map_or_else(|| json!({}), |known| known.schema);
        let wanted = match (event, kind) {
            (Some(id), _) => Some(id.to_owned()),
            (None, Some(kind)) if who.scopes.allow("events:read") => self.newest_of(who, kind)?,
            (None, _) => None,
        };
        let trigger = match &wanted {
            Some(id) => json!(self.event(who, id)?),
            None => json!({
                "id": "sample", "type": kind, "source": "sample", "subject": null,
                "time": self.now(), "actor": {}, "metadata": {}, "payload": sample(&payload_schema, 0),
            }),
        };
        let mut scope = Scope::of_event(trigger);
        let tenant = self.tenant(who.tenant)?;
        scope.set("tenant", json!({"slug": tenant.slug, "name": tenant.name}));
        scope.set("workflow", json!({"name": name, "version": 1}));
        scope.set("run", json!({"id": "sample", "attempt": 1, "now": self.now()}));
        scope.set("vars", document.get("vars").cloned().unwrap_or_else(|| json!({})));
        let mut made =
            Sample { event: wanted, runs: Vec::new(), scope, payload_schema, outputs: Vec::new() };
        self.add_answers(who, name, document, &mut made)?;
        Ok(made)
    }

    fn newest_of(&self, who: &Principal, kind: &str) -> Result<Option<String>, Error> {
        let filter = EventFilter { kind: Some(Pattern::restore(kind)), ..EventFilter::default() };
        let page = self.events(who, &filter, &PageRequest { limit: 1, after: None })?;
        Ok(page.data.into_iter().next().map(|event| event.id))
    }

    fn add_answers(
        &self,
        who: &Principal,
        name: &str,
        document: &Value,
        made: &mut Sample,
    ) -> Result<(), Error> {
        let catalogue = self.catalogue(who.tenant);
        let mut recorded: Vec<(String, String, Value)> = Vec::new();
        if who.scopes.allow("runs:read") {
            let filter = RunFilter { workflow: Some(name.to_owned()), ..RunFilter::default() };
            let page = PageRequest { limit: RUNS_LOOKED_AT, after: None };
            for run in self.runs(who, &filter, &page)?.data {
                let view = self.run(who, run.id)?;
                let answered = view.steps.into_iter().filter(|step| step.status == "succeeded");
                recorded.extend(answered.filter_map(|step| {
                    let output = step.output?;
                    Some((step.id, run.id.to_string(), output))
                }));
            }
        }
        for step in outline(document) {
            let schema = output_schema(&step, &catalogue);
            let answer = recorded.iter().find(|(id, ..)| *id == step.id);
            let output = match answer {
                Some((_, run, output)) => {
                    if !made.runs.contains(run) {
                        made.runs.push(run.clone());
                    }
                    output.clone()
                }
                None => sample(&schema, 0),
            };
            made.scope.set_step(&step.id, "output", output);
            made.scope.set_step(&step.id, "status", json!("succeeded"));
            made.scope.set_step(&step.id, "input", step.value["input"].clone());
            made.scope.set_step(&step.id, "error", Value::Null);
            made.outputs.push((step.id, schema));
        }
        Ok(())
    }

    /// Lists what the step at `pointer` can refer to; without a pointer what stands behind all.
    ///
    /// # Errors
    /// As [`App::sample_of`].
    pub fn references(
        &self,
        who: &Principal,
        name: &str,
        document: &Value,
        pointer: Option<&str>,
        event: Option<&str>,
    ) -> Result<(Sample, Vec<ReferenceView>), Error> {
        let sample = self.sample_of(who, name, document, event)?;
        let found = sample.references(document, pointer);
        Ok((sample, found))
    }
}

impl Sample {
    /// Returns a sample of one event, before any step.
    #[must_use]
    pub fn of_event(event: Value) -> Sample {
        let scope = Scope::of_event(event);
        let (payload_schema, outputs) = (json!({}), Vec::new());
        Sample { event: None, runs: Vec::new(), scope, payload_schema, outputs }
    }

    /// Lists what the step at `pointer` can refer to.
    #[must_use]
    pub fn references(&self, document: &Value, pointer: Option<&str>) -> Vec<ReferenceView> {
        let mut found = Vec::new();
        let root = self.scope.root();
        let payload = &root["trigger"]["payload"];
        walk("trigger.payload", &self.payload_schema, Some(payload), 0, &mut found);
        for name in ["id", "type", "subject", "time"] {
            let (path, sample) = (format!("trigger.{name}"), root["trigger"][name].clone());
            let about = String::new();
            found.push(ReferenceView {
                path,
                kind: "string".to_owned(),
                sample: Some(sample),
                about,
            });
        }
        for step in outline(document).iter().filter(|step| step.is_before(pointer)) {
            let Some((_, schema)) = self.outputs.iter().find(|(id, _)| *id == step.id) else {
                continue;
            };
            let output = &root["steps"][&step.id]["output"];
            walk(&format!("steps.{}.output", step.id), schema, Some(output), 0, &mut found);
        }
        found.truncate(REFERENCES_MAX);
        found
    }
}

/// Returns the event that the first trigger waits for.
fn trigger_event(document: &Value) -> Option<&str> {
    let first = document["triggers"].get(0).or_else(|| document.get("trigger"));
    let event = first.and_then(|trigger| trigger["event"].as_str());
    event.or_else(|| document["triggerEvent"].as_str())
}

fn output_schema(step: &Outlined, catalogue: &Catalogue) -> Value {
    let activity = step.value["activity"].as_str();
    let plain = activity.map(|name| name.split('@').next().unwrap_or(name));
    let spec = plain.and_then(|name| catalogue.find(catalogue.bare(name)));
    match (spec, step.kind) {
        (Some(spec), _) => spec.output_schema.clone(),
        (None, "waitFor") => json!({"type": "object", "properties": {
            "id": {"type": "string"}, "type": {"type": "string"}, "payload": {"type": "object"}}}),
        (None, _) => json!({}), // Nothing is known of what it leaves behind.
    }
}

/// Lists a place and what lies inside it, by its schema and by what was really seen there.
fn walk(
    path: &str,
    schema: &Value,
    seen: Option<&Value>,
    depth: usize,
    found: &mut Vec<ReferenceView>,
) {
    let kind = kind_of(schema, seen);
    found.push(ReferenceView {
        path: path.to_owned(),
        kind,
        sample: seen.cloned(),
        about: schema["description"].as_str().unwrap_or_default().to_owned(),
    });
    if depth >= DEPTH_MAX {
        return;
    }
    let declared = schema["properties"].as_object();
    for (name, inner) in declared.into_iter().flatten().filter(|(name, _)| is_word(name)) {
        let seen = seen.and_then(|seen| seen.get(name));
        walk(&format!("{path}.{name}"), inner, seen, depth + 1, found);
    }
    let really = seen.and_then(Value::as_object).into_iter().flatten();
    let undeclared = |name: &str| declared.is_none_or(|declared| !declared.contains_key(name));
    for (name, value) in really.filter(|(name, _)| undeclared(name) && is_word(name)) {
        walk(&format!("{path}.{name}"), &Value::Null, Some(value), depth + 1, found);
    }
}

fn is_word(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn kind_of(schema: &Value, seen: Option<&Value>) -> String {
    let declared = match &schema["type"] {
        Value::String(kind) => Some(kind.as_str()),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        _ => None, // It does not say.
    };
    let really = || match seen? {
        Value::Null => None,
        Value::Bool(_) => Some("boolean"),
        Value::Number(_) => Some("number"),
        Value::String(_) => Some("string"),
        Value::Array(_) => Some("array"),
        Value::Object(_) => Some("object"),
    };
    declared.or_else(really).unwrap_or_default().to_owned()
}
