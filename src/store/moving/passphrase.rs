//! Seals the secrets of an export with a passphrase: argon2id (RFC 9106) makes a key of it, and
//! ChaCha20-Poly1305 (RFC 8439) binds each secret to where it belongs in the tenant.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::super::access::APPLIANCE;
use super::super::seal::Place;
use super::MoveFault;
use crate::clock::Clock;
use crate::domain::secret::Secret;

/// What a secret on the move begins with.
const FORMAT: &str = "m1.";
const NONCE_BYTES: usize = 12;
const KEY_BYTES: usize = 32;
/// The second of the two choices of RFC 9106, section 4: for where memory is dear.
const MEMORY_KIB: u32 = 65_536;
const PASSES: u32 = 3;
/// What a foreign file may ask of this machine.
const MEMORY_KIB_MAX: u32 = 262_144;
const PASSES_MAX: u32 = 16;
const CHECKED: &str = "ergane";

/// How the key was made, without what it was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LockTerms {
    /// Always `argon2id`.
    pub kdf: String,
    /// How much memory it takes, in KiB.
    pub memory_kib: u32,
    /// How often it goes over its memory.
    pub passes: u32,
    /// In hexadecimal.
    pub salt: String,
    /// Something known, sealed: it tells the right passphrase from a wrong one.
    pub check: String,
}

/// Seals and opens the secrets of one export.
pub struct Lock {
    cipher: LessSafeKey,
    mac: hmac::Key,
    clock: Clock,
}

impl Lock {
    /// Makes a key of a passphrase and a new salt; it takes a while and much memory.
    ///
    /// # Errors
    /// Fails when the memory is not there.
    pub fn new(passphrase: &Secret, clock: Clock) -> Result<(Lock, LockTerms), MoveFault> {
        let salt = format!("{:016x}{:016x}", clock.random(), clock.random());
        let mut terms = LockTerms {
            kdf: "argon2id".to_owned(),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            salt,
            check: String::new(),
        };
        let lock = Lock::made(passphrase, &terms, clock)?;
        terms.check = lock.seal(of_check(), &Secret::new(CHECKED));
        Ok((lock, terms))
    }

    /// Makes the same key again.
    ///
    /// # Errors
    /// `PassphraseWrong` when it is another one.
    pub fn reopened(
        passphrase: &Secret,
        terms: &LockTerms,
        clock: Clock,
    ) -> Result<Lock, MoveFault> {
        let affordable = terms.memory_kib <= MEMORY_KIB_MAX && terms.passes <= PASSES_MAX;
        if terms.kdf != "argon2id" || !affordable {
            return Err(MoveFault::Newer(
                "its secrets are sealed in a way unknown here".to_owned(),
            ));
        }
        let lock = Lock::made(passphrase, terms, clock)?;
        lock.open(of_check(), &terms.check).map_err(|_| MoveFault::PassphraseWrong)?;
        Ok(lock)
    }

