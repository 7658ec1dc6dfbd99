//! From a diagnosis to what an operator can do: a function from values to text, the only place that has these texts.
//! `docs/operating.md` shows what this prints, and a test holds it to that.

use adit_dataplane::contract::{Diagnosis, Finding, Leg, Loss, PathClass, PeerClass};
use std::net::{IpAddr, SocketAddr};

/// What is wrong, and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// The stable word, as in `reason=stalled`.
    pub reason: &'static str,
    /// What is wrong, one sentence for people.
    pub sentence: &'static str,
    /// What can be done, best first; any one of them is enough.
    pub steps: Vec<Step>,
}

/// One thing that can be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where, and what it does.
    pub what: String,
    /// What to type there; none if there is nothing to type.
    pub lines: Vec<String>,
}

impl Remedy {
    /// All of it but the sentence, for people.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.steps.iter().flat_map(|step| {
            let typed = step.lines.iter().map(|line| format!("  {line}"));
            std::iter::once(format!("{}:", step.what).replace(".:", ".")).chain(typed)
        })
    }
}

/// What can be done about `diagnosis`, for a connection to our address and port `local`.
pub fn remedy(diagnosis: &Diagnosis, local: SocketAddr) -> Remedy {
    let (sentence, steps) = match diagnosis.finding {
        Finding::Well => ("nothing is wrong", vec![]),
        Finding::Lossy => ("packets are lost on the way, and nothing worse comes of it", lines(diagnosis)),
        Finding::Waits => (
            "a firewall waits for what was lost between it and the headend; aditd sends that again, but the client's side \
             would not",
            vec![bypass(local), by_udp()],
        ),
        Finding::Counts => (
            "a firewall counts what nobody has acknowledged and has held the connection up",
            vec![past_window(local), be_liberal(), no_tracking(local), by_udp()],
        ),
        Finding::Cut => (
            "a TCP proxy cuts and joins packets; aditd puts them together again, a Cisco client does not",
            vec![no_proxy(local), by_udp(), rfc_9329()],
        ),
        Finding::Stalled => (
            "a firewall waits for what was lost between the client and it, and a Cisco client sends nothing again",
            vec![
                if diagnosis.path == PathClass::Splitter { no_proxy(local) } else { bypass(local) },
                by_udp(),
                rfc_9329(),
            ],
        ),
        Finding::Shut => (
            "a firewall lets nothing of the client's pass any more since too much of it was unacknowledged",
            vec![past_window(local), be_liberal(), no_tracking(local), by_udp()],
        ),
    };
    Remedy { reason: diagnosis.finding.name(), sentence, steps }
}

/// Where it is lost is all that can be said.
fn lines(diagnosis: &Diagnosis) -> Vec<Step> {
    let place = |loss: &Loss, way: &str| {
        let peer = if diagnosis.peer == PeerClass::Legacy { "client" } else { "peer" };
        let place = match loss.leg {
            Leg::ClientSide => "between the client and the firewall",
            Leg::HeadendSide => "between the firewall, or proxy, and the headend",
            Leg::BehindProxy => "on the far side of a proxy",
            Leg::InClient => "in the client itself, before its TCP",
            Leg::Somewhere => "somewhere between the client and the headend",
        };
        let what = format!("Mend the line: packets {way} the {peer} are lost {place} ({} % sure).", loss.sure.0);
        Step { what, lines: vec![] }
    };
    let up = diagnosis.up.iter().map(|loss| place(loss, "from"));
    up.chain(diagnosis.down.iter().map(|loss| place(loss, "to"))).collect()
}

/// Cisco ASA: the class of this connection, all clients', for something to be done with it.
fn asa(local: SocketAddr, before: &[&str], action: &str) -> Vec<String> {
    let any = if local.is_ipv4() { "any" } else { "any6" };
    let access = format!("access-list CTCP extended permit tcp {any} host {} eq {}", local.ip(), local.port());
    let class = [
        "class-map CTCP-CLASS",
        " match access-list CTCP",
        "policy-map global_policy",
        " class CTCP-CLASS",
        action,
        "  set connection timeout idle 1:00:00",
        "service-policy global_policy global",
    ];
    let all = before.iter().copied().chain(class);
    std::iter::once(access).chain(all.map(str::to_owned)).collect()
}

fn bypass(local: SocketAddr) -> Step {
    let lines = asa(local, &[], "  set connection advanced-options tcp-state-bypass");
    Step { what: "On a Cisco ASA, for new connections, let the firewall not follow the stream".to_owned(), lines }
}

fn past_window(local: SocketAddr) -> Step {
    let map = ["tcp-map CTCP-MAP", " queue-limit 0", " seq-past-window allow"];
    let lines = asa(local, &map, "  set connection advanced-options CTCP-MAP");
    let what = "On a Cisco ASA, for new connections, allow what is past the window; no inspect or ips on that class";
    Step { what: what.to_owned(), lines }
}

fn be_liberal() -> Step {
    let lines = vec!["sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1".to_owned()];
    Step { what: "On a Linux router, let connection tracking not count windows".to_owned(), lines }
}

fn no_tracking(local: SocketAddr) -> Step {
    let (family, ip, port) = (if local.is_ipv4() { "ip" } else { "ip6" }, local.ip(), local.port());
    let lines = vec![
        "table inet ctcp {".to_owned(),
        "  chain early {".to_owned(),
        "    type filter hook prerouting priority raw;".to_owned(),
        format!("    tcp dport {port} {family} daddr {ip} notrack"),
        format!("    tcp sport {port} {family} saddr {ip} notrack"),
        "  }".to_owned(),
        "}".to_owned(),
    ];
    let what = "On a Linux router that translates no addresses here, keep it out of connection tracking (nft -f)";
    Step { what: what.to_owned(), lines }
}

