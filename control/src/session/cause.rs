//! Why a login fails and why a session ends: stable words for logs and metrics, a sentence each for people.

macro_rules! causes {
    ($($variant:ident $name:literal $sentence:literal,)+) => {
        /// One reason; what the peer is told says less.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Cause {
            $(#[doc = $sentence] $variant,)+
        }

        impl Cause {
            /// Every cause.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable word, as in `cause=wrong_psk`.
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

causes! {
    // A login fails.
    NoIkeProposal "no_ike_proposal" "no IKE proposal of the client's is allowed by any connection",
    WrongGroup "wrong_group" "the client's key exchange is for a group that was not chosen; it is told which to use",
    NoUdpEncapsulation "no_udp_encapsulation" "there is no way for the client's ESP: it does not do NAT traversal, or is behind a NAT on port 500",
    WrongPsk "wrong_psk" "the client does not know the pre-shared key",
    UnknownIdentity "unknown_identity" "no connection is for this identity",
    WrongResponderIdentity "wrong_responder_identity" "the client wants to talk to somebody else (IDr)",
    EapNotOffered "eap_not_offered" "the client wants EAP, and no connection has it",
    WrongAuthMethod "wrong_auth_method" "the client does not prove its identity by a pre-shared key",
    NoChildProposal "no_child_proposal" "no ESP proposal of the client's is allowed by its connection",
    TsUnacceptable "ts_unacceptable" "the client's traffic selectors and the connection's networks have nothing in common",
    PoolEmpty "pool_empty" "no pool of the connection has a free address of the family asked for",
    NoAddressAsked "no_address_asked" "the client did not ask for an inner address, and cannot do without",
    ChildLimit "child_limit" "as many child SAs as the configuration allows are in this session",
    SessionLimit "session_limit" "as many sessions as the configuration allows are up",
    DataplaneFull "dataplane_full" "no worker has a free slot for the SA",
    UnknownUser "unknown_user" "nobody knows this user",
    WrongPassword "wrong_password" "this is not the user's password",
    UserLocked "user_locked" "the configuration keeps this user out",
    UserNeedsPassword "user_needs_password" "a local user can be checked by password only, and the client sent another proof",
    ServerRefused "server_refused" "the RADIUS server refused the user",
    AaaUnavailable "aaa_unavailable" "nobody could say whether the user may in",
    XauthGivenUp "xauth_given_up" "the client did not answer for its user",
    XauthTimeout "xauth_timeout" "nobody typed anything for too long",
    LoginLimit "login_limit" "the user has as many sessions as the connection allows",
    NoCertificate "no_certificate" "a certificate is needed, and there is none",
    UntrustedCertificate "untrusted_certificate" "no authority of the connection's vouches for the client's certificate now",
    WrongCertificate "wrong_certificate" "the client's certificate is not for the identity that it claims",
    WrongSignature "wrong_signature" "the client's signature is not by its certificate's key",
    Refused "refused" "the peer refused",
    HalfOpenTimeout "half_open_timeout" "the client did not go on after our first answer",
    // A session ends.
    PeerDeleted "peer_deleted" "the client said goodbye",
    PeerDead "peer_dead" "the client did not answer",
    InitialContact "initial_contact" "the same identity logged in again and said that this session is lost",
    IdleTimeout "idle_timeout" "nothing came from the client for as long as it may be idle",
    SessionTimeout "session_timeout" "the session has lasted as long as it may",
    Replaced "replaced" "the user has logged in once more than they may, and the oldest session made place",
    TakenOver "taken_over" "another login of the same user's has taken the session over",
    AddressLost "address_lost" "the headend has another inner address for us than the one that we had",
    Stalled "stalled" "nothing of the client's came by its cTCP connection any more, and only the client could send it again",
    Unheard "unheard" "the client was heard, but got nothing of what was sent to it by its cTCP connection: a proxy keeps or cuts it",
    Childless "childless" "the session was without a child SA for too long",
    Expired "expired" "nobody replaced the IKE SA before its time was over",
    InvalidSyntax "invalid_syntax" "the client sent an authenticated message that cannot be read",
    UnsupportedCritical "unsupported_critical" "the client sent a payload of unknown type that must be understood",
    Reconfigured "reconfigured" "the configuration has changed, and the session does not fit it any more",
    Asked "asked" "the operator has ended the session",
    Drained "drained" "the operator drains the headend",
    ShutDown "shut_down" "adit is shutting down",
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_cause_has_a_word_of_its_own_and_a_sentence() {
        let names: BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.name()).collect();
        assert_eq!(names.len(), Cause::ALL.len());
        for cause in Cause::ALL {
            assert!(cause.name().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{cause}");
            assert!(cause.sentence().len() > 15 && !cause.sentence().ends_with('.'), "{cause}");
        }
    }
}
