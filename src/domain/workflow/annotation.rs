//! Related records that are joined into an event before a workflow looks at it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::fields::{Field, Fields};
use super::parse::{Origin, Reading};
use crate::domain::desk::relation::{Reach, lookup_names, relations};
use crate::domain::desk::{self, RecordKind};
use crate::domain::expression::Template;
use crate::domain::path::Path;
use crate::domain::problem::{Problem, nearest, pointer_to};

const ANNOTATIONS_MAX: usize = 20;
const RELATIONS_MAX: usize = 20;
/// How many records one after the other a relation may lead through.
const HOPS_MAX: usize = 4;

/// The names of Thena's entities.
const ENTITIES: [(&str, RecordKind); 12] = [
    ("Ticket", RecordKind::Ticket),
    ("Account", RecordKind::Account),
    ("CustomerContact", RecordKind::Contact),
    ("Contact", RecordKind::Contact),
    ("Team", RecordKind::Team),
    ("User", RecordKind::User),
    ("Agent", RecordKind::User),
    ("Comment", RecordKind::Comment),
    ("Tag", RecordKind::Tag),
    ("AccountNote", RecordKind::AccountNote),
    ("AccountTask", RecordKind::AccountTask),
    ("AccountActivity", RecordKind::AccountActivity),
];

/// A record that is looked up for every event and written into it.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// The entity, as the definition names it.
    pub entity: &'static str,
    /// What is looked up.
    pub kind: RecordKind,
    /// By what it is found: names of its fields, rendered against the event.
    pub required: Vec<(String, Template)>,
    /// Records that are joined into it in turn: dotted names.
    pub relations: Vec<Vec<String>>,
    /// Where it is written, as the definition says it.
    pub path: String,
    /// Where it is written, below the event.
    pub target: Vec<String>,
}

/// What was written into an event for one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Joined {
    /// The entity.
    pub entity: String,
    /// Where it was written, below the event.
    pub target: Vec<String>,
    /// The record with what was joined into it; null when there is none.
    pub value: Value,
    /// Why it is null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Joined {
    /// Writes the record into an event; whatever stood there gives way.
    pub fn write(&self, event: &mut Value) {
        let mut place = event;
        for name in &self.target {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[name.as_str()];
        }
        *place = self.value.clone();
    }
}

impl Annotation {
    pub(super) fn native(&self) -> Value {
        let required: Map<String, Value> =
            self.required.iter().map(|(name, key)| (name.clone(), key.source().clone())).collect();
        let relations: Vec<String> = self.relations.iter().map(|names| names.join(".")).collect();
        json!({
            "entityType": self.entity,
            "requiredFields": required,
            "relations": relations,
            "pathToAnnotate": self.path,
        })
    }

    /// Returns the name under which a bare path finds the record, if it is not below another.
    pub(super) fn bare_name(&self) -> Option<&str> {
        let [payload, name, ..] = &self.target[..] else { return None };
        (payload == "payload").then_some(name)
    }

    /// Adds the record to the schema of a payload.
    pub(super) fn describe(&self, payload: &mut Value) {
        if !payload.get("properties").is_some_and(Value::is_object) {
            *payload = Value::Bool(true); // What is not described stays open.
            return;
        }
        let mut place = &mut *payload;
        for name in &self.target[1..] {
            if !place.get("properties").is_some_and(Value::is_object) {
                *place = json!({"type": "object", "properties": {}});
            }
            place = &mut place["properties"][name.as_str()];
        }
        *place = self.schema();
        let required = payload.get_mut("required").and_then(Value::as_array_mut);
        if let (Some(required), Some(name)) = (required, self.target.get(1)) {
            required.push(json!(name)); // It is always there, if only as null.
        }
    }

    fn schema(&self) -> Value {
        let mut schema = desk::event_schema(self.kind);
        for names in &self.relations {
            let (mut kind, mut place) = (self.kind, &mut schema);
            for name in names {
                let Some(relation) = relations(kind).into_iter().find(|it| it.name == *name) else {
                    break; // A field of the record, which is described already.
                };
                kind = relation.kind;
                let properties = &mut place["properties"];
                let joined = &properties[name.as_str()];
                let known = joined.pointer("/properties/id").or(joined.pointer("/items")).is_some();
                if !known {
                    let record = desk::event_schema(kind);
                    properties[name.as_str()] = match relation.reach {
                        Reach::One => record,
                        Reach::Many => json!({"type": "array", "items": record}),
                    };
                }
                place = match relation.reach {
                    Reach::One => &mut properties[name.as_str()],
                    Reach::Many => &mut properties[name.as_str()]["items"],
                };
            }
        }
        schema
    }
}

impl<'a> Reading<'a> {
    /// Reads `annotations`.
    pub(super) fn annotations(&self, body: &mut Fields<'a>) -> Option<Vec<Annotation>> {
        let Some(field) = body.take(&["annotations"]) else { return Some(Vec::new()) };
        if field.value.as_object().is_some_and(Map::is_empty) {
            return Some(Vec::new());
        }
        let list = field.list()?;
        if list.len() > ANNOTATIONS_MAX {
            let detail = format!("{} are too many, the limit is {ANNOTATIONS_MAX}", list.len());
            return field.report(field.problem("too_many_annotations", detail));
        }
        let read: Vec<Option<Annotation>> =
            field.elements(list).iter().map(|field| self.annotation(field)).collect();
        read.into_iter().collect()
    }

