//! The reload thread: reads the file, where a slow disk stops nobody, and sees to it that all of it is applied or nothing.

use super::dataplane::own_addresses;
use crate::api::ask::{Asker, Question};
use crate::api::gate::Gate;
use crate::api::reload::{Reloader, Request, requests};
use crate::config::checked::Config;
use crate::config::{self, Warning};
use crate::reload::{ConfigView, Decision, Outcome, PlanView, Proposal, Verdict, Wanted};
use adit_dataplane::io::{give_network, take_network};
use crossbeam_channel::{Receiver, bounded};
use ipnet::IpNet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Where the configuration came from, and what the command line says instead of it.
#[derive(Debug, Clone)]
pub struct ConfigSource {
    /// The file; `None` is the built-in configuration.
    pub file: Option<PathBuf>,
    /// `--socket`.
    pub socket: Option<PathBuf>,
    /// Cores that the process may run on.
    pub cores: Vec<usize>,
}

/// What messages call a configuration without a file.
const NO_FILE: &str =
    "aditd runs with its built-in configuration, so there is no file to read; start it with --config FILE";

/// Starts; it ends when nobody can ask it any more.
///
/// # Errors
/// The system gives no thread.
pub(super) fn start(
    source: Option<ConfigSource>,
    config: Arc<Config>,
    asker: Asker,
    gate: Gate,
) -> io::Result<Reloader> {
    let (reloader, requests) = requests();
    let thread = ReloadThread { source, config, asker, gate };
    std::thread::Builder::new().name("reload".to_owned()).spawn(move || thread.serve(&requests))?;
    Ok(reloader)
}

struct ReloadThread {
    source: Option<ConfigSource>,
    /// In force.
    config: Arc<Config>,
    asker: Asker,
    gate: Gate,
}

impl ReloadThread {
    fn serve(mut self, requests: &Receiver<Request>) {
        for request in requests {
            // Who asked may have gone in the meantime.
            match request {
                Request::Reload(wanted, answer) => {
                    let view = self.reload(wanted);
                    say(&view);
                    if let Some(answer) = answer {
                        drop(answer.send(view));
                    }
                }
                Request::Show(answer) => drop(answer.send(ConfigView::new(&self.name(), &self.config))),
            }
        }
    }

    /// What messages call the configuration in force.
    fn name(&self) -> String {
        let file = self.source.as_ref().and_then(|source| source.file.as_ref());
        file.map_or_else(|| config::BUILT_IN_NAME.to_owned(), |file| file.display().to_string())
    }

    fn reload(&mut self, wanted: Wanted) -> PlanView {
        let Some(ConfigSource { file, socket, cores }) = &self.source else {
            return PlanView::failed("", "this is a client, which has no configuration to read again");
        };
        let Some(file) = file else { return PlanView::failed(config::BUILT_IN_NAME, NO_FILE) };
        let name = file.display().to_string();
        let (mut config, warnings) = match config::load(file, cores.clone()) {
            Ok(loaded) => loaded,
            Err(errors) => return PlanView::of_mistakes(&name, &errors),
        };
        if let Some(socket) = socket {
            config.api.socket.clone_from(socket);
        }
        let config = Arc::new(config);
        let plan = match self.decide(&config, Wanted::Plan) {
            Decision::Planned(plan) | Decision::Applied(plan) => plan,
            Decision::Refused(why) => return PlanView::failed(&name, why),
        };
        match (plan.verdict(), wanted) {
            (Verdict::Ready, Wanted::Apply) => self.apply(&name, &config, &warnings),
            (verdict @ (Verdict::NothingToDo | Verdict::NeedsRestart), Wanted::Apply)
            | (verdict @ (Verdict::NothingToDo | Verdict::Ready | Verdict::NeedsRestart), Wanted::Plan) => {
                PlanView::of(&name, &plan, verdict.into(), &warnings)
            }
        }
    }

