//! The file: how it is first made, recognised, opened and never harmed.

use super::settings::StoreSettings;
use super::tables::{FORMAT, HEARTBEAT, PARTS, PLACES, of};
use crate::failpoint;
use crate::store::seam::{Part, Space, StoreError};
use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The layout of tables and records that this version writes.
const FORMAT_NUMBER: u32 = 1;
const FILE_NAME: &str = "ergane.redb";
const NEW_FILE_NAME: &str = "ergane.redb.new";
/// A repair that takes longer is told of.
const REPAIR_WORTH_TELLING: Duration = Duration::from_millis(500);
/// How every file of the database engine begins.
const MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";

/// What the file says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// The layout of tables and records.
    number: u32,
    /// The version that made it.
    written_by: String,
    /// How many parts it has.
    pub parts: Part,
    /// How many parts it had at first; where a tenant lives by default depends on it, for ever.
    pub parts_at_first: Part,
}

/// An open file with the lock on its directory, which outlives every reopening.
pub struct OpenFile {
    pub database: Database,
    pub format: Format,
    pub path: PathBuf,
    pub lock: File,
}

/// Opens the store's file, and makes it if there is none.
pub fn open(settings: &StoreSettings) -> Result<OpenFile, StoreError> {
    if settings.parts == 0 {
        return Err(refused("the store needs at least one part; set `store.parts` to 1 or more"));
    }
    let lock = lock_directory(&settings.data_dir)?;
    let path = settings.data_dir.join(FILE_NAME);
    remove_unfinished(&settings.data_dir)?;
    if !path.exists() {
        create(settings, &path)?;
    }
    refuse_foreign(&path)?;
    refuse_unreadable(&path)?;
    let is_checked =
        fs::metadata(&path).is_ok_and(|data| data.len() <= settings.check_on_open_bytes_max);
    let mut builder = builder(settings);
    builder.set_check_integrity_on_open(is_checked);
    let database = sound(&path, || builder.open(&path))?;
    let mut format = read_format(&database, &path)?;
    if format.parts != settings.parts {
        format = grow(&database, format, settings.parts, &path)?;
    }
    Ok(OpenFile { database, format, path, lock })
}

/// Opens a file that was open before, which repairs it when that is needed.
pub fn reopen(settings: &StoreSettings, path: &Path) -> Result<Database, StoreError> {
    failpoint::fail("store.reopen").map_err(|error| {
        StoreError::Unavailable(format!("cannot open {}: {error}", path.display()))
    })?;
    sound(path, || builder(settings).open(path))
}

fn builder(settings: &StoreSettings) -> redb::Builder {
    let mut builder = Database::builder();
    let begun = Instant::now();
    builder.set_cache_size(settings.cache_bytes).set_repair_callback(move |repair| {
        // Whoever waits for a large file wants to know; a small one is open before it is read.
        if begun.elapsed() > REPAIR_WORTH_TELLING {
            tracing::info!("Repairing the store: {:.0} %", repair.progress() * 100.0);
        }
    });
    builder
}

/// Runs an opening; a damaged file may make the engine panic, and we want a sentence instead.
fn sound<T>(path: &Path, open: impl FnOnce() -> Result<T, DatabaseError>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(opened) => opened.map_err(|error| explain(path, &error)),
        Err(_) => Err(damaged_file(path, "its structure makes no sense")),
    }
}

fn refused(text: impl Into<String>) -> StoreError {
    StoreError::Refused(text.into())
}

fn damaged_file(path: &Path, reason: &str) -> StoreError {
    refused(format!(
        "the store {} is damaged: {reason}; restore a backup, or move the file away to start empty, \
         or set `store.check_on_open_bytes_max` to 0 to read what is left",
        path.display()
    ))
}

fn held(directory: &Path) -> StoreError {
    refused(format!(
        "cannot open the store in {}: another process holds it; stop it, or give this one another \
         --data-dir",
        directory.display()
    ))
}

