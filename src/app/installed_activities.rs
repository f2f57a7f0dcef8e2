//! Brings the activities of an app into agreement with its manifest and with its installation.

use super::apps::identifier_of;
use super::error::Error;
use super::principal::Scopes;
use crate::domain::activity::custom::{
    Account, Carrier, CustomActivity, Ended, HttpOperation, Owner,
};
use crate::domain::manifest::{Manifest, ManifestActivity};
use crate::domain::time::Timestamp;
use crate::domain::workflow::Retry;
use crate::store::apps::AppRow;
use crate::store::tenant::TenantTx;

/// Writes what differs: an activity that does something else now is its next version; one that the
/// manifest has no more is retired; all of them end with the installation.
pub(super) fn sync(
    tx: &mut TenantTx<'_, '_>,
    app: &AppRow,
    manifest: &Manifest,
) -> Result<(), Error> {
    let known = tx.view().activities_of(&Owner::App(app.uid.clone()))?;
    let granted = app.installation.as_ref().map(|known| Scopes::new(known.scopes.clone()));
    for declared in &manifest.activities {
        let identifier = identifier_of(&declared.name, &app.uid, tx.tenant());
        let own = known.iter().filter(|row| row.identifier == identifier);
        let newest = own.max_by_key(|row| row.version);
        let next = made(declared, app, identifier.clone(), newest.map_or(1, |row| row.version));
        match newest {
            None => tx.put_custom_activity(&CustomActivity { offered_at: tx.now(), ..next }),
            Some(row) if is_like(row, &next) => {}
            Some(row) => {
                let version = row.version + 1;
                let next = CustomActivity { version, offered_at: tx.now(), ..next };
                tx.put_custom_activity(&next);
            }
        }
    }
    for row in tx.view().activities_of(&Owner::App(app.uid.clone()))? {
        let is_declared = manifest
            .activities
            .iter()
            .any(|declared| identifier_of(&declared.name, &app.uid, tx.tenant()) == row.identifier);
        let lacks = |granted: &Scopes| row.scopes.iter().any(|scope| !granted.cover(scope));
        let ended = match &granted {
            None => Some(Ended::NotInstalled),
            Some(granted) if lacks(granted) => Some(Ended::NotGranted),
            Some(_) if !is_declared => Some(Ended::Retired),
            Some(_) => None,
        };
        if ended != row.ended {
            tx.put_custom_activity(&CustomActivity { ended, ..row });
        }
    }
    Ok(())
}

/// Removes every activity of an app.
pub(super) fn retire_all(tx: &mut TenantTx<'_, '_>, app: &str) -> Result<(), Error> {
    for row in tx.view().activities_of(&Owner::App(app.to_owned()))? {
        tx.remove_custom_activity(&row.identifier, row.version);
    }
    Ok(())
}

fn is_like(row: &CustomActivity, other: &CustomActivity) -> bool {
    let at = Timestamp::default();
    let plain =
        |row: &CustomActivity| CustomActivity { offered_at: at, ended: None, ..row.clone() };
    plain(row) == plain(other)
}

fn made(
    declared: &ManifestActivity,
    app: &AppRow,
    identifier: String,
    version: u32,
) -> CustomActivity {
    let account = Account::Connection(app.connection());
    CustomActivity {
        identifier,
        alias: Some(declared.name.clone()),
        version,
        name: declared.title.clone(),
        category: declared.category.clone(),
        source: app.name.clone(),
        description: declared.description.clone(),
        input_schema: declared.request_schema.clone(),
        output_schema: declared.response_schema.clone(),
        scopes: declared.scopes.clone(),
        compensation: declared.compensation,
        timeout_ms: declared.timeout_ms,
        retry: Retry::DEFAULT,
        throttle: declared.throttle.clone(),
        carrier: Carrier::Http(HttpOperation { account, ..declared.operation.clone() }),
        owner: Owner::App(app.uid.clone()),
        offered_at: Timestamp::default(),
        ended: None,
    }
}
