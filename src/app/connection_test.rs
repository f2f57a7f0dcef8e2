//! Whether a connection works: asked of the other system itself.

use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::audit::Change;
use super::connections::name_of;
use super::error::Error;
use super::principal::Principal;
use crate::activities::outside::trial::{self, Exchange};
use crate::domain::run::Failure;
use crate::domain::secret::Mask;
use crate::store::connections::ConnectionTestRow;

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
    /// How long the other system took, in milliseconds; null where nobody was asked.
    pub latency_ms: Option<u64>,
    /// What was asked: `{method, url}`; null where nobody was.
    pub request: Value,
    /// What was answered: `{status, body}`, the body only where it is JSON and short.
    pub response: Value,
}

/// How much of an answer is shown, in bytes of JSON.
const BODY_BYTES_SHOWN_MAX: usize = 8 * 1024;

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
        let (mask, (found, exchange)) = match &opened {
            Ok(connection) => {
                let tried = trial::tried(activities.probe(), &row.app, connection).await;
                (Mask::new(connection.secrets.values()), tried)
            }
            Err(failure) => (Mask::default(), (Some(Err(failure.clone())), None)),
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
        let latency = exchange.as_ref().map(|exchange| exchange.took.as_millis());
        let latency_ms = latency.map(|ms| u64::try_from(ms).unwrap_or(u64::MAX));
        let (request, response) = exchange.map_or((Value::Null, Value::Null), |it| said(it, &mask));
        let detail = mask.text(&detail);
        let (at, by) = (self.now(), name_of(who));
        let noted = ConnectionTestRow { at, by, ok, detail: detail.clone(), latency_ms };
        self.note_test(who, name, noted).await?;
        Ok(ConnectionTest {
            ok,
            detail,
            facts: mask.value(facts),
            signing_secret_set: is_signed,
            hook_path: view.hook_path,
            latency_ms,
            request,
            response,
        })
    }

    /// Remembers what a test found, so that lists can tell how a connection fares.
    async fn note_test(
        &self,
        who: &Principal,
        name: &str,
        row: ConnectionTestRow,
    ) -> Result<(), Error> {
        let name = name.to_owned();
        let change = Change::of("connection.test", name.as_str());
        self.write(who, change, move |tx, change| {
            // It may have been removed while it was tried.
            if tx.view().connection(&name)?.is_some() {
                tx.put_connection_test(&name, &row);
            }
            change.after(&row);
            Ok(())
        })
        .await
    }
}

fn said(exchange: Exchange, mask: &Mask) -> (Value, Value) {
    let url = mask.text(&exchange.url);
    let body = match exchange.body.to_string().len() <= BODY_BYTES_SHOWN_MAX {
        true => mask.value(exchange.body),
        false => Value::Null,
    };
    let response = exchange.status.map(|status| json!({ "status": status, "body": body }));
    (json!({ "method": exchange.method, "url": url }), response.unwrap_or_default())
}
