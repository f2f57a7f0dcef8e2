//! On which machine the figures were taken.

use std::path::Path;

use serde::Serialize;

/// Returns processors, their model, memory, kernel and the disk below `directory`, in one line.
#[must_use]
pub fn describe(directory: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let memory = field("/proc/meminfo", "MemTotal").and_then(|text| {
        let kilobytes: f64 = text.trim_end_matches(" kB").parse().ok()?;
        Some(format!("{:.0} GiB", kilobytes / 1024.0 / 1024.0))
    });
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let Disk { device, kind, .. } = disk(directory);
    let build = if cfg!(debug_assertions) { "debug build" } else { "release build" };
    format!(
        "{cores} cores {model}, {}, Linux {}, {kind} on {device}, {build}",
        memory.unwrap_or_default(),
        kernel.trim()
    )
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The file system that a directory is on.
#[derive(Clone, Debug, Serialize)]
pub struct Disk {
    /// The device.
    pub device: String,
    /// The kind of file system.
    pub kind: String,
    /// The options that it is mounted with.
    pub options: String,
}

/// Returns the file system of the longest mount point above `directory`.
#[must_use]
pub fn disk(directory: &Path) -> Disk {
    mounted(directory).unwrap_or_else(|| Disk {
        device: "unknown disk".to_owned(),
        kind: String::new(),
        options: String::new(),
    })
}

fn mounted(directory: &Path) -> Option<Disk> {
    let directory = directory.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/mounts").ok()?;
    let rows = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        Some([fields.next()?, fields.next()?, fields.next()?, fields.next()?])
    });
    let above = rows.filter(|[_, point, ..]| directory.starts_with(point));
    let found = above.max_by_key(|[_, point, ..]| point.len())?;
    let [device, _, kind, options] = found.map(str::to_owned);
    Some(Disk { device, kind, options })
}
