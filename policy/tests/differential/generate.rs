//! Worlds by chance: small pools of names and values, so that rules and calls meet.

use crate::chance::Chance;
use crate::limit::glob;
use crate::model::{
    Approve, Cap, Groups, Item, Kind, Limit, Mode, Param, Part, Terms, Val, Verb, Verbs, Who,
    Window, World, Zone,
};
use crate::pool::{KINDS, NETWORKS, NUMBERS, PREFIXES, ROOTS, SITES, patterns, pool};

const VERBS: [&str; 5] = ["a.one", "a.two", "b.one", "b.two", "c.go"];
const STARRED: [&str; 5] = ["*", "a.*", "*.one", "b*", "*o*"];
const PARAMS: [&str; 3] = ["x", "y", "z"];
pub(crate) const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const AGENTS: [&str; 5] = ["you", "bot", "helper", "alice", "bob"];
pub(crate) const GROUPS: [&str; 4] = ["sre", "ops", "staff", "dev"];
const ROLES: [&str; 2] = ["oncall", "admins"];
const ALIASES: [&str; 4] = ["vendor-b", "vendor-c", "own/vx", "friend"];
const KEYS: [&str; 2] = [
    "SHA256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "SHA256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
];
const MINUTE: u64 = 60_000;

pub(crate) fn world(chance: &mut Chance) -> World {
    let verbs = catalog(chance);
    let mut files = vec![vec![], vec![]];
    let mut roles = Vec::new();
    agents(chance, &mut files[0]);
    for name in ROLES {
        if chance.percent(75) {
            let groups = chance.some(&GROUPS, 1, 2).into_iter().map(str::to_owned).collect();
            let held = chance.percent(30).then(|| rule_verbs(chance, &verbs, Whole::Each));
            roles.push(name);
            let file = chance.below(2);
            files[file].push(Item::Role { name: name.to_owned(), groups, verbs: held });
        }
    }
    let many = [chance.from(1, 7), chance.from(0, 3), chance.from(1, 6)];
    for (kind, many) in many.into_iter().enumerate() {
        for _ in 0..many {
            let items = if kind == 1 { Whole::Has } else { Whole::Each };
            let (who, held) = (who(chance, &roles), rule_verbs(chance, &verbs, items));
            let item = match kind {
                0 => Item::Allow { who, verbs: held },
                1 => Item::Deny { who, verbs: held },
                _ => {
                    let terms = terms(chance, &verbs, &held, &roles);
                    Item::Delegate { who, verbs: held, terms }
                }
            };
            let file = chance.below(2);
            let place = chance.from(0, files[file].len());
            files[file].insert(place, item);
        }
    }
    World { verbs, files }
}

fn agents(chance: &mut Chance, file: &mut Vec<Item>) {
    let other = *chance.pick(&["alice", "bob"]);
    for (name, user) in [("you", "alice"), ("bot", other), ("helper", "bob"), ("carol", "alice")] {
        let often = if name == "carol" { 5 } else { 95 };
        if chance.percent(often) {
            file.push(Item::Agent { name: name.to_owned(), user: user.to_owned() });
        }
    }
}

fn catalog(chance: &mut Chance) -> Vec<Verb> {
    let names = chance.some(&VERBS, 2, 5);
    names.into_iter().map(|name| verb(chance, name)).collect()
}

fn verb(chance: &mut Chance, name: &str) -> Verb {
    let params: Vec<Param> =
        chance.some(&PARAMS, 0, 3).into_iter().map(|name| param(chance, name)).collect();
    let mut argv: Vec<Vec<Part>> = Vec::new();
    let text = |text: &str| Part::Text(text.to_owned());
    for one in &params {
        let itself = Part::Param(one.name.clone());
        let whole = one.kind == Kind::Path || one.kind.item().is_some();
        let mixes: Vec<&Param> = params
            .iter()
            .filter(|other| other.kind != Kind::Path && other.kind.item().is_none())
            .collect();
        argv.push(match chance.below(8) {
            _ if whole => vec![itself],
            0 => vec![text("--flag="), itself],
            1 => vec![itself, text("-tail")],
            2 => vec![itself, Part::Param(chance.pick(&mixes).name.clone())],
            _ => vec![itself],
        });
    }
    // Most programs have it, and with it no value is an option.
    if chance.percent(65) {
        argv.insert(chance.from(0, argv.len()), vec![text("--")]);
    }
    Verb { name: name.to_owned(), params, argv }
}

