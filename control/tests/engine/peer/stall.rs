//! A worker that has found a cTCP connection stalled.

use adit_dataplane::contract::{
    Diagnosis, DownEvidence, Event, Evidence, Finding, FlowId, FlowReport, Path, PathClass, PeerClass, Percent, Stall,
    StalledFlow, Stalling, SynOptions, TunnelKey, UpEvidence, WorkerId,
};
use std::time::Duration;

/// What a worker says of the connection along `path`.
pub fn report(tunnel: TunnelKey, path: Path, stalling: Stalling) -> Event {
    let since = Duration::from_secs(10);
    let stall = Stall { since, missing: 5000, unacknowledged: 0, said: 2, advances: 1 };
    let evidence = Evidence {
        syn: SynOptions::None,
        up: UpEvidence::default(),
        down: DownEvidence::default(),
        stall: Some(stall),
    };
    let diagnosis = Diagnosis {
        peer: PeerClass::Legacy,
        peer_sure: Percent(90),
        path: PathClass::InOrder,
        path_sure: Percent(90),
        up: None,
        down: None,
        finding: Finding::Stalled,
    };
    let id = FlowId { worker: WorkerId::of_connection(path.peer.port(), 2), number: 3 };
    let flow = FlowReport {
        id,
        path,
        tunnel: Some(tunnel),
        stalling: Some(stalling),
        age: since,
        silent: since,
        evidence,
        diagnosis,
    };
    Event::Stalling(Box::new(StalledFlow { tunnel, stalling, flow }))
}
