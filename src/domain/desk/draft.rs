//! A record while an input is applied to it: what was given, what is wrong, what it becomes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::choice::{self, Choice};
use super::field::{Field, FieldType, Input, Kept, Need, plain_name};
use super::{Facts, RecordKind, Related, custom_field};
use crate::domain::problem::{Problem, nearest, pointer_to};

/// A record of one kind while an input is applied to it.
pub struct Draft<'a> {
    kind: RecordKind,
    facts: &'a Facts<'a>,
    current: Option<&'a Map<String, Value>>,
    given: Map<String, Value>,
    referenced: BTreeMap<&'static str, Map<String, Value>>,
    record: Map<String, Value>,
    problems: Vec<Problem>,
}

impl<'a> Draft<'a> {
    /// Starts a new record of `kind` from `input`.
    #[must_use]
    pub fn create(kind: RecordKind, input: &Map<String, Value>, facts: &'a Facts<'a>) -> Self {
        let mut draft = Draft::begin(kind, None, facts);
        draft.take(input);
        for field in kind.fields().iter().filter(|field| field.input != Input::Never) {
            if field.need == Need::Required && !draft.has_been_named(field.name, input) {
                let problem = missing(field);
                draft.problems.push(problem);
            }
        }
        draft.set("id", json!(facts.id));
        draft.set("createdAt", json!(facts.now));
        draft.set("updatedAt", json!(facts.now));
        draft
    }

    /// Starts a changed record of `kind` from `current` and `patch`.
    #[must_use]
    pub fn update(
        kind: RecordKind,
        current: &'a Map<String, Value>,
        patch: &Map<String, Value>,
        facts: &'a Facts<'a>,
    ) -> Self {
        let mut draft = Draft::begin(kind, Some(current), facts);
        draft.record = current.clone();
        draft.take(patch);
        draft
    }

    /// Returns the kind of the record.
    #[must_use]
    pub fn kind(&self) -> RecordKind {
        self.kind
    }

