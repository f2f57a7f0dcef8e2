//! Promises over the life of a ticket, on a clock that is moved by hand.

use super::*;

const START: &str = "2026-11-23T10:00:00Z";

/// A ticket on its way, and what its clocks told.
struct Story {
    policy: Policy,
    ticket: Map<String, Value>,
    told: Vec<(String, String, String)>,
}

fn at(minute: u64) -> Timestamp {
    let start: Timestamp = START.parse().expect("a time");
    start + Duration::from_secs(60 * minute)
}

fn policy(more: Value) -> Policy {
    let mut record = json!({"id": "Y1", "name": "Gold"});
    for (name, value) in more.as_object().expect("an object") {
        record[name] = value.clone();
    }
    Policy::read(record.as_object().expect("an object")).expect("a policy")
}

impl Story {
    fn begin(more: Value) -> Story {
        let ticket = json!({"id": "T1", "statusName": "Open", "parentStatusName": "Open"});
        let ticket = ticket.as_object().cloned().expect("an object");
        let mut story = Story { policy: policy(more), ticket: Map::new(), told: Vec::new() };
        story.step(None, ticket, 0);
        story
    }

    /// Moves the clock, with `change` happening then.
    fn at(mut self, minute: u64, change: Value) -> Story {
        let before = self.ticket.clone();
        let mut after = before.clone();
        for (name, value) in change.as_object().into_iter().flatten() {
            after.insert(name.clone(), value.clone());
        }
        self.step(Some(before), after, minute);
        self
    }

    fn step(&mut self, before: Option<Map<String, Value>>, after: Map<String, Value>, minute: u64) {
        let happening = Happening { before: before.as_ref(), ticket: &after, now: at(minute) };
        let (state, signals) = advance(Some(&self.policy), &happening);
        self.ticket = after;
        self.ticket.insert("sla".to_owned(), json!(state));
        self.told.extend(signals.into_iter().map(|signal| {
            let text = |name: &str| signal.told[name].as_str().unwrap_or_default().to_owned();
            (signal.kind.replace("ticket:sla:", ""), text("metric"), text("dueAt"))
        }));
    }

    fn says(&self, expected: &[&str]) {
        let told: Vec<String> =
            self.told.iter().map(|(kind, metric, _)| format!("{kind} {metric}")).collect();
        assert_eq!(told, expected, "{:#}", self.ticket["sla"]);
    }

    fn clock(&self, metric: Metric) -> Clock {
        let state = state_of(Some(&self.ticket)).expect("a state");
        state.metrics.into_iter().find(|clock| clock.metric == metric).expect("a clock")
    }
}

fn reply(minute: u64) -> Value {
    json!({ "lastVendorReply": at(minute) })
}

fn question(minute: u64) -> Value {
    json!({ "lastCustomerComment": at(minute) })
}

fn status(name: &str) -> Value {
    json!({ "statusName": name, "parentStatusName": name })
}

#[test]
fn a_warning_and_then_a_breach_are_told_once_each() {
    let story = Story::begin(json!({"targets": {"firstResponse": "1h"}, "warnBefore": "10m"}));
    assert_eq!(state_of(Some(&story.ticket)).expect("a state").alarm_at, Some(at(50)));
    let story = story.at(49, json!({}));
    story.says(&[]);
    let story = story.at(50, json!({})).at(55, json!({}));
    story.says(&["breach_warning first_response"]);
    let story = story.at(60, json!({})).at(61, json!({})).at(70, reply(70));
    story.says(&["breach_warning first_response", "breached first_response"]);
    let clock = story.clock(Metric::FirstResponse);
    assert_eq!((clock.status, clock.met_at), (Status::Breached, Some(at(70))));
    assert_eq!(clock.breached_at, Some(at(60)));
}

#[test]
fn whoever_asks_late_hears_of_everything_that_was_due() {
    let story = Story::begin(json!({"targets": {"resolution": "1h"}, "warnBefore": "10m"}));
    let story = story.at(600, status("Closed"));
    story.says(&["breach_warning resolution", "breached resolution"]);
    assert_eq!(story.clock(Metric::Resolution).breached_at, Some(at(60)));
}

#[test]
fn an_answer_in_time_keeps_the_promise() {
    let story = Story::begin(json!({"targets": {"firstResponse": "1h"}}));
    let story = story.at(30, reply(30)).at(120, json!({}));
    story.says(&[]);
    assert_eq!(story.clock(Metric::FirstResponse).status, Status::Met);
    assert_eq!(state_of(Some(&story.ticket)).expect("a state").alarm_at, None);
}

