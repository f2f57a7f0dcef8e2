//! Failed sign-ins make the next one wait, longer each time, and never for ever.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use super::error::Error;
use super::settings::AccessSettings;
use crate::domain::time::Timestamp;

const FIRST_DELAY_MS: u64 = 1_000;
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);
const KNOWN_BEFORE_SWEEP: usize = 10_000;
/// People of one office share an address.
const ADDRESS_FACTOR: u32 = 4;

/// The recent failures by account and by address; in memory alone, since a restart is rare.
#[derive(Debug)]
pub struct Throttle {
    failures_free: u32,
    delay_ms_max: u64,
    failures: Mutex<HashMap<String, Failures>>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    until: Timestamp,
    last: Timestamp,
}

/// Whose failures are counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    account: String,
    address: Option<String>,
}

impl Attempt {
    /// Names an account, whether it exists or not, and the address that asks for it.
    #[must_use]
    pub fn of(account: &str, address: Option<&str>) -> Attempt {
        Attempt {
            account: format!("account {}", account.to_lowercase()),
            address: network_of(address).map(|network| format!("address {network}")),
        }
    }
}

/// Returns the network of an address; none for this very machine.
pub(super) fn network_of(address: Option<&str>) -> Option<String> {
    address.filter(|address| !is_own(address)).map(network)
}

/// Everybody comes from this very machine where a proxy on it is not named in the settings; the
/// failures of one must not hold up all of them.
fn is_own(address: &str) -> bool {
    address.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// Returns the network that one subscriber has: 64 bits of an address of version 6.
fn network(address: &str) -> String {
    match address.parse() {
        Ok(std::net::IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        _ => address.to_owned(), // Version 4, or a name.
    }
}

impl Throttle {
    /// Takes the bounds from the settings.
    #[must_use]
    pub fn new(settings: &AccessSettings) -> Throttle {
        Throttle {
            failures_free: settings.sign_in_failures_free,
            delay_ms_max: settings.sign_in_delay_ms_max,
            failures: Mutex::default(),
        }
    }

    /// Counts an attempt as failed until it succeeds, so that many at once are counted as well.
    ///
    /// # Errors
    /// `Busy` while the account or the address has to wait; then nothing is counted.
    pub fn begin(&self, attempt: &Attempt, now: Timestamp) -> Result<(), Error> {
        let mut failures = self.failures.lock();
        let address = attempt.address.as_ref().map(|key| (key, ADDRESS_FACTOR));
        let both = [Some((&attempt.account, 1)), address];
        for (key, _) in both.iter().flatten() {
            if let Some(known) = failures.get(*key).filter(|known| known.until > now) {
                return Err(Error::Busy {
                    detail: "too many attempts to sign in; wait a little".to_owned(),
                    retry_after: known.until.since(now),
                });
            }
        }
        if failures.len() > KNOWN_BEFORE_SWEEP {
            failures.retain(|_, known| now.since(known.last) < FORGOTTEN_AFTER);
        }
        for (key, factor) in both.into_iter().flatten() {
            let fresh = Failures { count: 0, until: now, last: now };
            let known = failures.entry(key.clone()).or_insert(fresh);
            if now.since(known.last) >= FORGOTTEN_AFTER {
                *known = fresh;
            }
            known.count += 1;
            known.last = now;
            known.until = now + self.delay(known.count, factor);
        }
        Ok(())
    }

    /// Forgets the failures of an account that succeeded; its address keeps those of others.
    pub fn succeed(&self, attempt: &Attempt) {
        let mut failures = self.failures.lock();
        failures.remove(&attempt.account);
        if let Some(known) = attempt.address.as_ref().and_then(|key| failures.get_mut(key)) {
            known.count = known.count.saturating_sub(1);
            known.until = known.last;
        }
    }

    fn delay(&self, count: u32, factor: u32) -> Duration {
        let beyond = count.saturating_sub(self.failures_free.saturating_mul(factor));
        if beyond == 0 {
            return Duration::ZERO;
        }
        let doubled = FIRST_DELAY_MS.saturating_mul(1 << (beyond - 1).min(20));
        Duration::from_millis(doubled.min(self.delay_ms_max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    fn wait(throttle: &Throttle, attempt: &Attempt, now: Timestamp) -> Option<u64> {
        match throttle.begin(attempt, now) {
            Err(Error::Busy { retry_after, .. }) => u64::try_from(retry_after.as_millis()).ok(),
            _ => None,
        }
    }

    #[test]
    fn each_failure_beyond_the_free_ones_doubles_the_wait_up_to_a_limit() {
        let settings = AccessSettings {
            sign_in_failures_free: 2,
            sign_in_delay_ms_max: 3_000,
            ..AccessSettings::default()
        };
        let throttle = Throttle::new(&settings);
        let attempt = Attempt::of("ada@example.com", None);
        assert_eq!(wait(&throttle, &attempt, at(0)), None);
        assert_eq!(wait(&throttle, &attempt, at(0)), None);
        assert_eq!(wait(&throttle, &attempt, at(0)), None);
        assert_eq!(wait(&throttle, &attempt, at(0)), Some(1_000));
        assert_eq!(wait(&throttle, &attempt, at(1_000)), None);
        assert_eq!(wait(&throttle, &attempt, at(1_000)), Some(2_000));
        assert_eq!(wait(&throttle, &attempt, at(3_000)), None);
        assert_eq!(wait(&throttle, &attempt, at(3_000)), Some(3_000));
        throttle.succeed(&attempt);
        assert_eq!(wait(&throttle, &attempt, at(3_000)), None);
    }

    #[test]
    fn an_address_waits_for_all_its_accounts_and_others_do_not() {
        let settings = AccessSettings { sign_in_failures_free: 1, ..AccessSettings::default() };
        let throttle = Throttle::new(&settings);
        for number in 0..5 {
            let attempt = Attempt::of(&format!("a{number}"), Some("2001:db8::1"));
            assert_eq!(wait(&throttle, &attempt, at(0)), None);
        }
        let neighbour = Attempt::of("b", Some("2001:db8::2"));
        assert!(wait(&throttle, &neighbour, at(0)).is_some());
        assert_eq!(wait(&throttle, &Attempt::of("b", Some("2001:db9::1")), at(0)), None);
        for number in 0..50 {
            let behind_a_proxy = Attempt::of(&format!("c{number}"), Some("127.0.0.1"));
            assert_eq!(wait(&throttle, &behind_a_proxy, at(0)), None);
        }
    }
}
