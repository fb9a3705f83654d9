//! The key set: which keys are usable, which are not and why, and for how long the server lets it be kept.

use std::sync::Arc;
use std::time::Duration;

use verifier::config::KeysSection;
use verifier::core::algorithm::AlgorithmSet;
use verifier::core::endpoint::Endpoint;
use verifier::core::error::UnavailableReason;
use verifier::core::json::{Json, JsonLimits, Object};
use verifier::core::jwk::{self, SkipReason};
use verifier::core::key::{KeySet, KeySetError, VerificationKey};
use verifier::jwks::RefreshConfig;
use verifier::jwks::source::{Fetched, FileSource, KeyFormat, KeySource, StaticSource, UrlSource};

use super::finding::{Finding, Id, Severity, foreign, foreign_list};
use super::issuer::{Learnt, Visit};
use super::metadata::are_discovered;
use crate::clock::spoken;

/// How many skipped keys are told one by one.
const MOST_SKIPPED: usize = 20;

/// The key set as it is published.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// The usable keys, by `kid` and algorithm.
    pub(super) usable: Vec<String>,
    /// The others.
    pub(super) skipped: Vec<(Option<Box<str>>, SkipReason)>,
}

/// Looks at the key set; `None` if it can't be had.
pub(super) async fn ask(visit: &mut Visit<'_>, learnt: &Learnt) -> Option<Published> {
    let needed = visit.needs_keys();
    let (place, source) = source(visit, learnt)?;
    let (bytes, max_age) = match source.fetch(None).await {
        Ok(Fetched::Document { bytes, format: KeyFormat::JwkSet, max_age, .. }) => (bytes, max_age),
        // What is in the configuration was checked when it was read.
        Ok(_) => return Some(configured()),
        Err(why) => {
            visit.failed(why.reason(), "the key set", &place, needed);
            return None;
        }
    };
    let published = judge(visit, &bytes, &place, needed)?;
    if source.is_remote() {
        visit.tell(cache(max_age, &visit.reach.refresh));
    }
    Some(published)
}

/// Keys that are no JWK Set: nothing can be skipped in them.
fn configured() -> Published {
    Published { usable: vec!["the configuration's own".to_owned()], skipped: Vec::new() }
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

fn judge(visit: &mut Visit<'_>, bytes: &[u8], place: &str, needed: bool) -> Option<Published> {
    let severity = if needed { Severity::Problem } else { Severity::Warning };
    let reach = &visit.reach;
    let (rules, backend) = (&reach.key_rules, &*reach.signatures);
    let mut published = Published::default();
    match KeySet::from_jwks(bytes, rules, reach.refresh.max_keys, backend) {
        Ok(set) => {
            let name = |key: &Arc<VerificationKey>| {
                format!("{} {}", key.kid().unwrap_or("(no kid)"), key.algorithm().name())
            };
            published.usable = set.keys().iter().map(name).collect();
            let skipped = set.skipped().iter();
            published.skipped = skipped
                .map(|key| (key.kid.clone(), kinder(key.reason, encrypts(bytes, key.index))))
                .collect();
        }
        // Its reasons went with the set.
        Err(KeySetError::NoUsableKey) => published.skipped = reasons(visit, bytes),
        Err(KeySetError::NotAKeySet) => {
            visit.failed(UnavailableReason::UnreadableAnswer, "a key set", place, needed);
            return None;
        }
        Err(why) => {
            visit.tell(
                Finding::new(Id::NoUsableKey, severity, format!("{place} can't be used: {why}"))
                    .means("no signature can be checked"),
            );
            return Some(published);
        }
    }
    if published.usable.is_empty() {
        visit.tell(
            Finding::new(Id::NoUsableKey, severity, format!("none of the keys at {place} can be used"))
                .means("no signature can be checked: every JWT is unavailable (503)")
                .remedy("see the reasons for each key"),
        );
    } else {
        let (count, names) = (published.usable.len(), foreign_list(&published.usable));
        visit.tell(Finding::ok(Id::KeysUsable, format!("{count} usable at {place}: {names}")));
    }
    for (kid, reason) in published.skipped.iter().take(MOST_SKIPPED) {
        visit.tell(skip(kid.as_deref(), *reason, rules.algorithms));
    }
    let more = published.skipped.len().saturating_sub(MOST_SKIPPED);
    if more > 0 {
        visit.tell(Finding::warning(Id::KeySkipped, format!("and {more} more keys")));
    }
    Some(published)
}

/// Why each key of a set was skipped that has no usable one.
fn reasons(visit: &Visit<'_>, bytes: &[u8]) -> Vec<(Option<Box<str>>, SkipReason)> {
    let Ok(document) = Object::parse(bytes, JsonLimits::DOCUMENT) else { return Vec::new() };
    let keys = document.get("keys").and_then(Json::as_array).unwrap_or_default();
    let reason = |key: &Json| {
        let Some(jwk) = key.as_object() else { return (None, SkipReason::MalformedMember) };
        let kid = jwk.get("kid").and_then(Json::as_str).map(Box::from);
        let imported = jwk::import(jwk, &visit.reach.key_rules, &*visit.reach.signatures);
        // Each for itself is good: together they share a name.
        (kid, imported.err().unwrap_or(SkipReason::DuplicateKid))
    };
    keys.iter().map(reason).collect()
}

/// Whether a key says of itself that it is for encryption.
fn encrypts(bytes: &[u8], index: usize) -> bool {
    Object::parse(bytes, JsonLimits::DOCUMENT).is_ok_and(|document| {
        let key = document.get("keys").and_then(Json::as_array).and_then(|keys| keys.get(index));
        key.and_then(Json::as_object).and_then(|jwk| jwk.get("use")).and_then(Json::as_str) == Some("enc")
    })
}

/// A key for encryption of a type that is not supported is none to worry about.
const fn kinder(reason: SkipReason, encrypts: bool) -> SkipReason {
    match reason {
        SkipReason::UnknownKeyType if encrypts => SkipReason::NotForVerification,
        reason => reason,
    }
}

/// Why a key is not used, in words.
pub(super) const fn in_words(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::NotForVerification => "it is for encryption, not for signatures",
        SkipReason::AlgorithmNotAllowed => "its algorithm is unknown, or not on the allow-list",
        SkipReason::AlgorithmAmbiguous => "it names no algorithm, and several that are allowed would fit",
        SkipReason::AlgorithmMismatch => "its algorithm doesn't go with its type or curve",
        SkipReason::UnknownKeyType => "its type or curve is none that is supported",
        SkipReason::KeyTooSmall => "it is too small to be safe (RSA: 2048 bits at least)",
        SkipReason::KeyTooLarge => "it is greater than keys.max_rsa_bits",
        SkipReason::DuplicateKid => {
            "another key has the same kid and algorithm: a token can't say which one it means"
        }
        SkipReason::PrivateMembers => "its private half is published",
        SkipReason::SymmetricKey => "it is a shared secret, and published",
        _ => "it is malformed",
    }
}

