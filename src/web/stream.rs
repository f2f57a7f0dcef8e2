//! Server-sent events: a bounded buffer for each client, a sign of life, and an end at a stop.
//! The format is that of the HTML standard, section 9.2.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::stream::unfold;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tracing::warn;

use super::auth::{self, Credential};
use super::error::ApiError;
use super::settings::WebSettings;
use crate::app::error::Error;
use crate::app::streams::{EventStream, Followed, Pulse, RunStream};
use crate::app::system_log::LogStream;
use crate::domain::id::TenantId;

const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How often it is asked whether whoever follows may still do so.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How often a page is told at most that something has moved.
const PULSE_EVERY: Duration = Duration::from_secs(1);
/// How soon a client that lost its connection should come back, in milliseconds.
const RECONNECT_MS: u32 = 1_000;

/// The streams that are open.
#[derive(Debug)]
pub struct Streams {
    by_tenant: Mutex<HashMap<TenantId, usize>>,
    closing: watch::Sender<bool>,
}

impl Default for Streams {
    fn default() -> Streams {
        Streams { by_tenant: Mutex::default(), closing: watch::Sender::new(false) }
    }
}

impl Streams {
    /// Opens one more stream of a tenant, until what is returned is dropped.
    ///
    /// # Errors
    /// `Busy` when the tenant has as many as it may have.
    pub fn enter(self: &Arc<Streams>, tenant: TenantId, max: usize) -> Result<Open, Error> {
        let mut by_tenant = self.by_tenant.lock();
        let open = by_tenant.entry(tenant).or_default();
        if *open >= max {
            let detail = format!("{max} streams are open already; close one first");
            return Err(Error::Busy { detail, retry_after: RETRY_AFTER });
        }
        *open += 1;
        Ok(Open { streams: Arc::clone(self), tenant, closing: self.closing.subscribe() })
    }

    /// Returns how many streams of a tenant are open.
    #[must_use]
    pub fn open_of(&self, tenant: TenantId) -> usize {
        self.by_tenant.lock().get(&tenant).copied().unwrap_or(0)
    }

    /// Ends every stream, so that none holds up a stop; their clients come back later.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }
}

/// A stream that counts.
#[derive(Debug)]
pub struct Open {
    streams: Arc<Streams>,
    tenant: TenantId,
    closing: watch::Receiver<bool>,
}

impl Open {
    async fn closed(&mut self) {
        // An error says that the streams themselves are gone, which is as good.
        let _ = self.closing.wait_for(|closing| *closing).await;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut by_tenant = self.streams.by_tenant.lock();
        if let Some(open) = by_tenant.get_mut(&self.tenant) {
            *open -= 1;
            if *open == 0 {
                by_tenant.remove(&self.tenant);
            }
        }
    }
}

/// One message of the format.
struct Message(String);

impl Message {
    fn new(id: Option<&str>, name: Option<&str>, data: &impl Serialize) -> Message {
        let data = serde_json::to_string(data).expect("views have only JSON-safe fields");
        let mut text = String::with_capacity(data.len() + 64);
        for (field, value) in [("id", id), ("event", name)] {
            if let Some(value) = value {
                // Ids and names are ours and hold no line end; JSON text never does.
                let _ = writeln!(text, "{field}: {value}");
            }
        }
        let _ = write!(text, "data: {data}\n\n");
        Message(text)
    }
}

/// The way to one client.
struct Line {
    sender: mpsc::Sender<Bytes>,
    /// Kept free, so that a client which is too slow can still be told.
    last: Option<mpsc::OwnedPermit<Bytes>>,
    patience: Duration,
}

/// Why nothing more is sent.
enum Stop {
    Gone,
    TooSlow,
}

impl Line {
    async fn send(&self, message: Message) -> Result<(), Stop> {
        match self.sender.send_timeout(Bytes::from(message.0), self.patience).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(Stop::Gone),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(Stop::TooSlow),
        }
    }

    fn send_last(&mut self, message: Message) {
        if let Some(last) = self.last.take() {
            last.send(Bytes::from(message.0));
        }
    }
}

/// Where the messages of a stream come from.
trait Source {
    /// Returns what is followed.
    fn followed(&self) -> &dyn Followed;
    /// Sends what there is; answers true after the last message of all.
    async fn send_on(&mut self, line: &mut Line) -> Result<bool, Stop>;
    /// Waits for more.
    async fn news(&mut self);
    /// Says after what a client goes on that comes back.
    fn place(&self) -> &str;
}

