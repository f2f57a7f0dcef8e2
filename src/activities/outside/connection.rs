//! A connection as a call gets it: its settings, and its secrets for this call alone.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use url::Url;

use crate::domain::connection::AuthKind;
use crate::domain::run::Failure;
use crate::domain::secret::Secret;

/// The secret that an authorization server gave for a while.
pub const ACCESS_TOKEN: &str = "accessToken";

/// Notes in a failure that the other system does not believe who asks.
pub(super) fn refuse_credentials(failure: &mut Failure) {
    if !failure.details.is_object() {
        *failure.details = json!({});
    }
    failure.details["code"] = json!("unauthorized");
    failure.details["credentials"] = json!("refused");
}

/// Returns whether the other system did not believe who asked, so that nothing was done.
#[must_use]
pub fn refuses_credentials(failure: &Failure) -> bool {
    failure.details.get("credentials").is_some_and(|told| told == "refused")
}

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

    /// Returns how it proves who asks: as its settings say, or as its secrets show.
    #[must_use]
    pub fn auth(&self) -> AuthKind {
        AuthKind::of(&self.settings, |name| self.secrets.contains_key(name))
    }

    /// Returns the address that its calls begin with.
    ///
    /// # Errors
    /// Fails for good when there is none.
    pub fn base(&self, standard: Option<&str>) -> Result<Url, Failure> {
        let text = match (self.setting("baseUrl"), standard) {
            (Some(text), _) | (None, Some(text)) => text,
            (None, None) => self.needed_setting("baseUrl")?,
        };
        Url::parse(text.trim()).map_err(|_| {
            let message = "`settings.baseUrl` is no URL such as https://api.example.com";
            Failure::terminal("connection_incomplete", message)
        })
    }

    fn lacks(&self, what: &str) -> Failure {
        let name = &self.name;
        let message = format!(
            "the connection `{name}` has no `{what}`; set it with PATCH /v1/connections/{name}"
        );
        Failure::terminal("connection_incomplete", message)
    }
}
