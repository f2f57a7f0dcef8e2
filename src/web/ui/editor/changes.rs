//! What the forms of the editor change in a document.

use serde_json::{Map, Value, json};

use super::posted::{Posted, set, value_of};
use crate::domain::workflow::outline::kind_of;

/// Changes the head of a document: title, description, what limits its runs.
pub fn head(document: &mut Value, posted: &Posted) {
    let Some(fields) = object(document) else { return };
    for name in ["title", "description", "timeout"] {
        if let Some(typed) = posted.given(name) {
            put(fields, name, value_of("text", typed));
        }
    }
    if let Some(typed) = posted.given("concurrency") {
        put(fields, "concurrency", value_of("json", typed));
    }
}

/// Changes the trigger to what its card says; one that says nothing changes nothing.
pub fn trigger(document: &mut Value, posted: &Posted) {
    let Some(read) = super::trigger::read(&posted.0) else { return };
    let Some(fields) = object(document) else { return };
    let is_new = !fields.contains_key("trigger");
    if !(is_new && read == "manual") {
        put(fields, "trigger", Some(read));
    }
}

/// Changes a step by what its card posted; fields that were not on it stay.
pub fn step(step: &mut Value, posted: &Posted) {
    let Some(fields) = object(step) else { return };
    if let Some(id) = posted.given("id").map(str::trim).filter(|id| !id.is_empty()) {
        put(fields, "id", Some(json!(id)));
    }
    activity(fields, posted);
    undo(fields, posted);
    let mut whole = Value::Object(std::mem::take(fields));
    for (path, kind, typed) in posted.inputs() {
        set(&mut whole, &path, value_of(kind, typed));
    }
    *step = whole;
}

fn activity(fields: &mut Map<String, Value>, posted: &Posted) {
    let Some(typed) = posted.given("activity").map(str::trim) else { return };
    let before = fields.get("activity").and_then(Value::as_str).unwrap_or_default().to_owned();
    if typed.is_empty() || typed == before {
        return;
    }
    put(fields, "activity", Some(json!(typed)));
}

fn undo(fields: &mut Map<String, Value>, posted: &Posted) {
    let Some(choice) = posted.given("undo") else { return };
    match choice {
        "default" => put(fields, "compensate", None),
        "auto" | "none" => put(fields, "compensate", Some(json!(choice))),
        _ => {
            let activity = posted.text("undo-activity").trim();
            if activity.is_empty() {
                return; // The form asks for it; what stood there stays until then.
            }
            let input = value_of("json", posted.text("undo-input")).unwrap_or_else(|| json!({}));
            let before = fields.get("compensate").filter(|before| before.is_object()).cloned();
            let mut undo = before.unwrap_or_else(|| json!({}));
            set(&mut undo, &["activity".to_owned()], Some(json!(activity)));
            if let Some(fields) = undo.as_object_mut() {
                fields.insert("input".to_owned(), input);
            }
            put(fields, "compensate", Some(undo));
        }
    }
}

fn object(value: &mut Value) -> Option<&mut Map<String, Value>> {
    if value.is_null() {
        *value = json!({});
    }
    value.as_object_mut()
}

fn put(fields: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    match value {
        Some(value) => drop(fields.insert(name.to_owned(), value)),
        None => drop(fields.shift_remove(name)),
    }
}

/// The condition that never holds, which is how a step is switched off without being lost.
fn never() -> Value {
    json!({"run.id": {"~isnull": true}})
}

/// Returns whether a step is switched off.
pub fn is_off(step: &Value) -> bool {
    let condition = &step["if"];
    *condition == never() || condition["~and"].get(0).is_some_and(|first| *first == never())
}

/// Switches a step off: it keeps its condition beside one that never holds.
pub fn switch_off(step: &mut Value) {
    let Some(fields) = object(step) else { return };
    let condition = match fields.get("if") {
        Some(condition) => json!({"~and": [never(), condition]}),
        None => never(),
    };
    fields.insert("if".to_owned(), condition);
}

/// Switches a step on again, with the condition that it had.
pub fn switch_on(step: &mut Value) {
    let Some(fields) = object(step) else { return };
    let kept = fields.get("if").and_then(|condition| condition["~and"].get(1)).cloned();
    put(fields, "if", kept);
}

