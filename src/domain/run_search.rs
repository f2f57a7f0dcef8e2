//! What somebody types to find runs: `status:failed step:notify attempts:>3 since:2h "no answer"`.

use super::problem::{Problem, nearest};
use super::run::Status;
use super::time::{Timestamp, parse_duration};

/// The fields that can be typed, as addresses and the API spell them.
pub const FIELDS: [&str; 11] = [
    "status",
    "workflow",
    "event",
    "step",
    "error",
    "errorCode",
    "attempts",
    "undo",
    "waitingFor",
    "since",
    "until",
];
/// Other names for them.
const ALIASES: [(&str, &str); 5] = [
    ("code", "errorCode"),
    ("waiting", "waitingFor"),
    ("compensation", "undo"),
    ("type", "event"),
    ("after", "since"),
];
/// Fields of which any of several values may hold; they are joined by commas.
const LISTS: [&str; 2] = ["status", "waitingFor"];

/// The parts of a search: each field once, and the free text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunSearch {
    /// Fields with their values, in the order in which they were typed.
    pub terms: Vec<(&'static str, String)>,
    /// The words that belong to no field.
    pub text: Option<String>,
}

/// A condition on a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// It is this.
    Is(u32),
    /// It is more than this.
    Over(u32),
    /// It is less than this.
    Under(u32),
}

impl RunSearch {
    /// Reads what was typed; a word before a colon that is no field and resembles none is text.
    ///
    /// # Errors
    /// Returns a problem for each field that is misspelled or given twice.
    pub fn read(typed: &str) -> Result<RunSearch, Vec<Problem>> {
        let mut search = RunSearch::default();
        let mut problems = Vec::new();
        let mut free: Vec<String> = Vec::new();
        for word in words(typed) {
            match word.field() {
                Ok(Some((field, value))) => {
                    if let Err(problem) = search.take(field, value) {
                        problems.push(problem);
                    }
                }
                Ok(None) => free.push(word.text),
                Err(problem) => problems.push(problem),
            }
        }
        search.text = Some(free.join(" ")).filter(|text| !text.is_empty());
        if problems.is_empty() { Ok(search) } else { Err(problems) }
    }

    fn take(&mut self, field: &'static str, value: String) -> Result<(), Problem> {
        let Some((_, known)) = self.terms.iter_mut().find(|(name, _)| *name == field) else {
            self.terms.push((field, value));
            return Ok(());
        };
        if LISTS.contains(&field) {
            known.push(',');
            known.push_str(&value);
        } else if *known != value {
            let detail = format!("`{field}` is given as `{known}` and as `{value}`");
            return Err(Problem::new("/q", "contradiction", detail));
        }
        Ok(())
    }
}

/// A word as it was typed; `colon` is where its first colon outside quotes stands.
struct Word {
    text: String,
    colon: Option<usize>,
}

impl Word {
    /// Returns the field and the value that the word gives, or nothing for plain text.
    fn field(&self) -> Result<Option<(&'static str, String)>, Problem> {
        let Some(colon) = self.colon else { return Ok(None) };
        let (name, value) = (&self.text[..colon], &self.text[colon + 1..]);
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, field)| *field);
        let field = alias.or_else(|| FIELDS.into_iter().find(|field| *field == name));
        if let Some(field) = field {
            return Ok((!value.is_empty()).then(|| (field, value.to_owned())));
        }
        match nearest(name, FIELDS) {
            None => Ok(None),
            Some(near) => {
                let detail = format!("`{name}` is no field of a run; did you mean `{near}`?");
                let hint = format!("to look for the text, put it in quotes: \"{}\"", self.text);
                Err(Problem::new("/q", "unknown_field", detail).with_hint(hint))
            }
        }
    }
}

