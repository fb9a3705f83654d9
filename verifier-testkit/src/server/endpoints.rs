//! Requests in, answers out: routing, faults, and every endpoint but introspection.

use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::json;

use super::behaviour;
use super::introspection::introspect;
use super::state::State;
use crate::answer::{Answer, Body, Cut, Delivery, Refusal};
use crate::clients::{Form, IntrospectionAuth, Reader};
use crate::counts::RecordedRequest;
use crate::faults::{Endpoint, Fault};
use crate::issue::TokenRequest;
use crate::keys::base64url;

/// Greatest request body.
const LARGEST_BODY: usize = 1 << 20;

/// One exchange. An error closes the connection without an answer.
pub(super) async fn serve(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    let endpoint = route(&state, request.uri().path());
    let _open = state.book.arrived(endpoint);
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
        return Ok(Answer::new(413, "").into_response());
    };
    let request = RecordedRequest {
        method: head.method,
        target: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: head.headers,
        body: body.to_bytes(),
    };
    state.book.record(endpoint, request.clone());

    let answer = under_faults(&state, endpoint, &request).await?;
    Ok(answer.into_response())
}

async fn under_faults(state: &State, endpoint: Endpoint, request: &RecordedRequest) -> Result<Answer, Cut> {
    let mut decided = None;
    for fault in state.faults.take(endpoint) {
        match fault {
            Fault::Delay(gate) => gate.pass().await,
            Fault::DelayAnswer(gate) => {
                decided.get_or_insert_with(|| decide(state, endpoint, request));
                gate.pass().await;
            }
            #[allow(clippy::disallowed_methods)] // real time is what was asked for
            Fault::DelayFor(delay) => tokio::time::sleep(delay).await,
            Fault::Close => return Err(Cut),
            wrong => {
                let right = decided.take().unwrap_or_else(|| decide(state, endpoint, request));
                decided = Some(spoil(right, wrong));
            }
        }
    }
    Ok(decided.unwrap_or_else(|| decide(state, endpoint, request)))
}

fn spoil(mut answer: Answer, fault: Fault) -> Answer {
    match fault {
        Fault::Status(status, body) => Answer::new(status, body).header("content-type", "text/plain"),
        Fault::RetryAfter(status, seconds) => {
            Answer::new(status, "").header("retry-after", &seconds.to_string())
        }
        Fault::Redirect(to) => Answer::new(307, "").header("location", &to),
        Fault::Html200 => Answer::new(200, "<!doctype html><title>Sign in</title><form></form>")
            .header("content-type", "text/html"),
        Fault::EmptyBody => Answer::new(200, "").header("content-type", "application/json"),
        Fault::ContentType(value) => {
            answer.content_type(&value);
            answer
        }
        Fault::HugeBody(size) => {
            let mut body = answer.body.to_vec();
            body.resize(size.max(body.len()), b' ');
            answer.body = Bytes::from(body);
            answer
        }
        Fault::HalfBody => Answer { delivery: Delivery::Half, ..answer },
        Fault::EndlessBody => Answer { delivery: Delivery::Endless, ..answer },
        // Waits, cuts and combinations are taken apart before.
        Fault::Delay(_)
        | Fault::DelayAnswer(_)
        | Fault::DelayFor(_)
        | Fault::Close
        | Fault::EveryOther(_)
        | Fault::Then(..) => answer,
    }
}

fn route(state: &State, path: &str) -> Endpoint {
    // Appended by OpenID Connect Discovery §4, inserted by RFC 8414 §3.1.
    let inserted = path.strip_prefix("/.well-known/oauth-authorization-server");
    if inserted == Some(state.path.as_str()) {
        return Endpoint::Discovery;
    }
    match path.strip_prefix(state.path.as_str()) {
        Some("/.well-known/openid-configuration") => Endpoint::Discovery,
        Some("/jwks") => Endpoint::Jwks,
        Some("/token") => Endpoint::Token,
        Some("/introspect") => Endpoint::Introspection,
        Some("/revoke") => Endpoint::Revocation,
        _ => Endpoint::Other,
    }
}

