//! What holds for every activity of the list, and what Thena's own are known to do.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::harness::Bench;
use crate::domain::activity::{Compensation, Reach};
use crate::domain::desk::RecordKind::{Account, Comment, Contact, Ticket};

/// A change that an activity makes, and a later one that its undo must not overwrite.
type Case = (&'static str, Value, fn(&Value) -> (&'static str, Value));

const UPDATE: &str = "tickets:update-ticket-platform";
const DELETE: &str = "tickets:delete-ticket-platform";

fn deleted(_: &Value) -> (&'static str, Value) {
    (DELETE, json!({"id": "WED-1"}))
}

/// One case for each activity that the platform undoes by itself; `comment` is on `WED-1`.
fn cases(comment: &Value) -> Vec<Case> {
    [ticket_cases(), comment_cases(comment), customer_cases()].concat()
}

fn ticket_cases() -> Vec<Case> {
    let on_wed_1 = json!({"ticketId": "WED-1"});
    vec![
        (
            "tickets:create-ticket-platform",
            json!({"title": "New", "requestorEmail": "first@time.test", "teamId": "WED",
                   "commentContent": "Hello", "deDuplicationKey": "k-1"}),
            |made| (UPDATE, json!({"id": made["id"], "title": "Newer"})),
        ),
        (
            UPDATE,
            json!({"ticketIdentifier": "WED-1", "title": "B", "statusName": "Closed",
                   "priorityName": "high", "metadata": {"a": 1}, "customFields": {"c": "d"}}),
            |_| (UPDATE, json!({"id": "WED-1", "title": "C"})),
        ),
        ("tickets:bulk-archive-platform", json!({"ticketIds": ["WED-1", "WED-2"]}), |_| {
            (DELETE, json!({"id": "WED-1"}))
        }),
        ("tickets:bulk-unarchive-platform", json!({"ticketIds": ["WED-2"]}), |_| {
            (DELETE, json!({"id": "WED-2"}))
        }),
        (
            "tickets:assign-ticket-platform",
            json!({"ticketId": "WED-1", "email": "ana@ours.test"}),
            |_| {
                let to_bo = json!({"ticketId": "WED-1", "assignedAgentEmail": "bo@ours.test"});
                ("tickets:assign-ticket-platform", to_bo)
            },
        ),
        ("tickets:escalate-ticket-platform", on_wed_1.clone(), deleted),
        ("tickets:send-csat-platform", on_wed_1.clone(), deleted),
        ("tickets:archive-ticket-platform", on_wed_1.clone(), deleted),
        ("tickets:unarchive-ticket-platform", json!({"ticketId": "WED-2"}), |_| {
            (DELETE, json!({"id": "WED-2"}))
        }),
        (DELETE, on_wed_1, |_| {
            let key = json!({"title": "Again", "requestorEmail": "kim@acme.test", "teamId": "WED",
                             "deDuplicationKey": "k-0"});
            ("tickets:create-ticket-platform", key)
        }),
        ("tickets:add-tags-platform", json!({"id": "WED-1", "tags": ["vip", "new"]}), deleted),
        ("tickets:remove-tags-platform", json!({"id": "WED-1", "tags": ["VIP"]}), deleted),
    ]
}

fn comment_cases(comment: &Value) -> Vec<Case> {
    vec![
        (
            "communications:create-comment-platform",
            json!({"ticketId": "WED-1", "content": "More", "customerEmail": "kim@acme.test"}),
            |made| {
                let words = json!({"id": made["id"], "content": "Much more"});
                ("communications:update-comment-platform", words)
            },
        ),
        (
            "communications:update-comment-platform",
            json!({"commentId": comment["id"], "content": "Other words"}),
            |made| {
                let words = json!({"id": made["id"], "content": "Yet others"});
                ("communications:update-comment-platform", words)
            },
        ),
        ("communications:delete-comment-platform", json!({"id": comment["id"]}), deleted),
        (
            "communications:add-reaction-platform",
            json!({"commentId": comment["id"], "emoji": ":eyes:", "userId": "ana@ours.test"}),
            deleted,
        ),
    ]
}

