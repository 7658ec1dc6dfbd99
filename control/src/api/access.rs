//! Who asks, and what they may.
//!
//! Nothing is answered before it is known who asks: [`guard`] stands before every path, those that do not exist too.

use super::problem::{Kind, Problem};
use crate::config::checked::Operator;
use axum::extract::{FromRequestParts, Request};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// What somebody may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Look.
    Read,
    /// Change things, too.
    Admin,
}

/// Somebody who is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// For the log.
    pub name: Arc<str>,
    /// What he may.
    pub role: Role,
}

/// Who is known by TCP.
#[derive(Debug)]
pub struct Operators(Vec<Operator>);

/// Somebody who has come by TCP: what he is by his certificate, and who is known by token.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Whom his certificate names, if it names one of them.
    pub by_certificate: Option<Caller>,
    /// All.
    pub operators: Arc<Operators>,
}

impl Operators {
    /// As the configuration has them.
    pub const fn new(operators: Vec<Operator>) -> Self {
        Self(operators)
    }

    /// Whose token this is. All are looked at, whichever it is.
    fn by_token(&self, token: &[u8]) -> Option<Caller> {
        let is_his = |operator: &&Operator| operator.token.as_ref().is_some_and(|hash| hash.is_of(token));
        self.0.iter().filter(is_his).map(known).next_back()
    }

    /// Whose certificate this is.
    pub fn by_certificate(&self, common_name: &str) -> Option<Caller> {
        self.0.iter().find(|operator| operator.certificate_name.as_deref() == Some(common_name)).map(known)
    }
}

fn known(operator: &Operator) -> Caller {
    Caller { name: operator.name.as_str().into(), role: operator.role }
}

impl Remote {
    /// A token counts more than a certificate: it was shown for this very request. One that is wrong makes a stranger.
    fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        let Some(shown) = headers.get(AUTHORIZATION) else { return self.by_certificate.clone() };
        let (scheme, token) = shown.as_bytes().split_at_checked(BEARER.len())?;
        if !scheme.eq_ignore_ascii_case(BEARER) {
            return None;
        }
        self.operators.by_token(token.trim_ascii())
    }
}

const BEARER: &[u8] = b"Bearer ";

/// Lets those pass who are known and may do what they want. Who asks is put to the request by whoever took the connection.
pub async fn guard(mut request: Request, next: Next) -> Response {
    if let Some(caller) = request.extensions().get::<Remote>().and_then(|remote| remote.caller(request.headers())) {
        request.extensions_mut().insert(caller);
    }
    let wanted = match *request.method() {
        Method::GET | Method::HEAD | Method::OPTIONS => Role::Read,
        _ => Role::Admin,
    };
    match request.extensions().get::<Caller>() {
        None => stranger().into_response(),
        Some(caller) if caller.role < wanted => only_looks(caller).into_response(),
        Some(_) => next.run(request).await,
    }
}

fn stranger() -> Problem {
    Problem::new(Kind::WhoAreYou, "show a token, as `Authorization: Bearer …`, or a client certificate")
}

fn only_looks(caller: &Caller) -> Problem {
    Problem::new(Kind::ReadOnly, format!("{} may look, not change anything", caller.name))
}

/// Somebody who may change things: what a handler asks for that does.
pub struct Admin(Caller);

impl Admin {
    /// For the log.
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        match parts.extensions.get::<Caller>() {
            None => Err(stranger()),
            Some(caller) if caller.role < Role::Admin => Err(only_looks(caller)),
            Some(caller) => Ok(Self(caller.clone())),
        }
    }
}
