//! Seals secrets before they are stored: ChaCha20-Poly1305 (RFC 8439), bound to where they belong.
//!
//! Every secret is sealed with a key of its own, drawn for it alone, and that key is wrapped with
//! the key of the appliance. The wrapping can be exchanged without knowing where the secret belongs,
//! which is how the appliance's key is rotated; the place still binds what is inside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::{Mutex, RwLock};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::domain::id::TenantId;
use crate::domain::secret::Secret;

use super::access::APPLIANCE;
use super::family::Meta;
use super::key::Key;
use super::seal_keys::{Home, KeyBytes, KeyFault};
use super::seam::{Space, StoreError};
use super::tenant::{TenantTx, TenantView};

const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const OWN_KEY_BYTES: usize = 32;
/// The nonce and the wrapped key that stand before the sealed text.
const HEAD_BYTES: usize = NONCE_BYTES + OWN_KEY_BYTES + TAG_BYTES;
/// What a sealed text begins with; the id of the key follows, and a dot.
pub(super) const FORMAT: &str = "s2.";
/// The first byte of what was sealed before keys had ids: with the appliance's key itself.
const FORMER_FORMAT: u8 = 1;
const CHECK: u8 = Meta::SealCheck as u8;
const CHECKED: &str = "ergane";

/// Where a secret belongs. What was sealed for one place opens at no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The tenant.
    pub tenant: TenantId,
    /// The kind of record: `secret`, `connection` …
    pub kind: &'a str,
    /// The record, and the field where it has several.
    pub id: &'a str,
    /// Grows with every change of the record.
    pub version: u64,
}

/// A sealed secret, as it is stored: the id of its key, and base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl Sealed {
    /// Returns whether it was sealed before keys had ids, so that it opens at its place alone.
    pub(super) fn is_former(&self) -> bool {
        !self.0.starts_with(FORMAT)
    }
}

/// Says that a sealed secret does not open: with another key, at another place, or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed secret does not open: it was sealed with another key, or for another place")]
pub struct Unopened;

/// Seals and opens; it holds the keys of the appliance, the newest of which seals.
pub struct Sealer {
    ring: RwLock<Arc<Vec<RingKey>>>,
    home: Home,
    clock: Clock,
    /// One exchange of keys at a time.
    exchange: Mutex<()>,
    /// Whether somebody is at work to seal everything with the newest key.
    is_resealing: AtomicBool,
    /// Whether nothing needs the older keys any more, though they are still given.
    is_settled: AtomicBool,
}

struct RingKey {
    id: String,
    bytes: KeyBytes,
    wrapping: LessSafeKey,
    former: LessSafeKey,
}

impl RingKey {
    fn new(bytes: KeyBytes) -> RingKey {
        // Of the key only parts by these names are used, so that other parts may serve elsewhere.
        let part =
            |name: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &bytes), name.as_bytes());
        let id = hex::encode(&part("ergane seal id").as_ref()[..8]);
        let (wrapping, former) =
            (cipher(part("ergane seal 2").as_ref()), cipher(part("ergane seal 1").as_ref()));
        RingKey { id, bytes, wrapping, former }
    }
}

fn cipher(key: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("it has 32 bytes"))
}

/// Which keys there are and whether all of them are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The id of the key that seals: the beginning of a digest of it.
    pub newest: String,
    /// The ids of keys that only open.
    pub older: Vec<String>,
    /// Where they are kept, for a person.
    pub home: String,
    /// Whether everything is known to be sealed with the newest.
    pub is_settled: bool,
}

impl Sealer {
    /// Takes one key that is kept nowhere; the clock gives the chance in every seal.
    #[must_use]
    pub fn new(key: &KeyBytes, clock: Clock) -> Sealer {
        Sealer::with_keys(vec![*key], Home::Memory, clock)
    }

    /// Takes the keys, of which the first seals and all open, and where they are kept.
    ///
    /// # Panics
    /// Panics without any key.
    #[must_use]
    pub fn with_keys(keys: Vec<KeyBytes>, home: Home, clock: Clock) -> Sealer {
        assert!(!keys.is_empty(), "a sealer has a key");
        let ring = keys.into_iter().map(RingKey::new).collect();
        Sealer {
            ring: RwLock::new(Arc::new(ring)),
            home,
            clock,
            exchange: Mutex::new(()),
            is_resealing: AtomicBool::new(false),
            is_settled: AtomicBool::new(false),
        }
    }

