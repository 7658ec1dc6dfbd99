//! How every packet ends.

use crate::contract::WorkerId;

/// What becomes of a packet. Later stages skip what is not [`Fate::Forward`]; the sweep frees the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fate {
    /// Still on its way.
    #[default]
    Forward,
    /// An IKE datagram: copied into an event for the control plane.
    ToControl,
    /// Another worker owns its tunnel.
    Handoff(WorkerId),
    /// Its octets have gone into a stream, or come out of one.
    Streamed,
    /// The end, with its name.
    Drop(DropReason),
}

macro_rules! drop_reasons {
    ($($variant:ident $name:literal $sentence:literal,)+) => {
        /// Why a packet was dropped: a name for metrics, a sentence for people.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum DropReason {
            $(#[doc = $sentence] $variant,)+
        }

        impl DropReason {
            /// Every reason, in counter order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable name, as in `adit_packets_dropped_total{reason="…"}`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// One sentence for people.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)+ }
            }
        }
    };
}

drop_reasons! {
    Keepalive "keepalive" "NAT keepalive, nothing to forward (RFC 3948 section 2.3)",
    TooShort "too_short" "shorter than its own headers say",
    Malformed "malformed" "headers contradict each other",
    UnknownSpi "unknown_spi" "no SA has this SPI",
    Replayed "replayed" "sequence number seen before",
    TooOld "too_old" "sequence number left of the replay window",
    ZeroSequence "zero_sequence" "sequence number 0 is never sent (RFC 4303 section 2.2)",
    BadIcv "bad_icv" "integrity check failed",
    BadPadding "bad_padding" "padding is not 1, 2, 3, … (RFC 4303 section 2.4)",
    BadNextHeader "bad_next_header" "the payload is neither IPv4 nor IPv6",
    Dummy "dummy" "dummy packet, next header 59 (RFC 4303 section 2.6)",
    BadInner "bad_inner" "the inner packet is not a sound IP packet",
    Congested "congested" "marked outside because of congestion, and its transport knows no marks (RFC 6040 section 4.2)",
    SelectorMismatch "selector_mismatch" "inner addresses are not what the SA's traffic selectors allow",
    NoRoute "no_route" "no tunnel and no inner route for this destination",
    NoTunnel "no_tunnel" "the tunnel is gone",
    NoOutboundSa "no_outbound_sa" "the tunnel has no SA to send on",
    SequenceExhausted "sequence_exhausted" "the SA has used its last sequence number",
    LifetimeOver "lifetime_over" "the SA has carried or lasted as long as it may",
    TooBig "too_big" "does not fit the tunnel's MTU",
    OverRateUp "over_rate_up" "the client sends faster than its session may",
    TransportClosed "transport_closed" "the operator has closed the transport by which its session's packets go",
    OverRateDown "over_rate_down" "more comes for the client than its session may receive",
    NoBuffer "no_buffer" "the packet pool is empty",
    HandoffFull "handoff_full" "the ring to the owning worker is full",
    IkeTooLong "ike_too_long" "an IKE message far longer than any client's",
    ControlBusy "control_busy" "the control plane's queue is full",
    TransmitFull "transmit_full" "the kernel took no more packets",
    TransmitFailed "transmit_failed" "the kernel refused the packet",
    ReceiveTruncated "receive_truncated" "the datagram was larger than the buffer",
    BadChecksum "bad_checksum" "a TCP segment whose checksum is wrong",
    Handshake "handshake" "a TCP segment that only opens a connection",
    NoConnection "no_connection" "a TCP segment of no connection",
    ConnectionEnded "connection_ended" "a TCP segment that ends its connection",
    TooManyConnections "too_many_connections" "as many TCP connections, or as much memory of theirs, as there may be",
    OutOfWindow "out_of_window" "a TCP segment that cannot be of its connection",
    Reframed "reframed" "a piece of a cTCP frame, kept until the rest has come",
    InFlight "in_flight" "as much as a firewall may allow is under way and not acknowledged (cTCP)",
    StreamFull "stream_full" "the oldest ESP that waits in a TCP connection that carries no more (RFC 9329)",
    BrokenStream "broken_stream" "a TCP connection without IKETCP at its front, or with a frame that cannot be (RFC 9329)",
    Unsolicited "unsolicited" "not IKE, not ESP: nothing here is meant by it",
}
