//! What the server is and knows; shared by its thread and the test.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use verifier_core::time::Clock;

use super::behaviour::{self, Behaviours};
use super::keyring::Keyring;
use super::signed::AnswerFlaw;
use super::tokens::{Record, Tokens};
use crate::answer::Answer;
use crate::behaviour::Behaviour;
use crate::clients::{AssertionAudience, BasicDecoding, Client, Clients, IntrospectionAuth};
use crate::counts::Book;
use crate::faults::{Endpoint, Faults};
use crate::forge::TokenForge;
use crate::issue::{IssuedToken, TokenRequest};
use crate::keys::{Algorithm, SigningKey};
use crate::profile::{Format, Grant, Profile};

type Members = Map<String, Value>;

/// What stays as it was built.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) profile: Profile,
    pub(super) format: Format,
    pub(super) lifetime: Duration,
    pub(super) audience: String,
    pub(super) introspection_auth: IntrospectionAuth,
    pub(super) token_auth: IntrospectionAuth,
    pub(super) granted_lifetime: Option<Duration>,
    pub(super) assertion_audience: AssertionAudience,
    pub(super) basic_decoding: BasicDecoding,
    pub(super) signs_answers: Option<Algorithm>,
    pub(super) jwks_cache_control: Option<String>,
}

pub(super) struct State {
    pub(super) issuer: String,
    /// The issuer without a slash at the end, to which the names of the endpoints are appended.
    base: String,
    /// The path of `base`.
    pub(super) path: String,
    pub(super) settings: Settings,
    pub(super) faults: Faults,
    pub(super) book: Book,
    pub(super) behaviours: Behaviours,
    clients: Mutex<Clients>,
    keys: Mutex<Keyring>,
    tokens: Mutex<Tokens>,
    overrides: Mutex<HashMap<Endpoint, Answer>>,
    jwks_cache_control: Mutex<Option<String>>,
    answer_flaw: Mutex<Option<AnswerFlaw>>,
}

impl State {
    pub(super) fn new(
        issuer: String,
        base: String,
        path: String,
        settings: Settings,
        clients: Vec<Client>,
        key: SigningKey,
    ) -> Self {
        let clients = Clients::new(clients);
        Self {
            issuer,
            base,
            path,
            jwks_cache_control: Mutex::new(settings.jwks_cache_control.clone()),
            settings,
            faults: Faults::default(),
            book: Book::default(),
            behaviours: Behaviours::default(),
            clients: Mutex::new(clients),
            keys: Mutex::new(Keyring::new(key)),
            tokens: Mutex::new(Tokens::default()),
            overrides: Mutex::new(HashMap::new()),
            answer_flaw: Mutex::new(None),
        }
    }

    pub(super) fn uri(&self, endpoint: &str) -> String {
        format!("{}{endpoint}", self.base)
    }

    /// RFC 8414 §2; the members that OpenID Connect Discovery requires are there as well.
    pub(super) fn metadata(&self) -> Value {
        let signs: Vec<_> = self.settings.signs_answers.iter().map(|algorithm| algorithm.name()).collect();
        let mut metadata = json!({
            "issuer": self.issuer,
            "jwks_uri": self.uri("/jwks"),
            "authorization_endpoint": self.uri("/authorize"),
            "token_endpoint": self.uri("/token"),
            "introspection_endpoint": self.uri("/introspect"),
            "revocation_endpoint": self.uri("/revoke"),
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "token_endpoint_auth_methods_supported": self.settings.token_auth.method_names(),
            "introspection_endpoint_auth_methods_supported": self.settings.introspection_auth.method_names(),
            "id_token_signing_alg_values_supported": [self.keys().signing().algorithm().name()],
        });
        if let Some(members) = metadata.as_object_mut().filter(|_| !signs.is_empty()) {
            members.insert("introspection_signing_alg_values_supported".into(), json!(signs)); // RFC 9701 §7
        }
        metadata
    }

    pub(super) fn behaves(&self, behaviour: Behaviour) -> bool {
        self.behaviours.has(behaviour)
    }

    pub(super) fn set_behaviour(&self, behaviour: Behaviour, on: bool) {
        match behaviour {
            Behaviour::LockedStore => self.tokens().lost = on,
            Behaviour::SignsBeforePublishing => self.keys().publish_with_first_token(on),
            _ => {}
        }
        self.behaviours.set(behaviour, on);
    }

    pub(super) fn signing_kid(&self) -> String {
        self.keys().signing().kid().to_owned()
    }

    /// Whom an assertion for this endpoint has to be made out to.
    pub(super) fn assertion_audience(&self, endpoint: &str) -> String {
        match self.settings.assertion_audience {
            AssertionAudience::Issuer => self.issuer.clone(),
            AssertionAudience::Endpoint => self.uri(endpoint),
        }
    }

    pub(super) fn unix_seconds(&self) -> i64 {
        self.settings.clock.now().wall.unix_seconds()
    }

