//! One-time links: the first person comes in by one, and so does whoever sets a password.

use serde::Serialize;

use super::App;
use super::access::{digest, refused};
use super::audit::Change;
use super::error::Error;
use super::keys::NewKey;
use super::people::{check_email, check_name, show};
use super::principal::{Origin, Principal, Scopes};
use super::sign_in::Entered;
use super::throttle::network_of;
use crate::domain::role::Role;
use crate::domain::time::Timestamp;
use crate::store::access::APPLIANCE;
use crate::store::people::{LinkPurpose, LinkRow, PersonRow, SecondFactor};
use crate::store::tenant::{TenantTx, TenantView};

const FIRST_KEY: &str = "first owner";
const SPENT: &str = "this link was used, is too old or was mistyped; ask for another";

/// A link that was made; its token is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OneTimeLink {
    /// The page that it leads to, with the token.
    pub path: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Whose password a link sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invited {
    /// What people call them.
    pub name: String,
    /// Their mail address.
    pub email: String,
    /// What the link is for.
    pub purpose: Purpose,
}

pub use crate::store::people::LinkPurpose as Purpose;

/// Who becomes the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOwner {
    /// What people call them.
    pub name: String,
    /// Their mail address.
    pub email: String,
    /// Their password.
    pub password: String,
    /// Whether an API key is made for them as well.
    pub key: FirstKey,
}

/// Whether an API key is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstKey {
    /// It is.
    Wanted,
    /// It is not.
    Unwanted,
}

/// What the set-up gave.
#[derive(Clone, Debug)]
pub struct SetUp {
    /// The session that has begun.
    pub entered: Entered,
    /// The owner's key, shown this once, if it was wanted.
    pub key: Option<String>,
}

impl App {
    /// Opens the first person's link, unless somebody can come in already.
    ///
    /// # Errors
    /// Fails when the store cannot be read or written.
    pub async fn first_link(&self) -> Result<Option<OneTimeLink>, Error> {
        let people = self.read_of(APPLIANCE, |view| Ok(view.people()?))?;
        if self.has_key()? || people.iter().any(|person| person.password.is_some()) {
            return Ok(None);
        }
        let (link, row) = self.new_link(LinkPurpose::SetUp, None);
        self.write_of(APPLIANCE, move |tx| put_only(tx, &row)).await?;
        Ok(Some(link))
    }

    /// Opens another link that makes its holder an owner, for whoever owns the appliance.
    ///
    /// # Errors
    /// `Forbidden` for everybody else.
    pub async fn open_setup_link(&self, who: &Principal) -> Result<OneTimeLink, Error> {
        if !self.owns_appliance(who)? {
            return Err(Error::Forbidden { scope: "*".to_owned() });
        }
        let (link, row) = self.new_link(LinkPurpose::SetUp, None);
        let change = Change::of("setupLink.create", "");
        self.write_access(who, change, move |tx, _| put_only(tx, &row)).await?;
        Ok(link)
    }

    /// Checks that a set-up link opens, without using it.
    ///
    /// # Errors
    /// `Unauthenticated` for a link that is wrong, used or too old.
    pub fn check_setup_link(&self, token: &str) -> Result<(), Error> {
        let (digest, now) = (digest(token), self.now());
        self.read_of(APPLIANCE, |view| open_link(view, &digest, LinkPurpose::SetUp, now))?;
        Ok(())
    }

    /// Makes the holder of the link an owner and begins a session; the link works once.
    ///
    /// # Errors
    /// `Unauthenticated` for a link that is wrong, used or too old, `Invalid` for what was typed,
    /// `Conflict` for a mail address that is taken.
    pub async fn set_up(
        &self,
        token: &str,
        wanted: NewOwner,
        origin: Origin,
    ) -> Result<SetUp, Error> {
        self.check_setup_link(token)?;
        let digest = digest(token);
        check_name(&wanted.name)?;
        let email = check_email(&wanted.email)?;
        self.passwords.check(&wanted.password, &[&email, &wanted.name])?;
        let tenant = self.first_tenant()?.id;
        let network = network_of(origin.address.as_deref());
        let password = self.passwords.hash(network, wanted.password).await?;
        let person = PersonRow {
            id: self.new_person_id(),
            tenant,
            email,
            name: wanted.name,
            roles: vec![Role::Owner],
            teams: Vec::new(),
            password: Some(password),
            second_factor: SecondFactor::default(),
            disabled_at: None,
            created_at: self.now(),
            created_by: "set-up link".to_owned(),
            signed_in_at: Some(self.now()),
        };
        let who = Principal { origin, ..self.of_person(person.clone())? };
        let key = match wanted.key {
            FirstKey::Wanted => {
                let scopes = Scopes::owner().as_slice().to_vec();
                let wanted = NewKey { name: FIRST_KEY.to_owned(), scopes, expires_at: None };
                Some(self.new_key(&who, wanted)?)
            }
            FirstKey::Unwanted => None,
        };
        let (entered, session) = self.new_session(&who);
        let (row, text) = key.unzip();
        let change = Change::of("person.create", &person.id);
        self.write_access(&who, change, move |tx, change| {
            open_link(tx.view(), &digest, LinkPurpose::SetUp, tx.now())?;
            tx.remove_link(&digest);
            super::people::check_free(tx.view(), &person.email)?;
            tx.put_person(&person);
            tx.put_session(&session);
            if let Some(row) = row {
                tx.put_key(&row);
            }
            change.after(&show(&person));
            Ok(())
        })
        .await?;
        Ok(SetUp { entered, key: text })
    }

