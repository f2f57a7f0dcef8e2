//! Reads a filter from JSON and finds everything that is wrong with it.

use serde_json::Value;

use super::operator::{Kind, Operator};
use super::{Expected, Leaf, Node, Operand, Previous};
use crate::domain::expression::Template;
use crate::domain::path::Path;
use crate::domain::problem::{Problem, pointer_to};

const DEPTH_MAX: usize = 32;
const CONDITIONS_MAX: usize = 1_000;

pub(super) fn filter(raw: &Value, at: &str) -> Result<Node, Vec<Problem>> {
    let mut reader = Reader { problems: Vec::new(), conditions: 0 };
    let place = Place { at: at.to_owned(), depth: 0 };
    let children = reader.conditions(raw, &place, &Subject::Nothing);
    if reader.conditions > CONDITIONS_MAX {
        let detail = format!("a filter has at most {CONDITIONS_MAX} conditions");
        reader.problems.push(Problem::new(at, "too_many_conditions", detail));
    }
    match reader.problems.is_empty() {
        true => Ok(Node::Combined { operator: Operator::And, children }),
        false => Err(reader.problems),
    }
}

/// What operators that stand here apply to.
enum Subject {
    /// Nothing: a path must come first.
    Nothing,
    /// The element of an array; a path leads into it.
    Element,
    /// The value of a path.
    Operand(Operand),
}

/// Where in the document we are, and how deep in conditions.
struct Place {
    at: String,
    depth: usize,
}

impl Place {
    fn below(&self, segment: &str) -> Place {
        Place { at: pointer_to(&self.at, segment), depth: self.depth }
    }

    fn deeper(&self) -> Place {
        Place { at: self.at.clone(), depth: self.depth + 1 }
    }
}

struct Reader {
    problems: Vec<Problem>,
    conditions: usize,
}

impl Reader {
    fn refuse(&mut self, place: &Place, code: &str, detail: String, hint: Option<String>) {
        let problem = Problem::new(place.at.as_str(), code, detail);
        self.problems.push(match hint {
            Some(hint) => problem.with_hint(hint),
            None => problem,
        });
    }

    /// Reads an object whose keys are paths and operators, all of which must hold.
    fn conditions(&mut self, raw: &Value, place: &Place, subject: &Subject) -> Vec<Node> {
        if place.depth > DEPTH_MAX {
            let detail = format!("conditions nest at most {DEPTH_MAX} deep");
            self.refuse(place, "too_deep", detail, None);
            return Vec::new();
        }
        let fields = match raw {
            Value::Object(fields) => fields,
            Value::Null => return Vec::new(),
            _ => {
                let detail = "a filter is an object of {path: {operator: value}}".to_owned();
                self.refuse(place, "invalid_filter", detail, None);
                return Vec::new();
            }
        };
        let mut nodes = Vec::new();
        for (key, value) in fields {
            if self.conditions > CONDITIONS_MAX {
                return nodes;
            }
            let inner = place.below(key);
            if key.starts_with('~') || matches!(subject, Subject::Operand(_)) {
                nodes.extend(self.operator(key, value, &inner, subject));
            } else {
                nodes.extend(self.path(key, value, &inner));
            }
        }
        nodes
    }

