//! A bearer token got by the client-credentials grant (RFC 6749 §4.4): kept, renewed ahead of its end, asked for once
//! however many wait for it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use verifier_core::error::{Unavailable, UnavailableReason};
use verifier_core::runtime::Env;
use verifier_core::secret::Secret;
use verifier_core::single_flight::{SingleFlight, Ticket};
use verifier_core::time::{Instant, Now};
use verifier_core::transport::{HttpTransport, Limits};
use verifier_core::upstream::{RetryCause, Upstream};
use zeroize::Zeroizing;

use super::credentials::Surroundings;
use super::direct::{Aim, CannotPresent, Direct, Presented};
use super::token_response;
use super::{ClientAuth, ClientCredentials, SecretError};
use crate::config::BuildError;
use crate::not_got::{NotGot, Shared};
use crate::place::{EndpointSource, Place, Wanted};
use crate::request::{form, post};

/// How long a token is used that comes without `expires_in`.
pub const DEFAULT_TOKEN_LIFETIME: Duration = Duration::from_secs(60);
/// The longest that a token is used, whatever its `expires_in`.
pub const MAX_TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// A token that was got less than this ago is not replaced because a server refuses it: what is refused is not the
/// token then, and a client that makes the server refuse must not make us fetch a token each time.
const LEAST_AGE_TO_REPLACE: Duration = Duration::from_secs(10);
/// Least time between two attempts to renew a token that still serves; also after one that failed, if it is refused.
const RENEWAL_REST: Duration = Duration::from_secs(5);

/// Parameters that are ours.
const OWN_PARAMETERS: [&str; 6] =
    ["grant_type", "scope", "client_id", "client_secret", "client_assertion", "client_assertion_type"];

/// What gets tokens for one client.
#[derive(Clone)]
pub(crate) struct Grant(Arc<Inner>);

struct Inner {
    issuer: Arc<str>,
    place: Place,
    place_name: String,
    client: Direct,
    parameters: Vec<(String, String)>,
    transport: Arc<dyn HttpTransport>,
    env: Env,
    limits: Limits,
    upstream: Upstream,
    flights: SingleFlight<(), Result<Arc<Token>, Shared>>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    token: Option<Arc<Token>>,
    /// When it was last tried to renew it.
    tried: Option<Instant>,
    /// When a token was last asked for in vain.
    failed: Option<Instant>,
    /// That time, because the token endpoint refused our credentials.
    refused: bool,
    /// The kept token was refused: the next flight gets another, whatever its age.
    replace: bool,
}

impl From<CannotPresent> for NotGot {
    fn from(why: CannotPresent) -> Self {
        Self { why: why.into(), counts: true }
    }
}

struct Token {
    secret: Secret,
    /// When it was asked for: it is no younger.
    asked: Now,
    lifetime: Duration,
}

impl Token {
    fn is_usable(&self, now: Now) -> bool {
        now.since(self.asked) < self.lifetime
    }

    /// Beyond 80 % of its life.
    fn wants_renewal(&self, now: Now) -> bool {
        now.since(self.asked) >= self.lifetime / 5 * 4
    }
}

impl Grant {
    pub(crate) fn load(grant: ClientCredentials, around: Surroundings) -> Result<Self, BuildError> {
        let ClientCredentials { token_endpoint, client_auth, scope, parameters } = grant;
        if client_auth.client_id().is_none() || matches!(client_auth, ClientAuth::ClientCredentials(_)) {
            return Err(SecretError::NotAtTokenEndpoint { method: client_auth.method() }.into());
        }
        if let Some((name, _)) =
            parameters.iter().find(|(name, _)| name.is_empty() || OWN_PARAMETERS.contains(&name.as_str()))
        {
            return Err(BuildError::ReservedGrantParameter { name: name.clone() });
        }
        let mut all = vec![("grant_type".to_owned(), "client_credentials".to_owned())];
        all.extend(scope.map(|scope| ("scope".to_owned(), scope)));
        all.extend(parameters);
        let wanted = if client_auth.is_by_tls() { Wanted::MtlsToken } else { Wanted::Token };
        let place_name = match &token_endpoint {
            EndpointSource::Fixed(endpoint) => endpoint.as_str().to_owned(),
            EndpointSource::Discovered { discovery, .. } => format!("discovered from {}", discovery.issuer()),
        };
        let Surroundings { issuer, transport, env, limits, upstream, overdue } = around;
        Ok(Self(Arc::new(Inner {
            issuer,
            place: Place::new(token_endpoint, wanted, &env, overdue)?,
            place_name,
            client: Direct::load(client_auth)?,
            parameters: all,
            transport,
            flights: SingleFlight::new(env.clone(), overdue),
            env,
            limits,
            upstream,
            kept: Mutex::default(),
        })))
    }

    /// A token to present: the one that is kept, unless it is the one that was refused, or a new one.
    pub(crate) async fn present(&self, refused: Option<&Presented>) -> Result<Presented, NotGot> {
        let refused = refused.and_then(|refused| refused.source.as_ref());
        let token = match self.kept().filter(|token| Some(&token.secret) != refused) {
            Some(token) => token,
            None => self.board().await.map_err(Shared::from)??,
        };
        Ok(Presented::bearer(&token.secret)?)
    }

    /// The kept token, if it can still be used. Starts to renew it where that is due.
    fn kept(&self) -> Option<Arc<Token>> {
        let now = self.0.env.clock.now();
        let mut kept = self.0.kept_lock();
        let token = kept.token.as_ref().filter(|token| token.is_usable(now)).map(Arc::clone)?;
        let rested = kept.tried.is_none_or(|tried| now.monotonic.since(tried) >= RENEWAL_REST);
        let renew = token.wants_renewal(now) && rested;
        if renew {
            kept.tried = Some(now.monotonic);
        }
        drop(kept);
        if renew {
            drop(self.board()); // it lands without us
        }
        Some(token)
    }