#[test]
fn only_the_first_open_question_starts_the_next_response() {
    let promise = json!({"targets": {"firstResponse": "2h", "nextResponse": "1h"}});
    let story = Story::begin(promise).at(10, question(10));
    assert_eq!(state_of(Some(&story.ticket)).expect("a state").metrics.len(), 1);
    let story = story.at(20, reply(20)).at(30, question(30)).at(50, question(50));
    assert_eq!(story.clock(Metric::NextResponse).due_at, Some(at(90)));
    let story = story.at(60, reply(60)).at(70, reply(70)).at(200, question(200)).at(260, json!({}));
    story.says(&["breached next_response"]);
    assert_eq!(story.clock(Metric::NextResponse).started_at, at(200));
}

#[test]
fn updates_come_in_fixed_intervals_that_early_words_do_not_move() {
    let story = Story::begin(json!({"targets": {"update": "1h"}, "warnBefore": "15m"}));
    let story = story.at(10, reply(10));
    assert_eq!(story.clock(Metric::Update).due_at, Some(at(60)));
    let story = story.at(60, json!({}));
    assert_eq!(story.clock(Metric::Update).due_at, Some(at(120)));
    let story = story.at(105, json!({})).at(120, json!({})).at(500, json!({}));
    story.says(&["breach_warning update", "breached update"]);
    let story = story.at(510, reply(510));
    assert_eq!(story.clock(Metric::Update).due_at, Some(at(570)));
}

#[test]
fn a_pause_stops_the_clock_and_its_end_gives_back_what_was_left() {
    let promise = json!({"targets": {"resolution": "2h"}, "pauseStatuses": ["On hold"]});
    let story = Story::begin(promise).at(30, status("On hold"));
    let clock = story.clock(Metric::Resolution);
    assert_eq!((clock.status, clock.due_at), (Status::Paused, None));
    let story = story.at(600, status("Open"));
    assert_eq!(story.clock(Metric::Resolution).due_at, Some(at(690)));
    story.at(690, json!({})).says(&["breached resolution"]);
}

#[test]
fn a_ticket_that_opens_again_owes_its_solution_again() {
    let story = Story::begin(json!({"targets": {"resolution": "2h", "firstResponse": "3h"}}));
    let story = story.at(60, status("Closed"));
    assert_eq!(story.clock(Metric::Resolution).status, Status::Met);
    assert_eq!(story.clock(Metric::FirstResponse).status, Status::Stopped);
    let story = story.at(1_000, status("Open"));
    assert_eq!(story.clock(Metric::Resolution).due_at, Some(at(1_060)));
    assert_eq!(story.clock(Metric::FirstResponse).due_at, Some(at(1_120)));
}

#[test]
fn another_policy_takes_over_what_was_counted() {
    let mut story = Story::begin(json!({"targets": {"resolution": "8h"}}));
    story.policy = policy(json!({"targets": {"resolution": "1h", "firstResponse": "1h"}}));
    let story = story.at(30, json!({"priorityName": "urgent"}));
    assert_eq!(story.clock(Metric::Resolution).due_at, Some(at(60)));
    assert_eq!(story.clock(Metric::FirstResponse).due_at, Some(at(90)), "new, so from now");
    let happening = Happening { before: Some(&story.ticket), ticket: &story.ticket, now: at(31) };
    assert_eq!(advance(None, &happening), (None, Vec::new()));
}

#[test]
fn five_working_hours_from_monday_ten_are_over_at_three() {
    let day = json!([{"start": "09:00", "end": "17:00"}]);
    let hours = json!({"timezone": "UTC", "days": {"monday": day, "tuesday": day}});
    for (target, due) in [("5h", "2026-11-23T15:00:00Z"), ("10h", "2026-11-24T12:00:00Z")] {
        let promise = json!({"targets": {"resolution": target}, "businessHours": hours});
        let due: Timestamp = due.parse().expect("a time");
        assert_eq!(Story::begin(promise).clock(Metric::Resolution).due_at, Some(due), "{target}");
    }
}

#[test]
fn a_policy_applies_by_its_filter_and_says_what_is_wrong_with_it() {
    let gold = policy(
        json!({"targets": {"update": 60}, "filter": {"ticket.priorityName": {"~eq": "urgent"}}}),
    );
    let bare =
        policy(json!({"targets": {"update": 60}, "filter": {"priorityName": {"~eq": "urgent"}}}));
    for (priority, applies) in [("urgent", true), ("low", false)] {
        let ticket = Map::from_iter([("priorityName".to_owned(), json!(priority))]);
        assert_eq!((gold.applies(&ticket), bare.applies(&ticket)), (applies, applies));
    }
    let wrong = json!({"targets": {"firstRepsonse": "1h", "update": "soon"}, "warnBefore": 0,
        "filter": {"a": {"~is": 1}}, "businessHours": {"timezone": "UTC"}});
    let problems = Policy::read(wrong.as_object().expect("an object")).expect_err("faults");
    let pointers: Vec<&str> = problems.iter().map(|problem| &*problem.pointer).collect();
    assert_eq!(
        pointers,
        [
            "/filter/a/~0is",
            "/targets/firstRepsonse",
            "/targets/update",
            "/warnBefore",
            "/businessHours/days"
        ]
    );
}
