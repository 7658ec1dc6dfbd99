//! One line for the books (RFC 2866, RFC 2869 sections 5.1 to 5.3).

use super::attribute::kind;
use super::login::where_from;
use super::packet::{Builder, Request};
use crate::aaa::{Account, Moment, Usage};
use crate::config::checked::RadiusServer;
use std::net::IpAddr;
use std::time::Duration;

const FRAMED: u32 = 2;
const PPP: u32 = 1;

/// When a record was made: `unix` seconds, and how long ago that is. The first stays the same wherever the record is
/// sent, so that books which are put together later show it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Made {
    pub(in super::super) unix: u64,
    pub(in super::super) ago: Duration,
}

/// Writes a record down.
pub(in super::super) fn accounting_request(
    account: &Account,
    moment: Moment,
    names: (&str, &str),
    made: Made,
    server: &RadiusServer,
    identifier: u8,
) -> Request {
    let (nas, connection) = names;
    let (status, usage, cause) = match moment {
        Moment::Start => (1, None, None),
        Moment::Stop(usage, cause) => (2, Some(usage), Some(cause)),
        Moment::Interim(usage) => (3, Some(usage), None),
    };
    let mut builder = Builder::accounting(identifier);
    builder.add_number(kind::ACCT_STATUS_TYPE, status);
    builder.add(kind::ACCT_SESSION_ID, account.id.to_string().as_bytes());
    builder.add(kind::USER_NAME, account.user.as_str().as_bytes());
    builder.add_number(kind::EVENT_TIMESTAMP, u32::try_from(made.unix).unwrap_or(u32::MAX));
    builder.add_number(kind::ACCT_DELAY_TIME, u32::try_from(made.ago.as_secs()).unwrap_or(u32::MAX));
    if let Some(usage) = usage {
        used(&mut builder, &usage);
    }
    if let Some(cause) = cause {
        builder.add_number(kind::ACCT_TERMINATE_CAUSE, cause.value());
    }
    builder.add_number(kind::ACCT_AUTHENTIC, account.authentic.value());
    builder.add_number(kind::SERVICE_TYPE, FRAMED);
    builder.add_number(kind::FRAMED_PROTOCOL, PPP);
    for address in &account.addresses {
        match address {
            IpAddr::V4(address) => builder.add(kind::FRAMED_IP_ADDRESS, &address.octets()),
            IpAddr::V6(address) => builder.add(kind::FRAMED_IPV6_ADDRESS, &address.octets()),
        }
    }
    where_from(&mut builder, &account.caller, nas, connection);
    for class in &account.class {
        builder.add(kind::CLASS, class);
    }
    builder.seal(&server.secret)
}

/// RFC 2869 sections 5.1 and 5.2: octets are 64 bits in two halves. Packets that do not fit stand still at the end.
fn used(builder: &mut Builder, usage: &Usage) {
    builder.add_number(kind::ACCT_SESSION_TIME, u32::try_from(usage.time.as_secs()).unwrap_or(u32::MAX));
    let counts = [
        (usage.octets_in, kind::ACCT_INPUT_OCTETS, kind::ACCT_INPUT_GIGAWORDS),
        (usage.octets_out, kind::ACCT_OUTPUT_OCTETS, kind::ACCT_OUTPUT_GIGAWORDS),
    ];
    for (octets, low, high) in counts {
        let [a, b, c, d, e, f, g, h] = octets.to_be_bytes();
        builder.add(low, &[e, f, g, h]);
        builder.add(high, &[a, b, c, d]);
    }
    let packets = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    builder.add_number(kind::ACCT_INPUT_PACKETS, packets(usage.packets_in));
    builder.add_number(kind::ACCT_OUTPUT_PACKETS, packets(usage.packets_out));
}

#[cfg(test)]
mod tests {
    use super::super::attribute::{number, parse};
    use super::*;
    use crate::aaa::testing::server;
    use crate::aaa::{AccountId, Authentic, Caller, Terminated, UserName};
    use crate::session::SessionId;

    #[test]
    fn a_stop_says_what_was_used_in_64_bits() {
        let caller = Caller {
            peer: "[2001:db8::7]:4500".parse().unwrap(),
            local: "192.0.2.1:4500".parse().unwrap(),
            group: "sales".to_owned(),
        };
        let account = Account {
            id: AccountId(0xabc),
            session: SessionId(1),
            connection: 0,
            user: UserName::new(b"alice").unwrap(),
            authentic: Authentic::Radius,
            caller,
            addresses: vec!["10.30.7.7".parse().unwrap(), "fd30::7".parse().unwrap()],
            class: vec![b"one".to_vec(), b"two".to_vec()],
        };
        let usage = Usage {
            time: Duration::from_secs(90),
            octets_in: 5 << 32 | 6,
            octets_out: 7,
            packets_in: 8,
            packets_out: u64::MAX,
        };
        let made = Made { unix: 1_800_000_000, ago: Duration::from_secs(4) };
        let stop = Moment::Stop(usage, Terminated::LostCarrier);
        let request = accounting_request(&account, stop, ("headend", "ezvpn"), made, &server(), 3);
        let found = parse(&request.octets[20..]).unwrap();
        let numbers = |kind| found.iter().filter(|one| one.kind == kind).filter_map(|one| number(one.value)).next();
        let texts = |kind| found.iter().filter(|one| one.kind == kind).map(|one| one.value).collect::<Vec<_>>();
        assert_eq!(request.octets[0..2], [4, 3]);
        for (kind, value) in [(40, 2), (41, 4), (46, 90), (42, 6), (52, 5), (43, 7), (53, 0), (47, 8), (49, 2)] {
            assert_eq!(numbers(kind), Some(value), "attribute {kind}");
        }
        assert_eq!(numbers(48), Some(u32::MAX));
        assert_eq!(numbers(55), Some(1_800_000_000));
        assert_eq!(texts(44), [b"0000000000000abc"]);
        assert_eq!(texts(25), [b"one", b"two"]);
        assert_eq!(texts(31), [b"2001:db8::7"]);
        assert_eq!(texts(8), [[10, 30, 7, 7]]);
        assert_eq!(texts(80).len(), 0);
        assert_eq!(numbers(45), Some(1));
        let local = Account { authentic: Authentic::Local, ..account };
        let request = accounting_request(&local, Moment::Start, ("headend", "ezvpn"), made, &server(), 3);
        let found = parse(&request.octets[20..]).unwrap();
        let authentic: Vec<_> = found.iter().filter(|one| one.kind == 45).map(|one| number(one.value)).collect();
        assert_eq!(authentic, [Some(2)], "RFC 2866 section 5.6");
    }
}
