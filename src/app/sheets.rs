//! Records out of a table of text: checked row by row first, then made one by one, each with its
//! event.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::App;
use super::desk::Record;
use super::error::Error;
use super::foresight::with_facts;
use super::principal::Principal;
use crate::activities::desk::find;
use crate::domain::desk::{self, Field, FieldType, Input, RecordKind};
use crate::domain::problem::{Problem, nearest};
use crate::domain::sheet::{Sheet, SheetRow};
use crate::store::tenant::TenantView;

/// How many rows a look ahead shows.
const ROWS_SHOWN: usize = 10;

/// Whether records are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SheetMode {
    /// The table is only checked.
    Check,
    /// Every row that is right becomes a record.
    Make,
}

/// What came of a table.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SheetView {
    /// How many rows it has.
    pub rows: usize,
    /// How many of them are right.
    pub right: usize,
    /// How many records were made.
    pub made: usize,
    /// The columns, each with the field that it fills; none where it is left out.
    pub columns: Vec<SheetColumn>,
    /// What is wrong, row by row.
    pub problems: Vec<SheetProblem>,
    /// The first rows as records.
    pub preview: Vec<Record>,
}

/// A column of a table.
#[derive(Clone, Debug, Serialize)]
pub struct SheetColumn {
    /// Its name in the table.
    pub name: String,
    /// The field that it fills.
    pub field: Option<&'static str>,
    /// What may have been meant, where it fills none.
    pub hint: Option<String>,
}

/// What is wrong with a row.
#[derive(Clone, Debug, Serialize)]
pub struct SheetProblem {
    /// The line of the table, counted from 1 for the names of the columns.
    pub line: usize,
    /// What is wrong; its pointer names the field.
    #[serde(flatten)]
    pub problem: Problem,
}

impl App {
    /// Checks a table of records, and makes those that are right.
    ///
    /// # Errors
    /// `Invalid` for what is no table, or has no column that fills a field.
    pub async fn import_sheet(
        &self,
        who: &Principal,
        kind: RecordKind,
        text: &str,
        mode: SheetMode,
    ) -> Result<SheetView, Error> {
        let sheet = Sheet::read(text, self.intake().sheet_rows_max);
        let sheet = sheet.map_err(|problem| Error::Invalid(vec![problem]))?;
        let columns: Vec<SheetColumn> = sheet.columns.iter().map(|it| column(kind, it)).collect();
        if columns.iter().all(|column| column.field.is_none()) {
            let detail = "no column is named as a field is";
            let problem = Problem::new("/1", "unknown_field", detail);
            let hint = format!("such as {}", names(kind).collect::<Vec<_>>().join(", "));
            return Err(Error::Invalid(vec![problem.with_hint(hint)]));
        }
        let mut outcome = SheetView { rows: sheet.rows.len(), columns, ..SheetView::default() };
        let right = self.check_rows(who, kind, &sheet.rows, &mut outcome)?;
        outcome.right = right.len();
        outcome.preview = right.iter().take(ROWS_SHOWN).map(|(_, input)| input.clone()).collect();
        if mode == SheetMode::Make {
            self.make_rows(who, kind, right, &mut outcome).await?;
        }
        Ok(outcome)
    }

    fn check_rows(
        &self,
        who: &Principal,
        kind: RecordKind,
        rows: &[SheetRow],
        outcome: &mut SheetView,
    ) -> Result<Vec<(usize, Record)>, Error> {
        let now = self.now();
        self.read(who, |view| {
            let (mut right, mut seen) = (Vec::new(), HashSet::new());
            for row in rows {
                let (input, mut problems) = input_of(kind, row, &outcome.columns);
                if problems.is_empty() {
                    let made = with_facts(view, now, |facts| desk::create(kind, &input, facts))?;
                    match made {
                        Ok(record) => problems.extend(taken(view, kind, &record, &mut seen)?),
                        Err(found) => problems = found,
                    }
                }
                if problems.is_empty() {
                    right.push((row.line, input));
                }
                let line = row.line;
                let told = problems.into_iter().map(|problem| SheetProblem { line, problem });
                outcome.problems.extend(told);
            }
            Ok(right)
        })
    }

