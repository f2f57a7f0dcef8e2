//! Where a request comes from, as far as that can be believed: what a proxy says counts only when
//! the proxy is named in the settings.

use std::net::IpAddr;

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpMessage as _, HttpRequest, web};
use ipnet::IpNet;

use super::envelope::RequestId;
use super::state::Front;
use crate::app::principal::Origin;
use crate::domain::trace::{TRACEPARENT, TraceContext};

/// Returns what the audit and the throttle know of a request's sender.
#[must_use]
pub fn of(request: &HttpRequest) -> Origin {
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    Origin {
        address: address(request, proxies(request)).map(|address| address.to_string()),
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

/// Returns the address of the client; none over the control socket.
fn address(request: &HttpRequest, proxies: &[IpNet]) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    if !trusts(proxies, peer) {
        return Some(peer);
    }
    // Each proxy adds the address that it saw at the end; the first of them that no proxy of ours
    // has is the client's, and everything before that could be made up.
    let lines = request.headers().get_all("x-forwarded-for");
    let named: Vec<IpAddr> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map_while(|part| part.trim().parse().ok())
        .map(|address: IpAddr| address.to_canonical())
        .collect();
    let client = named.iter().rev().find(|address| !trusts(proxies, **address));
    Some(client.or(named.first()).copied().unwrap_or(peer))
}

/// Returns whether the browser speaks to us over TLS.
#[must_use]
pub fn is_secure(request: &HttpRequest) -> bool {
    if request.app_config().secure() {
        return true;
    }
    forwarded(request, "x-forwarded-proto").is_some_and(|scheme| scheme == "https")
}

/// Returns the host and port that the browser asked for.
#[must_use]
pub fn host(request: &HttpRequest) -> String {
    let asked = forwarded(request, "x-forwarded-host");
    let asked = asked.or_else(|| text(request.headers(), "host").map(str::to_owned));
    asked.unwrap_or_else(|| request.app_config().host().to_owned())
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

fn forwarded(request: &HttpRequest, name: &str) -> Option<String> {
    let peer = request.peer_addr()?.ip().to_canonical();
    let said = text(request.headers(), name).filter(|_| trusts(proxies(request), peer))?;
    Some(said.split(',').next().unwrap_or(said).trim().to_owned())
}

fn trusts(proxies: &[IpNet], address: IpAddr) -> bool {
    proxies.iter().any(|network| network.contains(&address))
}

fn proxies(request: &HttpRequest) -> &[IpNet] {
    let front = request.app_data::<web::Data<Front>>();
    front.map_or(&[], |front| front.settings.trusted_proxies.as_slice())
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
            let found = address(&request, &named(networks)).expect("a peer");
            assert_eq!(found.to_string(), client, "{networks:?} {said}");
        }
    }
}
