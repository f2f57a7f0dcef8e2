//! Signing in: with a password and a code, or with a key, slowly for whoever guesses.

use std::sync::Arc;

use super::App;
use super::access::{digest, refused};
use super::audit::Change;
use super::error::Error;
use super::one_time_code::matching_step;
use super::passwords::Match;
use super::principal::{Kind, Origin, Principal, Scopes};
use super::throttle::{Attempt, network_of};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::store::access::{APPLIANCE, SessionRow};
use crate::store::people::PersonRow;
use crate::store::seal::{Sealed, Sealer};

const WRONG: &str = "the mail address, the password or the code is not right";
const CODE_MISSING: &str = "enter the code of your authenticator as well, or a recovery code";
const EMAIL_CHARS_MAX: usize = 254;

/// What somebody shows at the door.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The mail address.
    pub email: String,
    /// The password.
    pub password: String,
    /// The code of the authenticator, or a recovery code; empty for none.
    pub code: String,
}

/// A session that has begun; its token is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    /// What the browser keeps.
    pub token: String,
    /// Names the session.
    pub id: String,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}

impl App {
    /// Begins a session for whoever knows the password and, where there is one, the code.
    ///
    /// # Errors
    /// `Unauthenticated`, whatever of it was wrong; `Busy` after too many failures.
    pub async fn sign_in(&self, shown: Credentials, origin: Origin) -> Result<Entered, Error> {
        let email: String = shown.email.trim().chars().take(EMAIL_CHARS_MAX).collect();
        let attempt = Attempt::of(&email, origin.address.as_deref());
        self.throttle.begin(&attempt, self.now())?;
        let person = self.read_of(APPLIANCE, |view| Ok(view.person_by_email(&email)?))?;
        let kept = person.as_ref().and_then(|person| person.password.clone());
        let network = network_of(origin.address.as_deref());
        let matched = self.passwords.verify(network, shown.password, kept).await?;
        let open = person.clone().filter(|person| person.disabled_at.is_none());
        let (Some(person), Match::Right) = (open, matched) else {
            self.note_refusal(person.as_ref(), &email, origin).await;
            return Err(refused(WRONG));
        };
        let code = shown.code.trim().to_owned();
        if person.second_factor.secret.is_some() && code.is_empty() {
            return Err(refused(CODE_MISSING));
        }
        let who = Principal { origin: origin.clone(), ..self.of_person(person.clone())? };
        match self.enter(&who, person.clone(), code).await {
            Ok(entered) => {
                self.throttle.succeed(&attempt);
                Ok(entered)
            }
            Err(Error::Unauthenticated(detail)) => {
                self.note_refusal(Some(&person), &email, origin).await;
                Err(refused(&detail))
            }
            Err(error) => Err(error),
        }
    }

    async fn enter(
        &self,
        who: &Principal,
        checked: PersonRow,
        code: String,
    ) -> Result<Entered, Error> {
        let (entered, session) = self.new_session(who);
        let mut change = Change::of("session.begin", &entered.id);
        change.after(&serde_json::json!({ "agent": session.agent }));
        let sealer = Arc::clone(self.sealer());
        self.write_access(who, change, move |tx, _| {
            let person = tx.view().person(&checked.id)?;
            let same = |person: &PersonRow| {
                person.password == checked.password && person.disabled_at.is_none()
            };
            let mut person = person.filter(same).ok_or_else(|| refused(WRONG))?;
            take_code(tx.now(), &mut person, (&code, &sealer))?;
            person.signed_in_at = Some(tx.now());
            tx.put_person(&person);
            tx.put_session(&session);
            Ok(())
        })
        .await?;
        Ok(entered)
    }

    /// Begins a session for whoever shows a valid key.
    ///
    /// # Errors
    /// `Unauthenticated` for a key that is not valid, `Busy` after too many failures.
    pub async fn sign_in_with_key(&self, key: &str, origin: Origin) -> Result<Entered, Error> {
        // A key cannot be guessed; what is counted is the address alone.
        let attempt = Attempt::of(&digest(key), origin.address.as_deref());
        self.throttle.begin(&attempt, self.now())?;
        let principal = self.authenticate(key).await?;
        self.throttle.succeed(&attempt);
        let row = self.key_row(&digest(key))?;
        let who = Principal { origin, ..principal };
        let (entered, session) = self.new_session(&who);
        let session = SessionRow { key_digest: Some(row.digest), person: None, ..session };
        self.write_access(&who, Change::of("session.begin", &entered.id), move |tx, _| {
            tx.put_session(&session);
            Ok(())
        })
        .await?;
        Ok(entered)
    }

    /// Checks the password of somebody who is signed in, as before every change of it.
    ///
    /// # Errors
    /// `Invalid` at `pointer` for a wrong one, `Busy` after too many failures.
    pub(super) async fn check_password(
        &self,
        who: &Principal,
        person: &PersonRow,
        (pointer, password): (&str, String),
    ) -> Result<(), Error> {
        let attempt = Attempt::of(&person.email, who.origin.address.as_deref());
        self.throttle.begin(&attempt, self.now())?;
        let network = network_of(who.origin.address.as_deref());
        match self.passwords.verify(network, password, person.password.clone()).await? {
            Match::Right => {
                self.throttle.succeed(&attempt);
                Ok(())
            }
            Match::Wrong => {
                self.note_refusal(Some(person), &person.email, who.origin.clone()).await;
                let problem =
                    crate::domain::problem::Problem::new(pointer, "wrong", "is not your password");
                Err(Error::Invalid(vec![problem]))
            }
        }
    }

