//! Random runs in random worlds: crashes, late, repeated and reordered results, cancels, deadlines,
//! doubts, incidents, retries and second undos by an operator. `SEED=… cargo test` tells one of them in full.
//!
//! A ledger reads the journal on its own and knows nothing of `Run`; what it expects must be what
//! the run does.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ledger::{Ledger, Tally};
use super::story::{never, origin, template, workflow};
use super::*;
use crate::domain::destination::Reason;
use crate::domain::expression::Template;
use crate::domain::filter::Filter;
use crate::domain::time::Timestamp;
use crate::domain::workflow::{
    Action, Approval, Awaits, Case, Each, Escalation, InDoubt, Join, LookBack, OnFailure,
    OnSilence, OnTimeout, Retry, RetryOn, Step, Undo, Wait, Workflow,
};

/// How many worlds there are unless `RUNS` says otherwise.
const RUNS: u64 = 50_000;
const TURNS_MAX: u32 = 5_000;
const DEPTH_MAX: u32 = 3;

#[test]
fn random_runs_keep_every_promise() {
    if let Some(seed) = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        let world = simulate(seed, &Parts::new());
        println!("seed {seed}: {:?}", world.tally);
        return;
    }
    let runs = std::env::var("RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(RUNS);
    let begun = Instant::now();
    let halves = std::thread::scope(|scope| {
        let half = |parity| {
            let parts = Parts::new();
            let seeds = (1..=runs).filter(move |seed| seed % 2 == parity);
            seeds.fold(Tally::default(), |sum, seed| sum.and(&simulate(seed, &parts).tally))
        };
        let other = scope.spawn(move || half(1));
        half(0).and(&other.join().expect("no run breaks a promise"))
    });
    println!("{runs} runs in {:?}: {halves:?}", begun.elapsed());
    for (what, count) in halves.counts() {
        assert!(count > runs / 200, "the worlds are too tame: {count} {what}");
    }
}

fn simulate(seed: u64, parts: &Parts) -> World {
    let named = NameSeed(seed);
    let mut world = World::new(seed, parts);
    for _ in 0..TURNS_MAX {
        if world.turn(parts) {
            drop(named);
            return world;
        }
    }
    panic!("no end after {TURNS_MAX} turns");
}

/// Names the seed when a promise is broken while it is in scope.
struct NameSeed(u64);

impl Drop for NameSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("A run broke a promise; SEED={} tells it again", self.0);
        }
    }
}

/// What workflows are put together from, parsed once.
struct Parts {
    input: Template,
    broken: Template,
    pauses: [Template; 3],
    items: [Template; 5],
    names: Template,
    holds: Filter,
    never: Filter,
}

impl Parts {
    fn new() -> Parts {
        Parts {
            input: template(&json!({ "n": 1 })),
            broken: template(&json!("{{trigger.payload.nothing}}")),
            pauses: ["0s", "5s", "1h"].map(|pause| template(&json!(pause))),
            items: [json!([]), json!([1]), json!([1, 2]), json!([1, 2, 3]), json!("none")]
                .map(|items| template(&items)),
            names: template(&json!(["role:lead"])),
            holds: Filter::any(),
            never: never(),
        }
    }

    fn workflow(&self, random: &mut Random) -> Workflow {
        let mut ids = Ids(0);
        let count = 1 + random.below(5);
        let mut plan = workflow(self.list(count, 0, &mut ids, random));
        if random.once_in(2) {
            let count = 1 + random.below(3);
            plan.on_failure = self.list(count, 1, &mut ids, random);
        }
        plan.timeout = random.once_in(6).then(|| Duration::from_secs(1 + random.below(60)));
        plan
    }

