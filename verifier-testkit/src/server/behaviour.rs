//! How the server obeys its behaviours: each place where it may act otherwise asks here.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::HOST;
use serde_json::{Map, Value, json};

use super::state::State;
use super::tokens::{Record, Tokens};
use crate::answer::{Answer, Refusal};
use crate::behaviour::{Behaviour as B, CallerRefusal};
use crate::issue::TokenRequest;
use crate::keys::{SigningKey, jwk_set};
use crate::kind::{Kind, answer_id, answer_refresh};
use crate::profile::Grant;

type Members = Map<String, Value>;

/// The greatest length of a token that [`B::RefusesLongTokens`] lets by, in bytes.
const LONG: usize = 1_024;

/// What is on, and what it needs to remember.
#[derive(Default)]
pub(super) struct Behaviours {
    on: Mutex<BTreeSet<B>>,
    /// How often the key set was read.
    readings: AtomicU64,
    /// Subject, and the role or scope that was taken away.
    taken: Mutex<BTreeSet<(String, String)>>,
}

impl Behaviours {
    pub(super) fn has(&self, behaviour: B) -> bool {
        self.on.lock().unwrap_or_else(PoisonError::into_inner).contains(&behaviour)
    }

    pub(super) fn set(&self, behaviour: B, on: bool) {
        let mut held = self.on.lock().unwrap_or_else(PoisonError::into_inner);
        if on {
            held.insert(behaviour);
        } else {
            held.remove(&behaviour);
        }
    }

    /// Takes one away; whether it was on.
    fn take(&self, behaviour: B) -> bool {
        self.on.lock().unwrap_or_else(PoisonError::into_inner).remove(&behaviour)
    }

    fn find<T>(&self, choose: impl Fn(&B) -> Option<T>) -> Option<T> {
        self.on.lock().unwrap_or_else(PoisonError::into_inner).iter().find_map(choose)
    }

    pub(super) fn take_away(&self, subject: &str, what: &str) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.insert((subject.to_owned(), what.to_owned()));
    }

    fn has_still(&self, subject: &str, what: &str) -> bool {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        !taken.contains(&(subject.to_owned(), what.to_owned()))
    }
}

// Introspection.

/// An answer that is given before anybody looks who asks.
pub(super) fn before_all(state: &State) -> Option<Answer> {
    let to = format!("{}/introspect/", state.path);
    state.behaves(B::RedirectsIntrospection).then(|| Answer::new(307, "").header("location", &to))
}

/// The answer to a caller whose credentials don't hold.
pub(super) fn refused_caller(state: &State, refusal: Refusal) -> Answer {
    let told = state.behaviours.find(|one| match one {
        B::RefusesCallers(how) => Some(*how),
        _ => None,
    });
    match told {
        None => refusal.into(),
        Some(CallerRefusal::UnauthorizedClient400) => Refusal::new(400, "unauthorized_client").into(),
        Some(CallerRefusal::Bare401) => Refusal::new(401, "invalid_client").into(),
        Some(CallerRefusal::Html403) => {
            Answer::new(403, "<!doctype html><title>Forbidden</title>").header("content-type", "text/html")
        }
        Some(CallerRefusal::LoginPage302) => Answer::new(302, "").header("location", "/login"),
    }
}

/// The refusal to say anything of this token.
pub(super) fn refused_token(state: &State, token: &str) -> Option<Answer> {
    if state.behaves(B::RefusesLongTokens) && token.len() > LONG {
        return Some(Answer::new(413, ""));
    }
    let header = header(token)?;
    if state.behaves(B::RefusesJwtIntrospection) {
        return Some(Refusal::new(400, "unsupported_token_type").into());
    }
    (state.behaves(B::RefusesOddTokens) && !header.contains_key("alg"))
        .then(|| Refusal::INVALID_REQUEST.into())
}

