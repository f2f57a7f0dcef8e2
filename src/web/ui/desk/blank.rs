//! Forms of records, made of the table of their fields: what is asked, and what was answered.

use serde_json::{Map, Value};

use super::filled::Filled;
use super::tenant::words_of;
use crate::app::App;
use crate::app::desk::Record;
use crate::app::error::Error;
use crate::app::page::PageRequest;
use crate::app::principal::Principal;
use crate::app::sheets::value_of;
use crate::domain::desk::{Field, FieldType, Need, RecordKind, priorities, statuses};
use crate::domain::problem::Problem;
use crate::web::ui::parts::mark::capital;

/// How many records a field offers to choose from.
const CHOICES_MAX: usize = 200;
/// Longer texts get a field of several lines.
const LINE_CHARS_MAX: usize = 500;
/// The beginning of the names of custom fields.
const CUSTOM: &str = "custom.";

/// A field of a form.
#[derive(Clone, Debug)]
pub struct Blank {
    /// Its name in the form.
    pub name: String,
    /// Its name for people.
    pub label: String,
    /// What it means.
    pub help: String,
    /// What stands in it.
    pub value: String,
    /// How it is filled in.
    pub control: Control,
    /// Whether it must be filled in.
    pub required: bool,
    /// What was wrong with what was typed.
    pub problem: Option<String>,
}

/// How a field is filled in.
#[derive(Clone, Debug)]
pub enum Control {
    /// In one line, of a type that browsers know.
    Line(&'static str),
    /// In several lines.
    Long,
    /// By choosing a value that has a word.
    Choice(Vec<(String, String)>),
    /// In one line with suggestions.
    Suggested(Vec<(String, String)>),
}

/// A form about a record, or about one to be.
pub struct Form<'a> {
    /// The kind of the record.
    pub kind: RecordKind,
    /// The fields that are asked.
    pub names: &'a [&'static str],
    /// What kind of custom fields are asked; none for none.
    pub custom: &'a str,
    /// The record as it is; none for one to be.
    pub record: Option<&'a Record>,
}

