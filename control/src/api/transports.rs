//! Transports: where each is listened for, who goes by it, and what came of it.

use super::ask::Question;
use super::problem::{Problem, ProblemView};
use super::routes::Sources;
use crate::config::checked::Listen;
use crate::session::TransportLoad;
use adit_dataplane::contract::{DropReason, Transport, WorkerTotals};
use axum::extract::State;
use axum::response::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One way in which ESP can stand in outer packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransportView {
    /// `nat-t`, `nat-t-500`, `cisco-udp`, `esp`, `ctcp`, `tcp`.
    pub transport: String,
    /// Where it is listened for: addresses with ports, addresses alone for native ESP. Empty if it is not.
    pub listen: Vec<String>,
    /// Sessions whose packets go so right now.
    pub sessions: usize,
    /// Inner octets that these have brought since their login, by whatever transport,
    pub bytes_in: u64,
    /// and got.
    pub bytes_out: u64,
    /// Tunnels that have followed their peers' ESP to it since the start.
    pub moved_to: u64,
    /// Drops that only its packets can have, for all reasons; both kinds of TCP share some.
    pub dropped: u64,
    /// Those reasons that there were.
    pub drops: Vec<TransportDropView>,
}

/// One reason for drops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransportDropView {
    /// The stable name.
    pub name: String,
    /// Since the start.
    pub total: u64,
}

/// What the IKE thread knows of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportUse {
    /// Which.
    pub transport: Transport,
    /// Where it is listened for.
    pub listen: Vec<String>,
    /// Who goes so.
    pub load: TransportLoad,
}

impl TransportUse {
    /// Of a configuration.
    pub fn new((transport, load): (Transport, TransportLoad), listen: &Listen) -> Self {
        let ports: Vec<u16> = match transport {
            _ if !listen.transports().contains(transport) => vec![],
            Transport::NatT => vec![listen.natt_port],
            Transport::NatT500 => vec![listen.ike_port],
            Transport::CiscoUdp => listen.cisco_udp_port.into_iter().collect(),
            Transport::Esp => vec![0],
            Transport::Ctcp => listen.ctcp_ports.clone(),
            Transport::Tcp => listen.tcp_ports().collect(),
        };
        let at = |port: u16| {
            listen.addresses.iter().map(move |address| match transport {
                Transport::Esp => address.to_string(),
                Transport::NatT | Transport::NatT500 | Transport::CiscoUdp | Transport::Ctcp | Transport::Tcp => {
                    std::net::SocketAddr::new(*address, port).to_string()
                }
            })
        };
        let listen = ports.into_iter().flat_map(at).collect();
        Self { transport, listen, load }
    }
}

impl TransportView {
    fn new(used: TransportUse, totals: &[WorkerTotals]) -> Self {
        let TransportUse { transport, listen, load } = used;
        let TransportLoad { sessions, bytes_in, bytes_out } = load;
        let moved_to = |totals: &WorkerTotals| match transport {
            Transport::NatT => totals.moved_to_nat_t,
            Transport::NatT500 => totals.moved_to_nat_t_500,
            Transport::CiscoUdp => totals.moved_to_cisco_udp,
            Transport::Esp => totals.moved_to_esp,
            Transport::Ctcp => totals.moved_to_ctcp,
            Transport::Tcp => totals.moved_to_tcp,
        };
        let total = |reason: &DropReason| totals.iter().filter_map(|totals| totals.drops.get(*reason as usize)).sum();
        let drops = reasons(transport).map(|reason| (reason.name(), total(reason)));
        let drops: Vec<_> = drops
            .filter(|(_, total)| *total > 0)
            .map(|(name, total)| TransportDropView { name: name.to_owned(), total })
            .collect();
        Self {
            transport: transport.name().to_owned(),
            listen,
            sessions,
            bytes_in,
            bytes_out,
            moved_to: totals.iter().map(moved_to).sum(),
            dropped: drops.iter().map(|reason| reason.total).sum(),
            drops,
        }
    }
}

/// What segments can have is told of both transports that come in segments.
const OF_SEGMENTS: &[DropReason] = &[
    DropReason::BadChecksum,
    DropReason::Handshake,
    DropReason::NoConnection,
    DropReason::ConnectionEnded,
    DropReason::TooManyConnections,
    DropReason::OutOfWindow,
];

/// Reasons that no packet of another transport's can have, but for those of segments.
fn reasons(transport: Transport) -> impl Iterator<Item = &'static DropReason> {
    let [common, own]: [&[DropReason]; 2] = match transport {
        Transport::NatT | Transport::NatT500 | Transport::CiscoUdp | Transport::Esp => [&[], &[]],
        Transport::Ctcp => [OF_SEGMENTS, &[DropReason::Reframed, DropReason::InFlight]],
        Transport::Tcp => [OF_SEGMENTS, &[DropReason::StreamFull, DropReason::BrokenStream]],
    };
    common.iter().chain(own)
}

/// Transports
#[utoipa::path(get, path = "/v1/transports", tag = "overview", responses(
    (status = 200, description = "Each that there is, those that are not listened for, too", body = [TransportView]),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn transports(State(sources): State<Sources>) -> Result<Json<Vec<TransportView>>, Problem> {
    let used = sources.asker.ask(Question::Transports).await?;
    let totals: Vec<_> = sources.workers.iter().map(|(_, counters)| counters.totals()).collect();
    Ok(Json(used.into_iter().map(|used| TransportView::new(used, &totals)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_dataplane::contract::WorkerCounters;

    #[test]
    fn moves_and_drops_are_those_of_all_workers() {
        let workers = [WorkerCounters::default(), WorkerCounters::default()];
        workers.iter().for_each(|worker| worker.moved_to(Transport::Ctcp));
        workers[0].dropped(DropReason::InFlight, 3);
        workers[1].dropped(DropReason::Handshake, 4);
        workers[1].dropped(DropReason::BadIcv, 5);
        let totals = workers.map(|worker| worker.totals());
        let view = |transport| {
            let load = TransportLoad { sessions: 2, bytes_in: 7, bytes_out: 8 };
            let used = TransportUse { transport, listen: vec![], load };
            TransportView::new(used, &totals)
        };
        let ctcp = view(Transport::Ctcp);
        assert_eq!((ctcp.moved_to, ctcp.dropped, ctcp.sessions), (2, 7, 2));
        let names: Vec<_> = ctcp.drops.iter().map(|reason| (reason.name.as_str(), reason.total)).collect();
        assert_eq!(names, [("handshake", 4), ("in_flight", 3)]);
        assert_eq!((view(Transport::NatT).moved_to, view(Transport::NatT).dropped), (0, 0));
        assert_eq!(view(Transport::Tcp).dropped, 4);
    }
}
