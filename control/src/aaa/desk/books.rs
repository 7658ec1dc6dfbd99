//! Open books: for each session the records that no server has taken yet, one after the other.
//!
//! A record is sent to one server at a time and is done with the first answer. What is repeated is the same packet, so
//! a server that has it already can tell (RFC 2866 section 3, RFC 5080 section 2.2.2); another server gets a packet of
//! its own with the same Acct-Session-Id and Event-Timestamp. A record that one server has written and not answered in
//! time may so be with two servers: the protocol cannot do better.

use super::super::radius::{Good, Line, Made, accounting_request};
use super::super::{Account, AccountId, Moment, Record, Terminated, Usage};
use super::kept::{self, KeptBook, NotABook};
use super::view::LineView;
use super::{Output, Port, Room};
use crate::config::Renumbering;
use crate::config::checked::{Config, RadiusServer, UserSource};
use adit_dataplane::time::Instant;
use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Accounts that may have something to be written.
const MOST_ACCOUNTS: usize = 131_072;
/// After all servers were asked in vain.
const REST: Duration = Duration::from_secs(10);
/// A record that nobody took for so long is given up.
const PATIENCE: Duration = Duration::from_secs(600);

/// All open books.
pub(super) struct Books {
    accounts: BTreeMap<AccountId, Book>,
    resting: BTreeSet<(Instant, AccountId)>,
    desks: Vec<Option<Desk>>,
    /// Whose session is not over, where that outlives the process.
    here: Option<BTreeMap<AccountId, Here>>,
    written: u64,
    lost: u64,
}

/// The line to a server that keeps books, and who waits for an identifier on it.
struct Desk {
    line: Line<AccountId>,
    queue: VecDeque<AccountId>,
}

/// What is still to be written for one session. The first record is under way.
struct Book {
    account: Arc<Account>,
    first: Entry,
    more: VecDeque<Entry>,
    /// Servers asked already about the first.
    tried: Vec<usize>,
}

struct Entry {
    moment: Moment,
    /// Since when it waits here.
    at: Instant,
    /// The time of day when it was made,
    made: Duration,
    /// and how old it was when it came here: another process may have made it.
    age: Duration,
}

impl Entry {
    /// Made here and now.
    const fn new(moment: Moment, at: Instant, made: Duration) -> Self {
        Self { moment, at, made, age: Duration::ZERO }
    }
}

/// Somebody whose session is not over.
struct Here {
    account: Arc<Account>,
    /// As was told last.
    usage: Usage,
}

impl Books {
    pub(super) fn new(config: &Config) -> Self {
        let desk = |server: &RadiusServer| {
            let line = Line::new(server.acct()?, server.clone());
            Some(Desk { line, queue: VecDeque::new() })
        };
        Self {
            accounts: BTreeMap::new(),
            resting: BTreeSet::new(),
            desks: config.radius.iter().map(desk).collect(),
            here: None,
            written: 0,
            lost: 0,
        }
    }

    /// Connections have other places now.
    pub(super) fn renumber(&mut self, places: &Renumbering) {
        let here = self.here.iter_mut().flat_map(BTreeMap::values_mut).map(|here| &mut here.account);
        for account in self.accounts.values_mut().map(|book| &mut book.account).chain(here) {
            let connection = places.place(account.connection);
            *account = Arc::new(Account { connection, ..Account::clone(account) });
        }
    }

    /// From now on what is open outlives the process.
    pub(super) fn keep(&mut self) {
        self.here = Some(BTreeMap::new());
    }

    pub(super) fn write(&mut self, now: Instant, room: &mut Room, record: Record) {
        let Record { account, moment } = record;
        let users =
            room.connection(account.connection).and_then(|one| one.v1()?.auth.xauth()).map(|xauth| &xauth.users);
        let wanted = users.is_some_and(|users| users.contains(&UserSource::Radius));
        if !wanted || self.desks.iter().all(Option::is_none) {
            if self.here.as_mut().is_some_and(|here| here.remove(&account.id).is_some()) {
                self.tell_kept(room, account.id);
            }
            return;
        }
        self.note_here(&account, moment);
        let full = self.accounts.len() >= MOST_ACCOUNTS;
        let (id, made) = (account.id, room.unix(now));
        match self.accounts.entry(id) {
            Slot::Occupied(mut book) => {
                book.get_mut().append(now, made, moment);
                return self.tell_kept(room, id);
            }
            Slot::Vacant(_) if full => {
                self.lost += 1;
                return tracing::error!(session = %account.session, "too many records wait for RADIUS; one is lost");
            }
            Slot::Vacant(slot) => {
                let first = Entry::new(moment, now, made);
                slot.insert(Book { account, first, more: VecDeque::new(), tried: Vec::new() });
            }
        }
        self.tell_kept(room, id);
        self.go_on(now, room, id);
    }

