//! Working time: which instants of a zone's week count, and how far an amount of them reaches.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{
    DateTime, Datelike as _, Days, LocalResult, NaiveDate, TimeDelta, TimeZone as _, Utc,
};
use chrono_tz::Tz;
use serde_json::{Map, Value};

use super::problem::{Problem, nearest, pointer_to};
use super::time::Timestamp;

const DAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const DAY_MINUTES: i64 = 24 * 60;
/// How far ahead working time is looked for; a calendar without any has an end too.
const DAYS_AHEAD_MAX: u64 = 3_660;
/// No zone ever left out more local time than this at once, but for days at the date line.
const GAP_MINUTES_MAX: i64 = 26 * 60;

/// When time counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Calendar {
    /// Always.
    #[default]
    Always,
    /// In working hours alone.
    Hours(Box<BusinessHours>),
}

/// The working hours of a week in a time zone, without the holidays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusinessHours {
    zone: Tz,
    week: [Vec<Slot>; 7],
    holidays: BTreeSet<NaiveDate>,
}

/// A stretch of one day, in minutes of wall-clock time since its midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    start: i64,
    end: i64,
}

/// Which end of a slot a wall-clock time stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Start,
    End,
}

impl Calendar {
    /// Reads `{timezone, days: {monday: [{start, end}]}, holidays: ["2026-12-25"]}`; null is always.
    ///
    /// # Errors
    /// Returns every fault, with pointers that begin with `at`.
    pub fn read(raw: &Value, at: &str) -> Result<Calendar, Vec<Problem>> {
        if raw.is_null() {
            return Ok(Calendar::Always);
        }
        BusinessHours::read(raw, at).map(|hours| Calendar::Hours(Box::new(hours)))
    }

    /// Returns the instant at which `amount` of counted time has passed since `start`; `None` when
    /// that is more than ten years away.
    #[must_use]
    pub fn after(&self, start: Timestamp, amount: Duration) -> Option<Timestamp> {
        match self {
            Calendar::Always => Some(start + amount),
            Calendar::Hours(hours) => hours.after(start, amount),
        }
    }

    /// Returns how much counted time lies between two instants.
    #[must_use]
    pub fn between(&self, from: Timestamp, to: Timestamp) -> Duration {
        match self {
            Calendar::Always => to.since(from),
            Calendar::Hours(hours) => hours.between(from, to),
        }
    }
}

impl BusinessHours {
    fn read(raw: &Value, at: &str) -> Result<BusinessHours, Vec<Problem>> {
        let Some(fields) = raw.as_object() else {
            let detail = "must be an object with `timezone` and `days`";
            return Err(vec![Problem::new(at, "wrong_type", detail)]);
        };
        let mut problems = Vec::new();
        let known = ["timezone", "days", "holidays"];
        for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
            let detail = format!("working hours have no `{name}`");
            problems.push(suggest(pointer_to(at, name), "unknown_field", detail, name, known));
        }
        let zone = read_zone(fields, at).map_err(|problem| problems.push(problem)).ok();
        let week = read_week(fields, at, &mut problems);
        let holidays = read_holidays(fields, at, &mut problems);
        match zone {
            Some(zone) if problems.is_empty() => Ok(BusinessHours { zone, week, holidays }),
            _ => Err(problems), // A zone that is missing has its problem.
        }
    }

    fn after(&self, start: Timestamp, amount: Duration) -> Option<Timestamp> {
        let mut left = amount;
        for (from, to) in self.windows(start) {
            let length = to.since(from);
            if left <= length {
                return Some(from + left);
            }
            left -= length;
        }
        None
    }

    fn between(&self, from: Timestamp, to: Timestamp) -> Duration {
        self.windows(from)
            .take_while(|(start, _)| *start < to)
            .map(|(start, end)| end.min(to).since(start))
            .sum()
    }

    /// Returns the working stretches that end after `start`, in order, the first cut at `start`.
    fn windows(&self, start: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let moment = DateTime::<Utc>::from_timestamp_millis(start.millis()).unwrap_or_default();
        let first = moment.with_timezone(&self.zone).date_naive();
        let days =
            (0..DAYS_AHEAD_MAX).map_while(move |ahead| first.checked_add_days(Days::new(ahead)));
        days.filter(|day| !self.holidays.contains(day))
            .flat_map(|day| {
                let slots = &self.week[day.weekday().num_days_from_monday() as usize];
                slots.iter().map(move |slot| (day, *slot))
            })
            .filter_map(move |(day, slot)| {
                let from = self.instant(day, slot.start, Side::Start)?.max(start);
                let to = self.instant(day, slot.end, Side::End)?;
                (from < to).then_some((from, to))
            })
    }

    /// A wall-clock time that comes twice is the first one at a start and the second at an end; one
    /// that never comes is the moment at which the clocks were put forward.
    fn instant(&self, day: NaiveDate, minute: i64, side: Side) -> Option<Timestamp> {
        let midnight = day.and_hms_opt(0, 0, 0)?;
        let local = |minute: i64| midnight.checked_add_signed(TimeDelta::minutes(minute));
        let moment = match self.zone.from_local_datetime(&local(minute)?) {
            LocalResult::Single(moment) => moment,
            LocalResult::Ambiguous(first, second) => match side {
                Side::Start => first,
                Side::End => second,
            },
            LocalResult::None => (minute..minute + GAP_MINUTES_MAX)
                .find_map(|later| self.zone.from_local_datetime(&local(later)?).earliest())?,
        };
        Some(Timestamp::from_millis(moment.timestamp_millis()))
    }
}

