//! Values by chance come from here: few, so that rules and calls meet.

use std::sync::OnceLock;

use crate::model::{Class, Kind, Pattern, Piece, Val};

const TEXTS: [&str; 11] =
    ["", "a", "ab", "abc", "b1", "web-1", "web-2", "-x", "db", "/var/log", "a\nb"];
pub(crate) const NUMBERS: [i64; 7] = [-3, 0, 1, 5, 10, 11, 100];
pub(crate) const PREFIXES: [&str; 6] = ["", "a", "ab", "web-", "/var/", "b"];
const PATHS: [&str; 6] = ["/", "/var/log", "/var/log/a", "/var/log/a/b", "/var/logs", "/etc/x"];
const NO_PATHS: [&str; 4] = ["/var/log/../x", "/var/log/", "var/log", "/var//log"];
pub(crate) const ROOTS: [&str; 5] = ["/", "/var/log", "/var/log/", "/var", "/var/log/a"];
const ADDRESSES: [&str; 6] =
    ["10.0.0.1", "10.1.2.3", "192.168.0.1", "11.0.0.0", "::1", "2001:db8::1"];
const NO_ADDRESSES: [&str; 4] = ["10.0.0.01", "::ffff:10.0.0.1", "0::1", "10.0.0.0/8"];
pub(crate) const NETWORKS: [&str; 8] = [
    "10.0.0.0/8",
    "10.0.0.0/24",
    "0.0.0.0/0",
    "10.0.0.1/32",
    "::/0",
    "2001:db8::/32",
    "192.168.0.0/23",
    "10.1.2.2/31",
];
const URLS: [&str; 7] = [
    "https://example.com/",
    "https://example.com/api/x",
    "https://example.com/apis",
    "http://example.com/api/",
    "https://a.example.com/api/x",
    "https://notexample.com/api/",
    "https://example.com:8443/api/",
];
const NO_URLS: [&str; 4] = [
    "https://example.com",
    "https://example.com/api/../x",
    "https://EXAMPLE.com/",
    "https://u@example.com/api/",
];
pub(crate) const SITES: [&str; 5] = [
    "https://example.com/",
    "https://example.com/api/",
    "https://*.example.com/",
    "http://example.com/",
    "https://example.com:8443/api/",
];
/// What is asked for most, first.
pub(crate) const KINDS: [Kind; 11] = [
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Int,
    Kind::Int,
    Kind::Bool,
    Kind::Path,
    Kind::Address,
    Kind::Url,
    Kind::Texts,
    Kind::Ints,
];
impl Kind {
    /// What the items of a list are.
    pub(crate) fn item(self) -> Option<Self> {
        match self {
            Self::Texts => Some(Self::Text),
            Self::Ints => Some(Self::Int),
            Self::Addresses => Some(Self::Address),
            Self::Text | Self::Int | Self::Bool | Self::Path | Self::Address | Self::Url => None,
        }
    }
}

/// Every value of a kind that these tests know.
pub(crate) fn pool(kind: Kind) -> Vec<Val> {
    match kind {
        Kind::Text => texts(&TEXTS),
        Kind::Int => NUMBERS.iter().copied().map(Val::Int).collect(),
        Kind::Bool => vec![Val::Bool(false), Val::Bool(true)],
        Kind::Path => texts(&PATHS),
        Kind::Address => texts(&ADDRESSES),
        Kind::Url => texts(&URLS),
        Kind::Texts => lists(&[&[], &["a"], &["a", "b1"], &["-x"], &["web-1", "db"], &["ab"; 3]]),
        Kind::Ints => {
            let list = |items: &[i64]| Val::List(items.iter().copied().map(Val::Int).collect());
            vec![list(&[]), list(&[1]), list(&[1, 5]), list(&[100]), list(&[0, 10, 11])]
        }
        Kind::Addresses => {
            lists(&[&[], &["10.0.0.1"], &["10.0.0.1", "192.168.0.1"], &["::1", "10.1.2.3"]])
        }
    }
}

/// Values that are none of the kind.
pub(crate) fn malformed(kind: Kind) -> Vec<Val> {
    match kind {
        Kind::Path => texts(&NO_PATHS),
        Kind::Address => texts(&NO_ADDRESSES),
        Kind::Url => texts(&NO_URLS),
        Kind::Addresses => lists(&[&["10.0.0.1", "10.0.0.01"]]),
        Kind::Text => lists(&[&["a"]]),
        Kind::Texts => texts(&["a"]),
        Kind::Int | Kind::Bool | Kind::Ints => texts(&["1"]),
    }
}

/// Every value that these tests know.
pub(crate) fn everything() -> &'static [Val] {
    static ALL: OnceLock<Vec<Val>> = OnceLock::new();
    ALL.get_or_init(|| {
        [&KINDS[..], &[Kind::Addresses]].concat().into_iter().flat_map(pool).collect()
    })
}

fn texts(texts: &[&str]) -> Vec<Val> {
    texts.iter().map(|text| Val::Text((*text).to_owned())).collect()
}

fn lists(lists: &[&[&str]]) -> Vec<Val> {
    lists.iter().map(|items| Val::List(texts(items))).collect()
}

/// Every pattern that these tests know.
pub(crate) fn patterns() -> Vec<Pattern> {
    let of = |of, least, most| Piece { of, least, most };
    let word = |text: &str| text.chars().map(|one| of(Class::One(one), 1, Some(1))).collect();
    let web: Vec<Piece> = word("web-");
    vec![
        Pattern(vec![vec![of(Class::Lower, 1, None)]]),
        Pattern(vec![vec![of(Class::Lower, 1, None), of(Class::Digit, 0, None)]]),
        Pattern(vec![vec![of(Class::One('a'), 1, Some(1)), of(Class::Any, 0, None)]]),
        Pattern(vec![[web, vec![of(Class::Digit, 1, Some(1))]].concat()]),
        Pattern(vec![vec![of(Class::Any, 0, Some(3))]]),
        Pattern(vec![vec![of(Class::Lower, 2, None)], word("-x")]),
        Pattern(vec![vec![
            of(Class::Any, 0, None),
            of(Class::One('b'), 1, Some(1)),
            of(Class::Any, 0, None),
        ]]),
        Pattern(vec![word("web-1"), word("db")]),
        Pattern(vec![vec![of(Class::One('-'), 0, Some(1)), of(Class::Lower, 1, Some(2))]]),
    ]
}
