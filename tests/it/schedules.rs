//! Schedules as users see them: previewed, listed, paused, skipped, fired through a kill.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Process;
use crate::support::{TestApp, with_app};

fn scheduled(name: &str, schedule: Value) -> Value {
    json!({
        "name": name,
        "trigger": { "schedule": schedule },
        "steps": [{ "id": "note", "activity": "workflows:transform-platform",
            "input": { "at": "{{ trigger.payload.scheduledFor }}" } }],
    })
}

fn daily() -> Value {
    json!({ "every": "day", "at": "07:00", "timezone": "Europe/Berlin" })
}

fn texts(list: &Value, field: &str) -> Vec<String> {
    let items = list.as_array().expect("a list").iter();
    items.map(|item| item[field].as_str().expect("a text").to_owned()).collect()
}

/// Returns the schedule when it fits.
async fn until(app: &TestApp, name: &str, fits: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..2_000 {
        let schedule = app.get(&format!("/v1/schedules/{name}")).await.expect(200);
        if fits(&schedule) {
            return schedule;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the schedule of {name} never fitted");
}

/// Returns the times that fired, oldest first, each with the instant at which it did.
async fn fired(app: &TestApp, name: &str) -> Vec<(String, String)> {
    let mut fired = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/events?type=cron:custom&limit=200{cursor}");
        let page = app.get(&path).await.expect(200);
        for event in page["data"].as_array().expect("a list") {
            if event["subject"] == name {
                let text = |key: &str| event["payload"][key].as_str().expect("a text").to_owned();
                fired.push((text("scheduledFor"), text("firedAt")));
            }
        }
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    fired.reverse();
    fired
}

#[test]
fn a_preview_tells_times_in_words_in_utc_and_in_the_zone() {
    with_app(async |app| {
        let monday = json!({ "cron": "0 7 * * 1", "timezone": "Europe/Berlin",
            "from": "2026-10-12T12:00:00Z", "count": 3 });
        let preview = app.post("/v1/cron/preview", monday).await.expect(200);
        assert_eq!(preview["description"], "At 07:00 on Monday");
        assert_eq!(
            preview["data"],
            json!([
                { "at": "2026-10-19T05:00:00.000Z", "local": "2026-10-19T07:00:00+02:00" },
                { "at": "2026-10-26T06:00:00.000Z", "local": "2026-10-26T07:00:00+01:00",
                  "note": "clocks went back by 1h since the time before" },
                { "at": "2026-11-02T06:00:00.000Z", "local": "2026-11-02T07:00:00+01:00" },
            ])
        );
        let schedule = json!({ "every": "week", "on": ["mon", "thu"], "at": "07:00",
            "timezone": "Asia/Tokyo", "jitter": "30s" });
        let body = json!({ "schedule": schedule, "workflow": "w" });
        let preview = app.post("/v1/cron/preview", body.clone()).await.expect(200);
        assert_eq!(preview["description"], "Every week on Monday and Thursday at 07:00");
        assert_eq!(preview["data"].as_array().map(Vec::len), Some(10));
        assert!(preview["data"][0]["firesAt"].is_string(), "{preview}");
        let again = app.post("/v1/cron/preview", body).await.expect(200);
        assert_eq!(again["data"], preview["data"]);
    });
}

#[test]
fn a_preview_of_nonsense_says_where_it_is() {
    with_app(async |app| {
        for (body, pointer, code) in [
            (json!({ "cron": "61 * * * *", "timezone": "UTC" }), "/cron", "invalid_cron"),
            (json!({ "cron": "0 7 * * 1", "timezone": "Berlin" }), "/timezone", "unknown_timezone"),
            (json!({ "cron": "0 7 * * 1" }), "", "missing"),
            (json!({}), "/cron", "required"),
            (json!({ "schedule": { "at": "7" } }), "/schedule/at", "invalid_time"),
            (json!({ "cron": "@daily", "timezone": "UTC", "count": 0 }), "/count", "out_of_range"),
        ] {
            let problem = app.post("/v1/cron/preview", body).await.expect(422);
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
            assert_eq!(problem["errors"][0]["code"], code, "{problem}");
        }
    });
}

#[test]
fn a_schedule_is_listed_paused_resumed_and_skipped() {
    with_app(async |app| {
        let saved = app.save(scheduled("report", daily())).await;
        assert_eq!(
            (&saved["triggerKind"], &saved["event"]),
            (&json!("schedule"), &json!("schedule:daily"))
        );
        let list = app.get("/v1/schedules").await.expect(200);
        let schedule = &list["data"][0];
        assert_eq!(schedule["workflow"], "report");
        assert_eq!(schedule["description"], "Every day at 07:00");
        assert_eq!(schedule["status"], "active");
        let preview = json!({ "schedule": daily(), "count": 5 });
        let preview = app.post("/v1/cron/preview", preview).await.expect(200);
        assert_eq!(schedule["next"], preview["data"]);
        let next = texts(&schedule["next"], "at");
        let skipped = app.post("/v1/schedules/report/skip-next", json!({})).await.expect(200);
        assert_eq!(texts(&skipped["next"], "at")[0], next[1]);
        assert_eq!(skipped["missed"][0]["scheduledFor"], json!(next[0]));
        assert!(
            skipped["missed"][0]["reason"].as_str().is_some_and(|it| it.starts_with("skipped by"))
        );
        let paused = app.post("/v1/schedules/report/pause", json!({})).await.expect(200);
        assert_eq!((&paused["status"], &paused["next"]), (&json!("paused"), &json!([])));
        app.post("/v1/schedules/report/skip-next", json!({}))
            .await
            .refused(409, "schedule_not_active");
        let resumed = app.post("/v1/schedules/report/resume", json!({})).await.expect(200);
        assert_eq!(texts(&resumed["next"], "at")[0], next[1]);
        let run = app.post("/v1/schedules/report/run", json!({})).await.expect(202);
        let run = app.end_of(run["id"].as_str().expect("an id")).await;
        assert_eq!(run["status"], "succeeded");
        assert_eq!(run["trigger"]["type"], "schedule:daily");
        app.post("/v1/workflows/report/disable", json!({})).await.expect(200);
        let off = app.get("/v1/schedules/report").await.expect(200);
        assert_eq!((&off["status"], &off["next"]), (&json!("inactive"), &json!([])));
        app.delete("/v1/workflows/report").await.expect(204);
        app.get("/v1/schedules/report").await.refused(404, "workflow_not_found");
        assert_eq!(app.get("/v1/schedules").await.expect(200)["data"], json!([]));
    });
}

#[test]
fn one_of_several_schedules_is_named_by_its_place() {
    with_app(async |app| {
        let cron = json!({ "cron": "0 7 * * 1", "timezone": "UTC" });
        app.save(json!({
            "name": "both",
            "triggers": [{ "schedule": daily() }, "order:placed", { "schedule": cron }],
            "steps": [{ "id": "nap", "sleep": 1 }],
        }))
        .await;
        let problem = app.get("/v1/schedules/both").await.expect(422);
        assert!(problem["errors"][0]["hint"].as_str().is_some_and(|hint| hint.contains("0, 2")));
        let third = app.get("/v1/schedules/both?trigger=2").await.expect(200);
        assert_eq!(third["description"], "At 07:00 on Monday");
        app.post("/v1/schedules/both/pause?trigger=2", json!({})).await.expect(200);
        let first = app.get("/v1/schedules/both?trigger=0").await.expect(200);
        assert_eq!(first["status"], "active");
        app.get("/v1/schedules/both?trigger=1").await.refused(404, "schedule_not_found");
        let page = app.get("/v1/schedules?limit=1").await.expect(200);
        let cursor = page["nextCursor"].as_str().expect("there is more");
        let rest = app.get(&format!("/v1/schedules?limit=1&cursor={cursor}")).await.expect(200);
        assert_eq!((&rest["data"][0]["trigger"], &rest["nextCursor"]), (&json!(2), &Value::Null));
    });
}

#[test]
fn thenas_body_makes_a_schedule_and_brings_it_back() {
    with_app(async |app| {
        let body = json!({
            "name": "Weekly digest", "type": "MANUAL", "subType": "WORKFLOW",
            "triggerEvent": "schedule:weekly", "filters": {}, "annotations": [],
            "metadata": { "schedule": { "on": ["fri"], "at": "16:00", "timezone": "Asia/Tokyo" } },
            "workflowDefinition": [{ "stepIdentifier": 1, "isSleepActivity": true,
                "activity": { "uniqueIdentifier": "workflows:sleep-platform" },
                "input": { "duration": 1 } }],
        });
        app.save(body).await;
        let schedule = app.get("/v1/schedules/weekly-digest").await.expect(200);
        assert_eq!(schedule["description"], "Every week on Friday at 16:00");
        let thena = app.get("/v1/workflows/weekly-digest?format=thena").await.expect(200);
        assert_eq!(thena["metadata"]["schedule"]["timezone"], "Asia/Tokyo");
        assert_eq!(thena["triggerEvent"]["eventName"], "schedule:weekly");
        let path =
            format!("/api/v1/workflows/{}", thena["uniqueIdentifier"].as_str().expect("an id"));
        let later = json!({ "metadata": { "schedule": { "on": ["fri"], "at": "17:00",
            "timezone": "Asia/Tokyo" } } });
        app.patch(&path, later).await.expect(200);
        let schedule = app.get("/v1/schedules/weekly-digest").await.expect(200);
        assert_eq!(schedule["description"], "Every week on Friday at 17:00");
        app.patch(&path, json!({ "triggerEvent": "schedule:hourly" })).await.expect(200);
        let schedule = app.get("/v1/schedules/weekly-digest").await.expect(200);
        assert_eq!(schedule["description"], "Every hour");
        let custom = json!({ "name": "w", "triggerEvent": "cron:custom",
            "workflowDefinition": [{ "stepIdentifier": 1, "isSleepActivity": true,
                "activity": { "uniqueIdentifier": "workflows:sleep-platform" },
                "input": { "duration": 1 } }] });
        let problem = app.post("/v1/workflows", custom).await.expect(422);
        assert_eq!(problem["errors"][0]["pointer"], "/triggerEvent", "{problem}");
    });
}

#[test]
fn the_event_of_a_schedule_tells_why_it_came() {
    with_app(async |app| {
        app.save(scheduled("beat", json!({ "cron": "* * * * * *", "timezone": "UTC" }))).await;
        let beaten = until(&app, "beat", |it| it["fired"].as_u64() >= Some(2)).await;
        let run = app.end_of(beaten["last"]["runId"].as_str().expect("an id")).await;
        let event =
            app.get(&format!("/v1/events/{}", run["eventId"].as_str().expect("an id"))).await;
        let event = event.expect(200);
        assert_eq!(
            (&event["type"], &event["source"]),
            (&json!("cron:custom"), &json!("schedule:beat"))
        );
        for key in ["schedule", "scheduledFor", "firedAt", "timezone", "local", "missed"] {
            assert!(!event["payload"][key].is_null(), "{event}");
        }
        let path = format!("/v1/events/{}/explain", event["id"].as_str().expect("an id"));
        let explained = app.get(&path).await.expect(200);
        assert_eq!(explained["data"][0]["outcome"], "started");
    });
}

#[test]
fn through_kills_every_second_fires_once_and_never_early() {
    let directory = TempDir::new().expect("a directory");
    let data = directory.path().join("data");
    actix::System::new().block_on(async {
        let process = Process::start(&data);
        let schedule =
            json!({ "cron": "* * * * * *", "timezone": "Europe/Berlin", "missed": "all" });
        process.app.save(scheduled("beat", schedule)).await;
        until(&process.app, "beat", |it| it["fired"].as_u64() >= Some(2)).await;
        process.kill();
        let process = Process::start(&data);
        let before = process.app.get("/v1/schedules/beat").await.expect(200)["fired"].as_u64();
        until(&process.app, "beat", |it| it["fired"].as_u64() >= before.map(|n| n + 2)).await;
        process.kill();
        let process = Process::start(&data);
        let before = process.app.get("/v1/schedules/beat").await.expect(200)["fired"].as_u64();
        until(&process.app, "beat", |it| it["fired"].as_u64() >= before.map(|n| n + 2)).await;
        let fired = fired(&process.app, "beat").await;
        let slots: Vec<&str> = fired.iter().map(|(slot, _)| slot.as_str()).collect();
        let distinct: BTreeSet<&str> = slots.iter().copied().collect();
        assert_eq!(distinct.len(), slots.len(), "one came twice: {slots:?}");
        assert!(fired.iter().all(|(slot, at)| at >= slot), "one came early: {fired:?}");
        let preview = json!({ "cron": "* * * * * *", "timezone": "Europe/Berlin",
            "from": slots[0], "count": slots.len() - 1 });
        let preview = process.app.post("/v1/cron/preview", preview).await.expect(200);
        assert_eq!(texts(&preview["data"], "at"), &slots[1..], "as previewed, none left out");
        process.kill();
    });
}