fn read_zone(fields: &Map<String, Value>, at: &str) -> Result<Tz, Problem> {
    let pointer = pointer_to(at, "timezone");
    let Some(name) = fields.get("timezone").and_then(Value::as_str) else {
        let problem = Problem::new(pointer, "required", "working hours need a `timezone`");
        return Err(problem.with_hint("such as Europe/Berlin"));
    };
    name.parse().map_err(|_| {
        let detail = format!("`{name}` is no time zone of the IANA list");
        Problem::new(pointer, "unknown_timezone", detail).with_hint("such as Europe/Berlin")
    })
}

fn read_week(fields: &Map<String, Value>, at: &str, problems: &mut Vec<Problem>) -> [Vec<Slot>; 7] {
    let mut week: [Vec<Slot>; 7] = Default::default();
    let pointer = pointer_to(at, "days");
    let Some(days) = fields.get("days").and_then(Value::as_object) else {
        let detail = "working hours need `days`, from `monday` to `sunday`, each with its slots";
        problems.push(Problem::new(pointer, "required", detail));
        return week;
    };
    for (name, raw) in days {
        let place = pointer_to(&pointer, name);
        let lowered = name.to_lowercase();
        let Some(index) = DAYS.iter().position(|day| *day == lowered) else {
            let detail = format!("`{name}` is no day of the week");
            problems.push(suggest(place, "unknown_day", detail, &lowered, DAYS));
            continue;
        };
        match read_slots(raw, &place) {
            Ok(slots) => week[index] = slots,
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() && week.iter().all(Vec::is_empty) {
        problems.push(Problem::new(pointer, "empty", "no day has any working time"));
    }
    week
}

/// A day is a list of slots, or Thena's `{isActive, slots}`.
fn read_slots(raw: &Value, at: &str) -> Result<Vec<Slot>, Problem> {
    let is_off = raw.is_null() || raw.get("isActive") == Some(&Value::Bool(false));
    if is_off {
        return Ok(Vec::new());
    }
    let Some(listed) = raw.get("slots").unwrap_or(raw).as_array() else {
        return Err(Problem::new(at, "wrong_type", "must be a list of slots {start, end}"));
    };
    let read = |(index, raw): (usize, &Value)| read_slot(raw, &format!("{at}/{index}"));
    let mut slots: Vec<Slot> = listed.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    slots.sort();
    let overlap = slots.windows(2).any(|pair| pair[1].start < pair[0].end);
    if overlap {
        return Err(Problem::new(at, "overlap", "the slots of a day must not overlap"));
    }
    Ok(slots)
}

fn read_slot(raw: &Value, at: &str) -> Result<Slot, Problem> {
    let minute = |name: &str| {
        let text = raw.get(name).and_then(Value::as_str).unwrap_or_default();
        minute_of(text).ok_or_else(|| {
            let detail = "must be a time of day such as 09:00, at most 24:00";
            Problem::new(pointer_to(at, name), "invalid_time", detail)
        })
    };
    let slot = Slot { start: minute("start")?, end: minute("end")? };
    if slot.end <= slot.start {
        let problem = Problem::new(at, "invalid_slot", "ends before it begins");
        return Err(problem.with_hint("split a slot over midnight into two days, at 24:00"));
    }
    Ok(slot)
}

fn minute_of(text: &str) -> Option<i64> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let minute = hours * 60 + minutes;
    ((0..60).contains(&minutes) && (0..=DAY_MINUTES).contains(&minute)).then_some(minute)
}

fn read_holidays(
    fields: &Map<String, Value>,
    at: &str,
    problems: &mut Vec<Problem>,
) -> BTreeSet<NaiveDate> {
    let pointer = pointer_to(at, "holidays");
    let listed = match fields.get("holidays") {
        None | Some(Value::Null) => return BTreeSet::new(),
        Some(Value::Array(listed)) => listed,
        Some(_) => {
            problems.push(Problem::new(pointer, "wrong_type", "must be a list of days"));
            return BTreeSet::new();
        }
    };
    let mut holidays = BTreeSet::new();
    for (index, raw) in listed.iter().enumerate() {
        match raw.as_str().and_then(|text| text.parse().ok()) {
            Some(day) => drop(holidays.insert(day)),
            None => {
                let detail = "must be a day such as 2026-12-25";
                problems.push(Problem::new(format!("{pointer}/{index}"), "invalid_date", detail));
            }
        }
    }
    holidays
}

fn suggest<const N: usize>(
    pointer: String,
    code: &str,
    detail: String,
    typed: &str,
    known: [&str; N],
) -> Problem {
    let problem = Problem::new(pointer, code, detail);
    match nearest(typed, known) {
        Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
        None => problem.with_hint(format!("allowed: {}", known.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(text: &str) -> Timestamp {
        text.parse().expect(text)
    }

    fn hours(minutes: u64) -> Duration {
        Duration::from_secs(minutes * 60)
    }

    fn nine_to_five(zone: &str) -> Calendar {
        let day = json!([{"start": "09:00", "end": "17:00"}]);
        let days = json!({"monday": day, "tuesday": day, "wednesday": day, "thursday": day,
            "friday": day});
        let raw = json!({"timezone": zone, "days": days, "holidays": ["2026-12-25"]});
        Calendar::read(&raw, "").expect("working hours")
    }

    #[test]
    fn five_working_hours_from_monday_ten_end_at_three_and_ten_on_tuesday_noon() {
        let calendar = nine_to_five("UTC");
        for (start, minutes, end) in [
            ("2026-11-23T10:00:00Z", 5 * 60, "2026-11-23T15:00:00Z"),
            ("2026-11-23T10:00:00Z", 10 * 60, "2026-11-24T12:00:00Z"),
            ("2026-11-23T10:00:00Z", 7 * 60, "2026-11-23T17:00:00Z"),
            ("2026-11-27T16:30:00Z", 60, "2026-11-30T09:30:00Z"),
            ("2026-11-28T12:00:00Z", 60, "2026-11-30T10:00:00Z"),
            ("2026-12-24T16:00:00Z", 120, "2026-12-28T10:00:00Z"),
        ] {
            let reached = calendar.after(at(start), hours(minutes)).expect("within years");
            assert_eq!(reached, at(end), "{start} + {minutes} min");
            assert_eq!(calendar.between(at(start), at(end)), hours(minutes), "{start} to {end}");
        }
    }

    #[test]
    fn clock_changes_shorten_and_lengthen_the_working_day() {
        let night = json!([{"start": "00:00", "end": "06:00"}]);
        let raw = json!({"timezone": "Europe/Berlin", "days": {"sunday": night}});
        let calendar = Calendar::read(&raw, "").expect("working hours");
        for (day, from, to, minutes) in [
            // 29 March 2026: 02:00 becomes 03:00. 25 October 2026: 03:00 becomes 02:00.
            ("spring", "2026-03-28T20:00:00Z", "2026-03-29T20:00:00Z", 5 * 60),
            ("autumn", "2026-10-24T20:00:00Z", "2026-10-25T20:00:00Z", 7 * 60),
            ("between", "2026-05-02T20:00:00Z", "2026-05-03T20:00:00Z", 6 * 60),
        ] {
            assert_eq!(calendar.between(at(from), at(to)), hours(minutes), "{day}");
        }
        let gap = json!({"timezone": "Europe/Berlin",
            "days": {"sunday": [{"start": "02:30", "end": "04:00"}]}});
        let calendar = Calendar::read(&gap, "").expect("working hours");
        let reached = calendar.after(at("2026-03-28T20:00:00Z"), hours(30));
        assert_eq!(reached, Some(at("2026-03-29T01:30:00Z")), "it begins as the clocks move");
    }

    #[test]
    fn always_counts_every_instant() {
        let calendar = Calendar::read(&Value::Null, "").expect("nothing is always");
        let start = at("2026-12-25T00:00:00Z");
        assert_eq!(calendar.after(start, hours(90)), Some(start + hours(90)));
        assert_eq!(calendar.between(start, start + hours(90)), hours(90));
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let raw = json!({"timezone": "Berlin", "days": {
            "monday": [{"start": "9", "end": "17:00"}],
            "tuesdy": [],
            "friday": [{"start": "22:00", "end": "06:00"}],
            "sunday": [{"start": "09:00", "end": "12:00"}, {"start": "11:00", "end": "13:00"}],
        }, "holidays": ["Christmas"], "zone": 1});
        let problems = Calendar::read(&raw, "/businessHours").expect_err("it is full of faults");
        let found: Vec<_> = problems.iter().map(|it| (&*it.pointer, &*it.code)).collect();
        assert_eq!(
            found,
            [
                ("/businessHours/zone", "unknown_field"),
                ("/businessHours/timezone", "unknown_timezone"),
                ("/businessHours/days/monday/0/start", "invalid_time"),
                ("/businessHours/days/tuesdy", "unknown_day"),
                ("/businessHours/days/friday/0", "invalid_slot"),
                ("/businessHours/days/sunday", "overlap"),
                ("/businessHours/holidays/0", "invalid_date"),
            ]
        );
        let empty = json!({"timezone": "UTC", "days": {}});
        assert_eq!(Calendar::read(&empty, "").expect_err("no time at all")[0].code, "empty");
    }
}