    /// Returns whose password an invitation or a reset sets.
    ///
    /// # Errors
    /// `Unauthenticated` for a link that is wrong, used or too old.
    pub fn invited(&self, token: &str) -> Result<Invited, Error> {
        self.read_of(APPLIANCE, |view| {
            let (link, person) = joining(view, &digest(token), self.now())?;
            Ok(Invited { name: person.name, email: person.email, purpose: link.purpose })
        })
    }

    /// Sets the password of the link's person, ends their sessions and begins one; the link works
    /// once.
    ///
    /// # Errors
    /// `Unauthenticated` for a link that is wrong, used or too old, `Invalid` for the password.
    pub async fn join(
        &self,
        token: &str,
        password: String,
        origin: Origin,
    ) -> Result<Entered, Error> {
        let (digest, now) = (digest(token), self.now());
        let (_, person) = self.read_of(APPLIANCE, |view| joining(view, &digest, now))?;
        self.passwords.check(&password, &[&person.email, &person.name])?;
        let hash = self.passwords.hash(network_of(origin.address.as_deref()), password).await?;
        let who = Principal { origin, ..self.of_person(person.clone())? };
        let (entered, session) = self.new_session(&who);
        let change = Change::of("person.setPassword", &person.id);
        let outcome = self
            .write_access(&who, change, move |tx, _| {
                let (_, mut person) = joining(tx.view(), &digest, tx.now())?;
                person.password = Some(hash);
                // With a second factor the session waits for its code: the link was the first.
                person.signed_in_at = Some(tx.now());
                end_links(tx, &person.id)?;
                super::sessions::end_all(tx, &person.id, None)?;
                tx.put_person(&person);
                if person.second_factor.secret.is_none() {
                    tx.put_session(&session);
                }
                Ok(person.second_factor.secret.is_none())
            })
            .await;
        self.known.forget();
        match outcome? {
            true => Ok(entered),
            false => Err(refused("the password is set; sign in with it and your code")),
        }
    }

    pub(super) fn new_link(
        &self,
        purpose: LinkPurpose,
        person: Option<String>,
    ) -> (OneTimeLink, LinkRow) {
        let token = self.secret();
        let expires_at = self.now() + self.access.link_life();
        let page = match purpose {
            LinkPurpose::SetUp => "/setup",
            LinkPurpose::Invitation | LinkPurpose::Reset => "/join",
        };
        let row = LinkRow { digest: digest(&token), purpose, person, expires_at };
        (OneTimeLink { path: format!("{page}?t={token}"), expires_at }, row)
    }
}

/// Removes every link of a person.
pub(super) fn end_links(tx: &mut TenantTx<'_, '_>, person: &str) -> Result<(), Error> {
    for link in tx.view().links()? {
        if link.person.as_deref() == Some(person) {
            tx.remove_link(&link.digest);
        }
    }
    Ok(())
}

/// There is one link for the set-up at a time.
fn put_only(tx: &mut TenantTx<'_, '_>, row: &LinkRow) -> Result<(), Error> {
    for link in tx.view().links()? {
        if link.purpose == LinkPurpose::SetUp {
            tx.remove_link(&link.digest);
        }
    }
    tx.put_link(row);
    Ok(())
}

fn open_link(
    view: TenantView<'_>,
    digest: &str,
    purpose: LinkPurpose,
    now: Timestamp,
) -> Result<LinkRow, Error> {
    let link = view.link(digest)?.filter(|link| link.purpose == purpose && link.expires_at > now);
    link.ok_or_else(|| refused(SPENT))
}

fn joining(
    view: TenantView<'_>,
    digest: &str,
    now: Timestamp,
) -> Result<(LinkRow, PersonRow), Error> {
    let link = view.link(digest)?.filter(|link| link.expires_at > now);
    let link = link.ok_or_else(|| refused(SPENT))?;
    let person = match &link.person {
        Some(person) => view.person(person)?,
        None => None,
    };
    let person = person.filter(|person| person.disabled_at.is_none());
    Ok((link, person.ok_or_else(|| refused(SPENT))?))
}
