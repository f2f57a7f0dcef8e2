//! The times of a schedule as a form, there and back.

use serde_json::{Map, Value, json};

use super::Posted;
use crate::domain::schedule::Zone;

const DAYS: [(&str, &str); 7] = [
    ("mon", "Mon"),
    ("tue", "Tue"),
    ("wed", "Wed"),
    ("thu", "Thu"),
    ("fri", "Fri"),
    ("sat", "Sat"),
    ("sun", "Sun"),
];
const FORMS: [(&str, &str); 5] = [
    ("hour", "every hour"),
    ("day", "every day"),
    ("week", "on days of the week"),
    ("month", "every month"),
    ("cron", "by a cron expression"),
];
const MISSED: [(&str, &str); 3] =
    [("once", "start once for all of them"), ("skip", "leave them out"), ("all", "start for each")];
const OVERLAP: [(&str, &str); 3] = [
    ("allow", "start beside it"),
    ("skip", "leave this time out"),
    ("queue", "wait until it is over"),
];

/// The form of a schedule.
#[derive(Clone, Debug)]
pub struct SchedulePart {
    pub form: &'static str,
    pub forms: Vec<Choice>,
    pub cron: String,
    pub at: String,
    pub minute: String,
    pub day: String,
    pub days: Vec<Choice>,
    pub timezone: String,
    pub zones: Vec<&'static str>,
    pub missed: Vec<Choice>,
    pub overlap: Vec<Choice>,
    pub jitter: String,
}

/// A value, its words, and whether it is chosen.
pub type Choice = (&'static str, &'static str, bool);

impl SchedulePart {
    /// Shows a schedule, which may be unfinished.
    pub fn of(schedule: &Value) -> SchedulePart {
        let text = |name: &str| match &schedule[name] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let form = form_of(schedule);
        let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
        let chosen = |name: &str, first: &str| or(text(name), first);
        let at = text("at");
        let on: Vec<String> = match &schedule["on"] {
            Value::Array(days) => {
                days.iter().filter_map(|day| day.as_str().map(str::to_lowercase)).collect()
            }
            Value::String(day) => vec![day.to_lowercase()],
            _ => vec!["mon".to_owned()],
        };
        SchedulePart {
            form,
            forms: choices(&FORMS, form),
            cron: or(text("cron"), "0 9 * * mon-fri"),
            minute: at.trim_start_matches("00").trim_start_matches(':').to_owned(),
            at: or(at, "09:00"),
            day: or(text("day"), "1"),
            days: DAYS
                .map(|(day, word)| (day, word, on.iter().any(|it| it.starts_with(day))))
                .to_vec(),
            timezone: or(text("timezone"), "UTC"),
            zones: Zone::all().map(Zone::name).collect(),
            missed: choices(&MISSED, &chosen("missed", "once")),
            overlap: choices(&OVERLAP, &chosen("overlap", "allow")),
            jitter: text("jitter"),
        }
    }
}

fn form_of(schedule: &Value) -> &'static str {
    let every = schedule["every"].as_str();
    let known = FORMS.iter().find(|(form, _)| Some(*form) == every).map(|(form, _)| *form);
    known.unwrap_or_else(|| match schedule {
        it if it.get("cron").is_some() => "cron",
        it if it.get("on").is_some() => "week",
        it if it.get("day").is_some() => "month",
        _ => "day", // What a new schedule begins as.
    })
}

fn choices(all: &[(&'static str, &'static str)], chosen: &str) -> Vec<Choice> {
    all.iter().map(|(value, word)| (*value, *word, *value == chosen)).collect()
}

/// Reads the trigger of a schedule out of a form.
pub fn read(posted: Posted<'_>) -> Value {
    let or = |name: &str, other: &str| json!(posted.filled(name).unwrap_or(other));
    let form = posted.filled("trigger.s.form").unwrap_or("day");
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    match form {
        "cron" => put("cron", or("trigger.s.cron", "0 9 * * mon-fri")),
        "hour" => {
            put("every", json!("hour"));
            let minute = posted.filled("trigger.s.minute").unwrap_or("0");
            put("at", json!(format!(":{:0>2}", minute.trim_start_matches(':'))));
        }
        "week" => {
            let days: Vec<&str> = posted.all("trigger.s.on").collect();
            put("every", json!("week"));
            put("on", if days.is_empty() { json!(["mon"]) } else { json!(days) });
            put("at", or("trigger.s.at", "09:00"));
        }
        "month" => {
            put("every", json!("month"));
            let day = posted.filled("trigger.s.day").unwrap_or("1");
            put("day", day.parse::<u32>().map_or_else(|_| json!(day), |day| json!(day)));
            put("at", or("trigger.s.at", "09:00"));
        }
        _ => {
            put("every", json!("day"));
            put("at", or("trigger.s.at", "09:00"));
        }
    }
    put("timezone", or("trigger.s.timezone", "UTC"));
    for (name, usual) in [("missed", "once"), ("overlap", "allow"), ("jitter", "0s")] {
        let chosen = posted.filled(&format!("trigger.s.{name}")).unwrap_or(usual);
        if chosen != usual {
            put(name, json!(chosen));
        }
    }
    json!({ "schedule": fields })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::workflow::read_schedule;

    #[test]
    fn every_form_makes_a_schedule_and_is_recognised_again() {
        for (form, expected) in [
            ("hour", json!({"every": "hour", "at": ":15", "timezone": "Europe/Berlin"})),
            ("day", json!({"every": "day", "at": "07:30", "timezone": "Europe/Berlin"})),
            (
                "week",
                json!({"every": "week", "on": ["mon", "thu"], "at": "07:30",
                    "timezone": "Europe/Berlin"}),
            ),
            (
                "month",
                json!({"every": "month", "day": 3, "at": "07:30", "timezone": "Europe/Berlin"}),
            ),
            ("cron", json!({"cron": "0 7 * * 1", "timezone": "Europe/Berlin"})),
        ] {
            let pairs = [
                ("trigger.s.form", form),
                ("trigger.s.minute", "15"),
                ("trigger.s.at", "07:30"),
                ("trigger.s.on", "mon"),
                ("trigger.s.on", "thu"),
                ("trigger.s.day", "3"),
                ("trigger.s.cron", "0 7 * * 1"),
                ("trigger.s.timezone", "Europe/Berlin"),
                ("trigger.s.missed", "once"),
                ("trigger.s.overlap", "allow"),
            ];
            let fields = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
            let read = read(Posted(&fields));
            assert_eq!(read["schedule"], expected);
            read_schedule(&read["schedule"], "").expect("it is a schedule");
            assert_eq!(SchedulePart::of(&read["schedule"]).form, form);
        }
    }
}
