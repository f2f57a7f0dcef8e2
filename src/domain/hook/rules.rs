//! The rules of a connection: the first whose condition holds says which event a delivery becomes.

use serde_json::{Map, Value, json};

use super::Delivery;
use crate::domain::expression::Template;
use crate::domain::filter::Filter;
use crate::domain::problem::{Problem, nearest, pointer_to};

const FIELDS: [&str; 5] = ["when", "type", "id", "subject", "payload"];
const RULES_MAX: usize = 50;
const KIND_CHARS_MAX: usize = 255;

/// Says which event a delivery becomes.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<Rule>);

#[derive(Clone, Debug)]
struct Rule {
    when: Filter,
    kind: Template,
    id: Option<Template>,
    subject: Option<Template>,
    payload: Option<Template>,
}

/// The event that a rule made of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapped {
    /// Its type.
    pub kind: String,
    /// The sender's id, where the rule names one.
    pub id: Option<String>,
    /// What it is about.
    pub subject: Option<String>,
    /// Its payload.
    pub payload: Value,
}

impl Rules {
    /// Reads `settings.rules`, a list or a single rule; `at` is its pointer.
    ///
    /// # Errors
    /// Returns every problem at once.
    pub fn parse(raw: &Value, at: &str) -> Result<Rules, Vec<Problem>> {
        let list = match raw {
            Value::Null => return Ok(Rules::default()),
            Value::Array(items) => items.as_slice(),
            single => std::slice::from_ref(single),
        };
        if list.len() > RULES_MAX {
            let detail = format!("there are more than {RULES_MAX} rules");
            return Err(vec![Problem::new(at, "too_many_rules", detail)]);
        }
        let (mut rules, mut problems) = (Vec::new(), Vec::new());
        for (index, raw_rule) in list.iter().enumerate() {
            let at =
                if raw.is_array() { pointer_to(at, &index.to_string()) } else { at.to_owned() };
            match Rule::parse(raw_rule, &at) {
                Ok(rule) => rules.push(rule),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(Rules(rules)) } else { Err(problems) }
    }

    /// Returns whether there is no rule, so that the sender's own types hold.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns what the first rule that holds makes of a delivery, or `None` when none holds.
    ///
    /// # Errors
    /// Returns why the rule that holds cannot make its event.
    pub fn apply(&self, delivery: &Delivery) -> Result<Option<Mapped>, Problem> {
        let scope = delivery.scope();
        let Some(rule) = self.0.iter().find(|rule| rule.when.matches(&scope)) else {
            return Ok(None);
        };
        let text = |template: &Option<Template>| match template {
            Some(template) => Ok(Some(template.render_text(&scope)?).filter(|it| !it.is_empty())),
            None => Ok::<_, Problem>(None),
        };
        let kind = rule.kind.render_text(&scope)?;
        check_kind(&kind)?;
        Ok(Some(Mapped {
            kind,
            id: text(&rule.id)?,
            subject: text(&rule.subject)?,
            payload: match &rule.payload {
                Some(payload) => payload.render(&scope)?,
                None => delivery.body.clone(),
            },
        }))
    }
}

/// Checks that a text that came from outside can name an event type.
///
/// # Errors
/// Returns what an event type looks like.
pub(super) fn check_kind(kind: &str) -> Result<(), Problem> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.:/".contains(c);
    if !kind.is_empty() && kind.len() <= KIND_CHARS_MAX && kind.chars().all(fits) {
        return Ok(());
    }
    let detail = "the delivery's type must have 1 to 255 letters, digits and `_-.:/`";
    Err(Problem::new("/type", "invalid_type", detail))
}

impl Rule {
    fn parse(raw: &Value, at: &str) -> Result<Rule, Vec<Problem>> {
        let Some(fields) = raw.as_object() else {
            return Err(vec![Problem::new(at, "wrong_type", "a rule is an object")]);
        };
        let mut problems: Vec<Problem> = fields
            .keys()
            .filter(|name| !FIELDS.contains(&name.as_str()))
            .map(|name| unknown(name, at))
            .collect();
        let mut template = |name: &str| {
            let raw = fields.get(name).filter(|value| !value.is_null())?;
            let read = Template::parse(&as_template(name, raw), &pointer_to(at, name));
            read.map_err(|found| problems.extend(found)).ok()
        };
        let (kind, id) = (template("type"), template("id"));
        let (subject, payload) = (template("subject"), template("payload"));
        if !fields.contains_key("type") {
            let detail = "`type` is required: the type of the event";
            problems.push(Problem::new(pointer_to(at, "type"), "required", detail));
        }
        let everything = Value::Object(Map::new());
        let when = fields.get("when").unwrap_or(&everything);
        match (Filter::parse(when, &pointer_to(at, "when")), kind) {
            (Ok(when), Some(kind)) if problems.is_empty() => {
                Ok(Rule { when, kind, id, subject, payload })
            }
            (when, _) => {
                problems.extend(when.err().unwrap_or_default());
                Err(problems)
            }
        }
    }
}

fn unknown(name: &str, at: &str) -> Problem {
    let detail = format!("a rule has no field `{name}`");
    let problem = Problem::new(pointer_to(at, name), "unknown_field", detail);
    match nearest(name, FIELDS) {
        Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
        None => problem.with_hint(format!("the fields are {}", FIELDS.join(", "))),
    }
}

/// A payload that is a plain path stands for what is there, as if it were in braces.
fn as_template(name: &str, raw: &Value) -> Value {
    match raw.as_str() {
        Some(path) if name == "payload" && !path.contains("{{") => json!(format!("{{{{{path}}}}}")),
        _ => raw.clone(),
    }
}
