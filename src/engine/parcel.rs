//! Packs messages for subscribers: signed with every secret that is valid, by Standard Webhooks.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::activities::outside::courier::Parcel;
use crate::domain::id::TenantId;
use crate::domain::run::Failure;
use crate::domain::secret::{Mask, Secret};
use crate::domain::signature::standard_webhooks::sign;
use crate::domain::time::Timestamp;
use crate::store::seal::{Sealer, Unopened};
use crate::store::webhook_deliveries::AttemptRow;
use crate::store::webhooks::{SealedPart, WebhookRow, place};

use super::Engine;
use super::delivery::told;

/// Who every message says that it comes from.
pub const USER_AGENT: &str = concat!("Ergane/", env!("CARGO_PKG_VERSION"));

/// What is sent.
#[derive(Clone, Debug)]
pub struct Message {
    /// The same through every attempt.
    pub id: String,
    /// When this attempt is made.
    pub at: Timestamp,
    /// The body, as it is signed.
    pub body: String,
}

/// Signs a message and puts the subscription's headers to it; the mask knows what must not be seen
/// of an answer.
pub(super) fn pack(
    sealer: &Sealer,
    tenant: TenantId,
    hook: &WebhookRow,
    message: Message,
    timeout: Duration,
) -> Result<(Parcel, Mask), Failure> {
    let open = |part: &SealedPart| sealer.open(place(tenant, &hook.id, part.version), &part.sealed);
    let sealed = |error: Unopened| Failure::retryable("secret_unavailable", error.to_string());
    let valid = hook.secrets.iter().filter(|it| it.until.is_none_or(|until| until > message.at));
    let secrets: Vec<Secret> =
        valid.map(|secret| open(&secret.part)).collect::<Result<_, _>>().map_err(sealed)?;
    let given: BTreeMap<String, String> = match &hook.headers {
        Some(part) => {
            serde_json::from_str(open(part).map_err(sealed)?.expose()).unwrap_or_default()
        }
        None => BTreeMap::new(),
    };
    let mask = Mask::new(&[secrets.clone(), given.values().map(Secret::new).collect()].concat());
    let timestamp = (message.at.millis() / 1_000).to_string();
    let signatures: Vec<String> = secrets
        .iter()
        .map(|secret| sign(secret, &message.id, &timestamp, message.body.as_bytes()))
        .collect();
    let ours = [
        ("content-type", "application/json".to_owned()),
        ("user-agent", USER_AGENT.to_owned()),
        ("webhook-id", message.id),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", signatures.join(" ")),
    ];
    let ours = ours.into_iter().map(|(name, value)| (name.to_owned(), value));
    let headers = given.into_iter().chain(ours).collect();
    Ok((Parcel { url: hook.url.clone(), headers, body: message.body, timeout }, mask))
}

impl Engine {
    /// Sends one message to a subscriber at once, beside its queue, and tells what came of it.
    pub async fn try_webhook(
        &self,
        tenant: TenantId,
        hook: &WebhookRow,
        message: Message,
    ) -> AttemptRow {
        let timeout = Duration::from_millis(self.shared.settings.delivery_timeout_ms);
        let begun = AttemptRow::begun(1, message.at);
        let started = tokio::time::Instant::now();
        let (outcome, mask) = match pack(&self.shared.sealer, tenant, hook, message, timeout) {
            Ok((parcel, mask)) => (self.shared.activities.courier().send(parcel).await, mask),
            Err(failure) => (Err(failure), Mask::default()),
        };
        told(begun, started.elapsed(), &outcome, &mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::domain::signature::standard_webhooks::{Headers, secret_of, verify};
    use crate::domain::webhook::Format;
    use crate::store::webhooks::SealedSecret;

    const TENANT: TenantId = TenantId(1);
    const SECOND: Duration = Duration::from_secs(1);

    fn hook(sealer: &Sealer, secrets: &[(u8, Option<i64>)]) -> WebhookRow {
        let seal = |(index, (byte, until)): (usize, &(u8, Option<i64>))| {
            let version = index as u64;
            let sealed = sealer.seal(place(TENANT, "wh_1", version), &secret_of(&[*byte; 32]));
            let until = until.map(Timestamp::from_millis);
            SealedSecret { part: SealedPart { sealed, version }, until }
        };
        WebhookRow {
            id: "wh_1".to_owned(),
            url: "https://example.com/".to_owned(),
            types: vec!["*".to_owned()],
            filter: None,
            description: String::new(),
            format: Format::Event,
            app: None,
            teams: Vec::new(),
            header_names: Vec::new(),
            headers: None,
            secrets: secrets.iter().enumerate().map(seal).collect(),
            version: secrets.len() as u64,
            enabled: true,
            disabled: None,
            created_at: Timestamp::default(),
            created_by: String::new(),
            updated_at: Timestamp::default(),
        }
    }

    fn header<'p>(parcel: &'p Parcel, name: &str) -> &'p str {
        let found = parcel.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    #[test]
    fn every_secret_that_is_valid_signs() {
        let sealer = Sealer::new(&[7; 32], Clock::system());
        let at = Timestamp::from_millis(10_000);
        let hook = hook(&sealer, &[(1, None), (2, Some(10_001)), (3, Some(10_000))]);
        let message = || Message { id: "evt_1".to_owned(), at, body: "{}".to_owned() };
        let (parcel, _) = pack(&sealer, TENANT, &hook, message(), SECOND).expect("packed");
        let headers = Headers {
            id: header(&parcel, "webhook-id"),
            timestamp: header(&parcel, "webhook-timestamp"),
            signatures: header(&parcel, "webhook-signature"),
        };
        for (byte, believed) in [(1, true), (2, true), (3, false)] {
            let secrets = [secret_of(&[byte; 32])];
            assert_eq!(verify(&secrets, headers, b"{}", at).is_ok(), believed, "{byte}");
        }
        let stranger = Sealer::new(&[8; 32], Clock::system());
        let Err(failure) = pack(&stranger, TENANT, &hook, message(), SECOND) else {
            panic!("a stranger's key opens it");
        };
        assert_eq!(failure.code, "secret_unavailable");
    }
}
