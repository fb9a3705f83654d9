//! How different servers write the same grant: header, claims and introspection answer.

mod companions;
mod providers;

use serde_json::{Map, Value, json};

use crate::keys::random_text;

/// The manner of a kind of server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// RFC 9068: `typ` is `at+jwt`, every claim that it requires.
    #[default]
    AtJwt,
    /// `typ` is `JWT`, registered claims, `scope` as a string.
    Generic,
    /// As Keycloak writes: `typ`, `azp`, `realm_access.roles`, `preferred_username`; no `client_id` in a user's token.
    Keycloak,
    /// As Hydra writes: `scp` as an array, `aud` always an array, `ext` for private claims; no `jti` in answers.
    Hydra,
    /// As Auth0 writes by default: `JWT`, the client in `azp`, its `userinfo` among the audiences of a user's token,
    /// `permissions`; no `jti`.
    Auth0,
    /// As a custom authorization server of Okta writes: no `typ`, `cid`, `scp` as an array.
    Okta,
    /// As Microsoft Entra ID writes tokens of version 2.0: `azp`, `scp` as a string in a user's, `roles`, `uti`.
    Entra,
    /// The same, version 1.0: `appid`.
    EntraV1,
    /// As an Amazon Cognito user pool writes: no `typ`, `token_use`, no `aud`.
    Cognito,
    /// As Google writes ID tokens of service accounts: `azp` and `sub` are the account, no scope.
    GoogleIdToken,
}

/// What a token looks like from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum Format {
    /// A signed JWT.
    #[default]
    Jwt,
    /// A random string.
    Opaque,
}

/// What was granted; the source of token and answers.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) issuer: String,
    pub(crate) jti: String,
    pub(crate) subject: Option<String>,
    pub(crate) client: String,
    pub(crate) audience: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) session: Option<String>,
    pub(crate) issued_at: i64,
    pub(crate) not_before: Option<i64>,
    pub(crate) expires_at: i64,
}

impl Grant {
    /// The subject, which for a client's own token is the client (RFC 9068 §2.2).
    pub(crate) fn subject(&self) -> &str {
        self.subject.as_deref().unwrap_or(&self.client)
    }

    fn scope(&self) -> String {
        self.scopes.join(" ")
    }

    /// A string for one, an array for several, nothing for none.
    fn audience(&self) -> Option<Value> {
        match self.audience.as_slice() {
            [] => None,
            [one] => Some(json!(one)),
            several => Some(json!(several)),
        }
    }

    /// What every profile has.
    fn core(&self) -> Map<String, Value> {
        let mut claims = Map::new();
        claims.insert("iss".into(), json!(self.issuer));
        claims.insert("sub".into(), json!(self.subject()));
        claims.insert("iat".into(), json!(self.issued_at));
        claims.insert("exp".into(), json!(self.expires_at));
        claims.insert("jti".into(), json!(self.jti));
        set(&mut claims, "aud", self.audience());
        set(&mut claims, "nbf", self.not_before.map(Value::from));
        set(&mut claims, "sid", self.session.as_deref().map(Value::from));
        claims
    }
}

impl Profile {
    /// An id in the profile's manner.
    pub(crate) fn jti(self) -> String {
        match self {
            Self::Keycloak => format!("trrtcc:{}", random_text(16)),
            _ => random_text(16),
        }
    }

    /// An opaque token in the profile's manner.
    pub(crate) fn opaque_token(self) -> String {
        match self {
            Self::Hydra => format!("ory_at_{}.{}", random_text(32), random_text(32)),
            _ => random_text(32),
        }
    }

    pub(crate) fn header(self, algorithm: &str, kid: &str) -> Map<String, Value> {
        let typ = match self {
            Self::AtJwt => Some("at+jwt"),
            Self::Okta | Self::Cognito => None,
            _ => Some("JWT"),
        };
        let mut header = Map::new();
        header.insert("alg".into(), json!(algorithm));
        header.insert("kid".into(), json!(kid));
        set(&mut header, "typ", typ.map(Value::from));
        header
    }

    pub(crate) fn claims(self, grant: &Grant) -> Map<String, Value> {
        let mut claims = grant.core();
        match self {
            Self::AtJwt | Self::Generic => {
                claims.insert("client_id".into(), json!(grant.client));
                set(&mut claims, "scope", non_empty(&grant.scope()));
                set(&mut claims, "roles", (!grant.roles.is_empty()).then(|| json!(grant.roles)));
            }
            Self::Keycloak => {
                claims.insert("typ".into(), json!("Bearer"));
                claims.insert("azp".into(), json!(grant.client));
                claims.insert("acr".into(), json!("1"));
                claims.insert("allowed-origins".into(), json!(["/*"]));
                claims.insert("realm_access".into(), json!({ "roles": grant.roles }));
                claims.insert("scope".into(), json!(grant.scope()));
                claims.insert("preferred_username".into(), json!(username(grant)));
                if grant.subject.is_none() {
                    claims.insert("client_id".into(), json!(grant.client));
                }
            }
            Self::Hydra => {
                claims.insert("aud".into(), json!(grant.audience));
                claims.insert("client_id".into(), json!(grant.client));
                claims.insert("nbf".into(), json!(grant.not_before.unwrap_or(grant.issued_at)));
                claims.insert("scp".into(), json!(grant.scopes));
                let ext = if grant.roles.is_empty() { json!({}) } else { json!({ "roles": grant.roles }) };
                claims.insert("ext".into(), ext);
            }
            _ => self.provider_claims(grant, &mut claims),
        }
        claims
    }

    /// The answer for an active token (RFC 7662 §2.2).
    pub(crate) fn answer(self, grant: &Grant) -> Map<String, Value> {
        let mut answer = match self {
            Self::Keycloak => {
                let mut answer = self.claims(grant);
                answer.insert("client_id".into(), json!(grant.client));
                answer.insert("username".into(), json!(username(grant)));
                answer
            }
            Self::Hydra => {
                let mut answer = grant.core();
                answer.remove("jti");
                answer.insert("aud".into(), json!(grant.audience));
                answer.insert("nbf".into(), json!(grant.not_before.unwrap_or(grant.issued_at)));
                answer.insert("token_use".into(), json!("access_token"));
                if !grant.roles.is_empty() {
                    answer.insert("ext".into(), json!({ "roles": grant.roles }));
                }
                answer
            }
            Self::Okta => Self::okta_answer(grant),
            _ => self.claims(grant),
        };
        answer.insert("active".into(), json!(true));
        answer.insert("client_id".into(), json!(grant.client));
        answer.insert("token_type".into(), json!("Bearer"));
        set(&mut answer, "scope", non_empty(&grant.scope()));
        answer
    }
}

fn username(grant: &Grant) -> String {
    grant.subject.clone().unwrap_or_else(|| format!("service-account-{}", grant.client))
}

fn non_empty(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| json!(text))
}

fn set(members: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        members.insert(name.to_owned(), value);
    }
}
