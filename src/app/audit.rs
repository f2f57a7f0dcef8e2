//! Who changed what: recorded in the commit of the change itself, listed, and checked.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::{Map, Value};

use super::App;
use super::error::Error;
use super::page::PageRequest;
use super::principal::Principal;
use super::views::Page;
use crate::domain::condition::Work;
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;
use crate::domain::trace::TRACEPARENT;
use crate::store::access::APPLIANCE;
use crate::store::audit::{AuditRow, Hash, Head, Link};
use crate::store::tenant::{TenantTx, TenantView};

const CHUNK: usize = 200;
const LOOKED_AT_MAX: usize = 20_000;
/// The longest text of a field that a record repeats, in bytes of its JSON.
const FIELD_BYTES_MAX: usize = 2_048;
const REDACTED: &str = "[redacted]";
/// Fields whose values are nobody's business, by a part of their name.
const SECRET_NAMES: [&str; 8] =
    ["password", "secret", "token", "digest", "recovery", "credential", "sealed", "headers"];

/// A change on its way into the audit: what is done to what, and how that was and is.
#[derive(Clone, Debug)]
pub struct Change {
    action: String,
    target: String,
    before: Value,
    after: Value,
}

impl Change {
    /// Names what is done (`workflow.save`) and to what; a thing that gets its name only while it
    /// is made is named by `target` then.
    #[must_use]
    pub fn of(action: impl Into<String>, target: impl Into<String>) -> Change {
        let (before, after) = (Value::Null, Value::Null);
        Change { action: action.into(), target: target.into(), before, after }
    }

    /// Names what it is done to.
    pub fn target(&mut self, target: impl Into<String>) {
        self.target = target.into();
    }

    /// Notes how the thing was.
    pub fn before(&mut self, thing: &impl Serialize) {
        self.before = shown(thing);
    }

    /// Notes how the thing is now; one that is as it was before is no change.
    pub fn after(&mut self, thing: &impl Serialize) {
        self.after = shown(thing);
    }

    /// Returns whether it was noted how the thing was.
    #[must_use]
    pub fn has_before(&self) -> bool {
        !self.before.is_null()
    }

    fn is_idle(&self) -> bool {
        !self.before.is_null() && self.before == self.after
    }

    pub(super) fn row(self, at: Timestamp, who: &Principal) -> AuditRow {
        let (before, after) = differences(self.before, self.after);
        AuditRow {
            at,
            actor_kind: who.kind.word().to_owned(),
            actor_id: who.id.clone(),
            actor_name: who.email.clone().unwrap_or_else(|| who.name.clone()),
            action: self.action,
            target: self.target,
            before,
            after,
            address: who.origin.address.clone(),
            request: who.origin.request.clone(),
        }
    }
}

fn shown(thing: &impl Serialize) -> Value {
    serde_json::to_value(thing).unwrap_or(Value::Null)
}

/// Keeps the fields that differ, without secrets and without what is too long to repeat.
fn differences(before: Value, after: Value) -> (Value, Value) {
    match (before, after) {
        (Value::Object(mut before), Value::Object(mut after)) => {
            let same: Vec<String> = before
                .iter()
                .filter(|(k, v)| after.get(*k) == Some(v))
                .map(|(k, _)| k.clone())
                .collect();
            for name in &same {
                before.shift_remove(name);
                after.shift_remove(name);
            }
            (redacted(Value::Object(before)), redacted(Value::Object(after)))
        }
        (before, after) => (redacted(before), redacted(after)),
    }
}

fn redacted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, field)| {
                let lower = name.to_lowercase();
                let is_secret = SECRET_NAMES.iter().any(|part| lower.contains(part));
                let field = match field {
                    Value::Null | Value::Bool(_) => field,
                    _ if is_secret => REDACTED.into(),
                    other => redacted(other),
                };
                (name, short(field))
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.into_iter().map(redacted).collect(),
        other => other,
    }
}

fn short(field: Value) -> Value {
    let bytes = field.to_string().len();
    if bytes <= FIELD_BYTES_MAX { field } else { format!("[{bytes} bytes]").into() }
}

