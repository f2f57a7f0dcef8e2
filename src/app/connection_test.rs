//! Whether a connection works: asked of the other system itself.

use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::error::Error;
use super::principal::Principal;
use crate::activities::outside::trial;
use crate::domain::run::Failure;
use crate::domain::secret::Mask;

/// What a test of a connection found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionTest {
    /// Whether it works as far as can be told.
    pub ok: bool,
    /// What was found, for a person.
    pub detail: String,
    /// What the other system told of itself.
    pub facts: Value,
    /// Whether what comes in can be believed.
    pub signing_secret_set: bool,
    /// The path that the other system sends to.
    pub hook_path: String,
}

impl App {
    /// Tries a connection out: whoever is behind it is asked something that changes nothing; of a
    /// hook it is told whether its secret is set.
    ///
    /// # Errors
    /// `NotFound` when there is none; that it does not work is no error.
    pub async fn test_connection(
        &self,
        who: &Principal,
        name: &str,
    ) -> Result<ConnectionTest, Error> {
        let view = self.connection(who, name)?;
        let row = self.connection_row(who.tenant, name)?;
        let activities = self.engine().activities().clone();
        let is_signed = ["signingSecret", "webhookSecret", "secret"]
            .iter()
            .any(|name| row.secrets.contains_key(*name));
        let opened = self.engine().connection(who.tenant, name.to_owned()).await?;
        let (mask, found) = match &opened {
            Ok(connection) => {
                let found = trial::tried(activities.probe(), &row.app, connection).await;
                (Mask::new(connection.secrets.values()), found)
            }
            Err(failure) => (Mask::default(), Some(Err(failure.clone()))),
        };
        let found = found.unwrap_or_else(|| match is_signed {
            true => Ok(("what is signed by its secret is taken".to_owned(), json!({}))),
            false => Err(Failure::terminal(
                "no_secret",
                "no signing secret is set, so nothing that comes in is believed",
            )),
        });
        let (ok, detail, facts) = match found {
            Ok((detail, facts)) => (true, detail, facts),
            Err(failure) => (false, failure.message.clone(), json!({ "code": failure.code })),
        };
        Ok(ConnectionTest {
            ok,
            detail: mask.text(&detail),
            facts: mask.value(facts),
            signing_secret_set: is_signed,
            hook_path: view.hook_path,
        })
    }
}
