//! People who sign in: invited, given roles, disabled, removed.

use serde::Serialize;

use super::App;
use super::audit::Change;
use super::error::Error;
use super::links::{OneTimeLink, end_links};
use super::page::PageRequest;
use super::principal::{Kind, Principal, Scopes};
use super::sessions::end_all;
use super::views::Page;
use crate::domain::id::TenantId;
use crate::domain::problem::{Problem, nearest};
use crate::domain::role::Role;
use crate::domain::time::Timestamp;
use crate::store::access::APPLIANCE;
use crate::store::people::{LinkPurpose, PersonRow, SecondFactor};
use crate::store::tenant::{TenantTx, TenantView};

const EMAIL_CHARS_MAX: usize = 254;
const NAME_CHARS_MAX: usize = 120;

/// Somebody who signs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonView {
    /// Names the person.
    pub id: String,
    /// Their mail address.
    pub email: String,
    /// What people call them.
    pub name: String,
    /// What they may do.
    pub roles: Vec<Role>,
    /// The teams that they are limited to; none for no limit.
    pub teams: Vec<String>,
    /// `active`, `invited` (without a password yet) or `disabled`.
    pub status: &'static str,
    /// Whether a code is asked for at the door.
    pub second_factor: bool,
    /// When they were invited.
    pub created_at: Timestamp,
    /// Who invited them.
    pub created_by: String,
    /// When they signed in last.
    pub signed_in_at: Option<Timestamp>,
}

/// Somebody who is to be invited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewPerson {
    /// Their mail address.
    pub email: String,
    /// What people call them.
    pub name: String,
    /// The names of their roles.
    pub roles: Vec<String>,
    /// The ids of the teams that they are limited to.
    pub teams: Vec<String>,
}

/// What is to be changed about somebody; what is not given stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonPatch {
    /// What people call them.
    pub name: Option<String>,
    /// The names of their roles.
    pub roles: Option<Vec<String>>,
    /// The ids of the teams that they are limited to.
    pub teams: Option<Vec<String>>,
    /// Whether they may sign in.
    pub standing: Option<Standing>,
}

/// Whether somebody may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They may.
    Enabled,
    /// They may not, and their sessions and keys open nothing.
    Disabled,
}

/// Somebody who was invited, or whose password is to be set anew.
#[derive(Clone, Debug, Serialize)]
pub struct Invitation {
    /// Who.
    #[serde(flatten)]
    pub person: PersonView,
    /// The page where they set their password, shown this once.
    pub link: OneTimeLink,
}

