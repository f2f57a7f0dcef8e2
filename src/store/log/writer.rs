//! Writes the log: a record before each commit, a new segment from time to time.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::{info, warn};

use super::record::{Step, begin};
use super::segment::{Reader, Segment, SegmentHead, beginning, list, name_of};
use super::sync::Syncer;
use super::{LogSettings, LogState};
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::store::backup::PartEnd;
use crate::store::backup::frame::{Kind, framed};

/// The log of a store, held by its writer.
pub struct Log {
    settings: LogSettings,
    clock: Clock,
    state: Arc<Mutex<LogState>>,
    open: Option<Open>,
    /// The number of the next record.
    next: u64,
    /// Reused from record to record.
    plain: Vec<u8>,
}

/// The segment that is being written.
struct Open {
    file: Arc<File>,
    syncer: Syncer,
    begun_at: Timestamp,
    bytes: u64,
    /// How many bytes the last record took, and how far it says that it brought its parts.
    last: (u64, Vec<Step>),
}

impl Log {
    /// Opens the log of a store whose parts end at `ends`: carries it on where it leads there, and
    /// begins anew where it does not.
    #[must_use]
    pub fn open(settings: LogSettings, state: Arc<Mutex<LogState>>, ends: &[PartEnd]) -> Log {
        state.lock().is_wanted = true;
        let clock = Clock::system();
        let mut log = Log { settings, clock, state, open: None, next: 1, plain: Vec::new() };
        match log.carry_on(ends) {
            Ok(Leads::Here) => {}
            Ok(Leads::Elsewhere) => {
                info!("The log begins anew: what it has does not lead to the store as it is");
                log.state.lock().needs_base = true;
            }
            Err(error) => log.turn_off(&error.to_string()),
        }
        log
    }

    /// Returns whether records are written.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.open.is_some()
    }

    /// Begins anew if it was turned off; a backup that is taken from here on is its base.
    pub fn renew(&mut self, ends: &[PartEnd]) {
        if self.open.is_none() {
            match self.begin_segment(ends) {
                Ok(()) => self.state.lock().fault = None,
                Err(error) => return self.turn_off(&error.to_string()),
            }
        }
        self.state.lock().needs_base = false;
    }

    /// Writes a record; `add_rows` adds the rows to the bytes that it is handed.
    pub fn append(
        &mut self,
        steps: &[Step],
        ends: &dyn Fn() -> Vec<PartEnd>,
        add_rows: &dyn Fn(&mut Vec<u8>),
    ) {
        if let Err(error) = self.try_append(steps, ends, add_rows) {
            self.turn_off(&error.to_string());
        }
    }

    fn try_append(
        &mut self,
        steps: &[Step],
        ends: &dyn Fn() -> Vec<PartEnd>,
        add_rows: &dyn Fn(&mut Vec<u8>),
    ) -> io::Result<()> {
        let now = self.clock.now();
        let Some(open) = &self.open else { return Ok(()) };
        if let Some(fault) = open.syncer.fault() {
            return Err(io::Error::other(fault));
        }
        let is_old = now.since(open.begun_at) >= self.settings.segment_age_max;
        if is_old || open.bytes >= self.settings.segment_bytes_max {
            self.begin_segment(&ends())?;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        self.plain.clear();
        begin(&mut self.plain, self.next, now, steps);
        add_rows(&mut self.plain);
        let frame = framed(Kind::Commit, 0, 0, &self.plain);
        open.last = (0, Vec::new());
        (&*open.file).write_all(&frame)?;
        open.last = (frame.len() as u64, steps.to_vec());
        open.bytes += frame.len() as u64;
        open.syncer.note(&open.file);
        self.next += 1;
        self.state.lock().bytes += frame.len() as u64;
        Ok(())
    }

    /// Takes the last record back if its commit has failed: the parts end at `ends`.
    pub fn settle(&mut self, ends: &[PartEnd]) {
        let Some(open) = &mut self.open else { return };
        let (bytes, steps) = std::mem::take(&mut open.last);
        if bytes == 0 || is_within(&steps, ends) {
            return;
        }
        open.bytes -= bytes;
        self.next -= 1;
        if let Err(error) = open.file.set_len(open.bytes) {
            self.turn_off(&error.to_string());
        }
    }

    fn turn_off(&mut self, reason: &str) {
        warn!("The log is turned off until the next backup: {reason}");
        self.open = None;
        let mut state = self.state.lock();
        state.fault = Some(reason.to_owned());
        state.needs_base = true;
    }

    /// Looks where the log leads, drops records that were never committed, and begins a segment.
    fn carry_on(&mut self, ends: &[PartEnd]) -> io::Result<Leads> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.settings.directory)?;
        let mut segments = list(&self.settings.directory).map_err(io::Error::other)?;
        let mut leads = Leads::Elsewhere;
        while let Some(last) = segments.pop() {
            let Some(end) = end_of(&last, ends)? else {
                fs::remove_file(&last.path)?; // It holds nothing that was ever committed.
                self.next = self.next.max(last.first);
                continue;
            };
            self.next = self.next.max(end.next);
            leads = end.leads;
            break;
        }
        self.begin_segment(ends)?;
        Ok(leads)
    }

    fn begin_segment(&mut self, ends: &[PartEnd]) -> io::Result<()> {
        let now = self.clock.now();
        let head = SegmentHead { first: self.next, at: now, ends: ends.to_vec() };
        let path = self.settings.directory.join(name_of(self.next));
        let mut options = OpenOptions::new();
        // Appending, so that a record that is written after one was taken back lies in its place.
        let options = options.append(true).create(true).mode(0o600);
        let file = Arc::new(options.open(&path)?);
        file.set_len(0)?;
        let bytes = beginning(&head);
        (&*file).write_all(&bytes)?;
        sync_directory(&self.settings.directory)?;
        let syncer = match self.open.take() {
            Some(open) => {
                open.syncer.note(&open.file);
                open.syncer
            }
            None => Syncer::start(self.settings.sync_every)?,
        };
        syncer.note(&file);
        let bytes = bytes.len() as u64;
        self.open = Some(Open { file, syncer, begun_at: now, bytes, last: (0, Vec::new()) });
        Ok(())
    }
}

