//! Small edits of a definition's YAML text that leave its comments and its order alone.

use serde_json::{Value, json};

use super::document::{Format, TextLimits, parse_text};

/// Gives the definition in a YAML text another name; `None` where that cannot be done in the text
/// without changing more than the name.
#[must_use]
pub fn renamed(text: &str, name: &str) -> Option<String> {
    let at = text.lines().position(|line| line.starts_with("name:"))?;
    let lines = text.lines().enumerate().map(|(place, line)| match place == at {
        true => format!("name: {}\n", json!(name)),
        false => format!("{line}\n"),
    });
    let edited: String = lines.collect();
    let mut expected = read(text)?;
    expected["name"] = json!(name);
    (read(&edited)? == expected).then_some(edited)
}

/// Adds a test case to the definition in a YAML text; `None` where that cannot be done in the text
/// without changing more than that.
#[must_use]
pub fn with_case(text: &str, case: &Value) -> Option<String> {
    let item = serde_norway::to_string(&json!([case])).ok()?;
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.iter().position(|line| line.trim_end() == "tests:");
    let edited = match tests {
        None => format!("{}\ntests:\n{}", text.trim_end(), indented(&item, "  ")),
        Some(start) => {
            let below = &lines[start + 1..];
            let first = below.iter().find(|line| line.trim_start().starts_with('-'))?;
            let indent = &first[..first.len() - first.trim_start().len()];
            let is_next = |line: &&str| {
                let is_key = line.chars().next().is_some_and(|c| !" #-".contains(c));
                !line.is_empty() && is_key
            };
            let end = below.iter().position(is_next).map_or(lines.len(), |it| start + 1 + it);
            let head = lines[..end].join("\n");
            let tail = lines[end..].join("\n");
            format!("{}\n{}{tail}", head.trim_end(), indented(&item, indent))
        }
    };
    let mut expected = read(text)?;
    match expected.get_mut("tests").and_then(Value::as_array_mut) {
        Some(cases) => cases.push(case.clone()),
        None => expected["tests"] = json!([case]),
    }
    (read(&edited)? == expected).then_some(edited)
}

fn indented(text: &str, indent: &str) -> String {
    text.lines().map(|line| format!("{indent}{line}\n")).collect()
}

fn read(text: &str) -> Option<Value> {
    parse_text(text, Format::Yaml, TextLimits::default()).ok().filter(Value::is_object)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Why it is here.\nname: a # its name\ntitle: T\nsteps:\n  # First.\n  - id: x\n    sleep: 1s\n";

    #[test]
    fn a_new_name_leaves_the_rest_alone() {
        let text = renamed(TEXT, "b-2").expect("it has a name");
        assert!(text.starts_with("# Why it is here.\nname: \"b-2\"\ntitle: T\n"), "{text}");
        assert!(text.contains("  # First."));
        assert_eq!(renamed("title: T\n", "b"), None);
        assert_eq!(renamed("text: |\n  a\nname: |\n  long\n", "b"), None);
    }

    #[test]
    fn cases_are_added_where_cases_are() {
        let case = |name: &str| json!({"name": name, "expect": {"matches": true}});
        let first = with_case(TEXT, &case("one")).expect("it can be added");
        let second = with_case(&first, &case("two")).expect("it can be added");
        let between = second.replace("title: T\n", "").replacen(
            "steps:",
            "tests:\n- name: zero # 0\nsteps:",
            1,
        );
        assert!(second.starts_with("# Why it is here.") && second.contains("  # First."));
        let names = |text: &str| -> Vec<String> {
            let read = read(text).expect("YAML");
            let cases = read["tests"].as_array().expect("cases").clone();
            cases.iter().map(|case| case["name"].as_str().expect("a name").to_owned()).collect()
        };
        assert_eq!(names(&second), ["one", "two"]);
        let one = TEXT.replacen("steps:", "tests:\n- name: zero # 0\n\n# The steps.\nsteps:", 1);
        let third = with_case(&one, &case("three")).expect("it can be added");
        assert_eq!(names(&third), ["zero", "three"]);
        assert!(third.contains("# 0") && third.contains("  # First."), "{third}");
        assert_eq!(with_case(&between, &case("x")), None, "keys stand twice");
        assert_eq!(with_case("tests: []\nname: a\n", &case("x")), None);
    }
}
