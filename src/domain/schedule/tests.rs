//! Schedules over the changes of every zone's clocks: never twice, never early, no day left out.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{NaiveDate, NaiveTime, TimeDelta, Timelike as _, Weekday};

use super::{CronExpression, MonthDay, Schedule, When, Zone};
use crate::domain::time::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn cron(text: &str, zone: &str) -> Schedule {
    let zone = Zone::parse(zone).expect("a zone");
    Schedule::new(When::Cron(text.to_owned()), zone).expect(text)
}

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn locals(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
    schedule.preview(time(from), count).into_iter().map(|slot| slot.local).collect()
}

#[test]
fn a_cron_expression_comes_at_the_times_that_it_names() {
    for (text, from, expected) in [
        ("0 7 * * 1", "2026-11-23T06:00:00Z", "2026-11-30T07:00:00+01:00"),
        ("0 7 * * 1", "2026-11-23T05:59:59Z", "2026-11-23T07:00:00+01:00"),
        ("*/5 * * * *", "2026-11-23T10:02:00Z", "2026-11-23T11:05:00+01:00"),
        ("0 0 12 * * *", "2026-11-23T10:02:00Z", "2026-11-23T12:00:00+01:00"),
        ("*/15 * * * * *", "2026-11-23T10:02:16.500Z", "2026-11-23T11:02:30+01:00"),
        ("0 9-17/4 * * MON-FRI", "2026-11-27T16:01:00Z", "2026-11-30T09:00:00+01:00"),
        ("0 0 L * *", "2026-11-23T10:00:00Z", "2026-11-30T00:00:00+01:00"),
        ("0 9 * * FRI#2", "2026-11-23T10:00:00Z", "2026-12-11T09:00:00+01:00"),
        ("0 9 * * 5L", "2026-11-23T10:00:00Z", "2026-11-27T09:00:00+01:00"),
        ("0 9 15W * *", "2026-11-01T10:00:00Z", "2026-11-16T09:00:00+01:00"),
        ("0 0 29 2 *", "2026-11-23T10:00:00Z", "2028-02-29T00:00:00+01:00"),
        ("0 0 29 2 +MON", "2026-11-23T10:00:00Z", "2044-02-29T00:00:00+01:00"),
        ("0 0 * * 7", "2026-11-23T10:00:00Z", "2026-11-29T00:00:00+01:00"),
        ("@monthly", "2026-11-23T10:00:00Z", "2026-12-01T00:00:00+01:00"),
        ("@midnight", "2026-11-23T10:00:00Z", "2026-11-24T00:00:00+01:00"),
        ("0 12 * 1 *", "2037-12-31T23:59:59Z", "2038-01-01T12:00:00+01:00"),
    ] {
        assert_eq!(locals(&cron(text, "Europe/Berlin"), from, 1), [expected], "{text}");
    }
}

#[test]
fn a_wrong_expression_is_refused_with_its_field() {
    for (text, says) in [
        ("60 * * * *", "`60` is no minute"),
        ("* 25 * * *", "`25` is no hour"),
        ("* * 32 * *", "`32` is no day of the month"),
        ("* * * 13 *", "`13` is no month"),
        ("* * * * 8", "`8` is no day of the week"),
        ("* * * * FOO", "`FOO` is no day of the week"),
        ("61 * * * * *", "`61` is no second"),
        ("1,,2 * * * *", "`1,,2` is no minute"),
        ("*/0 * * * *", "`*/0` is no minute"),
        ("5-2 * * * *", "`5-2` is no minute"),
        ("* * * *", "`* * * *` has 4 fields"),
        ("0 0 1 1 * * 2026", "`0 0 1 1 * * 2026` has 7 fields"),
        ("", "`` has 0 fields"),
        ("@reboot", "`@reboot` is no word for times"),
        ("0 0 30 2 *", "`0 0 30 2 *` never comes: there is no such day"),
        ("0 0 31 4,6,9,11 *", "`0 0 31 4,6,9,11 *` never comes: there is no such day"),
    ] {
        let refused = CronExpression::parse(text).expect_err(text);
        assert_eq!(refused.detail, says);
        assert!(!refused.hint.is_empty());
    }
}

#[test]
fn a_fixed_time_in_a_gap_comes_at_its_end_and_in_a_repeat_the_first_time() {
    let night = cron("30 2 * * *", "Europe/Berlin");
    let spring = night.preview(time("2026-03-27T12:00:00Z"), 3);
    let shown: Vec<&str> = spring.iter().map(|slot| &*slot.local).collect();
    assert_eq!(
        shown,
        ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
    );
    let note = spring[1].note.as_deref().expect("a note");
    assert!(note.contains("forward over 02:30:00"), "{note}");
    let autumn = night.preview(time("2026-10-24T12:00:00Z"), 2);
    assert_eq!(autumn[0].local, "2026-10-25T02:30:00+02:00");
    assert_eq!(autumn[1].local, "2026-10-26T02:30:00+01:00");
    let note = autumn[0].note.as_deref().expect("a note");
    assert!(note.contains("the first time only"), "{note}");
}

