//! Tries a connection out: a question to the other system that changes nothing there.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::ai_prompt::AI_BASE_URL;
use super::connection::{ACCESS_TOKEN, Connection};
use super::linear::LINEAR_BASE_URL;
use super::mail_server::SMTP_PORT;
use super::probe::{Heard, Probe};
use super::proof::{Proof, place};
use super::slack;
use crate::domain::run::Failure;

/// What was found, for a person, and what the other system told of itself.
pub type Found = Result<(String, Value), Failure>;

/// The question that was asked and its answer, without what proves who asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// The method, or the command of another protocol.
    pub method: String,
    /// Where it went.
    pub url: String,
    /// The status of the answer; `None` where none came.
    pub status: Option<u16>,
    /// The body of the answer where it is JSON, else null.
    pub body: Value,
    /// How long it took.
    pub took: Duration,
}

/// Asks one question and keeps what was said.
struct Asker<'p> {
    probe: &'p Probe,
    exchange: Option<Exchange>,
}

/// Tries a connection of an app out, and tells what was found and what was said; nothing was found
/// where there is nothing to ask.
pub async fn tried(
    probe: &Probe,
    app: &str,
    connection: &Connection,
) -> (Option<Found>, Option<Exchange>) {
    let mut asker = Asker { probe, exchange: None };
    let found = match app {
        "slack" => of_slack(&mut asker, connection).await,
        "jira" => of_jira(&mut asker, connection).await,
        "linear" => of_linear(&mut asker, connection).await,
        "ai" => of_ai(&mut asker, connection).await,
        "smtp" => of_smtp(&mut asker, connection).await,
        _ if connection.setting("baseUrl").is_some() => of_http(&mut asker, connection).await,
        _ => return (None, None), // It is a hook alone.
    };
    (Some(found), asker.exchange)
}

async fn asked(
    asker: &mut Asker<'_>,
    base: &Url,
    proof: &Proof,
    (method, path, body): (Method, &str, Option<Value>),
) -> Result<Heard, Failure> {
    let url = place(base, path)?;
    let mut headers = HeaderMap::new();
    proof.show(&url, &mut headers).ok_or_else(|| {
        Failure::terminal("connection_incomplete", "the secret cannot stand in a header")
    })?;
    let (named, began) = (method.to_string(), Instant::now());
    let heard = asker.probe.ask(method, proof.shown_in(&url).as_str(), headers, body).await;
    asker.exchange = Some(Exchange {
        method: named,
        url: url.to_string(),
        status: heard.as_ref().ok().map(|heard| heard.status),
        body: heard.as_ref().map_or(Value::Null, |heard| heard.body.clone()),
        took: began.elapsed(),
    });
    heard
}

async fn of_slack(asker: &mut Asker<'_>, connection: &Connection) -> Found {
    let (base, proof) = slack::base_and_proof(connection)?;
    let Heard { status, body } =
        asked(asker, &base, &proof, (Method::POST, "auth.test", None)).await?;
    if body["ok"] == true {
        let facts = json!({"team": body["team"], "teamId": body["team_id"], "user": body["user"],
            "botId": body["bot_id"], "url": body["url"]});
        return Ok(("Slack knows the token".to_owned(), facts));
    }
    let error = body["error"].as_str().unwrap_or("no reason");
    Err(Failure::terminal("slack_refused", format!("Slack answered {status}: {error}")))
}

async fn of_jira(asker: &mut Asker<'_>, connection: &Connection) -> Found {
    let base = connection.base(None)?;
    let proof = match connection.secrets.get(ACCESS_TOKEN) {
        Some(token) => Proof::bearer(&base, token),
        None => {
            let email = connection.needed_setting("email")?;
            Proof::basic(&base, email, connection.needed_secret("apiToken")?)
        }
    };
    let heard = asked(asker, &base, &proof, (Method::GET, "rest/api/3/myself", None)).await?;
    let body = well("Jira", &heard)?;
    let facts = json!({"accountId": body["accountId"], "name": body["displayName"],
        "email": body["emailAddress"]});
    Ok(("Jira knows who asks".to_owned(), facts))
}

