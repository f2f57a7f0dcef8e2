//! The systems that a connection can lead to, as data: from it come checks, the API's list and docs.

use serde::Serialize;
use serde_json::{Map, Value};

use super::problem::{Problem, nearest, pointer_to};

/// How a connection proves who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthKind {
    /// Not at all.
    None,
    /// `settings.username` and `secrets.password` (RFC 7617).
    Basic,
    /// `secrets.token` (RFC 6750).
    Bearer,
    /// `secrets.apiKey` as the header `settings.headerName`.
    Header,
    /// `secrets.apiKey` as the parameter `settings.queryName` of every address.
    Query,
    /// A token that `settings.tokenUrl` gives for a while (RFC 6749).
    OAuth2,
}

impl AuthKind {
    /// Every kind by the name that settings use.
    pub const NAMES: [(&'static str, AuthKind); 6] = [
        ("none", AuthKind::None),
        ("basic", AuthKind::Basic),
        ("bearer", AuthKind::Bearer),
        ("header", AuthKind::Header),
        ("query", AuthKind::Query),
        ("oauth2", AuthKind::OAuth2),
    ];

    /// Returns what `settings.auth` says, or else what the secrets that are set are good for.
    #[must_use]
    pub fn of(settings: &Map<String, Value>, has_secret: impl Fn(&str) -> bool) -> AuthKind {
        let named = settings.get("auth").and_then(Value::as_str);
        let found = AuthKind::NAMES.iter().find(|(name, _)| Some(*name) == named);
        if let Some((_, kind)) = found {
            return *kind;
        }
        let shown = [
            ("clientSecret", AuthKind::OAuth2),
            ("refreshToken", AuthKind::OAuth2),
            ("accessToken", AuthKind::OAuth2),
            ("token", AuthKind::Bearer),
            ("password", AuthKind::Basic),
            ("apiKey", AuthKind::Header),
        ];
        let set = shown.iter().find(|(name, _)| has_secret(name));
        set.map_or(AuthKind::None, |(_, kind)| *kind)
    }
}

/// What a setting or secret holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Holds {
    /// A text.
    Text,
    /// An address of the web.
    Url,
    /// A number.
    Number,
    /// An object.
    Object,
}

/// One setting or secret of an app's connections.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    #[serde(rename = "type")]
    pub holds: Holds,
    /// What it is for.
    pub description: &'static str,
    /// The words that it can be; empty where it can be anything.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub choices: &'static [&'static str],
}

/// A kind of system that a connection can lead to.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectedApp {
    /// The name that connections use as their `app`.
    pub app: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// What it is for and what proves who asks.
    pub description: &'static str,
    /// Where its calls begin unless `settings.baseUrl` says otherwise.
    pub base_url: Option<&'static str>,
    /// Where its tokens come from unless `settings.tokenUrl` says otherwise.
    pub token_url: Option<&'static str>,
    /// What is not secret.
    pub settings: &'static [Field],
    /// What is.
    pub secrets: &'static [Field],
}

const fn text(name: &'static str, description: &'static str) -> Field {
    Field { name, holds: Holds::Text, description, choices: &[] }
}

const fn url(name: &'static str, description: &'static str) -> Field {
    Field { name, holds: Holds::Url, description, choices: &[] }
}

const fn number(name: &'static str, description: &'static str) -> Field {
    Field { name, holds: Holds::Number, description, choices: &[] }
}

const fn choice(
    name: &'static str,
    description: &'static str,
    choices: &'static [&'static str],
) -> Field {
    Field { name, holds: Holds::Text, description, choices }
}

const BASE: Field = url("baseUrl", "The address that its calls begin with.");
const TOKEN_URL: Field = url("tokenUrl", "Where tokens come from (RFC 6749, section 3.2).");
const CLIENT_ID: Field = text("clientId", "The client's id at the authorization server.");
const SCOPE: Field = text("scope", "The scopes to ask for, with spaces between them.");
const GRANT: Field = choice(
    "grant",
    "How tokens are asked for; `refresh_token` where a refresh token is set.",
    &["client_credentials", "refresh_token"],
);
const CLIENT_AUTH: Field = choice(
    "clientAuth",
    "Whether the client's secret goes in the header or in the body.",
    &["basic", "body"],
);
const CLIENT_SECRET: Field = text("clientSecret", "The client's secret.");
const REFRESH_TOKEN: Field =
    text("refreshToken", "Exchanged for access tokens; a new one takes its place by itself.");
const ACCESS_TOKEN: Field = text("accessToken", "The token of the moment; renewed by itself.");
const SIGNING: Field = text("signingSecret", "Proves that what comes in is from there.");

