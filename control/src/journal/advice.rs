//! What can be done about a cause: one line each, where anybody can do anything.

use crate::session::Cause;

/// Of a refused login or a session's end.
pub(super) const fn advice(cause: Cause) -> Option<&'static str> {
    match cause {
        Cause::NoIkeProposal => {
            Some("Compare the client's IKE proposals with ike_proposals of its [[connection]]; the log names both.")
        }
        Cause::NoChildProposal => {
            Some("Compare the client's ESP proposals with esp_proposals of its [[connection]]; the log names both.")
        }
        Cause::NoUdpEncapsulation => {
            Some("Let the client do NAT traversal, or give its [[connection]] another of its transports.")
        }
        Cause::WrongPsk => Some("Give the client the pre-shared key of its [[connection]], or that one the client's."),
        Cause::UnknownIdentity => Some("Add the identity to remote_ids of a [[connection]], or mend it in the client."),
        Cause::WrongResponderIdentity => {
            Some("The client expects another name of the headend: compare it with [node] identity.")
        }
        Cause::EapNotOffered | Cause::WrongAuthMethod => Some("Let the client prove its identity by a pre-shared key."),
        Cause::TsUnacceptable => Some("Compare what the client wants to reach with networks of its [[connection]]."),
        Cause::PoolEmpty => Some("Give the connection's pools more addresses, or the connection another pool."),
        Cause::NoAddressAsked => Some("Let the client ask for an inner address."),
        Cause::ChildLimit => Some("Raise [ike] children_limit if the client needs more child SAs."),
        Cause::SessionLimit => Some("Raise [ike] session_limit if there is memory for more."),
        Cause::DataplaneFull => Some("Give the daemon more workers."),
        Cause::UnknownUser => Some("Add the user, or mend the name in the client."),
        Cause::WrongPassword | Cause::UserNeedsPassword => {
            Some("Let the user type the password again; aditctl aaa test tries it without the client.")
        }
        Cause::UserLocked => Some("Unlock the [[user]] if that is no longer meant."),
        Cause::ServerRefused => Some("Look into the RADIUS server's log."),
        Cause::AaaUnavailable => Some("Look at the RADIUS servers with aditctl aaa."),
        Cause::XauthGivenUp | Cause::XauthTimeout => Some("Let the user answer the client's question in time."),
        Cause::Drained => Some("Let the client try another headend, or wait until this one is back: aditctl status."),
        Cause::LoginLimit => Some("Let the user leave elsewhere, or raise max_logins of the [[connection]]."),
        Cause::Replaced => Some("Let the user have more sessions: raise max_logins of the [[connection]]."),
        Cause::NoCertificate => Some("Set [node] certificate and private_key, or let the client show a certificate."),
        Cause::UntrustedCertificate => {
            Some("Compare who signed the certificate, and its dates, with ca of the [[connection]].")
        }
        Cause::WrongCertificate => Some("Let the client claim an identity that its certificate has."),
        Cause::PeerDead => {
            Some("Nothing came from the client any more: look at its network, then let it log in again.")
        }
        Cause::Stalled | Cause::Unheard => {
            Some("See the remedy of the stall that was found; the client can log in again at once.")
        }
        Cause::Reconfigured => Some("The log has the plan of the reload; the client can log in again if it still may."),
        Cause::WrongGroup
        | Cause::WrongSignature
        | Cause::Refused
        | Cause::HalfOpenTimeout
        | Cause::PeerDeleted
        | Cause::InitialContact
        | Cause::IdleTimeout
        | Cause::SessionTimeout
        | Cause::TakenOver
        | Cause::AddressLost
        | Cause::Childless
        | Cause::Expired
        | Cause::InvalidSyntax
        | Cause::UnsupportedCritical
        | Cause::Asked
        | Cause::ShutDown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::known_keys;

    #[test]
    fn advice_names_only_keys_that_there_are() {
        let keys: Vec<_> = known_keys().into_iter().map(|(_, key)| key).collect();
        for advice in Cause::ALL.iter().filter_map(|cause| advice(*cause)) {
            let words = advice.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for word in words.filter(|word| word.contains('_')) {
                assert!(keys.contains(&word), "{word} in {advice:?}");
            }
            assert!(advice.ends_with('.'), "{advice:?}");
        }
    }
}
