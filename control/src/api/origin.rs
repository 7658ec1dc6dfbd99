//! What browsers say of the page that makes them ask. No page but our own may have anything changed, whoever its reader is: a browser shows his
//! certificate, his login and his way through `ssh -L` to every page's requests.

use super::problem::{Kind, Problem};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName};
use std::net::IpAddr;

/// Says which kind of page asks; scripts cannot write it (Fetch Metadata, section 2.3).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a page from elsewhere asks, as the browser says. What is no browser says nothing, and comes from nowhere else.
pub fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    // Older browsers, and those that ask over HTTP without a name of this host.
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let asks = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_scheme, host)| host.as_bytes());
    asks.is_none() || asks != headers.get(HOST).map(axum::http::HeaderValue::as_bytes)
}

/// Whether somebody at the Unix socket asks for it by a name that no stranger can have: an address, `localhost`, or any name without a dot, as
/// `aditd`. Behind `ssh -L` a page of `evil.example` whose name has come to mean 127.0.0.1 asks for `evil.example` (DNS rebinding).
pub fn is_asked_for_here(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    if let Some((inside, _port)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return inside.parse::<IpAddr>().is_ok();
    }
    let name = host.split_once(':').map_or(host, |(name, _port)| name);
    let name = name.to_ascii_lowercase();
    !name.contains('.') || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok()
}

/// For what [`is_from_elsewhere`].
pub fn elsewhere() -> Problem {
    Problem::new(Kind::CrossSite, "another site's page has asked for this; only the page that aditd serves may")
}

/// For what is not [`is_asked_for_here`].
pub fn another_host() -> Problem {
    Problem::new(Kind::WrongHost, "this is no name of aditd's; by the Unix socket ask for localhost, or aditd")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_browser_says_when_another_page_asks_and_its_kind_counts_before_its_name() {
        for (lines, elsewhere) in [
            (&[][..], false),
            (&[("host", "vpn:8443"), ("origin", "https://vpn:8443")], false),
            (&[("host", "vpn:8443"), ("origin", "https://vpn:8444")], true),
            (&[("host", "vpn:8443"), ("origin", "https://evil.example")], true),
            (&[("host", "vpn:8443"), ("origin", "null")], true),
            (&[("origin", "https://vpn:8443")], true),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site"), ("host", "vpn"), ("origin", "https://vpn")], true),
            (&[("sec-fetch-site", "same-origin"), ("host", "vpn"), ("origin", "null")], false),
            (&[("sec-fetch-site", "SAME-ORIGIN")], true),
        ] {
            assert_eq!(is_from_elsewhere(&headers(lines)), elsewhere, "{lines:?}");
        }
    }

    #[test]
    fn only_names_that_no_stranger_can_have_are_ours() {
        let asked = |host: &str| is_asked_for_here(&headers(&[("host", host)]));
        for host in ["aditd", "localhost", "LOCALHOST:8443", "127.0.0.1:8443", "[::1]:8443", "vpn.localhost", "a"] {
            assert!(asked(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8443",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "aditd.",
            "[evil.example]",
        ] {
            assert!(!asked(host), "{host}");
        }
        assert!(is_asked_for_here(&headers(&[])));
    }
}
