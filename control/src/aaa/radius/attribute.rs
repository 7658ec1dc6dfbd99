//! Attributes: their numbers, and one after the other (RFC 2865 section 5).

/// `Attribute(type)`, by the RFC that has it.
pub(super) mod kind {
    // RFC 2865
    pub(in super::super) const USER_NAME: u8 = 1;
    pub(in super::super) const USER_PASSWORD: u8 = 2;
    pub(in super::super) const CHAP_PASSWORD: u8 = 3;
    pub(in super::super) const NAS_IP_ADDRESS: u8 = 4;
    pub(in super::super) const SERVICE_TYPE: u8 = 6;
    pub(in super::super) const FRAMED_PROTOCOL: u8 = 7;
    pub(in super::super) const FRAMED_IP_ADDRESS: u8 = 8;
    pub(in super::super) const FRAMED_IP_NETMASK: u8 = 9;
    pub(in super::super) const FILTER_ID: u8 = 11;
    pub(in super::super) const REPLY_MESSAGE: u8 = 18;
    pub(in super::super) const STATE: u8 = 24;
    pub(in super::super) const CLASS: u8 = 25;
    pub(in super::super) const VENDOR_SPECIFIC: u8 = 26;
    pub(in super::super) const SESSION_TIMEOUT: u8 = 27;
    pub(in super::super) const IDLE_TIMEOUT: u8 = 28;
    pub(in super::super) const CALLED_STATION_ID: u8 = 30;
    pub(in super::super) const CALLING_STATION_ID: u8 = 31;
    pub(in super::super) const NAS_IDENTIFIER: u8 = 32;
    pub(in super::super) const CHAP_CHALLENGE: u8 = 60;
    pub(in super::super) const NAS_PORT_TYPE: u8 = 61;
    pub(in super::super) const PORT_LIMIT: u8 = 62;
    // RFC 2866
    pub(in super::super) const ACCT_STATUS_TYPE: u8 = 40;
    pub(in super::super) const ACCT_DELAY_TIME: u8 = 41;
    pub(in super::super) const ACCT_INPUT_OCTETS: u8 = 42;
    pub(in super::super) const ACCT_OUTPUT_OCTETS: u8 = 43;
    pub(in super::super) const ACCT_SESSION_ID: u8 = 44;
    pub(in super::super) const ACCT_AUTHENTIC: u8 = 45;
    pub(in super::super) const ACCT_SESSION_TIME: u8 = 46;
    pub(in super::super) const ACCT_INPUT_PACKETS: u8 = 47;
    pub(in super::super) const ACCT_OUTPUT_PACKETS: u8 = 48;
    pub(in super::super) const ACCT_TERMINATE_CAUSE: u8 = 49;
    // RFC 2868
    pub(in super::super) const TUNNEL_CLIENT_ENDPOINT: u8 = 66;
    pub(in super::super) const TUNNEL_CLIENT_AUTH_ID: u8 = 90;
    // RFC 2869
    pub(in super::super) const ACCT_INPUT_GIGAWORDS: u8 = 52;
    pub(in super::super) const ACCT_OUTPUT_GIGAWORDS: u8 = 53;
    pub(in super::super) const EVENT_TIMESTAMP: u8 = 55;
    pub(in super::super) const MESSAGE_AUTHENTICATOR: u8 = 80;
    pub(in super::super) const ACCT_INTERIM_INTERVAL: u8 = 85;
    pub(in super::super) const NAS_PORT_ID: u8 = 87;
    // RFC 3162
    pub(in super::super) const NAS_IPV6_ADDRESS: u8 = 95;
    // RFC 6911
    pub(in super::super) const FRAMED_IPV6_ADDRESS: u8 = 168;
}

/// Microsoft's attributes (RFC 2548).
pub(super) mod microsoft {
    pub(in super::super) const VENDOR: u32 = 311;
    pub(in super::super) const CHAP_CHALLENGE: u8 = 11;
    pub(in super::super) const CHAP2_RESPONSE: u8 = 25;
    pub(in super::super) const CHAP2_SUCCESS: u8 = 26;
}

/// The Wi-Fi Alliance's attributes for roaming between providers (WISPr 1.0, annex C), which have become everybody's for bandwidth.
pub(super) mod wispr {
    pub(in super::super) const VENDOR: u32 = 14_122;
    pub(in super::super) const BANDWIDTH_MAX_UP: u8 = 7;
    pub(in super::super) const BANDWIDTH_MAX_DOWN: u8 = 8;
}

/// Octets of a value: its length is one octet and counts itself and the type.
pub(super) const MAX_VALUE: usize = 253;

/// One attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attribute<'a> {
    pub(super) kind: u8,
    pub(super) value: &'a [u8],
}

/// The attributes in `octets`, all of them or none.
pub(super) fn parse(mut octets: &[u8]) -> Option<Vec<Attribute<'_>>> {
    let mut attributes = Vec::new();
    while let [kind, length, rest @ ..] = octets {
        let (value, after) = rest.split_at_checked(usize::from(*length).checked_sub(2)?)?;
        attributes.push(Attribute { kind: *kind, value });
        octets = after;
    }
    octets.is_empty().then_some(attributes)
}

/// The value of a vendor's attribute, if this is one (RFC 2865 section 5.26).
pub(super) fn of_vendor<'a>(attribute: &Attribute<'a>, vendor: u32, wanted: u8) -> Option<&'a [u8]> {
    if attribute.kind != kind::VENDOR_SPECIFIC {
        return None;
    }
    let (id, rest) = attribute.value.split_first_chunk::<4>()?;
    if u32::from_be_bytes(*id) != vendor {
        return None;
    }
    parse(rest)?.into_iter().find(|inner| inner.kind == wanted).map(|inner| inner.value)
}

/// A number of 32 bits.
pub(super) fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_fill_their_packet_or_there_are_none() {
        let octets = [1, 5, b'b', b'o', b'b', 2, 2];
        let found = parse(&octets).unwrap();
        assert_eq!(found, [Attribute { kind: 1, value: b"bob" }, Attribute { kind: 2, value: b"" }]);
        assert_eq!(parse(&[]), Some(Vec::new()));
        for wrong in [&[1][..], &[1, 0], &[1, 1], &[1, 3], &[1, 4, 0], &[1, 3, 0, 9]] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
        let longest = [&[1, 255][..], &[0; 253]].concat();
        assert_eq!(parse(&longest).unwrap()[0].value.len(), MAX_VALUE);
    }

    #[test]
    fn a_vendors_attribute_is_found_inside_its_envelope() {
        let value = [&[0, 0, 1, 55][..], &[11, 4, 7, 8]].concat();
        let attribute = Attribute { kind: kind::VENDOR_SPECIFIC, value: &value };
        assert_eq!(of_vendor(&attribute, 311, 11), Some(&[7, 8][..]));
        assert_eq!(of_vendor(&attribute, 9, 11), None);
        assert_eq!(of_vendor(&attribute, 311, 12), None);
        assert_eq!(of_vendor(&Attribute { kind: 1, value: &value }, 311, 11), None);
    }

    #[test]
    fn any_octets_are_attributes_or_are_refused() {
        bolero::check!().for_each(|octets: &[u8]| {
            if let Some(attributes) = parse(octets) {
                assert_eq!(attributes.iter().map(|one| one.value.len() + 2).sum::<usize>(), octets.len());
            }
        });
    }
}
