//! The key set: which keys are usable, which are not and why, and for how long the server lets it be kept.

use std::sync::Arc;
use std::time::Duration;

use verifier::config::KeysSection;
use verifier::core::algorithm::AlgorithmSet;
use verifier::core::endpoint::Endpoint;
use verifier::core::error::UnavailableReason;
use verifier::core::json::{Json, JsonLimits, Object};
use verifier::core::jwk::{self, SkipReason};
use verifier::core::key::{KeySet, KeySetError};
use verifier::jwks::source::{Fetched, FileSource, KeyFormat, KeySource, StaticSource, UrlSource};

use super::finding::{Finding, Id, Severity, foreign, foreign_list};
use super::issuer::{Learnt, Visit};
use super::metadata::are_discovered;
use crate::clock::spoken;

/// How many skipped keys are told one by one.
const MOST_SKIPPED: usize = 20;

/// Looks at the key set. The usable keys by name; `None` if that can't be said.
pub(super) async fn ask(visit: &mut Visit<'_>, learnt: &Learnt) -> Option<Vec<String>> {
    let needed = visit.needs_keys();
    let (place, source) = source(visit, learnt)?;
    let (bytes, max_age) = match source.fetch(None).await {
        Ok(Fetched::Document { bytes, format: KeyFormat::JwkSet, max_age, .. }) => (bytes, max_age),
        // What is in the configuration was checked when it was read.
        Ok(_) => return Some(vec!["the configuration's own".to_owned()]),
        Err(why) => {
            visit.failed(why.reason(), "the key set", &place, needed);
            return None;
        }
    };
    let usable = judge(visit, &bytes, &place, needed)?;
    if source.is_remote() {
        visit.tell(cache(max_age, visit.reach.refresh.max_age_ceiling, visit.reach.refresh.max_age));
    }
    Some(usable)
}

/// What is looked at, by name, and how it is had.
type Place = (String, Arc<dyn KeySource>);

/// The engine's own source, where there is something to look at.
fn source(visit: &mut Visit<'_>, learnt: &Learnt) -> Option<Place> {
    let keys = visit.section.keys.clone().unwrap_or_default();
    let address = match &keys.url {
        Some(url) => url.clone(),
        None if are_discovered(Some(&keys)) => named(visit, learnt)?,
        None => return held(&keys),
    };
    match Endpoint::parse(&address, visit.reach.schemes) {
        Ok(endpoint) => {
            let place = endpoint.to_string();
            visit.note_address(&place);
            let transport = Arc::clone(&visit.polite) as _;
            let limits = visit.reach.refresh.limits();
            Some((place, Arc::new(UrlSource::new(endpoint, transport, limits))))
        }
        Err(why) => {
            let severity = if visit.needs_keys() { Severity::Problem } else { Severity::Warning };
            let found = format!("the key set's address, {}, may not be asked: {why}", foreign(&address));
            visit.tell(Finding::new(Id::NoUsableKey, severity, found));
            None
        }
    }
}

/// The address that the issuer's metadata name.
fn named(visit: &Visit<'_>, learnt: &Learnt) -> Option<String> {
    let address = learnt.metadata.as_ref().and_then(|metadata| metadata.jwks_uri());
    if address.is_none() && visit.needs_keys() {
        visit.tell(if learnt.metadata.is_some() {
            Finding::problem(Id::NoUsableKey, "the issuer's metadata name no key set (jwks_uri)")
                .means("this server publishes no keys there: its tokens may be opaque")
                .remedy("use strategy = \"introspection\", or name the keys' address in keys.url")
        } else {
            Finding::warning(
                Id::NotAsked,
                "the key set was not asked for: where it is has to come from the issuer's metadata",
            )
        });
    }
    address.map(str::to_owned)
}

/// Keys that are at hand. What is no JWK Set has nothing to be skipped in it.
fn held(keys: &KeysSection) -> Option<Place> {
    if let Some(text) = &keys.inline {
        return Some(("keys.inline".to_owned(), Arc::new(StaticSource::jwk_set(text.clone()))));
    }
    let file = keys.file.as_ref()?;
    let is_pem = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("pem"));
    let source = || Arc::new(FileSource::new(file, KeyFormat::JwkSet));
    (!is_pem).then(|| (file.display().to_string(), source() as _))
}

fn judge(visit: &mut Visit<'_>, bytes: &[u8], place: &str, needed: bool) -> Option<Vec<String>> {
    let severity = if needed { Severity::Problem } else { Severity::Warning };
    let reach = &visit.reach;
    let (rules, backend) = (&reach.key_rules, &*reach.signatures);
    let (usable, skipped) = match KeySet::from_jwks(bytes, rules, reach.refresh.max_keys, backend) {
        Ok(set) => {
            let name = |key: &Arc<verifier::core::key::VerificationKey>| {
                format!("{} {}", key.kid().unwrap_or("(no kid)"), key.algorithm().name())
            };
            let usable: Vec<_> = set.keys().iter().map(name).collect();
            let skipped = set.skipped().iter().map(|key| (key.kid.clone(), key.reason)).collect();
            (usable, skipped)
        }
        // Its reasons went with the set.
        Err(KeySetError::NoUsableKey) => (Vec::new(), reasons(visit, bytes)),
        Err(KeySetError::NotAKeySet) => {
            visit.failed(UnavailableReason::UnreadableAnswer, "a key set", place, needed);
            return None;
        }
        Err(why) => {
            visit.tell(
                Finding::new(Id::NoUsableKey, severity, format!("{place} can't be used: {why}"))
                    .means("no signature can be checked"),
            );
            return Some(Vec::new());
        }
    };
    if usable.is_empty() {
        visit.tell(
            Finding::new(Id::NoUsableKey, severity, format!("none of the keys at {place} can be used"))
                .means("no signature can be checked: every JWT is unavailable (503)")
                .remedy("see the reasons for each key"),
        );
    } else {
        visit.tell(Finding::ok(
            Id::KeysUsable,
            format!("{} usable at {place}: {}", usable.len(), foreign_list(&usable)),
        ));
    }
    let more = skipped.len().saturating_sub(MOST_SKIPPED);
    for (kid, reason) in skipped.into_iter().take(MOST_SKIPPED) {
        visit.tell(skip(kid.as_deref(), reason, rules.algorithms));
    }
    if more > 0 {
        visit.tell(Finding::warning(Id::KeySkipped, format!("and {more} more keys")));
    }
    Some(usable)
}

