//! Reads the parts of a manifest and notes everything that is wrong with them.

use serde_json::{Map, Value};
use url::Url;

use crate::domain::problem::{Problem, nearest, pointer_to};

/// Whether a field must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
}

/// What was found wrong so far.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) problems: Vec<Problem>,
}

type Fields = Map<String, Value>;

impl Reader {
    pub(super) fn report(&mut self, at: &str, code: &str, detail: &str) {
        self.problems.push(Problem::new(at, code, detail));
    }

    pub(super) fn root<'v>(&mut self, raw: &'v Value) -> Option<&'v Fields> {
        if !raw.is_object() {
            self.report("", "wrong_type", "a manifest is an object");
        }
        raw.as_object()
    }

    /// Reports fields that nothing reads.
    pub(super) fn close(&mut self, fields: &Fields, at: &str, known: &[&str]) {
        for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
            let detail = format!("there is no field `{name}` here");
            let problem = Problem::new(pointer_to(at, name), "unknown_field", detail);
            self.problems.push(match nearest(name, known.iter().copied()) {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => problem.with_hint(format!("the fields are {}", known.join(", "))),
            });
        }
    }

    fn field<'v>(
        &mut self,
        fields: &'v Fields,
        at: &str,
        name: &str,
        need: Need,
    ) -> Option<&'v Value> {
        let found = fields.get(name).filter(|value| !value.is_null());
        if found.is_none() && need == Need::Required {
            self.report(&pointer_to(at, name), "required", &format!("`{name}` is required"));
        }
        found
    }

    pub(super) fn object<'v>(
        &mut self,
        fields: &'v Fields,
        at: &str,
        name: &str,
        need: Need,
    ) -> Option<&'v Fields> {
        let found = self.field(fields, at, name, need)?;
        if !found.is_object() {
            self.report(&pointer_to(at, name), "wrong_type", "must be an object");
        }
        found.as_object()
    }

    pub(super) fn text(
        &mut self,
        fields: &Fields,
        at: &str,
        name: &str,
        need: Need,
    ) -> Option<String> {
        let found = self.field(fields, at, name, need)?;
        let text = found.as_str().map(str::trim).map(str::to_owned);
        match text {
            Some(text) if text.is_empty() && need == Need::Required => {
                self.report(&pointer_to(at, name), "empty", "must not be empty");
                None
            }
            Some(text) => Some(text),
            None => {
                self.report(&pointer_to(at, name), "wrong_type", "must be a text");
                None
            }
        }
    }

    fn list<'v>(&mut self, fields: &'v Fields, at: &str, name: &str) -> &'v [Value] {
        match self.field(fields, at, name, Need::Optional) {
            None => &[],
            Some(Value::Array(items)) => items,
            Some(_) => {
                self.report(&pointer_to(at, name), "wrong_type", "must be a list");
                &[]
            }
        }
    }

    /// Returns the items of a list of objects with their places; an item that is a text alone is
    /// refused like everything that is no object.
    pub(super) fn items<'v>(
        &mut self,
        fields: &'v Fields,
        at: &str,
        name: &str,
        items_max: usize,
    ) -> Vec<(String, &'v Fields)> {
        let list = self.list(fields, at, name);
        let place = pointer_to(at, name);
        if list.len() > items_max {
            self.report(&place, "too_many", &format!("has more than {items_max} items"));
        }
        let mut items = Vec::new();
        for (index, item) in list.iter().enumerate().take(items_max) {
            let at = format!("{place}/{index}");
            match item.as_object() {
                Some(fields) => items.push((at, fields)),
                None => self.report(&at, "wrong_type", "must be an object"),
            }
        }
        items
    }

    /// Returns the items of a list of texts with their places.
    pub(super) fn texts(&mut self, fields: &Fields, at: &str, name: &str) -> Vec<(String, String)> {
        let place = pointer_to(at, name);
        let mut texts = Vec::new();
        for (index, item) in self.list(fields, at, name).iter().enumerate() {
            let at = format!("{place}/{index}");
            match item.as_str() {
                Some(text) => texts.push((at, text.trim().to_owned())),
                None => self.report(&at, "wrong_type", "must be a text"),
            }
        }
        texts
    }

    /// Returns a field that is a JSON Schema.
    pub(super) fn schema(&mut self, fields: &Fields, at: &str, name: &str) -> Option<Value> {
        let found = self.field(fields, at, name, Need::Optional)?.clone();
        if let Err(fault) = jsonschema::validator_for(&found) {
            let place = format!("{}{}", pointer_to(at, name), fault.instance_path());
            self.report(&place, "invalid_schema", &format!("is no valid JSON Schema: {fault}"));
        }
        Some(found)
    }

    pub(super) fn one_of(&mut self, at: &str, given: &str, known: &[&str]) {
        if known.contains(&given) {
            return;
        }
        let detail = format!("`{given}` is none of {}", known.join(", "));
        let problem = Problem::new(at, "unknown_value", detail);
        self.problems.push(match nearest(given, known.iter().copied()) {
            Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
            None => problem,
        });
    }

    /// Returns the address at a place of the document.
    pub(super) fn url(&mut self, raw: &Value, at: &str) -> Option<String> {
        let text = raw.pointer(at)?.as_str().map(str::trim).unwrap_or_default();
        if text.is_empty() {
            return None;
        }
        if !is_address(text) {
            self.report(at, "invalid_url", "must be a URL of http or https");
        }
        Some(text.to_owned())
    }
}

/// Returns whether a text is a URL of http or https with a host.
pub(super) fn is_address(text: &str) -> bool {
    let url = Url::parse(text);
    url.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}
