//! `name=value`, as typed, into the arguments of a verb.
//!
//! Only what cannot be asked is refused here: which values are permitted, the daemon decides. A list is typed
//! as `services=web,db`; where an item has a comma, is empty or begins with `[`, as a JSON array,
//! `services=["a,b",""]`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use policy::{Arguments, Kind, MenuEntry, MenuParameter, ParameterName, Value, ValueFault};

use crate::neutral::one_line;

pub(crate) mod json;

/// Why what was typed is no call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArgumentFault {
    /// No `=` in it, or no name before it.
    #[error("`{given}` is not an argument: write `name=value`")]
    NotPair {
        /// The start of it.
        given: String,
    },
    /// Bytes that are no text.
    #[error("the value of `{name}` is not valid UTF-8")]
    NotText {
        /// The parameter, or the start of what was typed.
        name: String,
    },
    /// The verb has no such parameter.
    #[error("{verb} has no parameter `{name}`: {known}")]
    Unknown {
        /// The verb.
        verb: String,
        /// What was typed.
        name: String,
        /// What it has.
        known: String,
    },
    /// Given twice.
    #[error("`{name}` is given twice")]
    Twice {
        /// The parameter.
        name: ParameterName,
    },
    /// The value is of another kind, or none.
    #[error("`{name}`: {accepted}")]
    Value {
        /// The parameter.
        name: ParameterName,
        /// What is accepted.
        accepted: String,
        /// What is wrong.
        #[source]
        fault: ValueFault,
    },
    /// Not given, and there is no default.
    #[error("{verb} needs {}", missing.join(" and "))]
    Missing {
        /// The verb.
        verb: String,
        /// The parameters, each with what is accepted.
        missing: Vec<String>,
    },
}

/// Reads the arguments of a verb that the share lists.
///
/// # Errors
/// The first argument that cannot be asked, by name.
pub(crate) fn read(
    entry: &MenuEntry,
    given: &[impl AsRef<OsStr>],
) -> Result<Arguments, ArgumentFault> {
    let kind_of = |name: &str| {
        let found = name.parse().ok().and_then(|name: ParameterName| {
            let kind = entry.parameters.get(&name)?.kind;
            Some((name, kind))
        });
        found.ok_or_else(|| unknown(entry, name))
    };
    let arguments = collect(given, kind_of, |name| accepted_of(entry, name))?;
    let lacking = |(name, one): &(&ParameterName, &MenuParameter)| {
        one.required && arguments.value(name).is_none()
    };
    let missing: Vec<_> = (entry.parameters.iter().filter(lacking))
        .map(|(name, one)| format!("`{name}` ({})", accepted(one)))
        .collect();
    if missing.is_empty() {
        Ok(arguments)
    } else {
        Err(ArgumentFault::Missing { verb: entry.verb.to_string(), missing })
    }
}

/// Reads the arguments of a verb that the share does not list: each value is a text.
///
/// # Errors
/// The first argument that cannot be asked, by name.
pub(crate) fn read_unlisted(given: &[impl AsRef<OsStr>]) -> Result<Arguments, ArgumentFault> {
    let kind_of = |name: &str| match name.parse() {
        Ok(name) => Ok((name, Kind::Text)),
        Err(_) => Err(ArgumentFault::NotPair { given: one_line(name, 40) }),
    };
    collect(given, kind_of, |_| Kind::Text.to_string())
}

fn collect(
    given: &[impl AsRef<OsStr>],
    kind_of: impl Fn(&str) -> Result<(ParameterName, Kind), ArgumentFault>,
    accepted: impl Fn(&ParameterName) -> String,
) -> Result<Arguments, ArgumentFault> {
    let mut arguments = Arguments::default();
    for pair in given {
        let (name, text) = split(pair.as_ref())?;
        let (name, kind) = kind_of(name)?;
        let value = Value::parse(kind, text).map_err(|fault| ArgumentFault::Value {
            accepted: accepted(&name),
            name: name.clone(),
            fault,
        })?;
        if arguments.0.insert(name.clone(), value).is_some() {
            return Err(ArgumentFault::Twice { name });
        }
    }
    Ok(arguments)
}

