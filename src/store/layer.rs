//! Writes that are not yet in the store, in order of their keys, one layer above another.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::seam::{Batch, Mutation, Range, Space};

/// What a layer says of one key.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// The value, or `None` when the key was removed.
    pub value: Option<Bytes>,
    /// Whether nothing below this layer has the key, so that removing it leaves no trace.
    born: bool,
}

/// Whether a key that is written is known to be new.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Nothing has the key yet.
    New,
    /// Something may have it.
    Any,
}

/// Writes by space and key.
#[derive(Default)]
pub(super) struct Layer {
    spaces: [BTreeMap<Bytes, Slot>; Space::ALL.len()],
    bytes: usize,
}

impl Layer {
    pub(super) fn get(&self, space: Space, key: &[u8]) -> Option<&Slot> {
        self.spaces[space as usize].get(key)
    }

    pub(super) fn keys(&self, space: Space) -> impl Iterator<Item = &[u8]> {
        self.spaces[space as usize].keys().map(AsRef::as_ref)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spaces.iter().all(BTreeMap::is_empty)
    }

    pub(super) fn put(&mut self, space: Space, key: Bytes, value: Bytes, origin: Origin) {
        self.bytes += key.len() + value.len();
        let slots = &mut self.spaces[space as usize];
        // A key that this layer removed may still stand in a layer below, however new it is called.
        let born = slots.get(&key).map_or(origin == Origin::New, |slot| slot.born);
        slots.insert(key, Slot { value: Some(value), born });
    }

    pub(super) fn remove(&mut self, space: Space, key: Bytes) {
        let slots = &mut self.spaces[space as usize];
        if slots.get(&key).is_some_and(|slot| slot.born) {
            slots.remove(&key);
            return;
        }
        self.bytes += key.len();
        slots.insert(key, Slot { value: None, born: false });
    }

    /// Takes over the writes of the layer above.
    pub(super) fn absorb(&mut self, above: Layer) {
        for (space, slots) in Space::ALL.into_iter().zip(above.spaces) {
            for (key, slot) in slots {
                let origin = if slot.born { Origin::New } else { Origin::Any };
                match slot.value {
                    Some(value) => self.put(space, key, value, origin),
                    None => self.remove(space, key),
                }
            }
        }
    }

    /// Adds what this layer says of a range to what the layers below it said.
    pub(super) fn overlay(
        &self,
        space: Space,
        (from, to): Range<'_>,
        onto: &mut BTreeMap<Bytes, Option<Bytes>>,
    ) {
        if is_empty_range(from, to) {
            return;
        }
        for (key, slot) in self.spaces[space as usize].range::<[u8], _>((from, to)) {
            onto.insert(key.clone(), slot.value.clone());
        }
    }

    pub(super) fn to_batch(&self) -> Batch {
        let mutations = Space::ALL
            .into_iter()
            .zip(&self.spaces)
            .flat_map(|(space, slots)| {
                slots.iter().map(move |(key, slot)| Mutation {
                    space,
                    key: key.clone(),
                    value: slot.value.clone(),
                })
            })
            .collect();
        Batch { mutations }
    }
}

/// `BTreeMap::range` panics on a range that ends before it begins; such a range holds nothing.
fn is_empty_range(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to))
        | (Bound::Excluded(from), Bound::Included(to)) => from >= to,
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    }
}
