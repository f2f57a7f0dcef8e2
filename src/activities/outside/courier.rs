//! Brings messages to subscribers: through the same guarded door as every call, without following
//! redirects, and with as much of the answer as is worth keeping.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response};
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

use super::answer::{broken, retry_after};
use super::egress::Egress;
use super::request::REFUSED;
use crate::activities::settings::EgressSettings;
use crate::domain::run::Failure;

/// How much of an answer's body is read.
const ANSWER_BYTES_MAX: usize = 4 * 1_024;
/// What a message says of itself; a subscriber's own headers cannot.
const OURS: [&str; 2] = ["content-type", "user-agent"];
const OUR_PREFIX: &str = "webhook-";

/// A message, ready to be sent.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Where it goes.
    pub url: String,
    /// Its headers by name.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
    /// How long it may take until the answer is there.
    pub timeout: Duration,
}

/// An answer of any status.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The pause that is asked for.
    pub retry_after: Option<Duration>,
    /// The beginning of the body.
    pub body: String,
}

/// Whether messages may go without encryption to the whole world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainHttp {
    /// Only to inner addresses that the settings allow.
    Inner,
    /// To everywhere.
    Everywhere,
}

/// Brings messages to subscribers.
#[derive(Debug)]
pub struct Courier {
    egress: Egress,
    connect_timeout: Duration,
    /// Made at the first message, when the cryptography is surely set up.
    client: OnceLock<Client>,
}

impl Courier {
    /// Makes a courier that leaves as the settings allow.
    #[must_use]
    pub fn new(settings: &EgressSettings) -> Courier {
        let connect_timeout = Duration::from_millis(settings.connect_timeout_ms);
        Courier { egress: Egress::new(settings), connect_timeout, client: OnceLock::new() }
    }

    /// Reads the address of a subscriber.
    ///
    /// # Errors
    /// Fails when it is no URL, names an inner host that is not allowed, carries a password, or
    /// would send unencrypted what must not be.
    pub fn address(&self, text: &str, plain: PlainHttp) -> Result<Url, Failure> {
        let url = self.egress.url(text)?;
        if !url.username().is_empty() || url.password().is_some() {
            let message = "a URL with a name or password in it is refused; use a header";
            return Err(Failure::terminal("invalid_url", message));
        }
        if url.scheme() == "https" || plain == PlainHttp::Everywhere || self.is_allowed_inside(&url)
        {
            return Ok(url);
        }
        let message = "only https is taken; plain http goes to addresses that `egress.allow` \
                       names, or everywhere with `engine.webhook_plain_http`";
        Err(Failure::terminal("insecure_url", message))
    }

    /// Returns why a header cannot be sent along, or `None` when it can.
    #[must_use]
    pub fn header_fault(name: &str, value: &str) -> Option<&'static str> {
        let lowered = name.to_lowercase();
        if HeaderName::from_bytes(lowered.as_bytes()).is_err() {
            return Some("is not the name of a header");
        }
        if REFUSED.contains(&lowered.as_str()) {
            return Some("belongs to the connection and cannot be given");
        }
        if OURS.contains(&lowered.as_str()) || lowered.starts_with(OUR_PREFIX) {
            return Some("is set by every delivery and cannot be given");
        }
        HeaderValue::from_str(value).is_err().then_some("has a value that no header can have")
    }

    /// Sends a message and waits for the answer.
    ///
    /// # Errors
    /// Returns why there is no answer.
    pub async fn send(&self, parcel: Parcel) -> Result<Answered, Failure> {
        let deadline = Instant::now() + parcel.timeout;
        // The settings may have changed since the address was accepted.
        let url = self.egress.url(&parcel.url)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &parcel.headers {
            let read = HeaderName::from_bytes(name.as_bytes()).ok();
            let Some((name, value)) = read.zip(HeaderValue::from_str(value).ok()) else {
                let message = format!("the header `{name}` cannot be sent");
                return Err(Failure::terminal("invalid_header", message));
            };
            headers.insert(name, value);
        }
        let request = self.client()?.post(url).headers(headers).body(parcel.body);
        match timeout_at(deadline, request.send()).await {
            Ok(Ok(response)) => Ok(read(response, deadline).await),
            Ok(Err(error)) => Err(broken(&error)),
            Err(_) => {
                let waited = parcel.timeout.as_millis();
                Err(Failure::in_doubt("timeout", format!("no answer began within {waited} ms")))
            }
        }
    }

    fn is_allowed_inside(&self, url: &Url) -> bool {
        let address: IpAddr = match url.host() {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            Some(Host::Domain("localhost")) => std::net::Ipv4Addr::LOCALHOST.into(),
            Some(Host::Domain(_)) | None => return false,
        };
        self.egress.is_allowed_inside(address)
    }

    fn client(&self) -> Result<&Client, Failure> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = self.egress.client(self.connect_timeout).map_err(|error| {
            Failure::retryable("client_unavailable", format!("cannot set up a client: {error}"))
        })?;
        Ok(self.client.get_or_init(|| client))
    }
}

/// The status decides; a body that is long, slow or broken off is kept as far as it came.
async fn read(mut response: Response, deadline: Instant) -> Answered {
    let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers()));
    let mut body = Vec::new();
    while let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await {
        let room = ANSWER_BYTES_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == ANSWER_BYTES_MAX {
            break;
        }
    }
    Answered { status, retry_after, body: String::from_utf8_lossy(&body).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn courier(allow: &str) -> Courier {
        let allow = allow.split(',').filter(|it| !it.is_empty()).map(|it| it.parse().unwrap());
        Courier::new(&EgressSettings { allow: allow.collect(), ..EgressSettings::default() })
    }

    #[test]
    fn an_address_is_encrypted_outside_and_allowed_inside() {
        use PlainHttp::{Everywhere, Inner};
        for (url, allow, plain, code) in [
            ("https://example.com/in?x=1", "", Inner, ""),
            ("http://example.com/in", "", Inner, "insecure_url"),
            ("http://example.com/in", "127.0.0.0/8", Inner, "insecure_url"),
            ("http://example.com/in", "", Everywhere, ""),
            ("http://93.184.216.34/", "127.0.0.0/8", Inner, "insecure_url"),
            ("http://127.0.0.1:9/", "127.0.0.0/8", Inner, ""),
            ("http://localhost:9/", "127.0.0.0/8", Inner, ""),
            ("http://[::1]/", "127.0.0.0/8", Inner, "egress_refused"),
            ("http://127.0.0.1/", "", Everywhere, "egress_refused"),
            ("https://10.0.0.1/", "", Inner, "egress_refused"),
            ("https://user:word@example.com/", "", Inner, "invalid_url"),
            ("https://user@example.com/", "", Inner, "invalid_url"),
            ("mailto:a@example.com", "", Everywhere, "egress_refused"),
            ("example.com", "", Everywhere, "invalid_url"),
        ] {
            let refused = courier(allow).address(url, plain).err();
            let found = refused.as_ref().map_or("", |failure| failure.code.as_str());
            assert_eq!(found, code, "{url} {allow} {plain:?}");
        }
    }

    #[test]
    fn headers_that_every_delivery_sets_are_refused() {
        for (name, value, is_fine) in [
            ("authorization", "Bearer x", true),
            ("X-Tenant", "a", true),
            ("Webhook-Signature", "v1,x", false),
            ("user-agent", "me", false),
            ("Content-Type", "text/plain", false),
            ("host", "x", false),
            ("no name", "x", false),
            ("x-broken", "a\nb", false),
        ] {
            assert_eq!(Courier::header_fault(name, value).is_none(), is_fine, "{name}");
        }
    }
}
