//! How keys are spelled: the tenant first, then parts that sort as their values do.

use std::ops::Bound;

use crate::domain::id::TenantId;

/// Builds a key from parts; text is ended by a zero byte, so that no key is the start of another.
#[derive(Clone, Debug)]
pub struct Key(Vec<u8>);

impl Key {
    /// Begins a key of a tenant.
    #[must_use]
    pub fn of(tenant: TenantId) -> Key {
        let mut bytes = Vec::with_capacity(48);
        bytes.extend_from_slice(&tenant.0.to_be_bytes());
        Key(bytes)
    }

    /// Begins a key that belongs to no tenant.
    #[must_use]
    pub fn bare() -> Key {
        Key(Vec::with_capacity(32))
    }

    /// Adds a letter that tells one family of keys from another.
    #[must_use]
    pub fn tag(mut self, tag: u8) -> Key {
        self.0.push(tag);
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn number(mut self, number: u64) -> Key {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Adds a text; a zero byte in it would blur the end and is written as a space.
    #[must_use]
    pub fn text(mut self, text: &str) -> Key {
        self.0.extend(text.bytes().map(|byte| if byte == 0 { b' ' } else { byte }));
        self.0.push(0);
        self
    }

    /// Adds bytes of a fixed length.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Key {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Returns the finished key.
    #[must_use]
    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

/// The keys that begin with a prefix.
#[derive(Clone, Debug)]
pub struct Prefix {
    from: Vec<u8>,
    to: Option<Vec<u8>>,
}

impl Prefix {
    /// Covers every key that begins with `key`.
    #[must_use]
    pub fn new(key: Key) -> Prefix {
        let from = key.done();
        Prefix { to: successor(&from), from }
    }

    /// Returns the range of the prefix.
    #[must_use]
    pub fn range(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (Bound::Included(&self.from), self.end())
    }

    /// Returns the part of the prefix's range before `key`, or all of it.
    #[must_use]
    pub fn before<'a>(&'a self, key: Option<&'a [u8]>) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
        (Bound::Included(&self.from), key.map_or(self.end(), Bound::Excluded))
    }

    /// Returns the part of the prefix's range after `key`, or all of it.
    #[must_use]
    pub fn after<'a>(&'a self, key: Option<&'a [u8]>) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
        (key.map_or(Bound::Included(self.from.as_slice()), Bound::Excluded), self.end())
    }

    /// Returns the bytes that every key of the prefix begins with.
    #[must_use]
    pub fn start(&self) -> &[u8] {
        &self.from
    }

    fn end(&self) -> Bound<&[u8]> {
        self.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded)
    }
}

/// Returns the least key that does not begin with `prefix` and sorts after it.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_its_keys_end() {
        let prefix = Prefix::new(Key::of(TenantId(255)).tag(255));
        let (_, Bound::Excluded(end)) = prefix.range() else { panic!("an end") };
        assert_eq!(end, [0, 0, 1]);
        assert_eq!(successor(&[255, 255]), None);
    }

    #[test]
    fn a_text_is_never_the_start_of_another_text() {
        let short = Key::bare().text("a").done();
        let long = Key::bare().text("ab").done();
        assert!(!long.starts_with(&short) && short < long);
        assert_eq!(Key::bare().text("a\0b").done(), b"a b\0");
    }
}
