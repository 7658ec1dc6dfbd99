//! Vendor IDs: what a peer says it can, or is.

use super::NatTraversal;

/// What a vendor ID means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// Takes part in XAUTH (draft-beaulieu-ike-xauth-02).
    Xauth,
    /// Answers R-U-THERE (RFC 3706).
    Dpd,
    /// Cisco Unity: understands the Unity attributes of mode config.
    Unity,
    /// Reassembles Cisco's fragments.
    Fragmentation,
    /// NAT traversal in this version.
    NatTraversal(NatTraversal),
    /// draft-ietf-ipsec-nat-t-ike without a number (Apple).
    NatTraversalUnnumbered,
    /// A Cisco concentrator or ASA.
    CiscoConcentrator,
    /// A Cisco VPN 3000 client.
    CiscoClient,
    /// Takes a delete with a reason. How one looks is not public: vpnc has names for reasons and reads none, Wireshark
    /// knows this vendor ID alone. vpnc and racoon refuse a Delete with octets behind its SPIs, so adit's have none, and
    /// adit never says that it takes a reason.
    DeleteWithReason,
    /// Sent by Cisco's client and vpnc in aggressive mode; what it promises is not known.
    CiscoClientMark,
    /// Our own client, whose TCP repeats what is asked for: a connection of its that has stood still for a while goes on.
    Repeats,
    /// strongSwan.
    StrongSwan,
    /// GSS-API capable (Windows).
    Microsoft,
}

/// How much of a vendor ID must agree.
#[derive(Clone, Copy)]
enum Match {
    Whole,
    /// Versions or capabilities follow.
    Start,
}

/// What each looks like. MD5 sums of the names in the comments, except where they say otherwise.
#[rustfmt::skip]
const TABLE: &[(Vendor, Match, &[u8])] = {
    use Match::{Start, Whole};
    use NatTraversal::{Draft00, Draft01, Draft02, Draft02LineFeed, Draft03, Rfc3947};
    &[
        // Of "draft-ietf-ipsra-isakmp-xauth-06.txt", half of it.
        (Vendor::Xauth, Whole, &0x09002689dfd6b712_u64.to_be_bytes()),
        // RFC 3706 section 5.1: no hash; major and minor version follow.
        (Vendor::Dpd, Start, &[0xaf, 0xca, 0xd7, 0x13, 0x68, 0xa1, 0xf1, 0xc9, 0x6b, 0x86, 0x96, 0xfc, 0x77, 0x57]),
        // Of "CISCO-UNITY", with a version in the place of the last two octets.
        (Vendor::Unity, Start, &[0x12, 0xf5, 0xf2, 0x8c, 0x45, 0x71, 0x68, 0xa9, 0x70, 0x2d, 0x9f, 0xe2, 0x74, 0xcc]),
        // Of "FRAGMENTATION"; capabilities may follow.
        (Vendor::Fragmentation, Start, &0x4048b7d56ebce88525e7de7f00d6c2d3_u128.to_be_bytes()),
        // Of "RFC 3947".
        (Vendor::NatTraversal(Rfc3947), Whole, &0x4a131c81070358455c5728f20e95452f_u128.to_be_bytes()),
        // Of "draft-ietf-ipsec-nat-t-ike-03" and so on.
        (Vendor::NatTraversal(Draft03), Whole, &0x7d9419a65310ca6f2c179d9215529d56_u128.to_be_bytes()),
        // Of "draft-ietf-ipsec-nat-t-ike-02\n".
        (Vendor::NatTraversal(Draft02LineFeed), Whole, &0x90cb80913ebb696e086381b5ec427b1f_u128.to_be_bytes()),
        (Vendor::NatTraversal(Draft02), Whole, &0xcd60464335df21f87cfdb2fc68b6a448_u128.to_be_bytes()),
        (Vendor::NatTraversal(Draft01), Whole, &0x16f6ca16e4a4066d83821a0f0aeaa862_u128.to_be_bytes()),
        (Vendor::NatTraversal(Draft00), Whole, &0x4485152d18b6bbcd0be8a8469579ddcc_u128.to_be_bytes()),
        // Of "draft-ietf-ipsec-nat-t-ike".
        (Vendor::NatTraversalUnnumbered, Whole, &0x4df37928e9fc4fd1b3262170d515c662_u128.to_be_bytes()),
        // Of "ALTIGA GATEWAY", with a version in the place of the last two octets.
        (Vendor::CiscoConcentrator, Start, &[0x1f, 0x07, 0xf7, 0x0e, 0xaa, 0x65, 0x14, 0xd3, 0xb0, 0xfa, 0x96, 0x54, 0x2a, 0x50]),
        // Of "ALTIGA NETWORKS".
        (Vendor::CiscoClient, Whole, &0xf6f7efc7f5aeb8cb158cb9d094ba69e7_u128.to_be_bytes()),
        // Seen, not derived.
        (Vendor::DeleteWithReason, Whole, &0x2d7922c6b301d9b0e1342739e9cfbbd5_u128.to_be_bytes()),
        // Seen, not derived.
        (Vendor::CiscoClientMark, Whole, &0x126e1f577291153b20485f7f155b4bc8_u128.to_be_bytes()),
        // Of "adit repeats what is asked for in cTCP".
        (Vendor::Repeats, Whole, &0x1a8b67ebb36c7b53173a68795abcdeb3_u128.to_be_bytes()),
        // Of "strongSwan".
        (Vendor::StrongSwan, Whole, &0x882fe56d6fd20dbc2251613b2ebe5beb_u128.to_be_bytes()),
        // Of "MS NT5 ISAKMPOAKLEY", with a version behind it.
        (Vendor::Microsoft, Start, &0x1e2b516905991c7d7c96fcbfb587e461_u128.to_be_bytes()),
    ]
};