    fn ring(&self) -> Arc<Vec<RingKey>> {
        Arc::clone(&self.ring.read())
    }

    /// Seals a secret for its place.
    #[must_use]
    pub fn seal(&self, place: Place<'_>, secret: &Secret) -> Sealed {
        let own: [u8; OWN_KEY_BYTES] = self.random();
        let mut text = secret.expose().as_bytes().to_vec();
        // The key is used for this one text, so that a nonce that never changes is used once.
        cipher(&own)
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key([0; NONCE_BYTES]),
                Aad::from(place.spelled()),
                &mut text,
            )
            .expect("a secret is far shorter than the cipher's limit");
        self.wrapped(&own, &text)
    }

    /// Opens what was sealed for a place.
    ///
    /// # Errors
    /// Fails when it was sealed with another key or for another place, or was changed since.
    pub fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<Secret, Unopened> {
        if sealed.is_former() {
            return self.open_former(place, sealed);
        }
        let Unwrapped { own, mut text, .. } = self.unwrapped(&sealed.0).ok_or(Unopened)?;
        let nonce = Nonce::assume_unique_for_key([0; NONCE_BYTES]);
        let aad = Aad::from(place.spelled());
        let text = cipher(&own).open_in_place(nonce, aad, &mut text).map_err(|_| Unopened)?;
        std::str::from_utf8(text).map(Secret::new).map_err(|_| Unopened)
    }

    fn open_former(&self, place: Place<'_>, sealed: &Sealed) -> Result<Secret, Unopened> {
        let bytes = STANDARD.decode(&sealed.0).map_err(|_| Unopened)?;
        if bytes.len() <= 1 + NONCE_BYTES || bytes[0] != FORMER_FORMAT {
            return Err(Unopened);
        }
        let (head, body) = bytes.split_at(1 + NONCE_BYTES);
        for key in self.ring().iter() {
            let nonce = Nonce::try_assume_unique_for_key(&head[1..]).map_err(|_| Unopened)?;
            let mut body = body.to_vec();
            let aad = Aad::from(place.spelled());
            if let Ok(text) = key.former.open_in_place(nonce, aad, &mut body) {
                return std::str::from_utf8(text).map(Secret::new).map_err(|_| Unopened);
            }
        }
        Err(Unopened)
    }

    /// Wraps with the newest key what an older one wrapped; `None` for what needs nothing of it, or
    /// is no sealed secret at all.
    pub(super) fn rewrapped(&self, text: &str) -> Option<Sealed> {
        let Unwrapped { own, text, place_of_key } = self.unwrapped(text)?;
        (place_of_key > 0).then(|| self.wrapped(&own, &text))
    }

    fn wrapped(&self, own: &[u8; OWN_KEY_BYTES], text: &[u8]) -> Sealed {
        let ring = self.ring();
        let newest = &ring[0];
        let nonce: [u8; NONCE_BYTES] = self.random();
        let mut key = own.to_vec();
        newest
            .wrapping
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(newest.id.as_bytes()),
                &mut key,
            )
            .expect("a key is far shorter than the cipher's limit");
        Sealed(format!(
            "{FORMAT}{}.{}",
            newest.id,
            STANDARD.encode([&nonce[..], &key, text].concat())
        ))
    }

    fn unwrapped(&self, text: &str) -> Option<Unwrapped> {
        let (id, body) = text.strip_prefix(FORMAT)?.split_once('.')?;
        let ring = self.ring();
        let place_of_key = ring.iter().position(|key| key.id == id)?;
        let key = &ring[place_of_key];
        let mut bytes = STANDARD.decode(body).ok()?;
        if bytes.len() < HEAD_BYTES {
            return None;
        }
        let text = bytes.split_off(HEAD_BYTES);
        let (nonce, wrapped) = bytes.split_at_mut(NONCE_BYTES);
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let own = key.wrapping.open_in_place(nonce, Aad::from(key.id.as_bytes()), wrapped).ok()?;
        Some(Unwrapped { own: own.try_into().ok()?, text, place_of_key })
    }

    fn random<const BYTES: usize>(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.clock.random().to_be_bytes()[..chunk.len()]);
        }
        bytes
    }

    /// Returns which keys there are.
    #[must_use]
    pub fn keys(&self) -> Keys {
        let ring = self.ring();
        Keys {
            newest: ring[0].id.clone(),
            older: ring[1..].iter().map(|key| key.id.clone()).collect(),
            home: self.home.told(),
            is_settled: ring.len() == 1 || self.is_settled.load(Ordering::SeqCst),
        }
    }

    /// Makes another key and keeps it before the present one; from now on it seals, and both open.
    ///
    /// # Errors
    /// Fails when the keys are given from outside, when an exchange is not over yet, and when the
    /// key cannot be kept; then nothing has changed.
    pub fn add_key(&self) -> Result<(), KeyFault> {
        let _alone = self.exchange.lock();
        let ring = self.ring();
        if ring.len() > 1 {
            return Err(KeyFault::Pending);
        }
        let keys = vec![self.random(), ring[0].bytes];
        self.home.replace(&keys)?;
        self.is_settled.store(false, Ordering::SeqCst);
        *self.ring.write() = Arc::new(keys.into_iter().map(RingKey::new).collect());
        Ok(())
    }

    /// Forgets the keys that only open, because nothing needs them any more.
    ///
    /// # Errors
    /// Fails when what is kept cannot be replaced; then the keys stay.
    pub fn drop_older(&self) -> Result<(), KeyFault> {
        let _alone = self.exchange.lock();
        self.is_settled.store(true, Ordering::SeqCst);
        if matches!(self.home, Home::Given) {
            return Ok(()); // Whoever gives them takes them away.
        }
        let newest = self.ring()[0].bytes;
        self.home.replace(&[newest])?;
        *self.ring.write() = Arc::new(vec![RingKey::new(newest)]);
        Ok(())
    }

    /// Lets the caller seal everything anew, unless somebody does already.
    #[must_use]
    pub fn begin_resealing(self: &Arc<Sealer>) -> Option<Resealing> {
        let was = self.is_resealing.swap(true, Ordering::SeqCst);
        (!was).then(|| Resealing(Arc::clone(self)))
    }
}