fn customer_cases() -> Vec<Case> {
    vec![
        (
            "accounts:create-account-platform",
            json!({"name": "New", "domain": "new.test"}),
            |made| ("accounts:update-account-platform", json!({"id": made["id"], "name": "Newer"})),
        ),
        (
            "accounts:update-account-platform",
            json!({"accountId": "acme.test", "health": "RED", "primaryDomain": "acme.example"}),
            |made| {
                ("accounts:update-account-platform", json!({"id": made["id"], "health": "GREEN"}))
            },
        ),
        (
            "accounts:create-note-platform",
            json!({"accountId": "acme.test", "content": "Met"}),
            |made| {
                let words =
                    json!({"entityType": "account-note", "entityId": made["id"], "content": "?"});
                ("communications:create-comment-platform", words)
            },
        ),
        (
            "accounts:create-task-platform",
            json!({"accountId": "acme.test", "title": "Call", "assigneeId": "ana@ours.test"}),
            |made| {
                let words =
                    json!({"entityType": "account-task", "entityId": made["id"], "content": "?"});
                ("communications:create-comment-platform", words)
            },
        ),
        (
            "accounts:create-activity-platform",
            json!({"accountId": "acme.test", "activityTimestamp": "2026-11-24T09:00:00Z",
                   "duration": 30, "location": "Here"}),
            |made| {
                let words = json!({"entityType": "account-activity", "entityId": made["id"], "content": "?"});
                ("communications:create-comment-platform", words)
            },
        ),
        (
            "contacts:create-customer-contact-platform",
            json!({"firstName": "Lu", "email": "lu@acme.test"}),
            |made| {
                let name = json!({"id": made["id"], "lastName": "Li"});
                ("contacts:update-customer-contact-platform", name)
            },
        ),
        (
            "contacts:update-customer-contact-platform",
            json!({"contactId": "kim@acme.test", "lastName": "Kay", "email": "kay@acme.test"}),
            |made| {
                let name = json!({"id": made["id"], "lastName": "Koe"});
                ("contacts:update-customer-contact-platform", name)
            },
        ),
    ]
}

/// Makes `WED-1` with a comment and the tag `vip`, and `WED-2`, which is archived.
fn furnished() -> (Bench, Value) {
    let mut bench = Bench::new();
    let ticket = json!({"title": "A", "requestorEmail": "kim@acme.test", "teamId": "WED",
                        "deDuplicationKey": "k-0", "tags": ["vip"], "commentContent": "First"});
    bench.create(Ticket, ticket);
    let comment = bench.create(Comment, json!({"ticketId": "WED-1", "content": "Second"}));
    let plain = json!({"title": "A", "requestorEmail": "kim@acme.test", "teamId": "WED"});
    bench.create(Ticket, plain);
    bench.run("tickets:archive-ticket-platform", json!({"id": "WED-2"})).unwrap();
    bench.take_events();
    (bench, comment)
}

#[test]
fn undo_restores_the_state_exactly() {
    let (bench, comment) = furnished();
    let automatic: BTreeSet<String> = bench
        .activities
        .catalogue()
        .iter()
        .filter(|spec| spec.compensation == Compensation::Automatic)
        .filter(|spec| spec.reach == Reach::Platform)
        .map(|spec| spec.identifier.clone())
        .collect();
    let covered: BTreeSet<String> =
        cases(&comment).into_iter().map(|case| case.0.to_owned()).collect();
    assert_eq!(covered, automatic);
    for index in 0..covered.len() {
        let (mut bench, comment) = furnished();
        let (identifier, input, _) = cases(&comment).swap_remove(index);
        let before = bench.rows();
        let done = bench.run(identifier, input).unwrap();
        assert_ne!(bench.rows(), before, "{identifier} changes something");
        assert!(!bench.events().is_empty(), "{identifier} tells of it");
        bench.undo(&done.undo).unwrap_or_else(|failure| panic!("{identifier}: {failure}"));
        assert_eq!(bench.rows(), before, "{identifier}");
        assert!(!bench.events().is_empty(), "the undo of {identifier} tells of it");
        bench.undo(&done.undo).unwrap_or_else(|failure| panic!("{identifier} again: {failure}"));
        assert_eq!(bench.rows(), before, "a second undo of {identifier} changes nothing");
    }
}