/// A record of the audit.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditView {
    /// Names the record: its chain and its number in it.
    pub id: String,
    /// When the change was made.
    pub at: Timestamp,
    /// Who made it.
    pub actor: ActorView,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub target: String,
    /// The fields that changed, as they were.
    pub before: Value,
    /// The fields that changed, as they are since.
    pub after: Value,
    /// Where it came from.
    pub from: FromView,
    /// The hash of the record and of everything before it, in hexadecimal.
    pub hash: String,
    /// The hash of the record before it.
    pub previous_hash: String,
}

/// Who made a change.
#[derive(Clone, Debug, Serialize)]
pub struct ActorView {
    /// `person`, `key`, `commandLine` or `program`.
    pub kind: String,
    /// Their id.
    pub id: String,
    /// What people call them.
    pub name: String,
}

/// Where a change came from.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FromView {
    /// The network address.
    pub address: Option<String>,
    /// The request's id.
    pub request_id: Option<String>,
}

/// Which records are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// The id or the name of who made the change.
    pub actor: Option<String>,
    /// What was done: `workflow.save`, or its beginning: `workflow`.
    pub action: Option<String>,
    /// What it was done to.
    pub target: Option<String>,
    /// Not earlier than this.
    pub since: Option<Timestamp>,
}

impl AuditFilter {
    fn holds(&self, row: &AuditRow) -> bool {
        let is = |wanted: &Option<String>, texts: &[&str]| {
            wanted.as_ref().is_none_or(|wanted| texts.contains(&wanted.as_str()))
        };
        let begins = |wanted: &String| {
            let wanted = wanted.trim_end_matches(['*', '.']);
            let rest = row.action.strip_prefix(wanted);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        is(&self.actor, &[&row.actor_id, &row.actor_name])
            && is(&self.target, &[&row.target])
            && self.action.as_ref().is_none_or(begins)
            && self.since.is_none_or(|since| row.at >= since)
    }
}

/// What a check of the whole audit found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditCheck {
    /// Whether every record is there, in its place and as it was written.
    pub valid: bool,
    /// How many records were found good.
    pub count: u64,
    /// The first record that is not.
    pub first_broken: Option<BrokenView>,
    /// The hash of the newest record of each chain; kept elsewhere, it proves a later rewriting.
    pub heads: HeadsView,
}

/// A record that does not fit its chain.
#[derive(Clone, Debug, Serialize)]
pub struct BrokenView {
    /// Names the record.
    pub id: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The ends of the chains, in hexadecimal.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HeadsView {
    /// Of who may do what.
    pub access: String,
    /// Of the tenant's things.
    pub work: String,
}

/// One of a tenant's two chains, each beside what it tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chain {
    Access,
    Work,
}

impl Chain {
    pub(super) const BOTH: [Chain; 2] = [Chain::Access, Chain::Work];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Chain::Access => "access",
            Chain::Work => "work",
        }
    }

    pub(super) const fn place(self, tenant: TenantId) -> TenantId {
        match self {
            Chain::Access => APPLIANCE,
            Chain::Work => tenant,
        }
    }
}

impl App {
    /// Changes something of the caller's tenant together with the record of who did, and answers
    /// when both are durable.
    ///
    /// # Errors
    /// Returns the refusal of `decide`, or why nothing, or perhaps nothing, was written.
    pub async fn write<T, F>(&self, who: &Principal, change: Change, decide: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut TenantTx<'_, '_>, &mut Change) -> Result<T, Error> + Send + 'static,
    {
        self.write_in(who.tenant, who, change, decide).await
    }

    /// Changes who may do what, together with the record of who did.
    pub(super) async fn write_access<T, F>(
        &self,
        who: &Principal,
        change: Change,
        decide: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut TenantTx<'_, '_>, &mut Change) -> Result<T, Error> + Send + 'static,
    {
        self.write_in(APPLIANCE, who, change, decide).await
    }

