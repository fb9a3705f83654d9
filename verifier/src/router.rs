//! Several issuers behind one verifier: each token goes to the verifier of the issuer it names, and to no other.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use futures_util::future::select_ok;
use quick_cache::sync::Cache;
use verifier_core::error::{Rejection, Unavailable};
use verifier_core::evidence::Strategy;
use verifier_core::health::Health;
use verifier_core::jwt::UnverifiedJwt;
use verifier_core::time::{Instant, Now};
use verifier_core::token::{Digest, Shape};
use verifier_core::verifier::{Asked, TokenVerifier, Verdict, VerifyRequest};

/// How many tokens the index remembers the route of.
const INDEX_ENTRIES: usize = 10_000;

/// One issuer's verifier.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) verifier: Arc<dyn TokenVerifier>,
    /// The names that its tokens may bear.
    pub(crate) names: Vec<Arc<str>>,
}

/// Which tokens go where.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    pub(crate) routes: Vec<Route>,
    /// Where tokens go that are no JWT.
    pub(crate) opaque: Option<usize>,
    /// Where JWTs go that name no issuer.
    pub(crate) nameless: Option<usize>,
}

/// Routes by the untrusted `iss`, compared byte for byte. Whoever verifies compares the validated one; for backends
/// that aren't ours it is compared here once more.
pub(crate) struct Router {
    routes: Vec<Route>,
    by_name: HashMap<Arc<str>, usize>,
    opaque: Option<usize>,
    nameless: Option<usize>,
    /// Learnt from verdicts that were ready and good: saves the peek into the claims on a warm token.
    index: Cache<Digest, usize>,
}

impl Router {
    pub(crate) fn new(routes: Routes) -> Self {
        let by_name = routes
            .routes
            .iter()
            .enumerate()
            .flat_map(|(n, route)| route.names.iter().map(move |name| (Arc::clone(name), n)))
            .collect();
        Self {
            by_name,
            opaque: routes.opaque,
            nameless: routes.nameless,
            index: Cache::new(INDEX_ENTRIES),
            routes: routes.routes,
        }
    }

    /// The route of a token that isn't in the index.
    fn find(&self, request: &VerifyRequest<'_>) -> Result<usize, Rejection> {
        match request.token.shape()? {
            Shape::Opaque => self.opaque.ok_or(Rejection::NotAJwt),
            Shape::Jwt(_) => match UnverifiedJwt::parse(request.token)?.untrusted_issuer() {
                Some(issuer) => self.by_name.get(&*issuer).copied().ok_or(Rejection::UnknownIssuer),
                None => self.nameless.ok_or(Rejection::UnknownIssuer),
            },
        }
    }
}

impl Route {
    /// A verdict that names another issuer than the one routed to is none of this route's.
    fn own(&self, verdict: Verdict) -> Verdict {
        let judged = verdict?;
        if self.names.iter().any(|name| **name == **judged.facts().issuer()) {
            Ok(judged)
        } else {
            Err(Rejection::WrongIssuer.into())
        }
    }
}

impl TokenVerifier for Router {
    fn verify<'a>(&'a self, request: &'a VerifyRequest<'a>) -> Asked<'a, Verdict> {
        let digest = request.token.digest();
        let known = self.index.get(&digest);
        let n = match known.map_or_else(|| self.find(request), Ok) {
            Ok(n) => n,
            Err(rejection) => return Asked::Ready(Err(rejection.into())),
        };
        let Some(route) = self.routes.get(n) else {
            return Asked::Ready(Err(Rejection::UnknownIssuer.into()));
        };
        match route.verifier.verify(request) {
            Asked::Ready(verdict) => {
                let verdict = route.own(verdict);
                if verdict.is_ok() && known.is_none() {
                    self.index.insert(digest, n);
                }
                Asked::Ready(verdict)
            }
            Asked::Pending(asked) => Asked::Pending(Box::pin(async move { route.own(asked.await) })),
        }
    }

    /// Ready as soon as one issuer is: the outage of one must not take the service away from the others' users.
    fn ready<'a>(&'a self, deadline: Option<Instant>) -> Asked<'a, Result<(), Unavailable>> {
        let mut failure = None;
        let mut pending = Vec::new();
        for route in &self.routes {
            match route.verifier.ready(deadline) {
                Asked::Ready(Ok(())) => return Asked::Ready(Ok(())),
                Asked::Ready(Err(unavailable)) => failure = Some(unavailable),
                Asked::Pending(asked) => pending.push(asked),
            }
        }
        if pending.is_empty() {
            return Asked::Ready(failure.map_or(Ok(()), Err));
        }
        Asked::Pending(Box::pin(async move { select_ok(pending).await.map(|_| ()) }))
    }

    fn health(&self, now: Now) -> Health {
        let mut health = Health::new(None, Strategy::Custom);
        health.parts = self.routes.iter().map(|route| route.verifier.health(now)).collect();
        if let Some(first) = health.parts.first()
            && health.parts.iter().all(|part| part.ready.is_err())
        {
            health.ready = first.ready;
        }
        health
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("routes", &self.routes).finish_non_exhaustive()
    }
}