impl App {
    /// Lists the people of the caller's tenant, oldest first.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn people(&self, who: &Principal, page: &PageRequest) -> Result<Page<PersonView>, Error> {
        let mut rows = self.read_of(APPLIANCE, |view| people_of(&view, who.tenant))?;
        let sort_key = |row: &PersonRow| format!("{:020} {}", row.created_at.millis(), row.id);
        rows.sort_by_key(sort_key);
        Ok(page.cut(rows, sort_key).map(|row| show(&row)))
    }

    /// Returns somebody by id or mail address.
    ///
    /// # Errors
    /// `NotFound` when the tenant has nobody of that name.
    pub fn person(&self, who: &Principal, name: &str) -> Result<PersonView, Error> {
        self.read_of(APPLIANCE, |view| Ok(show(&person_of(&view, who.tenant, name)?)))
    }

    /// Invites somebody and returns the link by which they set their password.
    ///
    /// # Errors
    /// `Invalid` with every problem, `Forbidden` for roles that allow more than the caller may,
    /// `Conflict` for a mail address that is taken.
    pub async fn invite(&self, who: &Principal, wanted: NewPerson) -> Result<Invitation, Error> {
        let roles = check(&wanted)?;
        check_grant(who, &roles, &wanted.teams)?;
        let email = check_email(&wanted.email)?;
        let person = PersonRow {
            id: self.new_person_id(),
            tenant: who.tenant,
            name: if wanted.name.trim().is_empty() { email.clone() } else { wanted.name },
            email,
            roles,
            teams: wanted.teams,
            password: None,
            second_factor: SecondFactor::default(),
            disabled_at: None,
            created_at: self.now(),
            created_by: who.email.clone().unwrap_or_else(|| who.name.clone()),
            signed_in_at: None,
        };
        let (link, row) = self.new_link(LinkPurpose::Invitation, Some(person.id.clone()));
        let shown = show(&person);
        self.write_access(who, Change::of("person.create", &person.id), move |tx, change| {
            check_free(tx.view(), &person.email)?;
            tx.put_person(&person);
            tx.put_link(&row);
            change.after(&show(&person));
            Ok(())
        })
        .await?;
        Ok(Invitation { person: shown, link })
    }

    /// Changes what somebody is called, what they may do or whether they may sign in; a change of
    /// what they may do ends their sessions.
    ///
    /// # Errors
    /// `NotFound`, `Invalid`, `Forbidden` for somebody or something above the caller, `Conflict`
    /// when no owner would be left.
    pub async fn change_person(
        &self,
        who: &Principal,
        name: &str,
        patch: PersonPatch,
    ) -> Result<PersonView, Error> {
        let roles = patch.roles.as_deref().map(check_roles).transpose()?;
        patch.name.as_deref().map_or(Ok(()), check_name)?;
        self.alter(who, name, "person.change", move |tx, caller, before| {
            let mut person = before.clone();
            if let Some(roles) = roles {
                person.roles = roles;
            }
            if let Some(teams) = patch.teams {
                person.teams = teams;
            }
            if (&person.roles, &person.teams) != (&before.roles, &before.teams) {
                check_grant(caller, &person.roles, &person.teams)?;
            }
            if let Some(name) = patch.name {
                person.name = name;
            }
            match patch.standing {
                Some(Standing::Disabled) => {
                    person.disabled_at = person.disabled_at.or(Some(tx.now()));
                    end_links(tx, &person.id)?;
                }
                Some(Standing::Enabled) => person.disabled_at = None,
                None => {} // It stays.
            }
            let sign = |row: &PersonRow| (row.roles.clone(), row.teams.clone(), row.disabled_at);
            if sign(&person) != sign(before) {
                end_all(tx, &person.id, None)?;
            }
            Ok(person)
        })
        .await
    }

    /// Makes a link by which somebody sets another password. Until then they cannot sign in: the
    /// old password, the second factor and every session end at once.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden` for somebody above the caller, `Conflict` for a disabled account.
    pub async fn reset_password(&self, who: &Principal, name: &str) -> Result<Invitation, Error> {
        let id = self.person(who, name)?.id;
        let (link, row) = self.new_link(LinkPurpose::Reset, Some(id.clone()));
        let person = self
            .alter(who, &id, "person.resetPassword", move |tx, _, before| {
                if before.disabled_at.is_some() {
                    let detail = "the account is disabled; enable it first".to_owned();
                    return Err(Error::Conflict { code: "disabled", detail });
                }
                end_links(tx, &before.id)?;
                end_all(tx, &before.id, None)?;
                tx.put_link(&row);
                let (password, second_factor) = (None, SecondFactor::default());
                Ok(PersonRow { password, second_factor, ..before.clone() })
            })
            .await?;
        Ok(Invitation { person, link })
    }

    /// Removes somebody with their sessions, links and keys.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden` for somebody above the caller, `Conflict` when no owner would be
    /// left.
    pub async fn remove_person(&self, who: &Principal, name: &str) -> Result<(), Error> {
        let (caller, name) = (who.clone(), name.to_owned());
        let outcome = self
            .write_access(who, Change::of("person.remove", name.as_str()), move |tx, change| {
                let person = person_of(&tx.view(), caller.tenant, &name)?;
                check_rank(&caller, &person)?;
                check_owner_left(&tx.view(), &caller, &person, None)?;
                end_links(tx, &person.id)?;
                end_all(tx, &person.id, None)?;
                for key in tx.view().keys()? {
                    if key.person.as_deref() == Some(&person.id) {
                        tx.remove_key(&key.digest);
                    }
                }
                tx.remove_person(&person);
                change.target(&person.id);
                change.before(&show(&person));
                Ok(())
            })
            .await;
        self.known.forget();
        outcome
    }

    async fn alter<F>(
        &self,
        who: &Principal,
        name: &str,
        action: &str,
        decide: F,
    ) -> Result<PersonView, Error>
    where
        F: FnOnce(&mut TenantTx<'_, '_>, &Principal, &PersonRow) -> Result<PersonRow, Error>
            + Send
            + 'static,
    {
        let (caller, name) = (who.clone(), name.to_owned());
        let outcome = self
            .write_access(who, Change::of(action, name.as_str()), move |tx, change| {
                let before = person_of(&tx.view(), caller.tenant, &name)?;
                check_rank(&caller, &before)?;
                let after = decide(tx, &caller, &before)?;
                check_owner_left(&tx.view(), &caller, &before, Some(&after))?;
                tx.put_person(&after);
                change.target(&before.id);
                change.before(&Traced::of(&before));
                change.after(&Traced::of(&after));
                Ok(show(&after))
            })
            .await;
        self.known.forget();
        outcome
    }

    pub(super) fn new_person_id(&self) -> String {
        format!("psn_{:016x}", self.clock().random())
    }
}

