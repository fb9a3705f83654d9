//! One token of the user's: what each strategy says of it, and why.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use verifier::config::{OneOrMany, StrategyName};
use verifier::core::header::JoseHeader;
use verifier::core::json::{Json, JsonLimits, Number, Object};
use verifier::core::time::{Clock as _, SystemClock};
use verifier::core::token::{AccessToken, MAX_TOKEN_LEN, Shape};
use verifier::{Rejection, VerifiedToken, VerifyError};

use super::finding::{Finding, Id, Severity, foreign, foreign_list};
use super::issuer::{Answered, Learnt, Visit};
use super::keys;
use crate::clock::{rfc3339, spoken};

/// What revocation can't reach for as long is no matter of local checks alone.
const LONGEST_FOR_JWKS: Duration = Duration::from_secs(15 * 60);

/// What a JWT says of itself, believed by nobody: to tell its owner what was expected.
#[derive(Debug)]
pub(super) struct Claimed {
    header: JoseHeader,
    claims: Object,
}

impl Claimed {
    /// `None` for a token that is no JWT, or a malformed one.
    pub(super) fn of(token: &str) -> Option<Self> {
        let token = AccessToken::new(token, MAX_TOKEN_LEN).ok()?;
        let Ok(Shape::Jwt(jwt)) = token.shape() else { return None };
        let payload = URL_SAFE_NO_PAD.decode(jwt.payload_segment(&token)).ok()?;
        let claims = Object::parse(&payload, JsonLimits::CLAIMS).ok()?;
        Some(Self { header: jwt.header().clone(), claims })
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Json::as_str)
    }

    fn texts(&self, claim: &str) -> Vec<&str> {
        match self.claims.get(claim) {
            Some(Json::String(one)) => vec![one],
            Some(Json::Array(list)) => list.iter().filter_map(Json::as_str).collect(),
            _ => Vec::new(),
        }
    }

    #[allow(clippy::cast_possible_truncation)] // seconds since 1970
    fn time(&self, claim: &str) -> Option<i64> {
        match self.claims.get(claim)?.as_number()? {
            Number::Unsigned(n) => i64::try_from(n).ok(),
            Number::Signed(n) => Some(n),
            Number::Float(n) => Some(n as i64),
        }
    }
}

type Verdict = Result<VerifiedToken, VerifyError>;

