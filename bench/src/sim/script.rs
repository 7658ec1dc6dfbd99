//! What the network does by order instead of by chance.

use super::datagram::{Body, Kind};

/// Loses chosen datagrams. They are counted as they are sent, from the time the script is put up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    rules: Vec<Rule>,
}

/// Which kind of datagram a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Matching {
    AnyIke,
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests pick a kind so far"))]
    Only(Kind),
}

#[derive(Debug, Clone)]
struct Rule {
    matching: Matching,
    lose: Vec<usize>,
    seen: usize,
}

/// What a script says of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Travels,
    Lost,
}

impl Script {
    /// The `nth` datagrams of the kind are lost, counted from 0.
    pub(crate) fn losing(matching: Matching, nth: &[usize]) -> Self {
        Self { rules: vec![Rule { matching, lose: nth.to_vec(), seen: 0 }] }
    }

    /// One is sent.
    pub(crate) fn judge(&mut self, body: &Body) -> Fate {
        let kind = body.kind();
        let mut fate = Fate::Travels;
        for rule in &mut self.rules {
            let counts = match rule.matching {
                Matching::AnyIke => matches!(body, Body::Ike { .. }),
                Matching::Only(only) => kind == Some(only),
            };
            if !counts {
                continue;
            }
            if rule.lose.contains(&rule.seen) {
                fate = Fate::Lost;
            }
            rule.seen += 1;
        }
        fate
    }
}

#[cfg(test)]
mod tests {
    use super::super::datagram::Direction;
    use super::*;
    use adit_control::ike::wire::{Exchange, Flags, Header, IkeSpi, build};
    use adit_dataplane::contract::IkeFraming;

    fn ike(exchange: Exchange, response: bool) -> Body {
        let flags = Flags { initiator: true, response };
        let header = Header { initiator_spi: IkeSpi(1), responder_spi: IkeSpi(2), exchange, flags, message_id: 3 };
        Body::Ike { framing: IkeFraming::NonEspMarker, bytes: build(&header, &[]) }
    }

    #[test]
    fn a_script_loses_exactly_the_nth_of_a_kind() {
        let only = Matching::Only(Kind::Ike(Exchange::Informational, Direction::Request));
        let mut script = Script::losing(only, &[1]);
        let sent = [
            (ike(Exchange::Informational, false), Fate::Travels),
            (ike(Exchange::CreateChildSa, false), Fate::Travels),
            (ike(Exchange::Informational, true), Fate::Travels),
            (Body::Keepalive, Fate::Travels),
            (ike(Exchange::Informational, false), Fate::Lost),
            (ike(Exchange::Informational, false), Fate::Travels),
        ];
        for (body, fate) in sent {
            assert_eq!(script.judge(&body), fate);
        }
        let mut script = Script::losing(Matching::AnyIke, &[0, 2]);
        let fates = [0; 4].map(|_| script.judge(&ike(Exchange::IkeAuth, true)));
        assert_eq!(fates, [Fate::Lost, Fate::Travels, Fate::Lost, Fate::Travels]);
        assert_eq!(script.judge(&Body::Keepalive), Fate::Travels);
    }
}