fn param(chance: &mut Chance, name: &str) -> Param {
    let kind = if chance.percent(6) { Kind::Addresses } else { *chance.pick(&KINDS) };
    let mut limit =
        if chance.percent(40) { limit(chance, kind, &[], Whole::Each) } else { Limit::default() };
    if kind == Kind::Path && limit.subtree.is_none() && limit.one_of.is_none() {
        limit.subtree = Some(chance.name(&["/", "/var/log"]));
    }
    if kind.item().is_some() {
        // One item at least, where it does not say otherwise.
        let max = limit.length.map_or(u32::MAX, |(_, max)| max);
        limit.length = Some((u32::from(chance.percent(70)), max));
    }
    let accepted: Vec<Val> = pool(kind).into_iter().filter(|one| limit.permits(one)).collect();
    let default =
        (!accepted.is_empty() && chance.percent(60)).then(|| chance.pick(&accepted).clone());
    Param { name: name.to_owned(), kind, limit, default }
}

/// Which items of a list a rule is about.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Whole {
    Each,
    Has,
}

/// A limit that means something beside each of these others.
pub(crate) fn limit(chance: &mut Chance, kind: Kind, beside: &[&Limit], items: Whole) -> Limit {
    let Some(item) = kind.item() else { return single(chance, kind, beside) };
    let inner: Vec<&Limit> = beside.iter().filter_map(|limit| limit.each.as_deref()).collect();
    let mut limit = Limit::default();
    let one = Some(Box::new(single(chance, item, &inner)));
    match items {
        Whole::Each => limit.each = one,
        Whole::Has => limit.has = one,
    }
    let most = beside.iter().filter_map(|limit| limit.length).map(|(_, max)| max).min();
    if chance.percent(25) && most.is_none_or(|most| most > 1) {
        limit.length = Some(*chance.pick(&[(0, 1), (0, 2), (1, 2), (0, u32::MAX)]));
    }
    limit
}

fn single(chance: &mut Chance, kind: Kind, beside: &[&Limit]) -> Limit {
    let accepted = |value: &Val| beside.iter().all(|other| other.permits(value));
    let values: Vec<Val> = pool(kind).into_iter().filter(accepted).collect();
    for _ in 0..20 {
        let from = if values.is_empty() { pool(kind) } else { values.clone() };
        let made = any_limit(chance, kind, &from);
        let settled = made.settled();
        let listed = settled.one_of.iter().flatten().all(accepted);
        if listed && values.iter().any(|value| settled.permits(value)) {
            return made;
        }
    }
    Limit::only(chance.some(&values, 1, 1))
}

fn any_limit(chance: &mut Chance, kind: Kind, values: &[Val]) -> Limit {
    let mut limit = Limit::default();
    let listed = chance.percent(50) || kind == Kind::Bool;
    if listed {
        limit.one_of = Some(chance.some(values, 1, 4));
    }
    if listed && chance.percent(80) {
        return limit;
    }
    match kind {
        Kind::Text => {
            let which = chance.below(3);
            limit.prefix = (which != 0).then(|| chance.name(&PREFIXES));
            limit.patterns = if which == 1 { vec![] } else { chance.some(&patterns(), 1, 1) };
        }
        Kind::Int => {
            let ends = chance.some(&NUMBERS, 2, 2);
            let which = chance.below(3);
            limit.min = (which != 0).then_some(ends[0]);
            limit.max = (which != 1).then_some(ends[1]);
        }
        Kind::Path => limit.subtree = Some(chance.name(&ROOTS)),
        Kind::Address => limit.cidr = Some(chance.name(&NETWORKS)),
        Kind::Url => limit.url = Some(chance.name(&SITES)),
        Kind::Bool | Kind::Texts | Kind::Ints | Kind::Addresses => {}
    }
    if matches!(kind, Kind::Text | Kind::Path | Kind::Url) && chance.percent(20) {
        limit.length = Some(*chance.pick(&[(0, 3), (2, 8), (1, u32::MAX), (0, 20)]));
    }
    limit
}