    /// An entry that another process has kept.
    pub(super) fn restore(&mut self, now: Instant, room: &mut Room, key: &[u8], value: &[u8]) -> Result<(), NotABook> {
        let KeptBook { account, connection, here, records } = kept::read_entry(key, value)?;
        let place = room.config.connections.iter().position(|one| one.name == connection);
        let account = Arc::new(Account { connection: place.ok_or(NotABook::NoConnection)?, ..account });
        if self.desks.iter().all(Option::is_none) || self.accounts.len() >= MOST_ACCOUNTS {
            return Err(NotABook::NoServer);
        }
        // They were here when it was killed.
        let stop = here.map(|usage| (room.unix(now), Moment::Stop(usage, Terminated::NasReboot)));
        let unix = room.unix(now);
        let entry = |(made, moment)| Entry { moment, at: now, made, age: unix.saturating_sub(made) };
        let mut records = records.into_iter().chain(stop).map(entry);
        let id = account.id;
        if let Some(first) = records.next() {
            let book = Book { account, first, more: records.collect(), tried: Vec::new() };
            self.accounts.insert(id, book);
        }
        self.tell_kept(room, id);
        self.go_on(now, room, id);
        Ok(())
    }

    /// Who is here, and what they have used.
    fn note_here(&mut self, account: &Arc<Account>, moment: Moment) {
        let Some(all) = &mut self.here else { return };
        let usage = match moment {
            Moment::Start => Usage::default(),
            Moment::Interim(usage) => usage,
            Moment::Stop(..) => return drop(all.remove(&account.id)),
        };
        if all.len() < MOST_ACCOUNTS || all.contains_key(&account.id) {
            all.insert(account.id, Here { account: Arc::clone(account), usage });
        }
    }

    /// What has become of an account's entry.
    fn tell_kept(&self, room: &mut Room, id: AccountId) {
        let Some(all) = &self.here else { return };
        let (here, book) = (all.get(&id), self.accounts.get(&id));
        let account = book.map(|book| &book.account).or(here.map(|here| &here.account));
        let value = account.and_then(|account| {
            let entries = book.into_iter().flat_map(|book| std::iter::once(&book.first).chain(&book.more));
            kept::value(&KeptBook {
                account: Account::clone(account),
                connection: room.connection(account.connection).map(|one| one.name.clone()).unwrap_or_default(),
                here: here.map(|here| here.usage),
                records: entries.map(|entry| (entry.made, entry.moment)).collect(),
            })
        });
        room.outputs.push_back(Output::Keep(kept::key(id), value));
    }

