//! Traces: a run as spans, derived from its journal alone, with ids that follow from the run's.

pub mod otlp;
mod spans;
#[cfg(test)]
mod tests;

use std::fmt;

use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

use super::id::RunId;
use super::time::Timestamp;

pub use spans::{Subject, spans_of};

/// Under this key of an event's metadata stands where it came from; also the CloudEvents extension
/// for distributed tracing.
pub const TRACEPARENT: &str = "traceparent";

const SAMPLED: u8 = 1;

/// Where a call or an event belongs: W3C Trace Context, section 3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: u128,
    /// The span in it that is the cause.
    pub span: u64,
    /// Whether spans of this trace are sent anywhere.
    pub sampled: Sampled,
}

/// Whether spans are sent anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampled {
    /// They are.
    Yes,
    /// They are not.
    No,
}

impl TraceContext {
    /// Reads a `traceparent`; one of a later version counts by its first four fields, and one that
    /// breaks the rules is no context at all (W3C Trace Context, sections 3.2.2 and 4.3).
    #[must_use]
    pub fn parse(text: &str) -> Option<TraceContext> {
        let mut fields = text.trim().split('-');
        let mut field = |length: usize| {
            let field = fields.next().filter(|field| field.len() == length)?;
            let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
            field.chars().all(is_hex).then_some(field)
        };
        let version = u8::from_str_radix(field(2)?, 16).ok()?;
        let trace = u128::from_str_radix(field(32)?, 16).ok()?;
        let span = u64::from_str_radix(field(16)?, 16).ok()?;
        let flags = u8::from_str_radix(field(2)?, 16).ok()?;
        let is_whole = version != 0 || fields.next().is_none();
        if version == u8::MAX || trace == 0 || span == 0 || !is_whole {
            return None;
        }
        let sampled = if flags & SAMPLED != 0 { Sampled::Yes } else { Sampled::No };
        Some(TraceContext { trace, span, sampled })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled == Sampled::Yes);
        write!(out, "00-{:032x}-{:016x}-{flags:02x}", self.trace, self.span)
    }
}

/// The ids of a run's spans: always the same for the same run, so that a span that is sent again
/// is the same span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunTrace {
    run: RunId,
    /// The trace that the run belongs to.
    pub trace: u128,
    /// The span that its event came from.
    pub parent: Option<u64>,
    /// Whether its spans are sent.
    pub sampled: Sampled,
}

impl RunTrace {
    /// Finds the trace of a run: its event's, else one of its own. Whoever caused the event has
    /// decided whether it is sampled; a trace of its own is with a chance of `sample_percent`.
    #[must_use]
    pub fn of(run: RunId, cause: Option<&str>, sample_percent: u32) -> RunTrace {
        if let Some(context) = cause.and_then(TraceContext::parse) {
            let TraceContext { trace, span, sampled } = context;
            return RunTrace { run, trace, parent: Some(span), sampled };
        }
        let trace = xxh3_128(&run.to_bytes()).max(1);
        // The lower half is as good as chance, and the same for every repeat.
        let is_sampled = trace % 100 < u128::from(sample_percent);
        let sampled = if is_sampled { Sampled::Yes } else { Sampled::No };
        RunTrace { run, trace, parent: None, sampled }
    }

    /// Returns the span of the run itself.
    #[must_use]
    pub fn root(&self) -> u64 {
        self.span("run")
    }

    /// Returns the span of an attempt of a step.
    #[must_use]
    pub fn attempt(&self, step: &str, attempt: u32) -> u64 {
        self.span(&format!("attempt/{step}/{attempt}"))
    }

    /// Returns the span of an attempt to undo a step.
    #[must_use]
    pub fn undo(&self, step: &str, attempt: u32) -> u64 {
        self.span(&format!("undo/{step}/{attempt}"))
    }

    /// Returns what the things that a span causes are told.
    #[must_use]
    pub fn context(&self, span: u64) -> TraceContext {
        TraceContext { trace: self.trace, span, sampled: self.sampled }
    }

    fn span(&self, name: &str) -> u64 {
        let [upper, lower] = [0, 8].map(|at: usize| {
            let bytes = self.run.to_bytes();
            bytes[at..at + 8].iter().fold(0u64, |all, byte| all << 8 | u64::from(*byte))
        });
        xxh3_64_with_seed(name.as_bytes(), upper ^ lower.rotate_left(17)).max(1)
    }
}

/// What a span stands for, in the words of OpenTelemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Something inside.
    Internal,
    /// A call to another system.
    Client,
    /// The handling of a message.
    Consumer,
}

/// How a span ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanStatus {
    /// It says nothing.
    Unset,
    /// It did what it was for.
    Ok,
    /// It did not, for the reason with this code.
    Error(String),
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Attribute {
        Attribute::Text(text.to_owned())
    }
}

impl From<u32> for Attribute {
    fn from(number: u32) -> Attribute {
        Attribute::Number(i64::from(number))
    }
}

/// Something that took its time; it holds no payload and no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The trace.
    pub trace: u128,
    /// The span.
    pub id: u64,
    /// What it is a part of.
    pub parent: Option<u64>,
    /// What it is called.
    pub name: String,
    /// What it stands for.
    pub kind: SpanKind,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// What it is about.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// How it ended.
    pub status: SpanStatus,
    /// What else it has to do with.
    pub links: Vec<TraceContext>,
}
