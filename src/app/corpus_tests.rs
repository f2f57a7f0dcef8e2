//! Definitions as files: the right ones pass, the wrong ones are refused at their place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::activities::Activities;
use crate::activities::settings::EgressSettings;
use crate::domain::event_type::{built_in, canonical};
use crate::domain::problem::Problem;
use crate::domain::rehearsal::rehearse;
use crate::domain::workflow::codes::CODES;
use crate::domain::workflow::document::{Format, TextLimits, parse_text};
use crate::domain::workflow::parse::{DefinitionLimits, Known, KnownEvent, Validation, validate};

/// Mistakes that nothing finds yet, by file and number.
const NOT_FOUND: &[&str] = &[];
/// What cannot be seen in one definition alone, and is told by the tests of it.
const OF_SEVERAL: [&str; 3] = ["unknown_workflow", "run_cycle", "loop"];

/// One document of a file.
struct Sample {
    name: String,
    text: String,
    expected: Vec<(String, String)>,
}

fn samples(folder: &str) -> Vec<Sample> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/definitions").join(folder);
    let files = std::fs::read_dir(&root).expect("the folder is there");
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("it is readable").path()).collect();
    files.sort();
    let mut samples = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("it is readable");
        let stem = file.file_name().expect("it is a file").to_string_lossy().into_owned();
        let is_json = stem.ends_with(".json");
        let documents: Vec<&str> =
            if is_json { vec![&text] } else { text.split("\n---\n").collect() };
        for (index, document) in documents.into_iter().enumerate() {
            let expected = document.lines().filter_map(|line| line.strip_prefix("# expect: "));
            let pair = |line: &str| {
                let (pointer, code) = line.trim().rsplit_once(' ').unwrap_or(("", line.trim()));
                let pointer = pointer.trim().trim_matches('"');
                (pointer.to_owned(), code.to_owned())
            };
            samples.push(Sample {
                name: format!("{stem}#{}", index + 1),
                expected: expected.map(pair).collect(),
                text: document.to_owned(),
            });
        }
    }
    samples
}

/// An event type that somebody registered, with a schema that says what is needed.
fn registered(name: &str) -> Option<KnownEvent> {
    let schema = match name {
        "order:paid" => json!({
            "type": "object", "required": ["order", "total"], "additionalProperties": false,
            "properties": {
                "order": { "type": "object", "required": ["id", "lines"],
                    "additionalProperties": false, "properties": {
                        "id": { "type": "string" },
                        "note": { "type": "string" },
                        "channel": { "enum": ["web", "shop", "phone"] },
                        "express": { "type": "boolean" },
                        "customer": { "type": ["object", "null"], "properties": {
                            "email": { "type": "string" }, "vip": { "type": "boolean" } } },
                        "lines": { "type": "array", "items": { "type": "object",
                            "additionalProperties": false, "required": ["sku", "quantity"],
                            "properties": { "sku": { "type": "string" },
                                "quantity": { "type": "integer" },
                                "tags": { "type": "array", "items": { "type": "string" } } } } },
                    } },
                "total": { "type": "number" },
                "coupon": { "type": "string" },
            },
        }),
        "build:failed" => json!({
            "type": "object", "required": ["repository", "branch"], "properties": {
                "repository": { "type": "string" }, "branch": { "type": "string" },
                "log": { "type": ["string", "null"] }, "attempt": { "type": "integer" } },
        }),
        // Other systems may send what nobody registered; the platform's own families are known.
        foreign if !is_own(foreign) && foreign.contains(':') => json!(true),
        _ => return None,
    };
    Some(KnownEvent { kind: name.to_owned(), schema })
}

fn is_own(name: &str) -> bool {
    let family = name.split(':').next();
    built_in().iter().any(|known| known.kind.split(':').next() == family)
}

fn checked(document: &Value, activities: &Activities) -> Validation {
    let own = ["order:paid", "build:failed", "sensor:reading"];
    let names: Vec<&str> = built_in().iter().map(|known| known.kind).chain(own).collect();
    let find = |name: &str| KnownEvent::built_in(name).or_else(|| registered(&canonical(name)));
    let known = Known {
        catalogue: activities.catalogue(),
        event_type: &find,
        event_names: &names,
        limits: DefinitionLimits::default(),
    };
    validate(document, &known)
}

