//! Mail that comes in: who takes it, and the event that it becomes.

use serde_json::{Map, json};

use super::App;
use super::error::Error;
use super::events::{EventOutcome, IncomingEvent};
use super::principal::{Principal, Scopes};
use crate::domain::event::Actor;
use crate::domain::id::TenantId;
use crate::domain::mail::Mail;
use crate::store::access::APPLIANCE;

/// The type of the event that a mail makes.
pub const EVENT_TYPE: &str = "email:received";
const ID_BYTES_MAX: usize = 255;

/// A tenant that takes a mail, and the addresses that lead to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The tenant.
    pub tenant: TenantId,
    /// The addresses of the envelope.
    pub addresses: Vec<String>,
}

impl App {
    /// Returns the tenant with a slug, if there is one.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn tenant_by_slug(&self, slug: &str) -> Result<Option<TenantId>, Error> {
        let tenants = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
        Ok(tenants.into_iter().find(|tenant| tenant.slug == slug).map(|tenant| tenant.id))
    }

    /// Accepts a mail for every tenant that takes it; the same mail again is recognised by its id.
    ///
    /// # Errors
    /// Returns why it was not accepted everywhere; it may be sent again.
    pub async fn accept_mail(&self, mail: &Mail, recipients: &[Recipient]) -> Result<(), Error> {
        for recipient in recipients {
            let who = Principal {
                tenant: recipient.tenant,
                id: "mail".to_owned(),
                name: "mail".to_owned(),
                scopes: Scopes::new(vec!["events:write".to_owned()]),
            };
            let outcomes = self.accept_events(&who, vec![event(mail, recipient)]).await?;
            let label = match outcomes.into_iter().next() {
                Some(EventOutcome::Accepted(accepted)) if accepted.duplicate => "duplicate",
                Some(EventOutcome::Accepted(_)) => "accepted",
                Some(EventOutcome::Rejected(problems)) => return Err(Error::Invalid(problems)),
                None => "rejected",
            };
            self.engine().metrics().hook_delivered("mail", label);
        }
        Ok(())
    }
}

fn event(mail: &Mail, recipient: &Recipient) -> IncomingEvent {
    let mut payload = mail.payload.clone();
    payload["recipients"] = json!(recipient.addresses);
    let id: String = match mail.id.len() <= ID_BYTES_MAX {
        true => mail.id.clone(),
        false => super::access::digest(&mail.id),
    };
    let subject = recipient.addresses.first().cloned();
    let actor =
        Actor { id: mail.from.clone(), kind: "CUSTOMER".to_owned(), email: mail.from.clone() };
    IncomingEvent {
        id: Some(id),
        kind: EVENT_TYPE.to_owned(),
        source: "/mail".to_owned(),
        subject,
        time: None,
        actor: Some(actor),
        payload,
        metadata: Map::new(),
    }
}