    /// Returns the record that is being changed, if it is not new.
    #[must_use]
    pub fn current(&self) -> Option<&'a Map<String, Value>> {
        self.current
    }

    /// Returns what the input gave for `name`: a value in its kept spelling, or null to clear it.
    #[must_use]
    pub fn given(&self, name: &str) -> Option<&Value> {
        self.given.get(name)
    }

    /// Returns the text that the input gave for `name`.
    #[must_use]
    pub fn given_text(&self, name: &str) -> Option<&str> {
        self.given(name).and_then(Value::as_str)
    }

    /// Returns the record that the given reference `name` names.
    #[must_use]
    pub fn referenced(&self, name: &str) -> Option<&Map<String, Value>> {
        self.referenced.get(name)
    }

    /// Returns the related records of the tenant.
    #[must_use]
    pub fn related(&self) -> &'a Related<'a> {
        &self.facts.related
    }

    /// Returns the facts under which the input is applied.
    #[must_use]
    pub fn facts(&self) -> &'a Facts<'a> {
        self.facts
    }

    /// Returns the value that `name` has so far, null when unset.
    #[must_use]
    pub fn value(&self, name: &str) -> &Value {
        self.record.get(name).unwrap_or(&Value::Null)
    }

    /// Returns the text that `name` has so far.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name).as_str()
    }

    /// Sets `name` to `value`.
    pub fn set(&mut self, name: &str, value: Value) {
        self.record.insert(name.to_owned(), value);
    }

    /// Sets `name` to `value` where it has none so far.
    pub fn default(&mut self, name: &str, value: Value) {
        if self.value(name).is_null() {
            self.set(name, value);
        }
    }

    /// Notes a fault of the input.
    pub fn refuse(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Notes that the reference in field `name` leads nowhere.
    pub fn refuse_unknown(&mut self, name: &str, kind: RecordKind, text: &str) {
        self.problems.push(unknown(&pointer_to("", name), kind, text));
    }

    /// Returns the choice that the input names by any of `names`; `Some(None)` clears it.
    pub fn chosen(&mut self, names: &[&str], choices: &[Choice]) -> Option<Option<Choice>> {
        let mut chosen: Option<Option<Choice>> = None;
        for name in names {
            let Some(value) = self.given.get(*name) else { continue };
            let pointer = pointer_to("", name);
            let choice = match value.as_str().map(|text| choice::find(choices, text).ok_or(text)) {
                None => None,
                Some(Ok(choice)) => Some(choice.clone()),
                Some(Err(text)) => {
                    let listed = choices.iter().map(|choice| choice.name.as_str());
                    let problem = super::field::not_allowed(text, listed, &pointer);
                    self.problems.push(problem);
                    continue;
                }
            };
            if chosen.as_ref().is_some_and(|earlier| *earlier != choice) {
                self.problems.push(contradiction(&pointer, names));
            }
            chosen.get_or_insert(choice);
        }
        chosen
    }

    /// Merges `customFieldValues` into `customFields`, each value spelled by `spell`.
    pub fn merge_custom_fields(&mut self, spell: fn(Value) -> Value) {
        let listed = match self.given.get("customFieldValues") {
            Some(Value::Array(values)) => self.read_custom_list(&values.clone()),
            Some(Value::Object(values)) => values.clone(),
            _ => Map::new(), // Absent, or null: nothing to merge.
        };
        let given = match self.given.get("customFields") {
            Some(Value::Object(values)) => values.clone(),
            _ => Map::new(), // Absent, or null, which has already cleared them.
        };
        let mut fields = self.value("customFields").as_object().cloned().unwrap_or_default();
        let definitions = self.definitions(&given, &listed);
        let given = given.into_iter().map(|pair| ("customFields", pair));
        let listed = listed.into_iter().map(|pair| ("customFieldValues", pair));
        for (from, (name, value)) in given.chain(listed) {
            let definition = custom_field::find(&definitions, &name);
            let slug =
                definition.and_then(|it| it.get("slug")?.as_str()).unwrap_or(&name).to_owned();
            if let Some(definition) = definition.filter(|_| !value.is_null()) {
                let pointer = pointer_to(&pointer_to("", from), &name);
                if let Err(problem) = custom_field::check(definition, &value, &pointer) {
                    self.problems.push(problem);
                }
            }
            match value {
                Value::Null => drop(fields.shift_remove(&slug)),
                value => drop(fields.insert(slug, spell(value))),
            }
        }
        for definition in definitions.iter().filter(|_| self.current.is_none()) {
            let default = definition.get("defaultValue").filter(|value| !value.is_null());
            if let (Some(slug), Some(value)) = (part(Some(definition), "slug").as_str(), default) {
                fields.entry(slug).or_insert_with(|| spell(value.clone()));
            }
        }
        self.set("customFields", Value::Object(fields));
        if self.current.is_none() {
            self.require_custom_fields("mandatoryOnCreation", "at its creation");
        }
    }

    /// Notes every custom field that its definition makes mandatory by `rule` and that has no value.
    pub fn require_custom_fields(&mut self, rule: &str, when: &str) {
        let team = self.value("teamId").clone();
        for definition in (self.facts.related.all)(RecordKind::CustomField) {
            let is_meant = definition.get(rule) == Some(&Value::Bool(true))
                && custom_field::is_for(&definition, self.kind, &team);
            let (slug, name) = (part(Some(&definition), "slug"), part(Some(&definition), "name"));
            let (Some(slug), true) = (slug.as_str(), is_meant) else { continue };
            let value = self.value("customFields").get(slug).unwrap_or(&Value::Null);
            if matches!(value, Value::Null) || value.as_str() == Some("") || value == &json!([]) {
                let detail = format!(
                    "the custom field {name} is required for a {} {when}",
                    self.kind.name()
                );
                let pointer = pointer_to("/customFieldValues", slug);
                self.problems.push(Problem::new(pointer, "required", detail));
            }
        }
    }

    /// An update that gives no custom field needs none of their definitions.
    fn definitions(
        &self,
        given: &Map<String, Value>,
        listed: &Map<String, Value>,
    ) -> Vec<Map<String, Value>> {
        if self.current.is_some() && given.is_empty() && listed.is_empty() {
            return Vec::new();
        }
        let team = self.value("teamId");
        let all = (self.facts.related.all)(RecordKind::CustomField).into_iter();
        all.filter(|definition| custom_field::is_for(definition, self.kind, team)).collect()
    }

    /// Returns the record with its fields in the table's order, null where unset.
    ///
    /// # Errors
    /// Returns every fault of the input.
    pub fn finish(mut self) -> Result<Map<String, Value>, Vec<Problem>> {
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        let record = in_order(self.kind, std::mem::take(&mut self.record));
        match self.current {
            Some(current) if super::change::is_same(self.kind, current, &record) => {
                Ok(current.clone())
            }
            Some(_) => Ok(touched(record, self.facts)),
            None => Ok(record),
        }
    }

    fn begin(
        kind: RecordKind,
        current: Option<&'a Map<String, Value>>,
        facts: &'a Facts<'a>,
    ) -> Self {
        Draft {
            kind,
            facts,
            current,
            given: Map::new(),
            referenced: BTreeMap::new(),
            record: Map::new(),
            problems: Vec::new(),
        }
    }

    fn take(&mut self, input: &Map<String, Value>) {
        for (name, value) in input {
            match self.kind.fields().iter().find(|field| field.name == name) {
                Some(field) => self.take_field(field, value),
                None => self.problems.push(unknown_field(self.kind, name)),
            }
        }
        for field in self.kind.fields().iter().filter(|field| field.kept == Kept::Primary) {
            if let Some(value) = self.given.get(field.name).cloned() {
                self.keep(field, value);
            }
        }
    }

    fn take_field(&mut self, field: &'static Field, value: &Value) {
        if !self.may_be_given(field, value) {
            return;
        }
        let pointer = pointer_to("", field.name);
        let read = match value {
            Value::Null if self.current.is_none() => return,
            Value::Null if field.need == Need::Required => Err(missing(field)),
            Value::Null => Ok(Value::Null),
            Value::String(text) if field.need == Need::Required && text.trim().is_empty() => {
                Err(missing(field))
            }
            value => field.kind.read(value, &pointer),
        };
        match read.and_then(|value| self.resolve(field.name, &field.kind, value, &pointer)) {
            Ok(value) => drop(self.given.insert(field.name.to_owned(), value)),
            Err(problem) => self.problems.push(problem),
        }
    }

    /// A client may send back what it read: a fixed field that keeps its value is no fault.
    fn may_be_given(&mut self, field: &Field, value: &Value) -> bool {
        let is_open = match field.input {
            Input::Always => true,
            Input::Create => self.current.is_none(),
            Input::Never => false,
        };
        let is_unchanged = self
            .current
            .is_some_and(|current| current.get(field.name).unwrap_or(&Value::Null) == value);
        if !is_open && !is_unchanged {
            let detail = match field.input {
                Input::Create => format!("`{}` is fixed once the record exists", field.name),
                Input::Always | Input::Never => {
                    format!("`{}` is set by the platform", field.name)
                }
            };
            let problem = Problem::new(pointer_to("", field.name), "read_only", detail);
            self.problems.push(problem.with_hint("leave it out"));
        }
        is_open
    }

    fn resolve(
        &mut self,
        name: &'static str,
        kind: &FieldType,
        value: Value,
        pointer: &str,
    ) -> Result<Value, Problem> {
        match (kind, value) {
            (FieldType::Ref(kind), Value::String(text)) => {
                let record = (self.facts.related.get)(*kind, &text)
                    .ok_or_else(|| unknown(pointer, *kind, &text))?;
                let id = record.get("id").cloned().unwrap_or(Value::String(text));
                self.referenced.insert(name, record);
                Ok(id)
            }
            (FieldType::List(item), Value::Array(values)) => values
                .into_iter()
                .enumerate()
                .map(|(index, value)| {
                    self.resolve(name, item, value, &format!("{pointer}/{index}"))
                })
                .collect(),
            (_, value) => Ok(value), // Nothing to look up.
        }
    }

    fn keep(&mut self, field: &Field, value: Value) {
        let merged = match (field.kind, self.record.get(field.name), value) {
            // Custom fields are merged with their other spelling, by the kind's own rule.
            (FieldType::Map, current, Value::Object(_)) if field.name == "customFields" => {
                current.cloned().unwrap_or_else(|| json!({}))
            }
            (FieldType::Map, Some(Value::Object(current)), Value::Object(patch)) => {
                merge(current.clone(), patch)
            }
            (FieldType::Map, _, Value::Null) => json!({}),
            (FieldType::List(_), _, Value::Null) => json!([]),
            (FieldType::Bool, _, Value::Null) => json!(false),
            (FieldType::Map, _, Value::Object(patch)) => merge(Map::new(), patch),
            (_, _, value) => value, // Replaced as a whole.
        };
        self.set(field.name, merged);
    }

    fn has_been_named(&self, name: &str, input: &Map<String, Value>) -> bool {
        // What was named but wrong has its own problem already.
        self.given.contains_key(name) || input.get(name).is_some_and(|value| !value.is_null())
    }

    fn read_custom_list(&mut self, values: &[Value]) -> Map<String, Value> {
        let mut fields = Map::new();
        for (index, entry) in values.iter().enumerate() {
            let name = ["fieldId", "customFieldId", "fieldUid", "id"]
                .iter()
                .find_map(|key| entry.get(key).and_then(Value::as_str));
            let value = ["value", "values", "data"].iter().find_map(|key| entry.get(key));
            match (name, value) {
                (Some(name), value) => {
                    fields.insert(name.to_owned(), value.cloned().unwrap_or(Value::Null));
                }
                (None, _) => self.problems.push(Problem::new(
                    format!("/customFieldValues/{index}"),
                    "required",
                    "must be an object with `fieldId` and `value`",
                )),
            }
        }
        fields
    }
}

