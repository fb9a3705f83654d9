//! The handle: what a service holds. Reads the clock on arrival, applies limits and deadline, asks the verifiers
//! below, and takes the last step of every verification itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::{Either, select};
use verifier_core::authorization;
use verifier_core::challenge::Challenge;
use verifier_core::claims::VerifiedToken;
use verifier_core::error::{Rejection, Unavailable, UnavailableReason, VerifyError};
use verifier_core::freshness::Freshness;
use verifier_core::health::Health;
use verifier_core::policy::ValidationPolicy;
use verifier_core::revocation::{RevocationEvent, RevocationList};
use verifier_core::runtime::Env;
use verifier_core::token::{AccessToken, Digest};
use verifier_core::verifier::{Asked, Judged, Presentation, TokenVerifier, Verdict, VerifyRequest};
use verifier_hybrid::{Revocations, RevocationsFull};

use crate::backends::Backends;
use crate::engine::Engine;

/// Greatest time for a whole verification, unless configured or given with the request.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

/// Verifies access tokens. Cheap to clone and to share between tasks, threads and runtimes.
#[derive(Clone)]
pub struct Verifier {
    shared: Arc<Shared>,
    policy: Option<ValidationPolicy>,
}

/// What all clones of a handle share.
struct Shared {
    /// Replaced as a whole; a verification ends on the one that it began with.
    engine: ArcSwap<Engine>,
    revocations: Arc<Revocations>,
    env: Env,
    /// What the configuration was built with; `None` if the verifiers were made by hand.
    backends: Option<Backends>,
}

/// What the handle itself is configured with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) max_token_size: usize,
    pub(crate) deadline: Duration,
    pub(crate) reveal_expiry: bool,
    pub(crate) realm: Option<Box<str>>,
}

impl Verifier {
    pub(crate) fn new(
        engine: Engine,
        revocations: Arc<Revocations>,
        env: Env,
        backends: Option<Backends>,
    ) -> Self {
        let shared = Shared { engine: ArcSwap::from_pointee(engine), revocations, env, backends };
        Self { shared: Arc::new(shared), policy: None }
    }

    /// What is in force now.
    pub(crate) fn engine(&self) -> Arc<Engine> {
        self.shared.engine.load_full()
    }

    /// Puts another engine into force, unless `current` isn't any more.
    pub(crate) fn publish(&self, current: &Arc<Engine>, next: Engine) -> bool {
        let before = self.shared.engine.compare_and_swap(current, Arc::new(next));
        Arc::ptr_eq(&before, current)
    }

    pub(crate) fn env(&self) -> &Env {
        &self.shared.env
    }

    pub(crate) fn backends(&self) -> Option<&Backends> {
        self.shared.backends.as_ref()
    }

    /// The verdict on one bearer token: an HTTP request's, a WebSocket's, a queue message's.
    ///
    /// # Errors
    /// [`VerifyError::Rejected`] if something is wrong with the token, [`VerifyError::Unavailable`] if no verdict could
    /// be given.
    pub async fn verify(&self, token: &str) -> Result<VerifiedToken, VerifyError> {
        self.request(token).verify().await
    }

    /// A verification with demands of its own.
    pub fn request<'a>(&'a self, token: &'a str) -> RequestBuilder<'a> {
        RequestBuilder {
            verifier: self,
            token,
            freshness: Freshness::CONFIGURED,
            presentation: Presentation::BEARER,
            within: None,
            policy: self.policy.as_ref(),
        }
    }

    /// Reads the values of the `Authorization` header, all that the request has (RFC 6750 §2.1, RFC 9110 §11.6.2).
    ///
    /// # Errors
    /// [`Rejection::NoCredentials`] and [`Rejection::MalformedRequest`].
    pub fn authorization<'a>(
        &'a self,
        values: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<RequestBuilder<'a>, VerifyError> {
        let credentials = authorization::credentials(values)?;
        Ok(self.request(credentials.token).presented(Presentation::BEARER.by(credentials.scheme)))
    }

    /// The same verifiers, keys and caches under another policy: another API of the same issuers.
    #[must_use]
    pub fn with_policy(&self, policy: ValidationPolicy) -> Self {
        Self { shared: Arc::clone(&self.shared), policy: Some(policy) }
    }

    /// Resolves once verdicts can be given: the first key sets are loaded. Asks for them if nobody has yet.
    ///
    /// # Errors
    /// [`Unavailable`] with the reason, at the latest after `within`.
    pub async fn ready(&self, within: Duration) -> Result<(), Unavailable> {
        let env = &self.shared.env;
        let deadline = env.clock.now().monotonic.plus(within);
        let engine = self.engine();
        match engine.root.ready(Some(deadline)) {
            Asked::Ready(ready) => ready,
            Asked::Pending(asked) => match bounded(env, within, asked).await {
                Ok(ready) => ready,
                Err(unavailable) => Err(unavailable),
            },
        }
    }

    /// What the verifiers know of their own state.
    pub fn health(&self) -> Health {
        self.engine().root.health(self.shared.env.clock.now())
    }

    /// Ends the life of tokens at once, in this process: no token that the event covers is accepted after this
    /// returned.
    ///
    /// # Errors
    /// [`RevocationsFull`]: nothing was taken in, and nothing was dropped for it.
    pub fn revoke(&self, event: &RevocationEvent) -> Result<(), RevocationsFull> {
        self.shared.revocations.ingest(event)
    }

    /// The revocations that this process was told of.
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.shared.revocations
    }

    /// The digest of a token, by which [`RevocationEvent::Text`] names it.
    ///
    /// # Errors
    /// [`Rejection::TokenTooLarge`], [`Rejection::MalformedToken`].
    pub fn digest(&self, token: &str) -> Result<Digest, Rejection> {
        Ok(AccessToken::new(token, self.engine().settings.max_token_size)?.digest())
    }

    /// What stands below the handle now, for adapters and the conformance suite. Who asks it passes by the handle: the
    /// size limit, the deadline, [`revoke`](Self::revoke)d tokens and the last step, [`Judged::finish`], are up to him,
    /// and he sees no later configuration.
    pub fn backend(&self) -> Arc<dyn TokenVerifier> {
        Arc::clone(&self.engine().root)
    }

    /// The `WWW-Authenticate` challenge for an error, with the configured realm; `None` for unavailable.
    pub fn challenge(&self, error: VerifyError) -> Option<Challenge> {
        let settings = &self.shared.engine.load().settings;
        let challenge = error.challenge()?.reveal_expiry(settings.reveal_expiry);
        Some(match &settings.realm {
            Some(realm) => challenge.with_realm(realm),
            None => challenge,
        })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("root", &self.engine().root).finish_non_exhaustive()
    }
}

