//! Every kind of fault that a check of a definition tells, from which hints and docs are made.

use crate::domain::problem::Problem;

/// What a fault means for the definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It cannot be saved.
    Error,
    /// It can be saved, and is probably not meant so.
    Warning,
    /// An error where it surely fails, else a warning.
    Either,
}

impl Severity {
    /// Returns the name that users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Either => "error or warning",
        }
    }
}

/// One kind of fault.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    /// Its name in snake case; stable.
    pub code: &'static str,
    /// What it means for the definition.
    pub severity: Severity,
    /// What it is, for a person.
    pub meaning: &'static str,
    /// What to do about it where nothing more fitting is known.
    pub hint: &'static str,
}

const fn row(
    code: &'static str,
    severity: Severity,
    meaning: &'static str,
    hint: &'static str,
) -> Code {
    Code { code, severity, meaning, hint }
}

use Severity::{Either, Error, Warning};

/// Every kind of fault: of the text, the document, its trigger, its steps, what they refer to, and
/// what they do together.
pub const CODES: &[Code] = &[
    row(
        "syntax",
        Error,
        "The text is no JSON or YAML.",
        "quote text that holds `{{`, `: ` or ` #`, or begins with `*`, `&`, `@`, `%` or a \
         backtick; indent with spaces",
    ),
    row(
        "duplicate_key",
        Error,
        "A key stands twice in one object.",
        "keep one of the two, or put them into one",
    ),
    row(
        "too_large",
        Error,
        "The text is larger than a definition may be.",
        "start a second workflow with a `run` step, or keep long texts elsewhere",
    ),
    row(
        "too_deep",
        Error,
        "Something lies too deep inside other things.",
        "flatten it, or move the inner part into a workflow of its own",
    ),
    row(
        "too_many_problems",
        Error,
        "There are more faults than are told.",
        "correct those that are told and check again",
    ),
    row(
        "wrong_type",
        Error,
        "The value is of another type than is needed here.",
        "give a value of the type that is asked for; YAML reads 1.10, true and null as values, \
         and \"1.10\" as text",
    ),
    row("missing", Error, "Something that is needed is not there.", "add it"),
    row("unknown_key", Error, "The key means nothing here.", "remove it, or correct its name"),
    row("ambiguous", Error, "Two keys say the same thing differently.", "keep one of them"),
    row("contradiction", Error, "Two things exclude each other.", "remove one of them"),
    row("clash", Error, "Two things that both decide the same stand together.", "keep one of them"),
    row(
        "misplaced",
        Error,
        "The key belongs to another place.",
        "move it to the trigger that it is for",
    ),
    row("not_supported", Error, "This does not exist here.", "remove it"),
    row(
        "not_allowed",
        Error,
        "The value is none of those that are allowed.",
        "choose one of those that the documentation lists",
    ),
    row(
        "out_of_range",
        Error,
        "The number or duration is too small or too large.",
        "choose a value within the bounds that are told",
    ),
    row(
        "invalid_duration",
        Error,
        "It is no duration.",
        "write such as 500ms, 90s, 15m, 4h or 2d, or a number of seconds",
    ),
    row(
        "invalid_time",
        Error,
        "It is no time.",
        "write such as 2026-11-23T10:00:00Z, or 09:30 for a time of day",
    ),
    row("invalid_name", Error, "It is no name.", "use lower case letters, digits and hyphens"),
    row(
        "invalid_id",
        Error,
        "It is no id of a step.",
        "use letters, digits and `_`, beginning with a letter",
    ),
    row(
        "duplicate_id",
        Error,
        "Two steps have the same id.",
        "give each step an id of its own, also inside of branches and loops",
    ),
    row(
        "too_many_steps",
        Error,
        "There are too many steps.",
        "put a part of them into another workflow and start it with `run`",
    ),
    row(
        "too_many_tests",
        Error,
        "There are too many test cases.",
        "keep those that show something that no other does",
    ),
    row(
        "duplicate_name",
        Error,
        "Two test cases have the same name.",
        "give each a name of its own",
    ),
    row(
        "too_many_triggers",
        Error,
        "There are too many triggers.",
        "split the workflow, and let both parts `run` a third one",
    ),
    row(
        "too_many_resets",
        Error,
        "There are too many events that reset the trigger.",
        "name fewer events",
    ),
    row(
        "too_many_annotations",
        Error,
        "There are too many annotations.",
        "join fewer records, or read them in steps",
    ),
    row(
        "too_many_relations",
        Error,
        "There are too many relations.",
        "join fewer records, or read them in steps",
    ),
    row(
        "too_many_conditions",
        Error,
        "There are too many conditions in a filter.",
        "use ~in with a list in place of many ~eq",
    ),
    row(
        "too_many_expressions",
        Error,
        "There are too many expressions in one place.",
        "shape the data in a step with workflows:transform-platform first",
    ),
    row("expression_too_long", Error, "An expression is too long.", "split it over several steps"),
    row(
        "unknown_event_type",
        Error,
        "There is no event type of this name.",
        "declare it first, or choose one from the list of event types",
    ),
    row(
        "invalid_cron",
        Error,
        "It is no cron expression.",
        "five fields: minute, hour, day, month, weekday, such as 0 7 * * 1",
    ),
    row(
        "unknown_timezone",
        Error,
        "There is no time zone of this name.",
        "use a name of the IANA list, such as Europe/Berlin",
    ),
    row("assumed_utc", Warning, "A time of day has no zone and is read as UTC.", "add `timezone`"),
    row(
        "unknown_failure",
        Error,
        "It is no failure after which a step could be tried again.",
        "write timeout, http:503, http:5xx, or the code of a failure",
    ),
    row(
        "unknown_format",
        Error,
        "The document is of a format that this build does not read.",
        "leave the format out, or write the one that the documentation names",
    ),
    row("too_many", Error, "There are too many of them.", "name fewer"),
    row("invalid_tag", Error, "It is no tag.", "a tag is a short text"),
    row(
        "very_often",
        Warning,
        "A schedule starts its workflow more than once a minute.",
        "let events start it, or let it start less often",
    ),
    row(
        "not_every_month",
        Warning,
        "A schedule names a day that some months lack.",
        "use a day up to 28, or `last`",
    ),
    row(
        "long_jitter",
        Warning,
        "The jitter is longer than the time between two starts.",
        "shorten `jitter`",
    ),
    row(
        "unknown_entity",
        Error,
        "There is no kind of record of this name.",
        "use Ticket, Account, CustomerContact, Team, User, Comment or Tag",
    ),
    row(
        "unknown_field",
        Error,
        "No record is found by this field.",
        "use a field by which the record is found, such as id",
    ),
    row(
        "unknown_relation",
        Error,
        "The record is not related in this way.",
        "choose a relation that the record has",
    ),
    row(
        "invalid_path",
        Error,
        "It is no path.",
        "write such as ticket.priorityName, and quote odd names: [\"odd name\"]",
    ),
    row("invalid_filter", Error, "It is no filter.", "write {path: {operator: value}}"),
    row(
        "missing_operator",
        Error,
        "A path has a value but no operator.",
        "write {path: {~eq: value}}",
    ),
    row(
        "missing_path",
        Error,
        "An operator stands where a path is needed.",
        "write {path: {operator: value}}",
    ),
    row(
        "unknown_operator",
        Error,
        "There is no operator of this name.",
        "choose one from the list of operators; all begin with ~",
    ),
    row(
        "invalid_value",
        Error,
        "The operator cannot compare with this value.",
        "give a value of the type that the operator takes",
    ),
    row(
        "invalid_pattern",
        Error,
        "It is no regular expression that can be used.",
        "write a pattern without look-around and back-references; ~contains finds plain text",
    ),
    row(
        "invalid_expression",
        Error,
        "The expression cannot be read.",
        "write {{ path }}, {{ path | filter }} or an operation on both",
    ),
    row(
        "statement_not_allowed",
        Error,
        "Statements and comments are not part of the language.",
        "use {{ a if condition else b }}, or a `branch` step",
    ),
    row(
        "unknown_root",
        Error,
        "The path begins with something that is not known here.",
        "begin with trigger, steps, run, workflow, tenant or vars",
    ),
    row(
        "unknown_path",
        Either,
        "The path leads to nothing: an error where it surely fails.",
        "choose a path that exists, or allow its absence with `| default(…)`",
    ),
    row("unknown_step", Error, "There is no step of this id.", "use the id of an earlier step"),
    row(
        "step_order",
        Error,
        "The step does not run before the one that refers to it.",
        "only earlier steps can be referred to",
    ),
    row(
        "may_be_absent",
        Warning,
        "What is read may not be there when the step runs.",
        "allow its absence with `| default(…)`, or make it sure with an `if`",
    ),
    row(
        "missing_braces",
        Warning,
        "The text looks like a path, and is only a text.",
        "write {{ path }} to insert the value",
    ),
    row(
        "operator_mismatch",
        Error,
        "The operator never fits the type of what it looks at.",
        "compare a field inside of it, or use another operator",
    ),
    row(
        "unknown_value",
        Warning,
        "The value is none that the field can have.",
        "choose one of the values that the schema lists",
    ),
    row("never_true", Warning, "The condition can never hold.", "remove it, or what depends on it"),
    row("unreachable", Warning, "It is never done.", "remove it, or change what stands before it"),
    row("invalid_secret", Error, "It names no secret.", "write {{ secrets.name }}"),
    row(
        "secret_in_expression",
        Error,
        "A secret stands inside of an expression.",
        "write {{ secrets.name }} alone; other text may stand around the braces",
    ),
    row(
        "secret_not_allowed",
        Error,
        "A secret stands in a field that would show it.",
        "use secrets in fields that the activity marks for them, such as headers of a request",
    ),
    row(
        "unknown_activity",
        Error,
        "There is no activity of this name.",
        "choose one from the list of activities",
    ),
    row(
        "unknown_version",
        Error,
        "The activity has no such version.",
        "leave the version out to follow the newest",
    ),
    row(
        "invalid_input",
        Either,
        "The input surely breaks the schema of the activity.",
        "give what the activity's input schema asks for",
    ),
    row(
        "not_a_list",
        Error,
        "A loop goes through something that is no list.",
        "name a list, such as {{ steps.find.output.items }}",
    ),
    row(
        "no_compensation",
        Warning,
        "A step has an effect that nothing undoes.",
        "add `compensate` with an activity that undoes it, or `compensate: none`",
    ),
    row(
        "not_undoable",
        Error,
        "The step cannot be undone like this.",
        "name the activity that undoes it, or write `none`",
    ),
    row(
        "needless_undo",
        Warning,
        "A step without an effect says how it is undone.",
        "remove `compensate`",
    ),
    row(
        "needless_retry",
        Warning,
        "A step that always comes to the same result is repeated.",
        "remove `retry`",
    ),
    row(
        "no_approver",
        Warning,
        "An approval names nobody.",
        "name who decides, such as role:lead or ada@example.com",
    ),
    row(
        "timeout_exceeds",
        Warning,
        "Something takes longer than the workflow's timeout allows.",
        "raise the workflow's `timeout`, or shorten this",
    ),
    row(
        "constant_key",
        Warning,
        "A key is the same text for every event.",
        "write {{ path }} to count by the value",
    ),
    row(
        "unknown_workflow",
        Warning,
        "The workflow that a step starts does not exist yet.",
        "save it before this one runs",
    ),
    row(
        "run_cycle",
        Warning,
        "Workflows start each other in a circle.",
        "let an `if` end it, or remove one of the `run` steps",
    ),
    row(
        "loop",
        Warning,
        "Workflows may start each other by their events without end.",
        "let a filter exclude what the steps make of the record",
    ),
];

/// Returns the kind of fault called `code`.
#[must_use]
pub fn find(code: &str) -> Option<&'static Code> {
    CODES.iter().find(|row| row.code == code)
}

/// Gives a problem that says nothing of what to do the usual hint of its kind.
#[must_use]
pub fn hinted(problem: Problem) -> Problem {
    match (&problem.hint, find(&problem.code)) {
        (None, Some(row)) => problem.with_hint(row.hint),
        _ => problem, // It says more than the table knows.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_once_and_says_what_to_do() {
        for (index, row) in CODES.iter().enumerate() {
            let is_plain = row.code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            assert!(is_plain && !row.hint.is_empty(), "{}", row.code);
            assert!(row.meaning.ends_with('.'), "{}", row.code);
            assert!(CODES[..index].iter().all(|other| other.code != row.code), "{}", row.code);
        }
    }
}
