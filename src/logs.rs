//! The log as it is kept in memory: the last lines, who may see which, and what must not be seen.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::domain::secret::Mask;
use crate::domain::time::Timestamp;

/// How many lines are kept until the settings say otherwise.
const KEPT_LINES_MAX: usize = 2_000;

/// Owners of masks that begin so are no tenants.
pub const SETTINGS: &str = "settings/";

/// How much a line matters, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Everything.
    Trace,
    /// What a developer asks for.
    Debug,
    /// What happens.
    Info,
    /// What somebody should look at.
    Warn,
    /// What went wrong.
    Error,
}

impl Level {
    /// Every level, the least first.
    pub const ALL: [Level; 5] =
        [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];

    /// Returns its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }

    /// Returns the level of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// One line, without secrets.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// Counts from 1 since the start of the process.
    pub number: u64,
    /// When it was written.
    pub time: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// The part of the program that wrote it.
    pub target: String,
    /// What it says.
    pub message: String,
    /// The tenant that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The run that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The step that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The request that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Whatever else it names.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
}

/// Which lines are asked for.
#[derive(Clone, Debug, Default)]
pub struct LineFilter {
    /// The least level.
    pub level: Option<Level>,
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// A text in the message or the fields, in any case.
    pub text: Option<String>,
    /// The beginning of the target.
    pub target: Option<String>,
    /// The run.
    pub run: Option<String>,
    /// The one tenant whose lines may be seen.
    pub tenant: Option<String>,
}

impl LineFilter {
    /// Returns whether a line is asked for.
    #[must_use]
    pub fn passes(&self, line: &LogLine) -> bool {
        self.level.is_none_or(|level| line.level >= level)
            && self.since.is_none_or(|since| line.time >= since)
            && self.target.as_ref().is_none_or(|target| line.target.starts_with(target.as_str()))
            && self.run.as_ref().is_none_or(|run| line.run.as_ref() == Some(run))
            && self.tenant.as_ref().is_none_or(|tenant| line.tenant.as_ref() == Some(tenant))
            && self.text.as_ref().is_none_or(|text| holds(line, &text.to_lowercase()))
    }
}

fn holds(line: &LogLine, text: &str) -> bool {
    line.message.to_lowercase().contains(text)
        || line.fields.values().any(|field| field.to_string().to_lowercase().contains(text))
}

/// Changes what is logged; says why it cannot.
pub type SetLevel = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// What is logged at present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LevelState {
    /// The level that the settings name.
    pub configured: String,
    /// The level in effect.
    pub level: String,
    /// Until when it differs from the settings, where it does for a time only.
    pub until: Option<Timestamp>,
}

/// The last lines of the process, and what takes secrets out of all of them.
pub struct Logbook {
    lines: Mutex<VecDeque<Arc<LogLine>>>,
    kept_max: AtomicUsize,
    newest: watch::Sender<u64>,
    masks: RwLock<BTreeMap<String, Arc<Mask>>>,
    counts: [AtomicU64; 5],
    dropped: AtomicU64,
    level: Mutex<LevelState>,
    set_level: Mutex<Option<SetLevel>>,
}

impl Default for Logbook {
    fn default() -> Logbook {
        Logbook {
            lines: Mutex::default(),
            kept_max: AtomicUsize::new(KEPT_LINES_MAX),
            newest: watch::Sender::new(0),
            masks: RwLock::default(),
            counts: Default::default(),
            dropped: AtomicU64::new(0),
            level: Mutex::default(),
            set_level: Mutex::default(),
        }
    }
}

static BOOK: LazyLock<Logbook> = LazyLock::new(Logbook::default);

/// Returns the book of this process: like its subscriber to log lines, there is one.
#[must_use]
pub fn book() -> &'static Logbook {
    &BOOK
}

impl Logbook {
    /// Sets how many lines are kept.
    pub fn keep_at_most(&self, lines: usize) {
        self.kept_max.store(lines.max(1), Ordering::Relaxed);
    }

    /// Learns what must not be seen in any line; replaces what `owner` had said before.
    pub fn learn(&self, owner: &str, mask: Mask) {
        let mut masks = self.masks.write();
        match mask.is_empty() {
            true => drop(masks.remove(owner)),
            false => drop(masks.insert(owner.to_owned(), Arc::new(mask))),
        }
    }

    /// Takes the secrets out of a line, keeps it and returns it as it may be seen.
    pub fn keep(&self, mut line: LogLine) -> Arc<LogLine> {
        self.mask(&mut line);
        self.counts[line.level as usize].fetch_add(1, Ordering::Relaxed);
        let mut lines = self.lines.lock();
        line.number = lines.back().map_or(0, |last| last.number) + 1;
        let (number, line) = (line.number, Arc::new(line));
        while lines.len() >= self.kept_max.load(Ordering::Relaxed) {
            lines.pop_front();
        }
        lines.push_back(Arc::clone(&line));
        drop(lines);
        self.newest.send_replace(number);
        line
    }

    fn mask(&self, line: &mut LogLine) {
        let masks = self.masks.read();
        // A line about one tenant has nothing of another's; one about none may have anything.
        let own = |owner: &str| {
            owner.starts_with(SETTINGS) || line.tenant.as_ref().is_none_or(|it| it == owner)
        };
        let own: Vec<_> =
            masks.iter().filter(|(owner, _)| own(owner)).map(|(_, mask)| mask).collect();
        for mask in own {
            line.message = mask.text(&line.message);
            for field in line.fields.values_mut() {
                *field = mask.value(std::mem::take(field));
            }
        }
    }

