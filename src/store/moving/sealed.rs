//! Where sealed secrets stand in the rows of a tenant, and what each of them is bound to.

use serde_json::Value;

use super::super::access::place_of_answer;
use super::super::family::{Dedupe, Row};
use super::super::seal::Place;
use super::super::seam::Space;
use super::super::webhooks;
use super::entry::Table;
use crate::domain::id::TenantId;

/// A kind of row that may hold secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Secret,
    Connection,
    Webhook,
    Answer,
    Person,
}

/// What a sealed value is bound to, beside its tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    kind: &'static str,
    pub(super) id: String,
    version: u64,
}

impl Bound {
    pub(super) fn place(&self, tenant: TenantId) -> Place<'_> {
        Place { tenant, kind: self.kind, id: &self.id, version: self.version }
    }
}

impl Holder {
    /// Returns what kind of holder lies at a key, which is without its tenant.
    pub(super) fn at(table: Table, key: &[u8]) -> Option<Holder> {
        const SECRET: u8 = Row::Secret as u8;
        const CONNECTION: u8 = Row::Connection as u8;
        const WEBHOOK: u8 = Row::Webhook as u8;
        const ANSWER: u8 = Dedupe::Answer as u8;
        match (table, key) {
            (Table::Own(Space::Row), [SECRET, ..]) => Some(Holder::Secret),
            (Table::Own(Space::Row), [CONNECTION, ..]) => Some(Holder::Connection),
            (Table::Own(Space::Row), [WEBHOOK, webhooks::CONFIGURED, ..]) => Some(Holder::Webhook),
            (Table::Own(Space::Dedupe), [ANSWER, ..]) => Some(Holder::Answer),
            (Table::Person, _) => Some(Holder::Person),
            _ => None, // The export looks whether something sealed lies there all the same.
        }
    }

    /// Shows every sealed value of a row with what it is bound to.
    pub(super) fn each<E>(
        self,
        key: &[u8],
        row: &mut Value,
        see: &mut dyn FnMut(&Bound, &mut Value) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Holder::Secret => {
                let place = |kind, id, version| Bound { kind, id, version };
                let bound = place("secret", text(row, "name"), number(row, "version"));
                slot(row, "sealed", &bound, see)
            }
            Holder::Connection => {
                let name = text(row, "name");
                let secrets = row.get_mut("secrets").and_then(Value::as_object_mut);
                for (secret, values) in secrets.into_iter().flatten() {
                    let id = super::super::connections::sealed_id(&name, secret);
                    for value in values.as_array_mut().into_iter().flatten() {
                        let (id, version) = (id.clone(), number(value, "version"));
                        slot(value, "sealed", &Bound { kind: "connection", id, version }, see)?;
                    }
                }
                Ok(())
            }
            Holder::Webhook => {
                let id = text(row, "id");
                let mut part = |part: &mut Value| {
                    let version = number(part, "version");
                    slot(part, "sealed", &Bound { kind: "webhook", id: id.clone(), version }, see)
                };
                let secrets = row.get_mut("secrets").and_then(Value::as_array_mut);
                secrets.into_iter().flatten().try_for_each(&mut part)?;
                row.get_mut("headers").filter(|it| it.is_object()).map_or(Ok(()), part)
            }
            Holder::Answer => {
                let scope = key.get(1..).unwrap_or_default();
                let scope = String::from_utf8_lossy(scope);
                let place = place_of_answer(TenantId(0), scope.trim_end_matches('\0'));
                let (kind, version) = ("answer", place.version);
                slot(row, "sealed", &Bound { kind, id: place.id.to_owned(), version }, see)
            }
            Holder::Person => {
                let bound = Bound { kind: "authenticator", id: text(row, "id"), version: 1 };
                let Some(factor) = row.get_mut("secondFactor") else { return Ok(()) };
                slot(factor, "secret", &bound, see)?;
                slot(factor, "pending", &bound, see)
            }
        }
    }
}

fn slot<E>(
    of: &mut Value,
    field: &str,
    bound: &Bound,
    see: &mut dyn FnMut(&Bound, &mut Value) -> Result<(), E>,
) -> Result<(), E> {
    match of.get_mut(field).filter(|value| value.is_string()) {
        Some(value) => see(bound, value),
        None => Ok(()),
    }
}

pub(super) fn text(of: &Value, field: &str) -> String {
    of.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn number(of: &Value, field: &str) -> u64 {
    of.get(field).and_then(Value::as_u64).unwrap_or_default()
}
