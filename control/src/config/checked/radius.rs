//! RADIUS servers.

use adit_crypto::secret::SecretBytes;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

/// One `[[radius]]`. The first that is not known to be dead serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RadiusServer {
    /// Where.
    pub address: IpAddr,
    /// Usually 1812.
    pub auth_port: NonZeroU16,
    /// Usually 1813; `None` keeps no books.
    pub acct_port: Option<NonZeroU16>,
    /// Shared with it.
    pub secret: SecretBytes,
    /// Wait for an answer.
    pub timeout: Duration,
    /// Times that a request is sent before the next server is asked.
    pub tries: u32,
    /// How long a server that did not answer is not asked.
    pub dead_time: Duration,
    /// How a password that we have goes there.
    pub password: PasswordProtocol,
    /// Whether an answer must be signed.
    pub signature: Signature,
}

impl RadiusServer {
    /// Where logins are asked.
    pub fn auth(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.auth_port.get())
    }

    /// Where books are kept.
    pub fn acct(&self) -> Option<SocketAddr> {
        self.acct_port.map(|port| SocketAddr::new(self.address, port.get()))
    }
}

/// How a password that we have goes to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PasswordProtocol {
    /// User-Password: hidden by the shared secret (RFC 2865 section 5.2). For servers that have only hashes, and the
    /// only one for passcodes.
    #[default]
    Pap,
    /// CHAP-Password: the server must have the password itself.
    Chap,
    /// MS-CHAP2-Response (RFC 2548): the server must have the password or its NT hash, and proves that it has.
    MsChapV2,
}

/// Whether an answer to a login must have a Message-Authenticator (RFC 3579 section 3.2). One without is what
/// whoever can change packets on the way can turn from a refusal into a welcome (CVE-2024-3596, "Blast-RADIUS").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signature {
    /// It must.
    #[default]
    Required,
    /// For servers that do not know better.
    WhenPresent,
}
