//! What other systems send: who signs how, and which event a delivery becomes.

mod rules;
mod sender;
pub mod slack;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use super::scope::Scope;

pub use rules::{Mapped, Rules};
pub use sender::{SIGNATURES, Sender};

/// A request as it came, its signature checked or not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delivery {
    /// Headers by name in lower case; one that came twice has both values, and signs nothing.
    pub headers: Map<String, Value>,
    /// The parameters of the address.
    pub query: Map<String, Value>,
    /// The body, parsed: JSON, the fields of a form, or a text.
    pub body: Value,
}

impl Delivery {
    /// Returns a header, empty when it did not come.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns what rules see: `body`, `headers` and `query`; a bare path is sought in the body.
    #[must_use]
    pub fn scope(&self) -> Scope {
        let mut scope = Scope::of_event(json!({ "payload": self.body }));
        scope.set("body", self.body.clone());
        scope.set("headers", Value::Object(self.headers.clone()));
        scope.set("query", Value::Object(self.query.clone()));
        scope
    }

    /// Returns the headers that may be kept and shown: those that prove or identify a sender are
    /// masked.
    #[must_use]
    pub fn headers_to_keep(&self, own: Option<&str>) -> Map<String, Value> {
        const SIGNS: [&str; 6] = ["auth", "cookie", "signature", "secret", "token", "key"];
        let kept = self.headers.iter().map(|(name, value)| {
            let is_secret = SIGNS.iter().any(|sign| name.contains(sign))
                || own.is_some_and(|own| own.eq_ignore_ascii_case(name));
            let shown = if is_secret { json!(super::secret::MASKED) } else { value.clone() };
            (name.clone(), shown)
        });
        kept.collect()
    }
}
