//! The authorization server: real sockets on loopback, a thread of its own, and every lever in the test's hand.

mod behaviour;
mod builder;
mod companions;
mod door;
mod endpoints;
mod introspection;
mod keyring;
mod signed;
mod state;
mod tokens;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use verifier_core::time::Clock;

pub use builder::Builder;
pub use signed::AnswerFlaw;

use crate::answer::Answer;
use crate::behaviour::Behaviour;
use crate::counts::{Counts, RecordedRequest};
use crate::faults::{Endpoint, Faults};
use crate::forge::TokenForge;
use crate::issue::{IssuedToken, TokenRequest};
use crate::keys::{Algorithm, SigningKey};
use door::Door;
use state::State;

/// The audience of tokens for which none was named.
pub const DEFAULT_AUDIENCE: &str = "https://api.example.com";

/// A running authorization server. It stops, and its port is free again, when this is dropped.
///
/// It runs on a thread of its own with a runtime of its own, so that callers on any executor, or on none, can use it.
pub struct AuthorizationServer {
    state: Arc<State>,
    door: Door,
}

impl AuthorizationServer {
    /// Starts one with everything by default: RFC 9068 tokens signed with ES256, issuer path `/realms/main`.
    ///
    /// # Errors
    /// That of the operating system if there is no socket or no thread to be had.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// To start one otherwise.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The issuer's name, byte for byte as in `iss`.
    pub fn issuer(&self) -> &str {
        &self.state.issuer
    }

    /// `http://127.0.0.1:PORT`, where the server really listens, whatever its issuer is called.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Where the server listens.
    pub const fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// The address of the key set.
    pub fn jwks_uri(&self) -> String {
        self.state.uri("/jwks")
    }

    /// The address of the token endpoint.
    pub fn token_endpoint(&self) -> String {
        self.state.uri("/token")
    }

    /// The address of the introspection endpoint.
    pub fn introspection_endpoint(&self) -> String {
        self.state.uri("/introspect")
    }

    /// The address of the revocation endpoint.
    pub fn revocation_endpoint(&self) -> String {
        self.state.uri("/revoke")
    }

    /// The metadata document, which is the same for OpenID Connect discovery and RFC 8414.
    pub fn metadata(&self) -> Value {
        self.state.metadata()
    }

    /// The clock by which tokens expire here.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.state.settings.clock
    }
}

/// Tokens.
impl AuthorizationServer {
    /// Issues a token.
    pub fn issue(&self, request: TokenRequest) -> IssuedToken {
        self.state.issue(&request)
    }

    /// Header and claims of a token that the server would issue, to be bent and signed by the caller; the server knows
    /// nothing of it.
    pub fn forge(&self, request: TokenRequest) -> TokenForge {
        self.state.forge(&request)
    }

    /// Revokes a token; `false` if the server doesn't know it.
    pub fn revoke(&self, token: &str) -> bool {
        self.state.tokens().revoke(|found, _| found == token)
    }

    /// Revokes the token with this id; `false` if there is none.
    pub fn revoke_jti(&self, jti: &str) -> bool {
        self.state.tokens().revoke(|_, grant| grant.jti == jti)
    }

    /// Revokes all tokens of a subject; `false` if there are none.
    pub fn revoke_subject(&self, subject: &str) -> bool {
        self.state.tokens().revoke(|_, grant| grant.subject() == subject)
    }

    /// Whether introspection would say that the token is active, if no fault and no override stood before it.
    pub fn is_active(&self, token: &str) -> bool {
        self.state.is_active(token)
    }

    /// Like a server whose store can't be read: every token is inactive for as long as this is set.
    pub fn lose_store(&self, lost: bool) {
        self.behave(Behaviour::LockedStore, lost);
    }

    /// Refuses a client, and makes its tokens inactive until it is enabled again; `false` if it isn't registered.
    pub fn disable_client(&self, id: &str) -> bool {
        self.state.set_client(id, false)
    }

    /// Takes [`Self::disable_client`] back; `false` if it isn't registered.
    pub fn enable_client(&self, id: &str) -> bool {
        self.state.set_client(id, true)
    }
}

/// Keys.
impl AuthorizationServer {
    /// The key that signs.
    pub fn signing_key(&self) -> SigningKey {
        self.state.keys().signing().clone()
    }

    /// The key id of the key that signs.
    pub fn signing_kid(&self) -> String {
        self.state.keys().signing().kid().to_owned()
    }

    /// The newest key with this id, withdrawn ones included.
    pub fn key(&self, kid: &str) -> Option<SigningKey> {
        self.state.keys().find(kid).cloned()
    }

    /// Makes a key and publishes it; it doesn't sign yet. A shared secret is made and not published. Returns its id.
    pub fn add_key(&self, algorithm: Algorithm) -> String {
        self.state.keys().add(SigningKey::generate(algorithm))
    }

    /// Publishes a new key under an id of the caller's choice, in place of one that is published under it.
    pub fn add_key_with_kid(&self, algorithm: Algorithm, kid: &str) -> SigningKey {
        let key = SigningKey::generate(algorithm).with_kid(kid);
        self.state.keys().add(key.clone());
        key
    }

    /// Lets the key sign from now on, published or not; `false` if there is none of this id.
    pub fn promote(&self, kid: &str) -> bool {
        self.state.keys().promote(kid)
    }

