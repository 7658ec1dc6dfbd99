//! How long SAs live, and what the client is told about it (RFC 2407 sections 4.5.4 and 4.6.3.1).
//!
//! RESPONDER-LIFETIME says that an SA will not live as long as was offered. Section 4.6.3 forbids it in aggressive mode,
//! where nothing protects it; so for an ISAKMP SA it is a message of its own, behind the user's login, and for an ESP SA
//! it stands in the second message of quick mode.

use super::asked::Asked;
use super::client::Client;
use super::established::Established;
use super::isakmp_sa::{Cookies, Hashed};
use super::phase_1::login_of;
use super::repeated::Repeated;
use super::wire::{Exchange, LifeTime, Notify, NotifyKind, Payload, Protocol, Vendor};
use crate::config::checked::Esp;
use crate::ike::service::Node;
use adit_dataplane::contract::Spi;
use adit_dataplane::time::Instant;
use std::time::Duration;

/// Of an SA that was offered without any (RFC 2407 section 4.5).
const UNSAID: u64 = 28_800;
/// Longer than any session; keeps sums far from the clock's end, and vpnc reads four octets.
const LONGEST: u64 = 10 * 365 * 86_400;

/// An ISAKMP SA's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lives {
    /// A little later than agreed, for the client is to replace it in time.
    pub(super) end: Instant,
    /// What the client is told, in seconds.
    pub(super) told: Option<u64>,
    /// When it had better not be asked anything.
    pub(super) quiet: Option<Quiet>,
}

/// When vpnc is about to log in anew: at 80% of its ISAKMP SA's life, in whole seconds, or when it looks at its watch
/// next. It does so when a message wakes it, before it reads that, and then takes it for the answer to its own first
/// message, and ends itself. So nothing is asked of it until it has logged in, or this is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quiet {
    from: Instant,
    until: Instant,
}

impl Quiet {
    /// vpnc looks at its watch every five minutes, unless it is told to do so more seldom.
    const WATCH: Duration = Duration::from_secs(310);

    fn of(since: Instant, seconds: u64) -> Self {
        let from = since + Duration::from_secs((seconds - seconds / 5).saturating_sub(1));
        Self { from, until: from + Self::WATCH }
    }

    /// The same moment, or the end of the silence that it lies in.
    pub(super) fn behind(this: Option<Self>, at: Instant) -> Instant {
        match this {
            Some(Self { from, until }) if (from..until).contains(&at) => until,
            Some(_) | None => at,
        }
    }
}

impl Lives {
    /// From now on, as long as was offered or as the connection allows. Begun: when its first message came, and whose.
    pub(super) fn new(
        now: Instant,
        node: &Node,
        connection: usize,
        begun: (Instant, &Client),
        offered: LifeTime,
    ) -> Self {
        let (since, client) = begun;
        let offered = offered.seconds.unwrap_or(UNSAID).min(LONGEST);
        let most = login_of(node, connection).and_then(|login| login.reauth);
        let seconds = most.map_or(offered, |most| offered.min(most.as_secs()));
        // vpnc's login anew is not done before it has been told, whatever it offered.
        let told = (seconds < offered || client.is(Vendor::CiscoClientMark)).then_some(seconds);
        let quiet = client.is(Vendor::CiscoClientMark).then(|| Quiet::of(since, seconds));
        Self { end: now + Duration::from_secs(seconds) + node.config.ike.over_time, told, quiet }
    }
}

/// When an ISAKMP SA ends that we have asked for: we replace it before.
pub(super) fn end_of_ours(now: Instant, node: &Node, offered: LifeTime) -> Instant {
    now + Duration::from_secs(offered.seconds.unwrap_or(UNSAID).min(LONGEST)) + node.config.ike.over_time
}

impl Established {
    /// The headend says how long the ISAKMP SA lives: another is made before that.
    pub(super) fn life_time_told(&mut self, now: Instant, told: LifeTime) {
        let (Some(called), Some(seconds)) = (&mut self.called, told.seconds) else { return };
        let soon = now + Duration::from_secs(seconds.min(LONGEST)).mul_f64(0.9);
        called.renew = Some(called.renew.map_or(soon, |renew| renew.min(soon)));
    }

    /// Tells the client how long its ISAKMP SA lives, if it is to know.
    ///
    /// Once, and a client that has not heard it goes on. But vpnc carries no packets from the moment it logs in anew until
    /// it hears this or something like it, and gives up after half a minute.
    pub(crate) fn tell_life_time(&mut self, now: Instant, node: &mut Node) {
        let Some(seconds) = self.sa.life_told.take() else { return };
        let payload = of_isakmp(self.sa.cookies(), seconds);
        let message_id = self.sa.new_message_id(node);
        let bytes = self.sa.say(node, Exchange::Informational, message_id, Hashed::One, &[payload]);
        let waits = self.sa.client.is(Vendor::CiscoClientMark) && !self.former.is_empty();
        if waits && self.asked.is_none() {
            self.asked = Some(Asked::LifeTime(Repeated::new(now, &node.patience(), bytes.clone())));
        }
        self.send(now, node, bytes);
    }
}

