//! Values that are shown to nobody: they have no way to be printed, logged or stored as they are.

mod bound;
mod mask;

use std::fmt;

pub use bound::{BoundSecret, BoundSecrets, NotBound, marker};
pub use mask::{MASKED, Mask};

/// A text that must not be seen; only [`Secret::expose`] gives it away.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text secret.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// Returns the text, for the one place that must have it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(***)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(MASKED)
    }
}

impl serde::Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASKED)
    }
}

/// Returns whether a secret that is bound to `hosts` may go to `host`: a bound host is a name, or
/// `*.` and a name for everything below it. A secret that is bound to no host goes nowhere.
#[must_use]
pub fn may_go_to(hosts: &[String], host: &str) -> bool {
    let host = host.trim_end_matches('.').to_lowercase();
    hosts.iter().any(|bound| {
        let bound = bound.to_lowercase();
        match bound.strip_prefix("*.") {
            Some(domain) => {
                host.strip_suffix(domain).is_some_and(|sub| sub.len() > 1 && sub.ends_with('.'))
            }
            None => host == bound,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_prints_shows_the_text() {
        let secret = Secret::new("hunter2-hunter2");
        let shown = format!("{secret} {secret:?} {}", serde_json::json!(secret));
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(secret.expose(), "hunter2-hunter2");
    }

    #[test]
    fn a_secret_goes_only_where_it_is_bound_to() {
        for (bound, host, allowed) in [
            (&["api.example.com"][..], "api.example.com", true),
            (&["api.example.com"], "API.example.com.", true),
            (&["api.example.com"], "evil.api.example.com", false),
            (&["api.example.com"], "api.example.com.evil.test", false),
            (&["*.example.com"], "a.b.example.com", true),
            (&["*.example.com"], "example.com", false),
            (&["*.example.com"], "evilexample.com", false),
            (&["127.0.0.1"], "127.0.0.1", true),
            (&[], "api.example.com", false),
        ] {
            let bound: Vec<String> = bound.iter().map(|host| (*host).to_owned()).collect();
            assert_eq!(may_go_to(&bound, host), allowed, "{bound:?} {host}");
        }
    }
}