/// Returns `record` as changed at the time of `facts`.
#[must_use]
pub fn touched(mut record: Map<String, Value>, facts: &Facts<'_>) -> Map<String, Value> {
    record.insert("updatedAt".to_owned(), json!(facts.now));
    record
}

/// Returns `record` with the fields of `kind` in the table's order, null where unset.
#[must_use]
pub fn in_order(kind: RecordKind, mut record: Map<String, Value>) -> Map<String, Value> {
    let mut ordered = Map::new();
    for field in kind.fields().iter().filter(|field| field.kept != Kept::No) {
        let value = record.shift_remove(field.name).unwrap_or(match field.kind {
            FieldType::Map => json!({}),
            FieldType::List(_) => json!([]),
            FieldType::Bool => json!(false),
            _ => Value::Null, // Unset.
        });
        ordered.insert(field.name.to_owned(), value);
    }
    ordered.extend(record);
    ordered
}

/// Returns `record` with only `keys`, as it stands inside another record; null for no record.
#[must_use]
pub fn excerpt(record: Option<&Map<String, Value>>, keys: &[&str]) -> Value {
    let Some(record) = record else { return Value::Null };
    let pick = |key: &&str| {
        let value = record.get(*key).cloned().unwrap_or(Value::Null);
        ((*key).to_owned(), value)
    };
    Value::Object(keys.iter().map(pick).collect())
}

