//! The checks of the appliance as a whole: its place, its store, its clock, its doors, its people.

use std::time::Duration;

use super::{Finding, bytes};
use crate::domain::time::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 3_600);
const HOUR: Duration = Duration::from_secs(3_600);

/// File systems without the locks or the flushes that the store needs.
const FAR_FILE_SYSTEMS: [&str; 8] =
    ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "afs", "ceph"];
/// File systems that are gone after a restart.
const FLEETING_FILE_SYSTEMS: [&str; 2] = ["tmpfs", "ramfs"];

/// From when on a figure is worth a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The least free share of the disk, in percent.
    pub disk_free_percent_min: u32,
    /// The least time until the disk is full, in days.
    pub disk_days_min: u32,
    /// The least time until a certificate ends, in days.
    pub certificate_days_min: u32,
    /// The greatest age of the newest backup, in hours.
    pub backup_hours_max: u32,
}

/// What the last full check of the store found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// When it ended.
    pub at: Timestamp,
    /// Each damaged record.
    pub faults: Vec<String>,
}

/// What is known of the backups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backups {
    /// When the newest one was made.
    pub newest: Option<Timestamp>,
    /// Whether it was checked after it was written.
    pub checked: bool,
    /// Why the last attempt failed.
    pub failure: Option<String>,
}

/// Everything that the checks look at; what could not be found out is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApplianceFacts {
    /// The directory that holds everything.
    pub data_dir: String,
    /// Its rights, as the lowest nine bits.
    pub data_dir_mode: Option<u32>,
    /// Its file system.
    pub file_system: Option<String>,
    /// Free space, in bytes.
    pub free_bytes: Option<u64>,
    /// The size of its file system, in bytes.
    pub size_bytes: Option<u64>,
    /// How much less is free every day, in bytes.
    pub shrinks_bytes_a_day: Option<u64>,
    /// Why the store takes no writes, if it takes none.
    pub store_fault: Option<String>,
    /// What the last full check found.
    pub verified: Option<Verified>,
    /// The time that the clock leapt over, from when to when.
    pub leapt: Option<(Timestamp, Timestamp)>,
    /// When the newest event was accepted.
    pub newest_event: Option<Timestamp>,
    /// Open descriptors, and how many may be open.
    pub descriptors: Option<(u64, u64)>,
    /// Memory that is held, and how much may be, in bytes.
    pub memory: Option<(u64, u64)>,
    /// Where the sealing key is kept.
    pub seal_key: String,
    /// The rights of its file, where it is one.
    pub seal_key_mode: Option<u32>,
    /// Whether an exchange of the sealing key goes on.
    pub resealing: bool,
    /// When the certificate ends, where there is TLS.
    pub certificate_ends: Option<Timestamp>,
    /// The address that is listened on.
    pub listen: String,
    /// How many networks of proxies are believed.
    pub trusted_proxies: usize,
    /// The path that a proxy serves it under.
    pub base_path: String,
    /// People who may do everything, and how many of them have a second factor.
    pub owners: (usize, usize),
    /// Deadlines that passed over a minute ago.
    pub overdue: usize,
    /// What is known of the backups; none where there are none.
    pub backups: Option<Backups>,
    /// What is held back after a restore.
    pub restore_paused: Option<String>,
    /// Log lines that nobody took in time.
    pub log_lines_dropped: u64,
    /// The configuration file, where one was read.
    pub config_file: Option<String>,
    /// The version of the program.
    pub version: String,
}

/// Examines the appliance: each check once, whatever came out.
#[must_use]
pub fn examine(facts: &ApplianceFacts, limits: &Limits, now: Timestamp) -> Vec<Finding> {
    vec![
        rights(facts),
        file_system(facts),
        space(facts, limits),
        store(facts),
        verify(facts),
        clock(facts, now),
        descriptors(facts),
        memory(facts),
        seal_key(facts),
        certificate(facts, limits, now),
        exposure(facts),
        base_path(facts),
        owners(facts),
        timers(facts),
        backups(facts, limits, now),
        restore(facts),
        logging(facts),
        configuration(facts),
        Finding::ok(
            "version",
            format!("{}; releases and their notes: ergane version", facts.version),
        ),
    ]
}

fn rights(facts: &ApplianceFacts) -> Finding {
    let (check, directory) = ("data-directory", &facts.data_dir);
    match facts.data_dir_mode {
        Some(mode) if mode & 0o022 != 0 => Finding::fail(
            check,
            format!("others on this machine may change what lies in {directory} ({mode:03o})"),
            &format!("chmod 700 {directory}"),
        ),
        // The files in it are for their owner alone, whoever may enter.
        Some(mode) if mode & 0o077 != 0 => Finding::warn(
            check,
            format!("others on this machine may enter {directory} ({mode:03o})"),
            &format!("chmod 700 {directory}"),
        ),
        Some(_) => Finding::ok(check, format!("{directory} is for its owner alone")),
        None => Finding::warn(check, format!("the rights of {directory} cannot be read"), ""),
    }
}

