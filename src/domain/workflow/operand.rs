//! Checks the operators of a filter against the types and values of what they look at.

use serde_json::Value;

use super::check::Subject;
use super::condition::{Leaf, is_expression, read};
use super::reference::View;
use super::typing::{Kinds, Shape, Sight};
use crate::domain::filter::{Filter, Operator};
use crate::domain::path::Path;
use crate::domain::problem::{Problem, nearest};

/// How many values of a schema a hint lists.
const VALUES_TOLD_MAX: usize = 12;

impl Subject<'_> {
    pub(super) fn check_operands(&self, filter: &Filter, at: &str, view: View<'_>) {
        let condition = read(filter.source(), at);
        let contradiction = condition.contradiction();
        if contradiction.is_some() || condition.truth() == Some(false) {
            let (at, detail) = match contradiction {
                Some((one, other)) => {
                    let names = (one.operator.name(), other.operator.name());
                    let path = one.path.map(|path| path.to_string()).unwrap_or_default();
                    let (one, two) = names;
                    (other.at, format!("`{path}`: {one} and {two} never hold together"))
                }
                None => (at.to_owned(), "this can never hold".to_owned()),
            };
            self.findings.warning(Problem::new(at, "never_true", detail));
        }
        condition.visit(&mut |leaf| self.check_operand(leaf, view));
    }

    fn check_operand(&self, leaf: &Leaf<'_>, view: View<'_>) {
        let Some(path) = &leaf.path else { return };
        let Sight::Known(shape) = self.sight(path, view) else { return };
        let known = shape.kinds.without_null();
        if !known.is_empty() && !known.meets(taken_by(leaf.operator)) {
            let detail =
                format!("`{path}` is {}, which {} never fits", known.told(), leaf.operator.name());
            let problem = Problem::new(&*leaf.at, "operator_mismatch", detail);
            return self.findings.problem(problem.with_hint(better_than(leaf.operator, known)));
        }
        let values: Vec<&Value> = match leaf.operator {
            Operator::Eq | Operator::Neq | Operator::ChangedTo | Operator::ChangedFrom => {
                vec![leaf.expected]
            }
            Operator::In | Operator::Nin => {
                leaf.expected.as_array().into_iter().flatten().collect()
            }
            _ => return, // Others do not ask for equality.
        };
        for value in values.into_iter().filter(|value| !value.is_null() && !is_expression(value)) {
            self.check_value(value, path, &shape, leaf);
        }
    }

    fn check_value(&self, value: &Value, path: &Path, shape: &Shape, leaf: &Leaf<'_>) {
        if let Some(values) = &shape.values {
            if values.iter().any(|known| written(known) == written(value)) {
                return;
            }
            let detail = format!("`{path}` is never {value}");
            let names: Vec<String> =
                values.iter().filter(|it| !it.is_null()).map(written).collect();
            let near = nearest(&written(value), names.iter().map(String::as_str));
            let problem = Problem::new(&*leaf.at, "unknown_value", detail);
            return self.findings.warning(match near {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => {
                    let told: Vec<String> = names.into_iter().take(VALUES_TOLD_MAX).collect();
                    problem.with_hint(format!("its values are: {}", told.join(", ")))
                }
            });
        }
        if fits(value, shape.kinds) {
            return;
        }
        let known = shape.kinds.without_null();
        let detail = format!("`{path}` is {}, which never equals {value}", known.told());
        let problem = Problem::new(&*leaf.at, "unknown_value", detail);
        self.findings.warning(match (known, value) {
            (Kinds::ARRAY, _) => problem.with_hint("use ~contains to look for an element"),
            (Kinds::BOOLEAN, Value::String(_)) => {
                problem.with_hint("write true or false, without quotes")
            }
            (Kinds::OBJECT, _) => problem.with_hint("compare a field inside of it"),
            _ => problem,
        });
    }
}

/// A number equals the text that writes it; across other types nothing is equal.
fn fits(value: &Value, kinds: Kinds) -> bool {
    let number = Kinds::NUMBER;
    kinds.without_null().is_empty()
        || match value {
            Value::Number(_) => kinds.meets(number.or(Kinds::STRING)),
            Value::String(text) if text.trim().parse::<f64>().is_ok() => {
                kinds.meets(number.or(Kinds::STRING))
            }
            other => kinds.meets(Kinds::of(other)),
        }
}

fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns the types that an operator can hold for.
fn taken_by(operator: Operator) -> Kinds {
    use Operator::{All, Any, Between, Contains, Ends, Gt, Gte, Lt, Lte, Ncontains, Nends};
    use Operator::{Nregex, Nstarts, Regex, Starts};
    match operator {
        Gt | Gte | Lt | Lte | Between => Kinds::NUMBER.or(Kinds::STRING),
        Regex | Nregex | Starts | Nstarts | Ends | Nends => Kinds::STRING,
        Contains | Ncontains => Kinds::STRING.or(Kinds::ARRAY),
        Any | All => Kinds::ARRAY,
        _ => Kinds::ALL, // The rest takes anything.
    }
}

fn better_than(operator: Operator, kinds: Kinds) -> &'static str {
    match (operator, kinds) {
        (_, Kinds::OBJECT) => "compare a field inside of it",
        (_, Kinds::ARRAY) => "look for an element with ~contains, or at each with ~any",
        (_, Kinds::BOOLEAN) => "compare with ~eq: true or ~eq: false",
        (Operator::Any | Operator::All, _) => "it is no list; compare it directly",
        _ => "compare with ~eq, ~gt or ~lt",
    }
}
