//! What an expression or a filter can see: one JSON object with the roots of the language.

use serde_json::{Map, Value, json};

/// The roots `trigger`, `steps`, `run`, `workflow`, `tenant`, `vars`, `item` and `error`, as far as
/// they exist where the expression stands; `trigger` is the whole event.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope(Value);

impl Scope {
    /// Returns the scope of a trigger's filter: the event alone.
    #[must_use]
    pub fn of_event(event: Value) -> Scope {
        Scope(json!({ "trigger": event, "steps": {} }))
    }

    /// Returns every root, as one object.
    #[must_use]
    pub fn root(&self) -> &Value {
        &self.0
    }

    /// Returns the event, to be put in place of the one before.
    pub fn event_mut(&mut self) -> &mut Value {
        self.roots().entry("trigger").or_insert(Value::Null)
    }

    /// Sets a root such as `run` or `tenant`.
    pub fn set(&mut self, root: &str, value: Value) {
        self.roots().insert(root.to_owned(), value);
    }

    /// Sets one field of a root that is an object, such as `run.now`.
    pub fn set_field(&mut self, root: &str, field: &str, value: Value) {
        if let Some(fields) = self.roots().get_mut(root).and_then(Value::as_object_mut) {
            fields.insert(field.to_owned(), value);
        }
    }

    /// Removes a root, as when a compensation's `error` goes out of sight.
    pub fn unset(&mut self, root: &str) {
        self.roots().remove(root);
    }

    /// Records a field (`input`, `output`, `status`, `error`) of the step `id`.
    pub fn set_step(&mut self, id: &str, field: &str, value: Value) {
        let steps = self.roots().entry("steps").or_insert_with(|| Value::Object(Map::new()));
        steps[id][field] = value;
    }

    /// Returns what is recorded of the step `id`.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<&Value> {
        self.0.get("steps")?.get(id)
    }

    /// Shows a whole record as that of the step `id`, as the current item of a loop needs it.
    pub fn put_step(&mut self, id: &str, record: Value) {
        let steps = self.roots().entry("steps").or_insert_with(|| Value::Object(Map::new()));
        steps[id] = record;
    }

    /// Forgets everything about the step `id`, as when it is to run again.
    pub fn unset_step(&mut self, id: &str) {
        if let Some(steps) = self.roots().get_mut("steps").and_then(Value::as_object_mut) {
            steps.remove(id);
        }
    }

    fn roots(&mut self) -> &mut Map<String, Value> {
        self.0.as_object_mut().expect("a scope is made as an object and stays one")
    }
}
