//! What the parts below call their settings, in the words of the configuration.

use std::fmt;

use verifier_hybrid::ConfigError as HybridError;
use verifier_introspect::BuildError as IntrospectionError;
use verifier_jwks::{ConfigError as JwksError, RefreshConfigError};

use crate::config::ConfigError;

/// Of the local verifier.
pub(super) fn jwks(error: &JwksError) -> ConfigError {
    match error {
        JwksError::Refresh(RefreshConfigError::Zero { name }) => {
            ConfigError::invalid(format!("keys.{}", refresh_key(name)), "must not be zero")
        }
        JwksError::Refresh(RefreshConfigError::Order { less_name, less, more_name, more }) => {
            let (key, other) = (refresh_key(less_name), refresh_key(more_name));
            ConfigError::invalid(
                format!("keys.{key}"),
                format_args!("{less:?} is greater than {other}, {more:?}"),
            )
        }
        JwksError::WhenAbsentNotAllowed { .. } => below("keys.algorithm_when_absent", error),
        JwksError::NoAlgorithms | JwksError::MixedAlgorithms { .. } | JwksError::PublishedSecret { .. } => {
            below("keys.algorithms", error)
        }
        _ => below("keys", error),
    }
}

/// Of the introspector. What concerns the age of answers is written in the section `revocation`.
pub(super) fn introspection(error: &IntrospectionError) -> ConfigError {
    match error {
        IntrospectionError::StaleNotOverFreshness { .. } => below("revocation.when_unknown", error),
        IntrospectionError::ConnectOverTotal { connect, total } => ConfigError::invalid(
            "introspection.connect_timeout",
            format_args!("{connect:?} is greater than timeout, {total:?}"),
        ),
        IntrospectionError::Zero { field } => {
            let key = match *field {
                "cache.active" => "max_entries",
                "body_limit" => "max_size",
                field => field,
            };
            ConfigError::invalid(format!("introspection.{key}"), "must not be zero")
        }
        IntrospectionError::Upstream(error) => {
            ConfigError::invalid(format!("introspection.{}", error.field()), error.rule())
        }
        // Their texts begin with the key.
        _ => {
            let text = error.to_string();
            match text.split_once(": ") {
                Some((key, message)) if !key.contains(' ') => {
                    ConfigError::invalid(format!("introspection.{key}"), message)
                }
                Some((_, message)) => ConfigError::invalid("introspection.client_secret", message),
                None => ConfigError::invalid("introspection", text),
            }
        }
    }
}

/// Of the hybrid verifier.
pub(super) fn hybrid(error: &HybridError) -> ConfigError {
    let key = match error {
        HybridError::StaleWithinFreshness { .. } | HybridError::NeverStale { .. } => {
            "revocation.when_unknown"
        }
        HybridError::ThresholdOutOfRange { .. } => "revocation.check_when",
        HybridError::ClaimsOfNobody { .. } => "revocation.claims",
        _ => "revocation",
    };
    below(key, error)
}

/// The message, without the key that it begins with if that is the last part of `key`.
fn below(key: &str, error: impl fmt::Display) -> ConfigError {
    let text = error.to_string();
    let last = key.rsplit('.').next().unwrap_or(key);
    let message = text.strip_prefix(last).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&text);
    ConfigError::invalid(key, message)
}

/// What the refresh settings are called in `[issuer.keys]`.
fn refresh_key(name: &str) -> &str {
    match name {
        "connect" => "connect_timeout",
        "total" => "timeout",
        "max_bytes" => "max_size",
        "max_age_floor" | "max_age_ceiling" => "max_age",
        name => name,
    }
}