    pub(super) fn issue(&self, request: &TokenRequest) -> IssuedToken {
        let profile = request.profile.unwrap_or(self.settings.profile);
        let grant = self.grant(request, profile);
        let (token, signed_by, kid, claims) = match request.format.unwrap_or(self.settings.format) {
            Format::Opaque => (profile.opaque_token(), None, None, Map::new()),
            Format::Jwt => {
                let (key, header, claims) = self.parts(request, profile, &grant);
                let kid = header.get("kid").and_then(Value::as_str).map(str::to_owned);
                let token = TokenForge::of_objects(&header, &claims).sign(&key);
                self.keys().has_signed(key.kid());
                (token, Some(key.kid().to_owned()), kid, claims)
            }
        };
        let issued = IssuedToken {
            token: token.clone(),
            jti: grant.jti.clone(),
            subject: grant.subject().to_owned(),
            client: grant.client.clone(),
            kid,
            issued_at: grant.issued_at,
            expires_at: grant.expires_at,
            claims,
        };
        let record = Record::new(grant, profile, request.kind, signed_by, request.introspection.clone());
        self.tokens().add(token, record);
        issued
    }

    pub(super) fn grant(&self, request: &TokenRequest, profile: Profile) -> Grant {
        let now = self.unix_seconds();
        let issued_at = now.saturating_sub(seconds(request.issued_ago));
        let lifetime = seconds(request.lifetime.unwrap_or(self.settings.lifetime));
        Grant {
            issuer: request.issuer.clone().unwrap_or_else(|| self.issuer.clone()),
            jti: request.jti.clone().unwrap_or_else(|| profile.jti()),
            subject: request.subject.clone(),
            client: request.client.clone().unwrap_or_else(|| crate::clients::DEFAULT_CLIENT.to_owned()),
            audience: request.audience.clone().unwrap_or_else(|| vec![self.settings.audience.clone()]),
            scopes: request.scopes.clone(),
            roles: request.roles.clone(),
            session: request.session.clone(),
            issued_at,
            not_before: request.not_before_in.map(|wait| now.saturating_add(seconds(wait))),
            expires_at: issued_at.saturating_add(lifetime),
        }
    }

    /// A token that the server would issue, and of which it knows nothing.
    pub(super) fn forge(&self, request: &TokenRequest) -> TokenForge {
        let profile = request.profile.unwrap_or(self.settings.profile);
        let (_, header, claims) = self.parts(request, profile, &self.grant(request, profile));
        TokenForge::of_objects(&header, &claims)
    }

    /// The key that signs, header and claims.
    fn parts(
        &self,
        request: &TokenRequest,
        profile: Profile,
        grant: &Grant,
    ) -> (SigningKey, Members, Members) {
        let key = match (&request.key, request.algorithm) {
            (Some(key), None) => key.clone(),
            (Some(key), Some(algorithm)) => key.under(algorithm).unwrap_or_else(|| key.clone()),
            (None, Some(algorithm)) => self.keys().of_algorithm(algorithm),
            (None, None) => self.keys().signing().clone(),
        };
        let mut header = profile.header(key.algorithm().name(), key.kid());
        let mut claims = profile.claims(grant);
        behaviour::bend(self, request, grant, &mut header, &mut claims);
        request.header.apply(&mut header);
        request.claims.apply(&mut claims);
        (key, header, claims)
    }

    pub(super) fn is_active(&self, token: &str) -> bool {
        let now = self.unix_seconds();
        let client = self.tokens().live(token, now).map(|record| record.grant.client.clone());
        client.is_some_and(|client| self.clients().enabled(&client))
    }

    pub(super) fn set_client(&self, id: &str, enabled: bool) -> bool {
        self.clients().by_id.get_mut(id).map(|client| client.enabled = enabled).is_some()
    }

    pub(super) fn jwks_cache_control(&self) -> Option<String> {
        lock(&self.jwks_cache_control).clone()
    }

    pub(super) fn set_jwks_cache_control(&self, value: Option<&str>) {
        *lock(&self.jwks_cache_control) = value.map(str::to_owned);
    }

    pub(super) fn answer_flaw(&self) -> Option<AnswerFlaw> {
        lock(&self.answer_flaw).clone()
    }

    pub(super) fn set_answer_flaw(&self, flaw: Option<AnswerFlaw>) {
        *lock(&self.answer_flaw) = flaw;
    }

    pub(super) fn clients(&self) -> MutexGuard<'_, Clients> {
        lock(&self.clients)
    }

    pub(super) fn keys(&self) -> MutexGuard<'_, Keyring> {
        lock(&self.keys)
    }

    pub(super) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        lock(&self.tokens)
    }

    pub(super) fn overrides(&self) -> MutexGuard<'_, HashMap<Endpoint, Answer>> {
        lock(&self.overrides)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn seconds(d: Duration) -> i64 {
    i64::try_from(d.as_secs()).unwrap_or(i64::MAX)
}