#[test]
fn undo_reports_a_later_change_and_overwrites_nothing() {
    let count = cases(&Value::Null).len();
    for index in 0..count {
        let (mut bench, comment) = furnished();
        let (identifier, input, later) = cases(&comment).swap_remove(index);
        let done = bench.run(identifier, input).unwrap();
        let (change, input) = later(&done.output);
        bench.run(change, input).unwrap_or_else(|failure| panic!("{identifier}: {failure}"));
        let before = bench.rows();
        let failure = bench.undo(&done.undo).unwrap_err();
        assert_eq!(failure.code, "undo_conflict", "{identifier}: {failure}");
        assert_eq!(bench.rows(), before, "{identifier}");
    }
}

#[test]
fn a_conflict_tells_the_values_before_after_and_now() {
    let (mut bench, _) = furnished();
    let done = bench.run(UPDATE, json!({"id": "WED-1", "title": "B"})).unwrap();
    bench.run(UPDATE, json!({"id": "WED-1", "title": "C"})).unwrap();
    let failure = bench.undo(&done.undo).unwrap_err();
    let expected = json!([{"field": "title", "before": "A", "after": "B", "current": "C"}]);
    assert_eq!(failure.details["fields"], expected);
}

#[test]
fn every_activity_is_documented_and_its_schemas_are_schemas() {
    let bench = Bench::new();
    let mut seen = BTreeSet::new();
    for spec in bench.activities.catalogue().iter() {
        let identifier = &spec.identifier;
        assert!(seen.insert(identifier.clone()), "{identifier} is there twice");
        let apps = ["slack.", "jira.", "linear.", "ai.", "http."];
        let is_ours =
            identifier.ends_with("-platform") || apps.iter().any(|app| identifier.starts_with(app));
        assert!(is_ours, "{identifier}");
        assert!(spec.description.ends_with('.') && spec.name.len() > 3, "{identifier}");
        assert!(!spec.description.contains("  "), "{identifier}: {}", spec.description);
        let is_open = spec.scopes.is_empty();
        let needs_none = matches!(spec.reach, Reach::Sleep) || identifier.contains("transform");
        assert_eq!(is_open, needs_none, "{identifier}: {:?}", spec.scopes);
        for schema in [&spec.input_schema, &spec.output_schema] {
            assert!(jsonschema::meta::is_valid(schema), "{identifier}: {schema}");
            jsonschema::validator_for(schema).unwrap();
        }
        assert_eq!(spec.input_schema["type"], "object", "{identifier}");
        for (name, property) in spec.input_schema["properties"].as_object().unwrap() {
            assert!(property["description"].is_string(), "{identifier}: {name}");
        }
    }
    assert_eq!(super::ON_DESK.len() + 31, seen.len());
}

#[test]
fn every_input_is_held_to_its_schema_before_anything_happens() {
    let (mut bench, _) = furnished();
    let specs: Vec<_> = bench.activities.catalogue().iter().cloned().collect();
    for spec in specs.iter().filter(|spec| spec.reach == Reach::Platform) {
        let before = bench.rows();
        let failure = bench.run(&spec.identifier, json!("no object")).unwrap_err();
        assert_eq!(failure.code, "invalid_input", "{}", spec.identifier);
        assert_eq!(bench.rows(), before);
        if spec.input_schema["additionalProperties"] == json!(false) {
            let failure = bench.run(&spec.identifier, json!({"nonsense": 1})).unwrap_err();
            let problems = failure.details["problems"].to_string();
            assert!(problems.contains("/nonsense"), "{}: {problems}", spec.identifier);
        }
    }
}

