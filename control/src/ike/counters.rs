//! What the engine did, in numbers. Every datagram that leads to nothing has a name here.

use super::login_times::LoginTimes;

macro_rules! ignored {
    ($($variant:ident $name:literal $sentence:literal,)+) => {
        /// Why a datagram led to nothing.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Ignored {
            $(#[doc = $sentence] $variant,)+
        }

        impl Ignored {
            /// Every reason, in counter order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable name, as in `adit_ike_ignored_total{reason="…"}`.
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

ignored! {
    Malformed "malformed" "not an IKE message",
    TooLong "too_long" "a first message far longer than any client's",
    UnknownSpi "unknown_spi" "no IKE SA has these SPIs",
    WrongDirection "wrong_direction" "says it comes from the end that we are",
    UnexpectedExchange "unexpected_exchange" "an exchange that cannot come now",
    BadIcv "bad_icv" "integrity check failed",
    OldMessageId "old_message_id" "Message ID below the window",
    FutureMessageId "future_message_id" "Message ID above the window",
    NotAsked "not_asked" "a response to nothing that we asked",
    HalfOpenFull "half_open_full" "as many half-open SAs as the configuration allows",
    SourceFull "source_full" "too many half-open SAs from one address",
    SpiTaken "spi_taken" "another IKE_SA_INIT with the SPI and address of a living IKE SA",
    WouldAmplify "would_amplify" "the answer would be larger than the question from an unproven address",
    Draining "draining" "nobody new is let in, for the operator drains the headend",
    ShuttingDown "shutting_down" "adit is leaving",
    ClientOnly "client_only" "a first message to a client, which calls and lets nobody in",
    OtherVersion "other_version" "another major version of IKE",
    Unanswered "unanswered" "an error that strangers have been told often enough",
    FragmentNotAgreed "fragment_not_agreed" "a fragment although fragmentation was not agreed on",
    FragmentMisfit "fragment_misfit" "a fragment that does not fit those before it",
    FragmentRepeated "fragment_repeated" "a fragment that is here already",
    FragmentsTooMany "fragments_too_many" "more fragments or octets than a message may have",
    NotProtected "not_protected" "in the clear where only protected messages count (IKEv1)",
    BadHash "bad_hash" "the hash inside is not right (IKEv1)",
    ModeNotTaken "mode_not_taken" "main or aggressive mode, which no connection takes (IKEv1)",
    OtherAddress "other_address" "a proof from another address than the one that phase 1 was answered to (IKEv1)",
    BadPublicValue "bad_public_value" "a key exchange value that no honest peer sends",
    AggressiveTooOften "aggressive_too_often" "more aggressive modes from one source in a second than the configuration allows",
    TransportClosed "transport_closed" "a session's, by a transport that an operator has closed to it for a while, or that the configuration has taken away",
    UnreadableResponse "unreadable_response" "an authenticated response that cannot be read",
}

/// Totals since the engine was made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineCounters {
    ignored: [u64; Ignored::ALL.len()],
    /// IKE datagrams taken in.
    pub received: u64,
    /// IKE datagrams given out.
    pub sent: u64,
    /// Requests that were answered with the same octets again.
    pub answered_again: u64,
    /// Requests of ours that were sent again.
    pub asked_again: u64,
    /// Clients that were asked for a cookie.
    pub cookies_asked: u64,
    /// Clients that returned a good cookie when one was asked for.
    pub cookies_returned: u64,
    /// Cookies that were not ours or too old, when one was asked for.
    pub cookies_wrong: u64,
    /// Messages put together from fragments.
    pub messages_joined: u64,
    /// Messages sent in fragments, once and again.
    pub messages_cut: u64,
    /// Strangers told that their IKE SA, their child SA or their version of IKE is unknown.
    pub strangers_told: u64,
    /// Peers that proved their identity and got a session.
    pub logins: u64,
    /// How long their logins took.
    pub login_times: LoginTimes,
    /// Peers that were refused.
    pub refusals: u64,
    /// Peers that were followed to another outer address, by an IKE message of theirs.
    pub moves_by_ike: u64,
    /// Peers that were followed to another outer address, by an ESP packet of theirs.
    pub moves_by_esp: u64,
    /// cTCP connections of sessions that were thought to bring nothing of the client's.
    pub stalls_suspected: u64,
    /// Sessions that were ended for that.
    pub stalls_ended: u64,
}

impl EngineCounters {
    pub(crate) fn ignore(&mut self, reason: Ignored) {
        if let Some(count) = self.ignored.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// How many datagrams led to nothing for this reason.
    pub fn ignored(&self, reason: Ignored) -> u64 {
        self.ignored.get(reason as usize).copied().unwrap_or_default()
    }
}