    fn list(&self, count: u64, depth: u32, ids: &mut Ids, random: &mut Random) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for _ in 0..count {
            let id = ids.next();
            let mut step = self.step(&id, depth, ids, random);
            if !steps.is_empty() && random.once_in(6) {
                step.after = vec![random.pick(&steps).id.clone()];
            }
            steps.push(step);
        }
        steps
    }

    /// Changes one step, takes one out, or puts one in.
    fn next_version(&self, plan: &Workflow, random: &mut Random) -> Workflow {
        let mut next = plan.clone();
        let mut ids = Ids(1_000 * (1 + random.below(1_000)));
        while plan.step_at(&format!("s{}", ids.0 + 1)).is_some() {
            ids.0 += 1_000; // No definition has two steps of one name.
        }
        let index = random.below(next.steps.len() as u64) as usize;
        match random.below(3) {
            0 if next.steps.len() > 1 => {
                next.steps.remove(index);
                next.steps.iter_mut().for_each(|step| step.after.clear());
            }
            1 => {
                let id = ids.next();
                next.steps.insert(index, self.step(&id, 1, &mut ids, random));
            }
            _ => next.steps[index] = self.step(&plan.steps[index].id, 1, &mut ids, random),
        }
        next
    }

    fn step(&self, id: &str, depth: u32, ids: &mut Ids, random: &mut Random) -> Step {
        let template = |broken: &Template, whole: &Template, random: &mut Random| {
            if random.once_in(25) { broken.clone() } else { whole.clone() }
        };
        let action = self.action(depth, ids, random);
        let is_group = matches!(
            action,
            Action::Branch(_) | Action::Each(_) | Action::Parallel { .. } | Action::Wait(_)
        );
        Step {
            id: id.to_owned(),
            title: String::new(),
            approval: random.once_in(12).then(|| self.approval(random)),
            after: Vec::new(),
            condition: match random.below(8) {
                0 => Some(self.never.clone()),
                1 => Some(self.holds.clone()),
                _ => None,
            },
            in_doubt: match random.below(4) {
                0 if matches!(action, Action::Call { .. }) => Some(InDoubt::Ask),
                1 => Some(InDoubt::Repeat),
                _ => None,
            },
            on_failure: match random.below(8) {
                0 => OnFailure::Abort,
                1 => OnFailure::Continue,
                2 if !holds_others(&action) => OnFailure::Pause,
                _ => OnFailure::Compensate,
            },
            action,
            retry: retry(random),
            timeout: Duration::from_secs(30),
            compensate: match random.below(4) {
                _ if is_group => Undo::None,
                0 => Undo::None,
                1 => Undo::Auto,
                _ => Undo::Call {
                    activity: "undo".into(),
                    version: None,
                    input: template(&self.broken, &self.input, random),
                    retry: retry(random),
                    timeout: None,
                },
            },
        }
    }

    fn action(&self, depth: u32, ids: &mut Ids, random: &mut Random) -> Action {
        let input = if random.once_in(25) { &self.broken } else { &self.input };
        let few = |random: &mut Random| 1 + random.below(2);
        let kind = if depth < DEPTH_MAX { random.below(14) } else { 6 + random.below(8) };
        match kind {
            0 => Action::Branch(
                (0..few(random))
                    .map(|_| Case {
                        condition: match random.below(3) {
                            0 => Some(self.never.clone()),
                            1 => Some(self.holds.clone()),
                            _ => None,
                        },
                        steps: self.list(few(random), depth + 1, ids, random),
                    })
                    .collect(),
            ),
            1 | 2 => Action::Each(Each {
                items: random.pick(&self.items).clone(),
                name: None,
                concurrency: few(random) as u32,
                steps: self.list(few(random), depth + 1, ids, random),
            }),
            3..6 => {
                let branches: Vec<Vec<Step>> = (0..1 + random.below(3))
                    .map(|_| self.list(few(random), depth + 1, ids, random))
                    .collect();
                let join = match random.below(2) {
                    0 => Join::All,
                    _ => Join::Count(1 + random.below(branches.len() as u64) as u32),
                };
                Action::Parallel { join, branches }
            }
            6 => Action::Sleep { duration: random.pick(&self.pauses).clone() },
            7 => Action::Wait(Wait {
                kind: "e".into(),
                filter: self.holds.clone(),
                timeout: random.once_in(2).then(|| Duration::from_secs(5)),
                on_timeout: match random.below(2) {
                    0 => OnTimeout::Fail,
                    _ => OnTimeout::Continue,
                },
                look_back: LookBack::Run,
            }),
            8 => {
                Action::Run { workflow: "other".into(), input: input.clone(), awaits: Awaits::End }
            }
            _ => Action::Call { activity: "act".into(), version: None, input: input.clone() },
        }
    }

    fn approval(&self, random: &mut Random) -> Approval {
        let sometimes = |random: &mut Random| {
            random.once_in(2).then(|| Duration::from_secs(1 + random.below(9)))
        };
        Approval {
            approvers: self.names.clone(),
            timeout: sometimes(random),
            on_timeout: match random.below(2) {
                0 => OnSilence::Reject,
                _ => OnSilence::Approve,
            },
            reminder: sometimes(random),
            escalate: sometimes(random).map(|after| Escalation { after, to: self.names.clone() }),
            reason: None,
        }
    }
}

