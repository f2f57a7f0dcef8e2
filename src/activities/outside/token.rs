//! Asks an authorization server for a token.
//!
//! Source: <https://www.rfc-editor.org/rfc/rfc6749>, sections 4.4, 5 and 6.

use std::time::Duration;

use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::connection::Connection;
use super::http_request::HttpRequest;
use super::proof::Proof;
use crate::activities::OutsideCall;
use crate::domain::connection::{AuthKind, connected_app};
use crate::domain::run::Failure;
use crate::domain::secret::{BoundSecrets, Mask, Secret};

/// How long an authorization server may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long a token is taken to hold when nobody says.
const LIFETIME: Duration = Duration::from_secs(60 * 60);
const SAID_CHARS_MAX: usize = 300;
/// The statuses under which an authorization server explains itself.
const STATUSES: [u16; 4] = [200, 400, 401, 403];
/// Refusals that may pass (RFC 6749, section 4.1.2.1).
const PASSING: [&str; 4] =
    ["temporarily_unavailable", "server_error", "ratelimited", "internal_error"];

/// How a connection gets its tokens.
#[derive(Clone, Debug)]
pub struct Grant {
    url: String,
    fields: Vec<(&'static str, String)>,
    client: Option<(String, Secret)>,
    refresh: Option<Secret>,
    in_body: bool,
}

/// A token as it was given.
#[derive(Clone, Debug)]
pub struct Token {
    /// Proves who asks.
    pub access: Secret,
    /// Takes the place of the refresh token, if it was exchanged too.
    pub refresh: Option<Secret>,
    /// How long it holds.
    pub lifetime: Duration,
}

/// Why there is no token.
#[derive(Clone, Debug)]
pub enum Untold {
    /// The server refuses: asking again changes nothing.
    Refused(String),
    /// It may be given later.
    Later(Failure),
}

impl Grant {
    /// Reads how a connection gets its tokens; `None` when it has what it needs.
    ///
    /// # Errors
    /// Fails for good when something is missing.
    pub fn of(app: &str, connection: &Connection) -> Result<Option<Grant>, Failure> {
        // Of other apps, the names of secrets say nothing.
        let Some(app) = connected_app(app).filter(|_| connection.auth() == AuthKind::OAuth2) else {
            return Ok(None);
        };
        let refresh = connection.secrets.get("refreshToken").cloned();
        let secret = connection.secrets.get("clientSecret").cloned();
        let known = app.token_url;
        // Of a system that is known, a client's secret alone may be there for other reasons.
        let asks = known.is_none() || connection.setting("grant") == Some("client_credentials");
        if refresh.is_none() && (secret.is_none() || !asks) {
            return Ok(None); // A token that somebody put there and that nothing renews.
        }
        let url = match (connection.setting("tokenUrl"), known) {
            (Some(url), _) | (None, Some(url)) => url.to_owned(),
            (None, None) => connection.needed_setting("tokenUrl")?.to_owned(),
        };
        let renews = match connection.setting("grant") {
            Some(grant) => grant == "refresh_token",
            None => refresh.is_some(),
        };
        let refresh = match renews {
            true => Some(connection.needed_secret("refreshToken")?.clone()),
            false => None,
        };
        let client = connection.setting("clientId").map(str::to_owned).zip(secret);
        if client.is_none() && refresh.is_none() {
            connection.needed_setting("clientId")?;
        }
        let mut fields = vec![(
            "grant_type",
            if renews { "refresh_token" } else { "client_credentials" }.to_owned(),
        )];
        for (name, setting) in [("scope", "scope"), ("audience", "audience")] {
            fields.extend(connection.setting(setting).map(|text| (name, text.to_owned())));
        }
        // Those that are known by name take the client's secret in the body.
        let in_body = match connection.setting("clientAuth") {
            Some(how) => how == "body",
            None => known.is_some(),
        };
        if client.is_none() {
            fields.extend(connection.setting("clientId").map(|id| ("client_id", id.to_owned())));
        }
        Ok(Some(Grant { url, fields, client, refresh, in_body }))
    }

    /// Returns the refresh token that it exchanges, if it does.
    #[must_use]
    pub fn refresh(&self) -> Option<&Secret> {
        self.refresh.as_ref()
    }

    fn body(&self) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.fields {
            form.append_pair(name, value);
        }
        if let Some(refresh) = &self.refresh {
            form.append_pair("refresh_token", refresh.expose());
        }
        if let Some((id, secret)) = self.client.as_ref().filter(|_| self.in_body) {
            form.append_pair("client_id", id).append_pair("client_secret", secret.expose());
        }
        form.finish()
    }

    fn proof(&self, url: &Url) -> Proof {
        match self.client.as_ref().filter(|_| !self.in_body) {
            // Both are form-encoded before they are joined (RFC 6749, section 2.3.1).
            Some((id, secret)) => {
                let encoded = |text: &str| -> String {
                    form_urlencoded::byte_serialize(text.as_bytes()).collect()
                };
                let secret = Secret::new(encoded(secret.expose()));
                Proof::basic(url, &encoded(id), &secret)
            }
            None => Proof::nothing(url),
        }
    }