fn explain(path: &Path, error: &DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            held(path.parent().unwrap_or(path))
        }
        DatabaseError::UpgradeRequired(version) => refused(format!(
            "the store {} has the file version {version}, which this version of ergane does not \
             read; start the version that wrote it, or restore a backup",
            path.display()
        )),
        DatabaseError::Storage(redb::StorageError::Corrupted(reason)) => damaged_file(path, reason),
        DatabaseError::Storage(redb::StorageError::Io(error))
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ) =>
        {
            damaged_file(path, &error.to_string())
        }
        // Full disks, missing rights and the like: it may work later.
        other => StoreError::Unavailable(format!("cannot open {}: {other}", path.display())),
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> StoreError {
    refused(format!(
        "cannot {what} {}: {error}; check the rights and the space there, or choose another \
         --data-dir",
        path.display()
    ))
}

/// Holds the directory for as long as the process lives, also while the file is being reopened.
fn lock_directory(directory: &Path) -> Result<File, StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| cannot("make the directory", directory, &error))?;
    let lock =
        File::open(directory).map_err(|error| cannot("open the directory", directory, &error))?;
    match lock.try_lock() {
        // A file system without locks still has the engine's own on the file.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(held(directory)),
    }
}

/// A file that was never renamed was never answered for: whoever made it died in the first start.
fn remove_unfinished(directory: &Path) -> Result<(), StoreError> {
    let path = directory.join(NEW_FILE_NAME);
    match fs::remove_file(&path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(cannot("remove the unfinished", &path, &error)),
    }
}

/// Makes the file under another name first: killed half-way, the engine would refuse it for ever.
fn create(settings: &StoreSettings, path: &Path) -> Result<(), StoreError> {
    let new = settings.data_dir.join(NEW_FILE_NAME);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .map_err(|error| cannot("create", &new, &error))?;
    let for_sync = file.try_clone().map_err(|error| cannot("create", &new, &error))?;
    let database = FileBackend::new(file)
        .and_then(|backend| Database::builder().create_with_backend(backend))
        .map_err(|error| explain(&new, &error))?;
    let format = Format {
        number: FORMAT_NUMBER,
        written_by: env!("CARGO_PKG_VERSION").into(),
        parts: settings.parts,
        parts_at_first: settings.parts,
    };
    write_first(&database, &format)
        .and_then(|()| database.close().map_err(redb::Error::from))
        .map_err(|error| cannot("write", &new, &io::Error::other(error.to_string())))?;
    for_sync.sync_all().map_err(|error| cannot("write", &new, &error))?;
    fs::rename(&new, path).map_err(|error| cannot("name", path, &error))?;
    File::open(&settings.data_dir)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| cannot("write the directory", &settings.data_dir, &error))
}

/// Makes every table at once, so that no reader ever meets a missing one.
fn write_first(database: &Database, format: &Format) -> Result<(), redb::Error> {
    let tx = database.begin_write()?;
    for space in Space::ALL {
        tx.open_table(of(space))?;
    }
    tx.open_table(PARTS)?;
    tx.open_table(PLACES)?;
    tx.open_table(HEARTBEAT)?;
    write_format(&tx, format)?;
    tx.commit()?;
    Ok(())
}

fn write_format(tx: &redb::WriteTransaction, format: &Format) -> Result<(), redb::Error> {
    let mut table = tx.open_table(FORMAT)?;
    for (key, value) in [
        ("format", format.number.to_string()),
        ("written_by", format.written_by.clone()),
        ("parts", format.parts.to_string()),
        ("parts_at_first", format.parts_at_first.to_string()),
    ] {
        table.insert(key, value.as_str())?;
    }
    Ok(())
}