/// The record of a token that counts as active, spelled like this and asked about under this host.
pub(super) fn find<'t>(
    state: &State,
    tokens: &'t Tokens,
    token: &str,
    headers: &HeaderMap,
) -> Option<&'t Record> {
    let now = state.unix_seconds();
    let latest = if state.behaves(B::ActiveUntilExpPlusOne) { now.saturating_sub(1) } else { now };
    let alive = |token: &str| tokens.live(token, now).or_else(|| tokens.live(token, latest));
    let record = if state.behaves(B::ReadsTokensLeniently) {
        tokens.spelled().find(|issued| is_spelling(issued, token)).and_then(alive)
    } else {
        alive(token)
    }?;
    let kind_is_active = match record.kind {
        Kind::Access => true,
        Kind::Refresh => state.behaviours.find(refresh_told).is_some(),
        Kind::Id => state.behaviours.find(id_told).is_some(),
    };
    let here = !state.behaves(B::IssuerFollowsHost) || record.grant.issuer == issuer(state, headers);
    (kind_is_active && here).then_some(record)
}

/// The answer about an active token.
pub(super) fn answer(state: &State, record: &Record) -> Members {
    let mut grant = record.grant.clone();
    if state.behaves(B::ComputesClaimsAnew) {
        let subject = grant.subject().to_owned();
        for held in [&mut grant.roles, &mut grant.scopes] {
            held.retain(|one| state.behaviours.has_still(&subject, one));
        }
    }
    let mut answer = record.profile.answer(&grant);
    match record.kind {
        Kind::Access => {}
        Kind::Refresh => {
            if let Some(told) = state.behaviours.find(refresh_told) {
                answer_refresh(told, record.profile, &mut answer);
            }
        }
        Kind::Id => {
            if let Some(text) = state.behaviours.find(id_told) {
                answer_id(text, record.profile, &grant, &mut answer);
            }
        }
    }
    add_oddities(state, &mut answer);
    if state.behaves(B::NullMembers) {
        answer.insert("username".into(), Value::Null);
        answer.insert("sid".into(), Value::Null);
    }
    if state.behaves(B::AnswersWithJwtMember) {
        let mut usable = TokenRequest::new().subject(grant.subject());
        usable.audience = Some(grant.audience.clone());
        usable.scopes = grant.scopes.clone();
        let key = state.keys().signing().clone();
        answer.insert("jwt".into(), json!(state.forge(&usable).sign(&key)));
    }
    record.edit(&mut answer);
    answer
}

const fn refresh_told(one: &B) -> Option<crate::behaviour::RefreshTold> {
    match one {
        B::RefreshTokensActive(told) => Some(*told),
        _ => None,
    }
}

const fn id_told(one: &B) -> Option<&'static str> {
    match one {
        B::IdTokensActive(text) => Some(*text),
        _ => None,
    }
}

// Tokens.

/// Bends header and claims of a JWT that is about to be issued.
pub(super) fn bend(
    state: &State,
    request: &TokenRequest,
    grant: &Grant,
    header: &mut Members,
    claims: &mut Members,
) {
    request.kind.write(request.profile.unwrap_or(state.settings.profile), grant, header, claims);
    if state.behaves(B::OneTypeForAll) {
        header.insert("typ".into(), json!("JWT"));
    }
    if state.behaves(B::EmptyKid) {
        header.insert("kid".into(), json!(""));
    }
    if state.behaves(B::NoKid) {
        header.remove("kid");
    }
    if state.behaves(B::SlimTokens) {
        for name in ["sub", "aud", "roles", "realm_access", "preferred_username"] {
            claims.remove(name);
        }
    }
    add_oddities(state, claims);
}

fn add_oddities(state: &State, members: &mut Members) {
    if state.behaves(B::ExtWithOwnNames) {
        let ext = json!({ "sub": "somebody-else", "iss": "https://else.example", "active": false });
        members.insert("ext".into(), ext);
    }
    if state.behaves(B::NullMembers) {
        members.insert("department".into(), Value::Null);
    }
    if state.behaves(B::HugeIntegers) {
        members.insert("quota".into(), json!(9_007_199_254_740_993_u64));
        members.insert("wrapped".into(), json!(i64::MIN));
    }
}

