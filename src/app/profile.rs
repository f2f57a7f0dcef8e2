//! What somebody changes about themselves: the password and the second factor.

use std::sync::Arc;

use serde::Serialize;

use super::App;
use super::access::digest;
use super::audit::Change;
use super::error::Error;
use super::links::end_links;
use super::one_time_code::{base32, otpauth};
use super::people::{PersonView, Traced, show};
use super::principal::{Kind, Principal};
use super::sessions::end_all;
use super::sign_in::{Entered, confirm, plain, seal};
use super::throttle::network_of;
use crate::domain::desk::RecordKind;
use crate::domain::role::Role;
use crate::store::access::APPLIANCE;
use crate::store::people::{PersonRow, SecondFactor};

const SECRET_BYTES: usize = 20;
const RECOVERY_CODES: usize = 10;

/// Who is asking.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MeView {
    /// The id of the key or the person.
    pub id: String,
    /// `person`, `key`, `commandLine` or `program`.
    pub kind: &'static str,
    /// What people call them.
    pub name: String,
    /// The tenant.
    pub tenant: MyTenant,
    /// What they may do.
    pub scopes: Vec<String>,
    /// The roles that the scopes come from.
    pub roles: Vec<Role>,
    /// The teams whose tickets they see; none for every team.
    pub teams: Vec<String>,
    /// The account, of a person.
    pub person: Option<PersonView>,
    /// The id of the desk's user with the same mail address.
    pub user: Option<String>,
}

/// The tenant of whoever asks.
#[derive(Clone, Debug, Serialize)]
pub struct MyTenant {
    /// Its name in commands and headers.
    pub slug: String,
    /// Its name for people.
    pub name: String,
}

/// A second factor that waits to be confirmed.
#[derive(Clone, Debug, Serialize)]
pub struct Enrolment {
    /// The shared secret as authenticators take it.
    pub secret: String,
    /// The address in the QR code.
    pub uri: String,
}

/// What was confirmed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryCodes {
    /// Each signs in once in place of a code; they are shown this once.
    pub recovery_codes: Vec<String>,
}

