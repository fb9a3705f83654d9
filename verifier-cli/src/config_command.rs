//! `verifier config`: what a configuration means, and examples.

use std::io::Write;
use std::path::Path;

use verifier::config::{
    CheckWhen, ClaimsSide, ClientAuthName, FreshnessSetting, IntrospectionSection, IssuerConfig, KeysSection,
    OneOrMany, OpaqueTokens, RevocationSection, SecretRef, StrategyName, WhenUnknown,
};
use verifier::{VerifierConfig, examples};

use crate::output::{End, Exit, shown};

pub(crate) fn check(file: &Path, out: &mut impl Write) -> Result<Exit, End> {
    let about = |error| End::config(file, &error);
    let config = VerifierConfig::from_file(file).map_err(about)?;
    config.build().map_err(about)?;

    writeln!(out, "{} can be used. Nobody was asked yet.", file.display())?;
    for issuer in &config.issuer {
        writeln!(out, "\n{}", shown(&issuer.issuer))?;
        for (name, meaning) in meaning(issuer) {
            writeln!(out, "  {name:<14} {}", shown(&meaning))?;
        }
    }
    let warnings = config.warnings();
    if !warnings.is_empty() {
        writeln!(out, "\nThis will hurt:")?;
    }
    for warning in warnings {
        writeln!(out, "  warning: {}", shown(&warning.to_string()))?;
    }
    Ok(Exit::Good)
}

pub(crate) fn example(profile: &str, out: &mut impl Write) -> Result<Exit, End> {
    // The command line allows no other names.
    let example = examples::get(profile).ok_or_else(|| End::failed("there is no such example"))?;
    out.write_all(example.toml.as_bytes())?;
    Ok(Exit::Good)
}

/// An issuer's section in words, defaults said where they matter.
fn meaning(issuer: &IssuerConfig) -> Vec<(&'static str, String)> {
    let (asks_keys, asks_status, strategy) = match &issuer.strategy {
        StrategyName::Jwks => (true, false, "jwks: signature and claims, checked here".to_owned()),
        StrategyName::Introspection => {
            (false, true, "introspection: the authorization server is asked about each token".to_owned())
        }
        StrategyName::Hybrid => {
            (true, true, "hybrid: signature and claims checked here, then the revocation status".to_owned())
        }
        StrategyName::Custom(name) => (false, false, format!("custom backend {name}")),
    };
    let mut lines = vec![("strategy", strategy)];
    lines.extend(issuer.profile.clone().map(|profile| ("profile", profile)));
    lines.push(("audience", audience(issuer)));
    if asks_keys {
        lines.push(("keys", keys(issuer.keys.as_ref())));
        lines.push(("algorithms", algorithms(issuer.keys.as_ref())));
    }
    if asks_status {
        lines.push(("introspection", introspection(issuer.introspection.as_ref())));
        lines.extend(revocation(issuer.revocation.as_ref()));
    } else if issuer.strategy == StrategyName::Jwks {
        lines.push(("revocation", "not noticed before the token's exp".to_owned()));
    }
    if asks_status {
        let opaque = match (issuer.opaque, &issuer.strategy) {
            (Some(OpaqueTokens::Refuse), _) => "refused",
            (Some(_), _) => "introspected",
            (None, StrategyName::Introspection) => "introspected, if this is the only issuer",
            (None, _) => "refused",
        };
        lines.push(("opaque tokens", opaque.to_owned()));
    }
    if let Some(span) = issuer.max_lifetime {
        lines.push(("max_lifetime", format!("tokens that live for more than {span} are refused")));
    }
    if !issuer.required_scopes.is_empty() {
        lines.push(("scopes", format!("required: {}", issuer.required_scopes.join(" "))));
    }
    lines.extend(issuer.connect.iter().map(|(from, to)| ("connect", format!("{from} is reached at {to}"))));
    lines
}

fn audience(issuer: &IssuerConfig) -> String {
    if issuer.danger_accept_any_audience {
        return "anybody's (danger_accept_any_audience)".to_owned();
    }
    let claim = issuer.audience_claim.as_deref().unwrap_or("aud");
    let values = issuer.audience.as_ref().map_or(&[][..], OneOrMany::list);
    format!("{claim} must have {}", values.join(" or "))
}