fn file_system(facts: &ApplianceFacts) -> Finding {
    let check = "file-system";
    let Some(kind) = &facts.file_system else {
        return Finding::warn(check, "the kind of the file system cannot be read", "");
    };
    if FAR_FILE_SYSTEMS.contains(&kind.as_str()) {
        let detail = format!("{kind} does not promise the locks and flushes that the store needs");
        return Finding::fail(
            check,
            detail,
            "ergane serve --data-dir <a directory on a local disk>",
        );
    }
    if FLEETING_FILE_SYSTEMS.contains(&kind.as_str()) {
        let detail = format!("{kind} is gone after a restart of the machine");
        return Finding::warn(check, detail, "ergane serve --data-dir <a directory on a disk>");
    }
    Finding::ok(check, kind.clone())
}

fn space(facts: &ApplianceFacts, limits: &Limits) -> Finding {
    let (check, cure) = ("disk-space", "df -h && ergane config show | grep -i retention");
    let (Some(free), Some(size)) = (facts.free_bytes, facts.size_bytes) else {
        return Finding::warn(check, "the free space cannot be read", "");
    };
    let days = facts.shrinks_bytes_a_day.filter(|bytes| *bytes > 0).map(|bytes| free / bytes);
    let left = days.map_or_else(String::new, |days| format!(", for about {days} days as it grows"));
    let detail = format!("{} of {} are free{left}", bytes(free), bytes(size));
    let percent = free.saturating_mul(100) / size.max(1);
    let least = u64::from(limits.disk_free_percent_min);
    if percent < least / 2 || days.is_some_and(|days| days < 1) {
        return Finding::fail(check, detail, cure);
    }
    if percent < least || days.is_some_and(|days| days < u64::from(limits.disk_days_min)) {
        return Finding::warn(check, detail, cure);
    }
    Finding::ok(check, detail)
}

fn store(facts: &ApplianceFacts) -> Finding {
    match &facts.store_fault {
        Some(reason) => Finding::fail("store", reason.clone(), "df -h && dmesg | tail"),
        None => Finding::ok("store", "it takes writes"),
    }
}

fn verify(facts: &ApplianceFacts) -> Finding {
    match &facts.verified {
        Some(Verified { at, faults }) if faults.is_empty() => {
            Finding::ok("store-verify", format!("every record was sound at {at}"))
        }
        Some(Verified { at, faults }) => {
            let first = &faults[0];
            let detail = format!("{} damaged records at {at}, the first: {first}", faults.len());
            Finding::fail("store-verify", detail, "ergane restore <the newest backup>")
        }
        None => {
            Finding::ok("store-verify", "not looked at; `ergane doctor --deep` reads everything")
        }
    }
}

fn clock(facts: &ApplianceFacts, now: Timestamp) -> Finding {
    let (check, cure) = ("clock", "timedatectl status");
    if let Some(newest) = facts.newest_event.filter(|newest| newest.since(now) > HOUR) {
        let detail = format!("it is {now} here, but an event was accepted at {newest}");
        return Finding::fail(check, detail, cure);
    }
    match facts.leapt.filter(|(_, to)| now.since(*to) < DAY) {
        Some((from, to)) => Finding::warn(check, format!("it leapt from {from} to {to}"), cure),
        None => Finding::ok(check, format!("{now}, without a leap in the last day")),
    }
}

fn descriptors(facts: &ApplianceFacts) -> Finding {
    const FEW: u64 = 1_024;
    let (check, cure) = ("descriptors", "ulimit -n 65536 (or LimitNOFILE=65536 in the unit)");
    match facts.descriptors {
        Some((open, limit)) if open * 5 > limit * 4 => {
            Finding::fail(check, format!("{open} of {limit} are open"), cure)
        }
        Some((_, limit)) if limit < FEW => {
            Finding::warn(check, format!("only {limit} may be open"), cure)
        }
        Some((open, limit)) => Finding::ok(check, format!("{open} of {limit} are open")),
        None => Finding::warn(check, "they cannot be counted", ""),
    }
}

fn memory(facts: &ApplianceFacts) -> Finding {
    const LITTLE: u64 = 256 << 20;
    let (check, cure) = ("memory", "give the process more memory (MemoryMax= in the unit)");
    match facts.memory {
        Some((held, limit)) if held > limit / 10 * 9 => {
            Finding::fail(check, format!("{} of {} are held", bytes(held), bytes(limit)), cure)
        }
        Some((held, limit)) if limit < LITTLE => {
            let detail = format!("{} are held, and {} may be", bytes(held), bytes(limit));
            Finding::warn(check, detail, cure)
        }
        Some((held, limit)) => {
            Finding::ok(check, format!("{} of {} are held", bytes(held), bytes(limit)))
        }
        None => Finding::ok(check, "nothing limits it but the machine"),
    }
}