    fn annotation(&self, field: &Field<'a>) -> Option<Annotation> {
        let mut fields = field.object()?;
        let entity = fields.need(&["entityType"], "such as Ticket");
        let required = fields.need(&["requiredFields"], "say by what the record is found");
        let joins = fields.take(&["relations"]);
        let path = fields.need(&["pathToAnnotate"], "say where the record is written");
        fields.close();
        let entity = entity.and_then(|field| entity_of(&field));
        let required = required.and_then(|field| self.required(&field, entity?.1));
        let joins = joins.map_or(Some(Vec::new()), |field| {
            let list = field.list()?;
            if list.len() > RELATIONS_MAX {
                let detail = format!("{} are too many, the limit is {RELATIONS_MAX}", list.len());
                return field.report(field.problem("too_many_relations", detail));
            }
            let read: Vec<_> =
                field.elements(list).iter().map(|field| self.relation(field, entity?.1)).collect();
            read.into_iter().collect()
        });
        let path = path.and_then(|field| Some((field.text()?.to_owned(), target_of(&field)?)));
        let ((entity, kind), (path, target)) = (entity?, path?);
        Some(Annotation { entity, kind, required: required?, relations: joins?, path, target })
    }

    fn required(&self, field: &Field<'a>, kind: RecordKind) -> Option<Vec<(String, Template)>> {
        let names = field.value.as_object();
        let fields = field.object()?;
        let (at, names) = (fields.at, names?);
        let mut required = Vec::new();
        let mut is_whole = true;
        for (name, value) in names {
            let own = Field {
                value,
                at: pointer_to(&at, name),
                name: "requiredFields",
                findings: self.findings,
            };
            let is_known = lookup_names(kind).contains(&name.as_str())
                || kind.fields().iter().any(|field| field.name == name);
            if !is_known && matches!(self.origin, Origin::Written(_)) {
                let known = lookup_names(kind);
                let problem = own.problem("unknown_field", format!("`{name}` finds no record"));
                self.findings.problem(with_guess(problem, name, known));
            }
            match self.template(&own).filter(|_| is_known || matches!(self.origin, Origin::Stored))
            {
                Some(template) => required.push((name.clone(), template)),
                None => is_whole = false,
            }
        }
        if !names.keys().any(|name| lookup_names(kind).contains(&name.as_str())) && is_whole {
            let known = lookup_names(kind).join(", ");
            let problem = field.problem("missing", "nothing here finds a record");
            return field.report(problem.with_hint(format!("one of: {known}")));
        }
        is_whole.then_some(required)
    }

    fn relation(&self, field: &Field<'a>, kind: RecordKind) -> Option<Vec<String>> {
        let names: Vec<String> = field.text()?.split('.').map(str::to_owned).collect();
        if names.len() > HOPS_MAX {
            let detail = format!("a relation leads through at most {HOPS_MAX} records");
            return field.report(field.problem("too_deep", detail));
        }
        let mut kind = kind;
        for (position, name) in names.iter().enumerate() {
            let known = relations(kind);
            if let Some(relation) = known.iter().find(|relation| relation.name == *name) {
                kind = relation.kind;
                continue;
            }
            let is_last = position + 1 == names.len();
            if is_last && kind.fields().iter().any(|field| field.name == name) {
                continue; // A value of the record itself, which needs no join.
            }
            let known: Vec<&str> = known.iter().map(|relation| relation.name.as_str()).collect();
            let detail = format!("a {} has no relation `{name}`", kind.name());
            return field.report(with_guess(
                field.problem("unknown_relation", detail),
                name,
                &known,
            ));
        }
        Some(names)
    }
}

fn entity_of(field: &Field<'_>) -> Option<(&'static str, RecordKind)> {
    let text = field.text()?;
    let plain = |text: &str| text.replace(['-', '_', ' '], "").to_lowercase();
    let found = ENTITIES.iter().find(|(name, _)| plain(name) == plain(text));
    found.copied().or_else(|| {
        let names: Vec<&str> = ENTITIES.iter().map(|(name, _)| *name).collect();
        let problem = field.problem("unknown_entity", format!("there is no entity `{text}`"));
        field.report(problem.with_hint(format!("one of: {}", names.join(", "))))
    })
}

/// Finds the place below the event that a path names: in the payload, or a name of its own there.
fn target_of(field: &Field<'_>) -> Option<Vec<String>> {
    let text = field.text()?;
    let inner = text.trim().strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
    let path = match Path::parse(inner.unwrap_or(text)) {
        Ok(path) => path,
        Err(reason) => return field.report(field.problem("invalid_path", reason)),
    };
    let names: Vec<String> = path.segments().map(str::to_owned).collect();
    let target = match path.root() {
        None => [vec!["payload".to_owned()], names].concat(),
        Some("trigger") => names[1..].to_vec(),
        Some(_) => Vec::new(),
    };
    let is_below_payload = target.len() > 1 && target[0] == "payload";
    if is_below_payload && !target.iter().any(|name| name == "*") {
        return Some(target);
    }
    let problem = field.problem("invalid_path", format!("nothing can be written at `{text}`"));
    let hint = "below `trigger.payload`, such as `context.event.message.payload.account`";
    field.report(problem.with_hint(hint))
}

fn with_guess(problem: Problem, name: &str, known: &[&str]) -> Problem {
    match nearest(name, known.iter().copied()) {
        Some(near) => {
            problem.with_hint(format!("did you mean `{near}`? There are: {}", known.join(", ")))
        }
        None => problem.with_hint(format!("one of: {}", known.join(", "))),
    }
}