/// How long this ISAKMP SA lives.
pub(super) fn of_isakmp(cookies: Cookies, seconds: u64) -> Payload {
    let spi = [cookies.initiator.0.to_be_bytes(), cookies.responder.0.to_be_bytes()].concat();
    let life = LifeTime { seconds: Some(seconds), kilobytes: None };
    Payload::Notify(Notify {
        protocol: Protocol::Isakmp,
        spi,
        kind: NotifyKind::ResponderLifetime,
        data: life.of_isakmp(),
    })
}

/// How long this ESP SA lives if we do not replace it before, where that is less than was offered.
pub(super) fn of_esp(esp: &Esp, offered: LifeTime, spi_in: Spi) -> Option<Payload> {
    // Limits are far below 2⁵³; a second or a kilobyte more or less is nothing to them.
    let seconds = esp.rekey.time.map(|time| (time.as_secs_f64() * esp.hard_factor) as u64);
    let kilobytes = esp.rekey.octets.map(|octets| (octets as f64 * esp.hard_factor / 1024.0) as u64);
    let life = LifeTime {
        seconds: seconds.filter(|seconds| *seconds < offered.seconds.unwrap_or(UNSAID)),
        // vpnc reads two octets or four.
        kilobytes: kilobytes.filter(|most| offered.kilobytes.is_none_or(|offered| *most < offered)).map(capped),
    };
    (life != LifeTime::default()).then(|| {
        Payload::Notify(Notify {
            protocol: Protocol::Esp,
            spi: spi_in.get().to_be_bytes().to_vec(),
            kind: NotifyKind::ResponderLifetime,
            data: life.of_esp(),
        })
    })
}

fn capped(kilobytes: u64) -> u64 {
    kilobytes.min(u32::MAX.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::checked::Rekey;

    fn esp(seconds: Option<u64>, octets: Option<u64>) -> Esp {
        let rekey = Rekey { time: seconds.map(Duration::from_secs), octets, packets: None };
        Esp { replay_window: 64, rekey, hard_factor: 1.25, moves_per_minute: 0 }
    }

    fn told(esp: &Esp, seconds: Option<u64>, kilobytes: Option<u64>) -> Option<Vec<u8>> {
        let offered = LifeTime { seconds, kilobytes };
        match of_esp(esp, offered, Spi::new(0x1234_5678)?)? {
            Payload::Notify(notify) => {
                assert_eq!((notify.protocol, &notify.spi[..]), (Protocol::Esp, &[0x12, 0x34, 0x56, 0x78][..]));
                Some(notify.data)
            }
            other => panic!("{other:?}"),
        }
    }

    // RFC 2407 section 4.5: life type 1 in seconds (1) or kilobytes (2), each before its duration (2).
    #[test]
    fn a_client_is_told_what_is_shorter_than_its_offer_and_nothing_else() {
        let hour = esp(Some(3600), None);
        assert_eq!(told(&hour, Some(4500), None), None);
        assert_eq!(told(&hour, Some(4501), None), Some(vec![0x80, 1, 0, 1, 0x80, 2, 0x11, 0x94]));
        assert_eq!(told(&hour, None, None), told(&hour, Some(28_800), None), "28800 seconds if it says nothing");
        assert_eq!(told(&esp(None, None), Some(2_147_483), None), None);
        let volume = esp(Some(86_400), Some(1 << 30));
        assert_eq!(told(&volume, Some(3600), None), Some(vec![0x80, 1, 0, 2, 0, 2, 0, 4, 0, 0x14, 0, 0]));
        assert_eq!(told(&volume, Some(3600), Some(1000)), None);
        let endless = esp(None, Some(u64::MAX));
        assert_eq!(told(&endless, None, None), Some(vec![0x80, 1, 0, 2, 0, 2, 0, 4, 0xff, 0xff, 0xff, 0xff]));
    }

    // RFC 2409 appendix A: life type 11 in seconds (1), duration 12.
    #[test]
    fn the_life_time_of_an_isakmp_sa_is_said_with_its_own_numbers() {
        let cookies = Cookies { initiator: crate::ike::wire::IkeSpi(1), responder: crate::ike::wire::IkeSpi(2) };
        let Payload::Notify(notify) = of_isakmp(cookies, 86_400) else { panic!() };
        assert_eq!(notify.kind, NotifyKind::ResponderLifetime);
        assert_eq!(notify.spi, [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(notify.data, [0x80, 11, 0, 1, 0, 12, 0, 4, 0, 1, 0x51, 0x80]);
    }
}