    /// Records that somebody was refused; a refusal does not become a success where it cannot be
    /// recorded.
    async fn note_refusal(&self, person: Option<&PersonRow>, email: &str, origin: Origin) {
        let Ok(first) = self.first_tenant() else { return };
        let tenant = person.map_or(first.id, |person| person.tenant);
        let who = Principal {
            kind: Kind::Person,
            id: person.map(|person| person.id.clone()).unwrap_or_default(),
            name: email.to_owned(),
            scopes: Scopes::new(Vec::new()),
            origin,
            ..Principal::program(tenant, "")
        };
        let change = Change::of("session.refuse", email);
        if let Err(error) = self.write_access(&who, change, |_, _| Ok(())).await {
            tracing::warn!(%error, "Could not record a refused sign-in");
        }
    }
}

/// Takes a code so that it cannot be taken again.
fn take_code(
    now: Timestamp,
    person: &mut PersonRow,
    (code, sealer): (&str, &Sealer),
) -> Result<(), Error> {
    let Some(sealed) = &person.second_factor.secret else { return Ok(()) };
    let secret = open(sealer, person, sealed)?;
    let factor = &mut person.second_factor;
    if let Some(step) = matching_step(&secret, code, now, factor.last_step) {
        factor.last_step = step;
        return Ok(());
    }
    let recovery = digest(&plain(code));
    let place = factor.recovery.iter().position(|kept| *kept == recovery);
    let place = place.ok_or_else(|| refused(WRONG))?;
    factor.recovery.remove(place);
    Ok(())
}

/// Returns a recovery code without what people put between its letters.
pub(super) fn plain(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
}

/// Checks a code against a secret that waits to be confirmed, and takes it.
pub(super) fn confirm(
    now: Timestamp,
    person: &mut PersonRow,
    (code, sealer): (&str, &Sealer),
) -> Result<(), Error> {
    let pending = person.second_factor.pending.take().ok_or_else(|| Error::Conflict {
        code: "not_begun",
        detail: "ask for a secret first".to_owned(),
    })?;
    let secret = open(sealer, person, &pending)?;
    let step = matching_step(&secret, code, now, 0).ok_or_else(|| {
        let detail = "is not the present code; is the clock of the authenticator right?";
        Error::Invalid(vec![crate::domain::problem::Problem::new("/code", "wrong", detail)])
    })?;
    person.second_factor.secret = Some(pending);
    person.second_factor.last_step = step;
    Ok(())
}

/// Seals a person's shared secret, so that the file alone makes no codes.
pub(super) fn seal(sealer: &Sealer, person: &PersonRow, secret: &[u8]) -> Sealed {
    sealer.seal(person.authenticator(), &Secret::new(hex::encode(secret)))
}

fn open(sealer: &Sealer, person: &PersonRow, sealed: &Sealed) -> Result<Vec<u8>, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Internal(error.to_string());
    let secret = sealer.open(person.authenticator(), sealed).map_err(|error| failed(&error))?;
    hex::decode(secret.expose()).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::one_time_code::{code_at, step_at};
    use crate::clock::Clock;
    use crate::domain::id::TenantId;
    use crate::store::people::SecondFactor;

    fn ada() -> PersonRow {
        PersonRow {
            id: "psn_1".to_owned(),
            tenant: TenantId(1),
            email: "ada@example.com".to_owned(),
            name: "Ada".to_owned(),
            roles: vec![],
            teams: vec![],
            password: None,
            second_factor: SecondFactor {
                recovery: vec![digest("abcd1234")],
                ..SecondFactor::default()
            },
            disabled_at: None,
            created_at: Timestamp::from_millis(0),
            created_by: String::new(),
            signed_in_at: None,
        }
    }

    fn sealer() -> Sealer {
        Sealer::new(&[7; 32], Clock::manual(Timestamp::from_millis(0)))
    }

    #[test]
    fn a_code_and_a_recovery_code_are_taken_once() {
        let (mut ada, now) = (ada(), Timestamp::from_millis(1_111_111_109_000));
        let sealer = sealer();
        ada.second_factor.secret = Some(seal(&sealer, &ada, b"12345678901234567890"));
        let mut take = |code: &str| take_code(now, &mut ada, (code, &sealer));
        let code = code_at(b"12345678901234567890", step_at(now));
        assert!(take(&code).is_ok());
        assert!(take(&code).is_err());
        assert!(take("ABCD-1234").is_ok());
        assert!(take("ABCD-1234").is_err());
        assert!(take("").is_err());
    }

    #[test]
    fn an_account_without_a_second_factor_asks_for_no_code() {
        let mut ada = PersonRow { second_factor: SecondFactor::default(), ..ada() };
        assert!(take_code(Timestamp::from_millis(0), &mut ada, ("", &sealer())).is_ok());
    }
}
