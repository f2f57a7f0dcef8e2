//! The files of backups in a directory: made under another name, checked, and named when whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::check::{check, read_manifest};
use super::copy::{Order, copy};
use super::manifest::Manifest;
use crate::domain::time::Timestamp;
use crate::store::seam::{Store, StoreError};

/// How every backup's name ends.
pub const EXTENSION: &str = "backup";
/// How the name of one ends that is not whole.
const PART: &str = "part";
/// After how many bytes the file is synced, so that commits never wait behind many of ours.
const SYNC_BYTES: u64 = 4 * 1024 * 1024;

/// A whole backup in a directory.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its size, in bytes.
    pub bytes: u64,
    /// What it says of itself, or why it cannot be used.
    pub manifest: Result<Manifest, String>,
}

/// Takes a backup of `store` into `path`: nothing has that name before it was written to the disk,
/// read back and found whole.
///
/// # Errors
/// Fails when there is no room, the store or the disk does not let us, or the name is taken; what
/// was written is removed then.
pub fn take(store: &dyn Store, path: &Path, order: Order<'_>) -> Result<Manifest, StoreError> {
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    make_directory(directory)?;
    if path.exists() {
        return Err(StoreError::Refused(format!("{} is there already", path.display())));
    }
    refuse_without_room(directory, store.admin().bytes_on_disk())?;
    let part = with_extension(path, PART);
    let unfinished = Unfinished(&part);
    let (at, pace, progress) = (order.at, order.pace, order.progress);
    let mut file = PartFile::create(&part)?;
    copy(store, &mut file, order)?;
    file.finish(&part)?;
    let (manifest, _) = check(&part, at, pace, progress)?;
    name_file(&part, path)?;
    drop(unfinished);
    Ok(manifest)
}

/// Makes a directory that its owner alone may read.
///
/// # Errors
/// Fails as the disk does.
pub fn make_directory(directory: &Path) -> Result<(), StoreError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| cannot("make", directory, &error))
}

/// Gives a file that is whole its name, and makes the name durable.
///
/// # Errors
/// Fails as the disk does.
pub fn name_file(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|error| cannot("name", to, &error))?;
    let directory = to.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|error| cannot("write", directory, &error))
}

/// Returns the name of a backup that is taken at an instant.
#[must_use]
pub fn name_at(at: Timestamp) -> String {
    let digits: String = at.to_string().chars().filter(|it| !matches!(it, '-' | ':')).collect();
    let seconds = digits.split('.').next().unwrap_or_default();
    format!("ergane-{seconds}Z.{EXTENSION}")
}

/// Returns whether a text can only be the name of a backup, and leads nowhere else.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    !name.starts_with('.')
        && name.chars().all(plain)
        && name.strip_suffix(EXTENSION).is_some_and(|stem| stem.len() > 1 && stem.ends_with('.'))
}

/// Lists the backups in a directory, the newest first; a directory that is not there has none.
///
/// # Errors
/// Fails when it cannot be read.
pub fn list(directory: &Path) -> Result<Vec<Listed>, StoreError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(cannot("read", directory, &error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| cannot("read", directory, &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_name(&name) {
            let manifest = read_manifest(&entry.path()).map_err(|error| error.to_string());
            let bytes = entry.metadata().map_or(0, |file| file.len());
            found.push(Listed { name, bytes, manifest });
        }
    }
    let when = |listed: &Listed| listed.manifest.as_ref().ok().map(|manifest| manifest.taken_at);
    found.sort_by(|a, b| (when(b), &b.name).cmp(&(when(a), &a.name)));
    Ok(found)
}

/// Removes what an earlier process left unfinished.
pub fn remove_unfinished(directory: &Path) {
    let ending = format!(".{EXTENSION}.{PART}");
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().ends_with(&ending) {
            let _ = fs::remove_file(entry.path()); // It takes room and is never taken for whole.
        }
    }
}

/// Returns how many bytes may still be written below a directory, as far as the system's `df` (POSIX)
/// tells; the standard library cannot ask.
#[must_use]
pub fn room(directory: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg(directory).stderr(Stdio::null()).output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let kibibytes: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn refuse_without_room(directory: &Path, store_bytes: u64) -> Result<(), StoreError> {
    // A backup has no free pages and packs its keys, so that half of the file is more than enough
    // in nearly every case; where it is not, the write itself finds out.
    let needed = store_bytes / 2;
    match room(directory) {
        Some(free) if free < needed => Err(StoreError::Unavailable(format!(
            "there is no room for a backup in {}: {free} bytes are free, about {needed} are \
             needed; make room or set `backup.directory`",
            directory.display()
        ))),
        _ => Ok(()),
    }
}

fn with_extension(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(extension);
    path.with_file_name(name)
}

/// Removes a file that was broken off; after it was renamed there is none.
struct Unfinished<'a>(&'a Path);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0); // Whoever cannot remove it now does so before the next.
    }
}

/// A file that is synced as it grows.
struct PartFile {
    file: File,
    unsynced: u64,
}

impl PartFile {
    fn create(path: &Path) -> Result<PartFile, StoreError> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
        let file = file.map_err(|error| cannot("create", path, &error))?;
        Ok(PartFile { file, unsynced: 0 })
    }

    fn finish(self, path: &Path) -> Result<(), StoreError> {
        self.file.sync_all().map_err(|error| cannot("write", path, &error))
    }
}

impl Write for PartFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced += written as u64;
        if self.unsynced >= SYNC_BYTES {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        assert!(is_name("ergane-20261123T101500Z.backup") && is_name("before-upgrade.backup"));
        for name in
            ["", ".backup", "a.backup.part", "../a.backup", "a/b.backup", "x.redb", ".a.backup"]
        {
            assert!(!is_name(name), "{name}");
        }
        let name = name_at(Timestamp::from_millis(0));
        assert_eq!(name, "ergane-19700101T000000Z.backup");
        assert!(is_name(&name));
    }
}
