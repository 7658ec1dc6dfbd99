//! Calls by IKEv1 over a line, in every mode and by every method.

use super::PSK;
use super::line::{self, Line, caller_config};
use super::v1::{GROUP, config_v1, login_v1, xauth};
use adit_control::config::checked::*;
use adit_control::ike::engine::{Call, CallV1, Credentials, Mode};
use adit_control::ike::wire::Id;
use adit_control::lease::{Ask, Want};
use adit_control::pki::{Authorities, OwnCertificate};
use adit_crypto::secret::SecretBytes;
use std::sync::Arc;
use std::time::Duration;

macro_rules! pem_file {
    ($name:literal) => {
        include_bytes!(concat!("../../pki/", $name)).as_slice()
    };
}

/// 2030: when all certificates are good.
pub const YEAR_2030: Duration = Duration::from_secs(1_893_456_000);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Psk,
    XauthPsk,
    Rsa,
    XauthRsa,
    Hybrid,
}

impl Method {
    pub const ALL: [Self; 5] = [Self::Psk, Self::XauthPsk, Self::Rsa, Self::XauthRsa, Self::Hybrid];

    pub fn auth(self) -> AuthV1 {
        let secret = SecretBytes::from(PSK);
        match self {
            Self::Psk => AuthV1::Psk { secret },
            Self::XauthPsk => AuthV1::XauthPsk { secret, xauth: xauth() },
            Self::Rsa => AuthV1::Rsa { authorities: authorities() },
            Self::XauthRsa => AuthV1::XauthRsa { authorities: authorities(), xauth: xauth() },
            Self::Hybrid => AuthV1::Hybrid { secret, xauth: xauth() },
        }
    }
}

pub fn authorities() -> Arc<Authorities> {
    authorities_in(pem_file!("authority.pem"))
}

pub fn authorities_in(pem: &[u8]) -> Arc<Authorities> {
    Arc::new(Authorities::from_pem(pem).unwrap())
}

pub fn own(chain: &[u8], key: &[u8]) -> Option<Arc<OwnCertificate>> {
    Some(Arc::new(OwnCertificate::from_pem(chain, &SecretBytes::from(key)).unwrap()))
}

/// What the headend and its caller are set to: the caller's first.
pub fn configs(method: Method) -> [Config; 2] {
    let mut headend = config_v1();
    login_v1(&mut headend).auth = method.auth();
    headend.ike.retransmit_initial = Duration::from_secs(2);
    headend.connections[0].remote_ids = vec![IdPattern::parse(GROUP).unwrap(), IdPattern::parse("alice@rig").unwrap()];
    headend.certificate = own(pem_file!("headend.pem"), pem_file!("headend.key"));
    let mut caller = caller_config(&headend);
    let chain = [pem_file!("alice.pem"), pem_file!("office.pem")].concat();
    caller.certificate = own(&chain, pem_file!("alice.key"));
    [caller, headend]
}

/// Native ESP is not for the caller, so that everything goes in UDP 4500.
pub fn without_native_esp(mut configs: [Config; 2]) -> [Config; 2] {
    configs[line::CALLER].listen.native_esp = NativeEsp::Refused;
    configs
}

pub fn connect(configs: [Config; 2]) -> Line {
    let [caller, headend] = configs;
    let mut line = Line::new(caller, headend);
    for end in &mut line.ends {
        end.engine.set_time_of_day(YEAR_2030);
    }
    line
}

pub fn credentials() -> Credentials {
    Credentials { user: "alice".to_owned(), password: SecretBytes::from(&b"secret"[..]), passcode: None }
}

pub fn call(method: Method, mode: Mode) -> Call {
    let name = match method {
        Method::Psk | Method::XauthPsk | Method::Hybrid => GROUP,
        Method::Rsa | Method::XauthRsa => "alice@rig",
    };
    Call {
        identity: Id::parse(name).unwrap(),
        want: Want { v4: Ask::Any, v6: Ask::Nothing },
        v1: CallV1 { mode, user: Some(credentials()), authorities: Some(authorities()), ..CallV1::default() },
        ..line::call("alice@rig")
    }
}
