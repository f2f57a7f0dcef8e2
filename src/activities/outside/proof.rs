//! Proves to the system behind a connection who asks, and to nobody else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use url::{Origin, Url};

use super::connection::{ACCESS_TOKEN, Connection};
use crate::domain::connection::AuthKind;
use crate::domain::run::Failure;
use crate::domain::secret::Secret;

/// What proves who asks; it is shown to one origin alone.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    origin: Origin,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Nothing,
    Header(HeaderName, Secret),
    Query(String, Secret),
}

impl Proof {
    /// Shows nothing.
    pub(super) fn nothing(base: &Url) -> Proof {
        Proof { origin: base.origin(), kind: Kind::Nothing }
    }

    /// Shows a bearer token.
    pub(super) fn bearer(base: &Url, token: &Secret) -> Proof {
        let text = Secret::new(format!("Bearer {}", token.expose()));
        Proof { origin: base.origin(), kind: Kind::Header(AUTHORIZATION, text) }
    }

    /// Shows a name and a password (RFC 7617).
    pub(super) fn basic(base: &Url, username: &str, password: &Secret) -> Proof {
        let joined = STANDARD.encode(format!("{username}:{}", password.expose()));
        let text = Secret::new(format!("Basic {joined}"));
        Proof { origin: base.origin(), kind: Kind::Header(AUTHORIZATION, text) }
    }

    /// Shows a secret as the whole of a header.
    pub(super) fn header(base: &Url, name: HeaderName, value: &Secret) -> Proof {
        Proof { origin: base.origin(), kind: Kind::Header(name, value.clone()) }
    }

    /// Reads what a connection proves itself with, as its settings say or its secrets show.
    pub(super) fn of(connection: &Connection, base: &Url) -> Result<Proof, Failure> {
        let secret = |name: &str| connection.needed_secret(name);
        Ok(match connection.auth() {
            AuthKind::None => Proof::nothing(base),
            AuthKind::Basic => {
                let username = connection.needed_setting("username")?;
                Proof::basic(base, username, secret("password")?)
            }
            AuthKind::Bearer => Proof::bearer(base, secret("token")?),
            AuthKind::OAuth2 => Proof::bearer(base, secret(ACCESS_TOKEN)?),
            AuthKind::Header => {
                let name = connection.setting("headerName").unwrap_or("x-api-key");
                let read = HeaderName::from_bytes(name.trim().to_lowercase().as_bytes());
                let name = read.map_err(|_| {
                    let message = "`settings.headerName` is not the name of a header";
                    Failure::terminal("connection_incomplete", message)
                })?;
                Proof::header(base, name, secret("apiKey")?)
            }
            AuthKind::Query => {
                let name = connection.setting("queryName").unwrap_or("api_key").to_owned();
                let kind = Kind::Query(name, secret("apiKey")?.clone());
                Proof { origin: base.origin(), kind }
            }
        })
    }

    /// Returns whether an address belongs to the system that the proof is for.
    pub(super) fn is_for(&self, url: &Url) -> bool {
        url.origin() == self.origin
    }

    /// Adds the proof to the headers of a request; `None` when no header can hold it.
    pub(super) fn show(&self, url: &Url, headers: &mut HeaderMap) -> Option<()> {
        if let Kind::Header(name, value) = &self.kind
            && self.is_for(url)
        {
            let mut value = HeaderValue::from_str(value.expose()).ok()?;
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        Some(())
    }

    /// Returns the address with the proof in it, where it stands there.
    pub(super) fn shown_in(&self, url: &Url) -> Url {
        let mut url = url.clone();
        if let Kind::Query(name, value) = &self.kind
            && self.is_for(&url)
        {
            url.query_pairs_mut().append_pair(name, value.expose());
        }
        url
    }

    /// Returns what must not be seen in answers.
    pub(super) fn secret(&self) -> Option<&Secret> {
        match &self.kind {
            Kind::Nothing => None,
            Kind::Header(_, secret) | Kind::Query(_, secret) => Some(secret),
        }
    }
}

/// Returns the address that a path below a connection's base leads to; a whole address is taken
/// where it belongs to the same system.
///
/// # Errors
/// Fails for good when it leads to another one.
pub(super) fn place(base: &Url, path: &str) -> Result<Url, Failure> {
    let path = path.trim();
    let elsewhere = || {
        let message = format!(
            "the call would leave {}, where the connection belongs",
            base.host_str().unwrap_or_default()
        );
        Failure::terminal("connection_other_host", message)
    };
    let is_whole = path.contains("://");
    let text = match (is_whole, path) {
        (true, whole) => whole.to_owned(),
        (false, "") => base.as_str().to_owned(),
        (false, path) => {
            // Joined as texts, so that a path keeps what the base has before it.
            let front = base.as_str().split(['?', '#']).next().unwrap_or_default();
            format!("{}/{}", front.trim_end_matches('/'), path.trim_start_matches('/'))
        }
    };
    let url = Url::parse(&text).map_err(|_| elsewhere())?;
    let is_ours = url.origin() == base.origin()
        && url.username() == base.username()
        && url.password() == base.password();
    if is_ours { Ok(url) } else { Err(elsewhere()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Url {
        Url::parse("https://api.example.com/v2/").unwrap()
    }

    #[test]
    fn a_path_stays_with_the_connections_host() {
        for (path, expected) in [
            ("", Some("https://api.example.com/v2/")),
            ("/items?x=1", Some("https://api.example.com/v2/items?x=1")),
            ("items", Some("https://api.example.com/v2/items")),
            ("//evil.test/x", Some("https://api.example.com/v2/evil.test/x")),
            ("@evil.test", Some("https://api.example.com/v2/@evil.test")),
            ("https://api.example.com/other", Some("https://api.example.com/other")),
            ("https://api.example.com:444/other", None),
            ("http://api.example.com/other", None),
            ("https://api.example.com@evil.test/", None),
            ("https://user@api.example.com/", None),
            ("https://evil.test/", None),
        ] {
            let found = place(&base(), path).ok().map(|url| url.to_string());
            assert_eq!(found.as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_proof_is_shown_to_its_own_origin_alone() {
        let proof = Proof::bearer(&base(), &Secret::new("tok-en"));
        let shown = |url: &str| {
            let mut headers = HeaderMap::new();
            proof.show(&Url::parse(url).unwrap(), &mut headers).unwrap();
            headers.get(AUTHORIZATION).map(|it| it.to_str().unwrap().to_owned())
        };
        assert_eq!(shown("https://api.example.com/a").as_deref(), Some("Bearer tok-en"));
        assert_eq!(shown("http://api.example.com/a"), None);
        assert_eq!(shown("https://evil.test/a"), None);
    }
}