/// Returns the field `name` of `record`, null when either is absent.
#[must_use]
pub fn part(record: Option<&Map<String, Value>>, name: &str) -> Value {
    record.and_then(|record| record.get(name)).cloned().unwrap_or(Value::Null)
}

/// Describes two inputs that name different values for one thing.
#[must_use]
pub fn contradiction(pointer: &str, names: &[&str]) -> Problem {
    let detail = format!("names another value than its equivalents: {}", names.join(", "));
    Problem::new(pointer, "contradiction", detail).with_hint("give only one of them")
}

fn merge(mut current: Map<String, Value>, patch: Map<String, Value>) -> Value {
    for (key, value) in patch {
        match value {
            Value::Null => drop(current.shift_remove(&key)),
            value => drop(current.insert(key, value)),
        }
    }
    Value::Object(current)
}

fn missing(field: &Field) -> Problem {
    let detail = format!("`{}` is required: {}", field.name, field.kind.words());
    Problem::new(pointer_to("", field.name), "required", detail)
}

fn unknown(pointer: &str, kind: RecordKind, text: &str) -> Problem {
    Problem::new(pointer, "unknown_reference", format!("there is no {} `{text}`", kind.name()))
}

fn unknown_field(kind: RecordKind, name: &str) -> Problem {
    let known = kind.fields().iter().filter(|field| field.input != Input::Never);
    let lowered = plain_name(name).replace(' ', "");
    let near = known
        .clone()
        .map(|field| field.name)
        .find(|known| known.to_lowercase() == lowered)
        .or_else(|| nearest(name, known.map(|field| field.name)));
    let detail = format!("no field of the {} is named `{name}`", kind.name());
    let problem = Problem::new(pointer_to("", name), "unknown_field", detail);
    match near {
        Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
        None => problem,
    }
}
