//! Leases as they outlive the process: an entry for each address that is somebody's. Its pool need not be said, for no two overlap.
//!
//! An entry is JSON, so that an operator can read it with `strings`. What is read back is believed as little as a packet.

use super::Claimant;
use super::news::{News, Standing, Whose};
use crate::ike::wire::{Id, IdKind};
use adit_dataplane::time::Instant;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// Octets of an identity, of a group's name or a user's: more than the network brings.
const MOST_NAME: usize = 512;

/// One entry, as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLease {
    /// Which address.
    pub address: IpAddr,
    /// Whose.
    pub identity: Claimant,
    /// Seconds since 1970 until which it was held for him; `None` if he was here.
    pub until: Option<u64>,
}

/// Why an entry is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotALease {
    /// The key.
    #[error("the key is no address")]
    Address,
    /// The value.
    #[error("the value is no lease")]
    Value,
    /// The kind of identity, or its octets.
    #[error("the identity is none")]
    Identity,
}

/// Octets are in hexadecimal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Written {
    Identity {
        /// RFC 7296 section 3.5.
        id_type: u8,
        id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<u64>,
    },
    User {
        group: String,
        user: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<u64>,
    },
}

/// Key and value that say this; no value takes the entry out. `unix_at_zero` is the time of day when the clock was zero.
pub fn entry(news: &News, unix_at_zero: Duration) -> (Vec<u8>, Option<Vec<u8>>) {
    let key = news.address.to_string().into_bytes();
    let value = news.whose.as_ref().and_then(|Whose { identity, standing }| {
        let until = match standing {
            Standing::Here => None,
            Standing::Held(until) => Some((unix_at_zero + until.since(Instant::ZERO)).as_secs()),
        };
        let written = match identity {
            Claimant::Identity(Id { kind, bytes }) => {
                Written::Identity { id_type: kind.iana(), id: hex::encode(bytes), until }
            }
            Claimant::User { group, user } => {
                Written::User { group: hex::encode(group), user: hex::encode(user), until }
            }
        };
        serde_json::to_vec(&written).ok()
    });
    (key, value)
}

/// Reads an entry.
///
/// # Errors
/// See [`NotALease`].
pub fn read_entry(key: &[u8], value: &[u8]) -> Result<KeptLease, NotALease> {
    let address = std::str::from_utf8(key).ok().and_then(|text| text.parse().ok()).ok_or(NotALease::Address)?;
    let octets = |text: String| {
        let octets = hex::decode(text).ok().filter(|octets| (1..=MOST_NAME).contains(&octets.len()));
        octets.ok_or(NotALease::Identity)
    };
    let (identity, until) = match serde_json::from_slice(value).map_err(|_other| NotALease::Value)? {
        Written::Identity { id_type, id, until } => {
            let kind = IdKind::from_iana(id_type).ok_or(NotALease::Identity)?;
            (Claimant::Identity(Id { kind, bytes: octets(id)? }), until)
        }
        Written::User { group, user, until } => (Claimant::User { group: octets(group)?, user: octets(user)? }, until),
    };
    Ok(KeptLease { address, identity, until })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bolero::check;

    fn news(whose: Option<Standing>) -> News {
        let identity = Claimant::User { group: b"group".to_vec(), user: b"alice".to_vec() };
        let whose = whose.map(|standing| Whose { identity, standing });
        News { address: "10.30.0.7".parse().unwrap(), whose }
    }

    #[test]
    fn an_entry_reads_back_with_the_time_of_day() {
        let at_zero = Duration::from_secs(1_800_000_000);
        for (standing, until) in [
            (Standing::Here, None),
            (Standing::Held(Instant::ZERO + Duration::from_millis(90_500)), Some(1_800_000_090)),
        ] {
            let (key, value) = entry(&news(Some(standing)), at_zero);
            let read = read_entry(&key, &value.unwrap()).unwrap();
            let identity = news(Some(standing)).whose.unwrap().identity;
            assert_eq!(read, KeptLease { address: "10.30.0.7".parse().unwrap(), identity, until });
        }
        assert_eq!(entry(&news(None), at_zero), (b"10.30.0.7".to_vec(), None));
        // The same octets by IKEv2 are another's.
        let identity = Claimant::Identity(Id { kind: IdKind::KeyId, bytes: b"group\0alice".to_vec() });
        let whose = Some(Whose { identity: identity.clone(), standing: Standing::Here });
        let (key, value) = entry(&News { address: "10.30.0.7".parse().unwrap(), whose }, at_zero);
        assert_eq!(read_entry(&key, &value.unwrap()).unwrap().identity, identity);
    }

    #[test]
    fn what_is_no_lease_is_left_out() {
        let good = br#"{"id_type":11,"id":"6161"}"#;
        assert!(read_entry(b"fd30::7", good).is_ok());
        assert_eq!(read_entry(b"\xff", good), Err(NotALease::Address));
        assert_eq!(read_entry(b"10.30.0.0/24", good), Err(NotALease::Address));
        for (value, why) in [
            (&b"{}"[..], NotALease::Value),
            (br#"{"id_type":11,"id":"6161","more":1}"#, NotALease::Value),
            (br#"{"id_type":11,"id":"6161","until":-1}"#, NotALease::Value),
            (br#"{"id_type":200,"id":"6161"}"#, NotALease::Identity),
            (br#"{"id_type":11,"id":"616"}"#, NotALease::Identity),
            (br#"{"id_type":11,"id":""}"#, NotALease::Identity),
            (br#"{"group":"61","user":"61","id":"61"}"#, NotALease::Value),
            (br#"{"group":"61"}"#, NotALease::Value),
            (br#"{"group":"61","user":""}"#, NotALease::Identity),
        ] {
            assert_eq!(read_entry(b"10.30.0.7", value), Err(why), "{}", String::from_utf8_lossy(value));
        }
        let long = format!(r#"{{"id_type":11,"id":"{}"}}"#, "61".repeat(MOST_NAME + 1));
        assert_eq!(read_entry(b"10.30.0.7", long.as_bytes()), Err(NotALease::Identity));
    }

    #[test]
    fn any_octets_of_an_entry_are_a_lease_or_are_left_out() {
        check!().for_each(|octets| {
            let _lease_or_not = read_entry(b"10.30.0.7", octets);
            let _address_or_not = read_entry(octets, br#"{"id_type":11,"id":"6161"}"#);
        });
    }
}
