//! What a token is for. The same keys sign access, refresh and ID tokens, and servers call more than one kind active.

use serde_json::{Map, Value, json};

use crate::behaviour::RefreshTold;
use crate::profile::{Grant, Profile};

/// A kind of token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Kind {
    #[default]
    Access,
    Refresh,
    Id,
}

impl Kind {
    /// Makes the header and the claims of an access token those of this kind, in the manner of the profile.
    pub(crate) fn write(
        self,
        profile: Profile,
        grant: &Grant,
        header: &mut Map<String, Value>,
        claims: &mut Map<String, Value>,
    ) {
        if self == Self::Access {
            return;
        }
        header.insert("typ".into(), json!("JWT"));
        for name in ["realm_access", "roles", "allowed-origins", "ext", "nbf"] {
            claims.remove(name);
        }
        match (self, profile) {
            (Self::Refresh, Profile::Keycloak) => set(claims, "typ", json!("Refresh")),
            (Self::Refresh, _) => set(claims, "token_use", json!("refresh_token")),
            _ => {
                set(claims, "aud", json!(grant.client));
                set(claims, "at_hash", json!("Zm9vYmFyYmF6cXV4Zm9vYg"));
                set(claims, "auth_time", json!(grant.issued_at));
                for name in ["scope", "scp", "client_id"] {
                    claims.remove(name);
                }
                if profile == Profile::Keycloak {
                    set(claims, "typ", json!("ID"));
                }
            }
        }
    }
}

/// Makes the answer about an access token that about a refresh token.
pub(crate) fn answer_refresh(told: RefreshTold, profile: Profile, answer: &mut Map<String, Value>) {
    match told {
        RefreshTold::TokenUse => set(answer, "token_use", json!("refresh_token")),
        RefreshTold::TokenType(text) => {
            answer.remove("token_use");
            set(answer, "token_type", json!(text));
            if profile == Profile::Keycloak {
                set(answer, "typ", json!(text));
            }
        }
        RefreshTold::Nothing => {
            for name in ["token_type", "token_use", "typ", "aud"] {
                answer.remove(name);
            }
        }
    }
}

/// Makes the answer about an access token that about an ID token.
pub(crate) fn answer_id(text: &str, profile: Profile, grant: &Grant, answer: &mut Map<String, Value>) {
    let mut audience = vec![grant.client.clone()];
    audience.extend(grant.audience.iter().cloned());
    set(answer, "aud", json!(audience));
    answer.remove("token_use");
    set(answer, "token_type", json!(text));
    if profile == Profile::Keycloak {
        set(answer, "typ", json!(text));
    }
}

fn set(members: &mut Map<String, Value>, name: &str, value: Value) {
    members.insert(name.to_owned(), value);
}
