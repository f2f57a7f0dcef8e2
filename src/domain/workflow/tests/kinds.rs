//! Steps that hold other steps, wait for the world, start other workflows, or need approval.

use serde_json::json;

use super::{catalogue, checked, validate_value};
use crate::domain::workflow::export::{as_far_as_thena, to_native};
use crate::domain::workflow::parse::restore;
use crate::domain::workflow::{Action, Workflow};

const ALL: &str = "
name: w
on: ticket:created
steps:
  - id: reply
    waitFor:
      event: ticket:escalated
      filter: {ticket.id: {~eq: '{{trigger.payload.ticket.id}}'}}
      timeout: 4h
      onTimeout: continue
      lookBack: 10m
  - id: choose
    branch:
      - if: {steps.reply.output.timedOut: {~eq: true}}
        steps: [{id: late, sleep: 1s}]
      - else: true
        steps: [{id: soon, sleep: 2s}]
  - id: loop
    forEach:
      items: '{{trigger.payload.ticket.tags}}'
      as: tag
      concurrency: 3
      steps:
        - {id: nap, sleep: '{{index}}s'}
        - {id: tell, run: {workflow: notify, input: {tag: '{{tag}}', same: '{{item}}', after: '{{steps.nap.status}}'}, wait: false}}
  - id: both
    parallel:
      join: any
      branches: [[{id: left, sleep: 1s}], [{id: right, waitFor: slack:message}]]
  - id: sub
    run: {workflow: other, input: {all: '{{steps.loop.output}}'}}
    approval:
      approvers: ['role:lead', ada@example.com]
      timeout: 1d
      onTimeout: approve
      reminder: 1h
      escalate: {after: 2h, to: ['role:boss']}
      reason: 'About {{trigger.payload.ticket.title}}'
";

fn step(text: &str) -> String {
    format!("{{name: w, on: 'ticket:created', steps: [{{id: first, sleep: 1s}}, {{{text}}}]}}")
}

fn workflow(text: &str) -> Workflow {
    let validation = checked(text);
    assert_eq!(validation.problems, [], "{text}");
    validation.workflow.expect("it has no problems")
}

#[test]
fn every_kind_of_step_is_read_and_written_back() {
    let before = workflow(ALL);
    assert_eq!(before.all_steps().len(), 11);
    let native = to_native(&before);
    let after = validate_value(&native);
    assert_eq!(after.problems, [], "{native:#}");
    assert_eq!(after.workflow.as_ref(), Some(&before), "{native:#}");
    assert_eq!(restore(&native).as_ref(), Ok(&before), "{native:#}");
}

