//! Mode config and XAUTH (draft-dukes-ike-mode-cfg-02, draft-beaulieu-ike-xauth-02, and Cisco's attributes).

use super::parse_payload::{Broken, attribute};
use super::{Attribute, ConfigKind, Fault, Limited, Value, limits};
use crate::ike::wire::reader::Reader;
use adit_crypto::secret::SecretBytes;

/// The attributes payload of a transaction exchange.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModeConfig {
    /// Request, reply, set or acknowledgement.
    pub kind: ConfigKind,
    /// Ties an answer to its question.
    pub identifier: u16,
    /// In the order of the wire.
    pub attributes: Vec<Attribute>,
}

impl ModeConfig {
    /// The first attribute of this number.
    pub fn find(&self, kind: u16) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.kind == kind)
    }

    pub(super) fn parse(body: &[u8]) -> Result<Self, Broken> {
        let mut reader = Reader::new(body);
        let [kind, _reserved] = reader.array().ok_or(Fault::Truncated)?;
        let kind = ConfigKind::from_iana(kind).ok_or(Fault::ConfigKind(kind))?;
        let identifier = reader.u16().ok_or(Fault::Truncated)?;
        let mut attributes = Vec::new();
        while !reader.is_empty() {
            if attributes.len() == limits::MAX_CONFIG_ATTRIBUTES {
                return Err(Broken::TooMany(Limited::ConfigAttributes));
            }
            attributes.push(attribute(&mut reader)?);
        }
        Ok(Self { kind, identifier, attributes })
    }
}

/// Passwords are wiped.
impl Drop for ModeConfig {
    fn drop(&mut self) {
        for attribute in self.attributes.iter_mut().filter(|attribute| attribute.is_secret()) {
            if let Value::Long(octets) = &mut attribute.value {
                drop(SecretBytes::new(std::mem::take(octets)));
            }
        }
    }
}

macro_rules! config_attributes {
    ($($(#[$doc:meta])+ $constant:ident = $number:literal $name:literal,)+) => {
        /// Numbers of mode-config attributes.
        pub mod number {
            $($(#[$doc])+ pub const $constant: u16 = $number;)+
        }

        /// For logs.
        pub const fn mode_config_name(kind: u16) -> Option<&'static str> {
            match kind { $(number::$constant => Some($name),)+ _ => None }
        }
    };
}

config_attributes! {
    /// INTERNAL_IP4_ADDRESS: 0 or 4 octets.
    IP4_ADDRESS = 1 "address",
    /// INTERNAL_IP4_NETMASK: 0 or 4 octets.
    IP4_NETMASK = 2 "netmask",
    /// INTERNAL_IP4_DNS: 0 or 4 octets, one attribute for each server.
    IP4_DNS = 3 "dns",
    /// INTERNAL_IP4_NBNS: 0 or 4 octets, one attribute for each server.
    IP4_NBNS = 4 "nbns",
    /// INTERNAL_ADDRESS_EXPIRY: 0 or 4 octets, seconds.
    ADDRESS_EXPIRY = 5 "address expiry",
    /// INTERNAL_IP4_DHCP
    IP4_DHCP = 6 "dhcp",
    /// APPLICATION_VERSION: text.
    APPLICATION_VERSION = 7 "application version",
    /// INTERNAL_IP6_ADDRESS: 0 or 16 octets.
    IP6_ADDRESS = 8 "ip6 address",
    /// INTERNAL_IP4_SUBNET: 0 or 8 octets.
    IP4_SUBNET = 13 "subnet",
    /// SUPPORTED_ATTRIBUTES
    SUPPORTED_ATTRIBUTES = 14 "supported attributes",

    /// XAUTH-TYPE: short; 0 is a password, 1 RADIUS-CHAP, 2 one-time password, 3 S/KEY.
    XAUTH_TYPE = 16520 "xauth type",
    /// XAUTH-USER-NAME
    XAUTH_USER_NAME = 16521 "xauth user",
    /// XAUTH-USER-PASSWORD
    XAUTH_USER_PASSWORD = 16522 "xauth password",
    /// XAUTH-PASSCODE
    XAUTH_PASSCODE = 16523 "xauth passcode",
    /// XAUTH-MESSAGE: text for the user.
    XAUTH_MESSAGE = 16524 "xauth message",
    /// XAUTH-CHALLENGE
    XAUTH_CHALLENGE = 16525 "xauth challenge",
    /// XAUTH-DOMAIN
    XAUTH_DOMAIN = 16526 "xauth domain",
    /// XAUTH-STATUS: short; 0 fails, 1 is good.
    XAUTH_STATUS = 16527 "xauth status",
    /// XAUTH-NEXT-PIN
    XAUTH_NEXT_PIN = 16528 "xauth next pin",
    /// XAUTH-ANSWER
    XAUTH_ANSWER = 16529 "xauth answer",

    /// Cisco's own addition to an XAUTH request.
    CISCO_XAUTH_VENDOR = 32136 "cisco xauth vendor",

    /// Text that the user sees after login.
    UNITY_BANNER = 28672 "banner",
    /// Short; 1 lets the client keep the password.
    UNITY_SAVE_PASSWORD = 28673 "save password",
    /// Text.
    UNITY_DEFAULT_DOMAIN = 28674 "default domain",
    /// Names to ask our DNS servers for, with commas between.
    UNITY_SPLIT_DNS = 28675 "split dns",
    /// Networks behind the tunnel: entries of 14 octets.
    UNITY_SPLIT_INCLUDE = 28676 "split include",
    /// Short; the UDP port for ESP.
    UNITY_UDP_PORT = 28677 "udp port",
    /// Networks that stay beside the tunnel: entries of 14 octets.
    UNITY_LOCAL_LAN = 28678 "local lan",
    /// Short; 1 wants PFS in quick mode.
    UNITY_PFS = 28679 "pfs",
    /// What firewall the client has, or is to have.
    UNITY_FIREWALL = 28680 "firewall",
    /// Other headends: text with commas between, or addresses.
    UNITY_BACKUP_SERVERS = 28681 "backup servers",
    /// The client's name for dynamic DNS.
    UNITY_DDNS_HOST_NAME = 28682 "ddns host name",
}