    async fn write_in<T, F>(
        &self,
        place: TenantId,
        who: &Principal,
        mut change: Change,
        decide: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut TenantTx<'_, '_>, &mut Change) -> Result<T, Error> + Send + 'static,
    {
        let work = Work::of_change(&change.action);
        if let Some(reason) = self.engine().store().board().refusal(work) {
            return Err(reason.into());
        }
        let (author, bounds) = (who.clone(), self.bounds_of(who)?);
        self.write_of(place, move |tx| {
            let value = decide(tx, &mut change)?;
            if let Some(bounds) = bounds {
                bounds.check(tx, &change.action)?;
            }
            if let Some(traceparent) = &author.origin.traceparent {
                tx.mark_emitted(None, TRACEPARENT, &Value::String(traceparent.clone()));
            }
            if !change.is_idle() {
                tx.append_audit(author.tenant, &change.row(tx.now(), &author))?;
            }
            Ok(value)
        })
        .await
    }

    /// Records a change that the engine makes, before it is asked to: the record is durable first,
    /// so that nothing is done that is not recorded.
    ///
    /// # Errors
    /// Returns why it cannot be written now; then nothing may be done.
    pub(super) async fn record_change(&self, who: &Principal, change: Change) -> Result<(), Error> {
        self.write(who, change, |_, _| Ok(())).await
    }

    /// Lists what was changed in the caller's tenant, newest first.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn audit(
        &self,
        who: &Principal,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditView>, Error> {
        let mut sources = Vec::new();
        for (chain, before) in Chain::BOTH.into_iter().zip(places(page.after.as_deref())) {
            sources.push(Source { chain, before, read: VecDeque::new() });
        }
        let (mut data, mut looked_at) = (Vec::new(), 0);
        while let Some((chain, link)) = self.newest(who.tenant, &mut sources)? {
            if filter.since.is_some_and(|since| link.row.at < since) {
                return Ok(Page { data, next_cursor: None });
            }
            looked_at += 1;
            if filter.holds(&link.row) {
                data.push(view(chain, link));
            }
            if data.len() == page.limit || looked_at == LOOKED_AT_MAX {
                let more = self.peek(who.tenant, &mut sources)?;
                return Ok(Page { data, next_cursor: more.then(|| cursor(&sources)) });
            }
        }
        Ok(Page { data, next_cursor: None })
    }

    /// Checks every record of the caller's tenant; it takes a while and a thread of its own.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub async fn verify_audit(&self, who: &Principal) -> Result<AuditCheck, Error> {
        let (app, tenant) = (self.clone(), who.tenant);
        let checked = tokio::task::spawn_blocking(move || app.check_chains(tenant)).await;
        checked.map_err(|error| Error::Internal(format!("the check broke off: {error}")))?
    }

    fn check_chains(&self, tenant: TenantId) -> Result<AuditCheck, Error> {
        let heads = HeadsView::default();
        let mut check = AuditCheck { valid: true, count: 0, first_broken: None, heads };
        for chain in Chain::BOTH {
            let look = |view: TenantView<'_>| Ok(view.check_audit(tenant)?);
            match self.read_of(chain.place(tenant), look)? {
                Ok(Head { count, hash }) => {
                    check.count += count;
                    match chain {
                        Chain::Access => check.heads.access = hex::encode(hash),
                        Chain::Work => check.heads.work = hex::encode(hash),
                    }
                }
                Err(broken) => {
                    check.valid = false;
                    check.count += broken.number.saturating_sub(1);
                    let id = id_of(chain, broken.number);
                    let reason = broken.reason.to_owned();
                    check.first_broken.get_or_insert(BrokenView { id, reason });
                }
            }
        }
        Ok(check)
    }

    fn fill(&self, tenant: TenantId, source: &mut Source) -> Result<(), Error> {
        if source.read.is_empty() && source.before != Some(1) {
            let before = source.before;
            let look = |view: TenantView<'_>| Ok(view.audit_before(tenant, before, CHUNK)?);
            source.read = self.read_of(source.chain.place(tenant), look)?.into();
        }
        Ok(())
    }

    fn peek(&self, tenant: TenantId, sources: &mut [Source]) -> Result<bool, Error> {
        for source in sources.iter_mut() {
            self.fill(tenant, source)?;
        }
        Ok(sources.iter().any(|source| !source.read.is_empty()))
    }

    /// Takes the newest record that was not taken yet.
    fn newest(
        &self,
        tenant: TenantId,
        sources: &mut [Source],
    ) -> Result<Option<(Chain, Link)>, Error> {
        for source in sources.iter_mut() {
            self.fill(tenant, source)?;
        }
        let age = |source: &&mut Source| source.read.front().map(|link| link.row.at);
        let newest = sources.iter_mut().filter(|source| !source.read.is_empty()).max_by_key(age);
        Ok(newest.and_then(|source| {
            let link = source.read.pop_front()?;
            source.before = Some(link.number);
            Some((source.chain, link))
        }))
    }
}