/// Everything that is told of a text, problems first.
fn told(text: &str, activities: &Activities) -> (Vec<Problem>, Vec<Problem>) {
    match parse_text(text, Format::Yaml, TextLimits::default()) {
        Ok(document) => {
            let validation = checked(&document, activities);
            (validation.problems, validation.warnings)
        }
        Err(problem) => (vec![problem], Vec::new()),
    }
}

#[test]
fn no_right_definition_is_refused() {
    let activities = Activities::built_in(&EgressSettings::default());
    let samples = samples("right");
    let mut faults = Vec::new();
    for sample in &samples {
        let (problems, warnings) = told(&sample.text, &activities);
        // A warning that is meant is named beside the definition.
        let unexpected = warnings.iter().filter(|found| {
            !sample.expected.iter().any(|(at, code)| (at, code) == (&found.pointer, &found.code))
        });
        for problem in problems.iter().chain(unexpected) {
            faults.push(format!("{}: {problem:?}", sample.name));
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), samples.len(), faults.join("\n"));
    assert!(samples.len() >= 200, "only {} definitions", samples.len());
}

#[test]
fn wrong_definitions_are_refused_at_their_place_with_a_hint() {
    let activities = Activities::built_in(&EgressSettings::default());
    let samples = samples("wrong");
    let mut faults = Vec::new();
    let mut missed = BTreeSet::new();
    for sample in &samples {
        assert!(!sample.expected.is_empty(), "{} expects nothing", sample.name);
        let (problems, warnings) = told(&sample.text, &activities);
        let all: Vec<&Problem> = problems.iter().chain(&warnings).collect();
        for (pointer, code) in &sample.expected {
            let found = all.iter().find(|it| it.pointer == *pointer && it.code == *code);
            if found.is_none_or(|found| found.hint.is_none()) {
                missed.insert(sample.name.as_str());
                faults.push(format!("{}: expected {pointer} {code}, told {all:#?}", sample.name));
            }
        }
    }
    let known: BTreeSet<&str> = NOT_FOUND.iter().copied().collect();
    assert!(missed == known, "{} of {}:\n{}", missed.len(), samples.len(), faults.join("\n"));
    assert!(samples.len() >= 200, "only {} definitions", samples.len());
    assert!(missed.len() * 100 <= samples.len(), "more than one in a hundred is missed");
}

/// Faults that need more text than a file should have.
fn grown() -> Vec<(&'static str, String)> {
    let steps = |input: &str| {
        format!(
            "name: w\nsteps:\n- id: a\n  activity: workflows:transform-platform\n  input: {input}"
        )
    };
    let many = |count: usize, item: &str| vec![item; count].join(", ");
    let sleeps: Vec<String> = (0..101).map(|n| format!("{{id: s{n}, sleep: 1s}}")).collect();
    let keys: Vec<String> = (0..300).map(|n| format!("k{n}: 1")).collect();
    let conditions = many(1_001, "{ticket.title: {~eq: a}}");
    let deep = format!("{}{}", "[".repeat(80), "]".repeat(80));
    let triggers = many(40, "'ticket:created'");
    let resets = many(40, "'ticket:updated'");
    let annotation = "{entityType: Ticket, requiredFields: {id: x}, \
                      pathToAnnotate: context.event.message.payload.t}";
    let relations = many(30, "account");
    let with = |head: &str| format!("{{name: w, {head}, steps: [{{id: a, sleep: 1s}}]}}");
    vec![
        ("too_large", format!("# {}\nname: w", "x".repeat(300_000))),
        ("too_deep", steps(&format!("{{x: {deep}}}"))),
        ("too_many_problems", with(&keys.join(", "))),
        ("too_many_steps", format!("{{name: w, steps: [{}]}}", sleeps.join(", "))),
        ("too_many_expressions", steps(&format!("{{x: [{}]}}", many(501, "'{{ vars.a }}'")))),
        ("expression_too_long", steps(&format!("{{x: '{{{{ vars.{} }}}}'}}", "a".repeat(9_000)))),
        (
            "too_many_conditions",
            with(&format!(
                "trigger: {{event: 'ticket:created', filter: {{~and: [{conditions}]}}}}"
            )),
        ),
        (
            "too_many",
            format!(
                "{{name: w, steps: [{{id: a, activity: workflows:http-request-platform, \
                 input: {{url: x}}, retry: {{on: [{}]}}}}]}}",
                many(200, "timeout")
            ),
        ),
        ("invalid_tag", with("tags: ['']")),
        ("too_many_triggers", with(&format!("triggers: [{triggers}]"))),
        (
            "too_many_resets",
            with(&format!(
                "trigger: {{record: ticket, for: 1h, filter: {{status: {{~eq: x}}}}, \
                 resetBy: [{resets}]}}"
            )),
        ),
        (
            "too_many_annotations",
            with(&format!("on: 'ticket:created', annotations: [{}]", many(21, annotation))),
        ),
        (
            "too_many_relations",
            with(&format!(
                "on: 'ticket:created', annotations: [{{entityType: Ticket, \
                 requiredFields: {{id: x}}, relations: [{relations}], \
                 pathToAnnotate: context.event.message.payload.t}}]"
            )),
        ),
    ]
}

