//! Schedules in definitions: every spelling, every refusal, and back again.

use serde_json::{Value, json};

use super::{Validation, catalogue, read, validate_value};
use crate::domain::time::Timestamp;
use crate::domain::workflow::export::{ThenaMeta, to_native, to_thena};
use crate::domain::workflow::parse::restore;
use crate::domain::workflow::{Trigger, Workflow};

fn checked(trigger: &str) -> Validation {
    let mut raw = read(&format!("{{{trigger}}}"));
    let steps = if raw.get("triggerEvent").is_some() { "workflowDefinition" } else { "steps" };
    raw["name"] = json!("w");
    raw[steps] = match steps {
        "steps" => json!([{"id": "a", "sleep": 1}]),
        _ => json!([{"stepIdentifier": 1, "isSleepActivity": true, "input": {"duration": 1},
            "activity": {"uniqueIdentifier": "workflows:sleep-platform"}}]),
    };
    validate_value(&raw)
}

fn accepted(trigger: &str) -> Workflow {
    let validation = checked(trigger);
    assert_eq!(validation.problems, [], "{trigger}");
    validation.workflow.expect(trigger)
}

/// Returns the canonical trigger without what every schedule says.
fn canonical(trigger: &str) -> Value {
    let workflow = accepted(trigger);
    let native = to_native(&workflow);
    assert_eq!(restore(&native).expect(trigger), workflow, "{trigger}");
    let mut schedule = native["trigger"]["schedule"].clone();
    for (key, standard) in [("missed", "once"), ("overlap", "allow")] {
        if schedule[key] == standard {
            schedule.as_object_mut().expect("an object").shift_remove(key);
        }
    }
    json!([native["trigger"]["event"], schedule])
}

#[test]
fn schedules_read_however_they_are_written() {
    let monday = json!(["cron:custom", {"cron": "0 7 * * 1", "timezone": "Europe/Berlin"}]);
    let seven = json!(["schedule:daily", {"every": "day", "at": "07:00", "timezone": "UTC"}]);
    for (trigger, expected) in [
        ("trigger: {schedule: {cron: '0 7 * * 1', timezone: Europe/Berlin}}", monday.clone()),
        ("schedule: {cron: '0 7 * * 1', timezone: europe/berlin}", monday.clone()),
        (
            "trigger: {event: 'cron:custom', schedule: {cron: '0 7 * * 1', timezone: Europe/Berlin}}",
            monday.clone(),
        ),
        (
            "triggerEvent: 'cron:custom', metadata: {schedule: {cron: '0 7 * * 1', timezone: Europe/Berlin}}",
            monday.clone(),
        ),
        (
            "triggerEvent: {eventName: 'cron:custom'}, schedule: {cron: '0 7 * * 1', timezone: Europe/Berlin}",
            monday,
        ),
        ("trigger: {schedule: {every: day, at: '7:00', timezone: UTC}}", seven.clone()),
        ("trigger: {schedule: {at: '07:00', timezone: UTC}}", seven.clone()),
        ("trigger: {event: schedule.daily, schedule: {at: '07:00'}}", seven.clone()),
        ("triggerEvent: 'schedule:daily', filters: {}, metadata: {schedule: {at: '07:00'}}", seven),
        (
            "trigger: 'schedule:hourly'",
            json!(["schedule:hourly", {"every": "hour", "at": ":00", "timezone": "UTC"}]),
        ),
        (
            "triggerEvent: 'schedule:daily'",
            json!(["schedule:daily", {"every": "day", "at": "00:00", "timezone": "UTC"}]),
        ),
        (
            "on: 'schedule:weekly'",
            json!(["schedule:weekly",
                {"every": "week", "on": ["mon"], "at": "00:00", "timezone": "UTC"}]),
        ),
        (
            "trigger: {event: 'schedule:monthly'}",
            json!(["schedule:monthly",
                {"every": "month", "day": 1, "at": "00:00", "timezone": "UTC"}]),
        ),
        (
            "trigger: {schedule: {every: week, on: [thursday, mon, 1], at: '09:30:15', timezone: Asia/Tokyo}}",
            json!(["schedule:weekly",
                {"every": "week", "on": ["mon", "thu"], "at": "09:30:15", "timezone": "Asia/Tokyo"}]),
        ),
        (
            "trigger: {schedule: {every: month, day: last, timezone: UTC, missed: all, overlap: queue, jitter: 30s}}",
            json!(["schedule:monthly", {"every": "month", "day": "last", "at": "00:00",
                "timezone": "UTC", "missed": "all", "overlap": "queue", "jitter": "30s"}]),
        ),
        (
            "trigger: {event: 'schedule:daily', schedule: {cron: '0 7 * * 1-5', timezone: UTC}}",
            json!(["schedule:daily", {"cron": "0 7 * * 1-5", "timezone": "UTC"}]),
        ),
    ] {
        assert_eq!(canonical(trigger), expected, "{trigger}");
    }
}

