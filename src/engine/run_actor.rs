//! One run at work: feeds it what arrives, and calls the outside once the intent is durable.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message};
use tokio::sync::oneshot;

use crate::activities::{Activity, OutsideCall, UndoCall};
use crate::domain::activity::Settling;
use crate::domain::id::RunId;
use crate::domain::run::{Effect, Failure, Input, Status};
use crate::domain::workflow::{Action, Undo};
use crate::failpoint;
use crate::metrics::Trouble;
use crate::store::ledger::{Abort, Receipt};
use crate::store::seam::{CommitError, StoreError};
use crate::store::tenant::{TenantTx, TenantView};

use super::acting::authorised;
use super::ai_usage;
use super::connections;
use super::destinations::Asking;
use super::dispatch::{PreparedCall, perform};
use super::live::LiveRun;
use super::orders::{Down, Exit};
use super::secrets;
use super::tenant_state::TenantState;

/// An input for a run, and whom to tell when what it led to is durable.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Delivery {
    pub(super) input: Input,
    pub(super) reply: Option<oneshot::Sender<Result<(), CommitError>>>,
}

/// A deadline of the run may have come.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Look;

/// A run with something to do; when it only waits, the actor ends and the store remembers.
pub(super) struct RunActor {
    live: LiveRun,
    tenant: Rc<TenantState>,
    instance: u64,
    first: Option<Delivery>,
    /// What was already asked of the outside, so that it is asked once.
    asked: BTreeSet<Effect>,
    /// What had been asked of the outside when the run was lost from memory.
    interrupted: BTreeSet<Effect>,
    exit: Exit,
}

impl RunActor {
    pub(super) fn new(
        live: LiveRun,
        tenant: Rc<TenantState>,
        instance: u64,
        first: Option<Delivery>,
    ) -> RunActor {
        let (asked, exit) = (BTreeSet::new(), Exit::Panicked);
        let interrupted = if live.was_loaded { live.run.outstanding() } else { BTreeSet::new() };
        RunActor { live, tenant, instance, first, asked, interrupted, exit }
    }

    fn move_on(&mut self, delivery: Option<Delivery>, ctx: &mut Context<RunActor>) {
        let (input, reply) = match delivery {
            Some(Delivery { input, reply }) => (Some(input), reply),
            None => (None, None),
        };
        let (live, tenant) = (&mut self.live, &self.tenant);
        let settled = tenant.transact(|tx| advance(live, tenant, tx, input));
        match settled {
            Ok(settled) => self.follow_up(settled.receipt, reply, ctx),
            Err(Abort::Refused(error)) => {
                // What is in memory may be ahead of what was written, so it is thrown away.
                self.leave(Exit::Faulted(error.to_string()), ctx);
            }
            Err(Abort::Closed(_)) => self.leave(Exit::Lost, ctx),
        }
    }

    fn follow_up(
        &mut self,
        receipt: Receipt,
        reply: Option<oneshot::Sender<Result<(), CommitError>>>,
        ctx: &mut Context<RunActor>,
    ) {
        let owed = self.live.run.outstanding();
        let fresh = owed.difference(&self.asked).filter(|effect| is_call(effect));
        let calls: Vec<PreparedCall> = fresh.filter_map(|effect| self.prepare(effect)).collect();
        let waits = !owed.iter().any(is_call);
        if self.live.run.is_stopping() {
            self.tenant.destinations.withdraw(self.live.id());
        }
        self.asked = owed;
        let status = self.live.run.status();
        // It has ended, or rests for a while.
        let is_told =
            (status.is_final() || waits) && self.tenant.shared.traces.follows(&self.live.run);
        let is_over = status.is_final();
        let workflow = Arc::clone(&self.live.workflow);
        let (tenant, run, address) = (Rc::clone(&self.tenant), self.live.id(), ctx.address());
        let rests = tenant.shared.rest.of_run(tenant.id(), run);
        actix::spawn(async move {
            let _told = ToldOfPanic(address.clone());
            let outcome = receipt.durable().await;
            let durable = outcome.is_ok();
            if let Some(reply) = reply {
                // Whoever asked may have gone; the run has moved all the same.
                let _ = reply.send(outcome);
            }
            if !durable {
                return;
            }
            if is_over {
                count_end(&tenant, run, &workflow.name, status);
            }
            failpoint::hit("result.durable");
            if is_told {
                tenant.shared.traces.note(tenant.id(), run);
            }
            if is_over {
                tenant.shared.waiters.ended(run);
            }
            // A call that a stop or a rest forgoes is owed by the journal, and made when the run is
            // loaded again.
            if rests || tenant.shared.is_stopping() {
                return;
            }
            for call in calls {
                failpoint::hit("attempt.durable");
                actix::spawn(perform(Rc::clone(&tenant), call, address.clone()));
            }
        });
        if is_over {
            self.leave(Exit::Finished, ctx);
        } else if rests {
            self.leave(Exit::Waiting, ctx);
        } else if self.live.is_cut {
            let address = ctx.address();
            actix::spawn(async move {
                // Others have their turn in between.
                tokio::task::yield_now().await;
                address.do_send(Look);
            });
        } else if waits {
            self.leave(Exit::Waiting, ctx);
        }
    }

