//! A host's file with one entry more, and all else as it was: comments, order and indentation too.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstRootNode};
use toml_edit::{Array, DocumentMut, Item, Table, value};

use super::Host;

/// What a host starts, and what it calls it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) command: String,
    pub(super) words: Vec<String>,
}

/// Why a file cannot be added to.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error("is no JSON: {0}")]
    Json(String),
    #[error("is no TOML: {0}")]
    Toml(String),
    #[error("has something else than a table where `{0}` belongs")]
    Other(&'static str),
}

/// The file's text with the entry, in the place of one that has its name.
pub(super) fn added(host: Host, text: &str, entry: &Entry) -> Result<String, Unread> {
    match host {
        Host::Codex => in_toml(text, entry),
        Host::Vscode => in_json(text, "servers", entry),
        Host::Claude | Host::ClaudeDesktop | Host::Cursor => in_json(text, "mcpServers", entry),
    }
}

fn in_json(text: &str, key: &'static str, entry: &Entry) -> Result<String, Unread> {
    let fault = |fault: jsonc_parser::errors::ParseError| Unread::Json(fault.to_string());
    let root = CstRootNode::parse(text, &ParseOptions::default()).map_err(fault)?;
    let all = root.object_value_or_create().ok_or(Unread::Other(key))?;
    let servers = all.object_value_or_create(key).ok_or(Unread::Other(key))?;
    let text = |text: &str| CstInputValue::String(text.to_owned());
    let words = entry.words.iter().map(|word| text(word)).collect();
    let fields = [
        ("type", text("stdio")),
        ("command", text(&entry.command)),
        ("args", CstInputValue::Array(words)),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value));
    let server = CstInputValue::Object(fields.into());
    match servers.get(&entry.name) {
        Some(known) => known.set_value(server),
        None => drop(servers.append(&entry.name, server)),
    }
    let text = root.to_string();
    Ok(if text.ends_with('\n') { text } else { text + "\n" })
}

fn in_toml(text: &str, entry: &Entry) -> Result<String, Unread> {
    const KEY: &str = "mcp_servers";
    let fault = |fault: toml_edit::TomlError| Unread::Toml(fault.message().to_owned());
    let mut document = text.parse::<DocumentMut>().map_err(fault)?;
    let mut empty = Table::new();
    empty.set_implicit(true);
    let servers = document.entry(KEY).or_insert(Item::Table(empty));
    let servers = servers.as_table_like_mut().ok_or(Unread::Other(KEY))?;
    let mut server = Table::new();
    server.insert("command", value(entry.command.as_str()));
    server.insert("args", value(entry.words.iter().collect::<Array>()));
    servers.insert(&entry.name, Item::Table(server));
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(command: &str) -> Entry {
        let words = ["--passport", "@/home/a \"b\"/web.handle", "mcp"].map(str::to_owned);
        Entry { name: "web-1".to_owned(), command: command.to_owned(), words: words.into() }
    }

    const JSON: [Host; 4] = [Host::Claude, Host::ClaudeDesktop, Host::Cursor, Host::Vscode];

    fn read(text: &str) -> serde_json::Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_file_that_is_not_there_becomes_one_with_the_entry() {
        for host in JSON {
            let key = if host == Host::Vscode { "servers" } else { "mcpServers" };
            let told = read(&added(host, "", &entry("/usr/bin/x")).unwrap());
            let server = &told[key]["web-1"];
            assert_eq!(server["command"], "/usr/bin/x");
            assert_eq!(server["args"][1], "@/home/a \"b\"/web.handle");
        }
        let told: toml_edit::DocumentMut =
            added(Host::Codex, "", &entry("/usr/bin/x")).unwrap().parse().unwrap();
        let server = &told["mcp_servers"]["web-1"];
        assert_eq!(server["command"].as_str(), Some("/usr/bin/x"));
        assert_eq!(server["args"][1].as_str(), Some("@/home/a \"b\"/web.handle"));
    }

    #[test]
    fn all_else_stays_as_it_was() {
        let before = "{\n    // mine\n    \"z\": 1,\n    \"mcpServers\": {\n        \"other\": { \"command\": \"o\" }, // kept\n    },\n    \"a\": [1,2]\n}\n";
        for host in [Host::Claude, Host::ClaudeDesktop, Host::Cursor] {
            let after = added(host, before, &entry("/one")).unwrap();
            for line in [
                "    // mine\n    \"z\": 1,",
                "\"other\": { \"command\": \"o\" }",
                "// kept",
                "    \"a\": [1,2]\n}\n",
            ] {
                assert!(after.contains(line), "{line}\n---\n{after}");
            }
            let again = added(host, &after, &entry("/two")).unwrap();
            assert!(again.contains("/two") && !again.contains("/one"), "{again}");
            assert_eq!(again.matches("web-1\"").count(), 1);
        }
        let before = "# mine\nmodel = \"x\"\n\n[mcp_servers.other]\ncommand = \"o\" # kept\n\n[tui]\na = 1\n";
        let after = added(Host::Codex, before, &entry("/one")).unwrap();
        for line in [
            "# mine\nmodel = \"x\"\n",
            "command = \"o\" # kept\n",
            "[mcp_servers.web-1]\n",
            "[tui]\na = 1\n",
        ] {
            assert!(after.contains(line), "{line}\n---\n{after}");
        }
        let again = added(Host::Codex, &after, &entry("/two")).unwrap();
        assert!(again.contains("/two") && !again.contains("/one"), "{again}");
    }

    #[test]
    fn what_is_not_understood_is_not_touched() {
        for (host, text, why) in [
            (Host::Claude, "{", "is no JSON: "),
            (Host::Claude, "[]", "has something else"),
            (Host::Claude, "{\"mcpServers\": []}", "has something else"),
            (Host::Vscode, "{\"servers\": 1}", "`servers` belongs"),
            (Host::Codex, "a = ", "is no TOML: "),
            (Host::Codex, "mcp_servers = 1", "has something else"),
        ] {
            let fault = added(host, text, &entry("/x")).unwrap_err().to_string();
            assert!(fault.contains(why), "{text}: {fault}");
        }
    }
}
