//! A world as plain data.

/// A value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Val {
    Text(String),
    Int(i64),
    Bool(bool),
    List(Vec<Val>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Text,
    Int,
    Bool,
    Path,
    Address,
    Url,
    Texts,
    Ints,
    Addresses,
}

/// What a value may be: all that is stated here holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Limit {
    pub(crate) one_of: Option<Vec<Val>>,
    pub(crate) min: Option<i64>,
    pub(crate) max: Option<i64>,
    pub(crate) prefix: Option<String>,
    pub(crate) patterns: Vec<Pattern>,
    /// How many bytes a text has, or items a list: from and to.
    pub(crate) length: Option<(u32, u32)>,
    /// The path itself, or what lies beneath.
    pub(crate) subtree: Option<String>,
    pub(crate) cidr: Option<String>,
    /// What URLs begin with, `*.` before the host for all beneath it.
    pub(crate) url: Option<String>,
    /// Of a list: every item.
    pub(crate) each: Option<Box<Limit>>,
    /// Of a list: some item.
    pub(crate) has: Option<Box<Limit>>,
}

/// Alternatives, each a run of pieces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Pattern(pub(crate) Vec<Vec<Piece>>);

/// Some characters, so many times.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Piece {
    pub(crate) of: Class,
    pub(crate) least: usize,
    pub(crate) most: Option<usize>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    One(char),
    Lower,
    Digit,
    Any,
}

#[derive(Clone, Debug)]
pub(crate) struct Param {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) limit: Limit,
    pub(crate) default: Option<Val>,
}

/// A part of an element of a program's arguments.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Text(String),
    Param(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Verb {
    pub(crate) name: String,
    /// By name.
    pub(crate) params: Vec<Param>,
    /// After the program.
    pub(crate) argv: Vec<Vec<Part>>,
}

/// A verb with limits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Cap {
    pub(crate) verb: String,
    pub(crate) limits: Vec<(String, Limit)>,
}

/// What a rule's `verbs` says; names may have stars.
#[derive(Clone, Debug)]
pub(crate) enum Verbs {
    Listed(Vec<String>),
    Limited(Vec<Cap>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Zone {
    Utc,
    Kolkata,
    Berlin,
}

#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// Monday first.
    pub(crate) days: [bool; 7],
    /// Minutes of the day.
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) zone: Zone,
}

/// Whom a rule is about; `None` is a key that is not there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Who {
    pub(crate) agents: Option<Vec<String>>,
    pub(crate) users: Option<Vec<String>>,
    pub(crate) groups: Option<Vec<String>>,
    pub(crate) roles: Option<Vec<String>>,
    pub(crate) when: Vec<Window>,
}

#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Mode {
    #[default]
    Never,
    Once,
    Each,
}

#[derive(Clone, Debug)]
pub(crate) enum Approve {
    All(Mode),
    By(Vec<(String, Mode)>),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    pub(crate) to: Option<Vec<String>>,
    pub(crate) keys: Option<Vec<String>>,
    pub(crate) bearer: bool,
    /// Milliseconds.
    pub(crate) max_ttl: Option<u64>,
    pub(crate) redelegate: Option<u8>,
    pub(crate) approve: Option<Approve>,
    pub(crate) approve_open: bool,
    /// Users, and roles as `@name`.
    pub(crate) approvers: Vec<String>,
    pub(crate) needs: Option<u8>,
    pub(crate) max_calls: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) max_shares: Option<u32>,
}

/// One entry of a file of rules.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Agent { name: String, user: String },
    Role { name: String, groups: Vec<String>, verbs: Option<Verbs> },
    Allow { who: Who, verbs: Verbs },
    Deny { who: Who, verbs: Verbs },
    Delegate { who: Who, verbs: Verbs, terms: Terms },
}

/// A catalog, and files of rules.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) verbs: Vec<Verb>,
    pub(crate) files: Vec<Vec<Item>>,
}

/// Which item of which file.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Site(pub(crate) usize, pub(crate) usize);

/// `None`: the system does not know.
pub(crate) type Groups = Option<Vec<String>>;

/// Whose authority, now.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) user: String,
    pub(crate) agent: String,
    pub(crate) groups: Groups,
    pub(crate) now: u64,
}

/// An alias and a key; `None` is a bearer.
pub(crate) type Recipient = Option<(String, String)>;

/// What a consent is to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum To {
    Nothing,
    Verb(String),
    Call(Call),
}

#[derive(Clone, Debug)]
pub(crate) struct Consent {
    pub(crate) user: String,
    pub(crate) groups: Groups,
    pub(crate) to: To,
    /// The digest that the crate gave for it.
    pub(crate) digest: [u8; 32],
}

#[derive(Clone, Debug)]
pub(crate) struct Share {
    pub(crate) user: String,
    pub(crate) agent: String,
    pub(crate) groups: Groups,
    pub(crate) recipient: Recipient,
    pub(crate) scope: Vec<Cap>,
    pub(crate) opened: u64,
    pub(crate) deadline: u64,
    pub(crate) approve: Mode,
    pub(crate) max_calls: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) used_calls: u64,
    pub(crate) used_bytes: u64,
    pub(crate) consents: Vec<Consent>,
}

/// What one block states.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) scope: Vec<Cap>,
    pub(crate) not_after: u64,
}

/// A passport: what the daemon stated, then what holders did.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) owner: String,
    pub(crate) blocks: Vec<Block>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Call {
    pub(crate) verb: String,
    /// By name.
    pub(crate) args: Vec<(String, Val)>,
}

impl Share {
    pub(crate) fn subject(&self, now: u64) -> Subject {
        let (user, agent, groups) = (self.user.clone(), self.agent.clone(), self.groups.clone());
        Subject { user, agent, groups, now }
    }
}

impl Call {
    pub(crate) fn arg(&self, name: &str) -> Option<&Val> {
        self.args.iter().find(|(given, _)| given == name).map(|(_, value)| value)
    }
}

impl Cap {
    pub(crate) fn limit(&self, name: &str) -> Option<&Limit> {
        self.limits.iter().find(|(limited, _)| limited == name).map(|(_, limit)| limit)
    }
}

impl World {
    pub(crate) fn verb(&self, name: &str) -> Option<&Verb> {
        self.verbs.iter().find(|verb| verb.name == name)
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = (Site, &Item)> {
        let files = self.files.iter().enumerate();
        files.flat_map(|(file, items)| {
            items.iter().enumerate().map(move |(place, item)| (Site(file, place), item))
        })
    }
}
