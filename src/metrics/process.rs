//! What the system tells of this process and its file systems, as far as it tells it; proc(5).

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The unit of times in `/proc/self/stat`; fixed for programs on Linux (proc(5), `USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;
const KIB: u64 = 1_024;
/// More than any machine has: what a control group says that limits nothing.
const NO_LIMIT_BYTES: u64 = 1 << 60;

/// What this process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// The memory that it holds, in bytes.
    pub resident_bytes: Option<u64>,
    /// Its open descriptors.
    pub open_fds: Option<u64>,
    /// How many descriptors may be open.
    pub max_fds: Option<u64>,
    /// Its threads.
    pub threads: Option<u64>,
    /// The processor time that it used, in seconds.
    pub cpu_seconds: Option<f64>,
    /// How much memory it may hold, in bytes, where a control group says so.
    pub memory_limit_bytes: Option<u64>,
}

impl Usage {
    /// Reads it.
    #[must_use]
    pub fn read() -> Usage {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Usage {
            resident_bytes: field(&status, "VmRSS:").map(|kib| kib * KIB),
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|all| all.count() as u64),
            max_fds: field(&limits, "Max open files"),
            threads: field(&status, "Threads:"),
            cpu_seconds: cpu_seconds(&stat),
            memory_limit_bytes: memory_limit(),
        }
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// The command in the second field may hold blanks, so fields are counted after its end.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

fn memory_limit() -> Option<u64> {
    let files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limits = files.iter().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
    limits.filter(|bytes| *bytes < NO_LIMIT_BYTES).min()
}

/// The file system that a directory lies in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// Its kind, such as `ext4`.
    pub kind: Option<String>,
    /// Its size, in bytes.
    pub size_bytes: Option<u64>,
    /// What is free for us, in bytes.
    pub free_bytes: Option<u64>,
}

impl Disk {
    /// Asks for the file system of a directory. The figures come from df(1), as POSIX describes it,
    /// since the standard library has no call for them.
    #[must_use]
    pub fn of(directory: &Path) -> Disk {
        let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_path_buf());
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let kind = mounted(&mounts, &directory).map(|(_, kind)| kind.to_owned());
        let mut asked = Command::new("df");
        asked.arg("-Pk").arg(&directory).stdin(Stdio::null()).stderr(Stdio::null());
        let told = asked.env("LC_ALL", "C").output().ok().map(|output| output.stdout);
        let (size_bytes, free_bytes) =
            told.and_then(|text| figures(&String::from_utf8_lossy(&text))).unzip();
        Disk { kind, size_bytes, free_bytes }
    }
}

/// Returns the mount that covers a path: the longest, and of equal ones the last.
fn mounted<'m>(mounts: &'m str, path: &Path) -> Option<(&'m str, &'m str)> {
    let all = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    all.filter(|(place, _)| path.starts_with(place)).max_by_key(|(place, _)| place.len())
}

/// Reads the second line of `df -Pk`: size, used, free, counted from the end, as a device's name
/// may hold blanks.
fn figures(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().nth(1)?;
    let percent = line.find('%')?;
    let mut fields = line[..percent].split_whitespace().rev().skip(1);
    let free: u64 = fields.next()?.parse().ok()?;
    let size: u64 = fields.nth(1)?.parse().ok()?;
    Some((size * KIB, free * KIB))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_descriptors_and_time() {
        let usage = Usage::read();
        assert!(usage.resident_bytes.is_some_and(|bytes| bytes > 1 << 20), "{usage:?}");
        assert!(usage.open_fds < usage.max_fds, "{usage:?}");
        assert!(usage.cpu_seconds.is_some() && usage.threads >= Some(1), "{usage:?}");
    }

    #[test]
    fn a_file_system_is_found_by_the_longest_mount() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\nnas:/x /data nfs4 rw 0 0\n";
        for (path, kind) in [("/srv/x", "ext4"), ("/tmp/y", "tmpfs"), ("/data", "nfs4")] {
            assert_eq!(mounted(mounts, Path::new(path)).map(|(_, kind)| kind), Some(kind));
        }
        let told = "Filesystem 1024-blocks Used Available Capacity Mounted on\n\
                    /dev/a b 1000 600 400 60% /a b\n";
        assert_eq!(figures(told), Some((1000 * KIB, 400 * KIB)));
        let disk = Disk::of(Path::new("/"));
        assert!(disk.free_bytes <= disk.size_bytes && disk.size_bytes.is_some(), "{disk:?}");
    }

    #[test]
    fn the_name_of_the_command_does_not_move_the_fields() {
        let stat = "1 (a) b) S 1 1 1 0 -1 4 1 2 3 4 250 50 0 0 20 0 4 0 1 2 3";
        assert_eq!(cpu_seconds(stat), Some(3.0));
    }
}
