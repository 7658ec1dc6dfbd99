//! Books as they outlive the process: an entry for each account that has something to be written, or whose session is not over.
//!
//! An entry is JSON. What is read back is believed as little as a packet.

use super::super::{Account, AccountId, Authentic, Caller, Moment, Terminated, Usage, UserName};
use crate::session::SessionId;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Records of one account that may wait.
const MOST_RECORDS: usize = 64;
/// As many attributes as fit a RADIUS packet.
const MOST_CLASSES: usize = 64;
/// The longest that fits an attribute (RFC 2865 section 5), in octets.
const MOST_CLASS: usize = 253;
/// Addresses of a session.
const MOST_ADDRESSES: usize = 8;

/// One account, as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeptBook {
    pub(super) account: Account,
    /// The connection's name: its place may be another now.
    pub(super) connection: String,
    /// What its session has used as far as was told, if it was not over.
    pub(super) here: Option<Usage>,
    /// What nobody has taken, with the time of day when it was made.
    pub(super) records: Vec<(Duration, Moment)>,
}

/// Why an entry is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotABook {
    /// The key.
    #[error("the key is no account")]
    Account,
    /// The value.
    #[error("the value is no book")]
    Value,
    /// The user's name, the reason of an end, or more of something than there can be.
    #[error("the value is no book that was ever kept")]
    Content,
    /// There is none of this name.
    #[error("its connection is gone")]
    NoConnection,
    /// There is no server that keeps books, or there are too many.
    #[error("no server would take it")]
    NoServer,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    session: u32,
    connection: String,
    user: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    known_here: bool,
    peer: SocketAddr,
    local: SocketAddr,
    group: String,
    addresses: Vec<IpAddr>,
    /// In hexadecimal.
    class: Vec<String>,
    here: Option<WrittenUsage>,
    records: Vec<WrittenRecord>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenUsage {
    seconds: u64,
    octets_in: u64,
    octets_out: u64,
    packets_in: u64,
    packets_out: u64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(tag = "moment", rename_all = "snake_case", deny_unknown_fields)]
enum WrittenRecord {
    Start { unix: u64 },
    Interim { unix: u64, usage: WrittenUsage },
    Stop { unix: u64, usage: WrittenUsage, cause: u32 },
}

impl From<Usage> for WrittenUsage {
    fn from(usage: Usage) -> Self {
        let Usage { time, octets_in, octets_out, packets_in, packets_out } = usage;
        Self { seconds: time.as_secs(), octets_in, octets_out, packets_in, packets_out }
    }
}

impl From<WrittenUsage> for Usage {
    fn from(usage: WrittenUsage) -> Self {
        let WrittenUsage { seconds, octets_in, octets_out, packets_in, packets_out } = usage;
        Self { time: Duration::from_secs(seconds), octets_in, octets_out, packets_in, packets_out }
    }
}

impl WrittenRecord {
    fn new(made: Duration, moment: Moment) -> Self {
        let unix = made.as_secs();
        match moment {
            Moment::Start => Self::Start { unix },
            Moment::Interim(usage) => Self::Interim { unix, usage: usage.into() },
            Moment::Stop(usage, cause) => Self::Stop { unix, usage: usage.into(), cause: cause.value() },
        }
    }

    fn read(self) -> Result<(Duration, Moment), NotABook> {
        let (unix, moment) = match self {
            Self::Start { unix } => (unix, Moment::Start),
            Self::Interim { unix, usage } => (unix, Moment::Interim(usage.into())),
            Self::Stop { unix, usage, cause } => {
                let cause = Terminated::from_value(cause).ok_or(NotABook::Content)?;
                (unix, Moment::Stop(usage.into(), cause))
            }
        };
        Ok((Duration::from_secs(unix), moment))
    }
}

/// Where an account's entry stands.
pub(super) fn key(id: AccountId) -> Vec<u8> {
    id.to_string().into_bytes()
}

/// What it says.
pub(super) fn value(book: &KeptBook) -> Option<Vec<u8>> {
    let Account { id: _, session, connection: _, user, authentic, caller, addresses, class } = &book.account;
    let written = Written {
        session: session.0,
        connection: book.connection.clone(),
        user: user.as_str().to_owned(),
        known_here: *authentic == Authentic::Local,
        peer: caller.peer,
        local: caller.local,
        group: caller.group.clone(),
        addresses: addresses.clone(),
        class: class.iter().map(hex::encode).collect(),
        here: book.here.map(WrittenUsage::from),
        records: book.records.iter().map(|(made, moment)| WrittenRecord::new(*made, *moment)).collect(),
    };
    serde_json::to_vec(&written).ok()
}

