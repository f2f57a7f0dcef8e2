//! Tables of text as spreadsheets save them: RFC 4180, with a comma, a semicolon or a tab between.

use super::problem::Problem;

/// A table: its first line names the columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The lines below, without those that are empty.
    pub rows: Vec<SheetRow>,
}

/// One line of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetRow {
    /// Where it begins, counted from 1 for the names of the columns.
    pub line: usize,
    /// Its cells; there may be fewer or more than columns.
    pub cells: Vec<String>,
}

impl Sheet {
    /// Reads a table of at most `rows_max` rows.
    ///
    /// # Errors
    /// Returns that it has no columns, that a quote is never closed, or that it is too long.
    pub fn read(text: &str, rows_max: usize) -> Result<Sheet, Problem> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = lines_of(text, separator_of(text))?.into_iter();
        let Some(head) = lines.next() else {
            let problem = Problem::new("", "empty", "there is no line with the names of columns");
            return Err(problem.with_hint("the first line names a field for each column"));
        };
        let columns = head.cells.iter().map(|cell| cell.trim().to_owned()).collect();
        let rows: Vec<SheetRow> = lines.collect();
        if rows.len() > rows_max {
            let detail = format!("has {} rows, and {rows_max} are taken at once", rows.len());
            return Err(Problem::new("", "too_many", detail).with_hint("import it in parts"));
        }
        Ok(Sheet { columns, rows })
    }
}

/// The separator is what the first line has most of outside quotes.
fn separator_of(text: &str) -> char {
    let first = text.lines().next().unwrap_or_default();
    let mut counts = [(',', 0), (';', 0), ('\t', 0)];
    let mut is_quoted = false;
    for letter in first.chars() {
        is_quoted ^= letter == '"';
        let known = counts.iter_mut().find(|(separator, _)| *separator == letter && !is_quoted);
        if let Some((_, count)) = known {
            *count += 1;
        }
    }
    // The first of equals is the comma.
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(',', |(separator, _)| separator)
}

fn lines_of(text: &str, separator: char) -> Result<Vec<SheetRow>, Problem> {
    let (mut rows, mut cells, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut began, mut quoted_at) = (1, 1, None);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        line += usize::from(letter == '\n');
        match letter {
            '"' if quoted_at.is_some() && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' if quoted_at.is_some() => quoted_at = None,
            '"' if cell.trim().is_empty() => {
                cell.clear();
                quoted_at = Some(line);
            }
            '\r' if quoted_at.is_none() && letters.peek() == Some(&'\n') => {}
            '\n' if quoted_at.is_none() => {
                cells.push(std::mem::take(&mut cell));
                push(&mut rows, began, std::mem::take(&mut cells));
                began = line;
            }
            _ if letter == separator && quoted_at.is_none() => {
                cells.push(std::mem::take(&mut cell))
            }
            _ => cell.push(letter), // Text, and whatever stands in quotes.
        }
    }
    if let Some(line) = quoted_at {
        let detail = format!("the quote that line {line} opens is never closed");
        return Err(Problem::new(format!("/{line}"), "syntax", detail));
    }
    cells.push(cell);
    push(&mut rows, began, cells);
    Ok(rows)
}

fn push(rows: &mut Vec<SheetRow>, line: usize, cells: Vec<String>) {
    if cells.iter().any(|cell| !cell.trim().is_empty()) {
        rows.push(SheetRow { line, cells });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Vec<String>> {
        let sheet = Sheet::read(text, 10).expect("it is a table");
        let rows = sheet.rows.into_iter().map(|row| row.cells);
        std::iter::once(sheet.columns).chain(rows).collect()
    }

    #[test]
    fn a_table_is_read_however_it_was_saved() {
        for text in [
            "name,domain\nAcme,acme.com\n",
            "\u{feff}name;domain\r\nAcme;acme.com\r\n\r\n",
            "name\tdomain\nAcme\tacme.com",
            "\"name\", \"domain\"\n\"Acme\",\"acme.com\"",
        ] {
            assert_eq!(read(text), [["name", "domain"], ["Acme", "acme.com"]], "{text}");
        }
    }

    #[test]
    fn quotes_keep_separators_lines_and_quotes() {
        let text = "name,note\n\"A, B\",\"one\ntwo \"\"x\"\"\"\nC,d\n";
        assert_eq!(read(text)[1], ["A, B", "one\ntwo \"x\""]);
        let sheet = Sheet::read(text, 10).expect("it is a table");
        assert_eq!(sheet.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 4]);
    }

    #[test]
    fn what_is_no_table_is_refused_with_its_reason() {
        for (text, code) in [("", "empty"), ("a\n\"b", "syntax"), ("a\n1\n2\n3", "too_many")] {
            assert_eq!(Sheet::read(text, 2).map_err(|it| it.code), Err(code.to_owned()), "{text}");
        }
    }
}