/// What each strategy says.
pub(super) struct Verdicts {
    claimed: Option<Claimed>,
    is_jwt: bool,
    by: Vec<(&'static str, StrategyName, Verdict)>,
}

impl Verdicts {
    fn of(&self, strategy: &StrategyName) -> Option<&Verdict> {
        self.by.iter().find(|(_, own, _)| own == strategy).map(|(_, _, verdict)| verdict)
    }
}

/// Asks each strategy that the section can be built with. A JWT that names another issuer is sent to nobody.
pub(super) async fn ask(visit: &mut Visit<'_>, learnt: &mut Learnt, token: &str) -> Verdicts {
    let claimed = Claimed::of(token);
    let is_jwt =
        AccessToken::new(token, MAX_TOKEN_LEN).is_ok_and(|token| matches!(token.shape(), Ok(Shape::Jwt(_))));
    let other = |iss: &str| !visit.reach.rules.names().any(|name| &**name == iss);
    // A JWT that can't be read may be anybody's.
    let foreign_issuer = match &claimed {
        Some(claimed) => claimed.issuer().is_some_and(other),
        None => is_jwt,
    };
    let mut by = Vec::new();
    let all = [
        ("jwks", StrategyName::Jwks),
        ("introspection", StrategyName::Introspection),
        ("hybrid", StrategyName::Hybrid),
    ];
    for (name, strategy) in all {
        let asks = strategy != StrategyName::Jwks;
        // What can't be had was told already.
        let keys_missing = strategy != StrategyName::Introspection && learnt.keys.is_none();
        if asks && (foreign_issuer || learnt.credentials == Answered::No) || keys_missing {
            continue;
        }
        if let Some(verifier) = visit.verifier(&strategy) {
            let _ = visit.polite.take_exchange();
            let verdict = verifier.verify(token).await;
            if strategy == StrategyName::Introspection && visit.polite.take_exchange().is_some() {
                learnt.hear(&verdict, is_jwt);
            }
            by.push((name, strategy, verdict));
        }
    }
    Verdicts { claimed, is_jwt, by }
}

pub(super) fn say(visit: &Visit<'_>, learnt: &Learnt, verdicts: &Verdicts) {
    for (name, strategy, verdict) in &verdicts.by {
        visit.tell(verdict_of(visit, learnt, verdicts, name, strategy, verdict));
    }
    compare(visit, verdicts);
    let inactive = |strategy: &StrategyName| {
        matches!(verdicts.of(strategy), Some(Err(VerifyError::Rejected(Rejection::Inactive))))
    };
    // Hybrid asks about good tokens only.
    let good = matches!(verdicts.of(&StrategyName::Jwks), Some(Ok(_))) || inactive(&StrategyName::Hybrid);
    if let Some(claimed) =
        verdicts.claimed.as_ref().filter(|_| good && inactive(&StrategyName::Introspection))
    {
        visit.tell(why_inactive(visit, &claimed.texts("aud")));
    }
    lifetime(visit, verdicts);
}

fn verdict_of(
    visit: &Visit<'_>,
    learnt: &Learnt,
    verdicts: &Verdicts,
    name: &'static str,
    strategy: &StrategyName,
    verdict: &Verdict,
) -> Finding {
    let own = visit.section.strategy == *strategy;
    let severity = match verdict {
        _ if own => Severity::Problem,
        // Opaque tokens are no matter of that strategy.
        Err(VerifyError::Rejected(Rejection::NotAJwt)) => Severity::Ok,
        _ => Severity::Warning,
    };
    let would = if own { "is" } else { "would be" };
    match verdict {
        Ok(token) => {
            let expiry = token.expires_at().map_or_else(
                || "it doesn't say when it expires".to_owned(),
                |at| format!("expires {}", rfc3339(at)),
            );
            Finding::ok(Id::TokenVerified, format!("the token {would} verified; {expiry}"))
        }
        Err(VerifyError::Rejected(why)) => {
            let finding =
                Finding::new(Id::TokenRejected, severity, format!("the token {would} rejected: {why}"));
            explained(finding, visit, learnt, verdicts, *why)
        }
        Err(error) => Finding::new(
            Id::TokenUnavailable,
            severity,
            format!("the token can't be judged: {}", error.code()),
        )
        .means("nothing is said about the token: see what was found about the server"),
    }
    .by(name)
}

/// What a rejection means here; codes that say all by themselves are left to the list of codes.
fn explained(
    finding: Finding,
    visit: &Visit<'_>,
    learnt: &Learnt,
    verdicts: &Verdicts,
    why: Rejection,
) -> Finding {
    let claimed = verdicts.claimed.as_ref();
    let now = SystemClock.now().wall.unix_seconds();
    match why {
        Rejection::Inactive => finding.means(
            "the authorization server says that it is not, or no more, active: revoked, expired, logged out, or not \
             meant for this client to know",
        ),
        Rejection::NotAJwt => {
            finding.means("it is opaque: only introspection can say what it means").remedy(
                "for opaque tokens use strategy = \"introspection\", or \"hybrid\" with opaque = \"introspect\"",
            )
        }
        Rejection::UnknownKey | Rejection::AmbiguousKey | Rejection::KeyMismatch => {
            unknown_key(finding, visit, learnt, claimed.and_then(|it| it.header.kid()))
        }
        Rejection::WrongAudience => finding
            .expected(foreign_list(visit.section.audience.as_ref().map_or(&[][..], OneOrMany::list)))
            .means("the token, or the server's answer about it, names no audience of this service"),
        Rejection::Expired => {
            let ago = claimed.and_then(|it| it.time("exp")).map(|exp| now.saturating_sub(exp));
            finding
                .means(ago.map_or_else(
                    || "its time is over".to_owned(),
                    |ago| format!("its time was over {} ago", spoken(seconds(ago))),
                ))
                .remedy("get a new token for this check")
        }
        Rejection::InsufficientScope => finding
            .means("the token is good, and lacks a scope")
            .expected(foreign_list(&visit.section.required_scopes))
            .remedy("have the client ask for the scope, or take it out of required_scopes"),
        Rejection::LifetimeTooLong => finding
            .means("it lives for longer than max_lifetime allows")
            .remedy("shorten the lifetime at the server, or raise max_lifetime"),
        Rejection::MissingClaim => {
            let required = visit.reach.rules.profile.required.iter().map(|name| &**name);
            let required: Vec<_> =
                required.chain(visit.section.required_claims.iter().map(String::as_str)).collect();
            let absent = claimed.map(|it| {
                required.iter().filter(|name| it.claims.get(name).is_none_or(Json::is_null)).collect::<Vec<_>>()
            });
            let means = match absent {
                Some(absent) if !absent.is_empty() => {
                    format!("what the profile or the configuration demands is absent: {}", foreign_list(absent))
                }
                _ => "a claim that the profile or the configuration demands is absent".to_owned(),
            };
            finding
                .expected(foreign_list(required))
                .means(means)
                .remedy("choose the profile of your server; `verifier inspect -` shows what the token holds")
        }
        Rejection::NotAnAccessToken | Rejection::NoAccessTokenMark => finding
            .means("it looks like an ID or refresh token, or like nothing that this profile knows")
            .remedy("send the access token; choose the profile of your server"),
        _ => finding.remedy("docs/why-401.md has every code, its causes and cures"),
    }
}

fn unknown_key(finding: Finding, visit: &Visit<'_>, learnt: &Learnt, kid: Option<&str>) -> Finding {
    let Some(published) = &learnt.keys else { return finding };
    let finding = finding.expected(foreign_list(&published.usable));
    let Some(kid) = kid else {
        return finding.means("it names no key (kid), and none fits, or several do");
    };
    let skipped = published.skipped.iter().find(|(own, _)| own.as_deref() == Some(kid));
    let Some((_, reason)) = skipped else {
        return finding
            .means(format!("no key with its kid, {}, is published for its algorithm", foreign(kid)))
            .remedy("get a new token, this one may be older than the last rotation; check that the server publishes all keys that it signs with");
    };
    let finding = finding.means(format!(
        "the key that it names, {}, is published, and not used here: {}",
        foreign(kid),
        keys::in_words(*reason)
    ));
    match keys::remedy(*reason, visit.reach.key_rules.algorithms) {
        Some(remedy) => finding.remedy(remedy),
        None => finding,
    }
}

/// Expected against found, where they differ.
fn compare(visit: &Visit<'_>, verdicts: &Verdicts) {
    let Some(claimed) = &verdicts.claimed else {
        if verdicts.is_jwt {
            visit.tell(
                Finding::problem(Id::TokenIssuerDiffers, "the token's claims can't be read, nor whose it is")
                    .means("they are no JSON object, name a claim twice, or are larger than is read. It was sent to nobody"),
            );
        }
        return;
    };
    let rules = &visit.reach.rules;
    match claimed.issuer() {
        Some(iss) if rules.names().any(|name| &**name == iss) => {}
        None if rules.accepts_missing_issuer() => {}
        iss => visit.tell(
            Finding::problem(
                Id::TokenIssuerDiffers,
                format!("iss is {}", iss.map_or_else(|| "absent".to_owned(), foreign)),
            )
            .expected(foreign_list(rules.names().map(|name| &**name)))
            .means("the token is another issuer's, or the configured name is misspelt: they are compared byte for byte. It was sent to nobody")
            .remedy("if this is your server's token, write the name in iss into issuer"),
        ),
    }

    let claim = visit.section.audience_claim.as_deref().unwrap_or("aud");
    let wanted = visit.section.audience.as_ref().map_or(&[][..], OneOrMany::list);
    let found = claimed.texts(claim);
    // With introspection alone, and where its claims decide, the server's own word counts.
    if !visit.section.danger_accept_any_audience
        && !found.iter().any(|one| wanted.iter().any(|own| own == one))
        && !matches!(verdicts.of(&visit.section.strategy), Some(Ok(_)))
    {
        let found = if found.is_empty() { "absent".to_owned() } else { foreign_list(&found) };
        visit.tell(
            Finding::problem(Id::TokenAudienceDiffers, format!("{claim} is {found}"))
                .expected(foreign_list(wanted))
                .means("the token is not meant for this service; one for another service, stolen there, must not work here")
                .remedy("have the server put your audience into the token (Keycloak: a mapper \"Audience\"; Hydra: the parameter audience; others: resource, RFC 8707); or correct audience"),
        );
    }
    if !visit.needs_keys() {
        return;
    }
    let profile = &rules.profile;
    let fits = match claimed.header.typ() {
        None => profile.type_may_be_absent,
        Some(_) => profile.types.iter().any(|one| claimed.header.is_type(one)),
    };
    if !fits {
        let typ = claimed.header.typ().map_or_else(|| "absent".to_owned(), foreign);
        visit.tell(
            Finding::problem(Id::TokenTypeDiffers, format!("the header's typ is {typ}"))
                .expected(foreign_list(&profile.types))
                .means("the profile knows access tokens by their type, among others")
                .remedy(
                    "choose the profile of your server, or set types; make sure that it is an access token",
                ),
        );
    }
    let allowed = visit.reach.key_rules.algorithms;
    if !claimed.header.algorithm().is_some_and(|algorithm| allowed.contains(algorithm)) {
        let names: Vec<_> = allowed.iter().map(|algorithm| algorithm.name()).collect();
        visit.tell(
            Finding::problem(
                Id::TokenAlgorithmNotAllowed,
                format!("the header's alg is {}", foreign(claimed.header.algorithm_name())),
            )
            .expected(names.join(", "))
            .means("only the algorithms of the configuration are used, whatever a token says")
            .remedy("add it to keys.algorithms, if the server signs with it on purpose"),
        );
    }
}

/// Good by its signature and claims, and inactive at the server: why?
fn why_inactive(visit: &Visit<'_>, audience: &[&str]) -> Finding {
    let client = visit.section.introspection.as_ref().and_then(|section| section.client_id.as_deref());
    match client {
        Some(client) if !audience.contains(&client) => Finding::problem(
            Id::AudienceLacksCaller,
            format!(
                "the token is good by signature and claims, the server calls it inactive, and our client id {} is not in its aud ({})",
                foreign(client),
                foreign_list(audience)
            ),
        )
        .means("most likely it is not revoked: Keycloak, for one, calls every token inactive whose aud doesn't name the client that asks")
        .remedy(format!(
            "have the server put {} into aud as well (Keycloak: client scope, mapper \"Audience\", included client audience; \
             or switch the check off for this client by its attribute \"allow.token.introspection.without.audience.check\"); \
             then get a new token",
            foreign(client)
        )),
        _ => Finding::problem(
            Id::InactiveThoughValid,
            "the token is good by signature and claims, and the server calls it inactive",
        )
        .means("it was revoked, its session has ended, its client or user was disabled, or the server has changed its signing key (Hydra then answers inactive for tokens of the key before)")
        .remedy("get a new token; if that is inactive too, look at the server's log"),
    }
}

fn lifetime(visit: &Visit<'_>, verdicts: &Verdicts) {
    let times = |exp: Option<i64>, iat: Option<i64>| Some(seconds(exp?.saturating_sub(iat?)));
    let judged = verdicts.by.iter().find_map(|(_, _, verdict)| verdict.as_ref().ok());
    let lifetime = match judged {
        Some(token) => times(token.expires_at(), token.issued_at()),
        None => verdicts.claimed.as_ref().and_then(|it| times(it.time("exp"), it.time("iat"))),
    };
    let Some(lifetime) = lifetime.filter(|_| verdicts.is_jwt) else { return };
    let bound = visit.section.max_lifetime.map_or(LONGEST_FOR_JWKS, |span| span.get());
    let alone = visit.section.strategy == StrategyName::Jwks;
    visit.tell(if lifetime <= bound {
        Finding::ok(
            Id::LifetimeFitsJwks,
            format!("the token lives for {}: short enough for strategy jwks alone", spoken(lifetime)),
        )
    } else {
        let severity = if alone { Severity::Warning } else { Severity::Ok };
        let finding = Finding::new(
            Id::LifetimeTooLong,
            severity,
            format!(
                "the token lives for {}: with strategy jwks alone a revoked one would work on for as long",
                spoken(lifetime)
            ),
        )
        .expected(format!("at most {}", spoken(bound)));
        if alone {
            finding.remedy("shorten the lifetime at the server, or use strategy = \"hybrid\"")
        } else {
            finding
        }
    });
}

fn seconds(n: i64) -> Duration {
    Duration::from_secs(u64::try_from(n).unwrap_or_default())
}
