//! How the schedule of a trigger is read and written.

use std::time::Duration;

use chrono::{NaiveTime, Timelike as _, Weekday};
use serde_json::{Map, Value, json};

use super::ThenaFields;
use super::fields::{Field, Fields, Findings};
use super::trigger::{DraftTrigger, Trigger};
use crate::domain::problem::{Problem, pointer_to};
use crate::domain::schedule::{Missed, MonthDay, Overlap, Schedule, When, Zone};
use crate::domain::time::{Timestamp, format_duration};

/// The longest time by which a firing may be delayed on purpose.
const JITTER_MAX: Duration = Duration::from_secs(60 * 60);
/// Days of the month after this one do not come in every month.
const DAY_OF_EVERY_MONTH_MAX: u32 = 28;

const EVERY: [(&str, Every); 4] =
    [("hour", Every::Hour), ("day", Every::Day), ("week", Every::Week), ("month", Every::Month)];
const MISSED: [(&str, Missed); 3] =
    [("once", Missed::Once), ("skip", Missed::Skip), ("all", Missed::All)];
const OVERLAP: [(&str, Overlap); 3] =
    [("allow", Overlap::Allow), ("skip", Overlap::Skip), ("queue", Overlap::Queue)];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Every {
    Hour,
    Day,
    Week,
    Month,
    /// A cron expression says it.
    Cron,
}

/// Returns whether events of a canonical type are made by schedules.
pub(super) fn is_timer(kind: &str) -> bool {
    every_of(kind).is_some()
}

fn every_of(kind: &str) -> Option<Every> {
    match kind {
        "schedule:hourly" => Some(Every::Hour),
        "schedule:daily" => Some(Every::Day),
        "schedule:weekly" => Some(Every::Week),
        "schedule:monthly" => Some(Every::Month),
        "cron:custom" => Some(Every::Cron),
        _ => None, // Any other event.
    }
}

/// Reads a schedule that stands alone, such as `{cron: "0 7 * * 1", timezone: Europe/Berlin}`.
///
/// # Errors
/// Returns every problem, each with its place below `at`.
pub fn read_schedule(raw: &Value, at: &str) -> Result<Schedule, Vec<Problem>> {
    let findings = Findings::default();
    let field = Field { value: raw, at: at.to_owned(), name: "schedule", findings: &findings };
    let schedule = read(&field, None);
    let (problems, _) = findings.into_parts();
    schedule.filter(|_| problems.is_empty()).ok_or(problems)
}

/// Reads what a trigger of the canonical type `kind` says of its times; without a type the
/// schedule says which it is.
pub(super) fn read(field: &Field<'_>, kind: Option<&str>) -> Option<Schedule> {
    let mut fields = field.object()?;
    let cron = fields.take(&["cron", "expression", "cronExpression"]);
    let every = fields.take(&["every"]);
    let clock = Clock {
        at: fields.take(&["at", "time"]),
        on: fields.take(&["on", "days", "dayOfWeek"]),
        day: fields.take(&["day", "dayOfMonth"]),
    };
    let zone = fields.take(&["timezone", "timeZone", "zone"]);
    let missed = fields.take(&["missed"]);
    let overlap = fields.take(&["overlap"]);
    let jitter = fields.take(&["jitter"]);
    let every = Wanted { kind, cron: cron.as_ref(), every: every.as_ref() }.every(&clock, &fields);
    fields.close();
    let times = every.and_then(|every| clock.when(every, cron.as_ref()));
    let zone = zone_of(zone.as_ref(), field, cron.is_some(), &clock);
    let missed = missed.map_or(Some(Missed::default()), |field| field.choice(&MISSED));
    let overlap = overlap.map_or(Some(Overlap::default()), |field| field.choice(&OVERLAP));
    let jitter_at = jitter.as_ref().map(|field| field.at.clone());
    let jitter =
        jitter.map_or(Some(Duration::ZERO), |field| field.duration(Duration::ZERO..=JITTER_MAX));
    let place = cron.as_ref().unwrap_or(field);
    let mut schedule = place_in_zone(times?, zone?, place)?;
    (schedule.missed, schedule.overlap, schedule.jitter) = (missed?, overlap?, jitter?);
    warn_of(&schedule, field, jitter_at);
    Some(schedule)
}