fn holds_others(action: &Action) -> bool {
    matches!(action, Action::Branch(_) | Action::Each(_) | Action::Parallel { .. })
}

fn retry(random: &mut Random) -> Retry {
    let on = match random.below(6) {
        0 => vec![RetryOn::Code("refused".into())],
        1 => vec![RetryOn::Code("busy".into()), RetryOn::Code("timeout".into())],
        _ => Vec::new(),
    };
    let attempts = 1 + random.below(3) as u32;
    Retry { attempts, jitter: random.once_in(2), on, ..Retry::DEFAULT }
}

/// Makes ids that no other step has.
struct Ids(u64);

impl Ids {
    fn next(&mut self) -> String {
        self.0 += 1;
        format!("s{}", self.0)
    }
}

/// One run, its journal, and everything around it.
struct World {
    random: Random,
    plan: Workflow,
    run: Run,
    /// The same journal folded on its own, as another process would.
    shadow: Run,
    journal: Vec<Record>,
    inbox: Vec<Input>,
    past: Vec<Input>,
    ledger: Ledger,
    now: Timestamp,
    retries_left: u64,
    tally: Tally,
    tells: bool,
}

impl World {
    fn new(seed: u64, parts: &Parts) -> World {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let plan = parts.workflow(&mut random);
        let (run, record) = Run::create(&plan, origin());
        let mut world = World {
            shadow: run.clone(),
            plan,
            run,
            journal: vec![record],
            inbox: vec![],
            past: vec![],
            ledger: Ledger::default(),
            now: Timestamp::from_millis(1_000_000),
            retries_left: random.below(3),
            tally: Tally::default(),
            tells: std::env::var_os("SEED").is_some(),
            random,
        };
        world.perform(&BTreeSet::new());
        world
    }

    /// Lets one thing happen; returns whether the story is over.
    fn turn(&mut self, parts: &Parts) -> bool {
        if self.random.once_in(12) {
            self.crash();
        }
        if self.run.status().is_final() {
            return self.after_the_end(parts);
        }
        if self.random.once_in(40) {
            self.tally.add("cancels");
            let compensate = self.random.once_in(2);
            self.inbox.push(Input::Cancel { by: "ada".into(), compensate });
        }
        if self.random.once_in(8) && !self.past.is_empty() {
            self.tally.add("late");
            let late = self.random.pick(&self.past).clone();
            self.inbox.push(late);
        }
        if self.random.once_in(15) {
            self.migrate(parts);
        }
        if self.inbox.is_empty() {
            self.perform(&BTreeSet::new());
        }
        let index = self.random.below(self.inbox.len() as u64) as usize;
        let input = self.inbox.swap_remove(index);
        self.receive(input);
        false
    }

    fn receive(&mut self, input: Input) {
        if self.random.once_in(5) {
            self.tally.add("repeats");
            self.inbox.push(input.clone());
        }
        if let Input::TimerFired { at, .. } = &input {
            self.now = self.now.max(*at);
        }
        self.now = self.now + Duration::from_millis(self.random.below(3_000));
        self.past.push(input.clone());
        self.advance(input);
    }

    fn advance(&mut self, input: Input) -> usize {
        let before = self.run.outstanding();
        let pure =
            self.random.once_in(8).then(|| decide(&self.plan, &self.run, input.clone(), self.now));
        let records = self.run.advance(&self.plan, input, self.now);
        if let Some(entries) = pure {
            assert!(records.iter().map(|record| &record.entry).eq(&entries));
        }
        for record in &records {
            if self.tells {
                println!("{record:?}");
            }
            self.shadow.apply(&self.plan, record);
            self.ledger.read(&self.plan, &record.entry, &mut self.tally);
        }
        assert!(self.run == self.shadow, "replay differs from life: {records:?}");
        let count = records.len();
        self.journal.extend(records);
        self.speaks();
        self.perform(&before);
        count
    }

