//! The introspection endpoint, asked about two tokens that nobody ever issued: does it take our credentials, and does
//! it take JWTs? Asked by the verifier's own introspector, as a service asks.

use std::hash::{BuildHasher as _, RandomState};

use verifier::config::{ClientAuthName, IntrospectionSection, StrategyName};
use verifier::core::endpoint::Endpoint;
use verifier::core::error::UnavailableReason;
use verifier::core::time::{Clock as _, SystemClock};
use verifier::{Rejection, VerifiedToken, VerifyError};
use verifier_testkit::{Algorithm, SigningKey, TokenForge};

use super::finding::{Finding, Id, Severity, foreign, foreign_list};
use super::issuer::{Answered, Learnt, Visit};
use super::polite::Exchange;

pub(super) async fn ask(visit: &mut Visit<'_>, learnt: &mut Learnt) {
    let needed = visit.needs_answers();
    let Some(section) = visit.section.introspection.clone() else { return };
    if section.endpoint.is_none() && learnt.metadata.is_none() {
        let found =
            "the introspection endpoint was not asked: where it is has to come from the issuer's metadata";
        visit.tell(Finding::warning(Id::NotAsked, found));
        return;
    }
    let Some(verifier) = visit.asker() else {
        let found = "the introspection endpoint was not asked: this section makes no verifier of strategy introspection";
        visit.tell(Finding::ok(Id::NotAsked, found));
        return;
    };
    let address = section.endpoint.as_deref().or_else(|| learnt.metadata.as_ref()?.introspection_endpoint());
    // Its query may hold a key.
    let address = address.map(|it| it.split(['?', '#']).next().unwrap_or_default().to_owned());
    if let Some(address) = &address {
        visit.note_address(address);
    }

    let _ = visit.polite.take_exchange();
    let outcome = verifier.verify(&made_up_opaque()).await;
    let exchange = visit.polite.take_exchange();
    let answer = exchange.as_ref().map(Exchange::answer).unwrap_or_default();
    let place = exchange.map(|it| it.place).or(address).unwrap_or_default();
    // Where the token is got that we ask with, if we came no further.
    let granting = is_token_endpoint(visit, learnt, &section, &place);
    let what = if granting { "the token endpoint" } else { "the introspection endpoint" };
    learnt.credentials = Answered::Yes;
    match &outcome {
        Err(VerifyError::Rejected(Rejection::Inactive)) => {
            visit.tell(accepted(&section, &place));
        }
        Ok(_) | Err(VerifyError::Rejected(_)) => visit.tell(everything_active(&place, "a made-up token")),
        Err(VerifyError::Unavailable(why)) => {
            learnt.credentials = Answered::Unknown;
            match why.reason() {
                UnavailableReason::CredentialsRefused => {
                    learnt.credentials = Answered::No;
                    visit.tell(refused(&section, learnt, &place, &answer));
                    return;
                }
                UnavailableReason::RefusedByServer => visit.tell(
                    Finding::warning(
                        Id::OpaqueNotIntrospectable,
                        format!("{place} answers {answer} to a made-up opaque token"),
                    )
                    .means("whether it takes our credentials can't be said; opaque tokens that it doesn't know are unavailable (503) instead of rejected"),
                ),
                UnavailableReason::Misconfigured if granting => {
                    visit.tell(no_grant(&place, &answer, needed));
                    return;
                }
                UnavailableReason::Misconfigured => {
                    visit.tell(missing(&place, learnt, &answer, needed));
                    return;
                }
                _ if section.signed_answers.is_some() && is_about_signatures(why.reason()) => {
                    visit.tell(not_signed(why.reason(), &place, needed));
                    return;
                }
                other => {
                    visit.failed(other, what, &place, needed);
                    return;
                }
            }
        }
        Err(_) => {
            learnt.credentials = Answered::Unknown;
            return;
        }
    }

    let inactive = |outcome: &Verdict| matches!(outcome, Err(VerifyError::Rejected(Rejection::Inactive)));
    let active =
        |outcome: &Verdict| matches!(outcome, Ok(_) | Err(VerifyError::Rejected(_))) && !inactive(outcome);
    let of_jwt = verifier.verify(&made_up_jwt(visit.reach.rules.issuer())).await;
    if visit.polite.take_exchange().is_some() {
        learnt.hear(&of_jwt, true);
        if active(&of_jwt) && !active(&outcome) {
            visit.tell(everything_active(&place, "a JWT"));
        }
    }
}

fn is_token_endpoint(
    visit: &Visit<'_>,
    learnt: &Learnt,
    section: &IntrospectionSection,
    place: &str,
) -> bool {
    let configured = section.client_credentials.as_ref().and_then(|grant| grant.token_endpoint.as_deref());
    let metadata = learnt.metadata.as_ref().filter(|_| configured.is_none());
    let named = metadata.into_iter().flat_map(|it| [it.token_endpoint(), it.mtls_token_endpoint()]).flatten();
    section.client_auth == Some(ClientAuthName::ClientCredentials)
        && configured
            .into_iter()
            .chain(named)
            .filter_map(|address| Endpoint::parse(address, visit.reach.schemes).ok())
            .any(|endpoint| endpoint.to_string() == place)
}

