//! One record of the log: a group of commits with the rows that they wrote.

use crate::domain::time::Timestamp;
use crate::store::backup::PartEnd;
use crate::store::backup::frame::{FrameFault, push_row, take_row};
use crate::store::redb_store::NewRow;

const HEAD_BYTES: usize = 18;
const STEP_BYTES: usize = 34;

/// How far a group brought one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The part's end before.
    pub before: PartEnd,
    /// The part's end after.
    pub after: PartEnd,
}

/// A group of commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Counts the records of a log from 1.
    pub number: u64,
    /// When it was written.
    pub at: Timestamp,
    /// How far it brought the parts that it touched.
    pub steps: Vec<Step>,
    /// The rows in the order in which they are to be written.
    pub rows: Vec<NewRow>,
}

/// Begins the plain bytes of a record; its rows follow.
pub(super) fn begin(plain: &mut Vec<u8>, number: u64, at: Timestamp, steps: &[Step]) {
    let count = u16::try_from(steps.len()).expect("parts are counted with sixteen bits");
    plain.extend_from_slice(&number.to_le_bytes());
    plain.extend_from_slice(&at.millis().to_le_bytes());
    plain.extend_from_slice(&count.to_le_bytes());
    for Step { before, after } in steps {
        plain.extend_from_slice(&before.part.to_le_bytes());
        for number in [before.epoch, before.seq, after.epoch, after.seq] {
            plain.extend_from_slice(&number.to_le_bytes());
        }
    }
}

/// Adds a row to the plain bytes of a record.
pub fn add_row(plain: &mut Vec<u8>, table: u8, key: &[u8], value: Option<&[u8]>) {
    plain.push(table);
    push_row(plain, key, value);
}

/// Reads the plain bytes of a record.
///
/// # Errors
/// Says that they are none.
pub(super) fn read(mut plain: &[u8]) -> Result<Record, FrameFault> {
    const WRONG: FrameFault = FrameFault::Damaged("a record that is cut short");
    let (head, rest) = plain.split_first_chunk::<HEAD_BYTES>().ok_or(WRONG)?;
    plain = rest;
    let count = u16::from_le_bytes([head[16], head[17]]);
    let mut steps = Vec::with_capacity(count.into());
    for _ in 0..count {
        let (step, rest) = plain.split_first_chunk::<STEP_BYTES>().ok_or(WRONG)?;
        plain = rest;
        let part = u16::from_le_bytes([step[0], step[1]]);
        let number = |index: usize| number_at(step, 2 + 8 * index);
        steps.push(Step {
            before: PartEnd { part, epoch: number(0), seq: number(1) },
            after: PartEnd { part, epoch: number(2), seq: number(3) },
        });
    }
    let mut rows = Vec::new();
    while let Some((table, rest)) = plain.split_first() {
        plain = rest;
        let (key, value) = take_row(&mut plain)?.ok_or(WRONG)?;
        rows.push(NewRow { table: *table, key: key.to_vec(), value: value.map(<[u8]>::to_vec) });
    }
    let at = i64::from_le_bytes(head[8..16].try_into().expect("eight bytes"));
    Ok(Record { number: number_at(head, 0), at: Timestamp::from_millis(at), steps, rows })
}

fn number_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