    /// A run always says what it waits for, and is owed something until its end.
    fn speaks(&self) {
        let (status, owed) = (self.run.status(), self.run.outstanding());
        assert_eq!(status.is_final(), owed.is_empty(), "{status:?} is owed {owed:?}");
        let waits = matches!(status, Status::Queued | Status::Waiting | Status::Retrying);
        assert!(!waits || self.run.waiting_for().is_some(), "{status:?} gives no reason");
    }

    /// Performs what is newly owed: its result will be in the inbox.
    fn perform(&mut self, before: &BTreeSet<Effect>) {
        for effect in self.run.outstanding().difference(before) {
            self.ledger.allows(effect);
            let input = self.random.answer(effect, &mut self.tally);
            self.inbox.push(input);
        }
    }

    /// Loses memory and inbox; only the journal survives.
    fn crash(&mut self) {
        self.tally.add("crashes");
        self.inbox.clear();
        if self.random.once_in(8) {
            let read =
                |record: &Record| Record::from_bytes(&record.to_bytes()).expect("it was written");
            self.journal = self.journal.iter().map(read).collect();
        }
        let rebuilt = Run::replay(&self.plan, origin(), &self.journal);
        assert!(rebuilt == self.run, "the rebuilt run differs: {:?}", self.journal);
        self.shadow = rebuilt.clone();
        self.run = rebuilt;
        self.perform(&BTreeSet::new());
    }

    /// Nothing moves a run that has ended but its operator.
    fn after_the_end(&mut self, parts: &Parts) -> bool {
        let count = self.journal.len();
        for input in std::mem::take(&mut self.inbox) {
            self.advance(input);
        }
        assert_eq!(self.journal.len(), count, "a finished run moved");
        self.tally.add(self.run.status().as_str());
        if self.run.compensation == Compensation::Incomplete {
            self.tally.add("incomplete");
        }
        if self.retries_left == 0 {
            return true;
        }
        self.retries_left -= 1;
        let undoes = self.random.once_in(2);
        if undoes && self.advance(Input::UndoLeft { by: "ada".into() }) > 0 {
            return false;
        }
        !self.retry(parts)
    }

    /// Moves the run to a version that may differ anywhere, where that is allowed.
    fn migrate(&mut self, parts: &Parts) {
        let next = parts.next_version(&self.plan, &mut self.random);
        let refused = !migration_refusals(&self.plan, &next, &self.run).is_empty();
        let is_same = |path: &String| {
            let (before, after) = (self.plan.step_at(path), next.step_at(path));
            before.zip(after).is_some_and(|(before, after)| before.is_group() || before == after)
        };
        if refused {
            return;
        }
        assert!(self.ledger.begun().all(is_same), "what has begun is the same");
        let version = self.run.version + 1;
        self.plan = next;
        let deadlines = |run: &Run| {
            let owed = run.outstanding().into_iter();
            owed.filter(|it| !matches!(it, Effect::Wake { timer: Timer::Deadline, .. }))
                .collect::<BTreeSet<_>>()
        };
        let before = deadlines(&self.run);
        let moved = self.advance(Input::Migrate { by: "ada".into(), version });
        assert!(moved > 0, "what is not refused is done");
        assert!(self.run.status().is_final() || deadlines(&self.run).is_superset(&before));
    }

    fn retry(&mut self, parts: &Parts) -> bool {
        let changed =
            self.random.once_in(3).then(|| parts.next_version(&self.plan, &mut self.random));
        let version = changed.is_some().then_some(self.run.version + 1);
        let before = changed.map(|next| std::mem::replace(&mut self.plan, next));
        let from = self.random.once_in(3).then(|| match self.random.once_in(3) {
            true => self.random.pick(&self.run.steps).id.clone(),
            false => self.random.pick(&self.plan.all_steps()).id.clone(),
        });
        let refused = retry_refusal(&self.plan, &self.run, from.as_deref()).is_some();
        let input = Input::Retry { by: "ada".into(), from, input: None, version };
        let moved = self.advance(input) > 0;
        assert_eq!(moved, !refused, "a retry is made or refused with a reason");
        match before {
            Some(before) if !moved => self.plan = before,
            Some(_) => self.tally.add("versions"),
            None if moved => self.tally.add("retries"),
            None => {}
        }
        moved
    }
}

