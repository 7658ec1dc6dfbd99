//! The desk where questions and records are taken: a machine that asks for nothing. Time, packets and finished checks
//! come in, packets to send, checks to run and answers go out.

mod books;
mod kept;
mod logins;
mod view;

pub use kept::NotABook;
pub(crate) use logins::PATIENCE;
pub use view::{DeskView, LineView};

use super::local::{Check, Checked};
use super::{Answer, Question, Record};
use crate::config::Renumbering;
use crate::config::checked::{Config, Connection};
use adit_crypto::random::SecretRandom;
use adit_dataplane::time::Instant;
use books::Books;
use logins::Logins;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What the desk wants done. What is large is boxed.
#[derive(Debug)]
pub enum Output {
    /// Send this through that door.
    Send(Door, Vec<u8>),
    /// Work on this, where it stops nobody; [`Desk::handle_checked`] wants the result.
    Check(Box<Check>),
    /// A question is answered.
    Answer(Box<Answer>),
    /// Keep this entry of an account's beyond the end of the process; without a value, it no longer need be.
    Keep(Vec<u8>, Option<Vec<u8>>),
}

/// A socket of its own for each port of each server: identifiers count from each anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Door {
    /// Index of the server in the configuration.
    pub server: usize,
    /// Which of its ports.
    pub port: Port,
}

/// Which of a server's ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Port {
    /// Where logins are asked.
    Logins,
    /// Where books are kept.
    Books,
}

/// All questions and books that are open.
pub struct Desk {
    room: Room,
    logins: Logins,
    books: Books,
}

/// What both halves of the desk need.
struct Room {
    config: Arc<Config>,
    /// NAS-Identifier.
    name: String,
    random: Box<dyn SecretRandom>,
    outputs: VecDeque<Output>,
    /// Unix time when the clock of `now` stood at zero.
    unix_at_zero: Duration,
}

impl Room {
    fn connection(&self, index: usize) -> Option<&Connection> {
        self.config.connections.get(index)
    }

    /// The time of day.
    fn unix(&self, at: Instant) -> Duration {
        self.unix_at_zero + at.since(Instant::ZERO)
    }

    fn send(&mut self, server: usize, port: Port, octets: Vec<u8>) {
        self.outputs.push_back(Output::Send(Door { server, port }, octets));
    }
}

impl Desk {
    /// A desk without questions. `unix_at_zero` is the time of day when `now` was zero.
    pub fn new(config: Arc<Config>, unix_at_zero: Duration, mut random: Box<dyn SecretRandom>) -> Self {
        let (logins, books) = (Logins::new(&config, &mut *random), Books::new(&config));
        let name = config.identity.to_string();
        Self { room: Room { config, name, random, outputs: VecDeque::new(), unix_at_zero }, logins, books }
    }

    /// The time of day when `now` was zero, as it is known now.
    pub fn set_time_of_day(&mut self, unix_at_zero: Duration) {
        self.room.unix_at_zero = unix_at_zero;
    }

    /// From now on [`Output::Keep`] says what is to outlive the process.
    pub fn keep_books(&mut self) {
        self.books.keep();
    }

    /// An entry of another process of ours. What nobody has taken is written now; who was here when it ended gets a stop.
    ///
    /// # Errors
    /// See [`NotABook`].
    pub fn restore(&mut self, now: Instant, key: &[u8], value: &[u8]) -> Result<(), NotABook> {
        self.books.restore(now, &mut self.room, key, value)
    }

    /// All doors, with where they lead.
    pub fn doors(&self) -> Vec<(Door, SocketAddr)> {
        let logins = self.logins.doors().map(|(server, to)| (Door { server, port: Port::Logins }, to));
        let books = self.books.doors().map(|(server, to)| (Door { server, port: Port::Books }, to));
        logins.chain(books).collect()
    }

    /// Users and connections are others from now on; servers are not. Open questions and books go on.
    pub fn take_config(&mut self, config: Arc<Config>, places: &Renumbering) {
        self.logins.take_config(&config, places, &mut *self.room.random);
        self.books.renumber(places);
        self.room.name = config.identity.to_string();
        self.room.config = config;
    }

    /// Somebody wants in.
    pub fn handle_question(&mut self, now: Instant, question: Question) {
        self.logins.ask(now, &mut self.room, question);
    }

    /// A session has something for the books.
    pub fn handle_record(&mut self, now: Instant, record: Record) {
        self.books.write(now, &mut self.room, record);
    }

    /// A packet came in through a door.
    pub fn handle_packet(&mut self, now: Instant, door: Door, octets: &[u8]) {
        match door.port {
            Port::Logins => self.logins.receive(now, &mut self.room, door.server, octets),
            Port::Books => self.books.receive(now, &mut self.room, door.server, octets),
        }
    }

    /// A check is done.
    pub fn handle_checked(&mut self, now: Instant, checked: Checked) {
        self.logins.checked(now, &mut self.room, checked);
    }

    /// The time asked for by [`Desk::poll_timeout`] has come (being called early is harmless).
    pub fn handle_timeout(&mut self, now: Instant) {
        self.logins.handle_timeout(now, &mut self.room);
        self.books.handle_timeout(now, &mut self.room);
    }

    /// When [`Desk::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.logins.poll_timeout().into_iter().chain(self.books.poll_timeout()).min()
    }

    /// The next thing to do, until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.room.outputs.pop_front()
    }

    /// Whether every record has found its way into the books, or was given up.
    pub fn books_are_written(&self) -> bool {
        self.books.is_empty()
    }

    /// How the servers are, and what is open.
    pub fn view(&self, now: Instant) -> DeskView {
        DeskView {
            questions: self.logins.open(),
            checks: self.logins.checks(),
            accounts: self.books.open(),
            records_written: self.books.written(),
            records_lost: self.books.lost(),
            servers: [self.logins.views(now), self.books.views(now)].concat(),
        }
    }
}

#[cfg(test)]
mod tests;