/// What the audit tells of a person: also that the password is another, never which.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Traced<'a> {
    #[serde(flatten)]
    view: PersonView,
    password: &'a Option<String>,
}

impl Traced<'_> {
    pub(super) fn of(row: &PersonRow) -> Traced<'_> {
        Traced { view: show(row), password: &row.password }
    }

    pub(super) fn differs(&self, other: &Traced<'_>) -> bool {
        (&self.view, self.password) != (&other.view, other.password)
    }
}

pub(super) fn show(row: &PersonRow) -> PersonView {
    let status = match (&row.disabled_at, &row.password) {
        (Some(_), _) => "disabled",
        (None, None) => "invited",
        (None, Some(_)) => "active",
    };
    PersonView {
        id: row.id.clone(),
        email: row.email.clone(),
        name: row.name.clone(),
        roles: row.roles.clone(),
        teams: row.teams.clone(),
        status,
        second_factor: row.second_factor.secret.is_some(),
        created_at: row.created_at,
        created_by: row.created_by.clone(),
        signed_in_at: row.signed_in_at,
    }
}

fn people_of(view: &TenantView<'_>, tenant: TenantId) -> Result<Vec<PersonRow>, Error> {
    let mut people = view.people()?;
    people.retain(|person| person.tenant == tenant);
    Ok(people)
}

fn person_of(view: &TenantView<'_>, tenant: TenantId, name: &str) -> Result<PersonRow, Error> {
    let found = match name.contains('@') {
        true => view.person_by_email(name)?,
        false => view.person(name)?,
    };
    let found = found.filter(|person| person.tenant == tenant);
    found.ok_or_else(|| Error::NotFound { what: "person", id: name.to_owned() })
}

pub(super) fn check_free(view: TenantView<'_>, email: &str) -> Result<(), Error> {
    if view.person_by_email(email)?.is_none() {
        return Ok(());
    }
    // Whether the other is of this tenant is not said.
    let detail = "this mail address cannot be invited: it has an account already".to_owned();
    Err(Error::Conflict { code: "email_taken", detail })
}

/// Returns a mail address in lower case.
pub(super) fn check_email(email: &str) -> Result<String, Error> {
    let email = email.trim().to_lowercase();
    let (local, host) = email.rsplit_once('@').unwrap_or_default();
    let fits = !local.is_empty()
        && !host.is_empty()
        && email.len() <= EMAIL_CHARS_MAX
        && !email.contains(|c: char| c.is_whitespace() || c.is_control() || "<>,;/\"".contains(c));
    if fits {
        return Ok(email);
    }
    let detail = "must be a mail address, such as ada@example.com";
    Err(Error::Invalid(vec![Problem::new("/email", "invalid_email", detail)]))
}

pub(super) fn check_name(name: &str) -> Result<(), Error> {
    let chars = name.chars().count();
    let is_blank = name.trim().is_empty();
    if !is_blank && chars <= NAME_CHARS_MAX && !name.contains(char::is_control) {
        return Ok(());
    }
    let detail = format!("must have 1 to {NAME_CHARS_MAX} characters and no line breaks");
    Err(Error::Invalid(vec![Problem::new("/name", "invalid_name", detail)]))
}

fn check(wanted: &NewPerson) -> Result<Vec<Role>, Error> {
    let (mut problems, mut known) = (Vec::new(), Vec::new());
    let name = if wanted.name.is_empty() { Ok(()) } else { check_name(&wanted.name) };
    for checked in [check_email(&wanted.email).map(|_| ()), name] {
        if let Err(Error::Invalid(found)) = checked {
            problems.extend(found);
        }
    }
    match check_roles(&wanted.roles) {
        Ok(roles) => known = roles,
        Err(Error::Invalid(found)) => problems.extend(found),
        Err(error) => return Err(error),
    }
    if problems.is_empty() { Ok(known) } else { Err(Error::Invalid(problems)) }
}