fn refuse_foreign(path: &Path) -> Result<(), StoreError> {
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut head))
        .map_err(|error| cannot("read", path, &error))?;
    if head == MAGIC {
        return Ok(());
    }
    let what = if head.is_empty() { "is empty" } else { "is not a store of ergane" };
    Err(refused(format!(
        "the file {} {what}; move it away to start empty, or restore a backup",
        path.display()
    )))
}

/// Looks at the file without the right to write, so that what we must refuse stays as it is.
fn refuse_unreadable(path: &Path) -> Result<(), StoreError> {
    match catch_unwind(AssertUnwindSafe(|| Database::builder().open_read_only(path))) {
        Ok(Ok(database)) => read_format(&database, path).map(|_| ()),
        // It was not closed well; the writable opening repairs it and looks again.
        Ok(Err(DatabaseError::RepairAborted)) => Ok(()),
        Ok(Err(error)) => Err(explain(path, &error)),
        Err(_) => Err(damaged_file(path, "its structure makes no sense")),
    }
}

fn read_format(database: &impl ReadableDatabase, path: &Path) -> Result<Format, StoreError> {
    let tx = database.begin_read().map_err(|error| damaged_file(path, &error.to_string()))?;
    let format = sound(path, || Ok(parse_format(&tx)))?.map_err(|reason| match reason {
        Some(reason) => damaged_file(path, &reason),
        None => refused(format!(
            "the file {} was not made by ergane; give another --data-dir, or move it away",
            path.display()
        )),
    })?;
    if format.number <= FORMAT_NUMBER {
        return Ok(format);
    }
    Err(refused(format!(
        "the store {} has format {}, written by ergane {}, and this is ergane {}, which reads up \
         to format {FORMAT_NUMBER}; start ergane {} or a later one, or restore a backup",
        path.display(),
        format.number,
        format.written_by,
        env!("CARGO_PKG_VERSION"),
        format.written_by,
    )))
}

/// Answers `Err(None)` when the file belongs to something else.
fn parse_format(tx: &ReadTransaction) -> Result<Format, Option<String>> {
    let table = match tx.open_table(FORMAT) {
        Ok(table) => table,
        Err(redb::TableError::Storage(error)) => return Err(Some(error.to_string())),
        Err(_) => return Err(None),
    };
    let field = |key: &str| match table.get(key) {
        Ok(Some(value)) => Ok(value.value().to_string()),
        Ok(None) => Err(Some(format!("its format record lacks `{key}`"))),
        Err(error) => Err(Some(error.to_string())),
    };
    let unreadable = |key: &str| Some(format!("its format record has an unreadable `{key}`"));
    let number = field("format")?.parse().map_err(|_| unreadable("format"))?;
    let written_by = field("written_by")?;
    if number > FORMAT_NUMBER {
        // A later version may have changed the rest of the record.
        return Ok(Format { number, written_by, parts: 0, parts_at_first: 0 });
    }
    let count = |key: &str| match field(key)?.parse() {
        Ok(0) | Err(_) => Err(unreadable(key)),
        Ok(count) => Ok(count),
    };
    let (parts, parts_at_first) = (count("parts")?, count("parts_at_first")?);
    Ok(Format { number, written_by, parts, parts_at_first })
}

/// Parts can be added, since old keys keep their part; taking one away would hide its keys.
fn grow(
    database: &Database,
    format: Format,
    parts: Part,
    path: &Path,
) -> Result<Format, StoreError> {
    if parts < format.parts {
        return Err(refused(format!(
            "the store {} has {} parts and cannot shrink to {parts}; set `store.parts` to {} or \
             more",
            path.display(),
            format.parts,
            format.parts
        )));
    }
    let format = Format { parts, ..format };
    database
        .begin_write()
        .map_err(redb::Error::from)
        .and_then(|tx| {
            write_format(&tx, &format)?;
            tx.commit().map_err(redb::Error::from)
        })
        .map_err(|error| StoreError::Unavailable(format!("cannot add parts: {error}")))?;
    Ok(format)
}
