//! Faults by script: what an endpoint does wrong, for ever or for the next requests.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::gate::Gate;

/// What the server is asked at.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Endpoint {
    /// Both metadata documents: OpenID Connect discovery and RFC 8414.
    Discovery,
    /// The JWK Set (RFC 7517 §5).
    Jwks,
    /// The token endpoint (RFC 6749 §3.2).
    Token,
    /// The introspection endpoint (RFC 7662).
    Introspection,
    /// The revocation endpoint (RFC 7009).
    Revocation,
    /// Any other path; answered with 404.
    Other,
}

/// One thing that goes wrong.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// This status with this body, as `text/plain`.
    Status(u16, String),
    /// This status (429 or 503) with `Retry-After` in seconds.
    RetryAfter(u16, u64),
    /// The request waits at the gate; the answer is decided after that.
    Delay(Gate),
    /// The answer is decided on arrival, and then waits at the gate: a slow network after the server has judged.
    DelayAnswer(Gate),
    /// The answer waits for this long in real time: for demonstrations and benches. Tests use a gate.
    DelayFor(Duration),
    /// The connection is accepted, the request read, and the connection closed without an answer.
    Close,
    /// The right headers with the full length, half of the body; then the connection is cut.
    HalfBody,
    /// The right answer, and blanks after it without an end.
    EndlessBody,
    /// A body of this many bytes: the right one with blanks after it.
    HugeBody(usize),
    /// 307 to this address.
    Redirect(String),
    /// The right answer with this content type.
    ContentType(String),
    /// 200 with a page of HTML.
    Html200,
    /// 200 with nothing.
    EmptyBody,
    /// The first request goes wrong, the second is served, the third goes wrong again, and so on.
    EveryOther(Box<Fault>),
    /// The first, then the second: a delay and then a failure, for instance.
    Then(Box<Fault>, Box<Fault>),
}

impl Fault {
    /// 503 for every other request, the first one included.
    pub fn flapping() -> Self {
        Self::every_other(Self::Status(503, String::new()))
    }

    /// This fault for every other request, the first one included.
    pub fn every_other(fault: Self) -> Self {
        Self::EveryOther(Box::new(fault))
    }

    /// This fault, and the next one on the same request.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        Self::Then(Box::new(self), Box::new(next))
    }
}

/// The script of a server. Clones are the same script.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<HashMap<Endpoint, Script>>>);

#[derive(Default)]
struct Script {
    next: VecDeque<Option<Fault>>,
    always: Option<Fault>,
    served: u64,
}

impl Faults {
    /// From now on, until it is cleared or replaced.
    pub fn on(&self, endpoint: Endpoint, fault: Fault) {
        let mut scripts = self.lock();
        let script = scripts.entry(endpoint).or_default();
        script.always = Some(fault);
        script.served = 0;
    }

    /// For the next `n` requests, after those that are queued already; what [`Self::on`] set waits meanwhile.
    pub fn next(&self, endpoint: Endpoint, n: usize, fault: Fault) {
        let queued = std::iter::repeat_n(Some(fault), n);
        self.lock().entry(endpoint).or_default().next.extend(queued);
    }

    /// Lets the next `n` requests be served rightly, after those that are queued already.
    pub fn next_good(&self, endpoint: Endpoint, n: usize) {
        self.lock().entry(endpoint).or_default().next.extend(std::iter::repeat_n(None, n));
    }

    /// Takes away all faults of one endpoint.
    pub fn clear(&self, endpoint: Endpoint) {
        self.lock().remove(&endpoint);
    }

    /// Takes away all faults.
    pub fn clear_all(&self) {
        self.lock().clear();
    }

    /// What goes wrong with the request that has just arrived: the simple faults, in order.
    pub(crate) fn take(&self, endpoint: Endpoint) -> Vec<Fault> {
        let mut scripts = self.lock();
        let mut steps = Vec::new();
        if let Some(script) = scripts.get_mut(&endpoint) {
            match script.next.pop_front() {
                Some(queued) => unfold(queued.as_ref(), 0, &mut steps),
                None => {
                    unfold(script.always.as_ref(), script.served, &mut steps);
                    script.served += 1;
                }
            }
        }
        steps
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Endpoint, Script>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").finish_non_exhaustive()
    }
}

fn unfold(fault: Option<&Fault>, served: u64, steps: &mut Vec<Fault>) {
    match fault {
        None => {}
        Some(Fault::EveryOther(inner)) if served.is_multiple_of(2) => unfold(Some(inner), 0, steps),
        Some(Fault::EveryOther(_)) => {}
        Some(Fault::Then(first, second)) => {
            unfold(Some(first), served, steps);
            unfold(Some(second), served, steps);
        }
        Some(simple) => steps.push(simple.clone()),
    }
}
