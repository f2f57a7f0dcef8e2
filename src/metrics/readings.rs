//! Figures that are read at the moment of a scrape, written in the text format of OpenMetrics.

use std::fmt::Write as _;

use super::table::{Kind, TABLE};

/// One figure of one series.
#[derive(Clone, Debug, PartialEq)]
struct Reading {
    family: &'static str,
    labels: String,
    value: f64,
}

/// Figures in the order of the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readings(Vec<Reading>);

impl Readings {
    /// Notes a figure of a family that the table has; the labels in the table's order.
    pub fn note(&mut self, family: &'static str, values: &[&str], value: f64) {
        let row = super::table::find(family);
        debug_assert!(row.is_some_and(|row| row.labels.len() == values.len()), "{family}");
        let names = row.map_or(&[][..], |row| row.labels);
        let mut labels = String::new();
        for (name, text) in names.iter().zip(values) {
            let comma = if labels.is_empty() { "" } else { "," };
            let _ = write!(labels, "{comma}{name}=\"{}\"", escaped(text));
        }
        self.0.push(Reading { family, labels, value });
    }

    /// Adds the figures of another.
    pub fn extend(&mut self, other: &Readings) {
        self.0.extend(other.0.iter().cloned());
    }

    /// Returns the figure of a series, for tests and pages.
    #[must_use]
    pub fn value(&self, family: &str, labels: &str) -> Option<f64> {
        let found = self.0.iter().find(|it| it.family == family && it.labels == labels);
        found.map(|it| it.value)
    }

    /// Writes them, each family once with its meaning; without the end of the text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for family in TABLE {
            let mut series = self.0.iter().filter(|it| it.family == family.name).peekable();
            if series.peek().is_none() {
                continue;
            }
            let _ = writeln!(text, "# HELP {} {}.", family.name, family.help);
            let _ = writeln!(text, "# TYPE {} {}", family.name, family.kind.word());
            let ending = if family.kind == Kind::Counter { "_total" } else { "" };
            for Reading { labels, value, .. } in series {
                let labels =
                    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
                let _ = writeln!(text, "{}{ending}{labels} {value}", family.name);
            }
        }
        text
    }
}

/// OpenMetrics 1.0, section 3.3: a backslash, a quote and a line end are escaped.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_by_family_with_their_meaning() {
        let mut readings = Readings::default();
        readings.note("ergane_runs_now", &["a\"b\\c\nd", "running"], 2.0);
        readings.note("ergane_process_cpu_seconds", &[], 1.5);
        readings.note("ergane_runs_now", &["acme", "failed"], 7.0);
        let text = readings.render();
        let expected = "# HELP ergane_runs_now Runs by their present status.\n\
            # TYPE ergane_runs_now gauge\n\
            ergane_runs_now{tenant=\"a\\\"b\\\\c\\nd\",status=\"running\"} 2\n\
            ergane_runs_now{tenant=\"acme\",status=\"failed\"} 7\n\
            # HELP ergane_process_cpu_seconds Processor time that was used.\n\
            # TYPE ergane_process_cpu_seconds counter\n\
            ergane_process_cpu_seconds_total 1.5\n";
        assert_eq!(text, expected);
        assert_eq!(readings.value("ergane_process_cpu_seconds", ""), Some(1.5));
    }
}
