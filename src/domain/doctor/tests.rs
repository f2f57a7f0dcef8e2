//! Each check by itself: what it lets pass, what it warns of, and that every warning has a cure.

use super::*;
use crate::domain::id::RunId;
use crate::domain::time::Timestamp;

const DAY_MS: i64 = 86_400_000;
const NOW: Timestamp = Timestamp::from_millis(1_000 * DAY_MS);
const LIMITS: Limits = Limits {
    disk_free_percent_min: 10,
    disk_days_min: 7,
    certificate_days_min: 14,
    backup_hours_max: 36,
};

fn days(number: i64) -> Timestamp {
    Timestamp::from_millis(NOW.millis() + number * DAY_MS)
}

/// An appliance of which nothing bad can be said.
fn healthy() -> ApplianceFacts {
    ApplianceFacts {
        data_dir: "/data".to_owned(),
        data_dir_mode: Some(0o700),
        file_system: Some("ext4".to_owned()),
        free_bytes: Some(60 << 30),
        size_bytes: Some(100 << 30),
        descriptors: Some((40, 65_536)),
        seal_key: "/data/secret.key".to_owned(),
        seal_key_mode: Some(0o600),
        listen: "127.0.0.1:7171".to_owned(),
        owners: (2, 1),
        backups: Some(Backups { newest: Some(days(0)), checked: true, failure: None }),
        version: "1.0.0".to_owned(),
        ..ApplianceFacts::default()
    }
}

fn tenant() -> TenantFacts {
    TenantFacts { slug: "acme".to_owned(), ..TenantFacts::default() }
}

/// Examines the healthy appliance after a change, and expects one check to come out as told.
fn check(check: &str, grade: Grade, change: impl FnOnce(&mut ApplianceFacts)) {
    let mut facts = healthy();
    change(&mut facts);
    expect(&examine(&facts, &LIMITS, NOW), check, grade);
}

fn check_tenant(check: &str, grade: Grade, change: impl FnOnce(&mut TenantFacts)) {
    let mut facts = tenant();
    change(&mut facts);
    expect(&examine_tenant(&facts, NOW), check, grade);
}

fn expect(findings: &[Finding], check: &str, grade: Grade) {
    let found = findings.iter().find(|it| it.check == check).expect(check);
    assert_eq!(found.status, grade, "{found:?}");
    assert!(grade == Grade::Ok || found.cure.is_some(), "no cure: {found:?}");
    for other in findings.iter().filter(|it| it.check != check) {
        assert_eq!(other.status, Grade::Ok, "{other:?} while {check} was changed");
    }
}

#[test]
fn a_healthy_appliance_has_nothing_to_warn_of() {
    let all = [examine(&healthy(), &LIMITS, NOW), examine_tenant(&tenant(), NOW)].concat();
    assert!(all.iter().all(|it| it.status == Grade::Ok), "{all:?}");
    let mut names: Vec<_> = all.iter().map(|it| it.check).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len(), "each check has a name of its own");
}

#[test]
fn the_data_directory_is_for_its_owner_alone() {
    check("data-directory", Grade::Fail, |it| it.data_dir_mode = Some(0o770));
    check("data-directory", Grade::Warn, |it| it.data_dir_mode = Some(0o755));
    check("data-directory", Grade::Warn, |it| it.data_dir_mode = Some(0o750));
}

#[test]
fn a_file_system_without_flushes_is_no_place_for_a_store() {
    check("file-system", Grade::Fail, |it| it.file_system = Some("nfs4".to_owned()));
    check("file-system", Grade::Warn, |it| it.file_system = Some("tmpfs".to_owned()));
}

#[test]
fn little_space_and_little_time_until_there_is_none() {
    check("disk-space", Grade::Warn, |it| it.free_bytes = Some(8 << 30));
    check("disk-space", Grade::Fail, |it| it.free_bytes = Some(4 << 30));
    check("disk-space", Grade::Ok, |it| it.shrinks_bytes_a_day = Some(1 << 30));
    check("disk-space", Grade::Warn, |it| it.shrinks_bytes_a_day = Some(10 << 30));
    check("disk-space", Grade::Fail, |it| it.shrinks_bytes_a_day = Some(61 << 30));
}

#[test]
fn a_store_that_takes_no_writes_or_is_damaged() {
    check("store", Grade::Fail, |it| it.store_fault = Some("no space".to_owned()));
    let verified = |faults: Vec<String>| Some(Verified { at: days(-1), faults });
    check("store-verify", Grade::Ok, |it| it.verified = verified(vec![]));
    check("store-verify", Grade::Fail, |it| it.verified = verified(vec!["bad".to_owned()]));
}

#[test]
fn a_clock_that_leapt_or_is_behind_what_was_written() {
    check("clock", Grade::Warn, |it| it.leapt = Some((days(-3), days(0))));
    check("clock", Grade::Ok, |it| it.leapt = Some((days(-9), days(-2))));
    check("clock", Grade::Fail, |it| it.newest_event = Some(days(1)));
}

#[test]
fn descriptors_and_memory_that_run_out() {
    check("descriptors", Grade::Warn, |it| it.descriptors = Some((20, 256)));
    check("descriptors", Grade::Fail, |it| it.descriptors = Some((60_000, 65_536)));
    check("memory", Grade::Warn, |it| it.memory = Some((40 << 20, 128 << 20)));
    check("memory", Grade::Fail, |it| it.memory = Some((1_000 << 20, 1_024 << 20)));
    check("memory", Grade::Ok, |it| it.memory = Some((100 << 20, 1_024 << 20)));
}

