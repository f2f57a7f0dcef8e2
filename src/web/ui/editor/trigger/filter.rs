//! The builder of filters: rows in groups, rendered from a filter and read back from a form.

use std::collections::BTreeMap;

use askama::Template;
use askama::filters::HtmlSafe;
use serde_json::{Value, json};

use super::super::super::parts::rules::{brief, words};
use super::super::super::shell::Shell;
use super::{Posted, json_or_text};
use crate::app::event_fields::FieldView;
use crate::app::filters::operators;
use crate::domain::filter::rows::{GROUPS_DEEP_MAX, Quantity, Row, RowGroup, value_of, value_text};
use crate::domain::filter::{Kind, OperatorInfo};

/// How many fields a list offers; every other one can be typed.
const FIELDS_OFFERED_MAX: usize = 60;
const PREFIX: &str = "trigger.f";

/// The filter of a trigger, as rows or as JSON.
#[derive(Clone, Debug)]
pub struct FilterPart {
    /// The rows; none when the filter has no rows to be shown by.
    pub root: Option<GroupView>,
    /// The filter as JSON.
    pub raw: String,
    /// The paths that can be chosen, with what is known of each.
    pub paths: Vec<(String, String)>,
}

/// A group with its rows.
#[derive(Clone, Debug, Template)]
#[template(path = "editor/rows.html")]
pub struct GroupView {
    shell: Shell,
    card_href: String,
    name: String,
    place: String,
    anchor: String,
    quantities: Vec<(&'static str, &'static str, bool)>,
    rows: Vec<RowView>,
    /// What a new row can be about: what is posted and what is shown, seen fields first.
    seen: Vec<(String, String)>,
    declared: Vec<(String, String)>,
    may_nest: bool,
    is_root: bool,
}

impl HtmlSafe for GroupView {}

#[derive(Clone, Debug)]
enum RowView {
    Test(Box<TestView>),
    Group(Box<GroupView>),
}

#[derive(Clone, Debug)]
struct TestView {
    name: String,
    place: String,
    anchor: String,
    path: String,
    operators: Vec<(&'static str, String, bool)>,
    about: String,
    value: String,
    examples: Vec<String>,
    help: String,
}

impl FilterPart {
    /// Shows a filter with the fields that are known of its event.
    pub fn new(
        (shell, card_href): (&Shell, &str),
        filter: &Value,
        fields: &[FieldView],
    ) -> FilterPart {
        let operators = operators();
        let maker = Maker { shell, card_href, fields, operators };
        FilterPart {
            root: RowGroup::of(filter).map(|group| maker.group(&group, &[])),
            raw: if filter.is_null() { "{}".to_owned() } else { super::pretty(filter) },
            paths: fields.iter().map(|field| (field.path.clone(), told(field))).collect(),
        }
    }
}

struct Maker<'a> {
    shell: &'a Shell,
    card_href: &'a str,
    fields: &'a [FieldView],
    operators: Vec<OperatorInfo>,
}

impl Maker<'_> {
    fn group(&self, group: &RowGroup, place: &[usize]) -> GroupView {
        let words =
            [("all", "all of these"), ("any", "at least one of these"), ("none", "none of these")];
        let chosen = group.quantity.word();
        let rows = group.rows.iter().enumerate().map(|(index, row)| {
            let place: Vec<usize> = place.iter().copied().chain([index]).collect();
            match row {
                Row::Group(inner) => RowView::Group(Box::new(self.group(inner, &place))),
                Row::Test { path, operator, value } => {
                    RowView::Test(Box::new(self.test((path, operator, value), &place)))
                }
            }
        });
        let offered = |seen: bool| -> Vec<(String, String)> {
            let fields = self.fields.iter().filter(|field| (field.seen > 0) == seen);
            fields.take(FIELDS_OFFERED_MAX).map(offer).collect()
        };
        GroupView {
            rows: rows.collect(),
            name: name_of(place),
            place: dotted(place),
            anchor: anchor(place),
            quantities: words.map(|(it, word)| (it, word, it == chosen)).to_vec(),
            seen: offered(true),
            declared: offered(false),
            may_nest: place.len() + 1 < GROUPS_DEEP_MAX,
            is_root: place.is_empty(),
            card_href: self.card_href.to_owned(),
            shell: self.shell.clone(),
        }
    }

    fn test(&self, (path, operator, value): (&str, &str, &Value), place: &[usize]) -> TestView {
        let bare = path.trim().trim_start_matches("{{").trim_end_matches("}}").trim();
        let bare = bare.trim_start_matches("trigger.payload.");
        let field = self.fields.iter().find(|field| field.path == bare);
        let mut offered: Vec<&OperatorInfo> =
            self.operators.iter().filter(|info| fits(info, field, operator)).collect();
        offered.sort_by_key(|info| info.kind != Kind::Field);
        let known = self.operators.iter().find(|info| info.name == operator);
        TestView {
            name: name_of(place),
            place: dotted(place),
            anchor: anchor(place),
            path: path.to_owned(),
            about: known.map(|info| info.description.to_owned()).unwrap_or_default(),
            operators: offered
                .iter()
                .map(|info| (info.name, words(info.name), info.name == operator))
                .collect(),
            value: value_text(operator, value),
            examples: field
                .map(|field| field.examples.iter().map(brief).collect())
                .unwrap_or_default(),
            help: field.map(told).unwrap_or_default(),
        }
    }
}