/// Reads an entry. The connection's place is still to be found.
pub(super) fn read_entry(key: &[u8], value: &[u8]) -> Result<KeptBook, NotABook> {
    let id = std::str::from_utf8(key).ok().filter(|text| text.len() == 16);
    let id = id.and_then(|text| u64::from_str_radix(text, 16).ok()).ok_or(NotABook::Account)?;
    let written: Written = serde_json::from_slice(value).map_err(|_other| NotABook::Value)?;
    let Written { session, connection, user, known_here, peer, local, group, addresses, class, here, records } =
        written;
    if records.len() > MOST_RECORDS || class.len() > MOST_CLASSES || addresses.len() > MOST_ADDRESSES {
        return Err(NotABook::Content);
    }
    let class: Vec<Vec<u8>> =
        class.into_iter().map(hex::decode).collect::<Result<_, _>>().map_err(|_other| NotABook::Content)?;
    if class.iter().any(|one| one.len() > MOST_CLASS) {
        return Err(NotABook::Content);
    }
    let user = UserName::new(user.as_bytes()).map_err(|_other| NotABook::Content)?;
    let account = Account {
        id: AccountId(id),
        session: SessionId(session),
        connection: usize::MAX,
        user,
        authentic: if known_here { Authentic::Local } else { Authentic::Radius },
        caller: Caller { peer, local, group },
        addresses,
        class,
    };
    let records = records.into_iter().map(WrittenRecord::read).collect::<Result<_, _>>()?;
    Ok(KeptBook { account, connection, here: here.map(Usage::from), records })
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::caller;
    use super::*;
    use bolero::check;

    const USED: Usage =
        Usage { time: Duration::from_secs(9), octets_in: u64::MAX, octets_out: 2, packets_in: 3, packets_out: 4 };

    fn book() -> KeptBook {
        let account = Account {
            id: AccountId(0xabc),
            session: SessionId(7),
            connection: usize::MAX,
            authentic: Authentic::Local,
            user: UserName::new("älice \"x\"".as_bytes()).unwrap(),
            caller: caller(),
            addresses: vec!["10.30.7.7".parse().unwrap(), "fd30::7".parse().unwrap()],
            class: vec![vec![0, 255], Vec::new()],
        };
        let records = vec![
            (Duration::from_secs(1), Moment::Start),
            (Duration::from_secs(2), Moment::Interim(USED)),
            (Duration::from_secs(3), Moment::Stop(USED, Terminated::NasReboot)),
        ];
        KeptBook { account, connection: "ezvpn".to_owned(), here: Some(USED), records }
    }

    #[test]
    fn a_book_reads_back_as_it_was() {
        let value = value(&book()).unwrap();
        assert_eq!(read_entry(&key(AccountId(0xabc)), &value), Ok(book()));
        assert_eq!(read_entry(b"abc", &value), Err(NotABook::Account));
        assert_eq!(read_entry(&key(AccountId(0xabc)), &value[1..]), Err(NotABook::Value));
    }

    #[test]
    fn more_than_there_can_be_is_no_book() {
        let key = key(AccountId(1));
        let spoilt: [fn(&mut KeptBook); 4] = [
            |book| book.records = vec![(Duration::ZERO, Moment::Start); MOST_RECORDS + 1],
            |book| book.account.class = vec![Vec::new(); MOST_CLASSES + 1],
            |book| book.account.class = vec![vec![7; MOST_CLASS + 1]],
            |book| book.account.addresses = vec!["10.30.7.7".parse().unwrap(); MOST_ADDRESSES + 1],
        ];
        for spoil in spoilt {
            let mut book = book();
            spoil(&mut book);
            assert_eq!(read_entry(&key, &value(&book).unwrap()), Err(NotABook::Content));
        }
        let text = String::from_utf8(value(&book()).unwrap()).unwrap();
        for (from, to) in [("\"cause\":11", "\"cause\":12"), ("älice", "\\u0007lice"), ("00ff", "0ff")] {
            let spoilt = text.replace(from, to);
            assert_ne!(spoilt, text);
            assert_eq!(read_entry(&key, spoilt.as_bytes()), Err(NotABook::Content), "{to}");
        }
    }

    #[test]
    fn any_octets_of_a_book_are_one_or_are_left_out() {
        check!().for_each(|octets| {
            let _book_or_not = read_entry(b"0000000000000abc", octets);
        });
    }
}
