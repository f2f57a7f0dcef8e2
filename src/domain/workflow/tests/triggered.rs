//! Gates, lasting states, annotations and priorities: how they are read, refused and written back.

use serde_json::{Value, json};

use super::{checked, read, validate_value};
use crate::domain::workflow::cycle;
use crate::domain::workflow::export::{to_native, to_yaml};
use crate::domain::workflow::parse::restore;
use crate::domain::workflow::{Priority, Workflow};

fn with(extra: &str) -> String {
    format!("{{name: w, steps: [{{id: a, sleep: 1s}}], {extra}}}")
}

fn workflow(extra: &str) -> Workflow {
    let checked = checked(&with(extra));
    checked.workflow.unwrap_or_else(|| panic!("{extra}: {:?}", checked.problems))
}

const ALL: [&str; 12] = [
    "trigger: {event: ticket:created, dedupe: {key: '{{trigger.payload.ticket.id}}', window: 1h}}",
    "trigger: {event: ticket:created, throttle: {limit: 3, period: 1h}}",
    "trigger: {event: ticket:created, debounce: {key: '{{ticket.id}}', wait: 5m, maxWait: 1h}}",
    "trigger: {event: ticket:created, rateLimit: {limit: 10, period: 1m}}",
    "trigger: {event: ticket:created, batch: {size: 100, wait: 10m}}",
    "triggers: [ticket:created, {event: slack:message, batch: {size: 2, wait: 1s}}]",
    "trigger: {record: ticket, filter: {ticket.priorityName: {~eq: urgent}}, for: 2h}",
    "trigger: {record: contact, filter: {customerContact.email: {~ends: .de}}, for: 1d, repeat: 4h,
      resetBy: [ticket:created, {event: slack:message, filter: {text: {~eq: x}}}]}",
    "trigger: ticket:created, priority: high",
    "trigger: ticket:created, priority: 2",
    "trigger: ticket:created, annotations: [{entityType: Account,
      requiredFields: {domain: '{{ticket.account.tier}}'}, relations: [accountOwner, health],
      pathToAnnotate: context.account}]",
    "trigger: ticket:created, annotations: [{entityType: Ticket,
      requiredFields: {ticketId: '{{context.event.message.payload.ticketId}}'},
      relations: [account, account.classification],
      pathToAnnotate: context.event.message.payload.ticket}]",
];

#[test]
fn what_is_read_is_written_back_the_same() {
    for text in ALL {
        let before = workflow(text);
        let native = to_native(&before);
        let after = validate_value(&native);
        assert_eq!(after.problems, [], "{native:#}");
        assert_eq!(after.workflow.as_ref(), Some(&before), "{native:#}");
        assert_eq!(restore(&native).as_ref(), Ok(&before), "{native:#}");
        assert_eq!(to_native(&before), read(&to_yaml(&before)));
    }
}