/// Returns whether a row holds a text that was sealed with a key of this appliance.
pub(super) fn is_sealed_by(sealer: &Sealer, row: &[u8]) -> bool {
    let mark = format!("\"{FORMAT}");
    let starts = row.windows(mark.len()).enumerate().filter(|(_, part)| *part == mark.as_bytes());
    starts.map(|(at, _)| at + 1).any(|from| {
        let text = row[from..].split(|byte| *byte == b'"').next().unwrap_or_default();
        std::str::from_utf8(text).is_ok_and(|text| sealer.unwrapped(text).is_some())
    })
}

struct Unwrapped {
    own: [u8; OWN_KEY_BYTES],
    text: Vec<u8>,
    /// 0 for the newest.
    place_of_key: usize,
}

/// Held by whoever seals everything anew.
#[derive(Debug)]
pub struct Resealing(Arc<Sealer>);

impl Drop for Resealing {
    fn drop(&mut self) {
        self.0.is_resealing.store(false, Ordering::SeqCst);
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Sealer(***)")
    }
}

impl Place<'_> {
    pub(super) fn spelled(&self) -> Vec<u8> {
        Key::of(self.tenant).text(self.kind).text(self.id).number(self.version).done()
    }

    const fn of_check() -> Place<'static> {
        Place { tenant: APPLIANCE, kind: "check", id: "", version: 1 }
    }
}

/// What the store says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyCheck {
    /// Nothing was sealed yet.
    Unset,
    /// It is the key that everything was sealed with.
    Fits,
    /// Everything was sealed with another key.
    Foreign,
}

impl TenantView<'_> {
    /// Compares the sealer's key with the one that this store was sealed with.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn check_key(&self, sealer: &Sealer) -> Result<KeyCheck, StoreError> {
        let sealed: Option<Sealed> = self.json(Space::Meta, &check_key())?;
        let Some(sealed) = sealed else { return Ok(KeyCheck::Unset) };
        Ok(match sealer.open(Place::of_check(), &sealed) {
            Ok(_) => KeyCheck::Fits,
            Err(Unopened) => KeyCheck::Foreign,
        })
    }
}

impl TenantView<'_> {
    pub(super) fn has_former_check(&self) -> Result<bool, StoreError> {
        let sealed: Option<Sealed> = self.json(Space::Meta, &check_key())?;
        Ok(sealed.is_some_and(|sealed| sealed.is_former()))
    }
}

