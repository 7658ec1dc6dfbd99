//! The form in which a browser shows a token once. It stands wherever a stranger asks, and is sent to wherever it stands: that it is there says
//! nothing of which paths there are, and whoever shows no token that is known gets the same form again.

use super::login::{cookie, no_cookie, shown};
use crate::api::access::{By, Caller, Operators, Role};
use crate::api::origin::is_from_elsewhere;
use adit_crypto::random::OsRandom;
use adit_dataplane::time::Instant;
use axum::body::to_bytes;
use axum::extract::{Form, FromRequest, Request};
use axum::http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::time::Duration;

/// No product, no version, no script.
const FORM: &str = include_str!("../../page/sign-in.html");
/// The hash is of what stands between its `<style>` and `</style>`.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'sha256-Q1ail2k4HRyS5F/UGpefA1TefvSpU3KKos38ze0VB/8='; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// Octets of a form that is sent.
const FORM_MOST: usize = 4096;
/// For it to be here.
const FORM_WITHIN: Duration = Duration::from_secs(10);
/// Before a wrong token is answered.
const PAUSE: Duration = Duration::from_millis(250);
/// Where a login is ended.
const SIGN_OUT: &str = "/page/sign-out";

#[derive(Deserialize)]
struct Sent {
    token: String,
    /// Ticked, or not there.
    change: Option<String>,
}

/// Whether a browser wants something to look at.
pub fn wants_a_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html"))
}

/// Whether it is the form that is sent.
pub fn is_meant(request: &Request) -> bool {
    let is_form = |kind: &[u8]| kind.starts_with(b"application/x-www-form-urlencoded");
    request.method() == Method::POST
        && wants_a_page(request.headers())
        && request.headers().get(CONTENT_TYPE).is_some_and(|kind| is_form(kind.as_bytes()))
}

/// A token that is known makes a login: to look, unless more is asked for and its operator may more.
pub async fn answer(operators: &Operators, request: Request, now: Instant) -> Response {
    match signed_in(operators, request).await {
        Some(who) => {
            tracing::info!(by = &*who.name, may = ?who.role, "somebody has signed in at the page");
            let value = operators.logins().begin(who, now, &mut OsRandom);
            (StatusCode::SEE_OTHER, [(LOCATION, "/".to_owned()), (SET_COOKIE, cookie(&value))]).into_response()
        }
        None => {
            tokio::time::sleep(PAUSE).await;
            form()
        }
    }
}

async fn signed_in(operators: &Operators, request: Request) -> Option<Caller> {
    if is_from_elsewhere(request.headers()) {
        return None;
    }
    let (head, body) = request.into_parts();
    let body = tokio::time::timeout(FORM_WITHIN, to_bytes(body, FORM_MOST)).await.ok()?.ok()?;
    let Form(sent) = Form::<Sent>::from_request(Request::from_parts(head, body.into()), &()).await.ok()?;
    let known = operators.by_token(sent.token.trim().as_bytes())?;
    let role = if sent.change.is_some() { known.role } else { Role::Read };
    Some(Caller { role, by: By::Login, ..known })
}

/// For strangers with a browser.
pub fn form() -> Response {
    let headers =
        [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY), (WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, headers, FORM).into_response()
}

/// Whether somebody wants to leave.
pub fn is_sign_out(request: &Request) -> bool {
    request.method() == Method::POST && request.uri().path() == SIGN_OUT
}

/// He leaves.
pub fn sign_out(operators: &Operators, headers: &HeaderMap, now: Instant) -> Response {
    if let Some(shown) = shown(headers) {
        operators.logins().end(shown, now);
    }
    (StatusCode::NO_CONTENT, [(SET_COOKIE, no_cookie())]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    /// RFC 4648 section 4, of 32 octets.
    fn base64(octets: &[u8]) -> String {
        let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let bits: String = octets.iter().map(|octet| format!("{octet:08b}")).collect::<String>() + "00";
        let digit = |six: &[u8]| digits[usize::from_str_radix(std::str::from_utf8(six).unwrap(), 2).unwrap()];
        bits.as_bytes().chunks(6).map(|six| char::from(digit(six))).collect::<String>() + "="
    }

    #[test]
    fn the_policy_lets_the_forms_own_style_pass() {
        let (_, rest) = FORM.split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();
        let hash = base64(&Sha256::digest(style));
        assert!(POLICY.contains(&format!("'sha256-{hash}'")), "{hash}");
    }

    #[test]
    fn the_form_says_nothing_of_what_is_behind_it() {
        let form = FORM.to_lowercase();
        for word in ["adit", "vpn", "headend", "version", env!("CARGO_PKG_VERSION"), "<script", "http"] {
            assert!(!form.contains(word), "{word}");
        }
    }
}