    async fn make_rows(
        &self,
        who: &Principal,
        kind: RecordKind,
        rows: Vec<(usize, Record)>,
        outcome: &mut SheetView,
    ) -> Result<(), Error> {
        for (line, input) in rows {
            match self.create_record(who, kind, input).await {
                Ok(_) => outcome.made += 1,
                Err(Error::Invalid(found)) => {
                    let told = found.into_iter().map(|problem| SheetProblem { line, problem });
                    outcome.problems.extend(told);
                }
                Err(Error::Conflict { code, detail }) => {
                    let problem = Problem::new("", code, detail);
                    outcome.problems.push(SheetProblem { line, problem });
                }
                // Nothing goes on for the rest either; what was made is told of.
                Err(error) => {
                    let problem = Problem::new("", "stopped", error.to_string())
                        .with_hint("import this row and those after it again");
                    outcome.problems.push(SheetProblem { line, problem });
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Returns the names of the fields that a table may fill.
pub fn names(kind: RecordKind) -> impl Iterator<Item = &'static str> {
    kind.fields().iter().filter(is_fillable).map(|field| field.name)
}

fn is_fillable(field: &&Field) -> bool {
    let is_text = !matches!(field.kind, FieldType::Map | FieldType::Any | FieldType::CustomValues);
    is_text && field.input != Input::Never
}

fn column(kind: RecordKind, name: &str) -> SheetColumn {
    let plain = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let wanted = plain(name);
    let field = names(kind).find(|known| plain(known) == wanted);
    let near = || nearest(name, names(kind)).map(|near| format!("did you mean `{near}`?"));
    SheetColumn { name: name.to_owned(), field, hint: if field.is_none() { near() } else { None } }
}

fn input_of(kind: RecordKind, row: &SheetRow, columns: &[SheetColumn]) -> (Record, Vec<Problem>) {
    let (mut input, mut problems) = (Map::new(), Vec::new());
    if row.cells.len() > columns.len() {
        let detail = format!("has {} cells for {} columns", row.cells.len(), columns.len());
        problems.push(Problem::new("", "too_many_cells", detail));
    }
    for (column, cell) in columns.iter().zip(&row.cells) {
        let field = column.field.and_then(|name| kind.fields().iter().find(|it| it.name == name));
        let Some(field) = field.filter(|_| !cell.trim().is_empty()) else { continue };
        match value_of(&field.kind, cell.trim()) {
            Ok(value) => drop(input.insert(field.name.to_owned(), value)),
            Err(detail) => {
                let pointer = format!("/{}", field.name);
                problems.push(Problem::new(pointer, "wrong_type", detail));
            }
        }
    }
    (input, problems)
}

/// Reads a cell as what the field takes; several values of a list stand between semicolons.
pub fn value_of(kind: &FieldType, cell: &str) -> Result<Value, String> {
    match kind {
        FieldType::Bool => match cell.to_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(Value::Bool(true)),
            "false" | "no" | "off" | "0" => Ok(Value::Bool(false)),
            _ => Err(format!("`{cell}` is neither yes nor no")),
        },
        FieldType::Number => {
            let number = serde_json::from_str::<serde_json::Number>(cell);
            number.map(Value::Number).map_err(|_| format!("`{cell}` is no number"))
        }
        FieldType::List(item) => {
            let parts = cell.split([';', ',']).map(str::trim).filter(|part| !part.is_empty());
            parts.map(|part| value_of(item, part)).collect::<Result<_, _>>().map(Value::Array)
        }
        FieldType::Text { .. }
        | FieldType::Email
        | FieldType::Timestamp
        | FieldType::Enum(_)
        | FieldType::Ref(_) => Ok(Value::String(cell.to_owned())),
        FieldType::Map | FieldType::CustomValues | FieldType::Any => {
            serde_json::from_str(cell).map_err(|error| format!("no JSON: {error}"))
        }
    }
}

/// Tells that a record has what is unique already, or that a row above has it.
fn taken(
    view: TenantView<'_>,
    kind: RecordKind,
    record: &Record,
    seen: &mut HashSet<String>,
) -> Result<Option<Problem>, Error> {
    let name = match kind {
        RecordKind::Account => "primaryDomain",
        RecordKind::Contact | RecordKind::User => "email",
        RecordKind::Team => "identifier",
        _ => return Ok(None), // Nothing of the others names them.
    };
    let Some(key) = record.get(name).and_then(Value::as_str) else { return Ok(None) };
    let pointer = format!("/{name}");
    if !seen.insert(key.to_lowercase()) {
        let detail = format!("`{key}` stands in a row above as well");
        return Ok(Some(Problem::new(pointer, "duplicate", detail)));
    }
    if find(&view, kind, key)?.is_some() {
        let detail = format!("there is one with `{key}` already");
        return Ok(Some(Problem::new(pointer, "duplicate", detail)));
    }
    Ok(None)
}