#[test]
fn fixed_times_in_one_gap_come_as_one() {
    let several = cron("0,15,30 2 * * *", "Europe/Berlin");
    assert_eq!(
        locals(&several, "2026-03-28T12:00:00Z", 2),
        ["2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"]
    );
}

#[test]
fn an_interval_follows_real_time() {
    let half_hours = cron("*/30 * * * *", "Europe/Berlin");
    assert_eq!(
        locals(&half_hours, "2026-03-29T00:15:00Z", 3),
        ["2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"]
    );
    assert_eq!(
        locals(&half_hours, "2026-10-24T23:45:00Z", 5),
        [
            "2026-10-25T02:00:00+02:00",
            "2026-10-25T02:30:00+02:00",
            "2026-10-25T02:00:00+01:00",
            "2026-10-25T02:30:00+01:00",
            "2026-10-25T03:00:00+01:00",
        ]
    );
    let notes = half_hours.preview(time("2026-10-25T00:45:00Z"), 1);
    assert!(notes[0].note.as_deref().is_some_and(|note| note.contains("a second time")));
}

#[test]
fn a_day_that_a_zone_leaves_out_is_not_lost() {
    // Samoa crossed the date line: there was no 30 December 2011.
    let daily = cron("0 7 * * *", "Pacific/Apia");
    assert_eq!(
        locals(&daily, "2011-12-29T18:00:00Z", 2),
        ["2011-12-31T00:00:00+14:00", "2011-12-31T07:00:00+14:00"]
    );
}

#[test]
fn schedules_are_told_in_words() {
    let at = |hour, minute| NaiveTime::from_hms_opt(hour, minute, 0).expect("a time");
    let on = vec![Weekday::Mon, Weekday::Thu];
    for (when, words) in [
        (When::Cron("0 7 * * 1".to_owned()), "At 07:00 on Monday"),
        (When::Cron("*/5 * * * *".to_owned()), "Every 5 minutes"),
        (When::Cron("0 0 L * *".to_owned()), "At 00:00 on the last day of the month"),
        (When::Hourly { minute: 0 }, "Every hour"),
        (When::Hourly { minute: 15 }, "Every hour at minute 15"),
        (When::Daily { at: at(7, 0) }, "Every day at 07:00"),
        (When::Weekly { on, at: at(9, 30) }, "Every week on Monday and Thursday at 09:30"),
        (
            When::Monthly { day: MonthDay::Last, at: at(23, 0) },
            "Every month on the last day at 23:00",
        ),
    ] {
        let schedule = Schedule::new(when, Zone::UTC).expect("a schedule");
        assert_eq!(schedule.describe(), words);
    }
}

#[test]
fn jitter_delays_each_slot_by_the_same_span_every_time() {
    let mut schedule = cron("0 * * * *", "UTC");
    schedule.jitter = Duration::from_secs(30);
    let slots = schedule.preview(time("2026-11-23T10:00:00Z"), 200);
    let delays: BTreeSet<u128> = slots
        .iter()
        .map(|slot| {
            let fires = schedule.fires_at(slot.at, "report");
            assert_eq!(fires, schedule.fires_at(slot.at, "report"));
            assert!(fires >= slot.at && fires <= slot.at + Duration::from_secs(30));
            fires.since(slot.at).as_millis()
        })
        .collect();
    assert!(delays.len() > 100, "{} different delays", delays.len());
}

#[test]
fn of_many_slots_that_passed_the_newest_are_kept() {
    let seconds = cron("* * * * * *", "Europe/Berlin");
    let (after, until) = (time("2026-09-25T12:00:00Z"), time("2026-10-25T12:00:00Z"));
    let passed = seconds.passed(after, until, 3);
    let millis: Vec<i64> = passed.slots.iter().map(|slot| until.millis() - slot.millis()).collect();
    assert_eq!((millis, passed.is_cut), (vec![2_000, 1_000, 0], true));
    let daily = cron("0 7 * * *", "Europe/Berlin");
    let passed = daily.passed(after, until, 100);
    assert_eq!((passed.slots.len(), passed.is_cut), (30, false));
    assert_eq!(daily.passed(until, after, 100).slots, []);
    let night = cron("30 2 * * *", "Europe/Berlin");
    let passed = night.passed(time("2026-03-28T12:00:00Z"), time("2026-03-29T12:00:00Z"), 1);
    assert_eq!((passed.slots, passed.is_cut), (vec![time("2026-03-29T01:00:00Z")], false));
}

