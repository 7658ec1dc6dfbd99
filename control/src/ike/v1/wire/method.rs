//! Authentication methods (RFC 2409 appendix A; XAUTH and hybrid drafts).

macro_rules! auth_methods {
    ($($(#[$doc:meta])+ $variant:ident = $number:literal $name:literal,)+) => {
        /// How the two ends prove who they are in phase 1, as the attribute of a transform says it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum AuthMethod {
            $($(#[$doc])+ $variant,)+
        }

        impl AuthMethod {
            /// Every method that adit knows.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The value of the attribute.
            pub const fn iana(self) -> u16 {
                match self { $(Self::$variant => $number,)+ }
            }

            /// From the value of the attribute.
            pub const fn from_iana(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }

            /// For logs.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

auth_methods! {
    /// Pre-shared key, both ends, no user.
    Psk = 1 "psk",
    /// RSA signatures, both ends, no user.
    Rsa = 3 "rsa",
    /// Pre-shared key, then the initiator proves a user.
    XauthInitPsk = 65001 "xauth-psk",
    /// Pre-shared key, then the responder proves a user.
    XauthRespPsk = 65002 "xauth-resp-psk",
    /// RSA signatures, then the initiator proves a user.
    XauthInitRsa = 65005 "xauth-rsa",
    /// RSA signatures, then the responder proves a user.
    XauthRespRsa = 65006 "xauth-resp-rsa",
    /// The responder signs, the initiator proves a user.
    HybridInitRsa = 64221 "hybrid",
    /// The initiator signs, the responder proves a user.
    HybridRespRsa = 64222 "hybrid-resp",
}
