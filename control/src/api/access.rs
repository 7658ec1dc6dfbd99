//! Who asks, and what they may.
//!
//! Nothing is answered before it is known who asks: [`guard`] stands before every path, those that do not exist too.

use super::origin;
use super::problem::{Kind, Problem};
use super::strangers::Place;
use crate::config::checked::Operator;
use crate::page::login::{self, Logins};
use crate::page::sign_in;
use crate::runtime::clock;
use adit_dataplane::time::Instant;
use axum::extract::{FromRequestParts, Request};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::{Arc, Mutex, PoisonError};

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
    /// How that is known.
    pub by: By,
}

/// How somebody is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The kernel says so, at the Unix socket.
    Socket,
    /// By a token, with this very request.
    Token,
    /// By a certificate.
    Certificate,
    /// By a token that was shown at the page, some time ago.
    Login,
}

/// Who is known by TCP, and who of them is logged in at the page.
#[derive(Debug)]
pub struct Operators {
    known: Vec<Operator>,
    logins: Logins,
}

/// Somebody who has come by TCP: what he is by his certificate, and who is known by token.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Whom his certificate names, if it names one of them.
    pub by_certificate: Option<Caller>,
    /// All.
    pub operators: Arc<Operators>,
    /// Where he stands among strangers, until he is known.
    place: Arc<Mutex<Option<Place>>>,
}

impl Operators {
    /// As the configuration has them.
    pub const fn new(operators: Vec<Operator>) -> Self {
        Self { known: operators, logins: Logins::new() }
    }

    /// Whether these are the ones.
    pub(super) fn are(&self, operators: &[Operator]) -> bool {
        self.known == operators
    }

    /// Others in their place. Who is logged in stays, unless his operator is not as he was.
    pub(super) fn followed_by(&self, operators: Vec<Operator>) -> Self {
        let is_the_same = |who: &Caller| {
            let named = |operator: &&Operator| *operator.name == *who.name;
            let (was, is) = (self.known.iter().find(named), operators.iter().find(named));
            was.is_some() && was == is
        };
        let logins = self.logins.of_those(is_the_same);
        Self { known: operators, logins }
    }

    /// Whose token this is. All are looked at, whichever it is.
    pub(crate) fn by_token(&self, token: &[u8]) -> Option<Caller> {
        let mut his = None;
        for operator in &self.known {
            if operator.token.as_ref().is_some_and(|hash| hash.is_of(token)) {
                his = Some(operator);
            }
        }
        his.map(|operator| known(operator, By::Token))
    }

    /// Whose certificate this is.
    pub fn by_certificate(&self, common_name: &str) -> Option<Caller> {
        let is_his = |operator: &&Operator| operator.certificate_name.as_deref() == Some(common_name);
        self.known.iter().find(is_his).map(|operator| known(operator, By::Certificate))
    }

    /// At the page.
    pub(crate) const fn logins(&self) -> &Logins {
        &self.logins
    }
}

fn known(operator: &Operator, by: By) -> Caller {
    Caller { name: operator.name.as_str().into(), role: operator.role, by }
}

impl Remote {
    /// Whoever comes from such a place, or needs none.
    pub fn new(by_certificate: Option<Caller>, operators: Arc<Operators>, place: Option<Place>) -> Self {
        let place = place.filter(|_| by_certificate.is_none());
        Self { by_certificate, operators, place: Arc::new(Mutex::new(place)) }
    }

    /// He takes no stranger's place any more.
    fn is_known(&self) {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// A token counts more than a certificate: it was shown for this very request. One that is wrong makes a stranger. A login counts least.
    fn caller(&self, headers: &HeaderMap, now: Instant) -> Option<Caller> {
        let Some(shown) = headers.get(AUTHORIZATION) else {
            let by_login = || self.operators.logins.whose(login::shown(headers)?, now);
            return self.by_certificate.clone().or_else(by_login);
        };
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
    let (now, remote) = (clock::now(), request.extensions().get::<Remote>().cloned());
    if let Some(Remote { by_certificate: None, operators, .. }) = &remote
        && sign_in::is_meant(&request)
    {
        return sign_in::answer(operators, request, now).await;
    }
    if let Some(remote) = &remote
        && let Some(caller) = remote.caller(request.headers(), now)
    {
        remote.is_known();
        request.extensions_mut().insert(caller);
    }
    let Some(caller) = request.extensions().get::<Caller>() else { return nobody(&request) };
    if remote.is_none() && !origin::is_asked_for_here(request.headers()) {
        return origin::another_host().into_response();
    }
    let wanted = match *request.method() {
        Method::GET | Method::HEAD | Method::OPTIONS => Role::Read,
        _ => Role::Admin,
    };
    if wanted > Role::Read && origin::is_from_elsewhere(request.headers()) {
        return origin::elsewhere().into_response();
    }
    match remote {
        Some(remote) if caller.by == By::Login && sign_in::is_sign_out(&request) => {
            sign_in::sign_out(&remote.operators, request.headers(), now)
        }
        _ if caller.role < wanted => only_looks(caller).into_response(),
        _ => next.run(request).await,
    }
}

/// The same to everybody, whatever was asked for; only that who looks gets something to look at.
fn nobody(request: &Request) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD if sign_in::wants_a_page(request.headers()) => sign_in::form(),
        _ => stranger().into_response(),
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
