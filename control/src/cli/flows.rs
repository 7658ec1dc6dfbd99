//! `aditctl flows`: flows inside tunnels as a table, the busiest first.

use super::client::{self, AskError};
use super::tables::{finish, table};
use super::units::{bits, millis, octets, time};
use crate::flows::{FlowTableView, InnerFlowView, InnerFlowsView, InnerTcpView, RoundTripView};
use clap::{Args, ValueEnum};
use std::cmp::Reverse;
use std::path::Path;

/// Flows that are asked for at once.
const PAGE: usize = 1000;

/// Which are wanted, and in which order.
#[derive(Debug, Clone, Args)]
pub(super) struct Flows {
    /// Flows of this session alone: s1
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// What comes first
    #[arg(long, value_enum, default_value = "rate")]
    sort: Order,
    /// Flows at most
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    /// The fastest
    Rate,
    /// The largest
    Bytes,
    /// The oldest
    Age,
}

impl Flows {
    /// Asks the daemon; what to print comes back.
    pub(super) fn run(&self, socket: &Path, json: bool, width: u16) -> Result<String, AskError> {
        let all = self.ask(socket)?;
        match json {
            true => client::as_json(socket, &all),
            false => Ok(show(&all, width)),
        }
    }

    /// Page after page; of all that came no more is kept than is wanted.
    fn ask(&self, socket: &Path) -> Result<InnerFlowsView, AskError> {
        let mut best = self.page(socket, None)?;
        loop {
            self.sort.sort(&mut best.flows);
            best.flows.truncate(self.limit as usize);
            let Some(after) = best.next.take() else { return Ok(best) };
            best = joined(best, self.page(socket, Some(&after))?);
        }
    }

    fn page(&self, socket: &Path, after: Option<&str>) -> Result<InnerFlowsView, AskError> {
        let mut path = format!("/v1/flows?limit={PAGE}");
        for (name, value) in [("session", self.session.as_deref()), ("after", after)] {
            if let Some(value) = value {
                path = format!("{path}&{name}={}", client::encoded(value));
            }
        }
        client::get(socket, &path)
    }
}

fn joined(mut all: InnerFlowsView, page: InnerFlowsView) -> InnerFlowsView {
    all.flows.extend(page.flows);
    all.tables.retain(|table| page.tables.iter().all(|newer| newer.worker != table.worker));
    all.tables.extend(page.tables);
    InnerFlowsView { next: page.next, ..all }
}

impl Order {
    fn sort(self, flows: &mut [InnerFlowView]) {
        match self {
            Self::Rate => flows.sort_by_key(|flow| Reverse((flow.bits_per_second(), flow.bytes()))),
            Self::Bytes => flows.sort_by_key(|flow| Reverse(flow.bytes())),
            Self::Age => flows.sort_by_key(|flow| Reverse(flow.age_seconds)),
        }
    }
}

fn show(view: &InnerFlowsView, width: u16) -> String {
    let held: u64 = view.tables.iter().map(|FlowTableView { held, .. }| u64::from(*held)).sum();
    let pushed_out: u64 = view.tables.iter().map(|table| table.pushed_out).sum();
    let sampled = match view.sampled_one_of {
        0 | 1 => String::new(),
        more => format!(", counted by one packet of {more}"),
    };
    let unattributed = match view.tables.iter().map(|table| table.unattributed_packets).sum::<u64>() {
        0 => String::new(),
        packets => format!("; {packets} packets are no flow's"),
    };
    let sum = format!("{} of {held} flows, {pushed_out} pushed out so far{sampled}{unattributed}\n", view.flows.len());
    if view.flows.is_empty() {
        return sum;
    }
    let headers = ["client\n->server", "session", "up\ndown", "octets", "client rtt\nserver rtt", "again", "age\nidle"];
    let mut table = table(width, &headers, 2);
    for flow in &view.flows {
        let tcp = flow.tcp.as_ref();
        table.add_row([
            format!("{}\n->{}", flow.client, flow.server),
            format!("{}\n{}", if flow.session.is_empty() { "-" } else { &flow.session }, kind(flow)),
            both(&bits(flow.up.bits_per_second), &bits(flow.down.bits_per_second)),
            both(&octets(flow.up.bytes), &octets(flow.down.bytes)),
            both(&rtt(tcp.and_then(|tcp| tcp.client_rtt)), &rtt(tcp.and_then(|tcp| tcp.server_rtt))),
            both(&again(tcp, |tcp| tcp.retransmitted_up), &again(tcp, |tcp| tcp.retransmitted_down)),
            both(&time(flow.age_seconds), &time(flow.idle_ms / 1000)),
        ]);
    }
    finish(&table) + "\n" + &sum
}

/// `udp`, or TCP with its state unless that is the usual one.
fn kind(flow: &InnerFlowView) -> String {
    match flow.tcp.as_ref().map(|tcp| tcp.state.as_str()) {
        None | Some("open") => flow.protocol.clone(),
        Some(state) => format!("{} {state}", flow.protocol),
    }
}

fn both(up: &str, down: &str) -> String {
    format!("{up}\n{down}")
}

fn again(tcp: Option<&InnerTcpView>, which: impl Fn(&InnerTcpView) -> u32) -> String {
    tcp.map_or_else(|| "-".to_owned(), |tcp| which(tcp).to_string())
}

fn rtt(time: Option<RoundTripView>) -> String {
    time.map_or_else(|| "-".to_owned(), |RoundTripView { smoothed_us, .. }| millis(smoothed_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_told_in_the_unit_that_fits() {
        for (rate, text) in [
            (0, "0"),
            (999, "999 bit/s"),
            (1000, "1.0 kbit/s"),
            (1_250_000, "1.2 Mbit/s"),
            (999_999_999, "999.9 Mbit/s"),
            (u64::MAX, "18446744073.7 Gbit/s"),
        ] {
            assert_eq!(bits(rate), text);
        }
    }
}
