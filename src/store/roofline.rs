//! What this machine's disk and the bare database can do, as the measure of everything above them.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use redb::{Database, Durability, TableDefinition};

use super::seam::StoreError;

const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");
const HEADS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("heads");
const JOURNAL_BYTES: usize = 300;
const HEAD_BYTES: usize = 64;
/// A workflow of three steps: its beginning, and the end of each step.
const WRITES_OF_A_WORKFLOW: u8 = 4;
const SYNCS: usize = 200;
const CACHE_BYTES: usize = 128 * 1024 * 1024;

/// How long the disk takes to make four kilobytes durable.
#[derive(Clone, Copy, Debug)]
pub struct SyncTimes {
    /// The median.
    pub p50: Duration,
    /// Ninety-nine of a hundred are faster.
    pub p99: Duration,
}

/// How a workflow's records reach the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Four durable writes, each waited for.
    Stepwise,
    /// One durable write of everything.
    Fused,
}

/// Measures appending and syncing four kilobytes in `directory`.
///
/// # Errors
/// Fails when the directory cannot be written.
pub fn sync_times(directory: &Path) -> Result<SyncTimes, StoreError> {
    let mut file = File::create(directory.join("sync")).map_err(fault)?;
    let block = [7u8; 4096];
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&block).map_err(fault)?;
        file.sync_data().map_err(fault)?;
        times.push(began.elapsed());
    }
    times.sort();
    Ok(SyncTimes { p50: times[SYNCS / 2], p99: times[SYNCS * 99 / 100] })
}

/// Returns how many workflows a second the bare database makes durable with `in_flight` of them at
/// a time, by group commit of whatever waits.
///
/// # Errors
/// Fails when the database cannot be made or written.
pub fn workflows_per_second(
    directory: &Path,
    shape: Shape,
    in_flight: usize,
    duration: Duration,
) -> Result<f64, StoreError> {
    let path = directory.join(format!("roofline-{shape:?}-{in_flight}.redb"));
    let database = Database::builder().set_cache_size(CACHE_BYTES).create(path).map_err(fault)?;
    let (to_writer, requests) = channel();
    let (to_driver, answers) = channel();
    let writer = thread::spawn(move || write_all(&database, &requests, &to_driver));
    let began = Instant::now();
    let finished = drive(&to_writer, &answers, shape, in_flight, duration);
    let seconds = began.elapsed().as_secs_f64();
    drop(to_writer);
    writer.join().map_err(|_| fault("the writer panicked"))??;
    Ok(finished as f64 / seconds)
}

/// One durable write of one workflow.
struct Request {
    workflow: u64,
    records: u8,
}

fn drive(
    to_writer: &Sender<Request>,
    answers: &Receiver<u64>,
    shape: Shape,
    in_flight: usize,
    duration: Duration,
) -> u64 {
    let (writes, records) = match shape {
        Shape::Stepwise => (WRITES_OF_A_WORKFLOW, 1),
        Shape::Fused => (1, WRITES_OF_A_WORKFLOW),
    };
    let end = Instant::now() + duration;
    let mut written = vec![0u8; in_flight];
    let slots = in_flight as u64;
    for workflow in 0..slots {
        let _ = to_writer.send(Request { workflow, records });
    }
    let mut finished = 0;
    // Ends early when the writer failed; its error is what the caller sees.
    while let Ok(workflow) = answers.recv() {
        let slot = (workflow % slots) as usize;
        written[slot] += 1;
        let next = if written[slot] == writes {
            written[slot] = 0;
            finished += 1;
            workflow + slots
        } else {
            workflow
        };
        if Instant::now() >= end {
            break;
        }
        let _ = to_writer.send(Request { workflow: next, records });
    }
    finished
}

fn write_all(
    database: &Database,
    requests: &Receiver<Request>,
    to_driver: &Sender<u64>,
) -> Result<(), StoreError> {
    let (entry, head) = ([1u8; JOURNAL_BYTES], [2u8; HEAD_BYTES]);
    let mut sequence = 0u64;
    let mut group = Vec::new();
    while let Ok(first) = requests.recv() {
        group.push(first);
        group.extend(requests.try_iter());
        let mut tx = database.begin_write().map_err(fault)?;
        tx.set_durability(Durability::Immediate).map_err(fault)?;
        {
            let mut journal = tx.open_table(JOURNAL).map_err(fault)?;
            let mut heads = tx.open_table(HEADS).map_err(fault)?;
            for request in &group {
                for _ in 0..request.records {
                    sequence += 1;
                    journal.insert(sequence, &entry[..]).map_err(fault)?;
                }
                heads.insert(request.workflow, &head[..]).map_err(fault)?;
            }
        }
        tx.commit().map_err(fault)?;
        for request in group.drain(..) {
            let _ = to_driver.send(request.workflow);
        }
    }
    Ok(())
}

fn fault(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bare_database_is_measured_in_both_shapes() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for shape in [Shape::Stepwise, Shape::Fused] {
            let duration = Duration::from_millis(30);
            let rate = workflows_per_second(directory.path(), shape, 8, duration);
            assert!(rate.expect("the directory is ours") > 0.0, "{shape:?}");
        }
    }
}