impl Form<'_> {
    /// Returns the fields, filled with the record, or with what was typed before.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn blanks(
        &self,
        app: &App,
        who: &Principal,
        typed: Option<&Filled>,
        problems: &[Problem],
    ) -> Result<Vec<Blank>, Error> {
        let mut blanks = Vec::new();
        for name in self.names {
            let Some(field) = self.field(name) else { continue };
            blanks.push(self.blank(app, who, field)?);
        }
        for definition in self.definitions(app, who)? {
            blanks.push(self.custom_blank(&definition));
        }
        for blank in &mut blanks {
            if let Some(given) = typed.and_then(|typed| typed.given(&blank.name)) {
                blank.value = given.to_owned();
            }
            let pointer = pointer_of(&blank.name);
            let fault = problems.iter().find(|problem| is_about(problem, &pointer));
            blank.problem = fault.map(|problem| capital(&problem.detail));
        }
        Ok(blanks)
    }

    /// Returns what a record would be made of, or what is to be changed of it.
    ///
    /// # Errors
    /// Returns what cannot be read, and fails when the store cannot be.
    pub fn answers(&self, app: &App, who: &Principal, typed: &Filled) -> Result<Record, Error> {
        let (mut answers, mut problems) = (Map::new(), Vec::new());
        let mut put =
            |name: &str, answer: Option<Result<Value, String>>, into: &mut Record| match answer {
                None => {}
                Some(Ok(value)) => drop(into.insert(name.to_owned(), value)),
                Some(Err(detail)) => {
                    problems.push(Problem::new(format!("/{name}"), "wrong_type", detail));
                }
            };
        for name in self.names {
            let Some(field) = self.field(name) else { continue };
            let present = self.present(app, who, field);
            let kind = &field.kind;
            put(name, answer(typed.given(name), &present, kind, self.record), &mut answers);
        }
        let mut custom = Map::new();
        for definition in self.definitions(app, who)? {
            let slug = word(&definition, "slug");
            let present = self.custom_value(&slug);
            let given = typed.given(&format!("{CUSTOM}{slug}"));
            let kind = custom_kind(&word(&definition, "fieldType"));
            put(&slug, answer(given, &present, &kind, self.record), &mut custom);
        }
        if !custom.is_empty() {
            answers.insert("customFields".to_owned(), Value::Object(custom));
        }
        if problems.is_empty() { Ok(answers) } else { Err(Error::Invalid(problems)) }
    }

    fn field(&self, name: &str) -> Option<&'static Field> {
        self.kind.fields().iter().find(|field| field.name == name)
    }

    fn definitions(&self, app: &App, who: &Principal) -> Result<Vec<Record>, Error> {
        if self.custom.is_empty() || !who.scopes.allow("custom-fields:read") {
            return Ok(Vec::new());
        }
        let mut found = app.records(who, RecordKind::CustomField, None, &all())?.data;
        let team = self.record.map(|record| word(record, "teamId")).unwrap_or_default();
        found.retain(|it| {
            let own = word(it, "teamId");
            it.get("isActive") != Some(&Value::Bool(false))
                && word(it, "source") == self.custom
                && (own.is_empty() || own == team)
        });
        found.reverse();
        Ok(found)
    }

    fn blank(&self, app: &App, who: &Principal, field: &Field) -> Result<Blank, Error> {
        let control = match field.name {
            "statusName" => Control::Choice(self.statuses(app, who)?),
            "priorityName" => {
                Control::Choice(priorities().into_iter().map(|it| twice(&it.name)).collect())
            }
            _ => control(app, who, &field.kind)?, // What its type says.
        };
        let control = match (control, field.need) {
            (Control::Choice(choices), need) => Control::Choice(self.open(choices, field, need)),
            (control, _) => control,
        };
        Ok(Blank {
            name: field.name.to_owned(),
            label: label(field.name),
            help: match &field.kind {
                FieldType::List(_) => format!("{}; a comma between", field.description),
                FieldType::Timestamp => format!("{}, in UTC", field.description),
                _ => field.description.to_owned(),
            },
            value: self.present(app, who, field),
            control,
            required: field.need == Need::Required,
            problem: None,
        })
    }

    /// What may be empty can be chosen to be; what is there already can always stay.
    fn open(
        &self,
        mut choices: Vec<(String, String)>,
        field: &Field,
        need: Need,
    ) -> Vec<(String, String)> {
        let present = self.record.and_then(|record| record.get(field.name)).map(shown);
        if let Some(present) = present.filter(|it| !it.is_empty())
            && choices.iter().all(|(value, _)| *value != present)
        {
            choices.push(twice(&present));
        }
        if need == Need::Optional && field.name != "statusName" {
            choices.insert(0, (String::new(), "none".to_owned()));
        }
        choices
    }

    fn statuses(&self, app: &App, who: &Principal) -> Result<Vec<(String, String)>, Error> {
        let team = self.record.map(|record| word(record, "teamId")).filter(|id| !id.is_empty());
        let team = team.and_then(|id| app.record(who, RecordKind::Team, &id).ok());
        let mut names: Vec<String> =
            statuses(team.as_ref()).into_iter().map(|it| it.name).collect();
        for own in app.records(who, RecordKind::TicketStatus, None, &all())?.data {
            let name = word(&own, "name");
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
        names.retain(|name| name != "Archived");
        Ok(names.iter().map(|name| twice(name)).collect())
    }

    /// What is there already, as the field shows it: an account by its domain, a time by minutes.
    fn present(&self, app: &App, who: &Principal, field: &Field) -> String {
        let Some(value) = self.record.and_then(|record| record.get(field.name)) else {
            return String::new();
        };
        match &field.kind {
            FieldType::Timestamp => shown(value).chars().take(16).collect(),
            FieldType::Ref(kind) if !is_chosen(*kind) => keyed(app, who, *kind, value),
            FieldType::List(FieldType::Ref(kind)) => {
                let ids = value.as_array().map(Vec::as_slice).unwrap_or_default();
                let keys = ids.iter().map(|id| keyed(app, who, *kind, id));
                keys.collect::<Vec<_>>().join(", ")
            }
            _ => shown(value), // Itself.
        }
    }

    fn custom_value(&self, slug: &str) -> String {
        let fields = self.record.and_then(|record| record.get("customFields"));
        fields.and_then(|fields| fields.get(slug)).map(shown).unwrap_or_default()
    }

    fn custom_blank(&self, definition: &Record) -> Blank {
        let slug = word(definition, "slug");
        let options = definition.get("options").and_then(Value::as_array);
        let options = options.into_iter().flatten().filter_map(|option| {
            let value = option.as_str().or(option.get("value").and_then(Value::as_str))?;
            let word = option.get("label").and_then(Value::as_str).unwrap_or(value);
            Some((value.to_owned(), word.to_owned()))
        });
        let nothing = || (String::new(), "none".to_owned());
        let control = match word(definition, "fieldType").as_str() {
            "boolean" => Control::Choice(vec![
                nothing(),
                ("true".to_owned(), "yes".to_owned()),
                ("false".to_owned(), "no".to_owned()),
            ]),
            "single_choice" => Control::Choice(std::iter::once(nothing()).chain(options).collect()),
            "multi_choice" => Control::Suggested(options.collect()),
            "multi_line" | "rich_text" => Control::Long,
            "integer" | "decimal" => Control::Line("number"),
            "date" => Control::Line("date"),
            "email" => Control::Line("email"),
            "url" => Control::Line("url"),
            _ => Control::Line("text"), // Every other kind is typed as it is.
        };
        let required = self.record.is_none()
            && definition.get("mandatoryOnCreation") == Some(&Value::Bool(true));
        Blank {
            name: format!("{CUSTOM}{slug}"),
            label: word(definition, "name"),
            help: word(definition, "hintText"),
            value: self.custom_value(&slug),
            control,
            required,
            problem: None,
        }
    }
}

