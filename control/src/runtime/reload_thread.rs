//! The reload thread: reads the file, where a slow disk stops nobody, and sees to it that all of it is applied or nothing.

use super::dataplane::own_addresses;
use crate::api::ask::{Asker, Question};
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
pub(super) fn start(source: Option<ConfigSource>, config: Arc<Config>, asker: Asker) -> io::Result<Reloader> {
    let (reloader, requests) = requests();
    let thread = ReloadThread { source, config, asker };
    std::thread::Builder::new().name("reload".to_owned()).spawn(move || thread.serve(&requests))?;
    Ok(reloader)
}

struct ReloadThread {
    source: Option<ConfigSource>,
    /// In force.
    config: Arc<Config>,
    asker: Asker,
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
        let mut given: Vec<&IpNet> = Vec::new();
        for network in new.iter().filter(|network| !old.contains(network)) {
            if let Err(error) = give_network(tun, network) {
                take_back(tun, &given);
                return PlanView::failed(name, &format!("{network} cannot be given to {tun}: {error}"));
            }
            given.push(network);
        }
        match self.decide(config, Wanted::Apply) {
            Decision::Applied(plan) => {
                take_back(tun, &old.iter().filter(|network| !new.contains(network)).collect::<Vec<_>>());
                self.config = Arc::clone(config);
                PlanView::of(name, &plan, Outcome::Applied, warnings)
            }
            Decision::Planned(plan) => {
                take_back(tun, &given);
                PlanView::of(name, &plan, plan.verdict().into(), warnings)
            }
            Decision::Refused(why) => {
                take_back(tun, &given);
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

fn take_back(tun: &str, networks: &[&IpNet]) {
    for network in networks {
        if let Err(error) = take_network(tun, network) {
            tracing::warn!(%network, tun, "an address that is no longer needed stays on the interface: {error}");
        }
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
