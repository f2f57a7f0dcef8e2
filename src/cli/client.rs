//! How a command reaches the appliance: its control socket, an address, or one of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use futures_util::stream::unfold;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use super::failure::Failure;
use crate::boot::beside::Beside;
use crate::config::Loaded;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the longest `?wait=` that the API grants.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// A stream is opened again where it was after a month.
const STREAM_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// How much of a file is sent at once.
const PIECE_BYTES: usize = 64 * 1024;

/// A connection to the appliance's API.
pub struct Client {
    http: reqwest::Client,
    base: String,
    place: String,
    key: Option<String>,
    tenant: Option<String>,
    pages: String,
    appliance: Option<Beside>,
}

/// What a request carries.
pub enum Body {
    /// Nothing.
    Empty,
    /// A JSON document.
    Json(Value),
    /// A document as it stands in a file, with its media type.
    Document(&'static str, String),
}

impl Client {
    /// Reaches the server that listens on the socket at `path`.
    pub fn of_socket(path: &Path, pages: String) -> Result<Client, Failure> {
        let http = builder().unix_socket(path.to_path_buf()).build();
        Ok(Client {
            http: http.context("cannot prepare a connection to the control socket")?,
            base: "http://ergane".to_owned(),
            place: format!("the server at {}", path.display()),
            key: None,
            tenant: None,
            pages,
            appliance: None,
        })
    }

    /// Reaches the server at `url` with an API key.
    pub fn of_url(url: &str, key: Option<String>, ca: Option<&Path>) -> Result<Client, Failure> {
        let http = match ca {
            Some(path) => builder().tls_certs_merge(roots(path)?).build(),
            None => builder().build(),
        };
        Ok(Client {
            http: http.context("cannot prepare a connection")?,
            base: url.trim_end_matches('/').to_owned(),
            place: url.to_owned(),
            key,
            tenant: None,
            pages: url.trim_end_matches('/').to_owned(),
            appliance: None,
        })
    }

    /// Asks for the things of another tenant than the key's own.
    #[must_use]
    pub fn in_tenant(mut self, tenant: Option<String>) -> Client {
        self.tenant = tenant;
        self
    }

    /// Returns the address of a page for a browser.
    #[must_use]
    pub fn page(&self, path: &str) -> String {
        format!("{}{path}", self.pages)
    }

    /// Stops the appliance that was started for the command; returns when everything is durable.
    pub fn close(self) {
        if let Some(appliance) = self.appliance {
            appliance.stop();
        }
    }

    /// Returns the JSON at `path`.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send(Method::GET, path, Body::Empty).await
    }

    /// Returns the JSON that answers a POST.
    pub async fn post(&self, path: &str, body: Body) -> Result<Value, Failure> {
        self.send(Method::POST, path, body).await
    }

    /// Returns the JSON that answers a request; `null` when the answer has no body.
    pub async fn send(&self, method: Method, path: &str, body: Body) -> Result<Value, Failure> {
        let text = self.exchange(method, path, body).await?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        let reading = serde_json::from_str(&text);
        Ok(reading.with_context(|| format!("{} did not answer with JSON", self.place))?)
    }

    /// Returns the answer's text as it came, or the refusal.
    pub async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<String, Failure> {
        let request = self.request(method, path);
        let request = match body {
            Body::Empty => request,
            Body::Json(document) => request.json(&document),
            Body::Document(media_type, text) => {
                request.header("content-type", media_type).body(text)
            }
        };
        let response = self.answer(request).await?;
        response.text().await.map_err(|error| self.unreachable(error))
    }

    /// Opens the stream at `path`, after the message called `last`.
    pub async fn stream(&self, path: &str, last: Option<&str>) -> Result<Response, Failure> {
        let mut request = self.request(Method::GET, path).timeout(STREAM_TIMEOUT);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        self.answer(request).await
    }

    /// Opens what is downloaded from `path`.
    pub async fn download(
        &self,
        path: &str,
        headers: &[(&str, String)],
    ) -> Result<Response, Failure> {
        let request = self.request(Method::GET, path).timeout(STREAM_TIMEOUT);
        self.answer(with_headers(request, headers)).await
    }

    /// Sends a file, however large, and returns the JSON that answers it.
    pub async fn upload(
        &self,
        path: &str,
        headers: &[(&str, String)],
        file: tokio::fs::File,
    ) -> Result<Value, Failure> {
        let pieces = unfold(file, async |mut file| {
            let mut piece = BytesMut::with_capacity(PIECE_BYTES);
            match file.read_buf(&mut piece).await {
                Ok(0) => None,
                Ok(_) => Some((Ok(piece.freeze()), file)),
                Err(error) => Some((Err(error), file)),
            }
        });
        let request = self.request(Method::POST, path).timeout(STREAM_TIMEOUT);
        let request = request.body(reqwest::Body::wrap_stream(Box::pin(pieces)));
        let response = self.answer(with_headers(request, headers)).await?;
        let text = response.text().await.map_err(|error| self.unreachable(error))?;
        let reading = serde_json::from_str(&text);
        Ok(reading.with_context(|| format!("{} did not answer with JSON", self.place))?)
    }

