//! Who may ask: holders of the token, or, where there is none, programs on this machine and the server's own page.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

use crate::response::ApiError;

/// Refuses a request that does not hold the token; without one, a request that a page of somebody else's makes. A browser
/// lets any page send requests to this machine, under a name of its own choice that leads here.
pub(crate) fn check(token: Option<&str>, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(token) = token else { return from_here(headers) };
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if sent.is_some_and(|sent| same(sent, token.as_bytes())) {
        return Ok(());
    }
    Err(ApiError::of(401, "invalid_api_key", "send the server's token as `Authorization: Bearer`"))
}

/// Compares without telling by its duration how much of the token was right.
fn same(sent: &[u8], token: &[u8]) -> bool {
    let differing = sent.iter().zip(token).fold(0, |differing, (left, right)| differing | (left ^ right));
    sent.len() == token.len() && std::hint::black_box(differing) == 0
}

fn from_here(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(header::HOST);
    if host.is_some_and(|host| !is_loopback(host)) {
        let words = "without a token this server answers to localhost only: start it with one to use another name";
        return Err(ApiError::of(403, "foreign_host", words));
    }
    match text(header::ORIGIN) {
        Some(origin) if origin.strip_prefix("http://") != host => {
            Err(ApiError::of(403, "foreign_origin", "another site's page may not use this server"))
        }
        _ => Ok(()),
    }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_here_are_told_from_others() {
        for host in ["localhost", "localhost:8080", "LOCALHOST", "127.0.0.1:1", "127.1.2.3", "[::1]:8080", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["", "evil.example:8080", "localhost.evil.example", "192.168.1.2", "[::2]:1", "[", "127.0.0.1.nip.io"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