/// Answers with a stream of events.
pub fn of_events(
    stream: EventStream,
    (open, shown): (Open, Option<Credential>),
    settings: &WebSettings,
) -> HttpResponse {
    let sent = stream.place().to_string();
    answer(Events { stream, sent }, (open, shown), settings)
}

/// Answers with a stream of what a run records.
pub fn of_run(
    stream: RunStream,
    (open, shown): (Open, Option<Credential>),
    settings: &WebSettings,
) -> HttpResponse {
    let sent = stream.number().to_string();
    answer(Run { stream, sent }, (open, shown), settings)
}

/// Answers with a stream of log lines.
pub fn of_log(
    stream: LogStream,
    (open, shown): (Open, Option<Credential>),
    settings: &WebSettings,
) -> HttpResponse {
    let sent = stream.place().to_string();
    answer(Log { stream, sent }, (open, shown), settings)
}

/// Answers with a stream that tells a page when to look again.
pub fn of_pulse(
    pulse: Pulse,
    (open, shown): (Open, Option<Credential>),
    settings: &WebSettings,
) -> HttpResponse {
    let beats = Beats { pulse, due: None, next_at: Instant::now() };
    answer(beats, (open, shown), settings)
}

/// Returns the id after which a client wants to go on.
#[must_use]
pub fn last_event_id(request: &HttpRequest) -> Option<&str> {
    let given = request.headers().get("last-event-id")?.to_str().ok()?.trim();
    (!given.is_empty()).then_some(given)
}

fn answer(
    source: impl Source + 'static,
    open: (Open, Option<Credential>),
    settings: &WebSettings,
) -> HttpResponse {
    let (sender, receiver) = mpsc::channel(settings.stream_buffer_events_max.max(1) + 1);
    let last = sender.clone().try_reserve_owned().ok();
    let heartbeat = Duration::from_millis(settings.stream_heartbeat_ms.max(1));
    let line = Line { sender, last, patience: heartbeat };
    actix_web::rt::spawn(feed(source, line, open, heartbeat));
    let messages = unfold(receiver, async |mut receiver| {
        let message = receiver.recv().await?;
        Some((Ok::<Bytes, actix_web::Error>(message), receiver))
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(Box::pin(messages))
}

async fn feed(
    mut source: impl Source,
    mut line: Line,
    (mut open, shown): (Open, Option<Credential>),
    heartbeat: Duration,
) {
    let closed = line.sender.clone();
    let mut beat_at = Instant::now() + heartbeat;
    let mut ask_at = Instant::now();
    // The place is told at once, so that nothing is missed by a client that comes back early.
    let greeting = format!("retry: {RECONNECT_MS}\nid: {}\n\n", source.place());
    let mut outcome = line.send(Message(greeting)).await;
    while outcome.is_ok() {
        // Whoever may no longer see it gets nothing more: not what came meanwhile either.
        if Instant::now() >= ask_at {
            if let Err(error) = still_allowed(source.followed(), shown.as_ref()).await {
                broken(&mut line, error);
                return;
            }
            ask_at = Instant::now() + ASK_EVERY;
        }
        let sent = tokio::select! {
            sent = source.send_on(&mut line) => sent,
            () = open.closed() => return,
        };
        match sent {
            Ok(true) => return,
            Ok(false) => {}
            Err(stop) => {
                outcome = Err(stop);
                break;
            }
        }
        outcome = tokio::select! {
            () = source.news() => Ok(()),
            // A server notices that a client has gone only when it writes.
            () = tokio::time::sleep_until(beat_at.into()) => {
                beat_at = Instant::now() + heartbeat;
                line.send(Message(format!(":\nid: {}\n\n", source.place()))).await
            },
            () = tokio::time::sleep_until(ask_at.into()) => Ok(()),
            () = closed.closed() => return,
            () = open.closed() => return,
        };
    }
    if let Err(Stop::TooSlow) = outcome {
        let place = json!({"lastEventId": source.place()});
        line.send_last(Message::new(None, Some("overrun"), &place));
    }
}

/// Asks again who follows: their key may have been revoked, their session ended, their role or
/// their teams changed since.
async fn still_allowed(followed: &dyn Followed, shown: Option<&Credential>) -> Result<(), Error> {
    let Some(shown) = shown else { return Ok(()) };
    let (app, before) = followed.follower();
    let now = auth::principal_of(app, shown).await?;
    let is_same = (&now.scopes, &now.roles, &now.teams, now.home)
        == (&before.scopes, &before.roles, &before.teams, before.home);
    if is_same {
        return Ok(());
    }
    Err(Error::Unauthenticated("what you may see has changed; open the stream again".to_owned()))
}

struct Events {
    stream: EventStream,
    sent: String,
}

impl Source for Events {
    fn followed(&self) -> &dyn Followed {
        &self.stream
    }

    async fn send_on(&mut self, line: &mut Line) -> Result<bool, Stop> {
        loop {
            let news = match self.stream.read() {
                Ok(news) => news,
                Err(error) => return Ok(broken(line, error)),
            };
            for (place, event) in news.events {
                let id = place.to_string();
                line.send(Message::new(Some(&id), None, &event)).await?;
                self.sent = id;
            }
            // Events that do not pass need not be looked at again.
            self.sent = self.stream.place().to_string();
            if news.is_all {
                return Ok(false);
            }
            // One that has far to go shares the thread with everybody else.
            tokio::task::yield_now().await;
        }
    }

    async fn news(&mut self) {
        self.stream.news().await;
    }

    fn place(&self) -> &str {
        &self.sent
    }
}

struct Run {
    stream: RunStream,
    sent: String,
}

impl Source for Run {
    fn followed(&self) -> &dyn Followed {
        &self.stream
    }

    async fn send_on(&mut self, line: &mut Line) -> Result<bool, Stop> {
        let news = match self.stream.read() {
            Ok(news) => news,
            Err(error) => return Ok(broken(line, error)),
        };
        for entry in news.entries {
            let id = entry.number.to_string();
            line.send(Message::new(Some(&id), None, &entry)).await?;
            self.sent = id;
        }
        let status = news.head.as_ref().map(|head| head.status.clone());
        if let Some(head) = news.head {
            line.send(Message::new(None, Some("run"), &head)).await?;
        }
        if news.is_over {
            line.send(Message::new(None, Some("end"), &json!({"status": status}))).await?;
        }
        Ok(news.is_over)
    }

    async fn news(&mut self) {
        self.stream.news().await;
    }

    fn place(&self) -> &str {
        &self.sent
    }
}

/// What moves in quick succession is told once.
struct Beats {
    pulse: Pulse,
    /// When to tell of what has moved; nothing when that was told.
    due: Option<Instant>,
    next_at: Instant,
}

impl Source for Beats {
    fn followed(&self) -> &dyn Followed {
        &self.pulse
    }

    async fn send_on(&mut self, line: &mut Line) -> Result<bool, Stop> {
        if self.due.is_some_and(|due| due <= Instant::now()) {
            self.due = None;
            self.next_at = Instant::now() + PULSE_EVERY;
            line.send(Message::new(None, None, &"moved")).await?;
        }
        Ok(false)
    }

    // It may be dropped at any time, so what was heard is kept before anything is awaited.
    async fn news(&mut self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due.into()).await,
            None => {
                self.pulse.news().await;
                self.due = Some(self.next_at.max(Instant::now()));
            }
        }
    }

    fn place(&self) -> &'static str {
        ""
    }
}

