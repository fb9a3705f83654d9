//! Access tokens in the manner of hosted providers.

use serde_json::{Map, Value, json};

use super::{Grant, Profile, non_empty, set, username};

impl Profile {
    /// Makes of what every profile has what these providers write.
    pub(super) fn provider_claims(self, grant: &Grant, claims: &mut Map<String, Value>) {
        let scope = non_empty(&grant.scope());
        let roles = (!grant.roles.is_empty()).then(|| json!(grant.roles));
        match self {
            Self::Auth0 => {
                claims.remove("jti");
                claims.insert("azp".into(), json!(grant.client));
                if grant.subject.is_some() && !grant.audience.is_empty() {
                    let mut audience = grant.audience.clone();
                    audience.push(format!("{}userinfo", grant.issuer));
                    claims.insert("aud".into(), json!(audience));
                } else {
                    claims.insert("sub".into(), json!(format!("{}@clients", grant.client)));
                    claims.insert("gty".into(), json!("client-credentials"));
                }
                set(claims, "scope", scope);
                set(claims, "permissions", roles);
            }
            Self::Okta => {
                claims.insert("ver".into(), json!(1));
                claims.insert("jti".into(), json!(format!("AT.{}", grant.jti)));
                claims.insert("cid".into(), json!(grant.client));
                set(claims, "uid", grant.subject.as_deref().map(Value::from));
                claims.insert("scp".into(), json!(grant.scopes));
            }
            Self::Entra | Self::EntraV1 => {
                let (client, proof, version) =
                    if self == Self::Entra { ("azp", "azpacr", "2.0") } else { ("appid", "appidacr", "1.0") };
                // The id is called `uti` there.
                claims.remove("jti");
                claims.insert("uti".into(), json!(grant.jti));
                claims.insert("nbf".into(), json!(grant.not_before.unwrap_or(grant.issued_at)));
                claims.insert(client.into(), json!(grant.client));
                claims.insert(proof.into(), json!("1"));
                claims.insert("ver".into(), json!(version));
                claims.insert("tid".into(), json!(tenant(&grant.issuer)));
                claims.insert("oid".into(), json!(grant.subject()));
                set(claims, "scp", scope.filter(|_| grant.subject.is_some()));
                set(claims, "roles", roles);
            }
            Self::Cognito => {
                // There without resource binding.
                claims.remove("aud");
                claims.insert("token_use".into(), json!("access"));
                claims.insert("client_id".into(), json!(grant.client));
                claims.insert("auth_time".into(), json!(grant.issued_at));
                claims.insert("version".into(), json!(2));
                set(claims, "username", grant.subject.as_deref().map(Value::from));
                set(claims, "scope", scope);
                set(claims, "cognito:groups", roles);
            }
            Self::GoogleIdToken => {
                claims.remove("jti");
                claims.insert("azp".into(), json!(grant.subject()));
                claims.insert(
                    "email".into(),
                    json!(format!("{}@example.iam.gserviceaccount.com", grant.subject())),
                );
                claims.insert("email_verified".into(), json!(true));
            }
            Self::AtJwt | Self::Generic | Self::Keycloak | Self::Hydra => {}
        }
    }

    /// The members of an answer that aren't the same for all.
    pub(super) fn okta_answer(grant: &Grant) -> Map<String, Value> {
        let mut answer = grant.core();
        answer.insert("jti".into(), json!(format!("AT.{}", grant.jti)));
        answer.insert("username".into(), json!(username(grant)));
        set(&mut answer, "uid", grant.subject.as_deref().map(Value::from));
        answer
    }
}

/// The tenant's id in the issuer's name.
fn tenant(issuer: &str) -> &str {
    let path = issuer.trim_end_matches('/').trim_end_matches("/v2.0");
    path.rsplit('/').next().unwrap_or_default()
}
