//! The door to the outside: no call reaches an inner address unless the settings allow it.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, redirect};
use serde_json::json;
use url::{Host, Url};

use crate::activities::settings::EgressSettings;
use crate::domain::run::Failure;

/// Decides which addresses calls may reach.
#[derive(Clone, Debug)]
pub struct Egress {
    allow: Arc<[IpNet]>,
}

/// Says that an address is not to be reached, and how to allow it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{host} leads to {address}, which is {kind}; to allow it, add its network to `egress.allow` \
     (ERGANE_EGRESS__ALLOW)"
)]
pub struct Refused {
    host: String,
    address: IpAddr,
    kind: &'static str,
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        let details = json!({
            "host": refused.host, "address": refused.address.to_string(), "kind": refused.kind,
        });
        Failure::terminal("egress_refused", refused.to_string()).with_details(details)
    }
}

impl Egress {
    /// Reads what is allowed from the settings.
    #[must_use]
    pub fn new(settings: &EgressSettings) -> Egress {
        Egress { allow: settings.allow.clone().into() }
    }

    /// Returns a client that connects only to allowed addresses, by whatever name; it follows no
    /// redirect, so that whoever does checks each hop, and asks no proxy.
    ///
    /// # Errors
    /// Fails when the client cannot be set up.
    pub fn client(&self, connect_timeout: Duration) -> reqwest::Result<Client> {
        Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(connect_timeout)
            .user_agent(concat!("ergane/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(self.clone()))
            .build()
    }

    /// Reads an address that a call may go to. Names are checked again when they are resolved.
    ///
    /// # Errors
    /// Fails when the text is no address of the web, or when it names an inner host.
    pub fn url(&self, text: &str) -> Result<Url, Failure> {
        let url = Url::parse(text.trim()).map_err(|error| {
            // The text itself stays out: it may hold a password.
            Failure::terminal("invalid_url", format!("this is no URL to call: {error}"))
        })?;
        self.check_url(&url)?;
        Ok(url)
    }

    /// Checks an address before a call goes to it.
    ///
    /// # Errors
    /// Fails when it is not of the web, or when it names an inner host.
    pub fn check_url(&self, url: &Url) -> Result<(), Failure> {
        if !matches!(url.scheme(), "http" | "https") {
            let message = format!("`{}` is refused: only http and https leave here", url.scheme());
            return Err(Failure::terminal("egress_refused", message));
        }
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(&address.to_string(), address.into())?,
            Some(Host::Ipv6(address)) => self.check(&format!("[{address}]"), address.into())?,
            Some(Host::Domain(name)) if is_local_name(name) => {
                self.check(name, Ipv4Addr::LOCALHOST.into())?;
            }
            Some(Host::Domain(_)) => {} // Its addresses are checked when it is resolved.
            None => return Err(Failure::terminal("invalid_url", "the URL has no host")),
        }
        Ok(())
    }

    /// Checks one address to which `host` leads.
    ///
    /// # Errors
    /// Fails when the address is an inner one and not allowed.
    pub fn check(&self, host: &str, address: IpAddr) -> Result<(), Refused> {
        let reached = unwrapped(address);
        let is_allowed = |net: &IpNet| net.contains(&address) || net.contains(&reached);
        match inner_kind(reached) {
            Some(kind) if !self.allow.iter().any(is_allowed) => {
                Err(Refused { host: host.to_owned(), address, kind })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Returns whether it is an inner address that the settings allow.
    #[must_use]
    pub fn is_allowed_inside(&self, address: IpAddr) -> bool {
        let reached = unwrapped(address);
        let is_allowed = |net: &IpNet| net.contains(&address) || net.contains(&reached);
        inner_kind(reached).is_some() && self.allow.iter().any(is_allowed)
    }
}

impl Resolve for Egress {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = self.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            // One inner address among outer ones is how a name is made to lead inside.
            for address in &found {
                egress.check(&host, address.ip())?;
            }
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

/// Returns the refusal of an address that lies beneath the error of a call.
#[must_use]
pub fn refusal<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Refused> {
    let mut beneath = Some(error);
    while let Some(error) = beneath {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return Some(refused);
        }
        beneath = error.source();
    }
    None
}

fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Returns the address that is reached in the end: several ranges of version 6 hold one of version 4.
fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(address) = address else { return address };
    let [a, b, c, d, e, f, ..] = address.segments();
    let is_last_four = matches!(
        (a, b, c, d, e, f),
        (0, 0, 0, 0, 0, 0xffff)         // Mapped.
        | (0, 0, 0, 0, 0xffff, 0)       // Translated.
        | (0x64, 0xff9b, 0, 0, 0, 0) // NAT64.
    ) || address.segments()[..6] == [0; 6] && !is_plain(address);
    if !is_last_four {
        return address.into();
    }
    let bytes = address.octets();
    Ipv4Addr::new(bytes[12], bytes[13], bytes[14], bytes[15]).into()
}

fn is_plain(address: Ipv6Addr) -> bool {
    address == Ipv6Addr::LOCALHOST || address == Ipv6Addr::UNSPECIFIED
}

/// Returns what kind of inner address it is, or `None` for one that the world shares.
fn inner_kind(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => inner_kind_v4(address),
        IpAddr::V6(address) => inner_kind_v6(address),
    }
}

fn inner_kind_v4(address: Ipv4Addr) -> Option<&'static str> {
    let kind = match address.octets() {
        [0, ..] => "of this network",
        [127, ..] => "a loopback address",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "a private address",
        [169, 254, ..] => "a link-local address",
        [100, 64..=127, ..] => "a carrier's inner address",
        [192, 0, 0, _] | [192, 88, 99, _] => "a protocol's own address",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "an address of documentation",
        [198, 18..=19, ..] => "an address of benchmarks",
        [224..=239, ..] => "a multicast address",
        [255, 255, 255, 255] => "the broadcast address",
        [240..=255, ..] => "a reserved address",
        _ => return None, // The world's.
    };
    Some(kind)
}

fn inner_kind_v6(address: Ipv6Addr) -> Option<&'static str> {
    let kind = match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => "the unspecified address",
        [0, 0, 0, 0, 0, 0, 0, 1] => "a loopback address",
        [0xfc00..=0xfdff, ..] => "a private address",
        [0xfe80..=0xfebf, ..] => "a link-local address",
        [0xfec0..=0xfeff, ..] => "a site-local address",
        [0xff00..=0xffff, ..] => "a multicast address",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => "an address of documentation",
        [0x2001, 0, ..] => "a Teredo address, which holds another",
        [0x2002, ..] => "a 6to4 address, which holds another",
        [0x2001, 0..=0x1ff, ..] => "a protocol's own address",
        [0x64, 0xff9b, ..] => "a translated address of a local network",
        [0x100, 0, 0, 0, ..] => "an address that is discarded",
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => "an ISATAP address, which holds another",
        [0x2000..=0x3fff, ..] => return None, // The world's.
        _ => "a reserved address",
    };
    Some(kind)
}