    fn path(&mut self, key: &str, value: &Value, place: &Place) -> Vec<Node> {
        let Some(operand) = self.operand(key, place) else { return Vec::new() };
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                self.conditions(value, place, &Subject::Operand(operand))
            }
            _ => {
                let hint = match value {
                    Value::Array(_) => Some(format!("did you mean {{\"~in\": {value}}}?")),
                    Value::Object(_) => None,
                    _ => Some(format!("did you mean {{\"~eq\": {value}}}?")),
                };
                let detail = format!("the path `{key}` needs an operator");
                self.refuse(place, "missing_operator", detail, hint);
                Vec::new()
            }
        }
    }

    fn operand(&mut self, key: &str, place: &Place) -> Option<Operand> {
        if !key.contains("{{") {
            return match Path::parse(key) {
                Ok(path) => Some(Operand::Path(path)),
                Err(detail) => {
                    let hint = "quote odd names: [\"odd name\"]".to_owned();
                    self.refuse(place, "invalid_path", detail, Some(hint));
                    None
                }
            };
        }
        match Template::parse(&Value::String(key.trim().to_owned()), &place.at) {
            Ok(template) => Some(match template.plain_path() {
                Some(path) => Operand::Path(path.clone()),
                None => Operand::Expression(template),
            }),
            Err(problems) => {
                let as_path = |problem: Problem| Problem { code: "invalid_path".into(), ..problem };
                self.problems.extend(problems.into_iter().map(as_path));
                None
            }
        }
    }

    fn operator(
        &mut self,
        key: &str,
        value: &Value,
        place: &Place,
        subject: &Subject,
    ) -> Option<Node> {
        let Some(operator) = Operator::named(key) else {
            self.unknown(key, place, subject);
            return None;
        };
        match (operator.kind(), subject) {
            (Kind::Logical, _) => self.logical(operator, value, place, subject),
            (Kind::Field | Kind::Quantifier, Subject::Nothing) => {
                let detail = format!("`{key}` needs a path before it");
                let hint = format!("write {{\"some.path\": {{\"{key}\": …}}}}");
                self.refuse(place, "missing_path", detail, Some(hint));
                None
            }
            (Kind::Field, Subject::Element) => self.leaf(Operand::Element, operator, value, place),
            (Kind::Field, Subject::Operand(operand)) => {
                self.leaf(operand.clone(), operator, value, place)
            }
            (Kind::Quantifier, Subject::Element) => {
                self.quantified(Operand::Element, operator, value, place)
            }
            (Kind::Quantifier, Subject::Operand(operand)) => {
                self.quantified(operand.clone(), operator, value, place)
            }
        }
    }

    fn unknown(&mut self, key: &str, place: &Place, subject: &Subject) {
        let near = Operator::nearest_name(key).map(|near| format!("did you mean `{near}`?"));
        let hint = near.or_else(|| match subject {
            Subject::Operand(Operand::Path(path)) if !key.starts_with('~') => {
                Some(format!("for a field inside, write the path `{path}.{key}`"))
            }
            _ => None, // Nothing is near.
        });
        let detail = format!("there is no operator `{key}`");
        self.refuse(place, "unknown_operator", detail, hint);
    }

    fn logical(
        &mut self,
        operator: Operator,
        value: &Value,
        place: &Place,
        subject: &Subject,
    ) -> Option<Node> {
        if let Err(detail) = operator.check(value) {
            let hint = value.is_object().then(|| format!("write [{value}]"));
            self.refuse(place, "invalid_value", detail, hint);
            return None;
        }
        let place = place.deeper();
        let children = match value {
            Value::Array(filters) => {
                let filters = filters.iter().enumerate();
                filters
                    .map(|(index, filter)| {
                        let place = place.below(&index.to_string());
                        all_of(self.conditions(filter, &place, subject))
                    })
                    .collect()
            }
            filter => self.conditions(filter, &place, subject),
        };
        Some(Node::Combined { operator, children })
    }

    fn quantified(
        &mut self,
        operand: Operand,
        operator: Operator,
        value: &Value,
        place: &Place,
    ) -> Option<Node> {
        if let Err(detail) = operator.check(value) {
            self.refuse(place, "invalid_value", detail, None);
            return None;
        }
        self.conditions += 1;
        let inner = Box::new(all_of(self.conditions(value, &place.deeper(), &Subject::Element)));
        Some(Node::Quantified { operator, operand, inner, source: value.clone() })
    }

    fn leaf(
        &mut self,
        operand: Operand,
        operator: Operator,
        value: &Value,
        place: &Place,
    ) -> Option<Node> {
        self.conditions += 1;
        let expected = self.expected(operator, value, place)?;
        let pattern = match operator.pattern(value) {
            Some(Err(detail)) => {
                self.refuse(place, "invalid_pattern", detail, None);
                return None;
            }
            Some(Ok(pattern)) => Some(pattern),
            None => None,
        };
        let previous = match (operator.compares_with_previous(), &operand) {
            (false, _) => None,
            (true, Operand::Path(path)) if path.previous().is_some() => {
                path.previous().map(|(record, path)| Previous { record, path })
            }
            (true, _) => {
                let detail = format!("`{}` needs a path in the payload", operator.name());
                self.refuse(place, "invalid_path", detail, None);
                return None;
            }
        };
        Some(Node::Leaf(Leaf { operand, operator, expected, pattern, previous }))
    }

    fn expected(&mut self, operator: Operator, value: &Value, place: &Place) -> Option<Expected> {
        let template = match Template::parse(value, &place.at) {
            Ok(template) => template,
            Err(problems) => {
                self.problems.extend(problems);
                return None;
            }
        };
        if template.constant().is_some() {
            if let Err(detail) = operator.check(value) {
                self.refuse(place, "invalid_value", detail, None);
                return None;
            }
            return Some(Expected::Constant(value.clone()));
        }
        if operator.pattern(value).is_some() {
            let detail = "a pattern cannot hold an expression".to_owned();
            self.refuse(place, "invalid_pattern", detail, None);
            return None;
        }
        // What only a whole template can turn into the right type is checked when it is rendered.
        if !value.is_string() && operator.check(value).is_err() {
            let detail = operator.check(value).err().unwrap_or_default();
            self.refuse(place, "invalid_value", detail, None);
            return None;
        }
        Some(Expected::Template(template))
    }
}

fn all_of(mut nodes: Vec<Node>) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        last => {
            nodes.extend(last);
            Node::Combined { operator: Operator::And, children: nodes }
        }
    }
}