    fn made(passphrase: &Secret, terms: &LockTerms, clock: Clock) -> Result<Lock, MoveFault> {
        let params = Params::new(terms.memory_kib, terms.passes, 1, Some(KEY_BYTES));
        let params = params.map_err(MoveFault::damaged)?;
        let mut key = [0; KEY_BYTES];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.expose().as_bytes(), terms.salt.as_bytes(), &mut key)
            .map_err(MoveFault::damaged)?;
        // Parts by these names, so that no key serves two purposes.
        let part =
            |name: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), name.as_bytes());
        let cipher = UnboundKey::new(&CHACHA20_POLY1305, part("ergane move secrets").as_ref());
        let cipher = LessSafeKey::new(cipher.expect("it has 32 bytes"));
        let mac = hmac::Key::new(hmac::HMAC_SHA256, part("ergane move whole").as_ref());
        Ok(Lock { cipher, mac, clock })
    }

    /// Seals a secret for its place, whatever number the tenant has.
    pub(super) fn seal(&self, place: Place<'_>, secret: &Secret) -> String {
        let mut nonce = [0; NONCE_BYTES];
        for chunk in nonce.chunks_mut(8) {
            chunk.copy_from_slice(&self.clock.random().to_be_bytes()[..chunk.len()]);
        }
        let mut text = secret.expose().as_bytes().to_vec();
        let aad = Aad::from(anywhere(place).spelled());
        self.cipher
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text)
            .expect("a secret is far shorter than the cipher's limit");
        format!("{FORMAT}{}", STANDARD.encode([&nonce[..], &text].concat()))
    }

    /// Opens what was sealed for a place.
    ///
    /// # Errors
    /// Fails for what was sealed with another passphrase, for another place, or changed since.
    pub(super) fn open(&self, place: Place<'_>, text: &str) -> Result<Secret, MoveFault> {
        let wrong = || MoveFault::damaged("a secret of it does not open");
        let bytes = text.strip_prefix(FORMAT).and_then(|body| STANDARD.decode(body).ok());
        let mut bytes = bytes.filter(|bytes| bytes.len() > NONCE_BYTES).ok_or_else(wrong)?;
        let mut text = bytes.split_off(NONCE_BYTES);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).map_err(|_| wrong())?;
        let aad = Aad::from(anywhere(place).spelled());
        let text = self.cipher.open_in_place(nonce, aad, &mut text).map_err(|_| wrong())?;
        std::str::from_utf8(text).map(Secret::new).map_err(|_| wrong())
    }

    /// Signs the digest of a whole export, in hexadecimal.
    #[must_use]
    pub fn sign(&self, digest: &[u8]) -> String {
        hex::encode(hmac::sign(&self.mac, digest))
    }

    /// Returns whether `signature` was made of `digest` with this passphrase.
    #[must_use]
    pub fn believes(&self, digest: &[u8], signature: &str) -> bool {
        let signature = hex::decode(signature).unwrap_or_default();
        hmac::verify(&self.mac, digest, &signature).is_ok()
    }
}

fn anywhere(place: Place<'_>) -> Place<'_> {
    Place { tenant: APPLIANCE, ..place }
}

const fn of_check() -> Place<'static> {
    Place { tenant: APPLIANCE, kind: "check", id: "", version: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::TenantId;

    #[test]
    fn a_secret_opens_with_its_passphrase_at_its_place_in_any_tenant() {
        let (lock, terms) = Lock::new(&Secret::new("a long one"), Clock::system()).expect("made");
        let place = Place { tenant: TenantId(3), kind: "secret", id: "token", version: 2 };
        let sealed = lock.seal(place, &Secret::new("xoxb-1"));
        assert!(!sealed.contains("xoxb"));
        let again = Lock::reopened(&Secret::new("a long one"), &terms, Clock::system());
        let again = again.expect("the same");
        let elsewhere = Place { tenant: TenantId(9), ..place };
        assert_eq!(again.open(elsewhere, &sealed), Ok(Secret::new("xoxb-1")));
        assert!(again.open(Place { id: "tokem", ..place }, &sealed).is_err());
        assert!(again.open(place, &sealed[..sealed.len() - 4]).is_err());
        let wrong = Lock::reopened(&Secret::new("another one"), &terms, Clock::system());
        assert_eq!(wrong.err(), Some(MoveFault::PassphraseWrong));
        assert!(again.believes(b"whole", &lock.sign(b"whole")));
        assert!(!again.believes(b"half", &lock.sign(b"whole")));
    }

    #[test]
    fn a_file_that_asks_for_all_the_memory_is_refused() {
        let (_, terms) = Lock::new(&Secret::new("a long one"), Clock::system()).expect("made");
        let terms = LockTerms { memory_kib: u32::MAX, ..terms };
        let refused = Lock::reopened(&Secret::new("a long one"), &terms, Clock::system());
        assert!(matches!(refused, Err(MoveFault::Newer(_))));
    }
}