fn handed_out(step: String, attempt: u32, work: Work) -> Input {
    let (activity, until) = ("act".to_owned(), Timestamp::from_millis(9_000_000_000));
    Input::HandedOut { step, attempt, work, activity, until }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % limit
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// Does what is owed, well or badly.
    fn answer(&mut self, effect: &Effect, tally: &mut Tally) -> Input {
        match effect.clone() {
            Effect::Start => Input::Start,
            Effect::Wake { at, timer } => Input::TimerFired { at, timer },
            Effect::AwaitEvent { step } => Input::EventCame { step, event: json!({ "id": "e2" }) },
            Effect::AwaitDecision { step } => {
                let rejects = self.once_in(4);
                let decision = if rejects { Decision::Rejected } else { Decision::Approved };
                Input::Decided { step, decision, by: "ada".into(), comment: String::new() }
            }
            Effect::AwaitRun { step, attempt, run } => {
                let result = self.result(tally);
                Input::ChildEnded { step, attempt, run, result }
            }
            Effect::AwaitResolution { step } => {
                let resolution = self.resolution();
                Input::Resolved { step, resolution, by: "ada".into(), comment: String::new() }
            }
            Effect::StopRun { step, run } => Input::ChildAsked { step, run },
            Effect::Execute { step, attempt } if self.once_in(8) => {
                Input::Deferred { step, deferral: self.deferral(attempt) }
            }
            Effect::Undo { step, attempt } if self.once_in(8) => {
                let deferral =
                    Deferral { undoes: true, maybe_made: false, ..self.deferral(attempt) };
                Input::Deferred { step, deferral }
            }
            Effect::Execute { step, attempt } if self.once_in(6) => {
                handed_out(step, attempt, Work::Step)
            }
            Effect::Undo { step, attempt } if self.once_in(6) => {
                handed_out(step, attempt, Work::Undo)
            }
            Effect::AwaitWorker { step, attempt, work } => {
                let result = self.result(tally);
                Input::WorkEnded { step, attempt, work, result }
            }
            Effect::Withdraw { step, attempt } if self.once_in(2) => {
                Input::Withdrawing { step, attempt }
            }
            Effect::Withdraw { step, attempt } => Input::Withdrawn { step, attempt },
            Effect::Execute { step, attempt } if self.once_in(6) => {
                Input::ChildStarted { step, attempt, run: origin().id }
            }
            Effect::Execute { step, attempt } => match self.failure(tally) {
                Some(failure) => Input::Failed { step, attempt, failure },
                None => {
                    let undo = if self.once_in(4) { Value::Null } else { json!("before") };
                    Input::Completed { step, attempt, output: json!("made"), undo }
                }
            },
            Effect::Undo { step, attempt } => match self.failure(tally) {
                Some(failure) => Input::UndoFailed { step, attempt, failure },
                None => Input::Undone { step, attempt, output: Value::Null },
            },
        }
    }

    fn result(&mut self, tally: &mut Tally) -> Result<Value, Failure> {
        self.failure(tally).map_or_else(|| Ok(json!("made")), Err)
    }

    fn resolution(&mut self) -> Resolution {
        match self.below(4) {
            0 => Resolution::Skip,
            1 => Resolution::Fail,
            2 => {
                let undo = if self.once_in(2) { Value::Null } else { json!("before") };
                Resolution::Complete { output: json!("told"), undo }
            }
            _ => Resolution::Retry { input: self.once_in(2).then(|| json!({ "n": 2 })) },
        }
    }

    fn deferral(&mut self, attempt: u32) -> Deferral {
        Deferral {
            attempt,
            until: Timestamp::from_millis(1_000_000 + self.below(100_000) as i64),
            reason: Reason::BreakerOpen,
            destination: "https://busy.example".to_owned(),
            undoes: false,
            maybe_made: self.once_in(4),
        }
    }

    fn failure(&mut self, tally: &mut Tally) -> Option<Failure> {
        match self.below(12) {
            0 => Some(Failure::terminal("refused", "no")),
            1 => Some(Failure::retryable("busy", "later")),
            2 => {
                let pause = Duration::from_secs(self.below(100));
                Some(Failure::retryable("busy", "later").with_retry_after(pause))
            }
            3 => {
                tally.add("doubts");
                Some(Failure::in_doubt("timeout", "no answer"))
            }
            _ => None,
        }
    }
}