fn no_proxy(local: SocketAddr) -> Step {
    let what = format!(
        "Exempt TCP port {} of {} from the proxy: let it be forwarded, not relayed.",
        local.port(),
        Host(local.ip())
    );
    Step { what, lines: vec![] }
}

fn by_udp() -> Step {
    let lines = vec!["EnableNat=1".to_owned(), "TunnelingMode=0".to_owned()];
    let what = "Or let the client use UDP 500 and 4500 (NAT-T) instead, in the client's profile, where UDP passes";
    Step { what: what.to_owned(), lines }
}

fn rfc_9329() -> Step {
    let what = "Or give the user a client that speaks IKEv2 and ESP in real TCP (RFC 9329), which aditd takes on the same port";
    Step { what: what.to_owned(), lines: vec!["transports = [\"tcp\"]".to_owned()] }
}

/// As it is written before a colon.
struct Host(IpAddr);

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => v4.fmt(f),
            IpAddr::V6(v6) => write!(f, "[{v6}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_dataplane::contract::Percent;
    use std::collections::BTreeSet;

    fn diagnosis(finding: Finding) -> Diagnosis {
        Diagnosis {
            peer: PeerClass::Legacy,
            peer_sure: Percent(90),
            path: PathClass::InOrder,
            path_sure: Percent(90),
            up: None,
            down: None,
            finding,
        }
    }

    fn locals() -> [SocketAddr; 2] {
        ["192.0.2.1:10000", "[2001:db8::1]:80"].map(|local| local.parse().unwrap())
    }

    fn text(finding: Finding, local: SocketAddr) -> String {
        remedy(&diagnosis(finding), local).lines().collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn each_finding_has_a_word_and_a_sentence_of_its_own_and_what_is_wrong_has_a_remedy() {
        let mut sentences = BTreeSet::new();
        for finding in Finding::ALL {
            for local in locals() {
                let remedy = remedy(&diagnosis(*finding), local);
                assert_eq!(remedy.reason, finding.name());
                assert!(remedy.sentence.len() > 10 && !remedy.sentence.ends_with('.'));
                let needs_none = matches!(finding, Finding::Well | Finding::Lossy);
                assert_eq!(remedy.steps.is_empty(), needs_none, "{finding}");
                sentences.insert(remedy.sentence);
            }
        }
        assert_eq!(sentences.len(), Finding::ALL.len());
    }

    #[test]
    fn what_is_to_be_typed_names_this_connections_address_and_port() {
        let [v4, v6] = locals();
        for finding in [Finding::Waits, Finding::Stalled] {
            let lines = text(finding, v4);
            assert!(lines.contains("access-list CTCP extended permit tcp any host 192.0.2.1 eq 10000\n"), "{lines}");
            assert!(lines.contains("\n    set connection advanced-options tcp-state-bypass\n"), "{lines}");
            assert!(text(finding, v6).contains("permit tcp any6 host 2001:db8::1 eq 80\n"));
        }
        for finding in [Finding::Counts, Finding::Shut] {
            let lines = text(finding, v6);
            for line in [
                "tcp-map CTCP-MAP\n",
                "\n    set connection advanced-options CTCP-MAP\n",
                "net.netfilter.nf_conntrack_tcp_be_liberal=1\n",
                "tcp dport 80 ip6 daddr 2001:db8::1 notrack\n",
                "tcp sport 80 ip6 saddr 2001:db8::1 notrack\n",
            ] {
                assert!(lines.contains(line), "{line:?} in {lines}");
            }
            assert!(text(finding, v4).contains("tcp dport 10000 ip daddr 192.0.2.1 notrack\n"));
        }
        assert!(text(Finding::Cut, v6).contains("TCP port 80 of [2001:db8::1] from the proxy"));
    }

    #[test]
    fn every_leg_of_loss_has_a_place_in_words() {
        let mut said = BTreeSet::new();
        for leg in Leg::ALL {
            for (up, down) in [(true, false), (false, true)] {
                let loss = Some(Loss { leg: *leg, sure: Percent(70), lost: 3, of: 100 });
                let told =
                    Diagnosis { up: loss.filter(|_| up), down: loss.filter(|_| down), ..diagnosis(Finding::Lossy) };
                let remedy = remedy(&told, locals()[0]);
                assert_eq!(remedy.steps.len(), 1);
                said.extend(remedy.lines());
            }
        }
        assert_eq!(said.len(), 2 * Leg::ALL.len(), "{said:?}");
        assert!(said.iter().all(|line| line.ends_with("(70 % sure).")), "{said:?}");
    }

    /// The document has no text of its own.
    #[test]
    fn the_operators_page_shows_what_is_printed() {
        let page = include_str!("../../../docs/operating.md");
        let local = locals()[0];
        for step in [bypass(local), past_window(local), be_liberal(), no_tracking(local), by_udp()] {
            let block = format!("```\n{}\n```\n", step.lines.join("\n"));
            assert!(page.contains(&block), "docs/operating.md lacks:\n{block}");
        }
        for finding in Finding::ALL {
            let row = format!("| `{}` | {} |", finding.name(), remedy(&diagnosis(*finding), local).sentence);
            assert!(page.contains(&row), "docs/operating.md lacks: {row}");
        }
    }
}