impl Vendor {
    /// What this vendor ID means, if adit knows it.
    pub fn recognise(octets: &[u8]) -> Option<Self> {
        let fits = |how: Match, known: &[u8]| match how {
            Match::Whole => octets == known,
            Match::Start => octets.starts_with(known),
        };
        TABLE.iter().find(|(_, how, known)| fits(*how, known)).map(|(vendor, _, _)| *vendor)
    }

    /// What to send to say so.
    pub fn octets(self) -> Vec<u8> {
        let known = TABLE.iter().find(|(vendor, _, _)| *vendor == self).map_or(&[][..], |(_, _, known)| known);
        let version: &[u8] = match self {
            Self::Dpd | Self::Unity => &[1, 0],
            // Main mode and aggressive mode, whole exchanges (0x80000000), and the basic capability (0x40000000).
            Self::Fragmentation => &[0xc0, 0, 0, 0],
            Self::CiscoConcentrator => &[4, 7],
            Self::Xauth
            | Self::NatTraversal(_)
            | Self::NatTraversalUnnumbered
            | Self::CiscoClient
            | Self::DeleteWithReason
            | Self::CiscoClientMark
            | Self::Repeats
            | Self::StrongSwan
            | Self::Microsoft => &[],
        };
        [known, version].concat()
    }

    /// For logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xauth => "XAUTH",
            Self::Dpd => "DPD",
            Self::Unity => "Cisco Unity",
            Self::Fragmentation => "IKE fragmentation",
            Self::NatTraversal(version) => version.name(),
            Self::NatTraversalUnnumbered => "NAT-T draft (unnumbered)",
            Self::CiscoConcentrator => "Cisco concentrator",
            Self::CiscoClient => "Cisco VPN client",
            Self::DeleteWithReason => "delete with reason",
            Self::CiscoClientMark => "Cisco VPN client (mark)",
            Self::Repeats => "adit (repeats)",
            Self::StrongSwan => "strongSwan",
            Self::Microsoft => "Microsoft",
        }
    }
}
