//! # Ergane: workflow automation in one binary
//!
//! Events come in, matching workflows start durable runs, their steps happen in order, and what
//! was done is undone when a step fails. Everything is kept in one file. This page is the map.
//!
//! ## Layers
//!
//! A layer uses the layers below it and never one above; a test reads the source and fails on an
//! arrow that points up.
//!
//! ```text
//! main · cli · boot · config · telemetry · demo            the only wiring
//! bench · prove · subject                                 the same, from outside: a child process
//! web          api/, thena/, ui/: parse, call, render     sees app and domain, nothing else
//! mail         SMTP in: parse, call, answer               the same, another door
//! app          use cases: authorise, transact, answer     what API, pages and commands all call
//! engine       actors: root, tenant, router, run, timers  the only place that knows actix
//! activities   two contracts, a file each, one list       what a step can do
//! store        the seam, redb behind it, typed records    the only place that knows redb, bincode
//! metrics      what is counted
//! failpoint    where a test build can be made to fail
//! logs         the last lines that were logged, without secrets
//! tls          certificates: read, checked, exchanged while they are in use
//! clock        the only reader of time and of chance
//! domain       pure: event, filter, expression, schedule, workflow, run, desk
//! ```
//!
//! ## How an event becomes a run that is over
//!
//! 1. [`web`] parses the event and gives it to the tenant's event router ([`engine`]), on the
//!    thread that owns the tenant's partition.
//! 2. In one transaction of the [`store::ledger`] the router stores the event, asks every workflow
//!    that listens to its type, and writes a run for each that matches.
//! 3. Each run gets an actor, which feeds it inputs: [`domain::run`] *decides* what happens,
//!    *applies* it, and says what is *outstanding*. What the platform can do itself is done in the
//!    same transaction; a call to the outside waits until its intent is on disk.
//! 4. The committer sends everything decided so far to the writer as one batch: one sync for the
//!    event, its run and all of its internal steps, and for everybody else's at the same moment.
//! 5. Only then is the event answered for, the call made, the page able to see it.
//!
//! A schedule is a row and one alarm in the store. When the alarm rings, one transaction decides
//! which slots have come, starts their runs and sets the alarm for the next.
//!
//! A run that only waits has no actor: it is rows, and one deadline in the ordered timer index.
//!
//! ## Invariants
//!
//! 1. **`domain` is pure**: no I/O, no async, no clock, no chance.
//! 2. **The journal is the truth**: a run's state is its fold; what is owed is computed from it,
//!    never stored.
//! 3. **Nothing is performed before it is journalled**, and nothing is answered before it is on
//!    disk.
//! 4. **A platform activity commits with its journal entries**, the events that it emits and the
//!    deadlines that it sets: exactly once, by construction.
//! 5. **A call to the outside is at least once**, with the key `<run>/<step>`, the same through
//!    every attempt, retry and restart; after the step was undone a further number makes it a new
//!    call.
//! 6. **A tenant's data is reachable only through its own view or transaction**, which begin every
//!    key with the tenant. The timer index alone begins with a time, and only the engine reads it.
//! 7. **One writer for each partition**, fenced by its epoch; a commit whose outcome is unknown
//!    throws the partition's memory away and reads the store again.
//! 8. **A version never changes under a run**, and a definition is checked whole when it is saved.
//! 9. **Every queue, payload and loop has a limit**, with its unit in its name, in `config.toml`.
//! 10. **What somebody changes is in the audit**, in the commit of the change itself: the only way
//!     to write for a caller is [`app::App::write`], which asks what is changed.
//! 11. **A panic ends one attempt or one actor**; the supervisor builds a fresh actor from the
//!     store, and sets a run aside that crashes again and again.
//!
//! ## Where to add
//!
//! | what | where |
//! | --- | --- |
//! | a filter operator | one variant in `domain/filter/operator.rs`; the compiler names the rest |
//! | a kind of record | one variant of `RecordKind`, one file in `domain/desk` for its fields |
//! | a platform activity | one file in `activities/platform/`, one line in its list |
//! | an activity that is data | a variant of `Carrier` in `domain/activity/custom.rs` |
//! | an outside activity | one file in `activities/outside/`, one line in its list |
//! | an endpoint | one entry in the route table beside its siblings in `web/api/` |
//! | a page | one file in `web/ui/` with its template of the same name, one line in `PAGES` |
//! | a change that somebody asks for | `App::write(who, Change::of("noun.verb", target), …)` |
//! | a scope's resource | `domain/role.rs`: in `RESOURCES`, and with the roles that have it |
//! | a kind of step | `domain/workflow` and `domain/run`; the compiler lists them all |
//! | a row with something sealed | where `store/moving/sealed.rs` finds it, or no export leaves |
//!
//! ## Words
//!
//! **tenant** one organisation's walled space · **event** something that happened, with a type ·
//! **event type** its registration, with a JSON Schema · **trigger** an event type and a filter ·
//! **schedule** the times at which a workflow starts by itself · **slot** one such time ·
//! **filter** a condition on an event · **gate** what stands between a matching event and its
//! run · **window** what a gate remembers of one key · **workflow** a named, versioned definition · **step** one
//! activity in it · **activity** an operation that a step calls · **run** one execution of one
//! workflow version · **attempt** one try of a step · **journal** what a run recorded, in order ·
//! **task** an attempt that is handed out to a worker · **worker** a program that asks for tasks ·
//! **lease** how long it holds one ·
//! **compensation** undoing a finished step · **incident** a step that waits for somebody after its
//! failure · **doubt** an incident because nobody knows whether a call happened · **effect** what the world owes a run · **part** the
//! unit of ownership in the store · **ledger** the transactions of one part · **receipt** tells
//! when a transaction is durable · **secret** a value that is sealed, bound to hosts and
//! shown to nobody · **connection** another system with its settings and secrets · **hook** the path
//! that it sends to · **app** an integration that a manifest describes · **bot** what an installed
//! app acts as · **webhook** a subscriber's address with the events that it wants · **delivery**
//! one message at a hook or to a webhook · **form** a page that anybody may fill in · **desk** the
//! platform's own records: tickets, accounts and so on.

pub mod activities;
pub mod app;
pub mod bench;
pub mod boot;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod domain;
pub mod engine;
pub mod failpoint;
pub mod logs;
pub mod mail;
pub mod metrics;
pub mod prove;
pub mod store;
pub mod subject;
pub mod telemetry;
pub mod tls;
pub mod web;