/// Returns whether an operator is of use for what is known of a field; the present one always is.
fn fits(info: &OperatorInfo, field: Option<&FieldView>, present: &str) -> bool {
    if info.name == present {
        return true;
    }
    // Logical ones stand between rows, not in them.
    let of_rows = matches!(info.kind, Kind::Field | Kind::Quantifier);
    let types = field.map_or(&[][..], |field| &field.types);
    let types: Vec<&str> = types.iter().map(String::as_str).filter(|it| *it != "null").collect();
    of_rows && (types.is_empty() || types.iter().any(|it| info.applies_to.contains(it)))
}

fn told(field: &FieldView) -> String {
    let examples: Vec<String> = field.examples.iter().map(brief).collect();
    let types: Vec<&str> =
        field.types.iter().map(String::as_str).filter(|it| *it != "null").collect();
    let types = types.join(" or ");
    match (types.is_empty(), examples.is_empty()) {
        (_, true) => types,
        (true, false) => format!("such as {}", examples.join(" · ")),
        (false, false) => format!("{types}, such as {}", examples.join(" · ")),
    }
}

/// What a new row about a field posts, and what people read.
fn offer(field: &FieldView) -> (String, String) {
    match field.examples.first() {
        Some(example) => {
            let text = value_text("~eq", example);
            (format!("{}\t{text}", field.path), format!("{} ({})", field.path, brief(example)))
        }
        None => (field.path.clone(), field.path.clone()),
    }
}

fn dotted(place: &[usize]) -> String {
    place.iter().map(usize::to_string).collect::<Vec<_>>().join(".")
}

fn name_of(place: &[usize]) -> String {
    if place.is_empty() { PREFIX.to_owned() } else { format!("{PREFIX}.{}", dotted(place)) }
}

fn anchor(place: &[usize]) -> String {
    format!("f-{}", dotted(place).replace('.', "-"))
}

/// What the form says of one row or group.
#[derive(Default)]
struct Entry<'a> {
    group: Option<&'a str>,
    path: Option<&'a str>,
    operator: Option<&'a str>,
    value: Option<&'a str>,
}

/// Reads the filter out of a form and fulfils the wish of the button that was pressed.
pub fn read(posted: Posted<'_>) -> Value {
    let wish = posted.text("trigger.do").unwrap_or_default();
    let is_raw = wish == "raw" || posted.text("trigger.f.mode") == Some("raw");
    if is_raw {
        return match posted.filled("trigger.f.raw") {
            None => json!({}),
            Some(text) => json_or_text(text),
        };
    }
    let mut root = rows(posted);
    let (verb, place) = wish.split_once(' ').unwrap_or((wish, ""));
    let place = place_of(place).unwrap_or_default();
    let name = format!("{}.new", name_of(&place));
    match (verb, posted.filled(&name)) {
        ("add", Some(about)) => root.add(&place, new_row(about)),
        ("group", Some(about)) if place.len() + 1 < GROUPS_DEEP_MAX => {
            let rows = vec![new_row(about)];
            root.add(&place, Row::Group(RowGroup { quantity: Quantity::Any, rows }));
        }
        ("remove", _) if !place.is_empty() => root.remove(&place),
        _ => {} // Another part of the page was pressed, or nothing was chosen.
    }
    root.to_filter()
}

fn new_row(about: &str) -> Row {
    match about.split_once('\t') {
        Some((path, example)) => Row::Test {
            path: path.to_owned(),
            operator: "~eq".to_owned(),
            value: value_of("~eq", example),
        },
        None => Row::Test {
            path: about.to_owned(),
            operator: "~isnull".to_owned(),
            value: Value::Bool(false),
        },
    }
}

fn rows(posted: Posted<'_>) -> RowGroup {
    let mut entries: BTreeMap<Vec<usize>, Entry<'_>> = BTreeMap::new();
    for (key, value) in posted.pairs() {
        let Some(rest) = key.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('.')) else {
            continue;
        };
        let (place, field) = rest.rsplit_once('.').unwrap_or(("", rest));
        let Some(place) = place_of(place) else { continue };
        let entry = entries.entry(place).or_default();
        match field {
            "group" => entry.group = Some(value),
            "path" => entry.path = Some(value),
            "op" => entry.operator = Some(value),
            "value" => entry.value = Some(value),
            _ => {} // The choice of a new row, or the JSON.
        }
    }
    group(&entries, &[])
}

/// Reads `1.0`; an empty place is the outermost group.
fn place_of(text: &str) -> Option<Vec<usize>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let place: Option<Vec<usize>> = text.split('.').map(|part| part.parse().ok()).collect();
    place.filter(|place| place.len() <= GROUPS_DEEP_MAX)
}

fn group(entries: &BTreeMap<Vec<usize>, Entry<'_>>, place: &[usize]) -> RowGroup {
    let own = entries.get(place);
    let quantity = Quantity::of_word(own.and_then(|entry| entry.group).unwrap_or_default());
    let below =
        entries.iter().filter(|(at, _)| at.len() == place.len() + 1 && at.starts_with(place));
    let rows = below.filter_map(|(at, entry)| {
        if entry.group.is_some() {
            return Some(Row::Group(group(entries, at)));
        }
        let path = entry.path.map(str::trim).filter(|path| !path.is_empty())?;
        let operator = entry.operator.filter(|it| it.starts_with('~')).unwrap_or("~eq");
        Some(Row::Test {
            path: path.to_owned(),
            operator: operator.to_owned(),
            value: value_of(operator, entry.value.unwrap_or_default()),
        })
    });
    RowGroup { quantity, rows: rows.collect() }
}