type Verdict = Result<VerifiedToken, VerifyError>;

fn everything_active(place: &str, what: &str) -> Finding {
    Finding::problem(Id::EverythingActive, format!("{place} calls {what} active that nobody ever issued"))
        .means("whoever makes up a token is let in: this is no authorization server to rely on, or a test double")
        .remedy("check introspection.endpoint")
}

/// Whether this says something of how answers are signed, or of the keys that check them.
const fn is_about_signatures(why: UnavailableReason) -> bool {
    matches!(
        why,
        UnavailableReason::AnswerNotSigned
            | UnavailableReason::AnswerEncrypted
            | UnavailableReason::AnswerNotTrusted
            | UnavailableReason::TooStale
            | UnavailableReason::KeysNotLoaded
            | UnavailableReason::KeysStale
            | UnavailableReason::KeysUnconfirmed
    )
}

fn not_signed(why: UnavailableReason, place: &str, needed: bool) -> Finding {
    let severity = if needed { Severity::Problem } else { Severity::Warning };
    let found =
        format!("what {place} answers is not signed as introspection.signed_answers demands: {}", why.code());
    Finding::new(Id::AnswersNotSigned, severity, found)
        .means("no answer is believed: every token that is asked about is unavailable (503)")
        .remedy(
            "compare the algorithm with the client's introspection_signed_response_alg at the server, and the audience \
             with what it calls us; see what was found about its keys; or leave signed_answers out",
        )
}

fn no_grant(place: &str, answer: &str, needed: bool) -> Finding {
    let severity = if needed { Severity::Problem } else { Severity::Warning };
    Finding::new(Id::IntrospectionMissing, severity, format!("no token to ask with was granted at {place} ({answer})"))
        .means("no token can be asked about: every one is unavailable (503)")
        .remedy(
            "check token_endpoint, scope and parameters in introspection.client_credentials, and that this client may \
             use the grant client_credentials",
        )
}

fn accepted(section: &IntrospectionSection, place: &str) -> Finding {
    let who = section.client_id.as_ref().map(|id| format!("client {} ", foreign(id))).unwrap_or_default();
    let found = format!("{place} answers {who}about a made-up token: inactive, as it should be");
    let finding = Finding::ok(Id::CredentialsAccepted, found);
    if section.client_id.is_none() && section.client_secret.is_none() {
        return finding.means("it asks nobody who he is: only your own services should be able to reach it");
    }
    finding
}

fn refused(section: &IntrospectionSection, learnt: &Learnt, place: &str, answer: &str) -> Finding {
    let who = section
        .client_id
        .as_ref()
        .map_or_else(|| "without a client id".to_owned(), |id| format!("as client {}", foreign(id)));
    let offered = learnt
        .metadata
        .as_ref()
        .and_then(|metadata| metadata.introspection_endpoint_auth_methods_supported())
        .filter(|methods| !methods.is_empty());
    let mut remedy = match (&section.client_secret, section.client_auth) {
        (None, None | Some(ClientAuthName::None)) => {
            "the server wants to know who asks: give client_id and client_secret".to_owned()
        }
        _ => "check client_id and its secret or key, and that this client may introspect at all".to_owned(),
    };
    let basic = section.client_auth.is_none_or(|method| method == ClientAuthName::ClientSecretBasic);
    if basic && section.client_secret.is_some() {
        remedy.push_str(
            "; if both are right and hold other characters than letters, digits and -._~, try client_auth = \
             \"client_secret_basic_raw\" or \"client_secret_post\"",
        );
    }
    if let Some(methods) = offered {
        remedy.push_str(&format!(". The server says that it takes {}", foreign_list(methods)));
    }
    Finding::problem(Id::CredentialsRefused, format!("{place} refuses us ({answer}), {who}"))
        .means("no token can be asked about: every one is unavailable (503), none is rejected for it")
        .remedy(remedy)
}

fn missing(place: &str, learnt: &Learnt, answer: &str, needed: bool) -> Finding {
    let severity = if needed { Severity::Problem } else { Severity::Warning };
    let named = learnt.metadata.as_ref().and_then(|metadata| metadata.introspection_endpoint());
    let (found, remedy) = match (place, named) {
        ("", None) => (
            "the issuer's metadata name no introspection endpoint".to_owned(),
            "name it in introspection.endpoint (Hydra's is on the admin port), or use strategy = \"jwks\"",
        ),
        (place, Some(_)) if answer.is_empty() => (
            format!(
                "the issuer's metadata name an introspection endpoint on another site, {}",
                foreign(place)
            ),
            "if it may have your secret and all tokens, name it in introspection.endpoint",
        ),
        (place, _) => (
            format!("there is no introspection endpoint at {place} ({answer})"),
            "check introspection.endpoint; leave it out to have it looked up in the issuer's metadata",
        ),
    };
    Finding::new(Id::IntrospectionMissing, severity, found)
        .means("no token can be asked about: every one is unavailable (503)")
        .remedy(remedy)
}

