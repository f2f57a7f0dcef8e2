//! Teams: read by id or identifier.

use super::input::named;
use super::{OnDesk, described, reading, schema};
use crate::domain::desk::RecordKind;

const KEYS: &[&str] = &["id", "teamId", "identifier", "teamIdentifier"];

pub(in crate::activities) const GET: OnDesk = OnDesk {
    spec: || {
        let text = "Reads a team, named by its id or its identifier.";
        let spec = described("teams:get-team-platform", "Get a team", text);
        reading("teams", schema::key(KEYS), schema::record(RecordKind::Team), spec)
    },
    run: |desk, input| Ok(desk.get(RecordKind::Team, named(input, KEYS)?)?.into()),
};