#[test]
fn every_output_fits_its_schema() {
    let (_, comment) = furnished();
    let mut all: Vec<(&str, Value)> =
        cases(&comment).into_iter().map(|(identifier, input, _)| (identifier, input)).collect();
    all.extend([
        ("tickets:get-ticket-platform", json!({"id": "WED-1"})),
        ("tickets:search-tickets-platform", json!({"status": "open", "limit": 5})),
        ("communications:get-comment-threads-platform", json!({"ticketId": "WED-1"})),
        ("accounts:get-account-platform", json!({"domain": "acme.test"})),
        ("teams:get-team-platform", json!({"identifier": "wed"})),
        ("users:get-user-platform", json!({"email": "ana@ours.test"})),
        ("workflows:transform-platform", json!({"any": 1})),
        ("workflows:publish-event-platform", json!({"type": "order:paid"})),
    ]);
    assert_eq!(all.len(), super::ON_DESK.len());
    for (identifier, input) in all {
        let (mut bench, _) = furnished();
        let spec = bench.activities.catalogue().find(identifier).unwrap().clone();
        let done = bench.run(identifier, input).unwrap();
        let validator = jsonschema::validator_for(&spec.output_schema).unwrap();
        let faults: Vec<String> =
            validator.iter_errors(&done.output).map(|e| e.to_string()).collect();
        assert!(faults.is_empty(), "{identifier}: {faults:?}");
        let reads = spec.compensation != Compensation::Automatic;
        assert_eq!(done.undo.is_null(), reads, "{identifier}");
    }
}

#[test]
fn thena_51_and_58_the_activities_of_its_pages_exist() {
    let bench = Bench::new();
    for identifier in [
        "tickets:create-ticket-platform",
        "tickets:update-ticket-platform",
        "accounts:create-account-platform",
        "workflows:sleep-platform",
        "communications:get-comment-threads-platform",
        "communications:create-comment-platform",
        "contacts:create-customer-contact-platform",
        "tickets:assign-ticket-platform",
        "tickets:escalate-ticket-platform",
        "tickets:archive-ticket-platform",
        "workflows:transform-platform",
        "workflows:http-request-platform",
    ] {
        assert!(bench.activities.catalogue().find(identifier).is_some(), "{identifier}");
    }
}

#[test]
fn thena_52_a_ticket_without_its_required_fields_fails_with_their_names() {
    let mut bench = Bench::new();
    let whole = json!({"title": "A", "requestorEmail": "kim@acme.test", "teamId": "WED"});
    for name in ["title", "requestorEmail", "teamId"] {
        let mut input = whole.clone();
        input.as_object_mut().unwrap().remove(name);
        let failure = bench.run("tickets:create-ticket-platform", input).unwrap_err();
        assert_eq!(failure.code, "invalid_input");
        assert_eq!(failure.details["problems"][0]["pointer"], format!("/{name}"));
        assert!(failure.message.contains(name), "{failure}");
    }
    bench.run("tickets:create-ticket-platform", whole).unwrap();
}

#[test]
fn thena_53_an_update_emits_what_follows_from_it() {
    let (mut bench, _) = furnished();
    let input = json!({"id": "WED-1", "statusName": "Closed", "priorityId": "PR-URGENT",
                       "assignedAgentEmail": "ana@ours.test", "dueDate": "2026-12-01T00:00:00Z"});
    let done = bench.run(UPDATE, input).unwrap();
    assert_eq!(done.output["priority"], "urgent");
    let expected =
        ["ticket:updated", "ticket:status:changed", "ticket:priority:changed", "ticket:assigned"];
    assert_eq!(bench.events(), expected);
}