    /// Takes a key out of the published set; `false` if there is none of this id. If it is the one that signs it goes
    /// on signing, as with a server that has lost its own key.
    pub fn withdraw(&self, kid: &str) -> bool {
        self.state.keys().withdraw(kid)
    }

    /// Publishes a new key of the signing key's algorithm and signs with it at once; the old one stays published.
    /// Returns the new key's id.
    pub fn rotate(&self) -> String {
        let mut keys = self.state.keys();
        let algorithm = keys.signing().algorithm();
        let kid = keys.add(SigningKey::generate(algorithm));
        keys.promote(&kid);
        kid
    }

    /// While set, the key set stays published as it is at this moment, whatever happens to the keys.
    pub fn publish_stale_keys(&self, stale: bool) {
        self.state.keys().publish_stale(stale);
    }

    /// The key set as it is published.
    pub fn jwks(&self) -> Value {
        self.state.keys().published()
    }

    /// The `Cache-Control` of the key set from now on; `None` sends none.
    pub fn set_jwks_cache_control(&self, value: Option<&str>) {
        self.state.set_jwks_cache_control(value);
    }
}

/// Behaviours.
impl AuthorizationServer {
    /// Switches a behaviour on or off.
    pub fn behave(&self, behaviour: Behaviour, on: bool) {
        self.state.set_behaviour(behaviour, on);
    }

    /// Whether a behaviour is on.
    pub fn behaves(&self, behaviour: Behaviour) -> bool {
        self.state.behaves(behaviour)
    }

    /// Takes a role or a scope from a subject. Tokens that were issued say it still; answers don't, where
    /// [`Behaviour::ComputesClaimsAnew`] is on.
    pub fn take_away(&self, subject: &str, role_or_scope: &str) {
        self.state.behaviours.take_away(subject, role_or_scope);
    }
}

/// Answers by script.
impl AuthorizationServer {
    /// What goes wrong, by endpoint.
    pub fn faults(&self) -> &Faults {
        &self.state.faults
    }

    /// Gives this answer at an endpoint, whatever is asked and whoever asks, until [`Self::clear_override`].
    pub fn override_answer(&self, endpoint: Endpoint, answer: Answer) {
        self.state.overrides().insert(endpoint, answer);
    }

    /// Publishes these bytes in place of the key set.
    pub fn override_jwks(&self, status: u16, body: impl Into<Vec<u8>>) {
        let answer = Answer::new(status, body.into()).header("content-type", "application/json");
        self.override_answer(Endpoint::Jwks, answer);
    }

    /// What is wrong with signed introspection answers from now on; `None` makes them right again. Of a server that
    /// signs some: [`Builder::signs_answers`].
    pub fn spoil_signed_answers(&self, flaw: Option<AnswerFlaw>) {
        self.state.set_answer_flaw(flaw);
    }

    /// Answers every introspection request with 200 and this.
    pub fn override_introspection(&self, answer: &Value) {
        self.override_answer(Endpoint::Introspection, Answer::json(answer));
    }

    /// Answers introspection requests about one token with 200 and this, after the caller has been authenticated.
    pub fn override_introspection_of(&self, token: &str, answer: &Value) {
        self.override_answer_about(token, Answer::json(answer));
    }

    /// Gives this answer to introspection requests about one token, after the caller has been authenticated: 400, as
    /// some servers give to tokens that they don't like.
    pub fn override_answer_about(&self, token: &str, answer: Answer) {
        self.state.tokens().scripted.insert(token.to_owned(), answer);
    }

    /// Publishes this metadata document.
    pub fn override_metadata(&self, document: &Value) {
        self.override_answer(Endpoint::Discovery, Answer::json(document));
    }

    /// Takes back what is overridden at an endpoint.
    pub fn clear_override(&self, endpoint: Endpoint) {
        self.state.overrides().remove(&endpoint);
        if endpoint == Endpoint::Introspection {
            self.state.tokens().scripted.clear();
        }
    }
}

/// What was asked.
impl AuthorizationServer {
    /// How often each endpoint was asked.
    pub fn counts(&self) -> Counts {
        self.state.book.counts()
    }

    /// Starts counting at zero again, and forgets the recorded requests.
    pub fn reset_counts(&self) {
        self.state.book.reset();
    }

    /// The last 256 requests of an endpoint, oldest first.
    pub fn requests(&self, endpoint: Endpoint) -> Vec<RecordedRequest> {
        self.state.book.requests(endpoint)
    }

    /// The last introspection request.
    pub fn last_introspection(&self) -> Option<RecordedRequest> {
        self.state.book.last(Endpoint::Introspection)
    }
}

/// The network.
impl AuthorizationServer {
    /// Stops listening and closes all connections: who connects now is refused. The port stays
    /// bound, so that the system gives it to nobody who asks for any free one.
    pub fn refuse_connections(&self) {
        self.door.refuse();
    }

    /// Listens again on the same port.
    ///
    /// # Errors
    /// That of the operating system.
    pub fn accept_connections(&self) -> io::Result<()> {
        self.door.accept()
    }

    /// Closes every open connection, those in the middle of an answer too, and goes on listening: what a client sees
    /// whose pooled connection was closed under it.
    pub fn close_connections(&self) {
        self.door.close_connections();
    }
}

impl fmt::Debug for AuthorizationServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationServer")
            .field("issuer", &self.issuer())
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}