fn who(chance: &mut Chance, roles: &[&str]) -> Who {
    let mut who = Who::default();
    let owned = |names: Vec<&str>| Some(names.into_iter().map(str::to_owned).collect());
    if chance.percent(20) {
        who.agents = owned(chance.some(&AGENTS, 1, 3));
    }
    if chance.percent(45) {
        who.users = owned(if chance.percent(60) { vec!["*"] } else { chance.some(&USERS, 1, 2) });
    }
    if chance.percent(20) {
        who.groups = owned(chance.some(&GROUPS, 1, 3));
    }
    if chance.percent(15) && !roles.is_empty() {
        who.roles = owned(chance.some(roles, 1, 2));
    }
    if who.agents.is_none() && who.users.is_none() && who.groups.is_none() && who.roles.is_none() {
        who.agents = owned(vec![if chance.percent(50) { "*" } else { "you" }]);
    }
    if chance.percent(15) {
        who.when = (0..chance.from(1, 2)).map(|_| window(chance)).collect();
    }
    who
}

fn window(chance: &mut Chance) -> Window {
    let mut days = [true; 7];
    match chance.below(4) {
        0 => {}
        1 => days = [true, false, false, false, true, true, true],
        2 => days = [true, true, true, true, true, false, false],
        _ => days = std::array::from_fn(|_| chance.percent(50)),
    }
    days[chance.below(7)] = true;
    let zone = *chance.pick(&[Zone::Utc, Zone::Kolkata, Zone::Berlin]);
    let (from, to) =
        *chance.pick(&[(0, 1440), (480, 1080), (1320, 360), (0, 720), (719, 1440), (870, 869)]);
    Window { days, from, to, zone }
}

/// What a rule of this catalog may say of verbs.
fn rule_verbs(chance: &mut Chance, verbs: &[Verb], items: Whole) -> Verbs {
    let mut names: Vec<&str> = verbs.iter().map(|verb| verb.name.as_str()).collect();
    let matching = |name: &&&str| verbs.iter().any(|verb| meant(name, verb));
    names.extend(STARRED.iter().filter(matching));
    if chance.percent(40) {
        let names = chance.some(&names, 1, 3);
        return Verbs::Listed(names.into_iter().map(str::to_owned).collect());
    }
    let names = chance.some(&names, 1, 3);
    Verbs::Limited(names.into_iter().map(|name| rule_cap(chance, verbs, name, items)).collect())
}

fn meant(name: &str, verb: &Verb) -> bool {
    glob(name.as_bytes(), verb.name.as_bytes())
}

fn rule_cap(chance: &mut Chance, verbs: &[Verb], name: &str, items: Whole) -> Cap {
    let meant: Vec<&Verb> = verbs.iter().filter(|verb| meant(name, verb)).collect();
    let mut limits = Vec::new();
    for param in &meant[0].params {
        let everywhere: Vec<&Param> = meant
            .iter()
            .flat_map(|verb| &verb.params)
            .filter(|one| one.name == param.name && one.kind == param.kind)
            .collect();
        let beside: Vec<&Limit> = everywhere.iter().map(|one| &one.limit).collect();
        let common = |value: &Val| beside.iter().all(|limit| limit.permits(value));
        let listed = param.kind.item().is_none() || meant.len() == 1;
        let possible = listed && pool(param.kind).iter().any(common);
        if everywhere.len() == meant.len() && possible && chance.percent(55) {
            limits.push((param.name.clone(), limit(chance, param.kind, &beside, items)));
        }
    }
    Cap { verb: name.to_owned(), limits }
}

