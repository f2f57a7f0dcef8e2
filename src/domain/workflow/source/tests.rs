//! Twenty documents as people write them, each changed in every way that a form can.

use serde_json::{Value, json};

use super::*;

/// Each has at least two steps, and `# ` only where a comment is.
const DOCUMENTS: [&str; 20] = [
    "name: a\ntitle: One # said twice\nsteps:\n  - id: x\n    sleep: 1s\n  - id: y\n    sleep: 2s\n",
    "# top\nname: a\n# about the title\ntitle: One\nsteps:\n  # about x\n  - id: x\n    sleep: 1s # short\n  # about y\n  - id: y\n    sleep: 2s\n# end\n",
    "name: a\ntitle: 'It''s one' # quoted\nsteps:\n- id: x # at the margin\n  sleep: 1s\n# about y\n- id: y\n  sleep: 2s\n",
    "name: a\ntitle: \"One: two\"\nsteps:\n    - id: x\n      # inside\n      sleep: 1s\n\n    - id: y\n      sleep: 2s\n      # last\n",
    "---\nname: a # behind the mark\ntitle: One\nsteps:\n  - sleep: 1s\n    id: x # second\n  - sleep: 2s\n    id: y\n",
    "name: a\ntitle: One\nsteps:\n  - { id: x, sleep: 1s } # in brackets\n  - {id: y, sleep: 2s}\n",
    "name: a\ntitle: One\nsteps:\n  - id: x\n    activity: t:one\n    input:\n      # what to say\n      body: |\n        first\n        # no comment\n        last\n  - id: y # two\n    sleep: 2s\n",
    "name: a\ntitle: >-\n  folded\n  title\n# about the steps\nsteps:\n  - id: x\n    sleep: 1s\n  - id: y\n    sleep: 2s # end",
    "title: One\nname: a\nsteps: # the list\n  - id: x\n    sleep: 1s\n  - id: y\n    sleep: 2s\ntimeout: 1h # in all\n",
    "name: a\ntitle: One\ntrigger:\n  event: ticket:created # which\n  filter:\n    ticket.priority: { ~eq: \"a # b\" } # no comment inside\nsteps:\n  - id: x\n    sleep: 1s\n  - id: y\n    sleep: 2s\n",
    "name: a\ntitle: One\nsteps:\n  - id: x\n    if: { a.b: { ~in: [1, 2, # one\n      3] } }\n    sleep: 1s\n  - id: y\n    sleep: 2s\n",
    "name: a\ntitle: One two\n  three # on two lines\nsteps:\n  - id: x\n    sleep: 1s\n  - id: y\n    sleep: 2s\n",
    "name: a\ntitle: One\nsteps:\n  - id: x\n    branch:\n      # the first way\n      - if: { a: { ~eq: 1 } }\n        steps:\n          - id: z\n            sleep: 1s # inside\n      - else: true\n        steps: []\n  - id: y\n    sleep: 2s\n",
    "name: a\ntitle: One\nsteps:\n  - id: x\n    parallel:\n      - - id: p # one\n          sleep: 1s\n      - - id: q # other\n          sleep: 1s\n  - id: y\n    sleep: 2s\n",
    "name: a\ntitle: One\n\n\n# far away\n\nsteps:\n\n  - id: x\n    sleep: 1s\n\n  # about y\n\n  - id: y\n    sleep: 2s\n\n# the end\n\n",
    "name: a\ntitle: One\nsteps:\n  - id: x\n    activity: t:one@2\n    input: { id: \"{{ trigger.payload.id }}\", list: [a, 'b'] }\n    retry: { attempts: 3 } # patient\n    compensate: auto # back\n  - id: y\n    sleep: 2s\n",
    "# only a top\n\"name\": \"a\"\n'title': One\n\"steps\":\n  - \"id\": \"x\"\n    sleep: 1s\n  - id: y\n    sleep: 2s\n",
    "name: a\ntitle: Größe # ünï → 試\nsteps:\n  - id: x\n    # 試\n    title: \"試 # 験\"\n    sleep: 1s\n  - id: y\n    sleep: 2s\n",
    "name: a\ntitle: One\ntags: [a, b] # two\nconcurrency: { key: k, limit: 1 } # one\nsteps:\n  - id: x\n    activity: t:one\n    input:\n      empty:\n      list:\n        - one # first\n        - two\n  - id: y\n    sleep: 2s\n",
    "name: a\r\n# with carriage returns\r\ntitle: One\r\nsteps:\r\n  - id: x\r\n    sleep: 1s\r\n  - id: y\r\n    sleep: 2s\r\n",
];

fn read(text: &str) -> Value {
    parse_text(text, Format::Yaml, TextLimits::default()).expect(text)
}

fn changed(text: &str, change: impl FnOnce(&mut Value)) -> Rewritten {
    let mut after = read(text);
    change(&mut after);
    let rewritten = rewrite(text, Format::Yaml, &after).expect(text);
    assert_eq!(read(&rewritten.text), after, "{text}\n{}", rewritten.text);
    rewritten
}

fn all_survive(what: &str, change: impl Fn(&mut Value)) {
    for text in DOCUMENTS {
        let rewritten = changed(text, &change);
        assert_eq!(rewritten.extent, Extent::Touched, "{what}:\n{text}\n{}", rewritten.text);
        assert!(rewritten.lost.is_empty(), "{what}: {:?}\n{}", rewritten.lost, rewritten.text);
    }
}