/// Divides a text at its blanks; what stands in double quotes stays together.
fn words(typed: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word = Word { text: String::new(), colon: None };
    let (mut quoted, mut begun) = (false, false);
    for letter in typed.chars() {
        match letter {
            '"' => {
                quoted = !quoted;
                begun = true;
            }
            blank if blank.is_whitespace() && !quoted => {
                if begun {
                    words.push(std::mem::replace(
                        &mut word,
                        Word { text: String::new(), colon: None },
                    ));
                    begun = false;
                }
            }
            other => {
                if other == ':' && !quoted && word.colon.is_none() {
                    word.colon = Some(word.text.len());
                }
                word.text.push(other);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words.retain(|word| !word.text.is_empty());
    words
}

impl Count {
    /// Reads `3`, `>3`, `>=3`, `<3` or `<=3`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Count> {
        let number = |rest: &str| rest.trim().parse::<u32>().ok();
        if let Some(rest) = text.strip_prefix(">=") {
            return match number(rest)? {
                0 => Some(Count::Under(u32::MAX)),
                some => Some(Count::Over(some - 1)),
            };
        }
        if let Some(rest) = text.strip_prefix("<=") {
            return number(rest)?.checked_add(1).map(Count::Under);
        }
        if let Some(rest) = text.strip_prefix('>') {
            return number(rest).map(Count::Over);
        }
        if let Some(rest) = text.strip_prefix('<') {
            return number(rest).map(Count::Under);
        }
        number(text.strip_prefix('=').unwrap_or(text)).map(Count::Is)
    }

    /// Tells whether a number is meant.
    #[must_use]
    pub fn holds(self, number: u32) -> bool {
        match self {
            Count::Is(wanted) => number == wanted,
            Count::Over(least) => number > least,
            Count::Under(most) => number < most,
        }
    }
}

/// Reads an instant: an RFC 3339 time, milliseconds since 1970, or how long before `now` (`2h`).
#[must_use]
pub fn instant(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    if text.len() >= 12
        && let Ok(millis) = text.parse()
    {
        return Some(Timestamp::from_millis(millis));
    }
    parse_duration(text).ok().map(|ago| now - ago)
}

/// Reads one status, or several with commas.
///
/// # Errors
/// Returns a problem for a word that is no status, with the one that was probably meant.
pub fn statuses(text: &str) -> Result<Vec<Status>, Problem> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| {
            Status::parse(word).ok_or_else(|| {
                let known = Status::ALL.map(Status::as_str);
                let hint = match nearest(word, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it must be one of {}", known.join(", ")),
                };
                let detail = format!("`{word}` is no status; {hint}");
                Problem::new("/status", "invalid_value", detail)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(typed: &str) -> (Vec<(&'static str, String)>, Option<String>) {
        let search = RunSearch::read(typed).expect("a search");
        (search.terms, search.text)
    }

    fn term(field: &'static str, value: &str) -> (&'static str, String) {
        (field, value.to_owned())
    }

    #[test]
    fn fields_and_free_words_are_told_apart() {
        let typed =
            r#"status:failed workflow:escalate error:"not in channel" attempts:>3 VIP desk"#;
        let terms = vec![
            term("status", "failed"),
            term("workflow", "escalate"),
            term("error", "not in channel"),
            term("attempts", ">3"),
        ];
        assert_eq!(read(typed), (terms, Some("VIP desk".to_owned())));
        assert_eq!(read("slack:message").1.as_deref(), Some("slack:message"), "an event type");
        assert_eq!(read(r#""status:failed""#).1.as_deref(), Some("status:failed"), "quoted");
        assert_eq!(read("status: ").0, vec![], "a field that is being typed still");
        assert_eq!(read("   "), (vec![], None));
    }

    #[test]
    fn several_statuses_are_any_of_them_and_two_workflows_are_refused() {
        assert_eq!(read("status:failed status:retrying").0, [term("status", "failed,retrying")]);
        assert_eq!(read("code:timeout waiting:sleep").0.len(), 2);
        let refused = RunSearch::read("workflow:a workflow:b stauts:failed").expect_err("problems");
        let codes: Vec<&str> = refused.iter().map(|problem| &*problem.code).collect();
        assert_eq!(codes, ["contradiction", "unknown_field"]);
        assert!(refused[1].detail.contains("`status`"), "{refused:?}");
    }

    #[test]
    fn numbers_are_compared_as_they_are_written() {
        for (text, holds, fails) in [
            ("3", 3, 4),
            (">3", 4, 3),
            (">=3", 3, 2),
            ("<3", 2, 3),
            ("<=3", 3, 4),
            (">=0", 0, u32::MAX),
        ] {
            let count = Count::parse(text).expect(text);
            assert!(count.holds(holds) && !count.holds(fails), "{text}");
        }
        assert_eq!(Count::parse("many"), None);
    }

    #[test]
    fn statuses_are_read_with_a_hint() {
        assert_eq!(statuses("failed, retrying").map(|all| all.len()), Ok(2));
        assert!(statuses("faild").expect_err("a typo").detail.contains("did you mean `failed`"));
    }
}