/// Why each key of a set was skipped that has no usable one.
fn reasons(visit: &Visit<'_>, bytes: &[u8]) -> Vec<(Option<Box<str>>, SkipReason)> {
    let Ok(document) = Object::parse(bytes, JsonLimits::DOCUMENT) else { return Vec::new() };
    let published = document.get("keys").and_then(Json::as_array).unwrap_or_default();
    let reason = |key: &Json| {
        let Some(jwk) = key.as_object() else { return (None, SkipReason::MalformedMember) };
        let kid = jwk.get("kid").and_then(Json::as_str).map(Box::from);
        let imported = jwk::import(jwk, &visit.reach.key_rules, &*visit.reach.signatures);
        // Each for itself is good: together they share a name.
        (kid, imported.err().unwrap_or(SkipReason::DuplicateKid))
    };
    published.iter().map(reason).collect()
}

fn skip(kid: Option<&str>, reason: SkipReason, allowed: AlgorithmSet) -> Finding {
    let name = kid.map_or_else(|| "a key without kid".to_owned(), |kid| format!("the key {}", foreign(kid)));
    let (severity, why, remedy): (_, _, Option<String>) = match reason {
        SkipReason::NotForVerification => (Severity::Ok, "it is for encryption, not for signatures", None),
        SkipReason::AlgorithmNotAllowed => {
            let names: Vec<_> = allowed.iter().map(|algorithm| algorithm.name()).collect();
            (
                Severity::Warning,
                "its algorithm is unknown, or not on the allow-list",
                Some(format!(
                    "if tokens are signed with it, add its algorithm to keys.algorithms (now {})",
                    names.join(" ")
                )),
            )
        }
        SkipReason::AlgorithmAmbiguous => (
            Severity::Warning,
            "it names no algorithm, and several that are allowed would fit",
            Some("set keys.algorithm_when_absent, or allow one of them only in keys.algorithms".to_owned()),
        ),
        SkipReason::AlgorithmMismatch => {
            (Severity::Warning, "its algorithm doesn't go with its type or curve", None)
        }
        SkipReason::UnknownKeyType => {
            (Severity::Warning, "its type or curve is none that is supported", None)
        }
        SkipReason::KeyTooSmall => (
            Severity::Warning,
            "it is too small to be safe (RSA: 2048 bits at least)",
            Some("have the server sign with a greater key".to_owned()),
        ),
        SkipReason::KeyTooLarge => (
            Severity::Warning,
            "it is greater than keys.max_rsa_bits",
            Some("raise keys.max_rsa_bits, up to 8192".to_owned()),
        ),
        SkipReason::DuplicateKid => (
            Severity::Warning,
            "another key has the same kid and algorithm: a token can't say which one it means",
            Some("give each key a kid of its own, at the server".to_owned()),
        ),
        SkipReason::PrivateMembers => (
            Severity::Problem,
            "its private half is published",
            Some("take it out of use at once: whoever reads the key set can sign tokens with it".to_owned()),
        ),
        SkipReason::SymmetricKey => (
            Severity::Problem,
            "it is a shared secret, and published",
            Some("take it out of use at once: whoever reads the key set can sign tokens with it".to_owned()),
        ),
        _ => (Severity::Warning, "it is malformed", None),
    };
    let finding =
        Finding::new(Id::KeySkipped, severity, format!("{name} is not used: {why} ({})", reason.code()));
    let finding = if severity == Severity::Ok {
        finding
    } else {
        finding.means("tokens that are signed with it are rejected as unknown_key or key_mismatch")
    };
    match remedy {
        Some(remedy) => finding.remedy(remedy),
        None => finding,
    }
}

/// What the server says of how long its key set may be kept, against what is kept here.
fn cache(said: Option<Duration>, ceiling: Duration, usual: Duration) -> Finding {
    match said {
        Some(age) if age > ceiling => Finding::warning(
            Id::CacheOutlivesRotation,
            format!("the server lets its key set be kept for {}", spoken(age)),
        )
        .expected(format!("at most {}", spoken(ceiling)))
        .means(format!(
            "whoever obeys goes on trusting a withdrawn key for as long; here it is {} at most, and keys that are new \
             are asked for as soon as a token names one",
            spoken(ceiling)
        ))
        .remedy("at the server: a shorter Cache-Control max-age for the key set, and after each rotation keep the old key published for longer than that"),
        Some(age) if age.is_zero() => Finding::ok(
            Id::CacheSensible,
            "the server lets nobody keep its key set; here it is kept for the least time that spares the server",
        ),
        Some(age) => Finding::ok(
            Id::CacheSensible,
            format!("the server lets its key set be kept for {}", spoken(age)),
        ),
        None => Finding::ok(
            Id::CacheSensible,
            format!("the server doesn't say how long its key set may be kept; here it is {}", spoken(usual)),
        ),
    }
}