#[test]
fn every_kind_of_fault_is_met_in_the_corpus() {
    let activities = Activities::built_in(&EgressSettings::default());
    let mut met: BTreeSet<String> = OF_SEVERAL.iter().map(|code| (*code).to_owned()).collect();
    for sample in samples("wrong") {
        met.extend(sample.expected.into_iter().map(|(_, code)| code));
    }
    for (code, text) in grown() {
        let (problems, _) = told(&text, &activities);
        assert!(
            problems.iter().any(|it| it.code == code && it.hint.is_some()),
            "{code}: {problems:?}"
        );
        met.insert(code.to_owned());
    }
    let unmet: Vec<&str> =
        CODES.iter().map(|row| row.code).filter(|it| !met.contains(*it)).collect();
    assert_eq!(unmet, Vec::<&str>::new());
    let unlisted: Vec<&String> =
        met.iter().filter(|code| !CODES.iter().any(|row| row.code == **code)).collect();
    assert!(unlisted.is_empty(), "{unlisted:?}");
}

/// Prints what a check costs; `cargo test --release -- --ignored --nocapture` measures it well.
#[test]
#[ignore = "it measures"]
fn a_definition_of_twenty_steps_is_checked_in_little_time() {
    let activities = Activities::built_in(&EgressSettings::default());
    let step = |n: usize| {
        let before = n.saturating_sub(1);
        let input = match n % 4 {
            0 => json!({ "id": "{{ trigger.payload.ticket.id }}", "priorityName": "urgent" }),
            1 => json!({ "ticketId": format!("{{{{ steps.s{before}.output.id }}}}"),
                "content": "{{ trigger.payload.ticket.title | upper }} rose" }),
            2 => json!({ "method": "POST", "url": "https://example.com",
                "body": { "by": "{{ trigger.actor.email }}", "n": "{{ run.id }}" } }),
            _ => json!({ "output": format!("{{{{ steps.s{before}.output.body }}}}") }),
        };
        let activity = [
            "tickets:update-ticket-platform",
            "communications:create-comment-platform",
            "workflows:http-request-platform",
            "workflows:transform-platform",
        ][n % 4];
        json!({ "id": format!("s{n}"), "activity": activity, "input": input,
            "if": { "trigger.payload.ticket.title": { "~contains": "x" } } })
    };
    let steps: Vec<Value> = (0..20).map(step).collect();
    let document = json!({ "name": "w", "trigger": { "event": "ticket:updated" }, "steps": steps });
    let rounds = 50;
    let begun = std::time::Instant::now();
    for _ in 0..rounds {
        assert!(checked(&document, &activities).problems.is_empty());
    }
    println!("checked in {:?}", begun.elapsed() / rounds);
    let workflow = checked(&document, &activities).workflow.expect("it is right");
    let begun = std::time::Instant::now();
    for _ in 0..rounds {
        assert_eq!(rehearse(&workflow, activities.catalogue()).len(), 20);
    }
    println!("rehearsed in {:?}", begun.elapsed() / rounds);
}