#[test]
fn a_zone_is_found_by_its_name_or_nearly() {
    assert_eq!(Zone::parse("europe/berlin").map(Zone::name), Ok("Europe/Berlin"));
    let near = |name: &str| Zone::parse(name).expect_err("unknown").near;
    assert_eq!(near("Europe/Berln"), Some("Europe/Berlin"));
    assert_eq!(near("Berlin"), Some("Europe/Berlin"));
    assert_eq!(near("xyzzy/plugh/frotz"), None);
}

/// Returns where a zone's clocks change within two years, to the minute.
fn changes(zone: Zone) -> Vec<Timestamp> {
    let start = time("2026-01-01T00:00:00Z");
    let mut found = Vec::new();
    for hour in (0..2 * 366 * 24).step_by(6) {
        let mut from = start + Duration::from_secs(hour * 3_600);
        let mut to = from + Duration::from_secs(6 * 3_600);
        if zone.seconds_ahead(from) == zone.seconds_ahead(to) {
            continue;
        }
        while to.since(from) > Duration::from_secs(60) {
            let middle = from + to.since(from) / 2;
            if zone.seconds_ahead(middle) == zone.seconds_ahead(from) {
                from = middle;
            } else {
                to = middle;
            }
        }
        found.push(to);
    }
    found
}

#[test]
fn around_every_change_of_every_zone_fixed_times_come_once_a_day() {
    let mut seen = 0;
    for zone in Zone::all() {
        for change in changes(zone) {
            seen += 1;
            let around = zone.local(change).time();
            let near = |minutes: i64| around.overflowing_add_signed(TimeDelta::minutes(minutes)).0;
            for at in [-90, -60, -30, -1, 0, 1, 30, 60].map(near) {
                let at = at.with_nanosecond(0).and_then(|at| at.with_second(0)).expect("a minute");
                let daily = Schedule::new(When::Daily { at }, zone).expect("a schedule");
                once_a_day(&daily, change - DAY * 4, change + DAY * 4);
            }
        }
    }
    assert!(seen > 500, "{seen} changes");
}

fn once_a_day(daily: &Schedule, from: Timestamp, to: Timestamp) {
    let zone = daily.zone();
    let When::Daily { at } = daily.when() else { panic!("it is daily") };
    let mut slot = from;
    let mut days: Vec<NaiveDate> = Vec::new();
    while let Some(next) = daily.next_after(slot).filter(|next| *next <= to) {
        assert!(next > slot, "{} {at}: {next} after {slot}", zone.name());
        // One that was shifted out of a gap stands for the day on which its time was left out.
        let (local, before) = (zone.local(next), zone.local(next - Duration::from_millis(1)));
        let left_out = before.date().and_time(*at);
        let stands_for = if left_out > before && left_out < local { left_out } else { local };
        let day = stands_for.date();
        assert!(local >= day.and_time(*at), "{} {at} comes early: {local}", zone.name());
        days.push(day);
        slot = next;
    }
    for pair in days.windows(2) {
        assert_eq!(pair[0].succ_opt(), Some(pair[1]), "{} {at}: {days:?}", zone.name());
    }
    assert!(days.len() >= 7, "{} {at}: {days:?}", zone.name());
    // Asked from any instant, the next slot is the same.
    let slots = daily.passed(from, to, 100).slots;
    assert_eq!(slots.len(), days.len());
}

#[test]
fn around_every_change_of_every_zone_intervals_follow_what_clocks_show() {
    let step = Duration::from_secs(60);
    for zone in Zone::all() {
        for change in changes(zone) {
            for text in ["*/20 * * * *", "10 */2 * * *", "*/30 1-3 * * *"] {
                let schedule = cron(text, zone.name());
                let expression = CronExpression::parse(text).expect(text);
                let (from, to) = (change - step * 180, change + step * 180);
                let from = Timestamp::from_millis(from.millis() / 60_000 * 60_000);
                let mut expected = Vec::new();
                let mut at = from + step;
                while at <= to {
                    let local = zone.local(at);
                    let before = local - TimeDelta::seconds(1);
                    if expression.next_local(before) == Some(local) {
                        expected.push(at);
                    }
                    at = at + step;
                }
                let passed = schedule.passed(from, to, 1_000);
                assert_eq!(passed.slots, expected, "{text} {}", zone.name());
            }
        }
    }
}
