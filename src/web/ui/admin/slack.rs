//! How a Slack app is set up for a connection: its request URL, its scopes, and its manifest.

use serde_json::json;

use crate::app::connections::ConnectionView;
use crate::app::deliveries::DeliveryView;
use crate::web::ui::parts::moment::Moment;
use crate::web::ui::shell::Shell;

/// What the bot needs for the activities and events that there are.
const SCOPES: [&str; 12] = [
    "chat:write",
    "chat:write.public",
    "channels:read",
    "channels:history",
    "channels:manage",
    "groups:history",
    "im:write",
    "reactions:read",
    "reactions:write",
    "users:read",
    "users:read.email",
    "app_mentions:read",
];
/// What Slack tells of.
const EVENTS: [&str; 5] =
    ["app_mention", "channel_created", "message.channels", "message.groups", "reaction_added"];

/// What a person needs to set up the Slack side.
#[derive(Clone, Debug)]
pub struct SlackSetup {
    /// What Slack asks for as the request URL.
    pub request_url: String,
    /// The scopes of the bot.
    pub scopes: [&'static str; 12],
    /// The manifest to paste.
    pub manifest: String,
    /// Whether what comes in can be believed.
    pub is_signed: bool,
    /// Whether the bot can act.
    pub has_token: bool,
    /// When something came in last.
    pub heard: Option<Moment>,
}

impl SlackSetup {
    /// Makes what is to be pasted for a connection with this address.
    pub fn new(
        shell: &Shell,
        view: &ConnectionView,
        hook: &str,
        deliveries: &[DeliveryView],
    ) -> SlackSetup {
        let manifest = json!({
            "display_information": { "name": format!("Ergane {}", view.name) },
            "features": { "bot_user": { "display_name": "Ergane", "always_online": true } },
            "oauth_config": { "scopes": { "bot": SCOPES } },
            "settings": {
                "event_subscriptions": { "request_url": hook, "bot_events": EVENTS },
                "interactivity": { "is_enabled": true, "request_url": hook },
                "org_deploy_enabled": false,
                "socket_mode_enabled": false,
                "token_rotation_enabled": false,
            },
        });
        SlackSetup {
            request_url: hook.to_owned(),
            scopes: SCOPES,
            manifest: format!("{manifest:#}"),
            is_signed: view.secrets.contains_key("signingSecret"),
            has_token: ["botToken", "accessToken", "refreshToken"]
                .iter()
                .any(|name| view.secrets.contains_key(*name)),
            heard: deliveries.first().map(|one| shell.ago(&one.received_at)),
        }
    }
}