/// Makes a step of a kind, or one that calls an activity.
pub fn new_step(what: &str, id: &str, required: &[(String, Value)]) -> Value {
    match what {
        "sleep" => json!({"id": id, "sleep": "1h"}),
        "waitFor" => json!({"id": id, "waitFor": {"event": "ticket:created", "timeout": "1d"}}),
        "approval" => json!({"id": id, "sleep": "1s",
            "approval": {"approvers": ["role:owner"], "timeout": "24h", "onTimeout": "reject"}}),
        "run" => json!({"id": id, "run": {"workflow": "", "input": {}, "wait": true}}),
        "branch" => json!({"id": id, "branch": [
            {"if": {"trigger.type": {"~isnull": false}}, "steps": [pause("first")]},
            {"else": true, "steps": [pause("otherwise")]}]}),
        "forEach" => json!({"id": id, "forEach": {"items": "{{ trigger.payload.items }}",
            "as": "item", "steps": [pause("each")]}}),
        "parallel" => json!({"id": id, "parallel": [[pause("one")], [pause("other")]]}),
        activity => {
            let input: Map<String, Value> = required.iter().cloned().collect();
            json!({"id": id, "activity": activity, "input": input})
        }
    }
}

fn pause(id: &str) -> Value {
    json!({"id": id, "sleep": "1s"})
}

/// Gives the steps inside a new or copied step ids that nothing else has.
pub fn make_unique(step: &mut Value, taken: &mut Vec<String>) {
    if let Some(id) = step["id"].as_str() {
        let id = free_id(id, taken);
        taken.push(id.clone());
        step["id"] = json!(id);
    }
    for inner in crate::domain::workflow::outline::inner_lists(step, "") {
        let steps = step.pointer_mut(&inner.at).and_then(Value::as_array_mut);
        steps.into_iter().flatten().for_each(|step| make_unique(step, taken));
    }
}

/// Returns an id that is not taken, as near to the wanted one as possible.
pub fn free_id(wanted: &str, taken: &[String]) -> String {
    let is_free = |id: &String| !taken.contains(id);
    let base = wanted.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
    let base = if base.is_empty() { "step" } else { base };
    let first = Some(wanted.to_owned()).filter(|id| !id.is_empty() && is_free(id));
    let more = (2..).map(|number| format!("{base}_{number}"));
    first.into_iter().chain(more).find(is_free).expect("numbers do not end")
}

/// Adds a way to a branch, or a list to what happens at the same time.
pub fn add_way(step: &mut Value, taken: &mut Vec<String>) {
    let mut first = pause("way");
    make_unique(&mut first, taken);
    match kind_of(step) {
        "branch" => {
            let Some(ways) = step["branch"].as_array_mut() else { return };
            let before_else = ways.iter().position(|way| way.get("else").is_some());
            let way = json!({"if": {"trigger.type": {"~isnull": false}}, "steps": [first]});
            ways.insert(before_else.unwrap_or(ways.len()), way);
        }
        "parallel" => {
            let place =
                if step["parallel"].is_array() { "/parallel" } else { "/parallel/branches" };
            let ways = step.pointer_mut(place).and_then(Value::as_array_mut);
            ways.into_iter().for_each(|ways| ways.push(json!([first])));
        }
        _ => {} // The others have no ways.
    }
}

/// Suggests how a step of an activity is undone, from its name and the activities that there are.
pub fn suggested_undo(step: &Value, known: &[&str]) -> Option<Value> {
    const PAIRS: [(&str, &str, &str); 9] = [
        ("postMessage", "deleteMessage", "ts"),
        ("create-comment", "delete-comment", "id"),
        ("create-ticket", "archive-ticket", "id"),
        ("archive-ticket", "unarchive-ticket", "id"),
        ("unarchive-ticket", "archive-ticket", "id"),
        ("add-tags", "remove-tags", "id"),
        ("remove-tags", "add-tags", "id"),
        ("add-reaction", "remove-reaction", "id"),
        ("create", "delete", "id"),
    ];
    if kind_of(step) != "activity" {
        return None;
    }
    let (activity, id) = (step["activity"].as_str()?, step["id"].as_str()?);
    PAIRS.iter().find_map(|(done, undone, key)| {
        let wanted = activity.replacen(done, undone, 1);
        let is_other = wanted != activity && known.contains(&wanted.as_str());
        let mut input = json!({*key: format!("{{{{ steps.{id}.output.{key} }}}}")});
        if *key == "ts" {
            input["channel"] = json!(format!("{{{{ steps.{id}.output.channel }}}}"));
        }
        is_other.then(|| json!({"activity": wanted, "input": input}))
    })
}