#[test]
fn the_sealing_key_is_ours_alone_and_one() {
    check("sealing-key", Grade::Fail, |it| it.seal_key_mode = Some(0o644));
    check("sealing-key", Grade::Warn, |it| it.resealing = true);
}

#[test]
fn a_certificate_that_ends() {
    check("certificate", Grade::Ok, |it| it.certificate_ends = Some(days(30)));
    check("certificate", Grade::Warn, |it| it.certificate_ends = Some(days(13)));
    check("certificate", Grade::Fail, |it| it.certificate_ends = Some(days(0)));
}

#[test]
fn doors_that_others_reach_without_tls() {
    check("exposure", Grade::Warn, |it| it.listen = "0.0.0.0:7171".to_owned());
    check("exposure", Grade::Ok, |it| it.listen = "[::1]:7171".to_owned());
    check("exposure", Grade::Ok, |it| {
        it.listen = "0.0.0.0:7171".to_owned();
        it.trusted_proxies = 1;
    });
    check("base-path", Grade::Warn, |it| it.base_path = "/ergane".to_owned());
}

#[test]
fn owners_without_a_second_factor() {
    check("owners", Grade::Warn, |it| it.owners = (0, 0));
    check("owners", Grade::Warn, |it| it.owners = (3, 0));
}

#[test]
fn late_timers_lost_lines_and_what_a_restore_holds_back() {
    check("timers", Grade::Warn, |it| it.overdue = 3);
    check("log", Grade::Warn, |it| it.log_lines_dropped = 1);
    check("restore", Grade::Warn, |it| it.restore_paused = Some("paused".to_owned()));
}

#[test]
fn backups_that_are_missing_old_unchecked_or_failed() {
    let state = |newest, checked| Some(Backups { newest, checked, failure: None });
    check("backups", Grade::Warn, |it| it.backups = None);
    check("backups", Grade::Warn, |it| it.backups = state(None, true));
    check("backups", Grade::Warn, |it| it.backups = state(Some(days(-2)), true));
    check("backups", Grade::Warn, |it| it.backups = state(Some(days(0)), false));
    check("backups", Grade::Fail, |it| {
        let failure = Some("no space".to_owned());
        it.backups = Some(Backups { newest: None, checked: false, failure });
    });
}

#[test]
fn keys_that_nobody_uses_that_never_end_and_that_were_prepared() {
    let key = |name: &str| KeyFacts {
        id: "key_1".to_owned(),
        name: name.to_owned(),
        created_at: days(-1),
        expires_at: Some(days(30)),
        last_used_at: Some(days(0)),
        prepared: false,
    };
    check_tenant("keys-endless", Grade::Ok, |it| it.keys = vec![key("fine")]);
    check_tenant("keys-endless", Grade::Warn, |it| {
        it.keys = vec![KeyFacts { expires_at: None, ..key("ci") }];
    });
    check_tenant("keys-unused", Grade::Warn, |it| {
        it.keys = vec![KeyFacts { last_used_at: Some(days(-91)), ..key("old") }];
    });
    check_tenant("keys-unused", Grade::Warn, |it| {
        let created_at = days(-91);
        it.keys = vec![KeyFacts { last_used_at: None, created_at, ..key("never") }];
    });
    check_tenant("key-prepared", Grade::Warn, |it| {
        it.keys = vec![KeyFacts { prepared: true, ..key("bootstrap") }];
    });
}

#[test]
fn what_a_tenant_is_connected_to_and_what_it_missed() {
    let one = || vec!["x".to_owned()];
    check_tenant("webhooks", Grade::Warn, |it| it.webhooks_disabled = one());
    check_tenant("connections", Grade::Warn, |it| it.disbelieved = one());
    check_tenant("circuits", Grade::Warn, |it| it.open_circuits = one());
    check_tenant("schedules", Grade::Warn, |it| it.schedules_missed = one());
    check_tenant("incidents", Grade::Ok, |it| it.incidents = (1, Some(days(0))));
    check_tenant("incidents", Grade::Warn, |it| it.incidents = (1, Some(days(-2))));
}

#[test]
fn runs_that_fail_stand_still_or_were_set_aside() {
    check_tenant("workflows", Grade::Ok, |it| it.workflows = vec![("a".to_owned(), 5, 10)]);
    check_tenant("workflows", Grade::Ok, |it| it.workflows = vec![("a".to_owned(), 9, 9)]);
    check_tenant("workflows", Grade::Warn, |it| it.workflows = vec![("a".to_owned(), 6, 10)]);
    check_tenant("quarantine", Grade::Fail, |it| it.quarantined = 1);
    check_tenant("stuck", Grade::Fail, |it| it.idle = vec![RunId::from_bytes([1; 16])]);
    check_tenant("backlog", Grade::Warn, |it| it.queued = 10_001);
}

#[test]
fn long_lists_are_cut_and_sizes_are_read_by_people() {
    let names: Vec<String> = (0..7).map(|number| number.to_string()).collect();
    assert_eq!(some_of(&names), "0, 1, 2, 3, 4 and 2 more");
    assert_eq!(bytes(512), "512 B");
    assert_eq!(bytes(1_536), "1.5 KiB");
    assert_eq!(bytes(5 << 40), "5.0 TiB");
}
