//! Named places where a test build can be made to fail: to end, to panic, to wait, or to meet an
//! error; a release build holds none of them.
//!
//! `ERGANE_FAIL` says where and how, several separated by semicolons: `name=action`. An action is
//! `exit` or `exit(137)`, `abort`, `panic`, `delay:200` (milliseconds, on the thread that comes by),
//! or `error` or `error(28)` (a number of the system). `@3` behind it means at the third passing
//! alone, `*2` at two passings, the first ones or those from `@` on; without either, at each.

use std::io;
use std::str::FromStr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const VARIABLE: &str = "ERGANE_FAIL";
/// How a process ends that was killed.
const EXIT_KILLED: i32 = 137;
/// How a process ends whose plan cannot be read.
const EXIT_USAGE: i32 = 2;
/// An error of input or output, as Linux numbers it.
const EIO: i32 = 5;

/// Every place, in the order in which an event comes by.
pub const NAMES: [&str; 27] = [
    "request.handle",
    "event.parse.before",
    "event.parse.after",
    "event.match",
    "actor.start",
    "step.decide",
    "activity.run",
    "compensation.begin",
    "compensation.end",
    "batch.send",
    "commit.before",
    "commit.after",
    "event.answer",
    "attempt.durable",
    "call.before",
    "call.after",
    "result.durable",
    "timer.pop",
    "alarm.ring",
    "delivery.durable",
    "delivery.sent",
    "delivery.recorded",
    "actor.drop",
    "page.render",
    "store.read",
    "store.reopen",
    "writer.turn",
];

/// Does what was planned for `name`, if anything: the process may end here, or the thread panic.
#[inline]
pub fn hit(name: &str) {
    if cfg!(debug_assertions) {
        // Whoever cannot fail here passes over an error.
        let _ = PLAN.pass(name);
    }
}

/// Does what was planned for `name`.
///
/// # Errors
/// Returns the error that was planned.
#[inline]
pub fn fail(name: &str) -> io::Result<()> {
    if cfg!(debug_assertions) { PLAN.pass(name) } else { Ok(()) }
}

/// What the process was started with; a plan that cannot be read ends it, since a test that plans
/// nothing would pass.
static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let text = std::env::var(VARIABLE).unwrap_or_default();
    text.parse().unwrap_or_else(|reason| {
        eprintln!("ergane: cannot read {VARIABLE}: {reason}");
        std::process::exit(EXIT_USAGE)
    })
});

#[derive(Debug)]
struct Plan(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    name: String,
    action: Action,
    first: u64,
    times: u64,
    passed: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Exit(i32),
    Abort,
    Panic,
    Delay(Duration),
    Error(i32),
}

impl Plan {
    fn pass(&self, name: &str) -> io::Result<()> {
        self.0.iter().filter(|rule| rule.name == name).try_for_each(Rule::pass)
    }
}

impl Rule {
    fn pass(&self) -> io::Result<()> {
        let number = self.passed.fetch_add(1, Ordering::SeqCst) + 1;
        if number < self.first || number - self.first >= self.times {
            return Ok(());
        }
        self.action.happen(&self.name)
    }
}