/// Every kind of system that is known; a connection to another one takes what is sent to its hook.
pub const CONNECTED_APPS: [ConnectedApp; 9] = [
    ConnectedApp {
        app: "slack",
        title: "Slack",
        description: "A bot token, or OAuth with rotating tokens.",
        base_url: Some("https://slack.com/api"),
        token_url: Some("https://slack.com/api/oauth.v2.access"),
        settings: &[BASE, TOKEN_URL, CLIENT_ID],
        secrets: &[
            text("botToken", "The token of the bot, which begins with xoxb-."),
            SIGNING,
            CLIENT_SECRET,
            REFRESH_TOKEN,
            ACCESS_TOKEN,
        ],
    },
    ConnectedApp {
        app: "jira",
        title: "Jira",
        description: "A mail address with its API token, or OAuth; `baseUrl` is the site, or \
                      https://api.atlassian.com/ex/jira/ and the cloud's id with OAuth.",
        base_url: None,
        token_url: Some("https://auth.atlassian.com/oauth/token"),
        settings: &[
            BASE,
            text("email", "The mail address that the API token belongs to."),
            text("project", "The key of the project that issues are made in by default."),
            text("issueType", "The type that issues have by default; Task unless told."),
            TOKEN_URL,
            CLIENT_ID,
            SCOPE,
        ],
        secrets: &[
            text("apiToken", "The API token of the mail address."),
            CLIENT_SECRET,
            REFRESH_TOKEN,
            ACCESS_TOKEN,
        ],
    },
    ConnectedApp {
        app: "linear",
        title: "Linear",
        description: "A personal API key, or OAuth.",
        base_url: Some("https://api.linear.app"),
        token_url: Some("https://api.linear.app/oauth/token"),
        settings: &[
            BASE,
            text("teamId", "The id of the team that issues are made in by default."),
            TOKEN_URL,
            CLIENT_ID,
            SCOPE,
        ],
        secrets: &[
            text("apiKey", "A personal API key."),
            text("signingSecret", "Proves that what comes in is from there."),
            CLIENT_SECRET,
            REFRESH_TOKEN,
            ACCESS_TOKEN,
        ],
    },
    ConnectedApp {
        app: "ai",
        title: "AI model",
        description: "Any endpoint that speaks the chat completions of OpenAI.",
        base_url: Some("https://api.openai.com/v1"),
        token_url: None,
        settings: &[
            BASE,
            text("model", "The model that is asked by default."),
            number("inputPrice", "What a million tokens of input cost."),
            number("outputPrice", "What a million tokens of output cost."),
            text("currency", "In which the prices are; USD unless told."),
            choice(
                "maxTokensName",
                "What the endpoint calls the limit of its answer; max_tokens unless told.",
                &["max_tokens", "max_completion_tokens"],
            ),
            Field {
                name: "headers",
                holds: Holds::Object,
                description: "Headers of every call.",
                choices: &[],
            },
        ],
        secrets: &[text("apiKey", "Shown as a bearer token; may be left out inside a network.")],
    },
    ConnectedApp {
        app: "http",
        title: "HTTP",
        description: "Any API: a base address, headers for every call, and what proves who asks.",
        base_url: None,
        token_url: None,
        settings: &[
            BASE,
            choice(
                "auth",
                "How it proves who asks; what the secrets show unless told.",
                &["none", "basic", "bearer", "header", "query", "oauth2"],
            ),
            Field {
                name: "headers",
                holds: Holds::Object,
                description: "Headers of every call.",
                choices: &[],
            },
            text("username", "With `basic`: the name."),
            text("headerName", "With `header`: the header; x-api-key unless told."),
            text("queryName", "With `query`: the parameter; api_key unless told."),
            text("testPath", "The path below the base that a test asks for."),
            TOKEN_URL,
            CLIENT_ID,
            SCOPE,
            GRANT,
            CLIENT_AUTH,
        ],
        secrets: &[
            text("token", "With `bearer`: the token."),
            text("password", "With `basic`: the password."),
            text("apiKey", "With `header` and `query`: the key."),
            CLIENT_SECRET,
            REFRESH_TOKEN,
            ACCESS_TOKEN,
        ],
    },
    ConnectedApp {
        app: "smtp",
        title: "Mail server",
        description: "Sends mail.",
        base_url: None,
        token_url: None,
        settings: &[
            text("host", "The name of the mail server."),
            number("port", "Its port."),
            text("from", "The sender of every mail."),
            choice(
                "tls",
                "How it is encrypted; starttls unless told.",
                &["starttls", "tls", "none"],
            ),
        ],
        secrets: &[
            text("username", "The name to sign in with."),
            text("password", "The password to sign in with."),
        ],
    },
    ConnectedApp {
        app: "github",
        title: "GitHub",
        description: "Takes what GitHub sends to its hook.",
        base_url: None,
        token_url: None,
        settings: &[],
        secrets: &[text("webhookSecret", "The secret of the webhook."), SIGNING],
    },
    ConnectedApp {
        app: "stripe",
        title: "Stripe",
        description: "Takes what Stripe sends to its hook.",
        base_url: None,
        token_url: None,
        settings: &[],
        secrets: &[SIGNING],
    },
    ConnectedApp {
        app: "webhook",
        title: "Webhook",
        description: "Takes what any other system sends to its hook.",
        base_url: None,
        token_url: None,
        settings: &[choice(
            "signature",
            "How the sender signs.",
            &["standard", "github", "stripe", "linear", "slack", "plain"],
        )],
        secrets: &[SIGNING],
    },
];