fn all() -> PageRequest {
    PageRequest { limit: CHOICES_MAX, after: None }
}

fn twice(text: &str) -> (String, String) {
    (text.to_owned(), text.to_owned())
}

/// Users and teams are few enough to choose from; accounts and tickets are named by their keys.
fn is_chosen(kind: RecordKind) -> bool {
    matches!(kind, RecordKind::User | RecordKind::Team)
}

fn control(app: &App, who: &Principal, kind: &FieldType) -> Result<Control, Error> {
    Ok(match kind {
        FieldType::Text { max } if *max > LINE_CHARS_MAX => Control::Long,
        FieldType::Email => Control::Line("email"),
        FieldType::Number => Control::Line("number"),
        FieldType::Timestamp => Control::Line("datetime-local"),
        FieldType::Bool => Control::Choice(vec![
            ("true".to_owned(), "yes".to_owned()),
            ("false".to_owned(), "no".to_owned()),
        ]),
        FieldType::Enum(names) => Control::Choice(
            names.iter().map(|it| ((*it).to_owned(), words_of(it).replace('_', " "))).collect(),
        ),
        FieldType::Ref(kind) if is_chosen(*kind) => Control::Choice(choices(app, who, *kind)?),
        FieldType::Ref(kind) | FieldType::List(FieldType::Ref(kind)) => {
            Control::Suggested(keys(app, who, *kind)?)
        }
        FieldType::Text { .. }
        | FieldType::List(_)
        | FieldType::Map
        | FieldType::CustomValues
        | FieldType::Any => Control::Line("text"),
    })
}

fn listed(app: &App, who: &Principal, kind: RecordKind) -> Result<Vec<Record>, Error> {
    if !who.scopes.allow(&format!("{}s:read", kind.name())) {
        return Ok(Vec::new());
    }
    Ok(app.records(who, kind, None, &all())?.data)
}

fn choices(app: &App, who: &Principal, kind: RecordKind) -> Result<Vec<(String, String)>, Error> {
    let found = listed(app, who, kind)?;
    let mut choices: Vec<_> = found.iter().map(|it| (word(it, "id"), named(it))).collect();
    choices.sort_by_key(|(_, word)| word.to_lowercase());
    Ok(choices)
}

