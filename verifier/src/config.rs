//! The configuration, as it is written: TOML or JSON. What is unknown is refused; what contradicts itself is refused
//! by [`build`](VerifierConfig::build), with both values.

mod error;
mod issuer;
mod message;
mod one_of;
mod secret;
mod shown;
mod signed_answers;
mod span;
mod warning;

pub use self::error::{ConfigError, Problem};
pub use self::issuer::{
    CheckWhen, ClaimsSide, ClientAuthName, ClientCredentialsSection, FreshnessSetting, IntrospectionSection,
    IssuerConfig, KeysSection, OneOrMany, OpaqueTokens, RevocationSection, StaticSecret, StrategyName,
    VerifiedTokensSection, WhenUnknown,
};
pub use self::secret::{Encoding, SecretRef};
pub use self::signed_answers::SignedAnswersSection;
pub use self::span::Span;
pub use self::warning::ConfigWarning;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The whole configuration: settings of the handle, and one section an issuer.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct VerifierConfig {
    /// The issuers whose tokens are accepted.
    #[serde(default)]
    pub issuer: Vec<IssuerConfig>,
    /// Greatest size of a token in bytes; default 16 KiB, at most 64 KiB.
    pub max_token_size: Option<usize>,
    /// Greatest time for a whole verification; default 5 s.
    pub deadline: Option<Span>,
    /// Whether a challenge may say that a token's only fault is its age; default false.
    #[serde(default)]
    pub reveal_expiry: bool,
    /// The realm of challenges.
    pub realm: Option<String>,
    /// The revocations that this process is told of.
    pub revocations: Option<RevocationsSection>,
}

/// The in-memory list of revocations.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RevocationsSection {
    /// Greatest number of entries; default 100,000.
    pub max_entries: Option<usize>,
    /// How long an entry lives whose tokens' `exp` isn't known: the longest lifetime of a token; default 24 h.
    pub retention: Option<Span>,
}

impl VerifierConfig {
    /// Reads TOML.
    ///
    /// # Errors
    /// [`ConfigError`], naming the key and the line. It quotes no value: one might be a secret.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let document = toml::de::Deserializer::parse(text).map_err(|error| {
            ConfigError::syntax(line_of(text, error.span()), &message::without_values(error.message()))
        })?;
        serde_path_to_error::deserialize(document).map_err(|error| {
            let line = line_of(text, error.inner().span());
            ConfigError::key(
                &error.path().to_string(),
                line,
                &message::without_values(error.inner().message()),
            )
        })
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// [`ConfigError`], naming the key and the line. It quotes no value: one might be a secret.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        read_json(text)
    }

    /// Reads a file: JSON if its name ends in `.json`, else TOML.
    ///
    /// # Errors
    /// [`ConfigError`], naming the file where it can't be read.
    pub fn from_file(path: impl AsRef<std::path::Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::file(path, &error))?;
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
            Self::from_json(&text)
        } else {
            Self::from_toml(&text)
        }
    }
}

fn read_json<T: DeserializeOwned>(text: &str) -> Result<T, ConfigError> {
    let mut document = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut document).map_err(|error| {
        let (path, inner) = (error.path().to_string(), error.into_inner());
        ConfigError::key(
            &path,
            Some(inner.line()),
            &message::without_values(message::without_place(&inner.to_string())),
        )
    })?;
    document.end().map_err(|error| ConfigError::syntax(Some(error.line()), "text follows the document"))?;
    Ok(value)
}

fn line_of(text: &str, span: Option<std::ops::Range<usize>>) -> Option<usize> {
    let before = text.get(..span?.start)?;
    Some(before.bytes().filter(|byte| *byte == b'\n').count().saturating_add(1))
}