fn check_roles(names: &[String]) -> Result<Vec<Role>, Error> {
    let all = || Role::ALL.iter().map(|role| role.name());
    let mut problems = Vec::new();
    let mut roles = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let Some(role) = Role::named(name) else {
            let detail = format!("`{name}` is no role");
            let problem = Problem::new(format!("/roles/{index}"), "unknown_role", detail);
            problems.push(match nearest(name, all()) {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => problem
                    .with_hint(format!("the roles are {}", all().collect::<Vec<_>>().join(", "))),
            });
            continue;
        };
        roles.push(role);
    }
    if names.is_empty() {
        problems.push(Problem::new("/roles", "empty", "needs at least one role"));
    }
    roles.sort_unstable();
    roles.dedup();
    if problems.is_empty() { Ok(roles) } else { Err(Error::Invalid(problems)) }
}

/// Nobody gives away more than they have.
fn check_grant(who: &Principal, roles: &[Role], teams: &[String]) -> Result<(), Error> {
    let excess = Scopes::of_roles(roles);
    if let Some(scope) = excess.as_slice().iter().find(|scope| !who.scopes.cover(scope)) {
        return Err(Error::Forbidden { scope: scope.clone() });
    }
    let within =
        who.teams.is_empty() || !teams.is_empty() && teams.iter().all(|team| who.sees_team(team));
    if within {
        return Ok(());
    }
    let detail = "must be among your own teams";
    Err(Error::Invalid(vec![Problem::new("/teams", "not_yours", detail)]))
}

/// Nobody changes an account that may do more than they.
fn check_rank(who: &Principal, person: &PersonRow) -> Result<(), Error> {
    let theirs = Scopes::of_roles(&person.roles);
    match theirs.as_slice().iter().find(|scope| !who.scopes.cover(scope)) {
        Some(scope) => Err(Error::Forbidden { scope: scope.clone() }),
        None => Ok(()),
    }
}

/// A tenant that has an owner who can sign in keeps one, unless somebody on the box decides.
fn check_owner_left(
    view: &TenantView<'_>,
    who: &Principal,
    before: &PersonRow,
    after: Option<&PersonRow>,
) -> Result<(), Error> {
    let rules = |row: &PersonRow| {
        row.roles.contains(&Role::Owner) && row.disabled_at.is_none() && row.password.is_some()
    };
    let loses = rules(before) && !after.is_some_and(rules);
    if !loses || who.kind == Kind::Local {
        return Ok(());
    }
    let others = people_of(view, before.tenant)?;
    if others.iter().any(|row| row.id != before.id && rules(row)) {
        return Ok(());
    }
    let detail = "nobody else owns this tenant; make another owner first".to_owned();
    Err(Error::Conflict { code: "last_owner", detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(role: Role, teams: &[&str]) -> Principal {
        Principal {
            scopes: Scopes::of_roles(&[role]),
            teams: teams.iter().map(|team| (*team).to_owned()).collect(),
            ..Principal::program(TenantId(1), "test")
        }
    }

    #[test]
    fn nobody_makes_somebody_mightier_than_themselves() {
        for (own, granted, fits) in [
            (Role::Owner, Role::Owner, true),
            (Role::Admin, Role::Owner, false),
            (Role::Admin, Role::Admin, true),
            (Role::Admin, Role::Auditor, true),
            (Role::Editor, Role::Admin, false),
            (Role::Editor, Role::Approver, false),
        ] {
            let granted_to = check_grant(&who(own, &[]), &[granted], &[]);
            assert_eq!(granted_to.is_ok(), fits, "{own:?} {granted:?}");
        }
    }

    #[test]
    fn whoever_is_limited_to_teams_limits_others_to_them() {
        let lead = who(Role::Admin, &["T1"]);
        let fits = |teams: &[&str]| {
            let teams: Vec<String> = teams.iter().map(|team| (*team).to_owned()).collect();
            check_grant(&lead, &[Role::Viewer], &teams).is_ok()
        };
        assert!(fits(&["T1"]) && !fits(&["T2"]) && !fits(&["T1", "T2"]) && !fits(&[]));
    }

    #[test]
    fn a_mail_address_is_kept_in_lower_case() {
        assert_eq!(check_email(" Ada@Example.COM ").expect("fits"), "ada@example.com");
        for wrong in ["", "ada", "@x", "ada@", "a b@x", "a@\nb", "<a@b>", "a/b@c"] {
            assert!(check_email(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_role_is_refused_with_the_nearest() {
        let Err(Error::Invalid(problems)) = check_roles(&["editr".to_owned()]) else {
            panic!("it is refused");
        };
        assert_eq!(problems[0].pointer, "/roles/0");
        assert_eq!(problems[0].hint.as_deref(), Some("did you mean `editor`?"));
    }
}