#[test]
fn short_forms_mean_the_same_as_long_ones() {
    for (short, long) in [
        (
            "id: a, waitFor: 'ticket:escalated'",
            "id: a, waitFor: {event: 'ticket:escalated', lookBack: run, onTimeout: fail}",
        ),
        ("id: a, run: other", "id: a, run: {workflow: other, input: {}, wait: true}"),
        (
            "id: a, parallel: [[{id: b, sleep: 1}]]",
            "id: a, parallel: {join: all, branches: [[{id: b, sleep: 1}]]}",
        ),
        ("id: a, sleep: {until: '2030-01-01T00:00:00Z'}", "id: a, sleep: '2030-01-01T00:00:00Z'"),
        ("id: a, sleep: 1, approval: true", "id: a, sleep: 1, approval: {approvers: []}"),
        (
            "id: a, sleep: 1, approval: {approvers: 'role:x'}",
            "id: a, sleep: 1, approval: {approvers: ['role:x']}",
        ),
        ("id: a, sleep: 1, requireApproval: true", "id: a, sleep: 1, approval: true"),
    ] {
        assert_eq!(workflow(&step(short)), workflow(&step(long)), "{short}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn wrong_kinds_are_refused_at_their_place() {
    for (text, pointer, code) in [
        ("id: a, waitFor: {event: 'no:such'}", "/waitFor/event", "unknown_event_type"),
        ("id: a, waitFor: {timeout: 1h}", "/waitFor", "missing"),
        (
            "id: a, waitFor: {event: 'ticket:escalated', timeout: soon}",
            "/waitFor/timeout",
            "invalid_duration",
        ),
        (
            "id: a, waitFor: {event: 'ticket:escalated', onTimeout: stop}",
            "/waitFor/onTimeout",
            "not_allowed",
        ),
        (
            "id: a, waitFor: {event: 'ticket:escalated', filter: {x: {~nope: 1}}}",
            "/waitFor/filter/x/~0nope",
            "unknown_operator",
        ),
        (
            "id: a, waitFor: {event: 'ticket:escalated', filter: {ticket.id: {~eq: '{{steps.b.output}}'}}}",
            "/waitFor/filter/ticket.id/~0eq",
            "unknown_step",
        ),
        ("id: a, waitFor: 'ticket:escalated', timeout: 1h", "/timeout", "not_supported"),
        ("id: a, branch: 5", "/branch", "wrong_type"),
        ("id: a, branch: [{steps: [{id: b, sleep: 1}]}]", "/branch/0", "missing"),
        ("id: a, branch: [{if: {}}]", "/branch/0", "missing"),
        (
            "id: a, branch: [{else: true, steps: [{id: b, sleep: 1}]}, {if: {}, steps: [{id: c, sleep: 1}]}]",
            "/branch/0/else",
            "not_allowed",
        ),
        ("id: a, branch: [{else: true, steps: []}]", "/branch/0/steps", "missing"),
        (
            "id: a, branch: [{else: true, steps: [{id: first, sleep: 1}]}]",
            "/branch/0/steps/0",
            "duplicate_id",
        ),
        (
            "id: a, branch: [{else: true, steps: [{id: b, sleep: 1}]}], retry: {attempts: 2}",
            "/retry",
            "not_supported",
        ),
        ("id: a, forEach: {items: x, steps: [{id: b, sleep: 1}]}", "/forEach/items", "wrong_type"),
        (
            "id: a, forEach: {items: [], as: run, steps: [{id: b, sleep: 1}]}",
            "/forEach/as",
            "invalid_name",
        ),
        (
            "id: a, forEach: {items: [], concurrency: 0, steps: [{id: b, sleep: 1}]}",
            "/forEach/concurrency",
            "out_of_range",
        ),
        (
            "id: a, forEach: {items: [], steps: [{id: b, sleep: '{{nothing}}'}]}",
            "/forEach/steps/0/sleep",
            "unknown_root",
        ),
        ("id: a, sleep: '{{item}}'", "/sleep", "unknown_root"),
        ("id: a, parallel: [[]]", "/parallel/0", "missing"),
        (
            "id: a, parallel: {join: 3, branches: [[{id: b, sleep: 1}]]}",
            "/parallel/join",
            "out_of_range",
        ),
        (
            "id: a, parallel: [[{id: b, sleep: 1}], [{id: c, sleep: '{{steps.b.status}}'}]]",
            "/parallel/1/0/sleep",
            "step_order",
        ),
        (
            "id: a, parallel: [[{id: b, sleep: 1}], [{id: c, sleep: 1, dependencies: [b]}]]",
            "/parallel/1/0/dependencies/0",
            "step_order",
        ),
        ("id: a, run: {input: {}}", "/run", "missing"),
        ("id: a, run: {workflow: x, wait: maybe}", "/run/wait", "wrong_type"),
        ("id: a, sleep: 1, branch: [{else: true, steps: []}]", "/branch", "ambiguous"),
        ("id: a, sleep: {until: tomorrow}", "/sleep/until", "invalid_time"),
        ("id: a, sleep: 1, approval: {approvers: [bob]}", "/approval/approvers/0", "not_allowed"),
        ("id: a, sleep: 1, approval: {escalate: {after: 1h}}", "/approval/escalate", "missing"),
        (
            "id: a, sleep: 1, approval: {approvers: ['{{steps.a.output}}']}",
            "/approval/approvers/0",
            "step_order",
        ),
    ] {
        let validation = checked(&step(text));
        let found = validation
            .problems
            .iter()
            .any(|problem| problem.pointer == format!("/steps/1{pointer}") && problem.code == code);
        assert!(found, "{text}: {:#?}", validation.problems);
    }
}

#[test]
fn what_stands_in_a_loop_is_seen_only_there() {
    let text = "name: w
steps:
  - id: loop
    forEach: {items: [1], steps: [{id: b, activity: 'tickets:search-tickets-platform'}, {id: c, sleep: '{{steps.b.output.total}}'}]}
  - {id: d, sleep: '{{steps.b.output.total}}'}";
    let problems = checked(text).problems;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!((&*problems[0].pointer, &*problems[0].code), ("/steps/1/sleep", "step_order"));
}

#[test]
fn what_may_not_have_run_is_warned_of() {
    let text = "name: w
steps:
  - id: choose
    branch: [{if: {x: {~eq: 1}}, steps: [{id: b, activity: 'tickets:search-tickets-platform'}]}]
  - {id: c, activity: 'tickets:search-tickets-platform', dependencies: [choose]}
  - {id: d, sleep: '{{steps.b.output.total}}', dependencies: [choose]}
  - {id: e, sleep: '{{steps.c.output.total}}', dependencies: [d]}
  - {id: f, sleep: '{{steps.c.output.total}}'}";
    let validation = checked(text);
    assert_eq!(validation.problems, []);
    let codes: Vec<(&str, &str)> =
        validation.warnings.iter().map(|it| (it.pointer.as_str(), it.code.as_str())).collect();
    assert_eq!(codes, [("/steps/2/sleep", "may_be_absent"), ("/steps/3/sleep", "may_be_absent")]);
}

#[test]
fn thenas_steps_wait_ask_and_start_too() {
    let text = "name: A
triggerEvent: ticket:created
workflowDefinition:
  - {stepIdentifier: 1, activity: {uniqueIdentifier: 'workflows:wait-for-event-platform'}, input: {event: 'ticket:escalated', timeout: 60}, dependencies: []}
  - {stepIdentifier: 2, activity: {uniqueIdentifier: 'workflows:run-workflow-platform'}, input: {workflow: other, input: {a: 1}}, dependencies: [1]}
  - {stepIdentifier: 3, activity: {uniqueIdentifier: 'workflows:sleep-platform'}, input: {duration: 1}, requireApproval: true, approver: {email: ada@example.com}, dependencies: [1]}";
    let workflow = workflow(text);
    assert!(matches!(workflow.steps[0].action, Action::Wait(_)));
    assert!(matches!(workflow.steps[1].action, Action::Run { .. }));
    let approval = workflow.steps[2].approval.as_ref().expect("it asks");
    assert_eq!(approval.approvers.source(), &json!(["ada@example.com"]));
    assert_eq!(workflow.steps[2].after, ["step_1"]);
    let native = to_native(&workflow);
    assert_eq!(restore(&native).as_ref(), Ok(&workflow), "{native:#}");
}

#[test]
fn an_export_says_what_thena_cannot_carry() {
    let (_, problems) = as_far_as_thena(&workflow(ALL), &super::exported::meta(), &catalogue());
    for pointer in ["/steps/1", "/steps/2", "/steps/3", "/steps/4/approval"] {
        assert!(
            problems.iter().any(|problem| problem.pointer == pointer),
            "{pointer}: {problems:#?}"
        );
    }
}