impl App {
    /// Says who is asking and what they may do.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn me(&self, who: &Principal) -> Result<MeView, Error> {
        let tenant = self.tenant(who.tenant)?;
        let person = match who.kind {
            Kind::Person => Some(show(&self.own(who)?)),
            Kind::Key | Kind::Bot | Kind::Local | Kind::Program => None,
        };
        let user = match &who.email {
            Some(email) => {
                self.read(who, |view| Ok(view.holder(RecordKind::User, "email", email)?))?
            }
            None => None,
        };
        Ok(MeView {
            id: who.id.clone(),
            kind: who.kind.word(),
            name: who.name.clone(),
            tenant: MyTenant { slug: tenant.slug, name: tenant.name },
            scopes: who.scopes.as_slice().to_vec(),
            roles: who.roles.clone(),
            teams: who.teams.clone(),
            person,
            user,
        })
    }

    /// Sets another password, ends every session of the caller and begins a new one.
    ///
    /// # Errors
    /// `Invalid` for a wrong or a weak password, `Conflict` for a caller without one.
    pub async fn change_password(
        &self,
        who: &Principal,
        current: String,
        password: String,
    ) -> Result<Entered, Error> {
        let person = self.own(who)?;
        self.check_password(who, &person, ("/current", current)).await?;
        self.passwords.check(&password, &[&person.email, &person.name])?;
        let hash = self.passwords.hash(network_of(who.origin.address.as_deref()), password).await?;
        let (entered, session) = self.new_session(who);
        self.amend(who, person, "person.setPassword", move |tx, mut person| {
            person.password = Some(hash);
            end_links(tx, &person.id)?;
            end_all(tx, &person.id, None)?;
            tx.put_session(&session);
            Ok((person, ()))
        })
        .await?;
        Ok(entered)
    }

    /// Makes a secret for an authenticator; it counts once a code of it was confirmed.
    ///
    /// # Errors
    /// `Conflict` for a caller who has a second factor already or no password.
    pub async fn begin_second_factor(&self, who: &Principal) -> Result<Enrolment, Error> {
        let person = self.own(who)?;
        if person.second_factor.secret.is_some() {
            let detail = "there is a second factor already; take it away first".to_owned();
            return Err(Error::Conflict { code: "second_factor_exists", detail });
        }
        let random: Vec<u8> = (0..3).flat_map(|_| self.clock().random().to_be_bytes()).collect();
        let secret = random[..SECRET_BYTES].to_vec();
        let pending = seal(self.sealer(), &person, &secret);
        let uri = otpauth(&secret, &person.email);
        self.amend(who, person, "person.beginSecondFactor", move |_, mut person| {
            person.second_factor.pending = Some(pending);
            Ok((person, ()))
        })
        .await?;
        Ok(Enrolment { secret: base32(&secret), uri })
    }

    /// Takes the second factor into use with a first code of it; the caller's other sessions end.
    ///
    /// # Errors
    /// `Invalid` for a wrong code, `Conflict` when none waits to be confirmed.
    pub async fn confirm_second_factor(
        &self,
        who: &Principal,
        code: &str,
    ) -> Result<RecoveryCodes, Error> {
        let person = self.own(who)?;
        let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| self.recovery_code()).collect();
        let digests: Vec<String> = codes.iter().map(|code| digest(&plain(code))).collect();
        let (code, keep) = (code.to_owned(), who.session.clone());
        let sealer = Arc::clone(self.sealer());
        self.amend(who, person, "person.addSecondFactor", move |tx, mut person| {
            confirm(tx.now(), &mut person, (&code, &sealer))?;
            person.second_factor.recovery = digests;
            end_all(tx, &person.id, keep.as_deref())?;
            Ok((person, ()))
        })
        .await?;
        Ok(RecoveryCodes { recovery_codes: codes })
    }

    /// Takes the second factor away.
    ///
    /// # Errors
    /// `Invalid` for a wrong password.
    pub async fn remove_second_factor(
        &self,
        who: &Principal,
        password: String,
    ) -> Result<(), Error> {
        let person = self.own(who)?;
        self.check_password(who, &person, ("/password", password)).await?;
        self.amend(who, person, "person.removeSecondFactor", |_, mut person| {
            person.second_factor = SecondFactor::default();
            Ok((person, ()))
        })
        .await
    }

    /// Returns the caller's account.
    fn own(&self, who: &Principal) -> Result<PersonRow, Error> {
        let row = match who.kind {
            Kind::Person => self.read_of(APPLIANCE, |view| Ok(view.person(&who.id)?))?,
            Kind::Key | Kind::Bot | Kind::Local | Kind::Program => None,
        };
        row.ok_or_else(|| Error::Conflict {
            code: "not_a_person",
            detail: "only somebody who signed in with a password has an account".to_owned(),
        })
    }

    /// Changes the caller's own account as it is now, unless its password changed meanwhile.
    async fn amend<T, F>(
        &self,
        who: &Principal,
        seen: PersonRow,
        action: &str,
        decide: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(
                &mut crate::store::tenant::TenantTx<'_, '_>,
                PersonRow,
            ) -> Result<(PersonRow, T), Error>
            + Send
            + 'static,
    {
        // An owner who looks into another tenant changes their account at home.
        let at_home = Principal { tenant: who.home, ..who.clone() };
        let change = Change::of(action, &who.id);
        let outcome = self
            .write_access(&at_home, change, move |tx, change| {
                let before = tx.view().person(&seen.id)?;
                let same = |row: &PersonRow| row.password == seen.password;
                let before = before.filter(same).ok_or_else(|| Error::Conflict {
                    code: "changed_meanwhile",
                    detail: "the account was changed meanwhile; try again".to_owned(),
                })?;
                let (after, value) = decide(tx, before.clone())?;
                tx.put_person(&after);
                if Traced::of(&before).differs(&Traced::of(&after)) {
                    change.before(&Traced::of(&before));
                    change.after(&Traced::of(&after));
                }
                Ok(value)
            })
            .await;
        self.known.forget();
        outcome
    }

    fn recovery_code(&self) -> String {
        let text = format!("{:016x}", self.clock().random());
        format!("{}-{}-{}", &text[..5], &text[5..10], &text[10..15])
    }
}