/// What was learnt about JWTs, from a made-up one or from the user's own.
pub(super) fn say_about_jwts(visit: &Visit<'_>, learnt: &Learnt) {
    match learnt.jwts {
        Answered::Yes => {
            visit
                .tell(Finding::ok(Id::JwtIntrospectable, "the introspection endpoint answers for JWTs, too"));
        }
        Answered::No => {
            let severity = if visit.section.strategy == StrategyName::Hybrid {
                Severity::Problem
            } else {
                Severity::Warning
            };
            visit.tell(
                Finding::new(
                    Id::JwtNotIntrospectable,
                    severity,
                    "the introspection endpoint refuses to answer for a JWT (RFC 7662 leaves that to it; node-oidc-provider does so)",
                )
                .means("its JWTs are unavailable (503, refused_by_server) with strategies introspection and hybrid; opaque tokens are not concerned")
                .remedy("for JWTs of this issuer use strategy = \"jwks\", with max_lifetime; for revocation within seconds have the server issue opaque tokens and use strategy = \"introspection\""),
            );
        }
        Answered::Unknown => {}
    }
}

/// Which strategies this server allows, beside the one that is configured.
pub(super) fn say_strategies(visit: &Visit<'_>, learnt: &Learnt) {
    let keys = match &learnt.keys {
        Some(keys) if !keys.usable.is_empty() => Ok(()),
        Some(_) => Err("no usable key"),
        None if learnt.mismatch => Err("the issuer's name is not the server's"),
        None => Err("no key set to be had"),
    };
    let answers = match (&visit.section.introspection, learnt.credentials) {
        (None, _) if learnt.metadata.as_ref().is_some_and(|it| it.introspection_endpoint().is_some()) => {
            Err("not tried: there is an endpoint, and no [issuer.introspection] section")
        }
        (None, _) => Err("no [issuer.introspection] section"),
        (_, Answered::Yes) => Ok(()),
        (_, Answered::No) => Err("our credentials are refused"),
        (_, Answered::Unknown) => Err("no answer to be had"),
    };
    let both = keys.and(answers).and(match learnt.jwts {
        Answered::No => Err("JWTs are not introspectable"),
        _ => Ok(()),
    });
    let name = |name: &str, possible: Result<(), &str>| match possible {
        Ok(()) => format!("{name}: possible"),
        Err(why) => format!("{name}: no ({why})"),
    };
    let found = [name("jwks", keys), name("introspection", answers), name("hybrid", both)].join("; ");
    let all = [("jwks", keys), ("introspection", answers), ("hybrid", both)];
    let possible: Vec<_> = all.into_iter().filter(|(_, can)| can.is_ok()).map(|(name, _)| name).collect();
    let configured = match visit.section.strategy {
        StrategyName::Jwks => keys,
        StrategyName::Introspection => answers,
        _ => both,
    };
    let finding = match configured {
        Ok(()) => Finding::ok(Id::Strategies, format!("{found}. Configured: {}", visit.strategy())),
        Err(_) => {
            Finding::problem(Id::StrategyNotPossible, format!("{found}. Configured: {}", visit.strategy()))
                .means("with this configuration no token, or none of the JWTs, can be verified")
                .remedy(match possible.as_slice() {
                    [] => "see what was found above; after that, check again".to_owned(),
                    others => format!(
                        "see what was found above; or use a strategy that is possible as things are: {}",
                        others.join(" or ")
                    ),
                })
        }
    };
    visit.tell(finding);
}

/// A text that no server has issued. Nothing hangs on its being unguessable.
fn made_up_opaque() -> String {
    let random = || RandomState::new().hash_one(0_u8);
    format!("config-check-{:016x}{:016x}", random(), random())
}

/// A well-formed JWT of this issuer, signed with a key that nobody has.
fn made_up_jwt(issuer: &str) -> String {
    let now = SystemClock.now().wall.unix_seconds();
    let key = SigningKey::generate(Algorithm::ES256).with_kid("config-check");
    TokenForge::new("{}", "{}")
        .header("typ", "at+jwt")
        .claim("iss", issuer)
        .claim("sub", "config-check")
        .claim("client_id", "config-check")
        .claim("aud", issuer)
        .claim("iat", now)
        .claim("exp", now.saturating_add(300))
        .claim("jti", made_up_opaque())
        .for_key(&key)
        .sign(&key)
}