fn refused(trigger: &str, pointer: &str, code: &str) {
    let found = checked(trigger).problems;
    let found: Vec<_> = found.iter().map(|it| (it.pointer.as_str(), it.code.as_str())).collect();
    assert_eq!(found, [(pointer, code)], "{trigger}");
}

#[test]
fn a_wrong_schedule_is_refused_at_its_place() {
    for (trigger, pointer, code) in [
        ("schedule: {cron: '61 7 * * 1', timezone: UTC}", "/schedule/cron", "invalid_cron"),
        ("schedule: {cron: '0 0 30 2 *', timezone: UTC}", "/schedule/cron", "invalid_cron"),
        ("schedule: {cron: '0 7 * * 1'}", "/schedule", "missing"),
        ("schedule: {timezone: UTC}", "/schedule", "missing"),
        ("schedule: {at: '07:00', timezone: Berlin}", "/schedule/timezone", "unknown_timezone"),
        ("schedule: {at: '25:00', timezone: UTC}", "/schedule/at", "invalid_time"),
        ("schedule: {every: hour, at: '07:15', timezone: UTC}", "/schedule/at", "invalid_time"),
        ("schedule: {at: 700, timezone: UTC}", "/schedule/at", "wrong_type"),
        ("schedule: {on: [moon], timezone: UTC}", "/schedule/on", "not_allowed"),
        ("schedule: {on: [], timezone: UTC}", "/schedule/on", "missing"),
        ("schedule: {day: 32, timezone: UTC}", "/schedule/day", "out_of_range"),
        ("schedule: {every: day, on: mon, timezone: UTC}", "/schedule/on", "not_allowed"),
        ("schedule: {every: year, timezone: UTC}", "/schedule/every", "not_allowed"),
        (
            "schedule: {at: '07:00', timezone: UTC, missed: never}",
            "/schedule/missed",
            "not_allowed",
        ),
        ("schedule: {at: '07:00', timezone: UTC, jitter: 2h}", "/schedule/jitter", "out_of_range"),
        ("schedule: {at: '07:00', timezone: UTC, cronn: x}", "/schedule/cronn", "unknown_key"),
        ("schedule: {cron: '@daily', every: day, timezone: UTC}", "/schedule/every", "ambiguous"),
    ] {
        refused(trigger, pointer, code);
    }
}

