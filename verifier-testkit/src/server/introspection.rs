//! The introspection endpoint (RFC 7662 §2).

use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::behaviour;
use super::signed;
use super::state::State;
use super::tokens::Record;
use crate::answer::{Answer, Refusal};
use crate::behaviour::Behaviour;
use crate::clients::{Form, IntrospectionAuth, Reader, bearer};

pub(super) fn introspect(state: &State, headers: &HeaderMap, form: &Form) -> Result<Answer, Refusal> {
    if let Some(answer) = behaviour::before_all(state) {
        return Ok(answer);
    }
    let caller = match authenticate(state, headers, form) {
        Ok(caller) => caller,
        Err(refusal) => return Ok(behaviour::refused_caller(state, refusal)),
    };
    let token = form.get("token").ok_or(Refusal::INVALID_REQUEST)?;
    if let Some(refusal) = behaviour::refused_token(state, token) {
        return Ok(refusal.no_store());
    }
    let tokens = state.tokens();
    if let Some(scripted) = tokens.scripted.get(token) {
        return Ok(scripted.clone().no_store());
    }
    let answer = behaviour::find(state, &tokens, token, headers)
        .filter(|record| state.clients().enabled(&record.grant.client))
        .filter(|record| !state.behaves(Behaviour::CurrentKeyOnly) || current(state, record))
        .filter(|record| {
            !state.behaves(Behaviour::AudienceChecksTheCaller) || names(record, caller.as_deref())
        })
        .filter(|record| holds(&record.grant.scopes, form.get("scope").unwrap_or_default()))
        .map_or_else(
            || Map::from_iter([("active".to_owned(), json!(false))]),
            |record| behaviour::answer(state, record),
        );
    drop(tokens);
    Ok(match state.settings.signs_answers.filter(|_| signed::is_wanted(headers)) {
        Some(algorithm) => signed::sign(state, algorithm, caller.as_deref(), answer),
        None => Answer::json(&Value::Object(answer)),
    }
    .no_store())
}

/// The caller's client id, where it has one.
fn authenticate(state: &State, headers: &HeaderMap, form: &Form) -> Result<Option<String>, Refusal> {
    match &state.settings.introspection_auth {
        IntrospectionAuth::None => Ok(None),
        IntrospectionAuth::Bearer(expected) if bearer(headers) == Some(expected) => Ok(None),
        IntrospectionAuth::Bearer(_) => Err(Refusal::new(401, "invalid_token").challenge("Bearer")),
        IntrospectionAuth::Granted => bearer(headers)
            .and_then(|token| granted(state, token))
            .map(Some)
            .ok_or(Refusal::new(401, "invalid_token").challenge("Bearer")),
        demanded => {
            let audience = state.assertion_audience("/introspect");
            let reader = Reader { audience: &audience, now: state.unix_seconds() };
            state
                .clients()
                .authenticate(headers, form, state.settings.basic_decoding, demanded, &reader)
                .map(|client| Some(client.id.clone()))
        }
    }
}

/// The client that the token endpoint gave this token to.
fn granted(state: &State, token: &str) -> Option<String> {
    let client = {
        let tokens = state.tokens();
        tokens.live(token, state.unix_seconds()).filter(|record| record.granted)?.grant.client.clone()
    };
    state.clients().enabled(&client).then_some(client)
}

fn current(state: &State, record: &Record) -> bool {
    record.signed_by.as_deref().is_none_or(|kid| kid == state.keys().signing().kid())
}

fn names(record: &Record, caller: Option<&str>) -> bool {
    caller.is_some_and(|caller| record.grant.audience.iter().any(|audience| audience == caller))
}

/// Whether every scope asked for is granted; a granted `things.*` covers `things.read`.
fn holds(granted: &[String], asked: &str) -> bool {
    asked.split(' ').filter(|scope| !scope.is_empty()).all(|scope| {
        granted.iter().any(|have| match have.strip_suffix('*') {
            Some(prefix) => scope.starts_with(prefix),
            None => have == scope,
        })
    })
}
