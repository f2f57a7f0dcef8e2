//! Hands spans to the collector that the operator named. It is no step's call: the address comes
//! from the configuration alone, so the guard of outgoing calls does not stand before it.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// Where spans go.
#[derive(Debug)]
pub struct Collector {
    endpoint: String,
    headers: HeaderMap,
    timeout: Duration,
    /// Made at the first request, when the cryptography is surely set up.
    client: OnceLock<Client>,
}

/// Why spans were not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// Perhaps later.
    Later(String),
    /// Never.
    Refused(String),
}

impl Collector {
    /// Makes a collector; headers that no request can have are left out.
    #[must_use]
    pub fn new<'h>(
        endpoint: &str,
        headers: impl Iterator<Item = (&'h str, &'h str)>,
        timeout: Duration,
    ) -> Collector {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(mut value)) = (name, HeaderValue::from_str(value)) {
                value.set_sensitive(true);
                map.insert(name, value);
            }
        }
        Collector { endpoint: endpoint.to_owned(), headers: map, timeout, client: OnceLock::new() }
    }

    /// Hands over a document. What is said with 429, 502, 503 and 504 may be tried again (OTLP
    /// specification, section "Retryable Response Codes").
    ///
    /// # Errors
    /// Returns why it was not taken.
    pub async fn post(&self, document: &Value) -> Result<(), NotTaken> {
        let client = self.client()?;
        let request = client
            .post(&self.endpoint)
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(document.to_string());
        let later = |error: reqwest::Error| NotTaken::Later(error.without_url().to_string());
        let response = request.send().await.map_err(later)?;
        match response.status().as_u16() {
            200..=299 => Ok(()),
            status @ (429 | 502 | 503 | 504) => {
                Err(NotTaken::Later(format!("the collector answered {status}")))
            }
            status => Err(NotTaken::Refused(format!("the collector answered {status}"))),
        }
    }

    fn client(&self) -> Result<&Client, NotTaken> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let builder = Client::builder().no_proxy().timeout(self.timeout);
        let client = builder.redirect(reqwest::redirect::Policy::none()).build();
        let client = client.map_err(|error| NotTaken::Later(error.to_string()))?;
        Ok(self.client.get_or_init(|| client))
    }
}