fn steps(document: &mut Value) -> &mut Vec<Value> {
    document["steps"].as_array_mut().expect("each has steps")
}

#[test]
fn comments_survive_another_title() {
    for title in ["Two", "Two: three # four", "{{ x }}", "", "yes", "12", "a\nb", "  led"] {
        all_survive(title, |document| document["title"] = json!(title));
    }
}

#[test]
fn comments_survive_changes_inside_steps() {
    all_survive("scalar", |document| steps(document)[1]["sleep"] = json!("3s"));
    all_survive("new key", |document| steps(document)[0]["title"] = json!("Said: now"));
    all_survive("object", |document| {
        steps(document)[0]["retry"] = json!({"attempts": 5, "initial": "1s"});
    });
    all_survive("deep", |document| {
        steps(document)[1]["input"] = json!({"text": "a\nb\n", "list": [{"a": [1, {}]}, []]});
    });
    all_survive("kind", |document| {
        steps(document)[1]["sleep"] = json!({"until": "{{ trigger.payload.dueAt }}"});
    });
}

#[test]
fn comments_survive_new_and_moved_steps() {
    let new = || json!({"id": "new", "activity": "t:new", "input": {"a": "b", "c": {"d": [1]}}});
    all_survive("first", |document| steps(document).insert(0, new()));
    all_survive("between", |document| steps(document).insert(1, new()));
    all_survive("last", |document| steps(document).push(new()));
    all_survive("moved", |document| steps(document).swap(0, 1));
    all_survive("renamed", |document| steps(document)[1]["id"] = json!("other"));
    all_survive("copied", |document| {
        let mut copy = steps(document)[0].clone();
        copy["id"] = json!("copy");
        steps(document).insert(1, copy);
    });
}

#[test]
fn a_removed_step_takes_its_own_comments_along_and_tells_them() {
    for text in DOCUMENTS {
        let rewritten = changed(text, |document| drop(steps(document).remove(0)));
        assert_eq!(rewritten.extent, Extent::Touched, "{text}");
    }
    let told = |text, index| changed(text, |it| drop(steps(it).remove(index))).lost;
    assert_eq!(told(DOCUMENTS[1], 0), ["# about x", "# short"]);
    assert_eq!(told(DOCUMENTS[1], 1), ["# about y"]);
    assert_eq!(told(DOCUMENTS[0], 0), Vec::<String>::new());
}

#[test]
fn what_is_not_touched_stays_byte_for_byte() {
    let text = DOCUMENTS[1];
    let rewritten = changed(text, |document| steps(document)[0]["sleep"] = json!("5m"));
    assert_eq!(rewritten.text, text.replace("sleep: 1s", "sleep: 5m"));
    let moved = changed(text, |document| steps(document).swap(0, 1));
    let expected = "# top\nname: a\n# about the title\ntitle: One\nsteps:\n  # about y\n  - id: y\n    sleep: 2s\n  # about x\n  - id: x\n    sleep: 1s # short\n# end\n";
    assert_eq!(moved.text, expected);
    let same = changed(text, |_| {});
    assert_eq!(same.text, text);
}

#[test]
fn what_stands_inside_others_is_changed_in_its_place() {
    let inner = changed(DOCUMENTS[12], |document| {
        steps(document)[0]["branch"][0]["steps"][0]["sleep"] = json!("9s");
    });
    assert_eq!(inner.text, DOCUMENTS[12].replacen("sleep: 1s", "sleep: 9s", 1));
    let undo = changed(DOCUMENTS[15], |document| {
        steps(document)[0]["compensate"] = json!({"activity": "t:two", "input": {"id": "{{ x }}"}});
    });
    assert!(
        undo.lost.is_empty() && undo.text.contains("    # back\n    compensate:\n"),
        "{}",
        undo.text
    );
}

#[test]
fn where_the_parts_cannot_be_told_apart_the_loss_is_told() {
    let text =
        "# top\nname: a\ntitle: &t One\nsteps:\n  - id: x\n    title: *t # same\n    sleep: 1s\n";
    let rewritten = changed(text, |document| document["title"] = json!("Two"));
    assert_eq!(rewritten.extent, Extent::Whole);
    assert_eq!(rewritten.lost, ["# top", "# same"]);
    assert!(rewrite("a: [", Format::Yaml, &json!({})).is_err());
}

#[test]
fn json_is_spelled_as_json() {
    let after = json!({"name": "b"});
    let rewritten = rewrite("{\"name\": \"a\"}", Format::Json, &after).expect("valid");
    assert_eq!(rewritten.text, "{\n  \"name\": \"b\"\n}\n");
}

#[test]
fn the_line_of_a_place_is_found() {
    for (pointer, line) in [
        ("", 1),
        ("/title", 4),
        ("/steps", 5),
        ("/steps/0", 7),
        ("/steps/0/sleep", 8),
        ("/steps/1/input/nothing", 10),
    ] {
        assert_eq!(line_of(DOCUMENTS[1], pointer), Some(line), "{pointer}");
    }
    assert_eq!(line_of("a: [", "/a"), None);
    assert_eq!(line_of(&"[".repeat(100_000), ""), None);
}