/// The times that a timer has which says nothing of them: the first minute of each hour, day, week
/// or month in UTC. A cron expression of one's own has no such times.
pub(super) fn standard(event: &Field<'_>, kind: &str) -> Option<Schedule> {
    let when = match every_of(kind)? {
        Every::Hour => When::Hourly { minute: 0 },
        Every::Day => When::Daily { at: NaiveTime::MIN },
        Every::Week => When::Weekly { on: vec![Weekday::Mon], at: NaiveTime::MIN },
        Every::Month => When::Monthly { day: MonthDay::Number(1), at: NaiveTime::MIN },
        Every::Cron => {
            let problem = event.problem("missing", "`cron:custom` needs a cron expression");
            return event.report(problem.with_hint(
                "add schedule: {cron: \"0 7 * * 1\", timezone: Europe/Berlin}, in Thena's body \
                 under metadata.schedule",
            ));
        }
    };
    place_in_zone(when, Zone::UTC, event)
}

fn place_in_zone(when: When, zone: Zone, place: &Field<'_>) -> Option<Schedule> {
    match Schedule::new(when, zone) {
        Ok(schedule) => Some(schedule),
        Err(wrong) => {
            place.report(place.problem("invalid_cron", wrong.detail).with_hint(wrong.hint))
        }
    }
}

/// What decides whether it is an hour, a day and so on that a schedule comes every one of.
struct Wanted<'f, 'a> {
    kind: Option<&'f str>,
    cron: Option<&'f Field<'a>>,
    every: Option<&'f Field<'a>>,
}

impl Wanted<'_, '_> {
    fn every(&self, clock: &Clock<'_>, fields: &Fields<'_>) -> Option<Every> {
        let of_kind = self.kind.and_then(every_of);
        if let (Some(cron), Some(every)) = (self.cron, self.every) {
            fields.clash(cron.name, every.name);
            return None;
        }
        if self.cron.is_some() {
            return Some(Every::Cron);
        }
        if let Some(field) = self.every {
            let said = field.choice(&EVERY)?;
            if of_kind.is_some_and(|of_kind| of_kind != said) {
                let detail = "the event and `every` name different schedules";
                return field.report(field.problem("contradiction", detail));
            }
            return Some(said);
        }
        let found = of_kind.filter(|every| *every != Every::Cron).or_else(|| clock.every());
        found.filter(|_| of_kind != Some(Every::Cron)).or_else(|| {
            fields.lack("cron", "a cron expression such as \"0 7 * * 1\", or every: day and at");
            None
        })
    }
}

/// The fields that say when within an hour, a day, a week or a month.
struct Clock<'a> {
    at: Option<Field<'a>>,
    on: Option<Field<'a>>,
    day: Option<Field<'a>>,
}

impl Clock<'_> {
    fn every(&self) -> Option<Every> {
        match (&self.at, &self.on, &self.day) {
            (_, Some(_), _) => Some(Every::Week),
            (_, None, Some(_)) => Some(Every::Month),
            (Some(_), None, None) => Some(Every::Day),
            (None, None, None) => None,
        }
    }

    fn when(&self, every: Every, cron: Option<&Field<'_>>) -> Option<When> {
        let refuse = |field: &Option<Field<'_>>| {
            if let Some(field) = field {
                let detail = format!("`{}` means nothing in such a schedule", field.name);
                field.findings.problem(field.problem("not_allowed", detail));
            }
        };
        if every != Every::Week {
            refuse(&self.on);
        }
        if every != Every::Month {
            refuse(&self.day);
        }
        match every {
            Every::Cron => {
                refuse(&self.at);
                cron?.text().map(|text| When::Cron(text.trim().to_owned()))
            }
            Every::Hour => {
                let minute = self.at.as_ref().map_or(Some(0), minute_of);
                minute.map(|minute| When::Hourly { minute })
            }
            Every::Day => self.time().map(|at| When::Daily { at }),
            Every::Week => {
                let on = self.on.as_ref().map_or(Some(vec![Weekday::Mon]), weekdays);
                on.zip(self.time()).map(|(on, at)| When::Weekly { on, at })
            }
            Every::Month => {
                let day = self.day.as_ref().map_or(Some(MonthDay::Number(1)), month_day);
                day.zip(self.time()).map(|(day, at)| When::Monthly { day, at })
            }
        }
    }

    fn time(&self) -> Option<NaiveTime> {
        self.at.as_ref().map_or(Some(NaiveTime::MIN), time_of)
    }
}

