//! Passwords: hashed with argon2id, a few at a time and never on a thread that serves.

use std::collections::HashMap;
use std::time::Duration;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::sync::Semaphore;

use super::error::Error;
use super::settings::AccessSettings;
use crate::domain::problem::Problem;

const CHARS_MAX: usize = 256;
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Compared with when there is no such account, so that the answer takes as long.
const NOBODY: &str = "the password of nobody";
/// What is tried first by whoever guesses; each is as long as the shortest password allowed.
const COMMON: [&str; 12] = [
    "123456789012",
    "1234567890123",
    "password1234",
    "password12345",
    "passwordpassword",
    "qwertyuiop12",
    "qwertyuiop123",
    "iloveyou1234",
    "letmeinletmein",
    "administrator",
    "changemechangeme",
    "correcthorsebatterystaple",
];

/// The network that asks; none for one behind which everybody may be. Not the tenant: who is refused
/// must not learn by it whether there is such an account.
pub type Whose = Option<String>;

/// Hashes and checks passwords within bounds.
#[derive(Debug)]
pub struct Passwords {
    permits: Semaphore,
    /// How many wait of each network.
    waiting: Mutex<HashMap<Whose, usize>>,
    waiting_max: usize,
    chars_min: usize,
    cost: Cost,
    nobody: OnceCell<String>,
}

#[derive(Clone, Copy, Debug)]
struct Cost {
    memory_kib: u32,
    passes: u32,
}

/// Whether a password is the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// It is.
    Right,
    /// It is not, or there is none to compare with.
    Wrong,
}

impl Passwords {
    /// Takes the bounds and the cost from the settings.
    #[must_use]
    pub fn new(settings: &AccessSettings) -> Passwords {
        Passwords {
            permits: Semaphore::new(settings.passwords_at_once.max(1)),
            waiting: Mutex::default(),
            waiting_max: settings.passwords_waiting_max,
            chars_min: settings.password_chars_min,
            cost: Cost {
                memory_kib: settings.password_memory_kib,
                passes: settings.password_passes,
            },
            nobody: OnceCell::new(),
        }
    }

    /// Refuses a password that is easily guessed; `known` is what a guesser knows of its owner.
    ///
    /// # Errors
    /// `Invalid` with what is wrong at `/password`.
    pub fn check(&self, password: &str, known: &[&str]) -> Result<(), Error> {
        let lower = password.to_lowercase();
        let chars = password.chars().count();
        let first = password.chars().next();
        let owner = known.iter().map(|fact| fact.to_lowercase());
        let problem = if chars < self.chars_min {
            Some(("too_short", format!("must have at least {} characters", self.chars_min)))
        } else if chars > CHARS_MAX {
            Some(("too_long", format!("must have at most {CHARS_MAX} characters")))
        } else if password.chars().all(|c| Some(c) == first) || COMMON.contains(&&*lower) {
            Some(("too_common", "is among the first that anybody would guess".to_owned()))
        } else if owner.into_iter().any(|fact| fact == lower) {
            Some(("too_common", "must not be the name or the mail address".to_owned()))
        } else {
            None
        };
        match problem {
            Some((code, detail)) => {
                Err(Error::Invalid(vec![Problem::new("/password", code, detail)]))
            }
            None => Ok(()),
        }
    }

    /// Returns the hash of a password with its salt and its cost, in the PHC format.
    ///
    /// # Errors
    /// `Unavailable` while too many wait, or too many of the same network.
    pub async fn hash(&self, whose: Whose, password: String) -> Result<String, Error> {
        let cost = self.cost;
        self.aside(whose, move || hash(cost, &password)).await?
    }

    /// Compares a password with a hash; it takes as long when there is none.
    ///
    /// # Errors
    /// `Unavailable` while too many wait, or too many of the same network.
    pub async fn verify(
        &self,
        whose: Whose,
        password: String,
        kept: Option<String>,
    ) -> Result<Match, Error> {
        let nobody = self.nobody.get_or_try_init(|| self.hash(whose.clone(), NOBODY.to_owned()));
        let nobody = nobody.await?.clone();
        let exists = kept.is_some();
        let kept = kept.unwrap_or(nobody);
        // A hash is compared with the cost that it was made with.
        let is_right = self
            .aside(whose, move || {
                Argon2::default().verify_password(password.as_bytes(), &*kept).is_ok()
            })
            .await?;
        Ok(if is_right && exists { Match::Right } else { Match::Wrong })
    }

