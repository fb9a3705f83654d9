//! Signed tokens for unit tests: claims sets are texts made by hand, so that duplicates and odd types can be said, and
//! every token goes the real way, through the gate and a checked signature.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::{Arc, LazyLock};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::algorithm::{Algorithm, AlgorithmSet};
use crate::claims::{AnswerError, Facts};
use crate::error::Rejection;
use crate::json::{JsonLimits, Object};
use crate::jwk::{self, KeyRules};
use crate::jwt::{UnverifiedJwt, ValidationError};
use crate::key::VerificationKey;
use crate::policy::{IssuerRules, ValidationPolicy};
use crate::profile::TokenProfile;
use crate::signature::AwsLc;
use crate::time::WallTime;
use crate::token::AccessToken;

pub(crate) const ISSUER: &str = "https://idp.example/realms/main";
pub(crate) const AUDIENCE: &str = "https://api.example";
/// When the tokens are judged, in seconds since the epoch.
pub(crate) const NOW: i64 = 1_800_000_000;
/// `exp` of [`Claims`].
pub(crate) const EXP: i64 = NOW + 300;

struct Signer {
    pair: Ed25519KeyPair,
    x: String,
}

static SIGNER: LazyLock<Signer> = LazyLock::new(|| {
    let pair = Ed25519KeyPair::generate().unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    Signer { pair, x }
});

/// The key that [`sign`] signs with; a new one at each call, so that one test's withdrawal is not another's.
pub(crate) fn key() -> Arc<VerificationKey> {
    let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}","kid":"k","alg":"Ed25519"}}"#, SIGNER.x);
    let rules = KeyRules::new(AlgorithmSet::of(&[Algorithm::Ed25519]));
    Arc::new(jwk::import(&object(&jwk), &rules, &AwsLc).unwrap())
}

pub(crate) fn object(text: &str) -> Object {
    Object::parse(text.as_bytes(), JsonLimits::CLAIMS).unwrap()
}

/// A token of these very bytes, with a good signature.
pub(crate) fn sign(header: &str, payload: &[u8]) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = SIGNER.pair.sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

/// A header with this `typ`, given as JSON; `""` for none.
pub(crate) fn header(typ: &str) -> String {
    if typ.is_empty() {
        r#"{"alg":"EdDSA","kid":"k"}"#.into()
    } else {
        format!(r#"{{"alg":"EdDSA","kid":"k","typ":{typ}}}"#)
    }
}

/// A claims set as text in the making: names with raw JSON.
#[derive(Clone)]
pub(crate) struct Claims(Vec<(String, String)>);

impl Claims {
    /// Everything that any of the profiles asks for.
    pub(crate) fn new() -> Self {
        Self(Vec::new())
            .with("iss", format!("{ISSUER:?}"))
            .with("sub", r#""alice""#)
            .with("aud", format!("[{AUDIENCE:?}]"))
            .with("exp", EXP.to_string())
            .with("iat", (NOW - 10).to_string())
            .with("jti", r#""j-1""#)
            .with("client_id", r#""app""#)
            .with("scope", r#""read write""#)
    }

    /// What an access token of this profile says.
    pub(crate) fn of(profile: &TokenProfile) -> Self {
        match &*profile.name {
            "keycloak" => Self::new()
                .without("client_id")
                .with("azp", r#""app""#)
                .with("typ", r#""Bearer""#)
                .with("realm_access", r#"{"roles":["admin","user"]}"#),
            "hydra" => Self::new().without("scope").with("scp", r#"["read","write"]"#).with("ext", "{}"),
            "auth0" => Self::new().without("client_id").with("azp", r#""app""#),
            "okta" => Self::new()
                .without("client_id")
                .without("scope")
                .with("cid", r#""app""#)
                .with("scp", r#"["read","write"]"#),
            "entra" => Self::new()
                .without("client_id")
                .without("scope")
                .with("azp", r#""app""#)
                .with("scp", r#""read write""#)
                .with("ver", r#""2.0""#),
            "cognito" => Self::new().with("token_use", r#""access""#),
            _ => Self::new(),
        }
    }

    /// The same, with this claim set or replaced.
    pub(crate) fn with(mut self, name: &str, raw: impl Into<String>) -> Self {
        let raw = raw.into();
        match self.0.iter_mut().find(|(own, _)| own == name) {
            Some((_, old)) => *old = raw,
            None => self.0.push((name.into(), raw)),
        }
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(own, _)| own != name);
        self
    }

    pub(crate) fn text(&self) -> String {
        let members: Vec<_> = self.0.iter().map(|(name, raw)| format!("\"{name}\":{raw}")).collect();
        format!("{{{}}}", members.join(","))
    }
}

/// The profiles of access tokens, each with a header of its own tokens.
pub(crate) fn profiles() -> [(TokenProfile, String); 8] {
    [
        (TokenProfile::at_jwt(), header(r#""at+jwt""#)),
        (TokenProfile::generic(), header(r#""JWT""#)),
        (TokenProfile::keycloak(), header(r#""JWT""#)),
        (TokenProfile::hydra(), header(r#""JWT""#)),
        (TokenProfile::auth0(), header(r#""JWT""#)),
        (TokenProfile::okta(), header("")),
        (TokenProfile::entra(), header(r#""JWT""#)),
        (TokenProfile::cognito(), header("")),
    ]
}

pub(crate) fn rules(profile: &TokenProfile) -> IssuerRules {
    IssuerRules::new(ISSUER, profile.clone()).unwrap()
}

/// A policy for [`AUDIENCE`] that forgives nothing.
pub(crate) fn policy() -> ValidationPolicy {
    ValidationPolicy::for_audience(AUDIENCE).leeway(std::time::Duration::ZERO).build().unwrap()
}

/// The whole way of a token: gate, signature, claims, policy.
pub(crate) fn validate(
    token: &str,
    rules: &IssuerRules,
    policy: &ValidationPolicy,
) -> Result<Facts, ValidationError> {
    let token = AccessToken::new(token, 64 * 1024)?;
    UnverifiedJwt::parse(&token)?.check_signature(&key())?.validate(
        rules,
        policy,
        WallTime::from_unix_seconds(NOW),
    )
}

/// The verdict on a claims set under a profile.
pub(crate) fn judged(profile: &TokenProfile, header: &str, payload: &str) -> Result<Facts, Rejection> {
    validate(&sign(header, payload.as_bytes()), &rules(profile), &policy()).map_err(|error| error.rejection())
}

/// The verdict on claims under the generic profile.
pub(crate) fn generic(claims: &Claims) -> Result<Facts, Rejection> {
    judged(&TokenProfile::generic(), &header(""), &claims.text())
}

/// An active answer's facts under the generic profile.
pub(crate) fn answered(members: &str) -> Result<Facts, AnswerError> {
    Facts::from_answer(object(members), &rules(&TokenProfile::generic()))
}
