//! `aditctl top`: sessions, live and on the whole screen; one session's flows behind Enter.
//!
//! ```text
//!  asking thread ── Picture, every second ──▶ Desk (what is shown, what keys do) ──▶ draw
//! ```
//! `Desk` and `draw` know neither terminal nor clock, so tests can hold them.

mod desk;
mod draw;
mod picture;

use super::client::AskError;
use clap::Args;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use desk::{Desk, Next};
use picture::Picture;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How soon a key is heard, and how often the screen is drawn at least.
const LOOK: Duration = Duration::from_millis(100);

/// Exit status: 0 left by a key, 2 without a terminal.
#[derive(Debug, Clone, Args)]
pub(super) struct Top {
    /// Seconds between two looks at the daemon
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=60))]
    every: u16,
}

impl Top {
    /// Until a key ends it. For scripts, one picture as JSON.
    pub(super) fn run(&self, socket: &Path, json: bool) -> Result<ExitCode, AskError> {
        let first = Picture::take(socket, None)?;
        if json {
            return Ok(super::aditctl::print(&super::client::as_json(socket, &first)?));
        }
        if !io::stdout().is_terminal() {
            eprintln!(
                "aditctl: top needs a terminal; `aditctl sessions` and `aditctl flows` print, `aditctl top --json` too"
            );
            return Ok(ExitCode::from(2));
        }
        let (wish, wishes) = bounded(1);
        let (pictures, taken) = bounded(1);
        let (socket, every) = (socket.to_owned(), Duration::from_secs(self.every.into()));
        std::thread::spawn(move || ask(&socket, every, &wishes, &pictures));
        // It also gives the terminal back if something here panics.
        let mut terminal = ratatui::init();
        let shown = show(&mut terminal, first, &taken, &wish);
        ratatui::restore();
        match shown {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) => {
                eprintln!("aditctl: the terminal: {error}");
                Ok(ExitCode::FAILURE)
            }
        }
    }
}

/// Whose flows are wanted beside the sessions; nobody's at first.
type Wish = Option<String>;

/// The wish that was not told so far, if there is one: who asks may be waiting for the daemon. Those before it do not count any more.
struct Latest(Option<Wish>);

impl Latest {
    fn is(&mut self, wish: Wish) {
        self.0 = Some(wish);
    }

    /// As soon as there is room; until then again and again.
    fn tell(&mut self, to: &Sender<Wish>) {
        let Some(wish) = self.0.take() else { return };
        if let Err(TrySendError::Full(wish)) = to.try_send(wish) {
            self.0 = Some(wish);
        }
    }
}

/// Asks the daemon again and again, and at once when somebody's flows are wanted.
fn ask(socket: &Path, every: Duration, wishes: &Receiver<Wish>, pictures: &Sender<Result<Picture, String>>) {
    let mut flows_of = None;
    loop {
        match wishes.recv_timeout(every) {
            Ok(wish) => flows_of = wish,
            Err(error) if error.is_timeout() => {}
            Err(_gone) => return,
        }
        let picture = Picture::take(socket, flows_of.as_deref()).map_err(|error| error.to_string());
        if pictures.send(picture).is_err() {
            return;
        }
    }
}

fn show(
    terminal: &mut DefaultTerminal,
    first: Picture,
    taken: &Receiver<Result<Picture, String>>,
    wish: &Sender<Wish>,
) -> io::Result<()> {
    let mut desk = Desk::new(first);
    let mut latest = Latest(None);
    loop {
        terminal.draw(|frame| draw::draw(frame, &desk))?;
        if event::poll(LOOK)?
            && let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
        {
            match desk.key(key) {
                Next::Stay => {}
                Next::FlowsOf(session) => latest.is(session),
                Next::Leave => return Ok(()),
            }
        }
        latest.tell(wish);
        while let Ok(picture) = taken.try_recv() {
            desk.take(picture);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Or "asking ..." would stand there for ever.
    #[test]
    fn the_last_wish_arrives_however_many_come_while_the_daemon_is_waited_for() {
        let (wish, wishes) = bounded(1);
        let mut latest = Latest(None);
        for session in 1..=9 {
            latest.is(Some(format!("s{session}")));
            latest.tell(&wish);
        }
        let mut heard = Vec::new();
        while let Ok(next) = wishes.try_recv() {
            heard.extend(next);
            latest.tell(&wish);
        }
        assert_eq!(heard.last().map(String::as_str), Some("s9"));
    }
}