// Keys.

/// The key set's answer, if it isn't the set.
pub(super) fn instead_of_keys(state: &State) -> Option<Answer> {
    state.behaves(B::JwksFails).then(|| Answer::new(500, ""))
}

/// The key set as it is read now.
pub(super) fn published(state: &State) -> Value {
    if state.behaviours.take(B::FirstReaderSeesAnotherKey) {
        let key = SigningKey::generate(state.keys().signing().algorithm());
        state.keys().add(key.clone());
        return jwk_set([&key]);
    }
    let signing = state.signing_kid();
    let mut document = state.keys().published();
    let Some(keys) = document.get_mut("keys").and_then(Value::as_array_mut) else { return document };
    if state.behaves(B::KeyOrderChanges) {
        let reading = state.behaviours.readings.fetch_add(1, Ordering::Relaxed);
        let by = usize::try_from(reading).unwrap_or_default() % keys.len().max(1);
        keys.rotate_left(by);
    }
    for key in keys.iter_mut().filter_map(Value::as_object_mut) {
        if state.behaves(B::SigningKeyMarkedEnc) && key.get("kid").and_then(Value::as_str) == Some(&signing) {
            key.insert("use".into(), json!("enc"));
        }
        if state.behaves(B::EmptyKid) {
            key.insert("kid".into(), json!(""));
        }
        if state.behaves(B::NoKid) {
            key.remove("kid");
        }
    }
    document
}

/// The key set's `Cache-Control`, if a behaviour names one.
pub(super) fn cache_control(state: &State) -> Option<String> {
    if state.behaves(B::JwksNoStore) {
        return Some("no-store".to_owned());
    }
    state.behaves(B::JwksLongMaxAge).then(|| "max-age=86400".to_owned())
}

// The name.

/// The issuer's name as a request under this host sees it.
pub(super) fn issuer(state: &State, headers: &HeaderMap) -> String {
    renamed(state, headers, &state.issuer)
}

/// The metadata as a request under this host sees it.
pub(super) fn metadata(state: &State, headers: &HeaderMap) -> Value {
    let mut document = state.metadata();
    for member in document.as_object_mut().into_iter().flatten() {
        if let Some(text) = member.1.as_str() {
            *member.1 = json!(renamed(state, headers, text));
        }
    }
    document
}

fn renamed(state: &State, headers: &HeaderMap, text: &str) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let rest = |text: &str| {
        let (scheme, rest) = text.split_once("://")?;
        let (_, path) = rest.split_once('/').unwrap_or((rest, ""));
        Some((scheme.to_owned(), path.to_owned()))
    };
    match (state.behaves(B::IssuerFollowsHost), host, rest(text)) {
        (true, Some(host), Some((scheme, path))) => format!("{scheme}://{host}/{path}"),
        _ => text.to_owned(),
    }
}

// Spelling.

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The header of what looks like a JWT.
fn header(token: &str) -> Option<Members> {
    let (header, rest) = token.split_once('.')?;
    let (_, signature) = rest.split_once('.')?;
    if signature.contains('.') {
        return None;
    }
    serde_json::from_slice(&LENIENT.decode(header).ok()?).ok()
}

/// Whether these are the same token to a lenient reader, however its parts are written.
fn is_spelling(issued: &str, token: &str) -> bool {
    fn parts(text: &str) -> impl Iterator<Item = Option<Vec<u8>>> {
        text.split('.').map(|part| LENIENT.decode(part.replace('+', "-").replace('/', "_")).ok())
    }
    let mut both = parts(issued).zip(parts(token));
    issued.split('.').count() == token.split('.').count()
        && both.all(|(one, other)| one.is_some() && one == other)
}
