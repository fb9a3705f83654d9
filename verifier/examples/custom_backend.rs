//! A backend of one's own, API keys in a table, beside other issuers in one configuration; and the proof that it keeps
//! the contract of `TokenVerifier`: the conformance suite of the testkit.
//!
//! Run with `cargo run -p verifier --example custom_backend`.
#![allow(clippy::print_stdout)] // what an example is for

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use verifier::core::claims::Facts;
use verifier::core::json::{JsonLimits, Object};
use verifier::core::policy::{IssuerRules, Role};
use verifier::core::profile::TokenProfile;
use verifier::core::time::{Clock, Instant, Now, SystemClock};
use verifier::{
    Asked, Backends, Evidence, Health, Judged, Rejection, Strategy, TokenVerifier, Unavailable,
    ValidationPolicy, Verdict, VerifierConfig, VerifyRequest,
};
use verifier_testkit::conformance::{Kind, Subject, conformance};

const ISSUER: &str = "https://keys.example.com";
const AUDIENCE: &str = "https://api.example.com";

/// API keys, and what they stand for. A real one would keep hashes.
struct ApiKeys {
    keys: Mutex<HashMap<String, Arc<Facts>>>,
    rules: IssuerRules,
    policy: ValidationPolicy,
}

impl ApiKeys {
    fn new() -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            keys: Mutex::default(),
            rules: IssuerRules::new(ISSUER, TokenProfile::generic())?,
            policy: ValidationPolicy::for_audience(AUDIENCE).build()?,
        })
    }

    fn add(&self, key: &str, claims: &str) -> Result<(), Box<dyn Error>> {
        let claims = Object::parse(claims.as_bytes(), JsonLimits::CLAIMS)?;
        let facts = Facts::from_answer(claims, &self.rules).map_err(|_| "these claims can't be used")?;
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), Arc::new(facts));
        Ok(())
    }

    fn judge(&self, request: &VerifyRequest<'_>) -> Verdict {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let facts = keys.get(request.token.as_str()).ok_or(Rejection::Inactive)?;
        // The policy of the request, where it brings one; judged at every call.
        request.policy.unwrap_or(&self.policy).judge(facts, request.arrival.wall, Role::Decides)?;
        Ok(Judged::new(Arc::clone(facts), Evidence::new(Strategy::Custom)))
    }
}

/// Shows no key: whatever stands above prints its backends.
impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys").finish_non_exhaustive()
    }
}

impl TokenVerifier for ApiKeys {
    fn verify<'a>(&'a self, request: &'a VerifyRequest<'a>) -> Asked<'a, Verdict> {
        Asked::Ready(self.judge(request))
    }

    fn ready<'a>(&'a self, _: Option<Instant>) -> Asked<'a, Result<(), Unavailable>> {
        Asked::Ready(Ok(()))
    }

    fn health(&self, _: Now) -> Health {
        Health::new(Some(ISSUER.into()), Strategy::Custom)
    }
}

/// A key of each kind that the suite asks for.
fn mint(keys: &ApiKeys, kind: Kind) -> Option<String> {
    static SERIAL: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let n = SERIAL.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let now = SystemClock.now().wall.unix_seconds();
    let (audience, expires_at) = match kind {
        Kind::Good => (AUDIENCE, now + 3_600),
        Kind::Expired => (AUDIENCE, now - 3_600),
        Kind::OtherAudience => ("https://other.example.com", now + 3_600),
        // A key that nobody added.
        Kind::Tampered | Kind::OtherIssuer => return Some(format!("unknown-{n}")),
        _ => return None,
    };
    let key = format!("key-{n}");
    let claims = format!(
        r#"{{ "sub": "robot-{n}", "client_id": "robots", "aud": "{audience}", "exp": {expires_at}, "scope": "orders:read" }}"#
    );
    keys.add(&key, &claims).ok()?;
    Some(key)
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let keys = Arc::new(ApiKeys::new()?);
    let exp = SystemClock.now().wall.unix_seconds() + 3_600;
    keys.add(
        "s3cret-key",
        &format!(r#"{{ "sub": "robot", "client_id": "robots", "aud": "{AUDIENCE}", "exp": {exp} }}"#),
    )?;

    let toml = format!("[[issuer]]\nissuer = {ISSUER:?}\nstrategy = 'custom:api-keys'");
    let backends = Backends::new().verifier("api-keys", keys.clone());
    let verifier = VerifierConfig::from_toml(&toml)?.build_with(&backends)?;
    println!("{:?}", verifier.verify("s3cret-key").await?.subject());

    let minted = keys.clone();
    let subject = Subject::new(keys, Arc::new(SystemClock), move |kind| mint(&minted, kind)).bearing(
        ISSUER,
        AUDIENCE,
        "orders:read",
    );
    let report = conformance(&subject).await;
    println!("{report}");
    if report.conforms() { Ok(()) } else { Err("the backend breaks the contract".into()) }
}
