//! Seals secrets before they are stored: ChaCha20-Poly1305 (RFC 8439), bound to where they belong.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::domain::id::TenantId;
use crate::domain::secret::Secret;

use super::access::APPLIANCE;
use super::family::Meta;
use super::key::Key;
use super::seam::{Space, StoreError};
use super::tenant::{TenantTx, TenantView};

/// The length of the key, in bytes.
pub const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
/// The first byte of what is sealed, so that another way of sealing can be told apart.
const FORMAT: u8 = 1;
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

/// A sealed secret, as it is stored: base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

/// Says that a sealed secret does not open: with another key, at another place, or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed secret does not open: it was sealed with another key, or for another place")]
pub struct Unopened;

/// Seals and opens; it holds the key of the appliance.
pub struct Sealer {
    key: LessSafeKey,
    clock: Clock,
}

impl Sealer {
    /// Takes the key; the clock gives the chance in every seal.
    #[must_use]
    pub fn new(key: &[u8; KEY_BYTES], clock: Clock) -> Sealer {
        // Of the key only a part by this name is used, so that other parts may serve elsewhere.
        let part = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), b"ergane seal 1");
        let key = UnboundKey::new(&CHACHA20_POLY1305, part.as_ref()).expect("it has 32 bytes");
        Sealer { key: LessSafeKey::new(key), clock }
    }

    /// Seals a secret for its place.
    #[must_use]
    pub fn seal(&self, place: Place<'_>, secret: &Secret) -> Sealed {
        let nonce = self.nonce();
        let mut bytes = secret.expose().as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.spelled()),
                &mut bytes,
            )
            .expect("a secret is far shorter than the cipher's limit");
        Sealed(STANDARD.encode([&[FORMAT][..], &nonce, &bytes].concat()))
    }

    /// Opens what was sealed for a place.
    ///
    /// # Errors
    /// Fails when it was sealed with another key or for another place, or was changed since.
    pub fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<Secret, Unopened> {
        let mut bytes = STANDARD.decode(&sealed.0).map_err(|_| Unopened)?;
        if bytes.len() <= 1 + NONCE_BYTES || bytes[0] != FORMAT {
            return Err(Unopened);
        }
        let (head, body) = bytes.split_at_mut(1 + NONCE_BYTES);
        let nonce = Nonce::try_assume_unique_for_key(&head[1..]).map_err(|_| Unopened)?;
        let aad = Aad::from(place.spelled());
        let text = self.key.open_in_place(nonce, aad, body).map_err(|_| Unopened)?;
        std::str::from_utf8(text).map(Secret::new).map_err(|_| Unopened)
    }

    fn nonce(&self) -> [u8; NONCE_BYTES] {
        let random = u128::from(self.clock.random()) << 64 | u128::from(self.clock.random());
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&random.to_be_bytes()[..NONCE_BYTES]);
        nonce
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Sealer(***)")
    }
}

impl Place<'_> {
    fn spelled(&self) -> Vec<u8> {
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
        Sealer::new(&[byte; KEY_BYTES], Clock::system())
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
        let bytes = STANDARD.decode(&sealed.0).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = Sealed(STANDARD.encode(changed));
            assert_eq!(sealer(1).open(PLACE, &changed), Err(Unopened), "byte {at}");
        }
        for cut in 0..bytes.len() {
            let cut = Sealed(STANDARD.encode(&bytes[..cut]));
            assert_eq!(sealer(1).open(PLACE, &cut), Err(Unopened));
        }
    }

    #[test]
    fn the_same_secret_is_never_sealed_the_same_way() {
        let secret = Secret::new("xoxb-1");
        assert_ne!(sealer(1).seal(PLACE, &secret), sealer(1).seal(PLACE, &secret));
    }
}
