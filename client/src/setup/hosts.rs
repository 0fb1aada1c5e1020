//! Hosts that are known, and where each has its file.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

/// A program that an agent runs in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Host {
    /// Claude Code, for all of your projects
    Claude,
    /// Claude's desktop application
    ClaudeDesktop,
    /// Codex
    Codex,
    /// Cursor, for all of your projects
    Cursor,
    /// Visual Studio Code, for you
    Vscode,
}

impl Host {
    /// Where it has what it starts.
    pub(super) fn file(self, home: &Path) -> PathBuf {
        let settings =
            if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" };
        home.join(match self {
            Self::Claude => ".claude.json".to_owned(),
            Self::ClaudeDesktop => format!("{settings}/Claude/claude_desktop_config.json"),
            Self::Codex => ".codex/config.toml".to_owned(),
            Self::Cursor => ".cursor/mcp.json".to_owned(),
            Self::Vscode => format!("{settings}/Code/User/mcp.json"),
        })
    }
}

impl Host {
    /// Where it looks for skills, if it does so on this machine.
    pub(super) fn skill(self, home: &Path) -> Option<PathBuf> {
        let skills = match self {
            Self::Claude => ".claude/skills",
            Self::Codex => ".codex/skills",
            Self::ClaudeDesktop | Self::Cursor | Self::Vscode => return None,
        };
        Some(home.join(skills).join("openscope/SKILL.md"))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Claude => "Claude Code",
            Self::ClaudeDesktop => "Claude Desktop",
            Self::Codex => "Codex",
            Self::Cursor => "Cursor",
            Self::Vscode => "Visual Studio Code",
        })
    }
}
