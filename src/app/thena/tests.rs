//! What becomes of names, fields and filters that Thena's clients send.

use super::*;

fn merged(definition: &Value, given: Value) -> Value {
    let Value::Object(given) = given else { panic!("fields are an object") };
    patch::merged(definition.clone(), given).expect("the fields can be put in place")
}

#[test]
fn any_subset_of_fields_can_be_changed() {
    let saved = json!({"name": "a", "trigger": {"event": "ticket:created", "filter": {"p": 1}},
        "teamId": "T1", "steps": [{"id": "step_1"}]});
    for (given, changed) in [
        (json!({"name": "New name"}), json!({"name": "a", "title": "New name"})),
        (json!({"teamId": "T2"}), json!({"teamId": "T2"})),
        (json!({"teamId": null}), json!({"teamId": null})),
        (
            json!({"filters": {"q": 2}}),
            json!({"trigger": null, "triggerEvent": "ticket:created", "filters": {"q": 2}}),
        ),
        (
            json!({"triggerEvent": "ticket:updated"}),
            json!({"trigger": null, "triggerEvent": "ticket:updated", "filters": {"p": 1}}),
        ),
        (json!({"filters": null}), json!({"triggerEvent": "ticket:created", "filters": null})),
        (
            json!({"workflowDefinition": [1]}),
            json!({"steps": null, "workflowDefinition": [1],
                "trigger": {"event": "ticket:created", "filter": {"p": 1}}}),
        ),
        (json!({"trigger": "manual"}), json!({"trigger": "manual"})),
        (json!({"unheardOf": 1}), json!({"unheardOf": 1})),
    ] {
        let result = merged(&saved, given.clone());
        let changed = changed.as_object().expect("a table of fields");
        for (name, value) in changed {
            assert_eq!(result[name.as_str()], *value, "{given}: {name}");
        }
        let kept = saved.as_object().expect("an object").iter();
        for (name, value) in kept.filter(|(name, _)| !changed.contains_key(*name)) {
            let moved = name == "trigger" && result.get("triggerEvent").is_some();
            assert!(moved || result[name.as_str()] == *value, "{given}: {name}");
        }
    }
}

#[test]
fn a_workflow_without_an_event_keeps_none() {
    let saved = json!({"name": "a", "steps": [{"id": "step_1"}]});
    let result = merged(&saved, json!({"workflowDefinition": []}));
    assert_eq!(result["trigger"], "manual");
}

#[test]
fn a_name_that_is_none_is_refused() {
    for (name, code) in [(json!(" "), "empty"), (json!(5), "wrong_type")] {
        let given = Map::from_iter([("name".to_owned(), name)]);
        let problems = patch::merged(json!({"name": "a"}), given).expect_err("it is refused");
        assert_eq!((problems[0].pointer.as_str(), problems[0].code.as_str()), ("/name", code));
    }
}

#[test]
fn namesakes_get_a_number_that_fits() {
    let long = "x".repeat(64);
    for (slug, number, name) in [
        ("escalate", 1, "escalate".to_owned()),
        ("escalate", 2, "escalate-2".to_owned()),
        (&long, 10, format!("{}-10", "x".repeat(61))),
    ] {
        assert_eq!(numbered(slug, number), name);
    }
}

#[test]
fn a_list_is_filtered_by_team_type_and_sub_types() {
    let native = json!({"name": "a"});
    let agent = json!({"name": "b", "type": "WORKFLOW", "subType": "AI_AGENT", "teamId": "T1"});
    let text = |text: &str| Some(text.to_owned());
    let all = ThenaFilter::default();
    for (filter, holds) in [
        (all.clone(), [true, true]),
        (ThenaFilter { team_id: text("T1"), ..all.clone() }, [false, true]),
        (ThenaFilter { kind: text("MANUAL"), ..all.clone() }, [true, false]),
        (ThenaFilter { sub_types: vec!["AI_AGENT".to_owned()], ..all.clone() }, [false, true]),
        (
            ThenaFilter { sub_types: vec!["AI_AGENT".to_owned(), "WORKFLOW".to_owned()], ..all },
            [true, true],
        ),
    ] {
        assert_eq!([filter.holds(&native), filter.holds(&agent)], holds, "{filter:?}");
    }
}
