//! Where log lines go and what they look like.

mod files;
mod lines;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::clock::Clock;
use crate::logs::{self, LogLine};
use files::Files;
use lines::{Lines, Look};

/// How long a stop waits for lines that are still on their way.
const FLUSH_MAX: Duration = Duration::from_millis(500);

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// A level, or a list of `target=level`.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
    /// Which stream of the process lines go to.
    pub stream: LogStream,
    /// The directory that files of lines are written to; empty for none.
    pub directory: PathBuf,
    /// How large a file grows before the next one is begun.
    pub file_bytes_max: u64,
    /// For how long a file is written before the next one is begun.
    pub file_hours_max: u64,
    /// How many files are kept.
    pub files_max: usize,
    /// How many lines may wait to be written before further ones are dropped.
    pub queue_lines_max: usize,
    /// How many lines are kept in memory, to be looked at by the API and the page.
    pub kept_records_max: usize,
}

impl Default for LogSettings {
    fn default() -> LogSettings {
        LogSettings {
            level: "warn,ergane=info".to_owned(),
            format: LogFormat::Auto,
            stream: LogStream::Stderr,
            directory: PathBuf::new(),
            file_bytes_max: 16 << 20,
            file_hours_max: 24,
            files_max: 10,
            queue_lines_max: 4_096,
            kept_records_max: 2_000,
        }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people on a terminal, for machines otherwise.
    #[default]
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// A stream of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// The error stream, so that the output of `serve` stays readable.
    #[default]
    Stderr,
    /// The output.
    Stdout,
}

/// Says that `log.level` cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read log.level `{level}`: {reason}; use a level such as `info` or `ergane=debug`")]
pub struct InvalidLevel {
    level: String,
    reason: String,
}

/// What the writing thread gets.
enum Errand {
    Line(std::sync::Arc<LogLine>),
    /// Everything before it is to be written; then whoever waits is told.
    Flush(SyncSender<()>),
}

static QUEUE: OnceLock<SyncSender<Errand>> = OnceLock::new();

/// Sends log lines to the stream, the files and the book of the process; the second call in one
/// process changes nothing. Whoever logs never waits: a thread of its own writes.
///
/// # Errors
/// Fails when the level is not a level nor a list of `target=level`.
pub fn install(settings: &LogSettings) -> Result<(), InvalidLevel> {
    let filter = read_level(&settings.level)
        .map_err(|reason| InvalidLevel { level: settings.level.clone(), reason })?;
    let (sender, receiver) = sync_channel(settings.queue_lines_max.max(1));
    let (filter, handle) = tracing_subscriber::reload::Layer::new(filter);
    let book = logs::book();
    let lines = Lines { book, clock: Clock::system(), queue: sender.clone() };
    if tracing_subscriber::registry().with(filter).with(lines).try_init().is_err() {
        return Ok(()); // A subscriber stands already, as in a second test of one process.
    }
    book.keep_at_most(settings.kept_records_max);
    let set = move |level: &str| {
        let filter = read_level(level)?;
        handle.reload(filter).map_err(|error| error.to_string())
    };
    book.govern(&settings.level, Box::new(set));
    let settings = settings.clone();
    let write = move || write(&settings, &receiver);
    if std::thread::Builder::new().name("log".to_owned()).spawn(write).is_ok() {
        let _ = QUEUE.set(sender); // Only the first call comes here.
    }
    Ok(())
}

/// Waits a little until what was logged is written, as before the process ends.
pub fn flush() {
    let Some(queue) = QUEUE.get() else { return };
    let (done, written) = sync_channel(1);
    if queue.try_send(Errand::Flush(done)).is_ok() {
        // A stream that nobody reads must not keep the process.
        let _ = written.recv_timeout(FLUSH_MAX);
    }
}

fn read_level(level: &str) -> Result<EnvFilter, String> {
    // The framework logs each malformed request as an error, which anybody may send.
    let level = match level.contains("actix_http") {
        true => level.to_owned(),
        false => format!("{level},actix_http::h1::dispatcher=off"),
    };
    EnvFilter::try_new(level).map_err(|error| error.to_string())
}

/// Writes lines until the process ends; a stream that is gone or stuck loses lines, nothing else.
fn write(settings: &LogSettings, queue: &Receiver<Errand>) {
    let is_terminal = match settings.stream {
        LogStream::Stderr => io::stderr().is_terminal(),
        LogStream::Stdout => io::stdout().is_terminal(),
    };
    let look = match (settings.format, is_terminal) {
        (LogFormat::Pretty, true) | (LogFormat::Auto, true) => Look::Coloured,
        (LogFormat::Pretty, false) => Look::Plain,
        (LogFormat::Json, _) | (LogFormat::Auto, false) => Look::Json,
    };
    let mut files = Files::new(settings);
    while let Ok(errand) = queue.recv() {
        match errand {
            Errand::Line(line) => {
                if let Some(files) = &mut files {
                    files.write(&line);
                }
                let text = look.text(&line);
                let _ = match settings.stream {
                    LogStream::Stderr => io::stderr().write_all(text.as_bytes()),
                    LogStream::Stdout => io::stdout().write_all(text.as_bytes()),
                };
            }
            Errand::Flush(done) => {
                let _ = io::stdout().flush();
                let _ = done.send(()); // Whoever waited may have given up.
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_none_is_refused_with_advice() {
        let settings = LogSettings { level: "ergane=lood".to_owned(), ..LogSettings::default() };
        let message = install(&settings).expect_err("there is no such level").to_string();
        assert!(message.contains("ergane=lood") && message.contains("use a level"), "{message}");
    }
}