    /// Returns the newest lines that pass, oldest first.
    #[must_use]
    pub fn newest(&self, filter: &LineFilter, limit: usize) -> Vec<Arc<LogLine>> {
        let lines = self.lines.lock();
        let passing = lines.iter().rev().filter(|line| filter.passes(line)).take(limit);
        let mut found: Vec<_> = passing.cloned().collect();
        found.reverse();
        found
    }

    /// Returns the lines after number `after` that pass, oldest first, and the number of the last
    /// that was looked at.
    #[must_use]
    pub fn after(&self, after: u64, filter: &LineFilter) -> (Vec<Arc<LogLine>>, u64) {
        let lines = self.lines.lock();
        let newer: Vec<_> = lines.iter().rev().take_while(|line| line.number > after).collect();
        let last = newer.first().map_or(after, |line| line.number);
        let passing = newer.into_iter().rev().filter(|line| filter.passes(line));
        (passing.cloned().collect(), last)
    }

    /// Returns the number of the newest line, and tells when there is a newer one.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Returns how many lines of a level were written since the start.
    #[must_use]
    pub fn count(&self, level: Level) -> u64 {
        self.counts[level as usize].load(Ordering::Relaxed)
    }

    /// Notes a line that nobody took in time.
    pub fn note_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many lines nobody took in time.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Remembers how the level is changed, and which one the settings name.
    pub fn govern(&self, configured: &str, set: SetLevel) {
        let level = configured.to_owned();
        *self.level.lock() = LevelState { configured: level.clone(), level, until: None };
        *self.set_level.lock() = Some(set);
    }

    /// Returns what is logged at present.
    #[must_use]
    pub fn level(&self) -> LevelState {
        self.level.lock().clone()
    }

    /// Changes what is logged, for a time or until the next start.
    ///
    /// # Errors
    /// Says why the level cannot be read, or that nothing is logged here.
    pub fn set_level(&self, level: &str, until: Option<Timestamp>) -> Result<(), String> {
        let set = self.set_level.lock();
        let set = set.as_ref().ok_or("this process writes no log")?;
        set(level)?;
        let mut state = self.level.lock();
        level.clone_into(&mut state.level);
        state.until = until;
        Ok(())
    }

    /// Returns to the level of the settings when the time of another is over.
    pub fn look_at_clock(&self, now: Timestamp) {
        let state = self.level();
        if state.until.is_some_and(|until| until <= now) {
            // It was accepted at the start, so it is accepted again.
            let _ = self.set_level(&state.configured, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::Secret;

    fn line(level: Level, message: &str) -> LogLine {
        LogLine {
            number: 0,
            time: Timestamp::from_millis(1_000),
            level,
            target: "ergane::engine".to_owned(),
            message: message.to_owned(),
            tenant: Some("acme".to_owned()),
            run: None,
            step: None,
            request_id: None,
            fields: Map::new(),
        }
    }

    #[test]
    fn the_newest_lines_are_kept_and_found() {
        let book = Logbook::default();
        book.keep_at_most(3);
        for number in 0..5 {
            book.keep(line(Level::Info, &format!("line {number}")));
        }
        book.keep(line(Level::Error, "Broken"));
        let all = book.newest(&LineFilter::default(), 10);
        let said: Vec<&str> = all.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(said, ["line 3", "line 4", "Broken"]);
        let filter = LineFilter { level: Some(Level::Warn), ..LineFilter::default() };
        assert_eq!(book.newest(&filter, 10).len(), 1);
        let (later, last) = book.after(all[1].number, &LineFilter::default());
        assert_eq!((later.len(), last), (1, 6));
        assert_eq!((book.count(Level::Info), book.count(Level::Error)), (5, 1));
        for (filter, found) in [
            (LineFilter { text: Some("BROKEN".to_owned()), ..LineFilter::default() }, 1),
            (LineFilter { target: Some("ergane::web".to_owned()), ..LineFilter::default() }, 0),
            (LineFilter { tenant: Some("globex".to_owned()), ..LineFilter::default() }, 0),
            (LineFilter { run: Some("run_1".to_owned()), ..LineFilter::default() }, 0),
        ] {
            assert_eq!(book.newest(&filter, 10).len(), found, "{filter:?}");
        }
    }

    #[test]
    fn a_secret_is_in_no_line_however_it_got_there() {
        let book = Logbook::default();
        book.learn("acme", Mask::new(&[Secret::new("sesame-sesame-42")]));
        let mut told = line(Level::Warn, "the other side said sesame-sesame-42");
        told.fields.insert("error".to_owned(), "c2VzYW1lLXNlc2FtZS00Mg==".into());
        let kept = book.keep(told);
        let text = serde_json::to_string(&*kept).expect("a line is plain data");
        assert!(!text.contains("sesame") && !text.contains("c2VzYW1l"), "{text}");
    }

    #[test]
    fn another_level_is_in_effect_until_its_time_is_over() {
        let book = Logbook::default();
        assert!(book.set_level("debug", None).is_err());
        book.govern(
            "info",
            Box::new(|level| match Level::named(level) {
                Some(_) => Ok(()),
                None => Err("no level".to_owned()),
            }),
        );
        assert!(book.set_level("loud", None).is_err());
        book.set_level("debug", Some(Timestamp::from_millis(5))).expect("a level");
        book.look_at_clock(Timestamp::from_millis(4));
        assert_eq!(book.level().level, "debug");
        book.look_at_clock(Timestamp::from_millis(5));
        assert_eq!((book.level().level.as_str(), book.level().until), ("info", None));
    }
}