fn time_of(field: &Field<'_>) -> Option<NaiveTime> {
    let text = field.text()?;
    let read = ["%H:%M", "%H:%M:%S"].iter().find_map(|f| NaiveTime::parse_from_str(text, f).ok());
    // A leap second would never come.
    let read = read.filter(|time| time.nanosecond() < 1_000_000_000);
    read.or_else(|| {
        let problem = field.problem("invalid_time", format!("`{text}` is no time of day"));
        field.report(problem.with_hint("write hours and minutes, such as \"07:00\""))
    })
}

/// Reads `":15"` or `"00:15"`: an hour has only minutes.
fn minute_of(field: &Field<'_>) -> Option<u32> {
    let text = field.text()?;
    let digits = text.strip_prefix("00:").or_else(|| text.strip_prefix(':'));
    let minute = digits.and_then(|digits| digits.parse().ok()).filter(|minute| *minute < 60);
    minute.or_else(|| {
        let problem = field.problem("invalid_time", format!("`{text}` is no minute of an hour"));
        field.report(problem.with_hint("write the minute, such as \":15\""))
    })
}

fn weekdays(field: &Field<'_>) -> Option<Vec<Weekday>> {
    let one = std::slice::from_ref(field.value);
    let list = if field.value.is_array() { field.list()? } else { one };
    let mut days = Vec::with_capacity(list.len());
    for item in list {
        let text = match item {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let Some(day) = weekday(&text) else {
            let problem = field.problem("not_allowed", format!("`{text}` is no day of the week"));
            return field.report(problem.with_hint("such as [mon, thu]"));
        };
        days.push(day);
    }
    days.sort_by_key(Weekday::num_days_from_monday);
    days.dedup();
    if days.is_empty() {
        return field.report(field.problem("missing", "a week needs at least one day"));
    }
    Some(days)
}

/// Reads a name, or a number as cron has it: 1 is Monday, 0 and 7 are Sunday.
fn weekday(text: &str) -> Option<Weekday> {
    match text.parse::<u8>() {
        Ok(0 | 7) => Some(Weekday::Sun),
        Ok(number) => Weekday::try_from(number.checked_sub(1)?).ok(),
        Err(_) => text.parse().ok(),
    }
}

fn month_day(field: &Field<'_>) -> Option<MonthDay> {
    match field.value.as_str() {
        Some(text) if ["last", "l"].contains(&&*text.to_lowercase()) => Some(MonthDay::Last),
        Some(_) => {
            let problem = field.problem("not_allowed", "it is no day of a month");
            field.report(problem.with_hint("a number from 1 to 31, or last"))
        }
        None => field.whole(1..=31).map(MonthDay::Number),
    }
}

fn zone_of(
    zone: Option<&Field<'_>>,
    schedule: &Field<'_>,
    is_needed: bool,
    clock: &Clock<'_>,
) -> Option<Zone> {
    let hint = "a name such as Europe/Berlin, or UTC";
    let Some(field) = zone else {
        if is_needed {
            let problem = schedule.problem("missing", "`timezone` is missing");
            return schedule
                .report(problem.with_hint(format!("say whose clocks it means: {hint}")));
        }
        if let Some(at) = &clock.at {
            let problem = at.problem("assumed_utc", "without `timezone` this is a time in UTC");
            at.findings.warning(problem.with_hint(format!("add timezone: {hint}")));
        }
        return Some(Zone::UTC);
    };
    match Zone::parse(field.text()?) {
        Ok(zone) => Some(zone),
        Err(unknown) => {
            let problem = field.problem("unknown_timezone", unknown.to_string());
            field.report(match unknown.near {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => problem.with_hint(hint),
            })
        }
    }
}

fn warn_of(schedule: &Schedule, field: &Field<'_>, jitter_at: Option<String>) {
    let warn = |at: &str, code, detail: String, hint: &str| {
        field.findings.warning(Problem::new(at, code, detail).with_hint(hint));
    };
    if schedule.is_within_minutes() {
        let detail = "it comes more often than once a minute".to_owned();
        warn(&field.at, "very_often", detail, "each time is a run with its journal");
    }
    if let When::Monthly { day: MonthDay::Number(day), .. } = schedule.when()
        && *day > DAY_OF_EVERY_MONTH_MAX
    {
        let detail = format!("months without a day {day} are left out");
        warn(&field.at, "not_every_month", detail, "day: last comes in every month");
    }
    let slots = schedule.preview(Timestamp::default(), 2);
    if let (Some(at), [one, next]) = (jitter_at, slots.as_slice())
        && schedule.jitter >= next.at.since(one.at)
    {
        let pause = format_duration(next.at.since(one.at));
        let detail = format!("it is as long as the {pause} from one time to the next");
        warn(&at, "long_jitter", detail, "times would run into one another");
    }
}

/// Writes a schedule so that it reads back as the same.
pub(super) fn to_value(schedule: &Schedule) -> Value {
    let clock = |at: &NaiveTime| match at.second() {
        0 => json!(at.format("%H:%M").to_string()),
        _ => json!(at.format("%H:%M:%S").to_string()),
    };
    let mut body = match schedule.when() {
        When::Cron(text) => json!({"cron": text}),
        When::Hourly { minute } => json!({"every": "hour", "at": format!(":{minute:02}")}),
        When::Daily { at } => json!({"every": "day", "at": clock(at)}),
        When::Weekly { on, at } => {
            let on: Vec<String> = on.iter().map(|day| day.to_string().to_lowercase()).collect();
            json!({"every": "week", "on": on, "at": clock(at)})
        }
        When::Monthly { day, at } => {
            let day = match day {
                MonthDay::Number(day) => json!(day),
                MonthDay::Last => json!("last"),
            };
            json!({"every": "month", "day": day, "at": clock(at)})
        }
    };
    body["timezone"] = json!(schedule.zone().name());
    body["missed"] = json!(word_of(&MISSED, schedule.missed));
    body["overlap"] = json!(word_of(&OVERLAP, schedule.overlap));
    if !schedule.jitter.is_zero() {
        body["jitter"] = json!(format_duration(schedule.jitter));
    }
    body
}

fn word_of<T: PartialEq + Copy>(words: &[(&'static str, T)], meant: T) -> &'static str {
    words.iter().find(|(_, value)| *value == meant).map_or("", |(word, _)| word)
}

/// Returns the schedule that Thena's body keeps among its metadata.
pub(super) fn in_metadata<'a>(metadata: Option<&Field<'a>>) -> Option<Field<'a>> {
    let metadata = metadata?;
    let value = metadata.value.get("schedule").filter(|value| !value.is_null())?;
    let at = pointer_to(&metadata.at, "schedule");
    Some(Field { value, at, name: "schedule", findings: metadata.findings })
}

/// Takes the schedule out of the metadata that it was read from, so that it is kept once.
pub(super) fn without_schedule(
    thena: Option<ThenaFields>,
    triggers: &[DraftTrigger],
) -> Option<ThenaFields> {
    let mut fields = thena?;
    if triggers.iter().any(|draft| draft.schedule_at == "/metadata/schedule") {
        fields.metadata.shift_remove("schedule");
    }
    Some(fields)
}

/// Puts the schedule where Thena's body keeps it.
pub(super) fn with_schedule(
    mut metadata: Map<String, Value>,
    trigger: Option<&Trigger>,
) -> Map<String, Value> {
    if let Some(Trigger::Schedule { schedule, .. }) = trigger {
        metadata.insert("schedule".to_owned(), to_value(schedule));
    }
    metadata
}