/// Whether the log leads to the store as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leads {
    Here,
    Elsewhere,
}

struct EndOfLog {
    next: u64,
    leads: Leads,
}

/// Reads a segment to its end and cuts off what the store never committed; `None` when nothing is
/// left of it.
fn end_of(segment: &Segment, ends: &[PartEnd]) -> io::Result<Option<EndOfLog>> {
    let reader = Reader::open(&segment.path).map_err(io::Error::other)?;
    let Some(mut reader) = reader else { return Ok(None) };
    let mut reached = reader.head.ends.clone();
    let mut sound_bytes = reader.sound_bytes;
    let mut next = reader.head.first;
    while let Some(record) = reader.next_record() {
        if !is_within(&record.steps, ends) {
            break;
        }
        for step in &record.steps {
            match reached.iter_mut().find(|end| end.part == step.after.part) {
                Some(end) => *end = step.after,
                None => reached.push(step.after),
            }
        }
        sound_bytes = reader.sound_bytes;
        next = record.number + 1;
    }
    let is_here = ends.iter().all(|end| {
        let reached = reached.iter().find(|reached| reached.part == end.part);
        reached.map_or(end.epoch == 0 && end.seq == 0, |reached| reached == end)
    });
    let leads = if is_here { Leads::Here } else { Leads::Elsewhere };
    if next == reader.head.first {
        // Without a record it says no more than the head of the segment that takes its place.
        return Ok((leads == Leads::Here).then_some(EndOfLog { next, leads }));
    }
    OpenOptions::new().write(true).open(&segment.path)?.set_len(sound_bytes)?;
    Ok(Some(EndOfLog { next, leads }))
}

/// Returns whether parts that end at `ends` have come as far as these steps say.
fn is_within(steps: &[Step], ends: &[PartEnd]) -> bool {
    steps.iter().all(|step| {
        let end = ends.iter().find(|end| end.part == step.after.part);
        end.is_some_and(|end| step.after.epoch <= end.epoch && step.after.seq <= end.seq)
    })
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
