//! The one thread that writes: everything that waits goes into one transaction and one sync.

mod recovery;

use super::admin::each;
use super::compaction::Copying;
use super::queue::{Request, Taken};
use super::restoring::end_of;
use super::rows::Rows;
use super::shared::Shared;
use super::tables::{
    PARTS, PARTS_TAG, PLACES, PLACES_TAG, PartState, of, opened_place, sealed_place,
};
use super::view::{part_state, reading, unavailable};
use crate::domain::condition::Condition;
use crate::failpoint;
use crate::store::backup::PartEnd;
use crate::store::log::{Log, Step, add_row};
use crate::store::seam::{CommitError, Health, Part, Seq, Space, StoreError};
use redb::{Database, ReadableTable, WriteTransaction};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const PROBE_BYTES_MIN: usize = 4 * 1024;
const PROBE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Opens the file again after a fault.
pub type Reopen = Box<dyn Fn() -> Result<Database, StoreError> + Send>;

pub struct Writer {
    pub(super) shared: Arc<Shared>,
    /// What a copy of the file that goes on has to catch up with.
    pub(super) copying: Option<Copying>,
    reopen: Reopen,
    /// What the file says of each part; exact, since nobody else writes it.
    states: Vec<PartState>,
    /// Whether there was a commit since the last one that prepares an instant restart.
    restless: bool,
    /// Reused from group to group: the rows of all requests as (request, row), in key order.
    order: Vec<(u32, u32)>,
    /// The size of the group whose commit failed last, and at least one page.
    failed_bytes: usize,
    /// Everything once more, if that is wanted.
    log: Option<Log>,
}

/// What becomes of a request if the group's commit works.
enum Verdict {
    Committed(Seq),
    Fenced,
    Claimed(PartState),
    New,
    Repeated,
    Placed,
    Renewed,
}

/// A group that did not become durable.
enum Fault {
    /// Nothing of it was applied.
    Before(String),
    /// All or nothing of it was.
    During(String),
}

impl Writer {
    /// Reads what the file says and is ready to run.
    pub fn new(shared: Arc<Shared>, reopen: Reopen) -> Result<Writer, StoreError> {
        let mut writer = Writer {
            shared,
            copying: None,
            reopen,
            states: Vec::new(),
            restless: true,
            order: Vec::new(),
            failed_bytes: 0,
            log: None,
        };
        writer.load()?;
        if let Some(log) = &writer.shared.settings.log {
            let state = Arc::clone(&writer.shared.log);
            writer.log = Some(Log::open(log.clone(), state, &writer.ends()));
        }
        Ok(writer)
    }

