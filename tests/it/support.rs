//! One appliance for one test: a real file, a real server on a port of its own, a real client.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use ergane::boot::doors::{Doors, Serving};
use ergane::config::Config;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The owner's key of every appliance.
pub const KEY: &str = "key-of-the-tests-0123456789";
const PATIENCE: &str = "20s";

/// A running appliance and a client with its owner's key.
pub struct TestApp {
    pub base: String,
    pub key: String,
    pub client: Client,
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
    pub text: String,
}

/// Runs a test against an appliance of its own.
pub fn with_app<F: Future<Output = ()>>(test: impl FnOnce(TestApp) -> F) {
    with_config(|_| (), test);
}

/// Runs a test against an appliance whose configuration was changed.
pub fn with_config<F: Future<Output = ()>>(
    change: impl FnOnce(&mut Config),
    test: impl FnOnce(TestApp) -> F,
) {
    let directory = TempDir::new().expect("a directory");
    let mut config = config_in(directory.path());
    change(&mut config);
    actix::System::new().block_on(async {
        let (serving, app) = TestApp::open(&config).await;
        test(app).await;
        serving.stop().await;
    });
}

/// Returns the settings of an appliance that keeps everything in `directory`.
pub fn config_in(directory: &Path) -> Config {
    let mut config = Config {
        data_dir: directory.to_owned(),
        bootstrap_key: KEY.to_owned(),
        ..Config::default()
    };
    config.http.listen = "127.0.0.1:0".to_owned();
    config.store.reserve_bytes = 0;
    // How full the disk of the machine is, is not what a test is about.
    config.alerts.disk_free_percent_min = 0;
    config.http.requests_per_second = 1_000_000;
    config.http.requests_burst = 1_000_000;
    config
}

impl TestApp {
    /// Opens an appliance, and a client with its owner's key.
    pub async fn open(config: &Config) -> (Serving, TestApp) {
        let serving = Serving::open(config, Doors::All).await.expect("the appliance opens");
        let address = serving.address.expect("an address");
        let app = TestApp::at(format!("http://{address}{}", config.http.base_path), KEY);
        (serving, app)
    }

    /// Speaks to a server with `key`.
    pub fn at(base: String, key: &str) -> TestApp {
        // Only the first test of a process installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build().expect("a client");
        TestApp { base, key: key.to_owned(), client }
    }

    /// Speaks to the same server with another key.
    pub fn with_key(&self, key: &str) -> TestApp {
        TestApp { base: self.base.clone(), key: key.to_owned(), client: self.client.clone() }
    }

    /// Begins a request with the owner's key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key)
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::PUT, path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::PATCH, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    /// Saves a workflow and insists that it is valid.
    pub async fn save(&self, definition: Value) -> Value {
        self.post("/v1/workflows", definition).await.expect(201)
    }

    /// Publishes an event of `kind` and returns the ids of the runs that it started.
    pub async fn publish(&self, kind: &str, payload: Value) -> Vec<String> {
        let answer = self.post(&format!("/v1/events/{kind}"), payload).await.expect(202);
        let runs = answer["accepted"][0]["runs"].as_array().expect("a list of runs");
        runs.iter().map(|run| run.as_str().expect("an id").to_owned()).collect()
    }

    /// Waits for the end of a run and returns it.
    pub async fn end_of(&self, run: &str) -> Value {
        self.get(&format!("/v1/runs/{run}?wait={PATIENCE}")).await.expect(200)
    }

    /// Returns the run when it has reached `status`.
    pub async fn until(&self, run: &str, status: &str) -> Value {
        for _ in 0..400 {
            let view = self.get(&format!("/v1/runs/{run}?wait=50ms")).await.expect(200);
            if view["status"] == status {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the run {run} never became {status}");
    }

    /// Makes a team and returns its id.
    pub async fn team(&self) -> String {
        let team = self.post("/v1/teams", json!({ "name": "Support" })).await.expect(201);
        team["id"].as_str().expect("an id").to_owned()
    }

    /// Makes a ticket and returns it.
    pub async fn ticket(&self, team: &str, extra: Value) -> Value {
        let mut body = json!({
            "title": "Printer on fire",
            "requestorEmail": "ada@example.com",
            "teamId": team,
        });
        for (name, value) in extra.as_object().expect("an object") {
            body[name] = value.clone();
        }
        self.post("/v1/tickets", body).await.expect(201)
    }
}

/// Sends a request and reads the answer whole.
pub async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("the server answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.expect("a body");
    Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null), text }
}

impl Answer {
    /// Insists on a status and returns the body.
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "answered {}", self.text);
        self.body
    }

    /// Insists on a status and returns the page.
    pub fn expect_text(self, status: u16) -> String {
        assert_eq!(self.status, status, "answered {}", self.text);
        self.text
    }

    /// Insists on a refusal with `status` and `code`, and returns the problem.
    pub fn refused(self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(problem["code"], code, "{problem}");
        problem
    }

    /// Returns a header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
