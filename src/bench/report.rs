//! The figures beside what they must reach.

use std::io::{self, Write};

use serde::Serialize;

/// Every figure with the machine that it was taken on.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The machine.
    pub machine: String,
    /// What was measured, in the order of measuring.
    pub rows: Vec<Row>,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// The figure.
    pub measured: f64,
    /// What it counts.
    pub unit: &'static str,
    /// What it must reach and what it should; `None` for what is only told.
    #[serde(flatten)]
    pub goal: Option<Goal>,
    /// `aim`, `must`, `MISSED`, or empty without a goal.
    pub verdict: &'static str,
}

/// What a figure must reach and what it should.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Goal {
    /// Less is not acceptable.
    pub must: f64,
    /// What the design aims at.
    pub aim: f64,
}

impl Goal {
    fn verdict(self, measured: f64) -> &'static str {
        // The aim lies beyond the must, so their order says which way is better.
        let reaches = |goal: f64| {
            if self.aim > self.must { measured >= goal } else { measured <= goal }
        };
        match (reaches(self.aim), reaches(self.must)) {
            (true, _) => "aim",
            (false, true) => "must",
            (false, false) => "MISSED",
        }
    }
}

impl Report {
    /// Starts a report of `machine`.
    #[must_use]
    pub fn new(machine: String) -> Report {
        Report { machine, rows: Vec::new() }
    }

    /// Adds a figure with its goal.
    pub fn add(&mut self, what: impl Into<String>, measured: f64, unit: &'static str, goal: Goal) {
        let verdict = goal.verdict(measured);
        self.rows.push(Row { what: what.into(), measured, unit, goal: Some(goal), verdict });
    }

    /// Adds a figure that has no goal but explains others.
    pub fn tell(&mut self, what: impl Into<String>, measured: f64, unit: &'static str) {
        self.rows.push(Row { what: what.into(), measured, unit, goal: None, verdict: "" });
    }

    /// Writes the table for a person.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}\n", self.machine)?;
        let width = self.rows.iter().map(|row| row.what.chars().count()).max().unwrap_or(0);
        writeln!(
            out,
            "{:width$}  {:>10}  {:4}  {:>9}  {:>9}  VERDICT",
            "WHAT", "MEASURED", "UNIT", "MUST", "AIM"
        )?;
        for row in &self.rows {
            let goals = row.goal.map(|goal| (figure(goal.must), figure(goal.aim)));
            let (must, aim) = goals.unwrap_or_default();
            let line = format!(
                "{:width$}  {:>10}  {:4}  {must:>9}  {aim:>9}  {}",
                row.what,
                figure(row.measured),
                row.unit,
                row.verdict
            );
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Writes a number to three digits, with separators above ten thousand.
fn figure(number: f64) -> String {
    match number {
        n if n >= 1_000.0 => {
            let digits = format!("{n:.0}");
            let mut text = String::new();
            for (place, digit) in digits.chars().enumerate() {
                if place > 0 && (digits.len() - place) % 3 == 0 {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
        n if n >= 100.0 => format!("{n:.0}"),
        n if n >= 10.0 => format!("{n:.1}"),
        n => format!("{n:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_judged_in_the_direction_of_its_aim() {
        let (more, less) = (Goal { must: 10.0, aim: 20.0 }, Goal { must: 10.0, aim: 5.0 });
        for (goal, measured, verdict) in [
            (more, 25.0, "aim"),
            (more, 10.0, "must"),
            (more, 9.9, "MISSED"),
            (less, 5.0, "aim"),
            (less, 6.0, "must"),
            (less, 10.1, "MISSED"),
        ] {
            assert_eq!(goal.verdict(measured), verdict, "{measured} of {goal:?}");
        }
    }

    #[test]
    fn figures_are_short_to_read() {
        for (number, text) in [
            (0.61, "0.61"),
            (12.34, "12.3"),
            (999.0, "999"),
            (12_345.6, "12,346"),
            (1e6, "1,000,000"),
        ] {
            assert_eq!(figure(number), text);
        }
    }
}