    /// Whether the token endpoint refused our credentials when it was last asked.
    pub(crate) fn is_refused(&self) -> bool {
        self.0.kept_lock().refused
    }

    fn board(&self) -> Ticket<Result<Arc<Token>, Shared>> {
        let inner = Arc::clone(&self.0);
        self.0.flights.fly((), Instant::ORIGIN, move |_| Box::pin(async move { inner.renew().await }))
    }

    /// The token was refused: whether another one is to be tried, which is got with the next [`present`](Self::present).
    /// The refused one goes on serving until another is there: maybe it was the request that was refused.
    pub(crate) fn renewed_since(&self, refused: &Presented) -> bool {
        let now = self.0.env.clock.now();
        let mut kept = self.0.kept_lock();
        match (&kept.token, &refused.source) {
            // The refused one: another is worth a try unless it has only just come.
            (Some(token), Some(refused)) if token.secret == *refused => {
                let rested = kept.failed.is_none_or(|failed| now.monotonic.since(failed) >= RENEWAL_REST);
                let replace = rested && now.since(token.asked) >= LEAST_AGE_TO_REPLACE;
                kept.replace |= replace;
                replace
            }
            // Somebody else has seen to it.
            (_, Some(_)) => true,
            (_, None) => false,
        }
    }

    /// Who asks: the client, and whatever the token may depend on.
    pub(crate) fn scope(&self) -> (&'static str, Zeroizing<Vec<u8>>) {
        let (method, who) = self.0.client.scope();
        let parameters =
            self.0.parameters.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let parts = [self.0.place_name.as_bytes(), method.as_bytes(), &who];
        let mut whole = Zeroizing::new(Vec::new());
        for part in parts.into_iter().chain(parameters) {
            whole.extend_from_slice(&part.len().to_be_bytes()); // no two lists of parts read alike
            whole.extend_from_slice(part);
        }
        ("client_credentials", whole)
    }
}

impl Inner {
    fn kept_lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gets a token and keeps it, unless the flight before this one has just done so.
    async fn renew(&self) -> Result<Arc<Token>, Shared> {
        let now = self.env.clock.now();
        {
            let kept = self.kept_lock();
            let serves = |token: &&Arc<Token>| token.is_usable(now) && !token.wants_renewal(now);
            if let Some(token) = kept.token.as_ref().filter(|_| !kept.replace).filter(serves) {
                return Ok(Arc::clone(token));
            }
        }
        let asked = self.ask().await;
        let now = self.env.clock.now();
        let mut kept = self.kept_lock();
        kept.replace = false;
        match asked {
            Ok(token) => {
                let token = Arc::new(token);
                kept.token = Some(Arc::clone(&token));
                kept.failed = None;
                kept.refused = false;
                Ok(token)
            }
            Err(why) => {
                kept.failed = Some(now.monotonic);
                kept.refused = why.reason() == UnavailableReason::CredentialsRefused;
                Err(why.into())
            }
        }
    }

    /// The attempts of one call, all within its total time.
    async fn ask(&self) -> Result<Token, Unavailable> {
        let uri = self.place.find().await.map_err(|shared| shared.why)?;
        let deadline = self.env.clock.now().monotonic.plus(self.limits.total);
        let mut renewed = false;
        let mut attempt = 0;
        loop {
            let asked = self.env.clock.now();
            let aim = Aim { issuer: &self.issuer, endpoint: &uri, now: asked.wall };
            let presented = self.client.present(&aim)?;
            let left = deadline.since(asked.monotonic);
            if left.is_zero() {
                return Err(UnavailableReason::TimedOut.into());
            }
            let limits = Limits { connect: self.limits.connect.min(left), total: left, ..self.limits };
            let (cause, failure) = match self.transport.send(self.request(&uri, &presented), limits).await {
                Ok(response) => {
                    let now = self.env.clock.now().wall;
                    match token_response::read(response.status(), response.headers(), response.body(), now) {
                        Ok(token_response::Granted { token, lifetime }) => {
                            let lifetime = lifetime.unwrap_or(DEFAULT_TOKEN_LIFETIME).min(MAX_TOKEN_LIFETIME);
                            return Ok(Token { secret: token, asked, lifetime });
                        }
                        Err(why) => (RetryCause::of_status(response.status().as_u16()), why),
                    }
                }
                Err(error) => (RetryCause::of_transport(error), error.into()),
            };
            if failure.reason() == UnavailableReason::CredentialsRefused
                && !renewed
                && self.client.renewed_since(&presented)
            {
                renewed = true;
                continue;
            }
            attempt += 1;
            let rest = cause.and_then(|cause| {
                self.upstream.retry_decision(attempt, cause, failure.retry_after(), Some(deadline))
            });
            match rest {
                None => return Err(failure),
                Some(Duration::ZERO) => {}
                Some(rest) => match self.env.runtime.sleep(rest) {
                    Ok(timer) => timer.await,
                    Err(_) => return Err(failure),
                },
            }
        }
    }

    fn request(&self, endpoint: &Uri, presented: &Presented) -> Request<Bytes> {
        let parameters = self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        post(endpoint, form(parameters.chain(presented.fields())), presented)
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("place", &self.0.place)
            .field("client", &self.0.client)
            .finish_non_exhaustive()
    }
}