struct Source {
    chain: Chain,
    before: Option<u64>,
    read: VecDeque<Link>,
}

/// Reads where each chain goes on out of a cursor; zero stands for its beginning.
fn places(cursor: Option<&str>) -> [Option<u64>; 2] {
    let (access, work) = cursor.and_then(|text| text.split_once('.')).unwrap_or_default();
    [access, work].map(|text| text.parse().ok().filter(|number| *number > 0))
}

fn cursor(sources: &[Source]) -> String {
    let numbers = sources.iter().map(|source| source.before.unwrap_or(0).to_string());
    numbers.collect::<Vec<_>>().join(".")
}

fn id_of(chain: Chain, number: u64) -> String {
    format!("{}-{number}", chain.name())
}

fn view(chain: Chain, link: Link) -> AuditView {
    let hex = |hash: Hash| hex::encode(hash);
    let row = link.row;
    AuditView {
        id: id_of(chain, link.number),
        at: row.at,
        actor: ActorView { kind: row.actor_kind, id: row.actor_id, name: row.actor_name },
        action: row.action,
        target: row.target,
        before: row.before,
        after: row.after,
        from: FromView { address: row.address, request_id: row.request },
        hash: hex(link.hash),
        previous_hash: hex(link.previous),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_holds_what_changed_and_no_secret() {
        let mut change = Change::of("person.change", "psn_1");
        change.before(&json!({ "name": "Ada", "roles": ["viewer"], "password": "$argon2id$a" }));
        change.after(&json!({ "name": "Ada", "roles": ["admin"], "password": "$argon2id$b" }));
        let who = Principal::program(TenantId(1), "Seed");
        let row = change.row(Timestamp::from_millis(1), &who);
        assert_eq!(row.before, json!({ "roles": ["viewer"], "password": "[redacted]" }));
        assert_eq!(row.after, json!({ "roles": ["admin"], "password": "[redacted]" }));
    }

    #[test]
    fn secrets_are_found_however_deep_and_long_texts_are_cut() {
        let deep =
            json!({ "settings": [{ "botToken": "x", "url": "u" }], "body": "b".repeat(3_000) });
        let kept = redacted(deep);
        assert_eq!(kept["settings"], json!([{ "botToken": "[redacted]", "url": "u" }]));
        assert_eq!(kept["body"], "[3002 bytes]");
    }

    #[test]
    fn what_is_as_it_was_is_no_change() {
        let mut change = Change::of("workflow.enable", "a");
        assert!(!change.is_idle());
        change.before(&json!({ "active": true }));
        change.after(&json!({ "active": true }));
        assert!(change.is_idle());
    }

    #[test]
    fn an_action_is_found_by_its_beginning() {
        let row = Change::of("workflow.save", "a")
            .row(Timestamp::from_millis(5), &Principal::program(TenantId(1), "Seed"));
        for (action, holds) in [
            ("workflow.save", true),
            ("workflow", true),
            ("workflow.*", true),
            ("work", false),
            ("key", false),
        ] {
            let filter = AuditFilter { action: Some(action.to_owned()), ..Default::default() };
            assert_eq!(filter.holds(&row), holds, "{action}");
        }
    }
}
