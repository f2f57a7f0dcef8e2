//! The demo: a playable tenant in a new data directory, and a generator that keeps it moving.
//!
//! `ergane serve --demo` fills the tenant `default` with a help desk (accounts, contacts, teams,
//! agents, tickets and their conversations) and with example workflows, saved as a user would
//! save them. Their calls to the outside go over a connection each to stand-ins inside the binary
//! (`/demo/pager`, `/demo/billing`, `/demo/crm`); so, and only in a demo, `egress.allow` has the
//! appliance's own address in addition, see [`own_network`].
//!
//! A data directory whose tenant has other data is left alone.

mod chance;
mod content;
mod generator;
mod seed;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use crate::app::App;
use crate::app::demo::Demo;
use crate::app::principal::Principal;
use crate::domain::id::TenantId;

pub use generator::{Deed, Generator, generator};
pub use seed::{Seeded, seed};

const SLUG: &str = "default";
const NAME: &str = "Northwind Support";
/// Who saves the demo's workflows; versions by others are left alone.
const AUTHOR: &str = "Demo";

/// Returns where a process on this machine reaches the appliance that listens at `address`.
#[must_use]
pub fn own_url(address: SocketAddr, base_path: &str) -> String {
    format!("http://{}{base_path}", SocketAddr::new(reachable(address), address.port()))
}

/// Returns the network that calls of the demo's workflows must be allowed to reach: the
/// appliance's own address and nothing else.
#[must_use]
pub fn own_network(address: SocketAddr) -> IpNet {
    IpNet::from(reachable(address))
}

/// An appliance that listens everywhere is reached by the loopback address.
fn reachable(address: SocketAddr) -> IpAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

/// Fills the tenant `default` and starts the generator on the present runtime, where it ends with
/// the engine. Returns what the server shares with it, or `None` when the tenant has other data.
///
/// # Errors
/// Returns what could not be written.
pub async fn begin(
    app: &App,
    address: SocketAddr,
    base_path: &str,
) -> anyhow::Result<Option<Demo>> {
    if seed(app, &own_url(address, base_path)).await? == Seeded::Foreign {
        return Ok(None);
    }
    let demo = Demo::default();
    tokio::spawn(generator(app.clone(), demo.switch.clone()));
    Ok(Some(demo))
}

fn author(tenant: TenantId) -> Principal {
    Principal { id: "demo".to_owned(), ..Principal::program(tenant, AUTHOR) }
}