fn seal_key(facts: &ApplianceFacts) -> Finding {
    let (check, place) = ("sealing-key", &facts.seal_key);
    if let Some(mode) = facts.seal_key_mode.filter(|mode| mode & 0o077 != 0) {
        let detail = format!("others may read {place} ({mode:03o})");
        return Finding::fail(check, detail, &format!("chmod 600 {place}"));
    }
    if facts.resealing {
        let detail = "an exchange of the key goes on; both keys are needed until it is over";
        return Finding::warn(check, detail, "curl …/v1/system/secrets");
    }
    let detail = format!("kept in {place}; without it no backup gives back a secret");
    let cure = (facts.seal_key_mode.is_some()).then(|| format!("cp {place} <a safe place>"));
    Finding { cure, ..Finding::ok(check, detail) }
}

fn certificate(facts: &ApplianceFacts, limits: &Limits, now: Timestamp) -> Finding {
    let (check, cure) =
        ("certificate", "renew the files that `http.tls` names; they are read again");
    let Some(ends) = facts.certificate_ends else {
        return Finding::ok(check, "no TLS of our own");
    };
    let days = ends.since(now).as_secs() / DAY.as_secs();
    if ends <= now {
        return Finding::fail(check, format!("it ended at {ends}"), cure);
    }
    if days < u64::from(limits.certificate_days_min) {
        return Finding::warn(check, format!("it ends in {days} days"), cure);
    }
    Finding::ok(check, format!("it holds for {days} days"))
}

fn exposure(facts: &ApplianceFacts) -> Finding {
    let (check, listen) = ("exposure", &facts.listen);
    let host = listen.rsplit_once(':').map_or(listen.as_str(), |(host, _)| host);
    let is_inner = host == "localhost" || host.starts_with("127.") || host == "[::1]";
    if is_inner || facts.certificate_ends.is_some() {
        return Finding::ok(check, format!("listens on {listen}"));
    }
    if facts.trusted_proxies > 0 {
        let detail = format!("listens on {listen} without TLS, behind a proxy that is named");
        return Finding::ok(check, detail);
    }
    Finding::warn(
        check,
        format!(
            "listens on {listen}, which others reach, without TLS: keys and passwords can be read"
        ),
        "ergane serve --listen 127.0.0.1:7171, and a proxy with TLS in front that `http.trusted_proxies` names",
    )
}

fn base_path(facts: &ApplianceFacts) -> Finding {
    let check = "base-path";
    if facts.base_path.is_empty() {
        return Finding::ok(check, "served from the root");
    }
    if facts.trusted_proxies == 0 {
        let detail = format!(
            "served under {}, but no proxy is named, so links and addresses may be wrong",
            facts.base_path
        );
        return Finding::warn(check, detail, "ERGANE_HTTP__TRUSTED_PROXIES=<the proxy's network>");
    }
    Finding::ok(check, format!("served under {}", facts.base_path))
}

fn owners(facts: &ApplianceFacts) -> Finding {
    let check = "owners";
    match facts.owners {
        (0, _) => {
            let detail = "nobody who signs in may do everything; only keys and this machine";
            Finding::warn(check, detail, "ergane setup-link")
        }
        (all, 0) => {
            let detail = format!("none of {all} owners has a second factor");
            Finding::warn(check, detail, "sign in and open /profile")
        }
        (all, safe) => Finding::ok(check, format!("{safe} of {all} owners have a second factor")),
    }
}

fn timers(facts: &ApplianceFacts) -> Finding {
    match facts.overdue {
        0 => Finding::ok("timers", "none is late"),
        late => Finding::warn(
            "timers",
            format!("{late} deadlines passed over a minute ago and have not fired"),
            "ergane logs --level warn",
        ),
    }
}

fn backups(facts: &ApplianceFacts, limits: &Limits, now: Timestamp) -> Finding {
    let (check, cure) = ("backups", "ergane backup -o <a file on another disk>");
    let Some(backups) = &facts.backups else {
        return Finding::warn(check, "no backup is known", cure);
    };
    if let Some(failure) = &backups.failure {
        return Finding::fail(check, format!("the last one failed: {failure}"), cure);
    }
    let Some(newest) = backups.newest else {
        return Finding::warn(check, "there is none", cure);
    };
    let oldest = HOUR * limits.backup_hours_max;
    if now.since(newest) > oldest {
        return Finding::warn(check, format!("the newest is of {newest}"), cure);
    }
    if !backups.checked {
        return Finding::warn(check, format!("the newest, of {newest}, was not checked"), cure);
    }
    Finding::ok(check, format!("the newest is of {newest} and was checked"))
}

fn restore(facts: &ApplianceFacts) -> Finding {
    match &facts.restore_paused {
        Some(what) => Finding::warn("restore", what.clone(), "look at /system and let it go on"),
        None => Finding::ok("restore", "nothing is held back"),
    }
}

fn logging(facts: &ApplianceFacts) -> Finding {
    match facts.log_lines_dropped {
        0 => Finding::ok("log", "no line was lost"),
        lost => Finding::warn(
            "log",
            format!("{lost} lines were lost: the stream or the files take them too slowly"),
            "df -h && ergane config show | grep log",
        ),
    }
}

fn configuration(facts: &ApplianceFacts) -> Finding {
    match &facts.config_file {
        Some(file) => Finding::ok("configuration", format!("read from {file}")),
        None => Finding::ok("configuration", "no file; defaults, environment and flags"),
    }
}
