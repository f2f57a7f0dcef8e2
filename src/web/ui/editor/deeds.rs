//! What the buttons of a card do with a step: move, copy, remove, switch off, add.

use serde_json::Value;

use super::changes;
use super::posted::Posted;
use crate::domain::activity::Catalogue;
use crate::domain::trial::sample;
use crate::domain::workflow::outline::outline;

/// Which card is open after a change, and what was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Next {
    /// The pointer of the step that is open; empty for none.
    pub open: String,
    /// The fields that are shown as expressions.
    pub fx: String,
}

/// Changes a document as a form asks: what its fields say first, then what its button does. A form
/// that was made for another step than stands there now changes nothing.
pub fn apply(document: &mut Value, posted: &Posted, catalogue: &Catalogue) -> Next {
    if !is_meant(document, posted) {
        return Next::default();
    }
    let (part, at) = (posted.text("part"), posted.text("at"));
    match part {
        "head" => changes::head(document, posted),
        "trigger" => changes::trigger(document, posted),
        "step" => {
            if let Some(step) = document.pointer_mut(at) {
                changes::step(step, posted);
            }
        }
        _ => {} // A list, which has no fields of its own.
    }
    let stays = Next { open: posted.text("open").to_owned(), fx: posted.text("fx").to_owned() };
    let deed = posted.text("do");
    match deed.split_once(':') {
        Some(("fx", name)) => toggled(stays, name),
        Some(("add", what)) => added(document, at, what, catalogue),
        _ => done(document, at, deed, posted, catalogue).unwrap_or(stays),
    }
}

/// Returns whether the step that a form was made for still stands where it stood.
pub fn is_meant(document: &Value, posted: &Posted) -> bool {
    let Some(was) = posted.given("was") else { return true };
    document.pointer(posted.text("at")).is_some_and(|step| match &step["id"] {
        Value::String(known) => known == was,
        Value::Null => was.is_empty(),
        other => *other == was,
    })
}

fn toggled(stays: Next, name: &str) -> Next {
    let mut names: Vec<&str> = stays.fx.split(',').filter(|name| !name.is_empty()).collect();
    match names.iter().position(|known| *known == name) {
        Some(place) => drop(names.remove(place)),
        None => names.push(name),
    }
    Next { fx: names.join(","), open: stays.open }
}

fn done(
    document: &mut Value,
    at: &str,
    deed: &str,
    posted: &Posted,
    catalogue: &Catalogue,
) -> Option<Next> {
    let (list, index) = at.rsplit_once('/')?;
    let index: usize = index.parse().ok()?;
    let mut taken: Vec<String> = outline(document).into_iter().map(|step| step.id).collect();
    let known: Vec<&str> = catalogue.iter().map(|spec| spec.identifier.as_str()).collect();
    let steps = document.pointer_mut(list)?.as_array_mut()?;
    let length = steps.len();
    let step = steps.get_mut(index)?;
    let mut place = index;
    match deed {
        "up" if index > 0 => {
            place = index - 1;
            steps.swap(index, place);
        }
        "down" if index + 1 < length => {
            place = index + 1;
            steps.swap(index, place);
        }
        "duplicate" => {
            let (mut copy, mut taken) = (step.clone(), taken);
            changes::make_unique(&mut copy, &mut taken);
            place = index + 1;
            steps.insert(place, copy);
        }
        "remove" => {
            steps.remove(index);
            return Some(Next::default());
        }
        "off" => changes::switch_off(step),
        "on" => changes::switch_on(step),
        "suggest" => step["compensate"] = changes::suggested_undo(step, &known)?,
        "way" => changes::add_way(step, &mut taken),
        "insert" => insert_reference(step, posted),
        _ => return None,
    }
    // Only a card that was open stays open.
    let open = if posted.text("open") == at { format!("{list}/{place}") } else { String::new() };
    Some(Next { open, fx: posted.text("fx").to_owned() })
}

/// Puts a reference behind what stands in a field.
fn insert_reference(step: &mut Value, posted: &Posted) {
    let (path, into) = (posted.text("reference"), posted.text("into"));
    if path.is_empty() || into.is_empty() {
        return;
    }
    let segments: Vec<String> = into.split('/').map(str::to_owned).collect();
    let before = segments.iter().try_fold(&*step, |value, name| value.get(name));
    let expression = format!("{{{{ {path} }}}}");
    let text = match before.and_then(Value::as_str) {
        Some(before) if !before.is_empty() => format!("{before} {expression}"),
        _ => expression,
    };
    super::posted::set(step, &segments, Some(Value::from(text)));
}

/// Adds a step at a place of a list and opens its card.
fn added(document: &mut Value, at: &str, what: &str, catalogue: &Catalogue) -> Next {
    let mut taken: Vec<String> = outline(document).into_iter().map(|step| step.id).collect();
    let Some((list, index)) = at.rsplit_once('/') else { return Next::default() };
    if list == "/steps" && document.get("steps").is_none_or(Value::is_null) {
        document["steps"] = Value::Array(Vec::new());
    }
    let steps = document.pointer_mut(list).and_then(Value::as_array_mut);
    let (Some(steps), Ok(index)) = (steps, index.parse::<usize>()) else { return Next::default() };
    let spec = catalogue.find(catalogue.bare(what));
    let mut step = changes::new_step(what, &id_for(what), &required(spec.map(|s| &s.input_schema)));
    changes::make_unique(&mut step, &mut taken);
    let place = index.min(steps.len());
    steps.insert(place, step);
    Next { open: format!("{list}/{place}"), fx: String::new() }
}

/// Makes a short id of an activity's name: `tickets:update-ticket-platform` is `update_ticket`.
fn id_for(what: &str) -> String {
    let name = what.rsplit([':', '.']).next().unwrap_or(what);
    let name = name.strip_suffix("-platform").unwrap_or(name);
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.chars().map(letter).take(40).collect()
}

/// Fields that must be given begin with a sample, so that the form shows what is meant.
fn required(schema: Option<&Value>) -> Vec<(String, Value)> {
    let Some(schema) = schema else { return Vec::new() };
    let names = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let field = |name: &str| {
        let made = match name {
            "id" | "ticketId" => Value::from("{{ trigger.payload.ticket.id }}"),
            name => sample(&schema["properties"][name], 0),
        };
        (name.to_owned(), made)
    };
    names.map(field).collect()
}
