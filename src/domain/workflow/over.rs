//! Reads over which connection a call goes when that stands beside its input.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::fields::Field;
use super::parse::Reading;
use crate::domain::activity::ActivitySpec;

const CONNECTION: &str = "connection";

impl<'a> Reading<'a> {
    /// Returns the input with the connection in it, where activities look for it.
    pub(super) fn input_over(
        &self,
        connection: Option<&Field<'a>>,
        input: Option<&Field<'a>>,
        spec: Option<&ActivitySpec>,
    ) -> Option<Cow<'a, Value>> {
        let Some(connection) = connection else { return input.map(|it| Cow::Borrowed(it.value)) };
        let given = input.map(|field| Cow::Borrowed(field.value));
        if connection.text().is_none() {
            return given;
        }
        let takes = spec.is_none_or(|it| !it.input_schema["properties"][CONNECTION].is_null());
        if !takes {
            let detail = "the activity goes over no connection";
            connection.findings.problem(connection.problem("not_supported", detail));
            return given;
        }
        let mut fields = match input.map(|field| field.value) {
            None => Map::new(),
            Some(Value::Object(fields)) => fields.clone(),
            Some(_) => {
                let detail = "beside an input that is one expression, it has no place";
                let problem = connection.problem("not_supported", detail);
                connection.findings.problem(problem.with_hint("put `connection` into the input"));
                return given;
            }
        };
        match fields.get(CONNECTION) {
            Some(other) if other != connection.value => {
                let detail = "the input names another connection";
                connection.findings.problem(connection.problem("ambiguous", detail));
            }
            _ => drop(fields.insert(CONNECTION.to_owned(), connection.value.clone())),
        }
        Some(Cow::Owned(Value::Object(fields)))
    }
}