impl Action {
    #[expect(clippy::disallowed_methods, reason = "a test asked for this very delay")]
    fn happen(self, name: &str) -> io::Result<()> {
        match self {
            Action::Exit(code) => std::process::exit(code),
            Action::Abort => std::process::abort(),
            Action::Panic => panic!("planned at {name}"),
            Action::Delay(pause) => std::thread::sleep(pause),
            Action::Error(number) => return Err(io::Error::from_raw_os_error(number)),
        }
        Ok(())
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Plan, String> {
        let rules = text.split(';').map(str::trim).filter(|rule| !rule.is_empty());
        rules.map(str::parse).collect::<Result<_, _>>().map(Plan)
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Rule, String> {
        let (name, rest) = text.split_once('=').ok_or_else(|| format!("`{text}` lacks a `=`"))?;
        let name = name.trim();
        if !NAMES.contains(&name) {
            return Err(format!("there is no place `{name}`; there are {}", NAMES.join(", ")));
        }
        let count = |text: &str| match text.trim().parse() {
            Ok(0) | Err(_) => Err(format!("`{text}` in `{rest}` is no count")),
            Ok(count) => Ok(count),
        };
        let (rest, times) = match rest.split_once('*') {
            Some((rest, times)) => (rest, Some(count(times)?)),
            None => (rest, None),
        };
        let (action, first) = match rest.split_once('@') {
            Some((action, first)) => (action, Some(count(first)?)),
            None => (rest, None),
        };
        let times = times.unwrap_or(if first.is_some() { 1 } else { u64::MAX });
        let (action, first) = (action.trim().parse()?, first.unwrap_or(1));
        Ok(Rule { name: name.to_owned(), action, first, times, passed: AtomicU64::new(0) })
    }
}

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Action, String> {
        let unknown = || format!("`{text}` is no action");
        let number = |given: &str| given.parse::<i32>().map_err(|_| unknown());
        let inner = |word: &str| text.strip_prefix(word)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(millis) = text.strip_prefix("delay:") {
            return Ok(Action::Delay(Duration::from_millis(
                millis.parse().map_err(|_| unknown())?,
            )));
        }
        match (inner("exit"), inner("error")) {
            (Some(code), _) => return number(code).map(Action::Exit),
            (_, Some(error)) => return number(error).map(Action::Error),
            (None, None) => {}
        }
        match text {
            "exit" => Ok(Action::Exit(EXIT_KILLED)),
            "abort" => Ok(Action::Abort),
            "panic" => Ok(Action::Panic),
            "error" => Ok(Action::Error(EIO)),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn outcomes(rule: &str, passings: usize) -> Vec<bool> {
        let plan: Plan = rule.parse().expect("a plan");
        (0..passings).map(|_| plan.pass("commit.before").is_err()).collect()
    }

    #[test]
    fn an_error_comes_when_it_was_asked_for() {
        assert_eq!(outcomes("commit.before=error", 3), [true, true, true]);
        assert_eq!(outcomes("commit.before=error@2", 3), [false, true, false]);
        assert_eq!(outcomes("commit.before=error*2", 3), [true, true, false]);
        assert_eq!(outcomes(" commit.before = error(28)@2*2 ; ", 4), [false, true, true, false]);
        assert_eq!(outcomes("commit.after=error", 2), [false, false]);
    }

    #[test]
    fn every_action_is_read_and_nonsense_is_refused() {
        for (text, action) in [
            ("exit", Action::Exit(137)),
            ("exit(1)", Action::Exit(1)),
            ("abort", Action::Abort),
            ("panic", Action::Panic),
            ("delay:200", Action::Delay(Duration::from_millis(200))),
            ("error(28)", Action::Error(28)),
        ] {
            assert_eq!(text.parse(), Ok(action));
        }
        for text in
            ["commit.before", "commit.befor=exit", "commit.before=explode", "call.after=exit@0"]
        {
            assert!(text.parse::<Plan>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_planned_panic_says_where() {
        let plan: Plan = "timer.pop=panic".parse().expect("a plan");
        let panic = std::panic::catch_unwind(|| plan.pass("timer.pop")).expect_err("it panics");
        assert_eq!(
            panic.downcast_ref::<String>().map(String::as_str),
            Some("planned at timer.pop")
        );
    }

    fn collect(directory: &Path, text: &mut String) {
        for entry in fs::read_dir(directory).expect("the source is readable") {
            let path = entry.expect("the source is readable").path();
            if path.is_dir() {
                collect(&path, text);
            } else if path.file_name().is_some_and(|name| name != "failpoint.rs") {
                text.push_str(&fs::read_to_string(&path).unwrap_or_default());
            }
        }
    }

    #[test]
    fn every_place_in_the_source_is_listed_and_every_listed_place_is_there() {
        let mut source = String::new();
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut source);
        let mut placed = Vec::new();
        for call in ["failpoint::hit(\"", "failpoint::fail(\""] {
            let rest = source.split(call).skip(1);
            placed.extend(rest.filter_map(|rest| rest.split('"').next()));
        }
        for name in NAMES {
            assert!(placed.contains(&name), "`{name}` is nowhere in the source");
        }
        for name in placed {
            assert!(NAMES.contains(&name), "`{name}` is not in the list of places");
        }
    }
}
