//! Power cuts by the million: what a disk may hold when any of the writes since the last sync
//! reached it, in any order and some of them torn, opens again with everything acknowledged.
//!
//! `IMAGES=100000` tries as many; the settings are those of the writer.

use parking_lot::Mutex;
use redb::{Database, ReadableDatabase, StorageBackend, TableDefinition};
use std::io;
use std::sync::Arc;

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");
const IMAGES_USUAL: usize = 2_000;
const IMAGES_A_SYNC: usize = 20;
const ROWS: u64 = 12;
/// A disk writes whole sectors; what is torn is torn between two.
const SECTOR: usize = 512;
/// Every so many commits one prepares an instant restart, as the writer does when it is idle.
const QUICK_REPAIR_EVERY: u64 = 5;

#[derive(Clone, Debug)]
enum Change {
    Length(u64),
    Bytes(u64, Vec<u8>),
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Change::Length(length) => file.resize(*length as usize, 0),
            Change::Bytes(offset, bytes) => {
                let (start, end) = (*offset as usize, *offset as usize + bytes.len());
                if file.len() < end {
                    file.resize(end, 0); // The write that made it longer came first.
                }
                file[start..end].copy_from_slice(bytes);
            }
        }
    }
}

/// A disk that knows what is safe and what is only on its way.
#[derive(Debug, Default)]
struct Disk {
    file: Vec<u8>,
    safe: Vec<u8>,
    unsynced: Vec<Change>,
    /// What the disk held each time before a sync ended: all that was safe, and what was not.
    cuts: Vec<(Vec<u8>, Vec<Change>)>,
}

#[derive(Clone, Debug, Default)]
struct Recorder(Arc<Mutex<Disk>>);

impl Recorder {
    fn holding(file: Vec<u8>) -> Recorder {
        Recorder(Arc::new(Mutex::new(Disk { file, ..Disk::default() })))
    }

    fn change(&self, change: Change) {
        let mut disk = self.0.lock();
        change.apply(&mut disk.file);
        disk.unsynced.push(change);
    }
}

impl StorageBackend for Recorder {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().file.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.0.lock();
        let start = offset as usize;
        let bytes = disk.file.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.0.lock();
        let cut = (disk.safe.clone(), std::mem::take(&mut disk.unsynced));
        disk.safe = disk.file.clone();
        disk.cuts.push(cut);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Bytes(offset, data.to_vec()));
        Ok(())
    }
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        ((mixed ^ mixed >> 27) >> 8) as usize % end
    }

    /// Returns any of the changes in any order; a part of one may be missing.
    fn some_of(&mut self, changes: &[Change]) -> Vec<Change> {
        let keep = 1 + self.below(8);
        let mut some: Vec<Change> =
            changes.iter().filter(|_| self.below(8) < keep).cloned().collect();
        for place in (1..some.len()).rev() {
            some.swap(place, self.below(place + 1));
        }
        if self.below(3) == 0
            && let Some(Change::Bytes(_, bytes)) = some.last_mut()
        {
            bytes.truncate(bytes.len() / SECTOR / 2 * SECTOR);
        }
        some
    }
}

/// Writes one number into every row, in one commit as the writer makes it.
fn commit(database: &Database, number: u64) {
    let mut tx = database.begin_write().expect("a transaction");
    tx.set_two_phase_commit(false);
    tx.set_quick_repair(number.is_multiple_of(QUICK_REPAIR_EVERY));
    {
        let mut table = tx.open_table(TABLE).expect("the table");
        for row in 0..ROWS {
            let value = [number as u8; 700];
            table.insert(row + number % 3, value.as_slice()).expect("it fits");
        }
        // The same row tells which commit it is, whatever else moved.
        let text = number.to_be_bytes();
        table.insert(u64::MAX, text.as_slice()).expect("it fits");
    }
    tx.commit().expect("it is durable");
}

/// Returns which commit a file holds; every row must be of it.
fn held(file: Vec<u8>) -> u64 {
    let database =
        Database::builder().create_with_backend(Recorder::holding(file)).expect("it opens again");
    let table = database.begin_read().expect("a snapshot");
    let table = table.open_table(TABLE).expect("the table");
    let number = table.get(u64::MAX).expect("it is readable").expect("it is there");
    let number = u64::from_be_bytes(number.value().try_into().expect("eight bytes"));
    for row in 0..ROWS {
        let place = row + number % 3;
        let value = table.get(place).expect("it is readable").expect("it is there");
        assert!(value.value().iter().all(|byte| *byte == number as u8), "row {place}");
    }
    number
}

#[test]
fn any_order_of_unsynced_writes_opens_with_what_was_acknowledged() {
    let wanted = std::env::var("IMAGES").ok().and_then(|text| text.parse().ok());
    let wanted = wanted.unwrap_or(IMAGES_USUAL);
    let (mut images, mut number) = (0, 0);
    let mut chance = Chance(wanted as u64);
    let recorder = Recorder::default();
    let database = Database::builder().create_with_backend(recorder.clone()).expect("a file");
    commit(&database, number);
    recorder.0.lock().cuts.clear();
    while images < wanted {
        number += 1;
        commit(&database, number);
        let cuts = std::mem::take(&mut recorder.0.lock().cuts);
        for (safe, unsynced) in &cuts {
            for _ in 0..IMAGES_A_SYNC {
                let mut image = safe.clone();
                for change in chance.some_of(unsynced) {
                    change.apply(&mut image);
                }
                let found = held(image);
                assert!(found == number || found == number - 1, "{found} instead of {number}");
                images += 1;
            }
        }
    }
}

#[test]
fn a_disk_that_lies_is_seen() {
    let recorder = Recorder::default();
    let database = Database::builder().create_with_backend(recorder.clone()).expect("a file");
    commit(&database, 0);
    let early = recorder.0.lock().safe.clone();
    (1..4).for_each(|number| commit(&database, number));
    assert_eq!(held(early), 0, "what was acknowledged after the last true sync is lost");
}