    /// Returns the next piece of a stream; `None` at its end.
    pub async fn piece(&self, stream: &mut Response) -> Result<Option<Bytes>, Failure> {
        stream.chunk().await.map_err(|error| self.unreachable(error))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        if let Some(tenant) = &self.tenant {
            request = request.header("X-Tenant", tenant);
        }
        request
    }

    /// Returns an answer that is no refusal.
    async fn answer(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.map_err(|error| self.unreachable(error))?;
        let problem = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Err(Failure::Refused { status: status.as_u16(), problem })
    }

    fn unreachable(&self, error: reqwest::Error) -> Failure {
        Failure::Unreachable(format!("{}: {:#}", self.place, anyhow::Error::new(error)))
    }
}

fn with_headers(request: RequestBuilder, headers: &[(&str, String)]) -> RequestBuilder {
    headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
}

/// Reads the certificates that sign servers' certificates.
fn roots(path: &Path) -> Result<Vec<reqwest::Certificate>, Failure> {
    let place = path.display();
    let pem = std::fs::read(path).with_context(|| format!("cannot read the CA file {place}"))?;
    let roots = reqwest::Certificate::from_pem_bundle(&pem);
    let roots = roots.with_context(|| format!("cannot use the CA file {place}"))?;
    if roots.is_empty() {
        return Err(
            anyhow::anyhow!("the CA file {place} holds no PEM block of a certificate").into()
        );
    }
    Ok(roots)
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
}

/// Where a command should look for the appliance.
pub struct Target {
    /// An address, which beats the control socket.
    pub url: Option<String>,
    /// The key for that address.
    pub key: Option<String>,
    /// A file of certificates that are trusted beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// The tenant whose things are meant.
    pub tenant: Option<String>,
}

/// What to do where no server has the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Start one inside this process.
    Start,
    /// Say so.
    Refuse,
}

/// Reaches the server at an address, else the one that has the data directory, else starts the
/// appliance inside this process for as long as the command takes.
pub async fn connect(target: Target, loaded: &Loaded, absent: Absent) -> Result<Client, Failure> {
    if let Some(url) = &target.url {
        return Ok(
            Client::of_url(url, target.key, target.ca_file.as_deref())?.in_tenant(target.tenant)
        );
    }
    let socket = loaded.config.control_socket();
    let client = match (tokio::net::UnixStream::connect(&socket).await, absent) {
        (Ok(_), _) => Client::of_socket(&socket, pages(loaded))?,
        (Err(_), Absent::Start) => in_process(loaded).await?,
        (Err(_), Absent::Refuse) => {
            return Err(Failure::Unreachable(format!(
                "a server: none runs on {}; start one with `ergane serve`, or name one with --url",
                loaded.config.data_dir.display()
            )));
        }
    };
    Ok(client.in_tenant(target.tenant))
}

/// Returns whether a server has the data directory.
#[must_use]
pub fn is_served(loaded: &Loaded) -> bool {
    std::os::unix::net::UnixStream::connect(loaded.config.control_socket()).is_ok()
}

/// Returns where a browser on this machine finds the pages, as far as the settings tell.
fn pages(loaded: &Loaded) -> String {
    let http = &loaded.config.http;
    let scheme = if http.tls_certificate_file.is_empty() { "http" } else { "https" };
    format!("{scheme}://{}{}", http.listen, http.base())
}

/// Starts the appliance on the control socket alone.
async fn in_process(loaded: &Loaded) -> Result<Client, Failure> {
    let appliance = Beside::start(loaded.config.clone()).await?;
    let mut client = Client::of_socket(&loaded.config.control_socket(), pages(loaded))?;
    client.appliance = Some(appliance);
    Ok(client)
}

/// Reads `ERGANE_KEY`, or the file that `ERGANE_KEY_FILE` names.
pub fn key_from_environment() -> Result<Option<String>, Failure> {
    if let Ok(key) = std::env::var("ERGANE_KEY") {
        return Ok(Some(key));
    }
    let Ok(path) = std::env::var("ERGANE_KEY_FILE") else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(&path);
    let text = text.with_context(|| format!("cannot read ERGANE_KEY_FILE {path}"))?;
    Ok(Some(text.trim().to_owned()))
}

/// Writes a list of parameters as the query of a path; those without a value are left out.
#[must_use]
pub fn with_query(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// Writes a name as one segment of a path.
#[must_use]
pub fn segment(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_cannot_leave_their_place_in_an_address() {
        assert_eq!(segment("a/b?c d"), "a%2Fb%3Fc%20d");
        let parameters = [("status", Some("failed&x".to_owned())), ("workflow", None)];
        assert_eq!(with_query("/v1/runs", &parameters), "/v1/runs?status=failed%26x");
        assert_eq!(with_query("/v1/runs", &[]), "/v1/runs");
    }
}