/// One verification, before it is asked for.
#[derive(Clone, Copy)]
#[must_use = "nothing is verified until `verify` is awaited"]
pub struct RequestBuilder<'a> {
    verifier: &'a Verifier,
    token: &'a str,
    freshness: Freshness,
    presentation: Presentation,
    /// As configured, unless given.
    within: Option<Duration>,
    policy: Option<&'a ValidationPolicy>,
}

impl<'a> RequestBuilder<'a> {
    /// Demands revocation knowledge at most this old; can only tighten what is configured.
    pub const fn freshness(mut self, freshness: Freshness) -> Self {
        self.freshness = freshness;
        self
    }

    /// What came along with the token to prove possession.
    pub const fn presented(mut self, presentation: Presentation) -> Self {
        self.presentation = presentation;
        self
    }

    /// Gives up after this time.
    pub const fn within(mut self, within: Duration) -> Self {
        self.within = Some(within);
        self
    }

    /// Judges under this policy.
    pub const fn policy(mut self, policy: &'a ValidationPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// The verdict.
    ///
    /// # Errors
    /// As [`Verifier::verify`]; [`UnavailableReason::NoRevocationSource`] if a freshness is demanded of a strategy that
    /// can't see revocations.
    pub async fn verify(self) -> Result<VerifiedToken, VerifyError> {
        // Held to the end: what is asked belongs to this engine, whatever comes into force meanwhile.
        let engine = self.verifier.shared.engine.load();
        #[cfg(not(feature = "tracing"))]
        let verdict = self.judge(&engine).await;
        #[cfg(feature = "tracing")]
        let verdict = crate::events::spanned(self.judge(&engine)).await;
        #[cfg(feature = "tracing")]
        crate::events::verdict(&verdict, engine.only_strategy);
        verdict
    }

    async fn judge(self, engine: &Engine) -> Result<VerifiedToken, VerifyError> {
        let shared = &*self.verifier.shared;
        let within = self.within.unwrap_or(engine.settings.deadline);
        let arrival = shared.env.clock.now();
        let token = AccessToken::new(self.token, engine.settings.max_token_size)?;
        let mut request = VerifyRequest::new(&token, arrival)
            .with_freshness(self.freshness)
            .with_presentation(self.presentation)
            .with_deadline(arrival.monotonic.plus(within));
        request.policy = self.policy;
        let verdict = match engine.root.verify(&request) {
            Asked::Ready(verdict) => verdict,
            Asked::Pending(asked) => bounded(&shared.env, within, asked).await?,
        };
        shared.finish(verdict, &request)
    }
}

impl fmt::Debug for RequestBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder").field("freshness", &self.freshness).finish_non_exhaustive()
    }
}

impl Shared {
    /// The last step of every verification, whatever the strategy: what was revoked by event has the last word.
    fn finish(&self, verdict: Verdict, request: &VerifyRequest<'_>) -> Result<VerifiedToken, VerifyError> {
        let judged = verdict?;
        if self.is_revoked(&judged, request.token.digest()) {
            return Err(Rejection::Revoked.into());
        }
        judged.finish(request)
    }

    fn is_revoked(&self, judged: &Judged, token: Digest) -> bool {
        let own = judged.facts().identity();
        self.revocations.revokes(own, token).is_some()
            || judged.answer().is_some_and(|answer| {
                let other = answer.identity();
                self.revocations.revokes(other, token).is_some()
                    || self.revocations.revokes(&own.merged(other), token).is_some()
            })
    }
}

/// Waits for an answer, at most this long.
pub(crate) async fn bounded<T>(
    env: &Env,
    within: Duration,
    asked: futures_util::future::BoxFuture<'_, T>,
) -> Result<T, Unavailable> {
    let timer = env.runtime.sleep(within)?;
    match select(asked, timer).await {
        Either::Left((answer, _)) => Ok(answer),
        Either::Right(((), _)) => Err(Unavailable::new(UnavailableReason::DeadlineExceeded)),
    }
}
