//! How fast filters match and inputs render.

use divan::{Bencher, black_box};
use ergane::domain::expression::Template;
use ergane::domain::filter::Filter;
use ergane::domain::scope::Scope;
use serde_json::{Value, json};

fn main() {
    divan::main();
}

/// An event of about 1 KB.
fn event() -> Scope {
    let ticket = json!({
        "id": "t-1001", "title": "Unable to log in after the update", "priorityName": "high",
        "statusName": "open", "teamId": "team-7", "requestorEmail": "ann@customer.example",
        "description": "Since this morning nobody of us can log in. ".repeat(8),
        "tags": ["login", "vip", "regression"], "score": 42, "isEscalated": false,
        "assignedAgent": null, "createdAt": "2026-11-23T09:58:00.000Z",
        "customFields": {"plan": "enterprise", "region": "eu"},
    });
    Scope::of_event(json!({
        "id": "e-1", "type": "ticket:updated", "source": "ergane", "subject": "t-1001",
        "time": "2026-11-23T10:00:00.000Z",
        "actor": {"id": "u-1", "type": "AGENT", "email": "bob@team.example"},
        "payload": {"ticket": ticket, "previousTicket": {"statusName": "pending"}},
        "metadata": {}, "cause": null,
    }))
}

fn ten_conditions() -> Value {
    json!({
        "ticket.priorityName": {"~in": ["urgent", "high"]},
        "ticket.statusName": {"~eq": "open", "~changed": true},
        "ticket.requestorEmail": {"~ends": ".example"},
        "ticket.description": {"~contains": "log in"},
        "ticket.tags": {"~contains": "vip"},
        "ticket.score": {"~gte": 40, "~lt": 50},
        "ticket.assignedAgent": {"~isnull": true},
        "trigger.payload.ticket.customFields.region": {"~neq": "us"},
    })
}

#[divan::bench]
fn ten_conditions_on_one_event(bencher: Bencher) {
    let filter = Filter::parse(&ten_conditions(), "").expect("a fine filter");
    let scope = event();
    assert!(filter.matches(&scope));
    bencher.bench(|| black_box(&filter).matches(black_box(&scope)));
}

#[divan::bench]
fn a_thousand_filters_on_one_event(bencher: Bencher) {
    let scope = event();
    let filters: Vec<Filter> = (0..1_000)
        .map(|team| json!({"ticket.teamId": {"~eq": format!("team-{team}")}, "ticket.score": {"~gt": 5}}))
        .map(|raw| Filter::parse(&raw, "").expect("a fine filter"))
        .collect();
    bencher.bench(|| filters.iter().filter(|filter| filter.matches(black_box(&scope))).count());
}

/// As a thousand workflows that listen to one type ask: four conditions each, of which a tenth hold
/// to the last.
#[divan::bench]
fn a_thousand_workflows_on_one_type(bencher: Bencher) {
    let scope = event();
    let filter = |number: usize| {
        json!({
            "ticket.priorityName": {"~in": ["urgent", "high"]},
            "ticket.teamId": {"~eq": format!("team-{}", number % 10)},
            "ticket.requestorEmail": {"~regex": "@customer\\.example$"},
            "ticket.tags": {"~contains": "vip"},
        })
    };
    let filters: Vec<Filter> = (0..1_000)
        .map(|number| Filter::parse(&filter(number), "").expect("a fine filter"))
        .collect();
    bencher.bench(|| filters.iter().filter(|filter| filter.matches(black_box(&scope))).count());
}

#[divan::bench]
fn an_input_of_five_fields(bencher: Bencher) {
    let raw = json!({
        "id": "{{trigger.payload.ticket.id}}",
        "channel": "C-{{trigger.payload.ticket.teamId}}",
        "text": "{{trigger.payload.ticket.title}} ({{trigger.payload.ticket.priorityName}})",
        "tags": "{{trigger.payload.ticket.tags}}",
        "urgent": true,
    });
    let template = Template::parse(&raw, "").expect("a fine template");
    let scope = event();
    bencher.bench(|| black_box(&template).render(black_box(&scope)));
}

#[divan::bench]
fn an_expression_with_a_filter(bencher: Bencher) {
    let raw = json!("{{ trigger.payload.ticket.title | upper | truncate(20) }}");
    let template = Template::parse(&raw, "").expect("a fine template");
    let scope = event();
    bencher.bench(|| black_box(&template).render(black_box(&scope)));
}
