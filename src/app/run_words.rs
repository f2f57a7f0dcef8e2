//! Which runs are meant, in the words of an address, a typed search or a saved view.

use super::runs::RunFilter;
use crate::domain::problem::{Problem, nearest};
use crate::domain::run_search::{Count, FIELDS, RunSearch, instant, statuses};
use crate::domain::time::Timestamp;

const UNDO: [&str; 3] = ["none", "done", "incomplete"];
const WAITS: [&str; 11] = [
    "start",
    "concurrency",
    "sleep",
    "retry",
    "event",
    "approval",
    "run",
    "worker",
    "incident",
    "doubt",
    "destination",
];

/// Fields of a list of runs with their values; `q` is a typed search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunWords(Vec<(&'static str, String)>);

impl RunWords {
    /// Takes each field that `look` finds, and `q`.
    pub fn of(look: &dyn Fn(&'static str) -> Option<String>) -> RunWords {
        let names = FIELDS.into_iter().chain(["q"]);
        let found = names.filter_map(|name| Some((name, look(name)?)));
        RunWords(found.filter(|(_, value)| !value.trim().is_empty()).collect())
    }

    /// Reads a typed search.
    ///
    /// # Errors
    /// Returns a problem for each field that is misspelled or given twice.
    pub fn typed(text: &str) -> Result<RunWords, Vec<Problem>> {
        RunWords(vec![("q", text.to_owned())]).unfolded()
    }

    /// Returns the value of a field.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str())
    }

    /// Puts a value in place of a field's, or adds it.
    pub fn set(&mut self, name: &'static str, value: String) {
        self.0.retain(|(field, _)| *field != name);
        if !value.is_empty() {
            self.0.push((name, value));
        }
    }

