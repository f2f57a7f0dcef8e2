//! Files of log lines: a new one after so many bytes or hours, and the oldest go.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::LogSettings;
use super::lines::Look;
use crate::domain::time::Timestamp;
use crate::logs::{LogLine, book};

const CURRENT: &str = "ergane.log";
const HOUR: Duration = Duration::from_secs(3_600);
/// How long nothing is tried after a file could not be written.
const PAUSE: Duration = Duration::from_secs(10);

/// Writes lines to files; one that cannot be written is counted, and tried again later.
pub(super) struct Files {
    directory: PathBuf,
    bytes_max: u64,
    age_max: Duration,
    files_max: usize,
    open: Option<Open>,
    not_before: Timestamp,
}

struct Open {
    file: File,
    bytes: u64,
    since: Timestamp,
}

impl Files {
    /// Returns `None` when no directory is set.
    pub(super) fn new(settings: &LogSettings) -> Option<Files> {
        if settings.directory.as_os_str().is_empty() {
            return None;
        }
        Some(Files {
            directory: settings.directory.clone(),
            bytes_max: settings.file_bytes_max.max(1),
            age_max: HOUR * u32::try_from(settings.file_hours_max.max(1)).unwrap_or(u32::MAX),
            files_max: settings.files_max.max(1),
            open: None,
            not_before: Timestamp::default(),
        })
    }

    pub(super) fn write(&mut self, line: &LogLine) {
        let written = line.time >= self.not_before && self.try_write(line).is_ok();
        if !written {
            book().note_dropped();
        }
    }

    fn try_write(&mut self, line: &LogLine) -> std::io::Result<()> {
        let text = Look::Json.text(line);
        let outcome = self.rotated(line.time, text.len() as u64).and_then(|open| {
            open.file.write_all(text.as_bytes())?;
            open.bytes += text.len() as u64;
            Ok(())
        });
        if outcome.is_err() {
            self.open = None;
            self.not_before = line.time + PAUSE;
        }
        outcome
    }

    /// Returns the file that takes the next bytes.
    fn rotated(&mut self, now: Timestamp, bytes: u64) -> std::io::Result<&mut Open> {
        let is_full = |open: &Open| {
            open.bytes > 0
                && (open.bytes + bytes > self.bytes_max || now.since(open.since) >= self.age_max)
        };
        if self.open.as_ref().is_some_and(is_full) {
            self.open = None;
            let aside = format!("ergane-{}.log", now.to_string().replace(':', ""));
            fs::rename(self.directory.join(CURRENT), self.directory.join(aside))?;
            self.forget_oldest()?;
        }
        if self.open.is_none() {
            fs::create_dir_all(&self.directory)?;
            let path = self.directory.join(CURRENT);
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            let bytes = file.metadata()?.len();
            self.open = Some(Open { file, bytes, since: now });
        }
        Ok(self.open.as_mut().expect("it was opened just now"))
    }

    /// Names hold the time, so that their order is that of the files' ages.
    fn forget_oldest(&self) -> std::io::Result<()> {
        let mut old: Vec<PathBuf> = fs::read_dir(&self.directory)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                name.starts_with("ergane-") && name.ends_with(".log")
            })
            .collect();
        old.sort();
        let surplus = (old.len() + 1).saturating_sub(self.files_max);
        old.into_iter().take(surplus).try_for_each(fs::remove_file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::Level;

    fn line(at: i64, message: &str) -> LogLine {
        LogLine {
            number: 1,
            time: Timestamp::from_millis(at),
            level: Level::Info,
            target: "t".to_owned(),
            message: message.to_owned(),
            tenant: None,
            run: None,
            step: None,
            request_id: None,
            fields: Default::default(),
        }
    }

    fn files(directory: &std::path::Path) -> Files {
        let settings = LogSettings {
            directory: directory.to_path_buf(),
            file_bytes_max: 400,
            file_hours_max: 1,
            files_max: 3,
            ..LogSettings::default()
        };
        Files::new(&settings).expect("a directory is set")
    }

    fn names(directory: &std::path::Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("a directory");
        let mut names: Vec<String> =
            entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_are_changed_by_size_and_by_age_and_only_so_many_are_kept() {
        let place = tempfile::tempdir().expect("a directory");
        let mut files = files(place.path());
        files.write(&line(0, "first"));
        files.write(&line(3_600_000, "an hour later"));
        assert_eq!(names(place.path()), ["ergane-1970-01-01T010000.000Z.log", "ergane.log"]);
        for at in 0..40 {
            files.write(&line(3_700_000 + at, "many lines that fill the files one after another"));
        }
        let names = names(place.path());
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(names.iter().all(|name| !name.contains("T010000")), "{names:?}");
        let newest = fs::read_to_string(place.path().join(CURRENT)).expect("the newest");
        assert!(newest.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }

    #[test]
    fn a_directory_that_cannot_be_written_loses_lines_and_nothing_else() {
        let place = tempfile::tempdir().expect("a directory");
        let blocked = place.path().join("file");
        fs::write(&blocked, "no directory").expect("the place is ours");
        let mut files = files(&blocked);
        files.write(&line(0, "lost"));
        fs::remove_file(&blocked).expect("the place is ours");
        files.write(&line(1, "too soon"));
        files.write(&line(10_001, "kept"));
        let text = fs::read_to_string(blocked.join(CURRENT)).expect("it is a directory now");
        assert!(text.contains("kept") && !text.contains("soon"), "{text}");
    }
}
