//! The key that secrets are sealed with: given, read from the data directory, or made there.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clock::Clock;
use crate::store::access::APPLIANCE;
use crate::store::ledger::Snapshot;
use crate::store::seal::{KEY_BYTES, KeyCheck, Sealer};
use crate::store::seam::Store;
use crate::store::tenant::TenantView;

const FILE: &str = "secret.key";

/// The key and where it came from.
pub struct SealKey {
    bytes: [u8; KEY_BYTES],
    origin: Origin,
}

enum Origin {
    Given,
    Found(PathBuf),
    /// Made just now, and written once the store is known to need no other.
    Made(PathBuf),
}

impl SealKey {
    /// Takes the key that was given, else the one in the data directory, else makes one.
    ///
    /// # Errors
    /// Returns why what was given or found is no key.
    pub fn find(given: &str, data_dir: &Path) -> anyhow::Result<SealKey> {
        if !given.is_empty() {
            let bytes = parse(given).context("`secret_key` (ERGANE_SECRET_KEY) is no key")?;
            return Ok(SealKey { bytes, origin: Origin::Given });
        }
        let path = data_dir.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let bytes = parse(&text)
                    .with_context(|| format!("{} holds no key; put it back", path.display()))?;
                Ok(SealKey { bytes, origin: Origin::Found(path) })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(SealKey { bytes: made(&Clock::system()), origin: Origin::Made(path) })
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Makes the sealer, once it is sure that everything in the store opens with this key.
    ///
    /// # Errors
    /// Returns what to do when the store was sealed with another key; nothing was changed then.
    pub fn sealer(self, store: &dyn Store, clock: Clock) -> anyhow::Result<(Sealer, KeyCheck)> {
        let sealer = Sealer::new(&self.bytes, clock);
        let snapshot = Snapshot::of(store, store.directory().place(APPLIANCE.0))?;
        let check = TenantView::new(APPLIANCE, &snapshot).check_key(&sealer)?;
        if check == KeyCheck::Foreign {
            bail!(self.origin.refusal());
        }
        if let Origin::Made(path) = &self.origin {
            keep(path, &self.bytes)
                .with_context(|| format!("cannot write the key to {}", path.display()))?;
        }
        Ok((sealer, check))
    }
}

impl Origin {
    fn refusal(&self) -> String {
        let sealed = "the secrets in the store were sealed with another key";
        match self {
            Origin::Given => format!("{sealed} than the given `secret_key`; give the right one"),
            Origin::Found(path) => {
                format!("{sealed} than the one in {}; put the right one there", path.display())
            }
            Origin::Made(path) => {
                format!("{sealed}, and {} is missing; put it back", path.display())
            }
        }
    }
}

fn parse(text: &str) -> anyhow::Result<[u8; KEY_BYTES]> {
    let text = text.trim();
    let bytes = hex::decode(text).or_else(|_| STANDARD.decode(text)).unwrap_or_default();
    let wrong = || anyhow::anyhow!("a key has {KEY_BYTES} bytes, in base64 or hexadecimal");
    bytes.try_into().map_err(|_| wrong())
}

fn made(clock: &Clock) -> [u8; KEY_BYTES] {
    let mut bytes = [0; KEY_BYTES];
    bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&clock.random().to_be_bytes()));
    bytes
}

fn keep(path: &Path, bytes: &[u8; KEY_BYTES]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", STANDARD.encode(bytes))?;
    file.sync_all()?;
    // The name must survive a crash too: without it nothing that is sealed opens again.
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_in_base64_and_in_hexadecimal() {
        let bytes = [7; KEY_BYTES];
        for text in
            [hex::encode(bytes), STANDARD.encode(bytes), format!(" {}\n", hex::encode(bytes))]
        {
            assert_eq!(parse(&text).expect("a key"), bytes);
        }
        for text in ["", "short", "00ff"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_that_was_made_is_found_again_by_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(FILE);
        let first = SealKey::find("", directory.path()).expect("a key");
        keep(&path, &first.bytes).expect("it is kept");
        let mode = std::fs::metadata(&path).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(SealKey::find("", directory.path()).expect("a key").bytes, first.bytes);
        assert!(keep(&path, &[0; KEY_BYTES]).is_err(), "a key is never written over");
    }
}