    /// Serves until the store is closed, then closes the file.
    pub fn run(mut self) {
        let mut group = Vec::new();
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.turn(&mut group))) {
                Ok(Taken::Work | Taken::Idle) => {}
                Ok(Taken::Closed) => break,
                // Nobody else writes, so it goes on: with what the file says, as after any fault.
                Err(_) => {
                    self.shared.board.write_ends();
                    self.fail(&mut group, Fault::During("the writer panicked".into()));
                }
            }
        }
        // Closing writes what an instant restart needs.
        let database = self.shared.database.write().take();
        if let Some(Err(error)) = database.map(Database::close) {
            tracing::warn!(
                "The store was not closed cleanly and is repaired at the next start: {error}"
            );
        }
    }

    fn work(&mut self, group: &mut Vec<Request>) {
        let is_aside = |request: &mut Request| matches!(request, Request::Aside(_));
        let asides: Vec<Request> = group.extract_if(.., is_aside).collect();
        if !group.is_empty() {
            self.serve(group);
        }
        for request in asides {
            if let Request::Aside(aside) = request {
                self.perform_aside(aside);
            }
        }
    }

    fn turn(&mut self, group: &mut Vec<Request>) -> Taken {
        let idle = Duration::from_millis(self.shared.settings.quick_repair_idle_ms);
        let taken = self.shared.queue.take(group, self.restless.then_some(idle));
        failpoint::hit("writer.turn");
        match taken {
            Taken::Work => self.work(group),
            Taken::Idle => self.rest(),
            Taken::Closed => {}
        }
        taken
    }

    fn serve(&mut self, group: &mut Vec<Request>) {
        let mut verdicts = Vec::with_capacity(group.len());
        self.shared.board.write_begins();
        // A panic of the engine leaves the transaction undone, as a failure before the commit.
        let written = catch_unwind(AssertUnwindSafe(|| self.write(group, &mut verdicts)))
            .unwrap_or_else(|_| Err(Fault::During("the writer panicked".into())));
        self.shared.board.write_ends();
        match written {
            Ok(()) => {
                for (request, verdict) in group.drain(..).zip(verdicts) {
                    self.answer(request, verdict);
                }
            }
            Err(fault) => self.fail(group, fault),
        }
    }

    fn fail(&mut self, group: &mut Vec<Request>, fault: Fault) {
        let (Fault::Before(reason) | Fault::During(reason)) = &fault;
        // Shut before anybody hears of the fault, so that nobody comes back too early.
        *self.shared.health.write() = Health::Reopening;
        self.shared.queue.shut(reason);
        self.shared.board.raise(Condition::Reopening, reason.clone());
        let bytes: usize = group.iter().filter_map(rows_of).map(Rows::bytes).sum();
        // A copy that misses what is in doubt would lose it.
        self.copying = None;
        self.failed_bytes = bytes.clamp(PROBE_BYTES_MIN, PROBE_BYTES_MAX);
        for request in group.drain(..) {
            match fault {
                Fault::Before(_) => request.refuse(reason),
                Fault::During(_) => request.doubt(reason),
            }
        }
        self.recover(reason.clone());
    }

    fn answer(&self, request: Request, verdict: Verdict) {
        // Whoever stopped waiting does not care.
        match (request, verdict) {
            (Request::Commit { answer, .. }, Verdict::Committed(seq)) => {
                let _ = answer.send(Ok(seq));
            }
            (Request::Commit { answer, .. }, Verdict::Fenced) => {
                let _ = answer.send(Err(CommitError::Fenced));
            }
            (Request::Put { answer, .. }, verdict) => {
                let _ = answer.send(Ok(matches!(verdict, Verdict::New)));
            }
            (Request::Claim { answer, .. }, Verdict::Claimed(state)) => {
                let _ = answer.send(Ok((state.epoch, state.seq)));
            }
            (Request::Place { tenant, part, answer }, Verdict::Placed) => {
                self.shared.places.write().insert(tenant, part);
                let _ = answer.send(Ok(()));
            }
            (Request::Renew { answer }, _) => {
                let _ = answer.send(Ok(()));
            }
            (
                Request::Commit { .. }
                | Request::Claim { .. }
                | Request::Place { .. }
                | Request::Aside(_),
                _,
            ) => {
                unreachable!("each kind of request has its own verdicts")
            }
        }
    }

    /// Makes a group durable; `verdicts` tell afterwards what became of each request.
    fn write(&mut self, group: &[Request], verdicts: &mut Vec<Verdict>) -> Result<(), Fault> {
        let before = self.log.as_ref().filter(|log| log.is_on()).map(|_| self.states.clone());
        let touched = self.decide(group, verdicts);
        let is_nothing = |verdict: &Verdict| matches!(verdict, Verdict::Fenced | Verdict::Renewed);
        if verdicts.iter().all(is_nothing) {
            return Ok(());
        }
        self.shared.check_identity().map_err(Fault::Before)?;
        let mut tx = self.shared.begin_write().map_err(Fault::Before)?;
        tx.set_two_phase_commit(self.shared.settings.two_phase);
        self.sort(group, verdicts);
        self.note_written(group);
        let undone = |error: redb::Error| Fault::Before(error.to_string());
        self.apply(&tx, group, verdicts).map_err(undone)?;
        self.apply_parts(&tx, &touched).map_err(undone)?;
        let is_idle =
            |it: &Verdict| matches!(it, Verdict::Fenced | Verdict::Repeated | Verdict::Renewed);
        if verdicts.iter().all(is_idle) {
            return Ok(());
        }
        if let Some(before) = before {
            self.log_group(group, &touched, &before);
        }
        failpoint::fail("commit.before").map_err(|error| Fault::Before(error.to_string()))?;
        tx.commit().map_err(|error| Fault::During(error.to_string()))?;
        failpoint::fail("commit.after").map_err(|error| Fault::During(error.to_string()))?;
        // What was written to a file without a name is not durable.
        self.shared.check_identity().map_err(Fault::During)?;
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        self.restless = true;
        Ok(())
    }

    fn note_written(&mut self, group: &[Request]) {
        let Some(copying) = &mut self.copying else { return };
        for (request, row) in &self.order {
            let row = row_at(group, (*request, *row));
            copying.note(row.space, row.key, self.shared.settings.compact_keys_max);
        }
    }

    /// Decides in the order of arrival. The states run ahead of the file until the commit; when
    /// that fails they are read again.
    fn decide(&mut self, group: &[Request], verdicts: &mut Vec<Verdict>) -> BTreeSet<Part> {
        let mut touched = BTreeSet::new();
        for request in group {
            let verdict = match request {
                Request::Commit { part, epoch, seq, .. } => {
                    let state = &mut self.states[usize::from(*part)];
                    if (state.epoch, state.seq) == (*epoch, *seq) {
                        state.seq.0 += 1;
                        touched.insert(*part);
                        Verdict::Committed(state.seq)
                    } else {
                        Verdict::Fenced
                    }
                }
                Request::Claim { part, .. } => {
                    let state = &mut self.states[usize::from(*part)];
                    state.epoch.0 += 1;
                    touched.insert(*part);
                    Verdict::Claimed(*state)
                }
                Request::Put { .. } => Verdict::New,
                Request::Place { .. } => Verdict::Placed,
                Request::Renew { .. } => {
                    let ends = self.ends();
                    self.log.iter_mut().for_each(|log| log.renew(&ends));
                    Verdict::Renewed
                }
                Request::Aside(_) => unreachable!("what is done aside is in no group"),
            };
            verdicts.push(verdict);
        }
        touched
    }

    /// Brings the rows of everything admitted into key order; a key that two requests change
    /// keeps their order of arrival, since the sort is stable.
    fn sort(&mut self, group: &[Request], verdicts: &[Verdict]) {
        self.order.clear();
        for (index, request) in group.iter().enumerate() {
            let admitted = !matches!(verdicts[index], Verdict::Fenced);
            let Some(rows) = rows_of(request).filter(|_| admitted) else { continue };
            self.order.extend((0..rows.len()).map(|row| (index as u32, row as u32)));
        }
        self.order.sort_by(|a, b| {
            let (a, b) = (row_at(group, *a), row_at(group, *b));
            (a.space, a.key).cmp(&(b.space, b.key))
        });
    }

    fn apply(
        &self,
        tx: &WriteTransaction,
        group: &[Request],
        verdicts: &mut [Verdict],
    ) -> Result<(), redb::Error> {
        let mut rest = self.order.as_slice();
        while let Some(first) = rest.first() {
            let space = row_at(group, *first).space;
            let count = rest.partition_point(|at| row_at(group, *at).space == space);
            let mut table = tx.open_table(of(space))?;
            for at in &rest[..count] {
                let row = row_at(group, *at);
                let put_once = matches!(group[at.0 as usize], Request::Put { .. });
                match row.value {
                    Some(_) if put_once && table.get(row.key)?.is_some() => {
                        verdicts[at.0 as usize] = Verdict::Repeated;
                    }
                    Some(value) => drop(table.insert(row.key, value)?),
                    None => drop(table.remove(row.key)?),
                }
            }
            rest = &rest[count..];
        }
        let mut places = None;
        for request in group {
            if let Request::Place { tenant, part, .. } = request {
                let table = match &mut places {
                    Some(table) => table,
                    None => places.insert(tx.open_table(PLACES)?),
                };
                let row = sealed_place(*tenant, *part);
                drop(table.insert(tenant.to_be_bytes().as_slice(), row.as_slice())?);
            }
        }
        Ok(())
    }

    /// Writes the group into the log, in the order in which it is applied.
    fn log_group(&mut self, group: &[Request], touched: &BTreeSet<Part>, before: &[PartState]) {
        let Some(log) = &mut self.log else { return };
        let end = |part: Part, states: &[PartState]| end_of(part, states[usize::from(part)]);
        let steps: Vec<Step> = touched
            .iter()
            .map(|part| Step { before: end(*part, before), after: end(*part, &self.states) })
            .collect();
        let ends = || ends_of(before);
        let (order, states) = (&self.order, &self.states);
        log.append(&steps, &ends, &|plain| {
            for at in order {
                let row = row_at(group, *at);
                add_row(plain, row.space as u8, row.key, row.value);
            }
            for request in group {
                if let Request::Place { tenant, part, .. } = request {
                    let row = sealed_place(*tenant, *part);
                    add_row(plain, PLACES_TAG, &tenant.to_be_bytes(), Some(&row));
                }
            }
            for part in touched {
                let row = states[usize::from(*part)].sealed(*part);
                add_row(plain, PARTS_TAG, &part.to_be_bytes(), Some(&row));
            }
        });
    }

    fn ends(&self) -> Vec<PartEnd> {
        ends_of(&self.states)
    }

    fn apply_parts(
        &self,
        tx: &WriteTransaction,
        touched: &BTreeSet<Part>,
    ) -> Result<(), redb::Error> {
        if touched.is_empty() {
            return Ok(());
        }
        let mut table = tx.open_table(PARTS)?;
        for part in touched {
            let row = self.states[usize::from(*part)].sealed(*part);
            drop(table.insert(part.to_be_bytes().as_slice(), row.as_slice())?);
        }
        Ok(())
    }

    /// Commits nothing, but so that a crash from here on costs no walk through the file.
    fn rest(&mut self) {
        let commit = || {
            let mut tx = self.shared.begin_write()?;
            tx.set_quick_repair(true);
            tx.commit().map_err(|error| error.to_string())
        };
        self.shared.board.write_begins();
        let committed = catch_unwind(AssertUnwindSafe(commit));
        self.shared.board.write_ends();
        let committed = committed.unwrap_or_else(|_| Err("the writer panicked".into()));
        match committed {
            Ok(()) => self.restless = false,
            Err(reason) => self.fail(&mut Vec::new(), Fault::Before(reason)),
        }
    }

    fn load(&mut self) -> Result<(), StoreError> {
        let tx = self.shared.begin_read()?;
        let (states, placed) = reading(Space::Meta, &[], || {
            let table = tx.open_table(PARTS).map_err(|error| unavailable(&error))?;
            let states = (0..self.shared.settings.parts).map(|part| part_state(&table, part));
            let states = states.collect::<Result<Vec<_>, _>>()?;
            let table = tx.open_table(PLACES).map_err(|error| unavailable(&error))?;
            let mut placed = Vec::new();
            each(&table, Space::Meta, |key, row| {
                placed.push(opened_place(key, row)?);
                Ok(())
            })?;
            Ok((states, placed))
        })?;
        self.states = states;
        *self.shared.places.write() = placed.into_iter().collect();
        Ok(())
    }
}

impl Drop for Writer {
    /// Whatever ends the thread, nobody may wait for it for ever.
    fn drop(&mut self) {
        self.shared.queue.close();
        self.shared.queue.shut("the store's writer has ended");
    }
}

fn rows_of(request: &Request) -> Option<&Rows> {
    match request {
        Request::Commit { rows, .. } | Request::Put { rows, .. } => Some(rows),
        Request::Claim { .. }
        | Request::Place { .. }
        | Request::Renew { .. }
        | Request::Aside(_) => None,
    }
}

fn ends_of(states: &[PartState]) -> Vec<PartEnd> {
    (0..).zip(states).map(|(part, state)| end_of(part, *state)).collect()
}

fn row_at(group: &[Request], (request, row): (u32, u32)) -> super::rows::Row<'_> {
    rows_of(&group[request as usize])
        .expect("only requests with rows are put in order")
        .row(row as usize)
}