fn decide(state: &State, endpoint: Endpoint, request: &RecordedRequest) -> Answer {
    if let Some(answer) = state.overrides().get(&endpoint) {
        return answer.clone();
    }
    let read = matches!(endpoint, Endpoint::Discovery | Endpoint::Jwks);
    let allowed = if read { Method::GET } else { Method::POST };
    if endpoint != Endpoint::Other && request.method != allowed {
        return Answer::new(405, "").header("allow", allowed.as_str());
    }
    match endpoint {
        Endpoint::Discovery => Answer::json(&behaviour::metadata(state, &request.headers)),
        Endpoint::Jwks => jwks(state, &request.headers),
        Endpoint::Other => Answer::new(404, ""),
        Endpoint::Token => with_form(request, |form| token(state, &request.headers, form)),
        Endpoint::Introspection => with_form(request, |form| introspect(state, &request.headers, form)),
        Endpoint::Revocation => with_form(request, |form| revoke(state, &request.headers, form)),
    }
}

fn with_form(request: &RecordedRequest, answer: impl FnOnce(&Form) -> Result<Answer, Refusal>) -> Answer {
    match Form::parse(&request.headers, &request.body) {
        Some(form) => answer(&form).unwrap_or_else(Answer::from),
        None => Refusal::INVALID_REQUEST.into(),
    }
}

/// RFC 7517 §5, with a validator (RFC 9110 §8.8.3).
fn jwks(state: &State, headers: &HeaderMap) -> Answer {
    if let Some(answer) = behaviour::instead_of_keys(state) {
        return answer;
    }
    let document = behaviour::published(state);
    let mut answer = Answer::json(&document);
    let hash = digest::digest(&digest::SHA256, &answer.body);
    let etag = format!("\"{}\"", base64url(hash.as_ref().get(..12).unwrap_or_default()));
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        value.split(',').any(|tag| tag.trim() == "*" || tag.trim().trim_start_matches("W/") == etag)
    });
    if known {
        answer = Answer::new(304, "");
    }
    if let Some(value) = behaviour::cache_control(state).or_else(|| state.jwks_cache_control()) {
        answer = answer.header("cache-control", &value);
    }
    answer.header(ETAG.as_str(), &etag)
}

/// The client-credentials grant (RFC 6749 §4.4).
fn token(state: &State, headers: &HeaderMap, form: &Form) -> Result<Answer, Refusal> {
    let id = {
        let clients = state.clients();
        let client = caller(state, &clients, headers, form, "/token", &state.settings.token_auth)?;
        if form.get("grant_type") != Some("client_credentials") {
            return Err(Refusal::new(400, "unsupported_grant_type"));
        }
        // `audience` is what several servers call the `resource` of RFC 8707.
        if let Some(audience) = audience(form)
            && !client.may_ask_for(audience)
        {
            return Err(Refusal::new(400, "invalid_target"));
        }
        client.id.clone()
    };
    let scope = form.get("scope").unwrap_or_default();
    let mut request = TokenRequest::new().client(id).scope(scope).issuer(behaviour::issuer(state, headers));
    if let Some(audience) = audience(form) {
        request = request.audience(audience);
    }
    if let Some(lifetime) = state.settings.granted_lifetime {
        request = request.lifetime(lifetime);
    }
    let issued = state.issue(&request);
    state.tokens().granted(&issued.token);
    Ok(Answer::json(&json!({
        "access_token": issued.token,
        "token_type": "Bearer",
        "expires_in": issued.expires_at.saturating_sub(issued.issued_at),
        "scope": scope,
    }))
    .no_store())
}

fn audience(form: &Form) -> Option<&str> {
    form.get("resource").or_else(|| form.get("audience"))
}

/// RFC 7009 §2: 200 for unknown tokens too, and nothing happens to another client's.
fn revoke(state: &State, headers: &HeaderMap, form: &Form) -> Result<Answer, Refusal> {
    let accepted = IntrospectionAuth::Registered;
    let id = caller(state, &state.clients(), headers, form, "/revoke", &accepted)?.id.clone();
    let token = form.get("token").ok_or(Refusal::INVALID_REQUEST)?;
    state.tokens().revoke(|found, grant| found == token && grant.client == id);
    Ok(Answer::new(200, "").no_store())
}

fn caller<'c>(
    state: &State,
    clients: &'c crate::clients::Clients,
    headers: &HeaderMap,
    form: &Form,
    endpoint: &str,
    accepted: &IntrospectionAuth,
) -> Result<&'c crate::clients::Client, Refusal> {
    let audience = state.assertion_audience(endpoint);
    let reader = Reader { audience: &audience, now: state.unix_seconds() };
    clients.authenticate(headers, form, state.settings.basic_decoding, accepted, &reader)
}
