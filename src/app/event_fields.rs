//! What the events of a type hold: the fields that its schema declares and those that really came,
//! with examples, so that a filter can be written without looking anything up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::App;
use super::error::Error;
use super::live_match::newest_of;
use super::principal::Principal;
use crate::domain::event_type;
use crate::store::tenant::TenantView;

/// Over how long the events of a type are counted.
const RECENT: Duration = Duration::from_secs(7 * 86_400);
/// How many events of a type are counted at most.
const RECENT_COUNTED_MAX: usize = 1_000;
/// How many of the newest events are looked at for fields and examples.
const EVENTS_LOOKED_AT_MAX: usize = 50;
const FIELDS_MAX: usize = 400;
const DEPTH_MAX: usize = 5;
const EXAMPLES_MAX: usize = 3;
/// With more values than this a field is nothing to choose from.
const CHOICES_MAX: usize = 8;
const EXAMPLE_CHARS_MAX: usize = 60;

/// An event type among those that a trigger can choose.
#[derive(Clone, Debug, Serialize)]
pub struct EventChoice {
    /// The canonical type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name for people.
    pub name: String,
    /// When it happens.
    pub description: String,
    /// Who makes it.
    pub source: String,
    /// How many came in the last seven days, at most 1,000.
    pub recent: usize,
}

/// What the events of a type hold.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventFields {
    /// The canonical type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name for people.
    pub name: String,
    /// When it happens.
    pub description: String,
    /// How many came in the last seven days.
    pub recent: usize,
    /// Whether there were more than were counted.
    pub recent_is_more: bool,
    /// The newest event.
    pub newest_event: Option<String>,
    /// The payload of the newest event, else one as it could be.
    pub sample: Option<Value>,
    /// The fields of the payload: those that came first.
    pub fields: Vec<FieldView>,
}

/// A field of a payload.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FieldView {
    /// Its path, as a filter has it.
    pub path: String,
    /// The JSON types that it is declared or was seen with.
    pub types: Vec<String>,
    /// What it means.
    pub description: String,
    /// Values that really came, or that the schema allows.
    pub examples: Vec<Value>,
    /// In how many of the last events it stood with a value.
    pub seen: usize,
    /// Whether the schema declares it.
    pub declared: bool,
    /// The values that came, until they are too many to choose among.
    #[serde(skip)]
    values: BTreeSet<String>,
}

impl FieldView {
    /// Fields with a few values are what filters are mostly about; every event has its own id.
    fn rank(&self) -> (bool, bool, u8) {
        let kinds = match self.values.len() {
            2..=CHOICES_MAX => 0,
            0 | 1 => 1,
            _ => 2, // Nearly every event has a value of its own.
        };
        (self.seen == 0, self.path.starts_with("previous"), kinds)
    }
}

impl App {
    /// Lists the types that a trigger can choose: those that came lately first.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn event_choices(&self, who: &Principal) -> Result<Vec<EventChoice>, Error> {
        let since = self.now() - RECENT;
        let counts = self.read(who, |view| {
            let mut counts = BTreeMap::new();
            for kind in view.event_kinds("")? {
                let keys = view.events_of_kind(&kind, None, RECENT_COUNTED_MAX)?;
                let recent = keys.iter().take_while(|key| key.moment() >= since).count();
                counts.insert(kind, recent);
            }
            Ok(counts)
        })?;
        let known = self.event_types(who, None, None)?;
        let strange = counts.keys().filter(|kind| known.iter().all(|known| known.kind != **kind));
        let strange: Vec<EventChoice> = strange
            .map(|kind| EventChoice {
                kind: kind.clone(),
                name: kind.clone(),
                description: "Not registered: any payload is taken.".to_owned(),
                source: String::new(),
                recent: 0,
            })
            .collect();
        let known = known.into_iter().map(|known| EventChoice {
            kind: known.kind,
            name: known.name,
            description: known.description,
            source: known.source,
            recent: 0,
        });
        let mut all: Vec<EventChoice> = known.chain(strange).collect();
        for choice in &mut all {
            choice.recent = counts.get(&choice.kind).copied().unwrap_or_default();
        }
        all.sort_by_key(|it| std::cmp::Reverse(it.recent));
        Ok(all)
    }

    /// Tells what the events of a type hold, by its schema and by the last ones that came.
    ///
    /// # Errors
    /// Fails when the store cannot be read; a type that is not registered is not refused.
    pub fn event_fields(&self, who: &Principal, kind: &str) -> Result<EventFields, Error> {
        let kind = event_type::canonical(kind).into_owned();
        let known = self.event_type(who, &kind).ok();
        let since = self.now() - RECENT;
        let mut fields = Fields::default();
        if let Some(known) = &known {
            fields.declare("", &known.schema, 0);
        }
        let (recent, newest) = self.read(who, |view| {
            let keys = newest_of(view, &kind, RECENT_COUNTED_MAX)?;
            let recent = keys.iter().take_while(|key| key.moment() >= since).count();
            let looked = &keys[..keys.len().min(EVENTS_LOOKED_AT_MAX)];
            Ok((recent, fields.look(view, looked)?))
        })?;
        let (newest_event, sample) = newest.unzip();
        Ok(EventFields {
            name: known.as_ref().map_or_else(|| kind.clone(), |known| known.name.clone()),
            description: known.as_ref().map(|it| it.description.clone()).unwrap_or_default(),
            recent,
            recent_is_more: recent == RECENT_COUNTED_MAX,
            newest_event,
            sample: sample.or_else(|| known.and_then(|known| known.example)),
            fields: fields.into_list(),
            kind,
        })
    }
}

