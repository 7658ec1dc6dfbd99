//! Who asks, and what they may.
//!
//! Nothing is answered before it is known who asks: [`guard`] stands before every path, those that do not exist too.

use super::problem::{Kind, Problem};
use axum::extract::{FromRequestParts, Request};
use axum::http::Method;
use axum::http::request::Parts;
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

/// Lets those pass who are known and may do what they want. Who asks is put to the request by whoever took the connection.
pub async fn guard(request: Request, next: Next) -> Response {
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
