//! Events that the bot of an app publishes: only those of its manifest, as their schemas say.

use serde::Serialize;
use serde_json::{Map, Value};

use super::App;
use super::apps::manifest_of;
use super::error::Error;
use super::events::EventOutcome;
use super::principal::{Kind, Principal};
use crate::domain::problem::{Problem, nearest};
use crate::domain::time::Timestamp;
use crate::engine::IncomingEvent;

/// What a bot is told of an event that it published.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedView {
    /// Always true: what is refused is told otherwise.
    pub success: bool,
    /// The id of the event.
    pub message_id: String,
    /// When it was accepted.
    pub timestamp: Timestamp,
}

impl App {
    /// Accepts an event of the bot's own app.
    ///
    /// # Errors
    /// `Forbidden` for a caller that is no bot, `Invalid` for an event that the manifest does not
    /// publish or whose payload does not fit.
    pub async fn publish_app_event(
        &self,
        who: &Principal,
        name: &str,
        payload: Value,
    ) -> Result<PublishedView, Error> {
        if who.kind != Kind::Bot {
            return Err(Error::Forbidden { scope: "the key of an app's bot".to_owned() });
        }
        let is_own = |app: &crate::store::apps::AppRow| {
            app.installation.as_ref().is_some_and(|known| known.bot_id == who.id)
        };
        let app = self.read(who, |view| Ok(view.apps()?.into_iter().find(is_own)))?;
        let app = app.ok_or_else(|| Error::Unauthenticated("the app is not installed".into()))?;
        let manifest = manifest_of(&app)?;
        let published: Vec<&str> = manifest.publishes.iter().map(|it| it.kind.as_str()).collect();
        if !published.contains(&name) {
            let detail = format!("the manifest of `{}` publishes no event `{name}`", app.slug);
            let problem = Problem::new("/event_name", "unknown_event_type", detail);
            let problem = match nearest(name, published.iter().copied()) {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => problem.with_hint("add it to `/events/publish` of the manifest"),
            };
            return Err(Error::Invalid(vec![problem]));
        }
        let event = IncomingEvent {
            id: None,
            kind: name.to_owned(),
            source: app.source(),
            subject: None,
            time: None,
            actor: None,
            payload,
            metadata: Map::new(),
        };
        let outcome = self.accept_events(who, vec![event]).await?.into_iter().next();
        match outcome.expect("every event has an outcome") {
            EventOutcome::Accepted(accepted) => {
                Ok(PublishedView { success: true, message_id: accepted.id, timestamp: self.now() })
            }
            EventOutcome::Rejected(problems) => {
                let moved = problems.into_iter().map(|problem| Problem {
                    pointer: problem.pointer.replacen("/data", "/payload", 1),
                    ..problem
                });
                Err(Error::Invalid(moved.collect()))
            }
        }
    }
}
