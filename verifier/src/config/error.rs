//! What is wrong with a configuration: the key, both values of a contradiction, never a secret.

use std::fmt;
use std::path::Path;

/// A configuration that can't be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// `issuer[0].introspection.client_secret`, say; empty for the document as a whole.
    key: Box<str>,
    line: Option<usize>,
    problem: Problem,
}

/// What kind of problem it is.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Problem {
    /// The document can't be read: syntax, an unknown key, a wrong type.
    Unreadable(Box<str>),
    /// The value can't be used, or contradicts another.
    Invalid(Box<str>),
    /// A file can't be read.
    File(Box<str>),
}

impl ConfigError {
    pub(super) fn syntax(line: Option<usize>, message: &str) -> Self {
        Self { key: Box::default(), line, problem: Problem::Unreadable(message.trim().into()) }
    }

    pub(super) fn key(path: &str, line: Option<usize>, message: &str) -> Self {
        let key = if path == "." { "" } else { path };
        Self { key: key.into(), line, problem: Problem::Unreadable(message.trim().into()) }
    }

    pub(super) fn file(path: &Path, error: &std::io::Error) -> Self {
        let message = format!("{}: {}", path.display(), error.kind());
        Self { key: Box::default(), line: None, problem: Problem::File(message.into()) }
    }

    /// A value that can't be used.
    pub fn invalid(key: impl Into<String>, message: impl fmt::Display) -> Self {
        Self {
            key: key.into().into_boxed_str(),
            line: None,
            problem: Problem::Invalid(message.to_string().into_boxed_str()),
        }
    }

    /// The key, from the top of the document; empty for the document as a whole.
    pub fn key_path(&self) -> &str {
        &self.key
    }

    /// The line, where it is known; the first is 1.
    pub const fn line(&self) -> Option<usize> {
        self.line
    }

    /// What is wrong.
    pub const fn problem(&self) -> &Problem {
        &self.problem
    }

    pub(crate) fn below(mut self, prefix: &str) -> Self {
        self.key = match &*self.key {
            "" => prefix.into(),
            key => format!("{prefix}.{key}").into(),
        };
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        let (Problem::Unreadable(message) | Problem::Invalid(message) | Problem::File(message)) =
            &self.problem;
        f.write_str(message)?;
        if let Some(line) = self.line {
            write!(f, " (line {line})")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
