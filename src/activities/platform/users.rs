//! Users: read by id or mail address.

use super::input::named;
use super::{OnDesk, described, reading, schema};
use crate::domain::desk::RecordKind;

const KEYS: &[&str] = &["id", "userId", "email"];

pub(in crate::activities) const GET: OnDesk = OnDesk {
    spec: || {
        let text = "Reads a user, named by id or mail address.";
        let spec = described("users:get-user-platform", "Get a user", text);
        reading("users", schema::key(KEYS), schema::record(RecordKind::User), spec)
    },
    run: |desk, input| Ok(desk.get(RecordKind::User, named(input, KEYS)?)?.into()),
};
