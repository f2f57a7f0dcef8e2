//! A batch as the writer wants it: sealed, sorted and in one piece of memory.

use super::tables::PART_BYTES;
use crate::store::envelope;
use crate::store::seam::{Batch, Part, Space};

/// Where one row lies in the bytes of its batch.
struct Span {
    space: Space,
    key_start: usize,
    key_end: usize,
    /// Where its envelope ends, or `None` when the key is to be removed.
    value_end: Option<usize>,
}

/// The rows of a batch, sealed on the caller's side because the writer's time is the scarce one.
pub struct Rows {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

/// One row, ready for its table.
pub struct Row<'a> {
    pub space: Space,
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
}

impl Rows {
    /// Seals a batch for `part`.
    pub fn seal(part: Part, mut batch: Batch) -> Rows {
        batch.mutations.sort_by(|a, b| (a.space, &a.key).cmp(&(b.space, &b.key)));
        debug_assert!(
            batch.mutations.windows(2).all(|w| (w[0].space, &w[0].key) != (w[1].space, &w[1].key)),
            "a batch changes each key once"
        );
        let overhead = (PART_BYTES + envelope::OVERHEAD_BYTES) * batch.mutations.len();
        let mut rows = Rows {
            bytes: Vec::with_capacity(batch.bytes() + overhead),
            spans: Vec::with_capacity(batch.mutations.len()),
        };
        for mutation in &batch.mutations {
            rows.push(part, mutation.space, &mutation.key, mutation.value.as_deref());
        }
        rows
    }

    /// Seals one row that is put.
    pub fn one(part: Part, space: Space, key: &[u8], value: &[u8]) -> Rows {
        let overhead = PART_BYTES + envelope::OVERHEAD_BYTES;
        let mut rows = Rows {
            bytes: Vec::with_capacity(key.len() + value.len() + overhead),
            spans: Vec::with_capacity(1),
        };
        rows.push(part, space, key, Some(value));
        rows
    }

    fn push(&mut self, part: Part, space: Space, key: &[u8], value: Option<&[u8]>) {
        let key_start = self.bytes.len();
        self.bytes.extend_from_slice(&part.to_be_bytes());
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        let value_end = value.map(|value| {
            envelope::seal_onto(&mut self.bytes, space as u8, key_start..key_end, value);
            self.bytes.len()
        });
        self.spans.push(Span { space, key_start, key_end, value_end });
    }

    /// Returns how many rows there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns how many bytes the rows take.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the row at `index`.
    pub fn row(&self, index: usize) -> Row<'_> {
        let span = &self.spans[index];
        Row {
            space: span.space,
            key: &self.bytes[span.key_start..span.key_end],
            value: span.value_end.map(|end| &self.bytes[span.key_end..end]),
        }
    }
}