/// Fields by their paths, in the order in which they were found.
#[derive(Default)]
struct Fields {
    found: Vec<FieldView>,
    places: BTreeMap<String, usize>,
}

impl Fields {
    fn at(&mut self, path: &str) -> Option<&mut FieldView> {
        if let Some(place) = self.places.get(path) {
            return self.found.get_mut(*place);
        }
        if self.found.len() >= FIELDS_MAX {
            return None;
        }
        self.places.insert(path.to_owned(), self.found.len());
        self.found.push(FieldView { path: path.to_owned(), ..FieldView::default() });
        self.found.last_mut()
    }

    fn declare(&mut self, path: &str, schema: &Value, depth: usize) {
        let properties = schema["properties"].as_object();
        if let Some(properties) = properties.filter(|_| depth < DEPTH_MAX) {
            for (name, inner) in properties {
                self.declare(&joined(path, name), inner, depth + 1);
            }
            if !properties.is_empty() {
                return;
            }
        }
        let Some(field) = self.at(path).filter(|_| !path.is_empty()) else { return };
        field.declared = true;
        field.description = schema["description"].as_str().unwrap_or_default().to_owned();
        let types = match &schema["type"] {
            Value::String(one) => vec![one.clone()],
            Value::Array(several) => {
                several.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect()
            }
            _ => Vec::new(), // Any.
        };
        field.types = types.into_iter().map(|it| plain_type(&it)).collect();
        let allowed = schema["enum"].as_array().into_iter().flatten();
        let allowed: Vec<Value> = allowed.filter(|it| !it.is_null()).cloned().collect();
        field.examples.extend(allowed.into_iter().take(EXAMPLES_MAX));
    }

    /// Looks at what really came and returns the newest of it.
    fn look(
        &mut self,
        view: TenantView<'_>,
        keys: &[crate::store::events::EventKey],
    ) -> Result<Option<(String, Value)>, Error> {
        let mut newest = None;
        for key in keys {
            let stored = view.event(*key)?.filter(|stored| view.sees_event(&stored.event));
            let Some(stored) = stored else { continue };
            self.see("", &stored.event.payload, 0);
            newest.get_or_insert((stored.event.id, stored.event.payload));
        }
        Ok(newest)
    }

    fn see(&mut self, path: &str, value: &Value, depth: usize) {
        if let Value::Object(fields) = value
            && depth < DEPTH_MAX
            && !fields.is_empty()
        {
            fields.iter().for_each(|(name, inner)| self.see(&joined(path, name), inner, depth + 1));
            return;
        }
        let Some(field) = self.at(path).filter(|_| !path.is_empty()) else { return };
        if value.is_null() {
            return;
        }
        field.seen += 1;
        let kind = type_of(value);
        if !field.types.iter().any(|known| known == kind) {
            field.types.push(kind.to_owned());
        }
        if field.values.len() <= CHOICES_MAX {
            field.values.insert(value.to_string());
        }
        let is_empty = matches!(value, Value::String(text) if text.is_empty())
            || matches!(value, Value::Array(items) if items.is_empty());
        let short = !value.is_object()
            && !is_empty
            && value.to_string().chars().count() <= EXAMPLE_CHARS_MAX;
        if short && field.examples.len() < EXAMPLES_MAX && !field.examples.contains(value) {
            field.examples.push(value.clone());
        }
    }

    fn into_list(self) -> Vec<FieldView> {
        let mut all: Vec<FieldView> =
            self.found.into_iter().filter(|field| !field.path.is_empty()).collect();
        all.sort_by_key(FieldView::rank);
        all
    }
}

fn plain_type(name: &str) -> String {
    if name == "integer" { "number".to_owned() } else { name.to_owned() }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn joined(path: &str, name: &str) -> String {
    let is_plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    match (path.is_empty(), is_plain) {
        (true, true) => name.to_owned(),
        (false, true) => format!("{path}.{name}"),
        (_, false) => format!("{path}[\"{}\"]", name.replace('"', "\\\"")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn declared_and_seen_fields_come_together_and_seen_ones_first() {
        let mut fields = Fields::default();
        let schema = json!({"type": "object", "properties": {
            "ticket": {"type": "object", "properties": {
                "never": {"type": ["string", "null"]},
                "priority": {"type": "string", "description": "How urgent.", "enum": ["low", "high"]}}}}});
        fields.declare("", &schema, 0);
        for priority in ["high", "urgent", "high"] {
            fields.see("", &json!({"ticket": {"priority": priority, "age": 3, "odd name": 1}}), 0);
        }
        let list = fields.into_list();
        let paths: Vec<&str> = list.iter().map(|field| field.path.as_str()).collect();
        assert_eq!(
            paths,
            ["ticket.priority", "ticket.age", "ticket[\"odd name\"]", "ticket.never"]
        );
        assert_eq!(list[0].examples, [json!("low"), json!("high"), json!("urgent")]);
        assert_eq!((list[0].seen, list[0].declared, list[1].declared), (3, true, false));
        assert_eq!(list[3].types, ["string", "null"]);
    }
}
