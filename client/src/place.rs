//! Where a call is made: at a terminal, or between programs.

use std::io::{self, IsTerminal as _};

use policy::Input;
use wire::terminal::Terminal;

use crate::console;
use crate::environment::Environment;
use crate::output::Style;

/// What our standard streams are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// A person types and looks.
    Terminal,
    /// A person looks, and something else is read.
    Screen,
    /// Something else takes what comes.
    Pipe,
}

impl Place {
    /// Where this program is. What is asked for as JSON is for another program.
    pub(crate) fn of(style: Style) -> Self {
        match (style, io::stdin().is_terminal(), io::stdout().is_terminal()) {
            (Style::Json, _, _) | (_, _, false) => Self::Pipe,
            (_, true, true) => Self::Terminal,
            (_, false, true) => Self::Screen,
        }
    }

    /// How a verb that takes this is shown here.
    pub(crate) fn style(self, input: Input, style: Style) -> Style {
        match (self, input) {
            (Self::Terminal | Self::Screen, Input::Terminal) => Style::Screen,
            (_, _) => style,
        }
    }

    /// What a verb that takes this is told of the terminal here.
    pub(crate) fn told(self, input: Input, environment: &Environment) -> Option<Terminal> {
        let here = self != Self::Pipe && input == Input::Terminal;
        let name = || environment.terminal.clone()?.try_into().ok();
        here.then(|| Terminal { name: name(), size: console::size() })
    }
}