    /// Runs `work` on a thread that may block, when it is its turn.
    async fn aside<T: Send + 'static>(
        &self,
        whose: Whose,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let _waiting = Waiting::enter(&self.waiting, whose, self.waiting_max)?;
        let permit = self.permits.acquire().await;
        let _permit = permit.map_err(|error| Error::Internal(error.to_string()))?;
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| Error::Internal(format!("a password could not be hashed: {error}")))
    }
}

/// Counts one who waits until it is dropped.
struct Waiting<'a> {
    all: &'a Mutex<HashMap<Whose, usize>>,
    whose: Whose,
}

impl Waiting<'_> {
    /// Of one network no more than half may wait, so that a flood from one keeps out no other.
    fn enter(
        all: &Mutex<HashMap<Whose, usize>>,
        whose: Whose,
        most: usize,
    ) -> Result<Waiting<'_>, Error> {
        let mut waiting = all.lock();
        let own = waiting.get(&whose).copied().filter(|_| whose.is_some()).unwrap_or_default();
        if waiting.values().sum::<usize>() > most || own > most.div_ceil(2) {
            return Err(Error::Unavailable {
                detail: "too many passwords wait to be checked".to_owned(),
                retry_after: RETRY_AFTER,
            });
        }
        *waiting.entry(whose.clone()).or_default() += 1;
        Ok(Waiting { all, whose })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.all.lock();
        if let Some(count) = waiting.get_mut(&self.whose) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.whose);
            }
        }
    }
}

fn hash(cost: Cost, password: &str) -> Result<String, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Internal(format!("argon2: {error}"));
    let params = Params::new(cost.memory_kib, cost.passes, 1, None);
    let params = params.map_err(|error| failed(&error))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hashed = argon2.hash_password(password.as_bytes());
    Ok(hashed.map_err(|error| failed(&error))?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick() -> AccessSettings {
        AccessSettings { password_memory_kib: 64, password_passes: 1, ..AccessSettings::default() }
    }

    #[actix_web::test]
    async fn a_password_is_known_again_and_kept_as_argon2id_alone() {
        let passwords = Passwords::new(&quick());
        let kept = passwords.hash(None, "a long enough one".to_owned()).await.expect("hashed");
        assert!(kept.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{kept}");
        let verify = async |text: &str, kept: Option<&str>| {
            passwords.verify(None, text.to_owned(), kept.map(str::to_owned)).await.expect("room")
        };
        assert_eq!(verify("a long enough one", Some(&kept)).await, Match::Right);
        assert_eq!(verify("a long enough two", Some(&kept)).await, Match::Wrong);
        assert_eq!(verify("a long enough one", None).await, Match::Wrong);
        assert_eq!(verify(NOBODY, None).await, Match::Wrong);
    }

    #[actix_web::test]
    async fn a_flood_of_passwords_is_refused_and_not_queued() {
        let settings = AccessSettings { passwords_waiting_max: 1, passwords_at_once: 1, ..quick() };
        let passwords = Passwords::new(&settings);
        let _held = passwords.permits.acquire().await.expect("open");
        let _two = [
            Waiting::enter(&passwords.waiting, None, 1).expect("room"),
            Waiting::enter(&passwords.waiting, None, 1).expect("room"),
        ];
        let refused = passwords.hash(None, "a long enough one".to_owned()).await;
        assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    }

    #[test]
    fn a_flood_from_one_network_keeps_no_other_out() {
        let waiting = Mutex::default();
        let from = |network: &str| Waiting::enter(&waiting, Some(network.to_owned()), 8);
        let flood = || from("192.0.2.1");
        let held: Vec<_> = std::iter::from_fn(|| flood().ok()).collect();
        assert_eq!(held.len(), 5);
        let other = from("192.0.2.2");
        assert!(other.is_ok() && flood().is_err());
        drop(held);
        assert!(flood().is_ok());
    }

    #[test]
    fn what_is_guessed_first_is_refused() {
        let passwords = Passwords::new(&quick());
        for (password, fits) in [
            ("short", false),
            ("aaaaaaaaaaaaaaaa", false),
            ("Password1234", false),
            ("Ada@Example.com", false),
            ("violet kettle umbrella", true),
            ("äöüßéñçøåæœþ", true),
            (&"x1".repeat(200), false),
        ] {
            let checked = passwords.check(password, &["ada@example.com", "Ada"]);
            assert_eq!(checked.is_ok(), fits, "{password}");
        }
    }
}