fn split(pair: &OsStr) -> Result<(&str, &str), ArgumentFault> {
    let mut halves = pair.as_bytes().splitn(2, |byte| *byte == b'=');
    let name = halves.next().unwrap_or_default();
    let shown = || one_line(&String::from_utf8_lossy(name), 40);
    let value = halves.next().filter(|_| !name.is_empty());
    let value = value.ok_or_else(|| ArgumentFault::NotPair { given: shown() })?;
    match (str::from_utf8(name), str::from_utf8(value)) {
        (Ok(name), Ok(value)) => Ok((name, value)),
        _ => Err(ArgumentFault::NotText { name: shown() }),
    }
}

fn unknown(entry: &MenuEntry, name: &str) -> ArgumentFault {
    let names: Vec<_> = entry.parameters.keys().map(|name| format!("`{name}`")).collect();
    let known =
        match (nearest(name, entry.parameters.keys().map(ParameterName::as_str)), names.is_empty())
        {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, false) => format!("it takes {}", names.join(", ")),
            (None, true) => "it takes none".to_owned(),
        };
    ArgumentFault::Unknown { verb: entry.verb.to_string(), name: one_line(name, 40), known }
}

fn accepted_of(entry: &MenuEntry, name: &ParameterName) -> String {
    entry.parameters.get(name).map(accepted).unwrap_or_default()
}

/// What a parameter takes, for a person.
pub(crate) fn accepted(parameter: &MenuParameter) -> String {
    let limits: Vec<_> = parameter
        .accepts
        .iter()
        .filter(|limit| **limit != policy::Constraint::Any)
        .map(ToString::to_string)
        .collect();
    if limits.len() < parameter.accepts.len() || limits.is_empty() {
        return parameter.kind.to_string();
    }
    one_line(&format!("{}, {}", parameter.kind, limits.join(" or ")), 300)
}

