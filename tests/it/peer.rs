//! Another system that workflows call: it notes every request and answers as it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(30);

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub at: Instant,
    pub path: String,
    pub head: String,
    pub body: Value,
    /// The body as it came.
    pub raw: Vec<u8>,
}

/// What a request is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    Status(u16, Value),
    /// 429 with `Retry-After` in seconds.
    Later(u32),
    /// The connection stays open and nothing comes.
    Never,
}

struct Shared {
    received: Mutex<Vec<Received>>,
    came: Notify,
}

/// A server for one test.
pub struct Peer {
    pub url: String,
    shared: Arc<Shared>,
}

impl Received {
    /// Returns a header, empty when it did not come.
    pub fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut found = lines.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name));
        found.next().map_or("", |(_, value)| value.trim())
    }
}

impl Peer {
    /// Starts a server; `answer` gets the number of the request, from 0, and the request.
    pub async fn start(answer: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared { received: Mutex::default(), came: Notify::new() });
        let (answer, noted) = (Arc::new(answer), Arc::clone(&shared));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, noted) = (Arc::clone(&answer), Arc::clone(&noted));
                tokio::spawn(async move { serve(stream, &*answer, &noted).await });
            }
        });
        Peer { url, shared }
    }

    /// Starts a server that answers everything with 200 and an object.
    pub async fn friendly() -> Peer {
        Peer::start(|_, _| Reply::Status(200, serde_json::json!({"ok": true}))).await
    }

    /// Returns everything that came so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("no test panicked holding it").clone()
    }

    /// Waits until `count` requests have come, and returns them.
    pub async fn until(&self, count: usize) -> Vec<Received> {
        let enough = async {
            loop {
                let came = self.shared.came.notified();
                let received = self.received();
                if received.len() >= count {
                    return received;
                }
                came.await;
            }
        };
        timeout(PATIENCE, enough).await.expect("the requests come")
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: &(dyn Fn(usize, &Received) -> Reply + Send + Sync),
    shared: &Shared,
) {
    let Some(received) = read(&mut stream).await else { return };
    let number = {
        let mut all = shared.received.lock().expect("no test panicked holding it");
        all.push(received.clone());
        all.len() - 1
    };
    let reply = answer(number, &received);
    shared.came.notify_waiters();
    let (status, body, more) = match reply {
        Reply::Status(status, body) => (status, body.to_string(), String::new()),
        Reply::Later(seconds) => (429, String::new(), format!("Retry-After: {seconds}\r\n")),
        Reply::Never => return std::future::pending().await,
    };
    let text = format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\n{more}\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(text.as_bytes()).await; // The caller may have gone.
}

async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut received =
        Received { at: Instant::now(), path, head, body: Value::Null, raw: Vec::new() };
    let length: usize = received.header("content-length").parse().unwrap_or(0);
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    received.raw = bytes[end..end + length].to_vec();
    received.body = serde_json::from_slice(&received.raw).unwrap_or(Value::Null);
    Some(received)
}
