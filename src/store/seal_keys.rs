//! The keys that secrets are sealed with: given, read from the data directory, or made there.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::access::APPLIANCE;
use super::ledger::Snapshot;
use super::seal::{KeyCheck, Sealer};
use super::seam::Store;
use super::tenant::TenantView;
use crate::clock::Clock;

/// The length of a key, in bytes.
pub const KEY_BYTES: usize = 32;
/// A key.
pub type KeyBytes = [u8; KEY_BYTES];

const FILE: &str = "secret.key";
const NEXT_FILE: &str = "secret.key.next";
/// What others than the owner may do with a file.
const OTHERS: u32 = 0o077;
/// A first key, and those that an exchange has not made needless yet.
const KEYS_MAX: usize = 8;

/// Where keys are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// Whoever started the program gave them.
    Given,
    /// In a file, one in each line.
    File(PathBuf),
    /// Nowhere else.
    Memory,
}

/// Why keys cannot be used, kept or exchanged, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// What was given or found is unusable.
    #[error("{0}")]
    Unusable(String),
    /// An exchange goes on.
    #[error("the secrets are still being sealed with the newest key; wait until that is done")]
    Pending,
    /// The program cannot change what it is given.
    #[error(
        "the key is given by `secret_key` (ERGANE_SECRET_KEY or ERGANE_SECRET_KEY_FILE), which only \
         you can change: put a new key before the present one, separated by a space or a new line, \
         and start again"
    )]
    Given,
}

impl Home {
    pub(super) fn told(&self) -> String {
        match self {
            Home::Given => "secret_key".to_owned(),
            Home::File(path) => path.display().to_string(),
            Home::Memory => "memory".to_owned(),
        }
    }

    /// Keeps these keys and no others: all of them or, after a crash, still the former ones.
    pub(super) fn replace(&self, keys: &[KeyBytes]) -> Result<(), KeyFault> {
        match self {
            Home::Given => Err(KeyFault::Given),
            Home::Memory => Ok(()),
            Home::File(path) => write(path, keys).map_err(|error| {
                let path = path.display();
                KeyFault::Unusable(format!("cannot write the keys to {path}: {error}"))
            }),
        }
    }
}

/// The keys and where they came from.
pub struct SealKeys {
    keys: Vec<KeyBytes>,
    home: Home,
    origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Found,
    /// Made just now, and written once the store is known to need no other.
    Made,
}

impl SealKeys {
    /// Takes the keys that were given, else those in the data directory, else makes one.
    ///
    /// # Errors
    /// Returns why what was given or found is no key, or is open to others.
    pub fn find(given: &str, data_dir: &Path) -> Result<SealKeys, KeyFault> {
        if !given.trim().is_empty() {
            let named = "`secret_key` (ERGANE_SECRET_KEY)";
            let keys = parse(given).map_err(|why| {
                KeyFault::Unusable(format!("{named} is no key: {why}; give the right one"))
            })?;
            return Ok(SealKeys { keys, home: Home::Given, origin: Origin::Found });
        }
        let path = data_dir.join(FILE);
        let told = path.display().to_string();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let keys = vec![made(&Clock::system())];
                return Ok(SealKeys { keys, home: Home::File(path), origin: Origin::Made });
            }
            Err(error) => {
                return Err(KeyFault::Unusable(format!("cannot read the key in {told}: {error}")));
            }
        };
        check_mode(&path)?;
        let keys = parse(&text).map_err(|why| {
            KeyFault::Unusable(format!("{told} holds no key: {why}; put the right one back"))
        })?;
        Ok(SealKeys { keys, home: Home::File(path), origin: Origin::Found })
    }

    /// Returns the ids of the keys, the newest first; none when they were just made and are not
    /// written yet.
    #[must_use]
    pub fn ids(self) -> Vec<String> {
        if self.origin == Origin::Made {
            return Vec::new();
        }
        let keys = Sealer::with_keys(self.keys, self.home, Clock::system()).keys();
        std::iter::once(keys.newest).chain(keys.older).collect()
    }

    /// Makes the sealer, once it is sure that everything in the store opens with these keys.
    ///
    /// # Errors
    /// Returns what to do when the store was sealed with another key; nothing was changed then.
    pub fn sealer(self, store: &dyn Store, clock: Clock) -> Result<(Sealer, KeyCheck), KeyFault> {
        let unread = |error: super::seam::StoreError| {
            KeyFault::Unusable(format!("cannot see which key the store is sealed with: {error}"))
        };
        let sealer = Sealer::with_keys(self.keys.clone(), self.home.clone(), clock);
        let place = store.directory().place(APPLIANCE.0);
        let snapshot = Snapshot::of(store, place).map_err(unread)?;
        let check = TenantView::new(APPLIANCE, &snapshot).check_key(&sealer).map_err(unread)?;
        if check == KeyCheck::Foreign {
            return Err(KeyFault::Unusable(self.refusal()));
        }
        if self.origin == Origin::Made {
            self.home.replace(&self.keys)?;
        }
        Ok((sealer, check))
    }

    #[cfg(test)]
    pub(super) fn for_tests(self, clock: Clock) -> Sealer {
        Sealer::with_keys(self.keys, self.home, clock)
    }

    fn refusal(&self) -> String {
        let sealed = "the secrets in the store were sealed with another key";
        match (&self.home, self.origin) {
            (Home::File(path), Origin::Made) => format!(
                "{sealed}, and {} is missing; put it back, or give the key as ERGANE_SECRET_KEY",
                path.display()
            ),
            (Home::File(path), Origin::Found) => {
                format!("{sealed} than the one in {}; put the right one there", path.display())
            }
            (Home::Given | Home::Memory, _) => format!(
                "{sealed} than the given `secret_key`; give the right one, or the new one followed \
                 by the former one"
            ),
        }
    }
}