#[test]
fn a_schedule_that_contradicts_its_trigger_is_refused() {
    for (trigger, pointer, code) in [
        ("trigger: {event: 'cron:custom'}", "/trigger/event", "missing"),
        ("triggerEvent: 'cron:custom'", "/triggerEvent", "missing"),
        (
            "triggerEvent: 'cron:custom', metadata: {schedule: {cron: x, timezone: UTC}}",
            "/metadata/schedule/cron",
            "invalid_cron",
        ),
        (
            "trigger: {event: 'cron:custom', schedule: {at: '07:00'}}",
            "/trigger/schedule",
            "missing",
        ),
        (
            "trigger: {event: 'schedule:daily', schedule: {every: week}}",
            "/trigger/schedule/every",
            "contradiction",
        ),
        (
            "trigger: {event: 'ticket:created', schedule: {at: '07:00'}}",
            "/trigger/schedule",
            "contradiction",
        ),
        (
            "trigger: {event: 'schedule:daily', filter: {a: {~eq: 1}}}",
            "/trigger/filter",
            "not_supported",
        ),
        ("trigger: 'ticket:created', schedule: {at: '07:00'}", "/schedule", "ambiguous"),
        (
            "concurrency: {key: x}, schedule: {at: '07:00', timezone: UTC, overlap: queue}",
            "/schedule/overlap",
            "contradiction",
        ),
    ] {
        refused(trigger, pointer, code);
    }
}

#[test]
fn what_is_probably_not_meant_is_warned_of() {
    for (trigger, code) in [
        ("schedule: {cron: '*/5 * * * * *', timezone: UTC}", "very_often"),
        ("schedule: {at: '07:00'}", "assumed_utc"),
        ("schedule: {day: 31, timezone: UTC}", "not_every_month"),
        ("schedule: {cron: '* * * * *', timezone: UTC, jitter: 1m}", "long_jitter"),
    ] {
        let warnings = checked(trigger).warnings;
        let codes: Vec<&str> = warnings.iter().map(|it| it.code.as_str()).collect();
        assert_eq!(codes, [code], "{trigger}");
    }
}

#[test]
fn a_schedule_is_one_of_several_triggers() {
    let workflow =
        accepted("triggers: ['ticket:created', {schedule: {at: '07:00', timezone: UTC}}]");
    assert_eq!(workflow.event_kinds(), ["ticket:created"]);
    let positions: Vec<usize> = workflow.schedules().map(|(position, _)| position).collect();
    assert_eq!(positions, [1]);
    assert_eq!(restore(&to_native(&workflow)).expect("readable"), workflow);
}

#[test]
fn steps_see_what_a_schedule_tells_them() {
    let mut raw = read("{name: w, schedule: {at: '07:00', timezone: UTC}}");
    raw["steps"] = json!([{"id": "a", "sleep": "{{trigger.payload.missed}}"}]);
    assert_eq!(validate_value(&raw).problems, []);
    assert_eq!(validate_value(&raw).warnings, []);
}

#[test]
fn thenas_body_keeps_the_schedule_among_its_metadata() {
    let workflow = accepted(
        "triggerEvent: 'schedule:weekly', metadata: {colour: red, schedule: {on: fri, at: '16:00', timezone: Asia/Tokyo}}",
    );
    let kept = &workflow.thena.as_ref().expect("Thena's fields").metadata;
    assert_eq!(json!(kept), json!({"colour": "red"}));
    let meta = ThenaMeta {
        uid: "V1".to_owned(),
        unique_identifier: "W1".to_owned(),
        version: 1,
        is_active: true,
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
        created_by: "ada".to_owned(),
        trigger_event: json!({"uid": "E", "eventName": "schedule:weekly"}),
    };
    let mut body = to_thena(&workflow, &meta, &catalogue()).expect("Thena can say it");
    assert_eq!(body["metadata"]["colour"], "red");
    assert_eq!(body["metadata"]["schedule"]["on"], json!(["fri"]));
    for answered in ["uid", "uniqueIdentifier", "version", "createdAt", "updatedAt", "createdBy"] {
        body.as_object_mut().expect("an object").shift_remove(answered);
    }
    let again = validate_value(&body);
    assert_eq!(again.problems, []);
    let again = again.workflow.expect("a workflow");
    assert!(matches!(again.triggers[0], Trigger::Schedule { .. }));
    assert_eq!(again.triggers, workflow.triggers);
    assert_eq!(again.thena, workflow.thena);
}