fn terms(chance: &mut Chance, verbs: &[Verb], held: &Verbs, roles: &[&str]) -> Terms {
    let mut terms = Terms::default();
    let owned = |names: Vec<&str>| Some(names.into_iter().map(str::to_owned).collect());
    if chance.percent(85) {
        let names = ["*", "vendor-*", "vendor-b", "own/*", "*d", "v*-*b"];
        terms.to = owned(chance.some(&names, 1, 3));
    }
    if chance.percent(15) {
        terms.keys = owned(chance.some(&KEYS, 1, 2));
    }
    terms.bearer = chance.percent(30) || (terms.to.is_none() && terms.keys.is_none());
    let ttls = [MINUTE, 5 * MINUTE, 30 * MINUTE, 90_500, 45_000];
    terms.max_ttl = chance.percent(50).then(|| *chance.pick(&ttls));
    terms.redelegate = chance.percent(50).then(|| u8::try_from(chance.below(8)).unwrap());
    let mentioned: Vec<&Verb> = verbs.iter().filter(|verb| held.mention(&verb.name)).collect();
    terms.approve = chance.percent(45).then(|| approve(chance, &mentioned));
    let asks = mentioned.iter().any(|verb| terms.mode(held, &verb.name) != Mode::Never);
    let open = chance.percent(15);
    if (asks && chance.percent(60)) || open {
        let roles: Vec<String> = roles.iter().map(|role| format!("@{role}")).collect();
        let mut names: Vec<&str> = USERS.to_vec();
        names.extend(roles.iter().map(String::as_str));
        terms.approvers = owned(chance.some(&names, 1, 4)).unwrap();
        terms.approve_open = open || !asks;
        let users = terms.approvers.iter().filter(|name| !name.starts_with('@')).count();
        if terms.approvers.len() > users || users > 1 {
            terms.needs = chance.percent(50).then(|| u8::try_from(chance.from(1, 2)).unwrap());
        }
    }
    terms.max_calls = chance.percent(15).then(|| u64::try_from(chance.from(1, 4)).unwrap());
    terms.max_bytes = chance.percent(15).then(|| *chance.pick(&[10, 1024, 2048]));
    terms.max_shares = chance.percent(20).then(|| u32::try_from(chance.from(1, 3)).unwrap());
    terms
}

fn approve(chance: &mut Chance, mentioned: &[&Verb]) -> Approve {
    let modes = [Mode::Never, Mode::Once, Mode::Each, Mode::Each];
    if chance.percent(50) {
        return Approve::All(*chance.pick(&modes));
    }
    let mut names: Vec<&str> = mentioned.iter().map(|verb| verb.name.as_str()).collect();
    names.push("*");
    let words = chance.some(&names, 1, 2).into_iter();
    Approve::By(words.map(|name| (name.to_owned(), *chance.pick(&modes))).collect())
}

/// Somebody's groups.
pub(crate) fn groups(chance: &mut Chance) -> Groups {
    let known = chance.percent(85);
    known.then(|| chance.some(&GROUPS, 0, 3).into_iter().map(str::to_owned).collect())
}

/// Somebody to share with.
pub(crate) fn recipient(chance: &mut Chance) -> crate::model::Recipient {
    chance.percent(80).then(|| (chance.name(&ALIASES), chance.name(&KEYS)))
}

/// A user and a name of theirs, mostly.
pub(crate) fn principal(chance: &mut Chance) -> (String, String) {
    let (user, agent) = match chance.below(20) {
        0 => ("carol", "you"),
        1 | 2 => ("bob", "bob"),
        3 | 4 => ("bob", "helper"),
        5 | 6 => ("alice", "alice"),
        7 => ("carol", "carol"),
        8 | 9 => ("alice", "bot"),
        _ => ("alice", "you"),
    };
    (user.to_owned(), agent.to_owned())
}

/// A moment: mostly of these years, sometimes one without a date.
pub(crate) fn moment(chance: &mut Chance) -> u64 {
    const DAY: u64 = 24 * 60 * MINUTE;
    if chance.percent(3) {
        return 300_000_000_000_000;
    }
    // From 1996 to 2050, to the minute, and now and then to the millisecond before one.
    let day = 9_500 + chance.next() % 20_000;
    let minute = chance.next() % (24 * 60);
    day * DAY + minute * MINUTE - u64::from(chance.percent(20))
}
