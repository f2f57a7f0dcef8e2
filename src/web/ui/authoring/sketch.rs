//! A definition in a line: what starts it and its steps, in the words of their titles.

use serde_json::Value;

use crate::domain::workflow::read_schedule;

/// How many steps a line names.
const STEPS_MAX: usize = 8;
const KINDS: [&str; 7] = ["activity", "sleep", "waitFor", "branch", "forEach", "parallel", "run"];

/// Says what starts a definition.
pub fn trigger_words(definition: &Value) -> String {
    let first = definition["triggers"].get(0).unwrap_or(&definition["trigger"]);
    let more = definition["triggers"].as_array().map_or(0, |all| all.len().saturating_sub(1));
    let words = match first {
        Value::String(kind) if kind != "manual" => kind.clone(),
        it if it["schedule"].is_object() => schedule_words(&it["schedule"]),
        it if it["record"].is_string() => {
            format!("{} for {}", plain(&it["record"]), plain(&it["for"]))
        }
        it => it["event"].as_str().unwrap_or("by hand").to_owned(),
    };
    if more == 0 { words } else { format!("{words} and {more} more") }
}

fn schedule_words(schedule: &Value) -> String {
    match read_schedule(schedule, "") {
        Ok(read) => read.describe(),
        Err(_) => plain(&schedule["cron"]),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Names the steps of a definition in order, the last ones counted.
pub fn pieces(definition: &Value) -> Vec<String> {
    let steps = definition["steps"].as_array().map_or(&[][..], Vec::as_slice);
    let named = steps.iter().take(STEPS_MAX).map(|step| {
        let title = ["title", "id"].iter().find_map(|key| step[key].as_str());
        let kind = || KINDS.iter().find(|kind| step.get(**kind).is_some());
        title.map_or_else(|| kind().map_or("step", |kind| *kind).to_owned(), str::to_owned)
    });
    let rest = steps.len().saturating_sub(STEPS_MAX);
    named.chain((rest > 0).then(|| format!("{rest} more"))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_starts_a_workflow_reads_in_words() {
        for (definition, words) in [
            (json!({"trigger": {"event": "a:b"}}), "a:b"),
            (json!({"triggers": [{"event": "a:b"}, {"event": "c:d"}]}), "a:b and 1 more"),
            (json!({"trigger": "manual"}), "by hand"),
            (json!({}), "by hand"),
            (json!({"trigger": {"record": "ticket", "for": "7d"}}), "ticket for 7d"),
        ] {
            assert_eq!(trigger_words(&definition), words);
        }
        let schedule = json!({"trigger": {"schedule": {"cron": "0 8 * * 1", "timezone": "UTC"}}});
        assert!(trigger_words(&schedule).contains("08:00"));
        let steps = json!({"steps": [{"id": "a", "title": "Look"}, {"id": "b", "sleep": "1s"}]});
        assert_eq!(pieces(&steps), ["Look", "b"]);
    }
}
