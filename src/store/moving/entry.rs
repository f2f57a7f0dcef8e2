//! One row of an export: which table it is of, its key without the tenant, and its value.

use super::super::seam::Space;
use super::MoveFault;

/// No frame claims more rows than fit into so many bytes.
const RAW_BYTES_MAX: usize = 512 * 1024 * 1024;
const LENGTH_BYTES: usize = 4;

/// Which table a row is of; the number is part of the file and never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// The tenant's own rows of a space.
    Own(Space),
    /// A record of who may do what in it, by its number.
    AccessRecord,
    /// The end of the chain of those.
    AccessHead,
    /// Under which numbers the tenant wrote that chain.
    AccessOrigins,
    /// Somebody who signs in.
    Person,
    /// An API key, by its digest.
    Key,
    /// A one-time link that was not used yet.
    Link,
    /// The short name of a hook.
    Hook,
}

impl Table {
    const BESIDE: [(Table, u8, &'static str); 7] = [
        (Table::AccessRecord, 200, "accessRecords"),
        (Table::AccessHead, 201, "accessHead"),
        (Table::AccessOrigins, 202, "accessOrigins"),
        (Table::Person, 203, "people"),
        (Table::Key, 204, "keys"),
        (Table::Link, 205, "links"),
        (Table::Hook, 206, "hooks"),
    ];

    fn number(self) -> u8 {
        match self {
            Table::Own(space) => space as u8,
            other => {
                let known = Table::BESIDE.into_iter().find(|(table, ..)| *table == other);
                known.map_or(u8::MAX, |(_, number, _)| number)
            }
        }
    }

    fn of_number(number: u8) -> Option<Table> {
        let own = Space::ALL.into_iter().find(|space| *space as u8 == number).map(Table::Own);
        let beside = || Table::BESIDE.into_iter().find(|(_, known, _)| *known == number);
        own.or_else(|| beside().map(|(table, ..)| table))
    }

    /// Returns its name in the trailer.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Table::Own(space) => format!("{space:?}").to_lowercase(),
            other => {
                let known = Table::BESIDE.into_iter().find(|(table, ..)| *table == other);
                known.map_or_else(String::new, |(_, _, name)| name.to_owned())
            }
        }
    }
}

/// A row on the move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which table it is of.
    pub table: Table,
    /// Its key, without the tenant.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

impl Entry {
    /// Adds the row to those of a frame.
    pub(super) fn write_onto(&self, raw: &mut Vec<u8>) {
        raw.push(self.table.number());
        for bytes in [&self.key, &self.value] {
            let length = u32::try_from(bytes.len()).expect("rows are far shorter");
            raw.extend_from_slice(&length.to_be_bytes());
            raw.extend_from_slice(bytes);
        }
    }
}

/// Packs the rows of a frame.
pub(super) fn pack(raw: &[u8]) -> Vec<u8> {
    let length = u32::try_from(raw.len()).expect("frames are far shorter");
    [&length.to_be_bytes()[..], &lz4_flex::block::compress(raw)].concat()
}

/// Returns the rows of a frame.
///
/// # Errors
/// `Damaged` for what is none.
pub fn unpack(payload: &[u8]) -> Result<Vec<Entry>, MoveFault> {
    let wrong = || MoveFault::damaged("a frame holds no rows");
    let (length, block) = payload.split_first_chunk::<LENGTH_BYTES>().ok_or_else(wrong)?;
    let length = u32::from_be_bytes(*length) as usize;
    if length > RAW_BYTES_MAX {
        return Err(wrong());
    }
    let raw = lz4_flex::block::decompress(block, length).map_err(|_| wrong())?;
    let (mut rest, mut entries) = (raw.as_slice(), Vec::new());
    while let Some((number, after)) = rest.split_first() {
        let table = Table::of_number(*number).ok_or_else(|| {
            MoveFault::Newer(format!("it has rows of a kind {number} that is unknown here"))
        })?;
        let (key, after) = piece(after).ok_or_else(wrong)?;
        let (value, after) = piece(after).ok_or_else(wrong)?;
        entries.push(Entry { table, key, value });
        rest = after;
    }
    Ok(entries)
}

fn piece(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    let (piece, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((piece.to_vec(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_every_table_are_read_back() {
        let own = Space::ALL.map(Table::Own).into_iter();
        let tables = own.chain(Table::BESIDE.map(|(table, ..)| table));
        let entries: Vec<Entry> =
            tables.map(|table| Entry { table, key: vec![1; 9], value: vec![2; 70] }).collect();
        let mut raw = Vec::new();
        entries.iter().for_each(|entry| entry.write_onto(&mut raw));
        assert_eq!(unpack(&pack(&raw)), Ok(entries));
        assert!(unpack(&pack(&raw[..raw.len() - 1])).is_err());
        assert!(unpack(&[0xFF; 20]).is_err());
        assert!(matches!(unpack(&pack(&[99, 0, 0])), Err(MoveFault::Newer(_))));
    }
}
