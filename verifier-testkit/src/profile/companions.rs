//! What a server issues beside an access token: ID tokens that the same keys sign, and refresh tokens.

use serde_json::{Map, Value, json};

use super::{Grant, Profile, set};
use crate::keys::{base64url, random_text};

impl Profile {
    /// The claims of an ID token (OpenID Connect Core §2) in the profile's manner, with nothing that the client has to
    /// ask for: no `nonce`, no hash. Its audience is the client.
    pub(crate) fn id_claims(self, grant: &Grant) -> Map<String, Value> {
        let mut claims = grant.core();
        claims.insert("aud".into(), json!(grant.client));
        claims.insert("auth_time".into(), json!(grant.issued_at));
        let roles = (!grant.roles.is_empty()).then(|| json!(grant.roles));
        match self {
            Self::Keycloak => {
                claims.insert("typ".into(), json!("ID"));
                claims.insert("azp".into(), json!(grant.client));
            }
            Self::Auth0 => drop(claims.remove("jti")),
            Self::Okta => {
                claims.insert("ver".into(), json!(1));
                claims.insert("jti".into(), json!(format!("ID.{}", grant.jti)));
                claims.insert("amr".into(), json!(["pwd"]));
            }
            Self::Entra | Self::EntraV1 => {
                claims.remove("jti");
                claims.remove("auth_time");
                claims.insert("uti".into(), json!(grant.jti));
                claims.insert("ver".into(), json!(if self == Self::Entra { "2.0" } else { "1.0" }));
                set(&mut claims, "roles", roles);
            }
            Self::Cognito => {
                claims.insert("token_use".into(), json!("id"));
                claims.insert("cognito:username".into(), json!(grant.subject()));
                set(&mut claims, "cognito:groups", roles);
            }
            Self::GoogleIdToken => {
                claims.remove("jti");
                claims.remove("auth_time");
                claims.insert("azp".into(), json!(grant.client));
            }
            Self::AtJwt | Self::Generic | Self::Hydra => {}
        }
        claims
    }

    /// A refresh token in the profile's manner; `None` where it is a JWT, which has to be signed.
    pub(crate) fn refresh_token(self) -> Option<String> {
        Some(match self {
            Self::Keycloak => return None,
            Self::Hydra => format!("ory_rt_{}.{}", random_text(32), random_text(32)),
            // An encrypted JWT: five segments, the second one an encrypted key.
            Self::Cognito => {
                let header = base64url(br#"{"cty":"JWT","enc":"A256GCM","alg":"RSA-OAEP"}"#);
                [header, random_text(48), random_text(12), random_text(64), random_text(16)].join(".")
            }
            Self::EntraV1 | Self::Entra => format!("1.{}.{}", random_text(24), random_text(48)),
            Self::GoogleIdToken => format!("1//{}", random_text(48)),
            Self::AtJwt | Self::Generic | Self::Auth0 | Self::Okta => random_text(43),
        })
    }

    /// What an active answer about a refresh token lacks, or says otherwise (`Some`), than one about an access token.
    pub(crate) fn refresh_answer(self) -> Vec<(&'static str, Option<Value>)> {
        match self {
            Self::Okta => vec![("aud", None), ("iss", None), ("jti", None), ("iat", None), ("uid", None)],
            Self::Hydra => vec![("token_use", Some(json!("refresh_token")))],
            Self::Keycloak => vec![("typ", Some(json!("Refresh"))), ("token_type", Some(json!("Refresh")))],
            // As node-oidc-provider answers.
            _ => vec![("aud", None), ("token_type", None)],
        }
    }

    /// The same about an ID token.
    pub(crate) fn id_answer(self, grant: &Grant) -> Vec<(&'static str, Option<Value>)> {
        let jti = (self == Self::Okta).then(|| ("jti", Some(json!(format!("ID.{}", grant.jti)))));
        let typ = (self == Self::Keycloak).then(|| ("typ", Some(json!("ID"))));
        [("aud", Some(json!(grant.client))), ("scope", None)].into_iter().chain(jti).chain(typ).collect()
    }
}
