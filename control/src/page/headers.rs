//! What every answer tells browsers: take it for what it says it is, let no other page have it, and keep nothing.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::middleware::Next;
use axum::response::Response;

/// Unless the answer has one of its own.
const ALWAYS: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Not `no-referrer`: with that some browsers hide where a form comes from, from us too.
    (REFERRER_POLICY, "same-origin"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Adds them.
pub async fn secured(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let known = answer.status() == StatusCode::NOT_MODIFIED;
    let headers = answer.headers_mut();
    // A policy beside "you have it already" would take the place of the one that came with it (RFC 9111 section 3.2).
    for (name, value) in ALWAYS.into_iter().filter(|(name, _)| !known || name != CONTENT_SECURITY_POLICY) {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    // What has a tag is the same for everybody.
    if !headers.contains_key(ETAG) {
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    answer
}