    pub(super) fn receive(&mut self, now: Instant, room: &mut Room, server: usize, octets: &[u8]) {
        let Some(Some(desk)) = self.desks.get_mut(server) else { return };
        let Some((id, _response)) = desk.line.receive(now, octets, |_, _| Good::Yes) else { return };
        self.written += 1;
        self.turn_over(now, room, id);
        self.serve_queue(now, room, server);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, room: &mut Room) {
        while let Some((at, id)) = self.resting.first().copied().filter(|(at, _)| *at <= now) {
            self.resting.remove(&(at, id));
            self.go_on(now, room, id);
        }
        for server in 0..self.desks.len() {
            let alive: Vec<usize> = alive(now, &self.desks).collect();
            let Some(Some(desk)) = self.desks.get_mut(server) else { continue };
            let accounts = &self.accounts;
            let elsewhere = |id: &AccountId| {
                let book = accounts.get(id);
                book.is_some_and(|book| alive.iter().any(|server| !book.tried.contains(server)))
            };
            let over = desk.line.handle_timeout(now, elsewhere, |octets| room.send(server, Port::Books, octets));
            let queue = if desk.line.is_dead(now) { std::mem::take(&mut desk.queue) } else { VecDeque::new() };
            for id in over.into_iter().chain(queue) {
                self.go_on(now, room, id);
            }
            self.serve_queue(now, room, server);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let lines = self.desks.iter().flatten().filter_map(|desk| desk.line.poll_timeout());
        lines.chain(self.resting.first().map(|(at, _)| *at)).min()
    }

    pub(super) fn doors(&self) -> impl Iterator<Item = (usize, SocketAddr)> {
        let desks = self.desks.iter().enumerate();
        desks.filter_map(|(server, desk)| Some((server, desk.as_ref()?.line.to)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    pub(super) fn open(&self) -> usize {
        self.accounts.len()
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    pub(super) fn views(&self, now: Instant) -> Vec<LineView> {
        LineView::all(now, self.desks.iter().flatten().map(|desk| &desk.line), "accounting")
    }

    /// Asks the next server to take the first record.
    fn go_on(&mut self, now: Instant, room: &mut Room, id: AccountId) {
        let Some(book) = self.accounts.get_mut(&id) else { return };
        match next_server(now, &self.desks, &book.tried) {
            Some(server) => {
                book.tried.push(server);
                self.ask_server(now, room, id, server);
            }
            None if now.since(book.first.at) >= PATIENCE => {
                self.lost += 1;
                tracing::error!(
                    session = %book.account.session, account = %book.account.id, user = %book.account.user,
                    "no RADIUS server took a record of this session; it is lost"
                );
                self.turn_over(now, room, id);
            }
            None => {
                book.tried.clear();
                self.resting.insert((now + REST, id));
            }
        }
    }

    /// The first record is done.
    fn turn_over(&mut self, now: Instant, room: &mut Room, id: AccountId) {
        let Some(book) = self.accounts.get_mut(&id) else { return };
        match book.more.pop_front() {
            Some(next) => {
                book.first = next;
                book.tried.clear();
                self.tell_kept(room, id);
                self.go_on(now, room, id);
            }
            None => {
                self.accounts.remove(&id);
                self.tell_kept(room, id);
            }
        }
    }

    fn ask_server(&mut self, now: Instant, room: &mut Room, id: AccountId, server: usize) {
        let (Some(book), Some(Some(desk))) = (self.accounts.get(&id), self.desks.get_mut(server)) else { return };
        let Some(identifier) = desk.line.identifier() else {
            return desk.queue.push_back(id);
        };
        let Book { account, first, .. } = book;
        // Not by the time of day: somebody may have set the clock.
        let made = Made { unix: first.made.as_secs(), ago: first.age + now.since(first.at) };
        let connection = room.connection(account.connection).map_or("", |one| one.name.as_str());
        let names = (room.name.as_str(), connection);
        let request = accounting_request(account, first.moment, names, made, desk.line.server(), identifier);
        let octets = desk.line.send(now, identifier, id, request);
        room.send(server, Port::Books, octets);
    }

    /// Identifiers may have become free.
    fn serve_queue(&mut self, now: Instant, room: &mut Room, server: usize) {
        while let Some(Some(desk)) = self.desks.get_mut(server)
            && desk.line.has_room()
            && let Some(id) = desk.queue.pop_front()
        {
            self.ask_server(now, room, id, server);
        }
    }
}

impl Book {
    /// An interim that nobody has seen yet is told again by any later record.
    fn append(&mut self, now: Instant, made: Duration, moment: Moment) {
        self.more.retain(|entry| !matches!(entry.moment, Moment::Interim(_)));
        self.more.push_back(Entry::new(moment, now, made));
    }
}

/// As for logins: the first that is not known to be dead, or else the first.
fn next_server(now: Instant, desks: &[Option<Desk>], tried: &[usize]) -> Option<usize> {
    let untried = |server: &usize| !tried.contains(server);
    let mut all = lines(desks).map(|(server, _)| server);
    alive(now, desks).find(untried).or_else(|| all.find(untried))
}

/// Servers that keep books and are not known to be dead.
fn alive(now: Instant, desks: &[Option<Desk>]) -> impl Iterator<Item = usize> {
    lines(desks).filter(move |(_, line)| !line.is_dead(now)).map(|(server, _)| server)
}

fn lines(desks: &[Option<Desk>]) -> impl Iterator<Item = (usize, &Line<AccountId>)> {
    desks.iter().enumerate().filter_map(|(server, desk)| Some((server, &desk.as_ref()?.line)))
}