/// Refuses a file that others can read: what is sealed would be open to them.
fn check_mode(path: &Path) -> Result<(), KeyFault> {
    let unreadable = |error: std::io::Error| {
        KeyFault::Unusable(format!("cannot look at {}: {error}", path.display()))
    };
    let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let path = path.display();
    Err(KeyFault::Unusable(format!(
        "{path} holds the key of all secrets and is open to others (mode {mode:03o}); close it with \
         `chmod 600 {path}`"
    )))
}

/// Reads one key, or several separated by white space; the first seals.
fn parse(text: &str) -> Result<Vec<KeyBytes>, String> {
    let one = |word: &str| {
        let bytes = hex::decode(word).or_else(|_| STANDARD.decode(word)).unwrap_or_default();
        let wrong = |_| format!("a key has {KEY_BYTES} bytes, in base64 or hexadecimal");
        KeyBytes::try_from(bytes).map_err(wrong)
    };
    let keys: Vec<KeyBytes> = text.split_whitespace().map(one).collect::<Result<_, _>>()?;
    match keys.len() {
        0 => Err("it is empty".to_owned()),
        1..=KEYS_MAX => Ok(keys),
        count => Err(format!("{count} keys are more than {KEYS_MAX}")),
    }
}

fn made(clock: &Clock) -> KeyBytes {
    let mut bytes = [0; KEY_BYTES];
    bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&clock.random().to_be_bytes()));
    bytes
}

fn write(path: &Path, keys: &[KeyBytes]) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let next = directory.join(NEXT_FILE);
    match std::fs::remove_file(&next) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {} // One that a crash left behind was never in use.
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
    for key in keys {
        writeln!(file, "{}", STANDARD.encode(key))?;
    }
    file.sync_all()?;
    std::fs::rename(&next, path)?;
    // The name must survive a crash too: without it nothing that is sealed opens again.
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_base64_and_in_hexadecimal() {
        let bytes = [7; KEY_BYTES];
        for text in
            [hex::encode(bytes), STANDARD.encode(bytes), format!(" {}\n", hex::encode(bytes))]
        {
            assert_eq!(parse(&text).expect("a key"), [bytes]);
        }
        let two = format!("{}\n{}\n", hex::encode([1; 32]), STANDARD.encode([2; 32]));
        assert_eq!(parse(&two).expect("two keys"), [[1; 32], [2; 32]]);
        for text in ["", "short", "00ff", &format!("{two} short"), &two.repeat(5)] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_that_was_made_is_found_again_by_its_owner_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(FILE);
        let first = SealKeys::find("", directory.path()).expect("a key");
        first.home.replace(&first.keys).expect("it is kept");
        let mode = std::fs::metadata(&path).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(SealKeys::find("", directory.path()).expect("a key").keys, first.keys);
        for open in [0o640, 0o604, 0o644] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(open)).expect("ours");
            let refused = SealKeys::find("", directory.path()).err().expect("refused").to_string();
            assert!(refused.contains("chmod 600") && refused.contains(FILE), "{refused}");
        }
    }

    #[test]
    fn a_write_that_a_crash_broke_off_leaves_the_former_keys() {
        let directory = tempfile::tempdir().expect("a directory");
        let home = Home::File(directory.path().join(FILE));
        home.replace(&[[1; 32]]).expect("kept");
        std::fs::write(directory.path().join(NEXT_FILE), "half a k").expect("a leftover");
        assert_eq!(SealKeys::find("", directory.path()).expect("a key").keys, [[1; 32]]);
        home.replace(&[[2; 32], [1; 32]]).expect("kept");
        assert_eq!(SealKeys::find("", directory.path()).expect("keys").keys, [[2; 32], [1; 32]]);
    }
}
