//! How a command ends, and what may reach a terminal.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use verifier::config::{ConfigError, Problem};

/// The exit status of a command that came to its end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Exit {
    /// All is well.
    Good,
    /// Something was judged and found wanting.
    Bad,
    /// Something could not be judged.
    Unavailable,
    /// The command line or the configuration is wrong.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Good => 0_u8,
            Exit::Bad => 1,
            Exit::Unavailable => 2,
            Exit::Usage => 3,
        })
    }
}

/// Why a command did not come to its end.
#[derive(Debug)]
pub(crate) enum End {
    /// For the person at the terminal. Quotes no token and no secret.
    Failed(String),
    /// Nobody reads the output any more: no error, but no success to report either.
    PipeClosed,
}

impl End {
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// About a configuration, by the name of its file.
    pub(crate) fn config(file: &Path, error: &ConfigError) -> Self {
        match error.problem() {
            // Says the name itself.
            Problem::File(_) => Self::failed(error.to_string()),
            _ => Self::failed(format!("{}: {error}", file.display())),
        }
    }

    /// A closed pipe ends as other programs end by SIGPIPE, so that nobody takes it for "all verified".
    pub(crate) fn exit(&self) -> u8 {
        match self {
            Self::Failed(_) => 3,
            Self::PipeClosed => 141,
        }
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::PipeClosed
        } else {
            Self::Failed(error.to_string())
        }
    }
}

/// A text from outside as it may be shown: what would move the cursor, clear the screen or turn the direction of
/// writing is written as `\u{..}`.
pub(crate) fn shown(text: &str) -> String {
    escaped(text, |c, out| {
        let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
    })
}

/// JSON with the same characters written as `\uXXXX`, which changes nothing of what it means. (Line breaks outside of
/// strings are the writer's own and stay; inside of strings JSON has none.)
pub(crate) fn shown_json(json: &str) -> String {
    escaped(json, |c, out| {
        if c == '\n' {
            out.push(c);
            return;
        }
        let mut units = [0_u16; 2];
        for unit in c.encode_utf16(&mut units) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    })
}

fn escaped(text: &str, escape: impl Fn(char, &mut String)) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) { escape(c, &mut out) } else { out.push(c) }
    }
    out
}

/// Controls (C0, DEL, C1), and what is invisible or rearranges its neighbours: separators, zero-width characters,
/// bidirectional controls, tags.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_the_cursor_is_escaped() {
        assert_eq!(shown("a\u{1b}[2Jb\r\u{9b}\u{202e}\u{7f}"), "a\\u{1b}[2Jb\\u{d}\\u{9b}\\u{202e}\\u{7f}");
        assert_eq!(shown("größer, 日本"), "größer, 日本");
    }

    #[test]
    fn escaped_json_means_the_same() {
        let value = serde_json::json!({ "a\u{9b}": "\u{1b}\u{202e}\u{e0041}ü\n", "b": [1, "\u{7f}"] });
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let shown = shown_json(&text);
            assert!(shown.chars().all(|c| c == '\n' || !is_hidden(c)), "{shown:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }
}