fn keys(app: &App, who: &Principal, kind: RecordKind) -> Result<Vec<(String, String)>, Error> {
    Ok(listed(app, who, kind)?.iter().map(|it| (key(it), named(it))).collect())
}

fn keyed(app: &App, who: &Principal, kind: RecordKind, id: &Value) -> String {
    let id = id.as_str().unwrap_or_default();
    app.record(who, kind, id).map_or_else(|_| id.to_owned(), |record| key(&record))
}

fn key(record: &Record) -> String {
    let names = ["primaryDomain", "email", "ticketIdentifier", "identifier", "id"];
    names.iter().map(|name| word(record, name)).find(|it| !it.is_empty()).unwrap_or_default()
}

fn named(record: &Record) -> String {
    let name = ["name", "title", "email"].iter().map(|it| word(record, it));
    name.into_iter().find(|it| !it.is_empty()).unwrap_or_else(|| key(record))
}

fn word(record: &Record, name: &str) -> String {
    record.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Writes a value as a field of one line shows it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

fn custom_kind(name: &str) -> FieldType {
    const ONE: FieldType = FieldType::Text { max: LINE_CHARS_MAX };
    match name {
        "boolean" => FieldType::Bool,
        "integer" | "decimal" => FieldType::Number,
        "multi_choice" => FieldType::List(&ONE),
        _ => ONE, // Its own check says more.
    }
}

/// What was typed, as the record takes it; nothing where it stays as it is.
fn answer(
    given: Option<&str>,
    present: &str,
    kind: &FieldType,
    record: Option<&Record>,
) -> Option<Result<Value, String>> {
    let given = given?.replace("\r\n", "\n");
    if given == present {
        return None;
    }
    if given.is_empty() {
        return record.map(|_| Ok(Value::Null));
    }
    let given = match kind {
        // Browsers leave out the seconds and the zone.
        FieldType::Timestamp if given.len() == 16 => format!("{given}:00Z"),
        _ => given,
    };
    Some(value_of(kind, &given))
}

fn pointer_of(name: &str) -> String {
    match name.strip_prefix(CUSTOM) {
        Some(slug) => format!("/customFields/{slug}"),
        None => format!("/{name}"),
    }
}

fn is_about(problem: &Problem, pointer: &str) -> bool {
    let rest = problem.pointer.strip_prefix(pointer);
    let custom = pointer.strip_prefix("/customFields").is_some_and(|it| it == problem.pointer);
    custom || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Writes the name of a field for people: `accountOwnerId` is the account owner.
pub(super) fn label(name: &str) -> String {
    match name {
        "statusName" => return "Status".to_owned(),
        "priorityName" => return "Priority".to_owned(),
        "assignedAgentId" => return "Assignee".to_owned(),
        "requestorEmail" => return "Who asks".to_owned(),
        "accountIds" => return "Accounts".to_owned(),
        "memberIds" => return "Members".to_owned(),
        _ => {} // The others say it themselves.
    }
    let stem = name.strip_suffix("Id").or(name.strip_suffix("Name").filter(|it| it.len() > 6));
    capital(&words_of(stem.unwrap_or(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_was_changed_is_answered() {
        let text = FieldType::Text { max: 500 };
        let record = Record::new();
        for (given, present, answered) in [
            (None, "Acme", None),
            (Some("Acme"), "Acme", None),
            (Some("Apex"), "Acme", Some(Ok(json!("Apex")))),
            (Some(""), "Acme", Some(Ok(Value::Null))),
        ] {
            assert_eq!(answer(given, present, &text, Some(&record)), answered, "{given:?}");
        }
        assert_eq!(answer(Some(""), "x", &text, None), None);
        let due = answer(Some("2026-11-24T08:30"), "", &FieldType::Timestamp, None);
        assert_eq!(due, Some(Ok(json!("2026-11-24T08:30:00Z"))));
    }

    #[test]
    fn fields_have_names_for_people() {
        for (name, told) in [
            ("accountOwnerId", "Account owner"),
            ("primaryDomain", "Primary domain"),
            ("name", "Name"),
            ("firstName", "First name"),
        ] {
            assert_eq!(label(name), told, "{name}");
        }
    }
}