impl TenantTx<'_, '_> {
    /// Remembers, by something sealed, with which key this store is sealed from now on.
    pub fn put_key_check(&mut self, sealer: &Sealer) {
        let sealed = sealer.seal(Place::of_check(), &Secret::new(CHECKED));
        self.put_json(Space::Meta, check_key(), &sealed);
    }
}

fn check_key() -> Vec<u8> {
    Key::of(APPLIANCE).tag(CHECK).done()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> =
        Place { tenant: TenantId(1), kind: "secret", id: "token", version: 3 };

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&[byte; 32], Clock::system())
    }

    #[test]
    fn a_secret_opens_with_its_key_at_its_place_alone() {
        let secret = Secret::new("xoxb-1");
        let sealed = sealer(1).seal(PLACE, &secret);
        assert_eq!(sealer(1).open(PLACE, &sealed), Ok(secret));
        assert_eq!(sealer(2).open(PLACE, &sealed), Err(Unopened));
        for other in [
            Place { tenant: TenantId(2), ..PLACE },
            Place { kind: "connection", ..PLACE },
            Place { id: "tokem", ..PLACE },
            Place { version: 4, ..PLACE },
        ] {
            assert_eq!(sealer(1).open(other, &sealed), Err(Unopened), "{other:?}");
        }
    }

    #[test]
    fn what_was_changed_does_not_open() {
        let sealed = sealer(1).seal(PLACE, &Secret::new("xoxb-1"));
        let start = sealed.0.rfind('.').unwrap() + 1;
        let (head, body) = sealed.0.split_at(start);
        let bytes = STANDARD.decode(body).unwrap();
        let spelled = |bytes: &[u8]| Sealed(format!("{head}{}", STANDARD.encode(bytes)));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(sealer(1).open(PLACE, &spelled(&changed)), Err(Unopened), "byte {at}");
        }
        for cut in 0..bytes.len() {
            assert_eq!(sealer(1).open(PLACE, &spelled(&bytes[..cut])), Err(Unopened));
        }
    }

    #[test]
    fn what_was_sealed_before_keys_had_ids_opens_at_its_place() {
        let ring = sealer(1).ring();
        let mut text = b"xoxb-1".to_vec();
        let nonce = Nonce::assume_unique_for_key([9; NONCE_BYTES]);
        ring[0]
            .former
            .seal_in_place_append_tag(nonce, Aad::from(PLACE.spelled()), &mut text)
            .unwrap();
        let former = Sealed(STANDARD.encode([&[1][..], &[9; NONCE_BYTES], &text].concat()));
        assert!(former.is_former());
        assert_eq!(sealer(1).open(PLACE, &former), Ok(Secret::new("xoxb-1")));
        assert_eq!(sealer(2).open(PLACE, &former), Err(Unopened));
        assert_eq!(sealer(1).open(Place { version: 4, ..PLACE }, &former), Err(Unopened));
    }

    #[test]
    fn another_key_wraps_what_an_older_one_wrapped() {
        let keys = |bytes: &[u8]| {
            let keys = bytes.iter().map(|byte| [*byte; 32]).collect();
            Sealer::with_keys(keys, Home::Memory, Clock::system())
        };
        let sealed = keys(&[1]).seal(PLACE, &Secret::new("xoxb-1"));
        let both = keys(&[2, 1]);
        assert!(both.open(PLACE, &sealed).is_ok());
        let anew = both.rewrapped(&sealed.0).expect("it was wrapped with the older key");
        assert_eq!(keys(&[2]).open(PLACE, &anew), Ok(Secret::new("xoxb-1")));
        assert_eq!(keys(&[1]).open(PLACE, &anew), Err(Unopened));
        assert_eq!(keys(&[2]).open(Place { id: "other", ..PLACE }, &anew), Err(Unopened));
        assert_eq!(both.rewrapped(&anew.0), None, "it is as it should be");
        for foreign in ["s2.", "s2.0011.AAAA", "plain", &sealed.0[..20]] {
            assert_eq!(both.rewrapped(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn the_same_secret_is_never_sealed_the_same_way() {
        let secret = Secret::new("xoxb-1");
        assert_ne!(sealer(1).seal(PLACE, &secret), sealer(1).seal(PLACE, &secret));
    }
}