/// Returns what is known of an app.
#[must_use]
pub fn connected_app(name: &str) -> Option<&'static ConnectedApp> {
    CONNECTED_APPS.iter().find(|known| known.app == name)
}

/// Returns what is wrong with the settings of an app's connection; what it does not know may be
/// there for templates and hooks.
#[must_use]
pub fn problems(app: &str, settings: &Map<String, Value>) -> Vec<Problem> {
    let fields = connected_app(app).map_or(&[][..], |known| known.settings);
    let given = fields.iter().filter_map(|field| Some((field, settings.get(field.name)?)));
    given.filter(|(_, value)| !value.is_null()).filter_map(|(field, it)| fault(field, it)).collect()
}

fn fault(field: &Field, value: &Value) -> Option<Problem> {
    let at = pointer_to("/settings", field.name);
    let fits = match field.holds {
        Holds::Text => value.is_string(),
        Holds::Number => value.is_number(),
        Holds::Object => value.is_object(),
        Holds::Url => {
            value.as_str().is_some_and(|text| url::Url::parse(text).is_ok_and(|url| url.has_host()))
        }
    };
    if !fits {
        let (code, expected) = match field.holds {
            Holds::Text => ("wrong_type", "a text"),
            Holds::Number => ("wrong_type", "a number"),
            Holds::Object => ("wrong_type", "an object"),
            Holds::Url => ("invalid_url", "a URL such as https://api.example.com"),
        };
        return Some(Problem::new(at, code, format!("must be {expected}")));
    }
    let word = value.as_str().unwrap_or_default();
    if field.choices.is_empty() || field.choices.contains(&word) || field.name == "signature" {
        return None;
    }
    let detail = format!("must be one of {}", field.choices.join(", "));
    let problem = Problem::new(at, "not_allowed", detail);
    Some(match nearest(word, field.choices.iter().copied()) {
        Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
        None => problem,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn how_a_connection_proves_itself_is_said_or_shown_by_its_secrets() {
        for (settings, secrets, expected) in [
            (json!({}), &[][..], AuthKind::None),
            (json!({}), &["token"], AuthKind::Bearer),
            (json!({}), &["password"], AuthKind::Basic),
            (json!({}), &["apiKey"], AuthKind::Header),
            (json!({"auth": "query"}), &["apiKey"], AuthKind::Query),
            (json!({}), &["token", "clientSecret"], AuthKind::OAuth2),
            (json!({"auth": "none"}), &["token"], AuthKind::None),
        ] {
            let settings = settings.as_object().unwrap();
            let found = AuthKind::of(settings, |name| secrets.contains(&name));
            assert_eq!(found, expected, "{settings:?} {secrets:?}");
        }
    }

    #[test]
    fn settings_are_held_to_what_the_app_knows() {
        for (app, settings, codes) in [
            ("http", json!({"auth": "bearer", "own": 1}), &[][..]),
            ("http", json!({"auth": "baerer"}), &["not_allowed"]),
            ("http", json!({"headers": "x", "tokenUrl": "here"}), &["wrong_type", "invalid_url"]),
            ("ai", json!({"inputPrice": "2"}), &["wrong_type"]),
            ("other", json!({"auth": "x", "headers": 1}), &[]),
        ] {
            let found = problems(app, settings.as_object().unwrap());
            let found: Vec<&str> = found.iter().map(|problem| problem.code.as_str()).collect();
            assert_eq!(found, codes, "{app} {settings}");
        }
    }

    #[test]
    fn no_name_is_a_setting_and_a_secret_at_once() {
        for app in CONNECTED_APPS {
            for secret in app.secrets {
                assert!(!app.settings.iter().any(|it| it.name == secret.name), "{}", secret.name);
            }
        }
    }
}
