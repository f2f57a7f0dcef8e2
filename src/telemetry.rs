//! Where log lines go and what they look like.

use std::io::{self, IsTerminal, Write};

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// A level, or a list of `target=level`.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> LogSettings {
        LogSettings { level: "warn,ergane=info".to_owned(), format: LogFormat::Auto }
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

/// Says that `log.level` cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read log.level `{level}`: {reason}; use a level such as `info` or `ergane=debug`")]
pub struct InvalidLevel {
    level: String,
    reason: String,
}

/// Sends log lines to the error stream; the second call in one process changes nothing.
///
/// # Errors
/// Fails when the level is not a level nor a list of `target=level`.
pub fn install(settings: &LogSettings) -> Result<(), InvalidLevel> {
    // The framework logs each malformed request as an error, which anybody may send.
    let level = match settings.level.contains("actix_http") {
        true => settings.level.clone(),
        false => format!("{},actix_http::h1::dispatcher=off", settings.level),
    };
    let filter = EnvFilter::try_new(&level).map_err(|error| InvalidLevel {
        level: settings.level.clone(),
        reason: error.to_string(),
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Unbreakable)
        .log_internal_errors(false);
    // An error here means that a subscriber stands already, as in a second test of one process.
    let _ = match (settings.format, io::stderr().is_terminal()) {
        (LogFormat::Pretty, _) | (LogFormat::Auto, true) => {
            lines.with_ansi(io::stderr().is_terminal()).with_target(false).try_init()
        }
        (LogFormat::Json, _) | (LogFormat::Auto, false) => {
            lines.json().flatten_event(true).with_current_span(false).try_init()
        }
    };
    Ok(())
}

/// The error stream, which may be gone: losing a log line must never stop a run.
#[derive(Clone, Copy, Debug)]
struct Unbreakable;

impl Write for Unbreakable {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().flush();
        Ok(())
    }
}

impl<'writer> MakeWriter<'writer> for Unbreakable {
    type Writer = Unbreakable;

    fn make_writer(&'writer self) -> Unbreakable {
        Unbreakable
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