    /// Returns every field with its value.
    #[must_use]
    pub fn pairs(&self) -> &[(&'static str, String)] {
        &self.0
    }

    /// Returns whether the typed search holds fields, which `unfolded` would take out of it.
    #[must_use]
    pub fn is_folded(&self) -> bool {
        let search = self.value("q").map(RunSearch::read);
        search.is_some_and(|search| search.is_ok_and(|search| !search.terms.is_empty()))
    }

    /// Takes the fields out of the typed search; what was typed goes before what was there.
    ///
    /// # Errors
    /// Returns a problem for each field that is misspelled or given twice.
    pub fn unfolded(mut self) -> Result<RunWords, Vec<Problem>> {
        let Some(typed) = self.value("q").map(str::to_owned) else { return Ok(self) };
        let RunSearch { terms, text } = RunSearch::read(&typed)?;
        self.set("q", text.unwrap_or_default());
        for (field, value) in terms {
            self.set(field, value);
        }
        Ok(self)
    }

    /// Returns the same words with instants in place of spans, which stay the same while somebody
    /// thinks.
    #[must_use]
    pub fn pinned(mut self, now: Timestamp) -> RunWords {
        for name in ["since", "until"] {
            if let Some(at) = self.value(name).and_then(|text| instant(text, now)) {
                self.set(name, at.to_string());
            }
        }
        self
    }

    /// Writes the words as a search that could have been typed.
    #[must_use]
    pub fn text(&self) -> String {
        let quoted = |value: &str| match value.contains(char::is_whitespace) {
            true => format!("\"{}\"", value.replace('"', "")),
            false => value.to_owned(),
        };
        let terms = self.0.iter().map(|(name, value)| match *name {
            "q" => value.clone(),
            name => format!("{name}:{}", quoted(value)),
        });
        terms.collect::<Vec<_>>().join(" ")
    }

    /// Returns the filter that the words mean.
    ///
    /// # Errors
    /// Returns a problem for every value that cannot be, and for a field that is given in the typed
    /// search and beside it.
    pub fn filter(&self, now: Timestamp) -> Result<RunFilter, Vec<Problem>> {
        let apart = self.unfolded_once()?;
        let mut problems = Vec::new();
        let mut filter = RunFilter::default();
        for (name, value) in &apart.0 {
            if let Err(problem) = take(&mut filter, name, value, now) {
                problems.push(problem);
            }
        }
        if problems.is_empty() { Ok(filter) } else { Err(problems) }
    }

    /// Takes the fields out of the typed search and refuses those that stand beside it as well.
    fn unfolded_once(&self) -> Result<RunWords, Vec<Problem>> {
        let unfolded = self.clone().unfolded()?;
        let lost = |(name, value): &&(&'static str, String)| {
            *name != "q" && unfolded.value(name) != Some(value.as_str())
        };
        let twice = self.0.iter().filter(lost).map(|(name, value)| {
            let detail = format!("`{name}` is given as `{value}`, and in `q` as something else");
            Problem::new(format!("/{name}"), "contradiction", detail)
        });
        let problems: Vec<Problem> = twice.collect();
        if problems.is_empty() { Ok(unfolded) } else { Err(problems) }
    }
}

fn take(filter: &mut RunFilter, name: &str, value: &str, now: Timestamp) -> Result<(), Problem> {
    let text = || Some(value.to_owned());
    match name {
        "status" => filter.statuses = statuses(value)?,
        "workflow" => filter.workflow = text(),
        "event" => filter.event = text(),
        "step" => filter.step = text(),
        "error" => filter.error = Some(value.to_lowercase()),
        "errorCode" => filter.code = text(),
        "undo" => filter.undo = Some(one_of(name, value, &UNDO)?),
        "waitingFor" => {
            let kinds = value.split(',').map(|kind| one_of(name, kind.trim(), &WAITS));
            filter.waiting = kinds.collect::<Result<_, _>>()?;
        }
        "attempts" => {
            let wrong = "must be a number, or one with a sign before it: `>3`";
            let count = Count::parse(value);
            filter.attempts =
                Some(count.ok_or_else(|| Problem::new("/attempts", "invalid_value", wrong))?);
        }
        "since" => filter.since = Some(moment(name, value, now)?),
        "until" => filter.until = Some(moment(name, value, now)?),
        _ => filter.text = text(), // What is left of the typed search.
    }
    Ok(())
}

fn moment(name: &str, value: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    let detail = "must be a time such as 2026-11-23T10:00:00.000Z, or how long ago: 2h";
    let wrong = || Problem::new(format!("/{name}"), "invalid_value", detail);
    instant(value, now).ok_or_else(wrong)
}

fn one_of(name: &str, value: &str, known: &[&str]) -> Result<String, Problem> {
    if known.contains(&value) {
        return Ok(value.to_owned());
    }
    let detail = match nearest(value, known.iter().copied()) {
        Some(near) => format!("`{value}` is not known; did you mean `{near}`?"),
        None => format!("`{value}` is not known; it must be one of {}", known.join(", ")),
    };
    Err(Problem::new(format!("/{name}"), "invalid_value", detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::run::Status;

    const NOW: Timestamp = Timestamp::from_millis(100_000_000);

    fn words(pairs: &[(&'static str, &str)]) -> RunWords {
        RunWords(pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
    }

    #[test]
    fn a_typed_search_means_what_the_fields_mean() {
        let typed = words(&[("q", "status:failed since:1h error:\"No Answer\" BIL-7")]);
        assert!(typed.is_folded());
        let filter = typed.filter(NOW).expect("a filter");
        assert_eq!(filter.statuses, [Status::Failed]);
        assert_eq!(filter.since, Some(Timestamp::from_millis(96_400_000)));
        assert_eq!(filter.error.as_deref(), Some("no answer"));
        assert_eq!(filter.text.as_deref(), Some("BIL-7"));
    }

    #[test]
    fn a_field_that_is_given_twice_is_refused_and_never_left_out() {
        let twice = words(&[("status", "failed"), ("q", "status:running")]);
        let problems = twice.filter(NOW).expect_err("a contradiction");
        assert_eq!((&*problems[0].pointer, &*problems[0].code), ("/status", "contradiction"));
        assert!(words(&[("status", "failed"), ("q", "status:failed")]).filter(NOW).is_ok());
        let page = twice.unfolded().expect("words");
        assert_eq!(page.value("status"), Some("running"), "on a page the last word counts");
    }

    #[test]
    fn every_value_that_cannot_be_is_named() {
        let wrong = words(&[("attempts", "many"), ("undo", "dome"), ("since", "soon")]);
        let problems = wrong.filter(NOW).expect_err("problems");
        let places: Vec<&str> = problems.iter().map(|problem| &*problem.pointer).collect();
        assert_eq!(places, ["/attempts", "/undo", "/since"]);
        assert!(problems[1].detail.contains("`done`"), "{problems:?}");
    }

    #[test]
    fn words_can_be_typed_again() {
        let typed = "status:failed error:\"no answer\" BIL-7";
        let words = RunWords::typed(typed).expect("words");
        let again = RunWords::typed(&words.text()).expect("words");
        assert_eq!(words.filter(NOW).expect("a").error, again.filter(NOW).expect("b").error);
    }

    #[test]
    fn spans_become_instants() {
        let pinned = words(&[("since", "1h")]).pinned(NOW);
        assert_eq!(pinned.value("since"), Some("1970-01-02T02:46:40.000Z"));
    }
}
