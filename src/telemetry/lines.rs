//! Makes lines of what the program logs: stable names for what a line is about, no secrets.

use std::fmt::{Debug, Write as _};
use std::sync::mpsc::SyncSender;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::Errand;
use crate::clock::Clock;
use crate::logs::{Level, LogLine, Logbook};

/// Hands every line to the book and to the writing thread.
pub(super) struct Lines {
    pub(super) book: &'static Logbook,
    pub(super) clock: Clock,
    pub(super) queue: SyncSender<Errand>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Fields { message, mut others } = fields;
        let mut take =
            |names: &[&str]| names.iter().find_map(|name| text(others.shift_remove(*name)?));
        let line = LogLine {
            number: 0,
            time: self.clock.now(),
            level: level(*metadata.level()),
            target: metadata.target().to_owned(),
            message,
            tenant: take(&["tenant.slug", "tenant"]),
            run: take(&["run.id", "run"]),
            step: take(&["step"]),
            request_id: take(&["request.id"]),
            fields: others,
        };
        let line = self.book.keep(line);
        if self.queue.try_send(Errand::Line(line)).is_err() {
            self.book.note_dropped();
        }
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

fn level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::TRACE => Level::Trace,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::INFO => Level::Info,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::ERROR => Level::Error,
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match field.name() {
            "message" => self.message = text(value).unwrap_or_default(),
            // What the `log` crate adds of itself tells nothing that the line does not have.
            name if name.starts_with("log.") => {}
            name => drop(self.others.insert(name.to_owned(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// For people, in colours.
    Coloured,
    /// For people.
    Plain,
    /// One JSON object.
    Json,
}

impl Look {
    /// Writes a line with its end.
    pub(super) fn text(self, line: &LogLine) -> String {
        if self == Look::Json {
            let text = serde_json::to_string(line).expect("a line is plain data");
            return format!("{text}\n");
        }
        let (colour, plain) = match (self, line.level) {
            (Look::Coloured, Level::Error) => ("\x1b[31m", "\x1b[0m"),
            (Look::Coloured, Level::Warn) => ("\x1b[33m", "\x1b[0m"),
            (Look::Coloured, Level::Info) => ("\x1b[32m", "\x1b[0m"),
            (Look::Coloured, Level::Debug | Level::Trace) => ("\x1b[34m", "\x1b[0m"),
            (Look::Plain | Look::Json, _) => ("", ""),
        };
        let level = line.level.name().to_uppercase();
        // A line is one line, whatever somebody else has said.
        let message = line.message.replace(['\n', '\r'], " ");
        let mut text = format!("{} {colour}{level:>5}{plain} {message}", line.time);
        for (name, value) in [
            ("tenant", &line.tenant),
            ("run", &line.run),
            ("step", &line.step),
            ("request", &line.request_id),
        ] {
            if let Some(value) = value {
                let _ = write!(text, " {name}={value}");
            }
        }
        for (name, value) in &line.fields {
            let _ = write!(text, " {name}={value}");
        }
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn a_line_has_stable_names_in_both_looks() {
        let line = LogLine {
            number: 7,
            time: Timestamp::from_millis(0),
            level: Level::Warn,
            target: "ergane::engine".to_owned(),
            message: "two\nlines".to_owned(),
            tenant: Some("acme".to_owned()),
            run: Some("run_1".to_owned()),
            step: None,
            request_id: None,
            fields: [("crashes".to_owned(), 2.into())].into_iter().collect(),
        };
        assert_eq!(
            Look::Plain.text(&line),
            "1970-01-01T00:00:00.000Z  WARN two lines tenant=acme run=run_1 crashes=2\n"
        );
        assert_eq!(
            Look::Json.text(&line),
            "{\"number\":7,\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"warn\",\
             \"target\":\"ergane::engine\",\"message\":\"two\\nlines\",\"tenant\":\"acme\",\
             \"run\":\"run_1\",\"fields\":{\"crashes\":2}}\n"
        );
    }
}