    /// What can fail comes first and can be taken back; what is no longer needed goes last.
    fn apply(&mut self, name: &str, config: &Arc<Config>, warnings: &[Warning]) -> PlanView {
        let (old, new) = (own_addresses(&self.config), own_addresses(config));
        let tun = &self.config.tun.name;
        let mut given: Vec<Given<'_>> = Vec::new();
        for network in new.iter().filter(|network| !old.contains(network)) {
            let given_now = Given::new(network, &old);
            if let Err(error) = given_now.give(tun) {
                take_back(tun, given);
                return PlanView::failed(name, &format!("{network} cannot be given to {tun}: {error}"));
            }
            given.push(given_now);
        }
        match self.decide(config, Wanted::Apply) {
            Decision::Applied(plan) => {
                let is_replaced = |network| given.iter().any(|given| given.instead_of == Some(network));
                for network in old.iter().filter(|network| !new.contains(network) && !is_replaced(network)) {
                    take(tun, network);
                }
                self.gate.follow(&config.api);
                self.config = Arc::clone(config);
                PlanView::of(name, &plan, Outcome::Applied, warnings)
            }
            Decision::Planned(plan) => {
                take_back(tun, given);
                PlanView::of(name, &plan, plan.verdict().into(), warnings)
            }
            Decision::Refused(why) => {
                take_back(tun, given);
                PlanView::failed(name, why)
            }
        }
    }

    /// Whatever the IKE thread says holds, so there is no time after which it is not waited for.
    fn decide(&self, config: &Arc<Config>, wanted: Wanted) -> Decision {
        let (answer, answered) = bounded(1);
        let proposal = Proposal { config: Arc::clone(config), wanted, answer };
        match self.asker.hand_in(Question::Reload(proposal)) {
            Ok(()) => answered.recv().unwrap_or(Decision::Refused("aditd is ending")),
            Err(_busy) => Decision::Refused("the IKE thread is busy; ask again"),
        }
    }
}

/// An address that the interface has got, with the network around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Given<'a> {
    network: &'a IpNet,
    /// The same address with another network. Linux has an IPv6 address once on an interface, so it had to go first.
    instead_of: Option<&'a IpNet>,
}

impl<'a> Given<'a> {
    fn new(network: &'a IpNet, old: &'a [IpNet]) -> Self {
        let is_same = |other: &&IpNet| network.addr().is_ipv6() && other.addr() == network.addr();
        Self { network, instead_of: old.iter().find(is_same) }
    }

    fn give(self, tun: &str) -> io::Result<()> {
        if let Some(before) = self.instead_of {
            take_network(tun, before)?;
        }
        let given = give_network(tun, self.network);
        if given.is_err() {
            self.give_what_was_before(tun);
        }
        given
    }

    fn give_what_was_before(self, tun: &str) {
        if let Some(before) = self.instead_of
            && let Err(error) = give_network(tun, before)
        {
            tracing::error!(network = %before, tun, "an address cannot be given back to the interface: {error}");
        }
    }
}

/// Of several, the last first.
fn take_back(tun: &str, given: Vec<Given<'_>>) {
    for given in given.into_iter().rev() {
        take(tun, given.network);
        given.give_what_was_before(tun);
    }
}

fn take(tun: &str, network: &IpNet) {
    if let Err(error) = take_network(tun, network) {
        tracing::warn!(%network, tun, "an address that is no longer needed stays on the interface: {error}");
    }
}

fn say(view: &PlanView) {
    let PlanView { file, outcome, summary, changes, ends: _, mistakes, warnings } = view;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    for mistake in mistakes {
        tracing::error!("{}", mistake.text);
    }
    for change in changes {
        tracing::info!("{}", change.text());
    }
    match outcome {
        Outcome::NothingToDo | Outcome::Planned | Outcome::Applied => tracing::info!(file, "reload: {summary}"),
        Outcome::NeedsRestart | Outcome::Invalid | Outcome::Failed => tracing::error!(file, "reload: {summary}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_whose_network_changes_makes_place_for_itself_and_no_other_does() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let old = [net("10.30.0.1/24"), net("fd30::1/64"), net("fd31::1/64")];
        for (new, before) in
            [("fd30::1/56", Some(1)), ("fd30::1/80", Some(1)), ("fd32::1/64", None), ("10.30.0.1/16", None)]
        {
            assert_eq!(Given::new(&net(new), &old).instead_of, before.map(|at: usize| &old[at]), "{new}");
        }
    }
}
