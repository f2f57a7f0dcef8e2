//! Whether a connection works: asked of the other system itself.

use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::error::Error;
use super::principal::Principal;
use crate::activities::outside::mail_server::SMTP_PORT;
use crate::activities::outside::probe::{Heard, Probe};
use crate::activities::outside::slack::SLACK_BASE_URL;
use crate::domain::run::Failure;
use crate::domain::secret::{Mask, Secret};
use crate::store::connections::ConnectionRow;

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
    /// Tries a connection out: Slack is asked who the token is, an HTTP address is called, a mail
    /// server greeted; of a hook it is told whether its secret is set.
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
        let token = self.first_secret(who, &row, &["botToken", "token", "apiKey"])?;
        let activities = self.engine().activities().clone();
        let probe = activities.probe();
        let has_address = row.settings.contains_key("baseUrl");
        let is_signed = ["signingSecret", "webhookSecret", "secret"]
            .iter()
            .any(|name| row.secrets.contains_key(*name));
        let found = match row.app.as_str() {
            "slack" => slack(probe, &row, token.as_ref()).await,
            "smtp" => smtp(probe, &row).await,
            _ if has_address => http(probe, &row, token.as_ref()).await,
            _ if is_signed => Ok(("what is signed by its secret is taken".to_owned(), json!({}))),
            _ => Err(Failure::terminal(
                "no_secret",
                "no signing secret is set, so nothing that comes in is believed",
            )),
        };
        let mask = Mask::new(token.as_ref());
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

    fn first_secret(
        &self,
        who: &Principal,
        row: &ConnectionRow,
        names: &[&str],
    ) -> Result<Option<Secret>, Error> {
        let Some(name) = names.iter().find(|name| row.secrets.contains_key(**name)) else {
            return Ok(None);
        };
        let opened = row.open((self.sealer(), who.tenant), name, self.now());
        let opened = opened.map_err(|error| Error::Internal(error.to_string()))?;
        Ok(opened.into_iter().next())
    }
}

type Found = Result<(String, Value), Failure>;

fn text<'r>(row: &'r ConnectionRow, name: &str) -> Option<&'r str> {
    row.settings.get(name).and_then(Value::as_str)
}

async fn slack(probe: &Probe, row: &ConnectionRow, token: Option<&Secret>) -> Found {
    let Some(token) = token else {
        return Err(Failure::terminal("no_token", "`secrets.botToken` is not set"));
    };
    let base = text(row, "baseUrl").unwrap_or(SLACK_BASE_URL).trim_end_matches('/');
    let Heard { status, body } =
        probe.http(Method::POST, &format!("{base}/auth.test"), Some(token)).await?;
    if body.get("ok") == Some(&Value::Bool(true)) {
        let fact = |name: &str| body.get(name).cloned().unwrap_or(Value::Null);
        let facts = json!({"team": fact("team"), "teamId": fact("team_id"), "user": fact("user"),
            "botId": fact("bot_id"), "url": fact("url")});
        return Ok(("Slack knows the token".to_owned(), facts));
    }
    let error = body.get("error").and_then(Value::as_str).unwrap_or("no reason");
    Err(Failure::terminal("slack_refused", format!("Slack answered {status}: {error}")))
}

async fn http(probe: &Probe, row: &ConnectionRow, token: Option<&Secret>) -> Found {
    let base = text(row, "baseUrl").unwrap_or_default();
    let path = text(row, "testPath").unwrap_or_default();
    let Heard { status, .. } = probe.http(Method::GET, &format!("{base}{path}"), token).await?;
    match status {
        401 | 403 => {
            Err(Failure::terminal("not_allowed", format!("the other side answered {status}")))
        }
        500..=599 => {
            Err(Failure::retryable("not_well", format!("the other side answered {status}")))
        }
        _ => Ok((format!("the other side answered {status}"), json!({ "status": status }))),
    }
}

async fn smtp(probe: &Probe, row: &ConnectionRow) -> Found {
    let Some(host) = text(row, "host") else {
        return Err(Failure::terminal("no_host", "`settings.host` is not set"));
    };
    let port = row.settings.get("port").and_then(Value::as_u64);
    let port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or(SMTP_PORT);
    let able = probe.smtp(host, port).await?;
    Ok((format!("{host}:{port} greets"), json!({ "extensions": able })))
}