fn keys(section: Option<&KeysSection>) -> String {
    let Some(section) = section else { return "by discovery (OpenID Connect, RFC 8414)".to_owned() };
    if let Some(url) = &section.url {
        format!("from {url}")
    } else if let Some(file) = &section.file {
        format!("from the file {}, read again when it changes", file.display())
    } else if section.inline.is_some() {
        "a JWK Set in the configuration".to_owned()
    } else if section.pem.is_some() {
        "a PEM key in the configuration".to_owned()
    } else if let Some(secret) = &section.secret {
        format!("a shared secret, {}", place(secret))
    } else if !section.secrets.is_empty() {
        format!("{} shared secrets, by kid", section.secrets.len())
    } else if let Some(source) = &section.source {
        format!("from {source}")
    } else {
        "by discovery (OpenID Connect, RFC 8414)".to_owned()
    }
}

fn algorithms(section: Option<&KeysSection>) -> String {
    match section.and_then(|section| section.algorithms.as_ref()) {
        Some(list) => list.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(" "),
        None if section.is_some_and(|section| section.secret.is_some() || !section.secrets.is_empty()) => {
            "those of the secrets".to_owned()
        }
        None => "all asymmetric ones that are supported".to_owned(),
    }
}

fn introspection(section: Option<&IntrospectionSection>) -> String {
    let endpoint = section.and_then(|section| section.endpoint.as_deref());
    let whom = endpoint.map_or_else(|| "endpoint by discovery".to_owned(), |url| format!("asks {url}"));
    let Some(section) = section else { return format!("{whom}, without authentication") };
    let method = match (section.client_auth, &section.client_secret) {
        (Some(ClientAuthName::None), _) | (None, None) => return format!("{whom}, without authentication"),
        (Some(ClientAuthName::ClientSecretPost), _) => "client_secret_post",
        (Some(ClientAuthName::ClientSecretBasicRaw), _) => "client_secret_basic_raw",
        (Some(ClientAuthName::Bearer), _) => "a bearer token",
        (Some(ClientAuthName::ClientCredentials), _) => "a bearer token of the client-credentials grant",
        (Some(method), _) => method.name(),
        (None, Some(_)) => "client_secret_basic",
    };
    let client = section.client_id.as_ref().map(|id| format!(" as {id}")).unwrap_or_default();
    let secret =
        section.client_secret.as_ref().map(|it| format!(", secret {}", place(it))).unwrap_or_default();
    let key = section.client_key.as_ref().map(|it| format!(", key {}", place(it))).unwrap_or_default();
    format!("{whom}{client}, by {method}{secret}{key}")
}

/// Where a secret is; never what it is.
fn place(secret: &SecretRef) -> String {
    match secret {
        SecretRef::Env(name) => format!("from the environment variable {name}"),
        SecretRef::File(path) => format!("from the file {}", path.display()),
        _ => "from elsewhere".to_owned(),
    }
}

fn revocation(section: Option<&RevocationSection>) -> Vec<(&'static str, String)> {
    let default = RevocationSection::default();
    let section = section.unwrap_or(&default);
    let freshness = match section.freshness {
        None => "noticed within 60s (the default)".to_owned(),
        Some(FreshnessSetting::AtMost(span)) if span.get().is_zero() => {
            "asked for at each request".to_owned()
        }
        Some(FreshnessSetting::AtMost(span)) => format!("noticed within {span}"),
        Some(_) => "an answer holds until the token's exp: noticed by events alone".to_owned(),
    };
    let unknown = match section.when_unknown {
        Some(WhenUnknown::AllowStale(span)) => {
            format!("tokens last known active are accepted for {span} more, the others unavailable (503)")
        }
        _ => "unavailable (503), never rejected".to_owned(),
    };
    let mut lines = vec![("revocation", freshness), ("server away", unknown)];
    if let Some(CheckWhen::LifetimeOver(span)) = section.check_when {
        lines.push(("exempt", format!("tokens that live for no more than {span}")));
    }
    if section.claims == Some(ClaimsSide::Introspection) {
        lines.push(("claims", "those of the introspection answer".to_owned()));
    }
    if let Some(checkers) = &section.checkers {
        lines.push(("checkers", checkers.join(", ")));
    }
    lines
}