    fn mask(&self) -> Mask {
        let secret = self.client.as_ref().map(|(_, secret)| secret);
        Mask::new(secret.into_iter().chain(&self.refresh))
    }
}

/// Asks for a token.
///
/// # Errors
/// Returns why there is none.
pub(in crate::activities) async fn fetch(
    http: &HttpRequest,
    grant: &Grant,
) -> Result<Token, Untold> {
    let url = Url::parse(&grant.url).map_err(|_| {
        Untold::Refused("`settings.tokenUrl` is no URL such as https://x.test/token".to_owned())
    })?;
    let call = OutsideCall {
        input: json!({
            "method": "POST",
            "url": url.as_str(),
            "headers": {
                "content-type": "application/x-www-form-urlencoded",
                "accept": "application/json",
            },
            "body": grant.body(),
            "expectStatus": STATUSES,
        }),
        idempotency_key: "token".to_owned(),
        timeout: TIMEOUT,
        secrets: BoundSecrets::default(),
        connection: None,
        traceparent: None,
    };
    let answer = http.send(call, Some(grant.proof(&url))).await;
    let answer = answer.map_err(|failure| {
        let message = format!("no token can be had now: {}", failure.message);
        let later = Failure::retryable("token_unavailable", message);
        let pause = failure.retry_after;
        Untold::Later(match pause {
            Some(pause) => later.with_retry_after(pause),
            None => later,
        })
    })?;
    read(&answer["body"], &grant.mask())
}

fn read(body: &Value, mask: &Mask) -> Result<Token, Untold> {
    let Some(access) = body["access_token"].as_str().filter(|token| is_token(token)) else {
        return Err(refusal(body, mask));
    };
    let lifetime = match &body["expires_in"] {
        Value::String(text) => text.parse().ok(),
        number => number.as_u64(),
    };
    let refresh = body["refresh_token"].as_str().filter(|token| is_token(token)).map(Secret::new);
    Ok(Token {
        access: Secret::new(access),
        refresh,
        lifetime: lifetime.map_or(LIFETIME, Duration::from_secs),
    })
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && HeaderValue::from_str(text).is_ok()
}

/// Returns the refusal that an answer without a token is (RFC 6749, section 5.2).
fn refusal(body: &Value, mask: &Mask) -> Untold {
    let code = body["error"].as_str().unwrap_or("no token in the answer");
    let said = [Some(code), body["error_description"].as_str()];
    let said: Vec<&str> = said.into_iter().flatten().collect();
    let said: String = mask.text(&said.join(": ")).chars().take(SAID_CHARS_MAX).collect();
    if PASSING.contains(&code) {
        let message = format!("no token can be had now: {said}");
        return Untold::Later(Failure::retryable("token_unavailable", message));
    }
    Untold::Refused(said)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn connection(settings: Value, secrets: &[&str]) -> Connection {
        let secret = |name: &&str| ((*name).to_owned(), Secret::new(format!("the-{name}")));
        let secrets: BTreeMap<String, Secret> = secrets.iter().map(secret).collect();
        let settings = settings.as_object().cloned().unwrap();
        Connection { name: "it".to_owned(), settings, secrets }
    }

    #[test]
    fn what_is_asked_follows_from_what_is_set() {
        let settings = json!({ "tokenUrl": "https://x.test/t", "clientId": "me", "scope": "a b" });
        let set = connection(settings.clone(), &["clientSecret"]);
        let grant = Grant::of("http", &set).unwrap().expect("a grant");
        assert_eq!(grant.body(), "grant_type=client_credentials&scope=a+b");
        let set = connection(settings, &["clientSecret", "refreshToken"]);
        let grant = Grant::of("linear", &set).unwrap().expect("a grant");
        let expected = "grant_type=refresh_token&scope=a+b&refresh_token=the-refreshToken&\
                        client_id=me&client_secret=the-clientSecret";
        assert_eq!(grant.body(), expected);
        for secrets in [&["token"][..], &["accessToken"], &[]] {
            assert!(Grant::of("http", &connection(json!({}), secrets)).unwrap().is_none());
        }
        let lacking = Grant::of("http", &connection(json!({}), &["clientSecret"]));
        assert_eq!(lacking.unwrap_err().code, "connection_incomplete");
    }

    #[test]
    fn a_refusal_is_told_apart_from_a_delay() {
        let mask = Mask::new([&Secret::new("hunter2-hunter2")]);
        let told = |body: Value| match read(&body, &mask) {
            Ok(token) => format!("{} s", token.lifetime.as_secs()),
            Err(Untold::Refused(said)) => said,
            Err(Untold::Later(failure)) => failure.code,
        };
        assert_eq!(told(json!({ "access_token": "a", "expires_in": 60 })), "60 s");
        assert_eq!(told(json!({ "access_token": "a", "expires_in": "7" })), "7 s");
        assert_eq!(told(json!({ "access_token": "a" })), "3600 s");
        let refused = json!({ "error": "invalid_grant", "error_description": "hunter2-hunter2" });
        assert_eq!(told(refused), "invalid_grant: ***");
        assert_eq!(told(json!({ "error": "temporarily_unavailable" })), "token_unavailable");
        assert_eq!(told(json!({ "access_token": "a\nb" })), "no token in the answer");
    }
}
