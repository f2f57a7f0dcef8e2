//! Where a request comes from, as far as that can be believed: what a proxy says counts only when
//! the proxy is named in the settings.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpMessage as _, HttpRequest, web};
use ipnet::IpNet;

use super::connection::{Door, Link};
use super::envelope::RequestId;
use super::settings::ForwardedBy;
use super::state::Front;
use crate::app::principal::Origin;
use crate::domain::trace::{TRACEPARENT, TraceContext};

/// Returns what the audit and the throttle know of a request's sender.
#[must_use]
pub fn of(request: &HttpRequest) -> Origin {
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    Origin {
        address: address(request, Trust::of(request)).map(|address| address.to_string()),
        request: id,
        agent: text(request.headers(), header::USER_AGENT.as_str()).map(str::to_owned),
        traceparent: traceparent(request.headers()),
    }
}

/// Returns the trace that a request belongs to; what breaks the standard is as good as nothing.
fn traceparent(headers: &HeaderMap) -> Option<String> {
    let given = text(headers, TRACEPARENT).and_then(TraceContext::parse)?;
    Some(given.to_string())
}

/// Whose word is taken.
#[derive(Clone, Copy)]
struct Trust<'a> {
    proxies: &'a [IpNet],
    by: ForwardedBy,
}

impl Trust<'_> {
    fn of(request: &HttpRequest) -> Trust<'_> {
        let front = request.app_data::<web::Data<Front>>();
        front.map_or(Trust { proxies: &[], by: ForwardedBy::XForwarded }, |front| Trust {
            proxies: &front.settings.trusted_proxies,
            by: front.settings.forwarded_by,
        })
    }
}

/// Returns the address of the client; none over the control socket.
fn address(request: &HttpRequest, trust: Trust<'_>) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    if !trusts(trust.proxies, peer) {
        return Some(peer);
    }
    let headers = request.headers();
    let named: Vec<IpAddr> = match trust.by {
        ForwardedBy::XForwarded => {
            let lines = headers.get_all("x-forwarded-for").filter_map(|line| line.to_str().ok());
            lines.flat_map(|line| line.split(',')).map_while(node).collect()
        }
        ForwardedBy::Forwarded => hops(headers).iter().map_while(|hop| hop.client).collect(),
    };
    Some(client(&named, trust.proxies).map_or(peer, |at| named[at]))
}

/// Returns which of the addresses is the client's: each proxy adds the one that it saw at the end;
/// the last of them that no proxy of ours has is it, and everything before that could be made up.
fn client(addresses: &[IpAddr], proxies: &[IpNet]) -> Option<usize> {
    let found = addresses.iter().rposition(|address| !trusts(proxies, *address));
    found.or((!addresses.is_empty()).then_some(0))
}

/// What one proxy says in `Forwarded` (RFC 7239, section 4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Hop {
    client: Option<IpAddr>,
    scheme: Option<String>,
    host: Option<String>,
}

fn hops(headers: &HeaderMap) -> Vec<Hop> {
    let lines = headers.get_all("forwarded").filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| unquoted_split(line, ',')).map(hop).collect()
}

fn hop(element: &str) -> Hop {
    let mut hop = Hop::default();
    for pair in unquoted_split(element, ';') {
        let Some((name, value)) = pair.split_once('=') else { continue };
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "for" => hop.client = node(value),
            "proto" => hop.scheme = Some(value.to_ascii_lowercase()),
            "host" => hop.host = Some(value.to_owned()),
            _ => {} // Who received it, and what others add.
        }
    }
    hop
}

/// Splits a text where `separator` stands outside of quotes.
fn unquoted_split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |letter| {
        quoted ^= letter == '"';
        letter == separator && !quoted
    })
}

/// Reads an address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80`.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address: Option<IpAddr> = match text.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?.parse().ok(),
        None => {
            text.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
        }
    };
    address.map(|address| address.to_canonical())
}

/// Returns whether the browser speaks to us over TLS.
#[must_use]
pub fn is_secure(request: &HttpRequest) -> bool {
    if link(request).is_some_and(|link| link.door == Door::Tls) {
        return true;
    }
    let scheme = forwarded(request, "x-forwarded-proto", |hop| hop.scheme.clone());
    scheme.is_some_and(|scheme| scheme == "https")
}

/// Returns the host and port that the browser asked for.
#[must_use]
pub fn host(request: &HttpRequest) -> String {
    let asked = forwarded(request, "x-forwarded-host", |hop| hop.host.clone());
    let asked = asked.or_else(|| text(request.headers(), "host").map(str::to_owned));
    let ours = || link(request)?.local.map(|local| local.to_string());
    asked.or_else(ours).unwrap_or_default()
}

/// Returns whom a proxy that is believed speaks for.
#[must_use]
pub fn behind_proxy(request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    address(request, Trust::of(request)).filter(|address| *address != peer)
}

fn link(request: &HttpRequest) -> Option<&Rc<Link>> {
    request.conn_data::<Rc<Link>>()
}

