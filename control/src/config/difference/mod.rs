//! What is different between two configurations, key by key, and what each difference means while aditd runs.
//!
//! Every checked struct is taken apart by name, so a key that is new does not compile here until somebody has decided
//! what its change means. The same walk tells all settings of one configuration ([`settings`]).

mod connections;
mod lists;
mod sections;
mod show;

use super::checked::Config;
use crate::aaa::UserName;

/// One key whose value is another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The section, with its name where there are several: `[workers]`, `[[pool]] office`.
    pub section: String,
    /// The key; empty if the section itself came or went.
    pub key: &'static str,
    /// As it is. Of a secret nothing is shown.
    pub from: String,
    /// As it is to be.
    pub to: String,
    /// What that means.
    pub effect: Effect,
}

/// What a change means while aditd runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// From now on, for all sessions; none ends.
    AtOnce,
    /// From now on, for new logins and for these sessions, which go on with it.
    Live(Whose),
    /// For those who log in from now on; sessions keep what they have.
    NewLogins,
    /// For those who log in from now on, and for sessions with their next keys.
    NextKeys,
    /// Some sessions may end by it; which, the plan finds out.
    Touches(Touched),
    /// Not while aditd runs, for this reason.
    Restart(&'static str),
}

/// Which sessions go on with what has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// All of this connection's.
    OfConnection(String),
    /// Those of this class of bandwidth.
    OfClass(String),
}

/// Which sessions a change may end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched {
    /// All of this connection's.
    OfConnection(String),
    /// Those that this user of the `[[user]]` table has.
    OfUser(UserName),
    /// Those whose inner address was out of this pool and is in none of their connection's any more.
    OutsidePools(String),
    /// Those of this connection whose inner address is in none of its pools any more.
    OutsidePoolsOf(String),
    /// Those of this connection with a child SA for more than its networks.
    BeyondNetworks(String),
    /// Those of this connection whose ESP comes in a way that it no longer has.
    ByOtherTransport(String),
}

impl Effect {
    /// In a word, for machines and for the table in `docs/reload.md`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AtOnce | Self::Live(_) => "at-once",
            Self::NewLogins => "new-logins",
            Self::NextKeys => "next-keys",
            Self::Touches(_) => "sessions",
            Self::Restart(_) => "restart",
        }
    }
}

impl Touched {
    /// Why one session ends: "1 session …".
    pub const fn why(&self) -> &'static str {
        match self {
            Self::OfConnection(_) => "is of this connection",
            Self::OfUser(_) => "is this user's",
            Self::OutsidePools(_) | Self::OutsidePoolsOf(_) => "has an address outside its connection's pools",
            Self::BeyondNetworks(_) => "has a child SA for more than that",
            Self::ByOtherTransport(_) => "comes otherwise",
        }
    }

    /// Why several do.
    pub const fn whys(&self) -> &'static str {
        match self {
            Self::OfConnection(_) => "are of this connection",
            Self::OfUser(_) => "are this user's",
            Self::OutsidePools(_) | Self::OutsidePoolsOf(_) => "have addresses outside their connection's pools",
            Self::BeyondNetworks(_) => "have child SAs for more than that",
            Self::ByOtherTransport(_) => "come otherwise",
        }
    }
}

/// All changes from one configuration to another, in the order of the documented file.
pub fn difference(old: &Config, new: &Config) -> Vec<Change> {
    let mut changes = Changes::default();
    compare(&mut changes, old, new);
    changes.found
}

fn compare(changes: &mut Changes, old: &Config, new: &Config) {
    sections::compare(changes, old, new);
    lists::operators(changes, &old.api.operators, &new.api.operators);
    lists::pools(changes, &old.pools, &new.pools);
    lists::classes(changes, &old.classes, &new.classes);
    lists::users(changes, &old.users, &new.users);
    lists::radius(changes, &old.radius, &new.radius);
    connections::compare(changes, old, new);
}

/// One key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// As of a [`Change`].
    pub section: String,
    /// The key; empty for a section as a whole.
    pub key: &'static str,
    /// As the file spells it, but for the brackets of lists; `None` for what nobody is shown.
    pub value: Option<String>,
}

/// All settings of a configuration, in the order of the documented file; what the file does not say has its default.
pub fn settings(config: &Config) -> Vec<Setting> {
    let mut all = Changes { all: Some(Vec::new()), ..Changes::default() };
    compare(&mut all, config, config);
    all.all.unwrap_or_default()
}

/// What was found so far.
#[derive(Default)]
struct Changes {
    section: String,
    found: Vec<Change>,
    /// Of a configuration compared with itself: each key and its value.
    all: Option<Vec<Setting>>,
}

impl Changes {
    /// What follows is about this section.
    fn section(&mut self, section: impl Into<String>) -> &mut Self {
        self.section = section.into();
        self
    }

    /// Two values of a key, with how they are shown.
    fn key<T: PartialEq>(
        &mut self,
        key: &'static str,
        old: &T,
        new: &T,
        shown: impl Fn(&T) -> String,
        effect: Effect,
    ) -> &mut Self {
        self.tell(key, || Some(shown(new)));
        if old != new {
            self.add(key, shown(old), shown(new), effect);
        }
        self
    }

    /// Two values that nobody is shown: secrets, and what is too long.
    fn unseen<T: PartialEq>(&mut self, key: &'static str, old: &T, new: &T, effect: Effect) -> &mut Self {
        self.tell(key, || None);
        if old != new {
            self.add(key, String::new(), "changed".to_owned(), effect);
        }
        self
    }

    /// The order of sections is theirs in the list.
    fn tell(&mut self, key: &'static str, value: impl FnOnce() -> Option<String>) {
        if let Some(all) = self.all.as_mut().filter(|_| key != "order") {
            all.push(Setting { section: self.section.clone(), key, value: value() });
        }
    }

    fn add(&mut self, key: &'static str, from: String, to: String, effect: Effect) {
        self.found.push(Change { section: self.section.clone(), key, from, to, effect });
    }
}