#[test]
fn gates_beside_the_only_trigger_are_its_own() {
    let beside = workflow("trigger: ticket:created, throttle: {period: 1h}");
    let inside = workflow("trigger: {event: ticket:created, throttle: {period: 1h}}");
    assert_eq!(beside, inside);
    let thenas = workflow("on: ticket:created, throttle: {period: 1h}");
    assert_eq!(thenas, inside);
    assert!(!inside.is_plain() && inside.remembers());
    assert_eq!(workflow("priority: normal").priority, Priority::NORMAL);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of mistakes")]
fn a_mistake_is_refused_where_it_stands() {
    for (text, pointer, code) in [
        ("trigger: {event: ticket:created, dedupe: {window: 1h}}", "/trigger/dedupe", "missing"),
        (
            "trigger: {event: ticket:created, dedupe: {key: k, window: 0s}}",
            "/trigger/dedupe/window",
            "out_of_range",
        ),
        (
            "trigger: {event: ticket:created, throttle: {limit: 0, period: 1h}}",
            "/trigger/throttle/limit",
            "out_of_range",
        ),
        (
            "trigger: {event: ticket:created, debounce: {wait: 5m, maxWait: 1m}}",
            "/trigger/debounce/maxWait",
            "out_of_range",
        ),
        (
            "trigger: {event: ticket:created, debounce: {wait: 5m}, batch: {size: 2, wait: 1m}}",
            "/trigger/batch",
            "clash",
        ),
        (
            "trigger: {event: ticket:created, batch: {size: 2, wait: 1m, until: 3}}",
            "/trigger/batch/until",
            "unknown_key",
        ),
        (
            "trigger: {event: ticket:created, debounce: {wait: 5m, key: '{{ticket.idd}}'}}",
            "/trigger/debounce/key",
            "unknown_path",
        ),
        ("throttle: {period: 1h}", "/throttle", "misplaced"),
        (
            "triggers: [ticket:created, slack:message], throttle: {period: 1h}",
            "/throttle",
            "misplaced",
        ),
        (
            "trigger: {event: ticket:created, throttle: {period: 1h}}, dedupe: {key: k, window: 1h}",
            "/dedupe",
            "clash",
        ),
        ("trigger: {record: weather, filter: {}, for: 2h}", "/trigger/record", "not_allowed"),
        ("trigger: {record: ticket, for: 2h}", "/trigger", "missing"),
        ("trigger: {record: ticket, filter: {}, for: soon}", "/trigger/for", "invalid_duration"),
        (
            "trigger: {record: ticket, filter: {}, for: 2h, resetBy: [{filter: {}}]}",
            "/trigger/resetBy/0",
            "missing",
        ),
        (
            "trigger: {record: ticket, filter: {}, for: 2h, throttle: {period: 1h}}",
            "/trigger/throttle",
            "misplaced",
        ),
        ("trigger: ticket:created, priority: urgent", "/priority", "not_allowed"),
        ("trigger: ticket:created, priority: 6", "/priority", "out_of_range"),
        ("trigger: ticket:created, annotations: [{}]", "/annotations/0", "missing"),
    ] {
        let problems = checked(&with(text)).problems;
        let found =
            problems.iter().any(|problem| problem.pointer == pointer && problem.code == code);
        assert!(found, "{text}: {problems:?}");
    }
}

#[test]
fn an_annotation_names_what_there_is() {
    let good = json!({"entityType": "Ticket", "requiredFields": {"id": "{{trigger.payload.ticket.id}}"},
        "relations": ["account"], "pathToAnnotate": "trigger.payload.ticket"});
    for (field, value, pointer, code, hint) in [
        ("entityType", json!("Tickett"), "entityType", "unknown_entity", "Ticket, Account"),
        (
            "relations",
            json!(["acount"]),
            "relations/0",
            "unknown_relation",
            "did you mean `account`?",
        ),
        ("relations", json!(["title.x"]), "relations/0", "unknown_relation", "one of: "),
        (
            "requiredFields",
            json!({"nr": "1"}),
            "requiredFields/nr",
            "unknown_field",
            "ticketIdentifier",
        ),
        ("requiredFields", json!({"title": "x"}), "requiredFields", "missing", "one of: id"),
        ("pathToAnnotate", json!("steps.a.output"), "pathToAnnotate", "invalid_path", "below"),
        ("pathToAnnotate", json!("trigger.id"), "pathToAnnotate", "invalid_path", "below"),
        ("pathToAnnotate", json!("a..b"), "pathToAnnotate", "invalid_path", ""),
    ] {
        let mut annotation = good.clone();
        annotation[field] = value;
        let raw = json!({"name": "w", "trigger": "ticket:created", "annotations": [annotation],
            "steps": [{"id": "a", "sleep": "1s"}]});
        let problems = validate_value(&raw).problems;
        let pointer = format!("/annotations/0/{pointer}");
        let found = problems.iter().find(|it| it.pointer == pointer && it.code == code);
        let found = found.unwrap_or_else(|| panic!("{raw}: {problems:?}"));
        assert!(found.hint.as_deref().unwrap_or_default().contains(hint), "{found:?}");
    }
}

#[test]
fn steps_see_what_was_joined_and_what_was_gathered() {
    let saved = |trigger: &str, read: &str| -> Vec<String> {
        let text = format!(
            "{{name: w, {trigger}, steps: [{{id: a, activity: http.request, compensate: none, \
             input: {{x: '{{{{ {read} }}}}'}}}}]}}"
        );
        let checked = checked(&text);
        let problems = checked.problems.iter().chain(&checked.warnings);
        problems.map(|problem| problem.code.clone()).collect()
    };
    let batch = "trigger: {event: ticket:created, batch: {size: 5, wait: 1m}}";
    assert_eq!(saved(batch, "trigger.payload.events[0].payload.ticket.id"), [""; 0]);
    assert_eq!(saved(batch, "trigger.payload.count"), [""; 0]);
    assert_eq!(saved(batch, "trigger.payload.ticket.id"), ["unknown_path"]);
    let joined = "trigger: ticket:created, annotations: [{entityType: Account, relations: \
        [accountOwner], requiredFields: {domain: '{{ticket.title}}'}, pathToAnnotate: context.account}]";
    for path in
        ["trigger.payload.account.health", "context.account.name", "account.accountOwner.email"]
    {
        assert_eq!(saved(joined, path), [""; 0], "{path}");
    }
    assert_eq!(saved(joined, "account.weather"), ["unknown_path"]);
    let lasting = "trigger: {record: ticket, filter: {}, for: 2h}";
    assert_eq!(saved(lasting, "trigger.payload.ticket.title"), [""; 0]);
    assert_eq!(saved(lasting, "trigger.payload.since"), [""; 0]);
}

fn updating(name: &str, event: &str, filter: Value, input: Value) -> Workflow {
    let stored = json!({"name": name, "trigger": {"event": event, "filter": filter}, "steps": [
        {"id": "a", "activity": "tickets:update-ticket-platform", "input": input}]});
    restore(&stored).expect("a definition")
}

#[test]
fn workflows_that_start_each_other_are_warned_of() {
    let status = json!({"id": "{{ticket.id}}", "statusName": "Closed"});
    let title = json!({"id": "{{ticket.id}}", "title": "{{ticket.title}}!"});
    let itself = updating("a", "ticket:updated", json!({}), title.clone());
    let details = |saved: &Workflow, others: &[&Workflow]| -> Vec<String> {
        cycle::warnings(saved, others).into_iter().map(|warning| warning.detail).collect()
    };
    assert_eq!(details(&itself, &[]), ["it may start itself without end: a → ticket:updated → a"]);
    let there = updating("there", "ticket:status:changed", json!({}), title.clone());
    let back = updating("back", "ticket:updated", json!({}), status.clone());
    let found = details(&there, &[&back]);
    let cycle = "there → ticket:updated → back → ticket:status:changed → there";
    assert!(found.iter().any(|detail| detail.ends_with(cycle)), "{found:?}");
    let far = updating("far", "ticket:created", json!({}), title);
    assert_eq!(details(&far, &[&back]), [""; 0], "nothing makes a ticket");
    let guard = json!({"ticket.statusName": {"~neq": "Closed"}});
    assert_eq!(details(&updating("a", "ticket:updated", guard, status.clone()), &[]), [""; 0]);
    let entry = json!({"ticket.statusName": {"~changedTo": "Open"}});
    let entering = updating("a", "ticket:updated", entry, status.clone());
    assert_eq!(details(&entering, &[]), [""; 0], "it would have to leave the state itself");
    let other = json!({"ticket.statusName": {"~neq": "Open"}});
    assert_eq!(details(&updating("a", "ticket:updated", other, status), &[]).len(), 1);
}
