//! The one-time link by which the first person comes in: who has it becomes the owner.

use std::time::Duration;

use parking_lot::Mutex;
use subtle::ConstantTimeEq as _;

use super::App;
use super::access::digest;
use super::error::Error;
use super::keys::{MadeKey, NewKey};
use super::principal::Scopes;
use crate::domain::time::Timestamp;

const LINK_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
const FIRST_KEY: &str = "first owner";

/// The link that is open, if one is; only the digest of its token is kept, and only in memory.
#[derive(Debug, Default)]
pub struct OpenLink(Mutex<Option<Link>>);

#[derive(Debug)]
struct Link {
    digest: String,
    expires_at: Timestamp,
}

/// What the link gave.
#[derive(Clone, Debug)]
pub struct SetUp {
    /// The owner's key, shown this once.
    pub made: MadeKey,
    /// The token of a session that has begun.
    pub session: String,
}

impl App {
    /// Opens a link and returns its token, unless somebody has a key already.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn open_setup_link(&self) -> Result<Option<String>, Error> {
        if self.has_key()? {
            return Ok(None);
        }
        let token = self.secret();
        let expires_at = self.now() + LINK_LIFE;
        *self.setup.0.lock() = Some(Link { digest: digest(&token), expires_at });
        Ok(Some(token))
    }

    /// Makes the owner's key and begins a session for whoever has the link; it works once.
    ///
    /// # Errors
    /// `Unauthenticated` for a link that is wrong, used or too old.
    pub async fn set_up(&self, token: &str) -> Result<SetUp, Error> {
        self.take_link(token)?;
        let owner = self.local_owner()?;
        let scopes = Scopes::owner().as_slice().to_vec();
        let wanted = NewKey { name: FIRST_KEY.to_owned(), scopes, expires_at: None };
        let made = self.create_key(&owner, wanted).await?;
        let session = self.sign_in(&made.key).await?;
        Ok(SetUp { made, session })
    }

    fn take_link(&self, token: &str) -> Result<(), Error> {
        let mut open = self.setup.0.lock();
        let fits = open.as_ref().is_some_and(|link| {
            let same = link.digest.as_bytes().ct_eq(digest(token).as_bytes());
            bool::from(same) && link.expires_at > self.now()
        });
        if !fits {
            let detail = "this link was used, is too old or was mistyped; a restart prints another";
            return Err(Error::Unauthenticated(detail.to_owned()));
        }
        *open = None;
        Ok(())
    }
}
