//! Roles: what people may do, each a set of scopes with a name.

use serde::{Deserialize, Serialize};

/// Everything that a scope can be about.
pub const RESOURCES: [&str; 32] = [
    "tasks",
    "custom-fields",
    "custom-objects",
    "organization",
    "forms",
    "events",
    "workflows",
    "runs",
    "tickets",
    "accounts",
    "contacts",
    "teams",
    "users",
    "tags",
    "keys",
    "tenants",
    "secrets",
    "connections",
    "destinations",
    "apps",
    "webhooks",
    "schedules",
    "approvals",
    "audit",
    "retention",
    "system",
    "comments",
    "demo",
    "people",
    "http",
    "slack",
    "mail",
];

/// Those that are about acting in another system.
const CONNECTED: [&str; 3] = ["http", "slack", "mail"];

/// Returns whether a scope's resource is another system: one of ours, or one that an app brings.
#[must_use]
pub fn is_connected(resource: &str) -> bool {
    CONNECTED.contains(&resource) || !RESOURCES.contains(&resource)
}

const DESK: &[&str] = &["tickets", "accounts", "contacts", "teams", "users", "tags", "comments"];
const MODEL: &[&str] = &["custom-fields", "custom-objects", "organization"];
const WORK: &[&str] = &["events", "workflows", "runs", "schedules", "approvals", "tasks"];
const PLUMBING: &[&str] = &["connections", "destinations", "apps", "webhooks", "forms"];
const BOX: &[&str] = &["system", "retention", "demo"];
const ACCESS: &[&str] = &["keys", "people", "secrets", "audit", "tenants"];

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything; an owner of the first tenant rules the appliance.
    Owner,
    /// Everything within the tenant.
    Admin,
    /// Builds workflows and connects systems.
    Editor,
    /// Runs what others built.
    Operator,
    /// Decides where a run asks a person.
    Approver,
    /// Looks, and changes nothing.
    Viewer,
    /// Looks at everything, who may what and who did what included.
    Auditor,
}

/// Reading alone, or changing as well.
#[derive(Clone, Copy)]
enum Level {
    Read,
    Write,
}

impl Role {
    /// Every role, the mightiest first.
    pub const ALL: [Role; 7] = [
        Role::Owner,
        Role::Admin,
        Role::Editor,
        Role::Operator,
        Role::Approver,
        Role::Viewer,
        Role::Auditor,
    ];

    /// Returns the role's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Admin => "admin",
            Role::Editor => "editor",
            Role::Operator => "operator",
            Role::Approver => "approver",
            Role::Viewer => "viewer",
            Role::Auditor => "auditor",
        }
    }

    /// Returns what it is for, in a sentence.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Role::Owner => "May do everything; in the first tenant, in every other tenant too.",
            Role::Admin => "May do everything in the tenant: people, keys and secrets included.",
            Role::Editor => "Builds workflows and connects systems.",
            Role::Operator => "Runs, cancels and retries what others built, and works the desk.",
            Role::Approver => "Decides where a run asks a person, and sees why it asks.",
            Role::Viewer => "Sees what happens and changes nothing.",
            Role::Auditor => "Sees everything, also who may do what and who did what.",
        }
    }

    /// Returns the role with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Returns what it may do: `*`, or a list of `<resource>:read` and `<resource>:write`.
    #[must_use]
    pub fn scopes(self) -> Vec<String> {
        use Level::{Read, Write};
        let granted: &[(Level, &[&str])] = match self {
            Role::Owner => return vec!["*".to_owned()],
            Role::Admin => &[
                (Write, WORK),
                (Write, DESK),
                (Write, PLUMBING),
                (Write, MODEL),
                (Write, &["keys", "people", "secrets", "demo", "retention"]),
                (Read, &["audit", "tenants", "system"]),
            ],
            Role::Editor => &[
                (Write, &["events", "workflows", "runs", "schedules", "tasks"]),
                (Write, DESK),
                (Write, PLUMBING),
                (Write, &["demo", "custom-fields", "custom-objects"]),
                (Read, &["approvals", "secrets", "system", "organization"]),
            ],
            Role::Operator => &[
                (Write, &["events", "runs", "demo", "destinations"]),
                (Write, DESK),
                (Read, &["workflows", "schedules", "approvals", "tasks", "system"]),
                (Read, PLUMBING),
                (Read, MODEL),
            ],
            Role::Approver => &[
                (Write, &["approvals"]),
                (Read, WORK),
                (Read, DESK),
                (Read, MODEL),
                (Read, &["demo"]),
            ],
            Role::Viewer => {
                &[(Read, WORK), (Read, DESK), (Read, MODEL), (Read, PLUMBING), (Read, BOX)]
            }
            Role::Auditor => &[
                (Read, WORK),
                (Read, DESK),
                (Read, MODEL),
                (Read, PLUMBING),
                (Read, BOX),
                (Read, ACCESS),
            ],
        };
        let mut scopes: Vec<String> = Vec::new();
        for (level, resources) in granted {
            scopes.extend(resources.iter().map(|resource| match level {
                Read => format!("{resource}:read"),
                Write => format!("{resource}:write"),
            }));
        }
        scopes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_found_by_its_name_and_grants_only_scopes_that_exist() {
        for role in Role::ALL {
            assert_eq!(Role::named(role.name()), Some(role));
            for scope in role.scopes().iter().filter(|scope| *scope != "*") {
                let (resource, action) = scope.split_once(':').expect("two parts");
                assert!(RESOURCES.contains(&resource), "{scope}");
                assert!(matches!(action, "read" | "write"), "{scope}");
            }
        }
        assert_eq!(Role::named("root"), None);
    }

    #[test]
    fn who_only_looks_changes_nothing() {
        for role in [Role::Viewer, Role::Auditor] {
            assert!(role.scopes().iter().all(|scope| scope.ends_with(":read")), "{role:?}");
        }
        assert!(!Role::Viewer.scopes().iter().any(|scope| scope.starts_with("audit")));
    }

    #[test]
    fn an_admin_rules_no_other_tenant() {
        let scopes = Role::Admin.scopes();
        assert!(!scopes.iter().any(|scope| scope == "*" || scope == "tenants:write"));
    }
}