#[test]
fn thena_54_an_account_with_the_domain_of_another_is_refused() {
    let mut bench = Bench::new();
    let identifier = "accounts:create-account-platform";
    let acme = bench.get(Account, "acme.test").unwrap();
    let again = json!({"name": "Acme 2", "primaryDomain": "https://www.Acme.test/"});
    let failure = bench.run(identifier, again).unwrap_err();
    assert_eq!(failure.code, "conflict");
    assert!(failure.message.contains(acme["id"].as_str().unwrap()), "{failure}");
    let failure = bench.run(identifier, json!({"name": "None"})).unwrap_err();
    assert!(failure.message.contains("`primaryDomain`, `domain`"), "{failure}");
}

#[test]
fn thena_55_a_sleep_is_kept_by_the_run_and_takes_every_spelling_of_its_length() {
    let bench = Bench::new();
    let identifier = "workflows:sleep-platform";
    let spec = bench.activities.catalogue().find(identifier).unwrap();
    assert_eq!(spec.reach, Reach::Sleep);
    assert!(bench.activities.find(identifier).is_none());
    let validator = jsonschema::validator_for(&spec.input_schema).unwrap();
    for input in [
        json!({"duration": "1h30m"}),
        json!({"duration": 2, "unit": "days"}),
        json!({"durationMs": 1500}),
        json!({"minutes": "5"}),
    ] {
        assert!(validator.is_valid(&input), "{input}");
    }
    for input in [json!({}), json!({"unit": "days"}), json!({"for": 1})] {
        assert!(!validator.is_valid(&input), "{input}");
    }
}

#[test]
fn thena_56_threads_have_replies_under_what_they_answer() {
    let (mut bench, comment) = furnished();
    let create = "communications:create-comment-platform";
    let reply = |parent: &Value, words: &str| json!({"ticketId": "WED-1", "content": words, "parentCommentId": parent["id"]});
    let first = bench.run(create, reply(&comment, "reply")).unwrap().output;
    bench.run(create, reply(&first, "reply to the reply")).unwrap();
    let identifier = "communications:get-comment-threads-platform";
    for (input, total) in [
        (json!({"ticketId": "WED-1"}), 2),
        (json!({"ids": [comment["id"]]}), 1),
        (json!({"commentIds": [comment["id"], comment["id"]]}), 1),
        (json!({"ids": ["WED-1", comment["id"]]}), 2),
    ] {
        let output = bench.run(identifier, input.clone()).unwrap().output;
        assert_eq!(output["total"], total, "{input}");
        let last = output["threads"].as_array().unwrap().last().unwrap();
        assert_eq!(last["content"], "Second");
        assert_eq!(last["replies"][0]["replies"][0]["content"], "reply to the reply");
    }
    let failure = bench.run(identifier, json!({"ids": ["nowhere"]})).unwrap_err();
    assert_eq!(failure.code, "not_found");
}

#[test]
fn thena_62_a_wrong_input_fails_with_its_path() {
    let (mut bench, _) = furnished();
    for (identifier, input, pointer) in [
        (UPDATE, json!({"id": "WED-1", "titel": "B"}), "/titel"),
        (UPDATE, json!({"id": "WED-1", "title": 5}), "/title"),
        (UPDATE, json!({"id": "WED-1", "tags": ["a", 1]}), "/tags/1"),
        (UPDATE, json!({"id": "WED-1", "priority": "soon"}), "/priority"),
        (UPDATE, json!({"title": "B"}), ""),
        ("tickets:add-tags-platform", json!({"id": "WED-1"}), "/tags"),
    ] {
        let failure = bench.run(identifier, input.clone()).unwrap_err();
        assert_eq!(failure.code, "invalid_input", "{input}");
        assert_eq!(failure.details["problems"][0]["pointer"], pointer, "{input}");
    }
}

