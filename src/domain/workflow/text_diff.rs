//! Two texts side by side, line by line: what they share and where they differ.

/// The product of both lengths up to which the shortest way is sought.
const CELLS_MAX: usize = 4_000_000;

/// One line of two texts side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// It stands in both.
    Same(String),
    /// It stands in the first alone.
    Gone(String),
    /// It stands in the second alone.
    New(String),
    /// A line of the first became one of the second.
    Changed(String, String),
    /// So many lines that are the same were left out.
    Skipped(usize),
}

/// Compares two texts and keeps `around` lines around every difference.
#[must_use]
pub fn side_by_side(before: &str, after: &str, around: usize) -> Vec<Line> {
    let (before, after): (Vec<&str>, Vec<&str>) =
        (before.lines().collect(), after.lines().collect());
    folded(paired(&edits(&before, &after)), around)
}

#[derive(Clone, Copy)]
enum Edit<'a> {
    Same(&'a str),
    Gone(&'a str),
    New(&'a str),
}

fn edits<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<Edit<'a>> {
    let (columns, rows) = (after.len() + 1, before.len() + 1);
    if columns.saturating_mul(rows) > CELLS_MAX {
        let gone = before.iter().map(|line| Edit::Gone(line));
        return gone.chain(after.iter().map(|line| Edit::New(line))).collect();
    }
    let shared = shared_lengths(before, after);
    let at = |row: usize, column: usize| shared[row * columns + column];
    let (mut row, mut column) = (0, 0);
    let mut edits = Vec::new();
    while row < before.len() || column < after.len() {
        let both = row < before.len() && column < after.len();
        if both && before[row] == after[column] {
            edits.push(Edit::Same(before[row]));
            (row, column) = (row + 1, column + 1);
        } else if column == after.len() || (both && at(row + 1, column) >= at(row, column + 1)) {
            edits.push(Edit::Gone(before[row]));
            row += 1;
        } else {
            edits.push(Edit::New(after[column]));
            column += 1;
        }
    }
    edits
}

/// For every pair of ends, how many lines the rests of both texts share at most.
fn shared_lengths(before: &[&str], after: &[&str]) -> Vec<u32> {
    let columns = after.len() + 1;
    let mut shared = vec![0_u32; columns * (before.len() + 1)];
    for row in (0..before.len()).rev() {
        for column in (0..after.len()).rev() {
            shared[row * columns + column] = if before[row] == after[column] {
                shared[(row + 1) * columns + column + 1] + 1
            } else {
                shared[(row + 1) * columns + column].max(shared[row * columns + column + 1])
            };
        }
    }
    shared
}

/// Lays lines that went and lines that came in their place beside each other.
fn paired(edits: &[Edit<'_>]) -> Vec<Line> {
    let mut lines = Vec::new();
    let (mut gone, mut new) = (Vec::new(), Vec::new());
    for edit in edits {
        match edit {
            Edit::Gone(line) => gone.push(*line),
            Edit::New(line) => new.push(*line),
            Edit::Same(line) => {
                flush(&mut lines, &mut gone, &mut new);
                lines.push(Line::Same((*line).to_owned()));
            }
        }
    }
    flush(&mut lines, &mut gone, &mut new);
    lines
}

fn flush(lines: &mut Vec<Line>, gone: &mut Vec<&str>, new: &mut Vec<&str>) {
    for place in 0..gone.len().max(new.len()) {
        lines.push(match (gone.get(place), new.get(place)) {
            (Some(gone), Some(new)) => Line::Changed((*gone).to_owned(), (*new).to_owned()),
            (Some(gone), None) => Line::Gone((*gone).to_owned()),
            (None, Some(new)) => Line::New((*new).to_owned()),
            (None, None) => continue, // One of them has a line at every place.
        });
    }
    gone.clear();
    new.clear();
}

fn folded(lines: Vec<Line>, around: usize) -> Vec<Line> {
    let is_same = |line: &Line| matches!(line, Line::Same(_));
    let differs: Vec<usize> =
        lines.iter().enumerate().filter(|(_, line)| !is_same(line)).map(|(at, _)| at).collect();
    let mut folded = Vec::new();
    let mut skipped = 0;
    let mut next = 0;
    for (at, line) in lines.into_iter().enumerate() {
        while differs.get(next).is_some_and(|place| place + around < at) {
            next += 1;
        }
        let is_near = differs.get(next).is_some_and(|place| place.abs_diff(at) <= around);
        if !is_near {
            skipped += 1;
            continue;
        }
        if skipped > 0 {
            folded.push(Line::Skipped(std::mem::take(&mut skipped)));
        }
        folded.push(line);
    }
    if skipped > 0 {
        folded.push(Line::Skipped(skipped));
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: &str, after: &str) -> String {
        let lines = side_by_side(before, after, 1).into_iter().map(|line| match line {
            Line::Same(line) => format!("={line}"),
            Line::Gone(line) => format!("-{line}"),
            Line::New(line) => format!("+{line}"),
            Line::Changed(before, after) => format!("{before}>{after}"),
            Line::Skipped(count) => format!("({count})"),
        });
        lines.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn lines_stand_beside_what_they_became() {
        for (before, after, expected) in [
            ("a\nb\nc", "a\nb\nc", "(3)"),
            ("a\nb\nc", "a\nx\nc", "=a b>x =c"),
            ("a\nb\nc\nd\ne", "a\nb\nc\nd\nx", "(3) =d e>x"),
            ("a\nb", "n\na\nb", "+n =a (1)"),
            ("a\nb\nc", "b", "-a =b -c"),
            ("", "a", "+a"),
            ("a", "", "-a"),
            ("a\n1\n2\n3\n4\nb", "x\n1\n2\n3\n4\ny", "a>x =1 (2) =4 b>y"),
        ] {
            assert_eq!(told(before, after), expected, "{before:?} {after:?}");
        }
    }

    #[test]
    fn what_is_too_long_to_compare_is_shown_whole() {
        let long = "x\n".repeat(2_100);
        let other = "y\n".repeat(2_100);
        assert_eq!(side_by_side(&long, &other, 1).len(), 2_100);
    }
}
