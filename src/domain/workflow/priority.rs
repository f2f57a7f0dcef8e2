//! Whose runs come first when there is more work than room.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fields::Field;

/// How urgent the runs of a workflow are among those that wait for room: 1 before 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Priority(u8);

impl Priority {
    /// Before all others.
    pub const HIGH: Priority = Priority(1);
    /// Unless a definition says otherwise.
    pub const NORMAL: Priority = Priority(3);
    /// After all others.
    pub const LOW: Priority = Priority(5);

    /// Every priority, the most urgent first.
    pub const ALL: [Priority; 5] =
        [Priority(1), Priority(2), Priority(3), Priority(4), Priority(5)];

    /// Returns the number, from 1 to 5.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// Returns whether it is what a workflow has that says nothing.
    #[must_use]
    pub fn is_normal(&self) -> bool {
        *self == Priority::NORMAL
    }

    pub(super) fn native(self) -> Value {
        match self {
            Priority::HIGH => json!("high"),
            Priority::NORMAL => json!("normal"),
            Priority::LOW => json!("low"),
            Priority(number) => json!(number),
        }
    }

    /// Reads one of three words, or a number from 1 to 5.
    pub(super) fn read(field: &Field<'_>) -> Option<Priority> {
        if field.value.is_number() {
            return field.whole(1..=5).and_then(|number| u8::try_from(number).ok()).map(Priority);
        }
        field.choice(&[
            ("high", Priority::HIGH),
            ("normal", Priority::NORMAL),
            ("low", Priority::LOW),
        ])
    }
}

impl Default for Priority {
    fn default() -> Priority {
        Priority::NORMAL
    }
}
