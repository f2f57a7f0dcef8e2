//! A connection as a call gets it: its settings, and its secrets for this call alone.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::domain::run::Failure;
use crate::domain::secret::Secret;

/// Another system with what is needed to speak to it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its name.
    pub name: String,
    /// What is not secret.
    pub settings: Map<String, Value>,
    /// The newest value of each secret that holds.
    pub secrets: BTreeMap<String, Secret>,
}

impl Connection {
    /// Returns a setting that is a text with something in it.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
    }

    /// Returns a setting that the call cannot do without.
    ///
    /// # Errors
    /// Fails for good when it is not set.
    pub fn needed_setting(&self, name: &str) -> Result<&str, Failure> {
        self.setting(name).ok_or_else(|| self.lacks(&format!("settings.{name}")))
    }

    /// Returns a secret that the call cannot do without.
    ///
    /// # Errors
    /// Fails for good when it is not set.
    pub fn needed_secret(&self, name: &str) -> Result<&Secret, Failure> {
        self.secrets.get(name).ok_or_else(|| self.lacks(&format!("secrets.{name}")))
    }

    fn lacks(&self, what: &str) -> Failure {
        let name = &self.name;
        let message = format!(
            "the connection `{name}` has no `{what}`; set it with PATCH /v1/connections/{name}"
        );
        Failure::terminal("connection_incomplete", message)
    }
}