    fn prepare(&self, effect: &Effect) -> Option<PreparedCall> {
        let (run, workflow) = (&self.live.run, &self.live.workflow);
        let ((identifier, pinned), template, input, key, timeout) = match effect {
            Effect::Execute { step, .. } => {
                let definition = workflow.step_at(step)?;
                let Action::Call { activity, version, input } = &definition.action else {
                    return None;
                };
                let (key, called) = (run.idempotency_key(step), (activity.clone(), *version));
                (called, Some(input), run.input(step).clone(), key, definition.timeout)
            }
            Effect::Undo { step, .. } => {
                let definition = workflow.step_at(step)?;
                let (state, key) = (run.step(step)?, run.undo_key(step));
                let mut timeout = definition.timeout;
                let (called, template, input) = match &definition.compensate {
                    Undo::Call { activity, version, input, timeout: own, .. } => {
                        timeout = own.unwrap_or(timeout);
                        let called = (activity.clone(), *version);
                        (called, Some(input), state.compensation.input.clone())
                    }
                    Undo::Auto => {
                        let UndoCall { activity, input } = UndoCall::read(&state.undo)?;
                        ((activity, None), None, input)
                    }
                    Undo::None => return None,
                };
                (called, template, input, key, timeout)
            }
            Effect::Wake { .. }
            | Effect::Start
            | Effect::AwaitEvent { .. }
            | Effect::AwaitDecision { .. }
            | Effect::AwaitResolution { .. }
            | Effect::AwaitRun { .. }
            | Effect::AwaitWorker { .. }
            | Effect::Withdraw { .. }
            | Effect::StopRun { .. } => return None,
        };
        let found = self.tenant.find_activity(&identifier, pinned, run.created_at);
        let Ok(Activity::Outside(activity)) = found else { return None };
        let looks_up = self.is_in_doubt(effect) && activity.settles() == Settling::Lookup;
        let opened = || {
            self.check_identity(effect, &identifier)?;
            let secrets = template.map(|template| secrets::open(&self.tenant, template));
            let connection = connections::of_call(&self.tenant, &*activity, &input)?;
            Ok((secrets.transpose()?.unwrap_or_default(), connection))
        };
        let call = opened().map(|(secrets, connection)| OutsideCall {
            input: input.clone(),
            idempotency_key: key,
            timeout,
            secrets,
            connection,
            traceparent: self.tenant.shared.traces.of_call(run, effect),
        });
        let address = activity.address().or_else(|| input["url"].as_str());
        let asking = self.asking(effect, &identifier, call.as_ref().ok(), address);
        let maybe_made = self.interrupted.contains(effect);
        let (effect, name) = (effect.clone(), identifier);
        Some(PreparedCall { effect, name, activity, call, looks_up, asking, maybe_made })
    }

    fn asking(
        &self,
        effect: &Effect,
        identifier: &str,
        call: Option<&OutsideCall>,
        address: Option<&str>,
    ) -> Asking {
        let connection = call.and_then(|call| call.connection.as_ref());
        let connection = connection.map(|connection| connection.name.as_str());
        let whose = (self.live.priority, self.live.workflow.name.as_str(), self.live.id());
        // A short name stands for the activity that is throttled.
        let installed = self.tenant.installed();
        let named = installed.catalogue().find(identifier);
        let called = named.map_or(identifier, |spec| spec.identifier.as_str());
        Asking::new(effect, (called, connection, address), whose)
    }

    /// Returns whether a call may have happened already, in an earlier attempt or before the run
    /// was lost from memory, and its step leaves it to the activity to find out.
    fn is_in_doubt(&self, effect: &Effect) -> bool {
        let Effect::Execute { step, .. } = effect else { return false };
        let run = &self.live.run;
        let may_have = run.step(step).is_some_and(|state| state.in_doubt || state.maybe_made);
        let definition = self.live.workflow.step_at(step);
        (may_have || self.interrupted.contains(effect))
            && definition.is_some_and(|step| step.in_doubt.is_none())
    }

    /// What the platform offers as the undo of a call needs no scope: see `LiveRun::restorer`.
    fn check_identity(&self, effect: &Effect, activity: &str) -> Result<(), Failure> {
        let (live, tenant) = (&self.live, &*self.tenant);
        let is_offered = matches!(effect, Effect::Undo { step, .. } if live
            .workflow
            .step_at(step)
            .is_some_and(|step| step.compensate == Undo::Auto));
        if is_offered || live.workflow.executing_agent().is_none() {
            return Ok(());
        }
        let read = tenant.ledger.transact(|tx| {
            let view = TenantView::new(tenant.id(), &*tx);
            Ok::<_, StoreError>(authorised(tenant, view, &live.workflow, activity))
        });
        match read {
            Ok((outcome, _)) => outcome.map(drop),
            Err(_) => Err(Failure::retryable("identity_unreadable", "it cannot be read who acts")),
        }
    }