async fn of_linear(asker: &mut Asker<'_>, connection: &Connection) -> Found {
    let base = connection.base(Some(LINEAR_BASE_URL))?;
    let proof = match connection.secrets.get(ACCESS_TOKEN) {
        Some(token) => Proof::bearer(&base, token),
        None => Proof::header(&base, AUTHORIZATION, connection.needed_secret("apiKey")?),
    };
    let query = json!({ "query": "{ viewer { id name email organization { name } } }" });
    let heard = asked(asker, &base, &proof, (Method::POST, "graphql", Some(query))).await?;
    if let Some(message) = heard.body["errors"][0]["message"].as_str() {
        return Err(Failure::terminal("linear_refused", format!("Linear answered: {message}")));
    }
    let viewer = &well("Linear", &heard)?["data"]["viewer"];
    let facts = json!({"name": viewer["name"], "email": viewer["email"],
        "organization": viewer["organization"]["name"]});
    Ok(("Linear knows who asks".to_owned(), facts))
}

async fn of_ai(asker: &mut Asker<'_>, connection: &Connection) -> Found {
    let base = connection.base(Some(AI_BASE_URL))?;
    let proof = match connection.secrets.get("apiKey") {
        Some(key) => Proof::bearer(&base, key),
        None => Proof::nothing(&base),
    };
    let path = if matches!(base.path(), "" | "/") { "v1/models" } else { "models" };
    let heard = asked(asker, &base, &proof, (Method::GET, path, None)).await?;
    let body = well("the endpoint", &heard)?;
    let names: Vec<&Value> =
        body["data"].as_array().into_iter().flatten().map(|model| &model["id"]).take(100).collect();
    let wanted = connection.setting("model");
    let is_there =
        wanted.is_none_or(|wanted| names.is_empty() || names.iter().any(|it| **it == wanted));
    if !is_there {
        let message = format!("the endpoint has no model `{}`", wanted.unwrap_or_default());
        return Err(Failure::terminal("model_unknown", message));
    }
    Ok((format!("the endpoint has {} models", names.len()), json!({ "models": names })))
}

async fn of_http(asker: &mut Asker<'_>, connection: &Connection) -> Found {
    let base = connection.base(None)?;
    let proof = Proof::of(connection, &base)?;
    let path = connection.setting("testPath").unwrap_or_default();
    let heard = asked(asker, &base, &proof, (Method::GET, path, None)).await?;
    if !matches!(heard.status, 401 | 403 | 500..=599) {
        let told = format!("the other side answered {}", heard.status);
        return Ok((told, json!({ "status": heard.status })));
    }
    well("the other side", &heard).map(|_| (String::new(), Value::Null))
}

async fn of_smtp(asker: &mut Asker<'_>, connection: &Connection) -> Found {
    let host = connection.needed_setting("host")?;
    let port = connection.settings.get("port").and_then(Value::as_u64);
    let port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or(SMTP_PORT);
    let began = Instant::now();
    let able = asker.probe.smtp(host, port).await;
    asker.exchange = Some(Exchange {
        method: "EHLO".to_owned(),
        url: format!("{host}:{port}"),
        status: able.is_ok().then_some(250),
        body: able.as_ref().map_or(Value::Null, |able| json!(able)),
        took: began.elapsed(),
    });
    Ok((format!("{host}:{port} greets"), json!({ "extensions": able? })))
}

/// Returns the body of an answer that is well, or what is wrong with it.
fn well<'h>(who: &str, heard: &'h Heard) -> Result<&'h Value, Failure> {
    let status = heard.status;
    match status {
        200..=299 => Ok(&heard.body),
        401 | 403 => Err(Failure::terminal(
            "not_allowed",
            format!("{who} answered {status}: it does not believe who asks"),
        )),
        500..=599 => Err(Failure::retryable("not_well", format!("{who} answered {status}"))),
        _ => Err(Failure::terminal(
            "not_it",
            format!("{who} answered {status}; look at `settings.baseUrl`"),
        )),
    }
}