/// What can be done about it.
pub(super) fn remedy(reason: SkipReason, allowed: AlgorithmSet) -> Option<String> {
    Some(match reason {
        SkipReason::AlgorithmNotAllowed => {
            let names: Vec<_> = allowed.iter().map(|algorithm| algorithm.name()).collect();
            let names = names.join(" ");
            format!("if tokens are signed with it, add its algorithm to keys.algorithms (now {names})")
        }
        SkipReason::AlgorithmAmbiguous => {
            "set keys.algorithm_when_absent to the algorithm that the server signs with (\"RS256\", most often), or allow \
             no other of its kind in keys.algorithms"
                .to_owned()
        }
        SkipReason::KeyTooSmall => "have the server sign with a greater key".to_owned(),
        SkipReason::KeyTooLarge => "raise keys.max_rsa_bits, up to 8192".to_owned(),
        SkipReason::DuplicateKid => "give each key a kid of its own, at the server".to_owned(),
        SkipReason::PrivateMembers | SkipReason::SymmetricKey => {
            "take it out of use at once: whoever reads the key set can sign tokens with it".to_owned()
        }
        _ => return None,
    })
}

fn skip(kid: Option<&str>, reason: SkipReason, allowed: AlgorithmSet) -> Finding {
    let name = kid.map_or_else(|| "a key without kid".to_owned(), |kid| format!("the key {}", foreign(kid)));
    let severity = match reason {
        SkipReason::NotForVerification => Severity::Ok,
        reason if reason.is_alarming() => Severity::Problem,
        _ => Severity::Warning,
    };
    let found = format!("{name} is not used: {} ({})", in_words(reason), reason.code());
    let mut finding = Finding::new(Id::KeySkipped, severity, found);
    if severity != Severity::Ok {
        finding = finding.means("tokens that are signed with it are rejected as unknown_key or key_mismatch");
    }
    match remedy(reason, allowed) {
        Some(remedy) => finding.remedy(remedy),
        None => finding,
    }
}

/// What the server says of how long its key set may be kept, against what is kept here.
fn cache(said: Option<Duration>, refresh: &RefreshConfig) -> Finding {
    let ceiling = refresh.max_age_ceiling;
    let lets = |age: Duration| format!("the server lets its key set be kept for {}", spoken(age));
    let found = match said {
        Some(age) if age > ceiling => {
            return Finding::warning(Id::CacheOutlivesRotation, lets(age))
                .expected(format!("at most {}", spoken(ceiling)))
                .means(format!(
                    "whoever obeys goes on trusting a withdrawn key for as long; here it is {} at most, and a new key is \
                     asked for as soon as a token names it",
                    spoken(ceiling)
                ))
                .remedy(
                    "at the server: a shorter Cache-Control max-age for the key set; and after each rotation the old \
                     key published for longer than that",
                );
        }
        Some(age) if age < refresh.max_age_floor => {
            let floor = spoken(refresh.max_age_floor);
            format!(
                "the server lets nobody keep its key set for long; here it is kept for {floor}, to spare the server"
            )
        }
        Some(age) => lets(age),
        None => {
            let usual = spoken(refresh.max_age);
            format!("the server doesn't say how long its key set may be kept; here it is {usual}")
        }
    };
    Finding::ok(Id::CacheSensible, found)
}