    /// Returns whether the run rests because its tenant does; while a call of it is in flight, it
    /// waits for what comes of that.
    fn rests_now(&self) -> bool {
        self.tenant.standing.rests() && !self.asked.iter().any(is_call)
    }

    /// Ends the actor. Messages that are already on their way are given back to the supervisor.
    fn leave(&mut self, exit: Exit, ctx: &mut Context<RunActor>) {
        if self.has_left() {
            return;
        }
        self.exit = exit;
        self.tenant.forget(self.live.id(), self.instance);
        ctx.notify(Leave);
    }

    fn has_left(&self) -> bool {
        !matches!(self.exit, Exit::Panicked)
    }
}

fn advance(
    live: &mut LiveRun,
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    input: Option<Input>,
) -> Result<(), StoreError> {
    live.doubt_interrupted(tenant, tx)?;
    if let Some(input) = input
        && live.can_take(tenant, tx.view(), &input)?
    {
        let input = live.informed(tenant, input);
        ai_usage::count(tx, &live.workflow, &input)?;
        live.advance(tenant, tx, input)?;
    }
    live.read_mail(tenant, tx)?;
    live.fire_due(tenant, tx)?;
    if live.run.outstanding().contains(&Effect::Start) && is_its_turn(live, tx)? {
        live.advance(tenant, tx, Input::Start)?;
    }
    Ok(())
}

/// A run begins when it is among the first of its concurrency key.
fn is_its_turn(live: &LiveRun, tx: &TenantTx<'_, '_>) -> Result<bool, StoreError> {
    let Some(key) = &live.concurrency_key else { return Ok(true) };
    let holders = tx.view().runs_of_key(&live.workflow.name, key)?;
    let limit = live.workflow.runs_at_once();
    Ok(holders.iter().take(limit).any(|holder| *holder == live.id()))
}

fn count_end(tenant: &TenantState, run: RunId, workflow: &str, status: Status) {
    let (shared, slug) = (&tenant.shared, &tenant.facts.slug);
    shared.metrics.run_reached(slug, workflow, status.as_str());
    if status == Status::Failed {
        shared.metrics.trouble(slug, Trouble::RunFailed);
    }
    shared.metrics.run_ended_after(shared.clock.now().since(run.created_at()));
}

fn is_call(effect: &Effect) -> bool {
    matches!(effect, Effect::Execute { .. } | Effect::Undo { .. })
}

#[derive(Message)]
#[rtype(result = "()")]
struct Leave;

/// What follows a transaction panicked, so that calls of the run may not have been made.
#[derive(Message)]
#[rtype(result = "()")]
struct BrokenDown;

/// Tells the actor of a panic in what it left to a task, which nobody else waits for.
struct ToldOfPanic(Addr<RunActor>);

impl Drop for ToldOfPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.do_send(BrokenDown);
        }
    }
}

impl Actor for RunActor {
    type Context = Context<RunActor>;

    fn started(&mut self, ctx: &mut Context<RunActor>) {
        failpoint::hit("actor.start");
        let first = self.first.take();
        if first.is_none() && self.rests_now() {
            return self.leave(Exit::Waiting, ctx);
        }
        self.move_on(first, ctx);
    }
}

impl Handler<Delivery> for RunActor {
    type Result = ();

    fn handle(&mut self, delivery: Delivery, ctx: &mut Context<RunActor>) {
        if self.has_left() {
            self.tenant.redeliver(self.live.id(), delivery);
        } else {
            self.move_on(Some(delivery), ctx);
        }
    }
}

impl Handler<Look> for RunActor {
    type Result = ();

    fn handle(&mut self, _: Look, ctx: &mut Context<RunActor>) {
        if self.has_left() {
            self.tenant.wake(vec![self.live.id()]);
        } else if self.rests_now() {
            self.leave(Exit::Waiting, ctx);
        } else {
            self.live.has_mail = true;
            self.move_on(None, ctx);
        }
    }
}

impl Handler<BrokenDown> for RunActor {
    type Result = ();

    fn handle(&mut self, _: BrokenDown, ctx: &mut Context<RunActor>) {
        self.leave(Exit::Faulted("a panic after a transaction".to_owned()), ctx);
    }
}

impl Handler<Leave> for RunActor {
    type Result = ();

    fn handle(&mut self, _: Leave, ctx: &mut Context<RunActor>) {
        actix::ActorContext::stop(ctx);
    }
}

impl Drop for RunActor {
    /// Runs during the unwinding of a panic too, so it does nothing that can fail.
    fn drop(&mut self) {
        let exit = std::mem::replace(&mut self.exit, Exit::Panicked);
        let key = self.live.concurrency_key.take();
        let workflow = std::sync::Arc::clone(&self.live.workflow);
        let (run, instance) = (self.live.id(), self.instance);
        self.tenant.report(Down { run, instance, exit, workflow, concurrency_key: key });
        failpoint::hit("actor.drop");
    }
}