#[test]
fn thena_116_a_repeated_deduplication_key_makes_no_second_record() {
    let mut bench = Bench::new();
    let ticket = json!({"title": "A", "requestorEmail": "new@acme.test", "teamId": "WED",
                        "deDuplicationKey": "Key"});
    let first = bench.run("tickets:create-ticket-platform", ticket.clone()).unwrap();
    bench.events();
    let second = bench.run("tickets:create-ticket-platform", ticket.clone()).unwrap();
    assert_eq!(
        (first.output["id"].clone(), Value::Null),
        (second.output["id"].clone(), second.undo)
    );
    assert!(bench.events().is_empty());
    let mut other = ticket;
    other["deDuplicationKey"] = json!("key");
    let third = bench.run("tickets:create-ticket-platform", other).unwrap();
    assert_ne!(first.output["id"], third.output["id"]);
    let comment = json!({"ticketId": "WED-1", "content": "A", "deDuplicationKey": "Key"});
    let first = bench.run("communications:create-comment-platform", comment.clone()).unwrap();
    let second = bench.run("communications:create-comment-platform", comment).unwrap();
    assert_eq!(first.output["id"], second.output["id"]);
}

#[test]
fn a_published_event_has_its_one_spelling_and_its_cause() {
    let mut bench = Bench::new();
    bench.take_events();
    let input =
        json!({"type": "ticket.created", "payload": {"ticket": {"id": "T1"}}, "subject": "T1"});
    let done = bench.run("workflows:publish-event-platform", input).unwrap();
    let event = bench.take_events().remove(0);
    assert_eq!(
        (done.output, event.kind.as_str()),
        (json!({"type": "ticket:created"}), "ticket:created")
    );
    assert_eq!((event.cause, event.source.as_str()), (bench.caller.cause, "ergane/workflow"));
    assert_eq!((event.subject.as_deref(), event.id.as_str()), (Some("T1"), ""));
}

#[test]
fn a_transformation_shapes_what_it_is_given() {
    let mut bench = Bench::new();
    for (input, output) in [
        (json!({"output": [1, 2]}), json!([1, 2])),
        (json!({"output": null}), json!(null)),
        (json!({"a": 1, "b": {"c": 2}}), json!({"a": 1, "b": {"c": 2}})),
        (json!({"from": {"a": 1}, "set": {"b": 2}}), json!({"a": 1, "b": 2})),
        (json!({"merge": [{"a": 1}, {"a": 2, "b": 3}]}), json!({"a": 2, "b": 3})),
        (json!({"from": {"a": 1, "b": 2}, "pick": ["b"]}), json!({"b": 2})),
    ] {
        let done = bench.run("workflows:transform-platform", input.clone()).unwrap();
        assert_eq!(done.output, output, "{input}");
    }
}

#[test]
fn a_reaction_stands_once_and_a_run_reacts_in_its_own_name() {
    let (mut bench, comment) = furnished();
    let input = json!({"commentId": comment["id"], "emoji": ":eyes:"});
    for _ in 0..2 {
        bench.run("communications:add-reaction-platform", input.clone()).unwrap();
    }
    assert_eq!(bench.events(), ["ticket:comment:reaction:added"]);
    let comment = bench.get(Comment, comment["id"].as_str().unwrap()).unwrap();
    assert_eq!(comment["metadata"]["userReactions"][0]["userId"], bench.caller.actor.id);
}

#[test]
fn one_tenants_records_are_nobody_elses() {
    use crate::domain::id::TenantId;
    let mut bench = Bench::new();
    let kim = bench.get(Contact, "kim@acme.test").unwrap();
    bench.move_to(TenantId(4));
    assert_eq!(bench.get(Contact, kim["id"].as_str().unwrap()).unwrap_err().code, "not_found");
    assert_eq!(bench.get(Contact, "kim@acme.test").unwrap_err().code, "not_found");
}
