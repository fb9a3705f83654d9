//! ID and refresh tokens: what a resource server must not take for an access token.

use serde_json::Value;

use super::AuthorizationServer;
use super::state::State;
use super::tokens::Record;
use crate::forge::TokenForge;
use crate::issue::{Edits, IssuedToken, TokenRequest};
use crate::kind::Kind;
use crate::profile::{Grant, Profile};

/// Tokens of other kinds.
impl AuthorizationServer {
    /// Issues an ID token (OpenID Connect Core §2) in the profile's manner, signed with the key that signs access
    /// tokens: its audience is the client, unless the request sets the claim `aud`. Introspection calls it active, as
    /// some servers do.
    pub fn issue_id_token(&self, request: TokenRequest) -> IssuedToken {
        let state = &*self.state;
        let profile = request.profile.unwrap_or(state.settings.profile);
        let grant = state.grant(&request, profile);
        let mut claims = profile.id_claims(&grant);
        request.claims.apply(&mut claims);
        let answer = edits(profile.id_answer(&grant), request.introspection.clone());
        signed(state, &request, profile, grant, claims, answer)
    }

    /// Issues a refresh token (RFC 6749 §1.5) in the profile's manner. Introspection calls it active, as most do.
    pub fn issue_refresh_token(&self, request: TokenRequest) -> IssuedToken {
        let state = &*self.state;
        let profile = request.profile.unwrap_or(state.settings.profile);
        let grant = state.grant(&request, profile);
        let answer = edits(profile.refresh_answer(), request.introspection.clone());
        match profile.refresh_token() {
            Some(token) => recorded(state, token, None, profile, grant, serde_json::Map::new(), answer),
            None => {
                let mut claims = profile.claims(&grant);
                claims.insert("typ".into(), Value::from("Refresh"));
                request.claims.apply(&mut claims);
                signed(state, &request, profile, grant, claims, answer)
            }
        }
    }
}

/// The profile's edits, then the test's.
fn edits(of_profile: Vec<(&'static str, Option<Value>)>, of_test: Edits) -> Edits {
    let mut edits = Edits::default();
    for (name, value) in of_profile {
        match value {
            Some(value) => edits.set(name, value),
            None => edits.remove(name),
        }
    }
    edits.then(of_test)
}

fn signed(
    state: &State,
    request: &TokenRequest,
    profile: Profile,
    grant: Grant,
    claims: serde_json::Map<String, Value>,
    answer: Edits,
) -> IssuedToken {
    let key = request.key.clone().unwrap_or_else(|| state.keys().signing().clone());
    // Nobody types an ID token `at+jwt`.
    let manner = if profile == Profile::AtJwt { Profile::Generic } else { profile };
    let mut header = manner.header(key.algorithm().name(), key.kid());
    request.header.apply(&mut header);
    let token = TokenForge::of_objects(&header, &claims).sign(&key);
    recorded(state, token, Some(key.kid().to_owned()), profile, grant, claims, answer)
}

fn recorded(
    state: &State,
    token: String,
    kid: Option<String>,
    profile: Profile,
    grant: Grant,
    claims: serde_json::Map<String, Value>,
    answer: Edits,
) -> IssuedToken {
    let issued = IssuedToken {
        token: token.clone(),
        jti: grant.jti.clone(),
        subject: grant.subject().to_owned(),
        client: grant.client.clone(),
        kid: kid.clone(),
        issued_at: grant.issued_at,
        expires_at: grant.expires_at,
        claims,
    };
    // Introspection calls it active whatever the server's behaviours are; the answer's edits say what it is.
    state.tokens().add(token, Record::new(grant, profile, Kind::Access, kid, answer));
    issued
}