/// The name that was probably meant.
pub(crate) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |name: &str| strsim::damerau_levenshtein(given, name);
    let bound = (given.len() / 3).clamp(1, 4);
    known
        .map(|name| (distance(name), name))
        .filter(|(far, _)| *far <= bound)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use policy::{Constraint, Effect};
    use std::collections::{BTreeMap, BTreeSet};

    fn parameter(kind: Kind, required: bool, accepts: Constraint) -> MenuParameter {
        MenuParameter {
            kind,
            required,
            default: None,
            accepts: vec![accepts],
            summary: String::new(),
        }
    }

    pub(crate) fn entry() -> MenuEntry {
        let text = |text: &str| Value::text(text).unwrap();
        let services = Constraint::OneOf(BTreeSet::from([text("web"), text("db")]));
        MenuEntry {
            approve: policy::Approve::Never,
            verb: "log.tail".parse().unwrap(),
            summary: "Last lines of a log".to_owned(),
            effect: Effect::Read,
            reflects: None,
            transfers: None,
            notes: false,
            input: policy::Input::Nothing,
            parameters: BTreeMap::from([
                ("service".parse().unwrap(), parameter(Kind::Text, true, services)),
                (
                    "lines".parse().unwrap(),
                    parameter(Kind::Int, false, Constraint::Range { min: 1, max: 500 }),
                ),
                ("follow".parse().unwrap(), parameter(Kind::Bool, false, Constraint::Any)),
            ]),
        }
    }

    pub(crate) fn with_list() -> MenuEntry {
        let text = |text: &str| Value::text(text).unwrap();
        let each = Constraint::each(Constraint::OneOf([text("web"), text("db")].into()));
        let filled = Constraint::Length { min: 1, max: u32::MAX };
        let services = each.intersect(&filled).unwrap();
        MenuEntry {
            verb: "log.many".parse().unwrap(),
            parameters: BTreeMap::from([
                ("services".parse().unwrap(), parameter(Kind::Texts, true, services)),
                ("file".parse().unwrap(), parameter(Kind::Path, false, Constraint::Any)),
                ("host".parse().unwrap(), parameter(Kind::Address, false, Constraint::Any)),
                ("page".parse().unwrap(), parameter(Kind::Url, false, Constraint::Any)),
            ]),
            ..entry()
        }
    }

    #[test]
    fn a_list_is_typed_with_commas_or_as_json() {
        let services = |typed: &str| {
            let read = read(&with_list(), &[format!("services={typed}")]);
            read.map(|arguments| arguments.value(&"services".parse().unwrap()).unwrap().clone())
        };
        let list = |items: &[&str]| {
            Value::list(items.iter().map(|item| Value::text(*item).unwrap())).unwrap()
        };
        assert_eq!(services("web,db").unwrap(), list(&["web", "db"]));
        assert_eq!(services("web").unwrap(), list(&["web"]));
        assert_eq!(services(r#"["a,b",""]"#).unwrap(), list(&["a,b", ""]));
        let told = crate::failure::chain(&services("web,,db").unwrap_err());
        assert_eq!(
            told,
            "`services`: string[], each db|web and at least one item: an item of the list is empty: write the list as a JSON array, [\"\"]"
        );
    }

    #[test]
    fn a_path_an_address_and_a_url_are_well_formed_before_they_are_sent() {
        let fault = |given: &str| {
            crate::failure::chain(&read(&with_list(), &["services=web", given]).unwrap_err())
        };
        assert!(read(&with_list(), &["services=web", "file=/var/log/x", "host=::1"]).is_ok());
        assert!(fault("file=/var/../x").contains("`file`: path: `/var/../x` is not a path"));
        assert!(fault("host=::FFFF").ends_with("is not an IP address: write `::ffff`"));
        assert!(fault("page=https://a.com").ends_with("write `https://a.com/`"));
    }

    fn fault(given: &[&str]) -> String {
        crate::failure::chain(&read(&entry(), given).unwrap_err())
    }

    #[test]
    fn arguments_become_values_of_their_parameters_kinds() {
        let arguments = read(&entry(), &["service=web", "lines=50", "follow=true"]).unwrap();
        let value = |name: &str| arguments.value(&name.parse().unwrap()).unwrap().clone();
        assert_eq!(value("lines"), Value::Int(50));
        assert_eq!(value("follow"), Value::Bool(true));
        assert_eq!(value("service"), Value::text("web").unwrap());
    }

    #[test]
    fn a_value_is_what_follows_the_first_equals_sign_whatever_it_is() {
        for value in ["a=b", "", "-oProxyCommand=x", "$(id); rm\n", "../..", "%2f", " "] {
            let arguments = read(&entry(), &[format!("service={value}")]).unwrap();
            assert_eq!(arguments.iter().next().unwrap().1, &Value::text(value).unwrap());
        }
    }

    #[test]
    fn a_value_outside_what_is_accepted_is_the_daemons_to_refuse() {
        assert!(read(&entry(), &["service=vault", "lines=501"]).is_ok());
    }

    #[test]
    fn a_value_of_another_kind_is_refused_with_the_parameter_and_what_is_accepted() {
        let told = fault(&["service=web", "lines=many"]);
        assert_eq!(
            told,
            "`lines`: int, 1..500: `many` is not a whole number between -9223372036854775808 and 9223372036854775807"
        );
        assert!(fault(&["service=web", "follow=yes"]).contains("`follow`: bool"));
    }

    #[test]
    fn ru6_what_no_argument_can_be_is_refused_by_name() {
        assert!(fault(&["service=a\0b"]).contains("NUL"));
        assert!(fault(&[&format!("service={}", "x".repeat(1 << 20))]).contains("1048576 bytes"));
        assert!(read(&entry(), &[format!("service={}", "x".repeat(4096))]).is_ok());
        let not_text = OsStr::from_bytes(b"service=\xff");
        let fault = read(&entry(), &[not_text]).unwrap_err();
        assert_eq!(fault.to_string(), "the value of `service` is not valid UTF-8");
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        assert_eq!(fault(&["web"]), "`web` is not an argument: write `name=value`");
        assert_eq!(fault(&["=web"]), "`` is not an argument: write `name=value`");
        assert_eq!(fault(&["service=web", "service=db"]), "`service` is given twice");
    }

    #[test]
    fn an_unknown_parameter_is_refused_with_the_nearest_or_with_all() {
        assert_eq!(
            fault(&["servce=web"]),
            "log.tail has no parameter `servce`: did you mean `service`?"
        );
        assert_eq!(
            fault(&["target=web"]),
            "log.tail has no parameter `target`: it takes `follow`, `lines`, `service`"
        );
    }

    #[test]
    fn a_required_parameter_that_is_missing_is_named_with_what_is_accepted() {
        assert_eq!(fault(&["lines=5"]), "log.tail needs `service` (string, db|web)");
    }
}