/// Returns whether a page of ours made the browser send this. A browser says where a form stood,
/// in `Sec-Fetch-Site` or in `Origin`; one that says neither is not believed.
#[must_use]
pub fn is_own_page(request: &HttpRequest) -> bool {
    let headers = request.headers();
    match (text(headers, "sec-fetch-site"), text(headers, "origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = host(request);
            origin.split_once("://").is_some_and(|(_, authority)| authority == host)
        }
        (None, None) => false,
    }
}

/// Returns what the proxy says that is believed, in a header of its own or in `Forwarded`.
fn forwarded(
    request: &HttpRequest,
    name: &str,
    named: impl Fn(&Hop) -> Option<String>,
) -> Option<String> {
    let peer = request.peer_addr()?.ip().to_canonical();
    let trust = Trust::of(request);
    if !trusts(trust.proxies, peer) {
        return None;
    }
    if trust.by == ForwardedBy::XForwarded {
        let said = text(request.headers(), name)?;
        return Some(said.split(',').next().unwrap_or(said).trim().to_owned());
    }
    let hops = hops(request.headers());
    let clients: Vec<IpAddr> = hops.iter().map_while(|hop| hop.client).collect();
    named(hops.get(client(&clients, trust.proxies)?)?)
}

/// Returns whether a proxy with this address is believed.
#[must_use]
pub fn trusts(proxies: &[IpNet], address: IpAddr) -> bool {
    proxies.iter().any(|network| network.contains(&address))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn request(headers: &[(&'static str, &'static str)]) -> HttpRequest {
        let base = TestRequest::post().peer_addr("10.0.0.9:1".parse().expect("an address"));
        headers
            .iter()
            .fold(base, |request, header| request.insert_header(*header))
            .to_http_request()
    }

    #[test]
    fn another_site_cannot_speak_for_a_browser() {
        for (headers, own) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("origin", "http://box:7171")], true),
            (&[("origin", "http://evil.example")], false),
            (&[("origin", "null")], false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "http://box:7171")], false),
            (&[], false),
        ] {
            let mut headers = headers.to_vec();
            headers.push(("host", "box:7171"));
            assert_eq!(is_own_page(&request(&headers)), own, "{headers:?}");
        }
    }

    #[test]
    fn only_a_named_proxy_is_believed() {
        let named = |networks: &[&str]| -> Vec<IpNet> {
            networks.iter().map(|net| net.parse().expect("a network")).collect()
        };
        for (networks, said, client) in [
            (&[][..], "1.2.3.4", "10.0.0.9"),
            (&["10.0.0.0/8"], "1.2.3.4", "1.2.3.4"),
            (&["10.0.0.0/8"], "6.6.6.6, 1.2.3.4", "1.2.3.4"),
            (&["10.0.0.0/8"], "1.2.3.4, 10.0.0.7", "1.2.3.4"),
            (&["10.0.0.0/8"], "nonsense", "10.0.0.9"),
            (&["192.168.0.0/16"], "1.2.3.4", "10.0.0.9"),
        ] {
            let request = request(&[("x-forwarded-for", said)]);
            let proxies = named(networks);
            let trust = Trust { proxies: &proxies, by: ForwardedBy::XForwarded };
            let found = address(&request, trust).expect("a peer");
            assert_eq!(found.to_string(), client, "{networks:?} {said}");
        }
    }

    #[test]
    fn the_standard_header_is_understood_and_believed_as_little() {
        let proxies: Vec<IpNet> = vec!["10.0.0.0/8".parse().expect("a network")];
        for (headers, client) in [
            (&[("forwarded", "for=1.2.3.4;proto=https")][..], "1.2.3.4"),
            (&[("forwarded", "For=\"[2001:db8::1]:4711\"")], "2001:db8::1"),
            (&[("forwarded", "for=\"1.2.3.4:80\", for=10.0.0.7")], "1.2.3.4"),
            (&[("forwarded", "for=6.6.6.6, for=1.2.3.4;by=\"a,b\"")], "1.2.3.4"),
            (&[("forwarded", "for=unknown")], "10.0.0.9"),
            (&[("forwarded", "for=_hidden, for=1.2.3.4")], "10.0.0.9"),
            (&[("forwarded", "for=1.2.3.4"), ("x-forwarded-for", "6.6.6.6")], "1.2.3.4"),
            (&[("x-forwarded-for", "6.6.6.6")], "10.0.0.9"),
        ] {
            let trust = Trust { proxies: &proxies, by: ForwardedBy::Forwarded };
            let found = address(&request(headers), trust).expect("a peer");
            assert_eq!(found.to_string(), client, "{headers:?}");
            let trust = Trust { proxies: &[], by: ForwardedBy::Forwarded };
            let spoofed = address(&request(headers), trust).expect("a peer");
            assert_eq!(spoofed.to_string(), "10.0.0.9", "{headers:?}");
        }
        let hop = hop("for=1.2.3.4;proto=HTTPS;host=\"box:7171\"");
        assert_eq!((hop.scheme.as_deref(), hop.host.as_deref()), (Some("https"), Some("box:7171")));
    }
}