struct Log {
    stream: LogStream,
    sent: String,
}

impl Source for Log {
    fn followed(&self) -> &dyn Followed {
        &self.stream
    }

    async fn send_on(&mut self, line: &mut Line) -> Result<bool, Stop> {
        for written in self.stream.read() {
            let id = written.number.to_string();
            line.send(Message::new(Some(&id), None, &*written)).await?;
        }
        self.sent = self.stream.place().to_string();
        Ok(false)
    }

    async fn news(&mut self) {
        self.stream.news().await;
    }

    fn place(&self) -> &str {
        &self.sent
    }
}

/// Tells the client why the stream ends here; it comes back and goes on where it was.
fn broken(line: &mut Line, error: Error) -> bool {
    let refusal = ApiError::from(error);
    warn!("A stream ends early: {}", refusal.detail());
    let problem = json!({
        "status": refusal.status().as_u16(), "code": refusal.code(), "detail": refusal.detail(),
    });
    line.send_last(Message::new(None, Some("error"), &problem));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_written_as_the_standard_says() {
        let message = Message::new(Some("7"), Some("run"), &json!({"text": "two\nlines"}));
        assert_eq!(message.0, "id: 7\nevent: run\ndata: {\"text\":\"two\\nlines\"}\n\n");
        assert_eq!(Message::new(None, None, &json!(1)).0, "data: 1\n\n");
    }

    #[test]
    fn a_tenant_has_only_so_many_streams_at_once() {
        let streams = Arc::new(Streams::default());
        let first = streams.enter(TenantId(1), 1).expect("there is room");
        assert!(streams.enter(TenantId(1), 1).is_err());
        assert!(streams.enter(TenantId(2), 1).is_ok());
        drop(first);
        assert!(streams.enter(TenantId(1), 1).is_ok());
    }
}
