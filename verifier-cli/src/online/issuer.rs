//! One issuer's server, asked step by step: metadata, keys, clock, introspection, a token.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use verifier::config::{IssuerConfig, RevocationSection, SignedAnswersSection, StrategyName};
use verifier::core::error::UnavailableReason;
use verifier::core::metadata::Metadata;
use verifier::core::transport::HttpTransport;
use verifier::{Backends, Reach, VerifiedToken, Verifier, VerifierConfig, VerifyError};

use super::finding::{Finding, Id, Severity};
use super::keys::Published;
use super::polite::Polite;
use super::{Message, keys, metadata, questions, token};

/// What all steps have in common.
pub(super) struct Visit<'a> {
    pub(super) config: &'a VerifierConfig,
    pub(super) section: &'a IssuerConfig,
    pub(super) reach: Reach,
    pub(super) polite: Arc<Polite>,
    out: Sender<Message>,
    /// Places that are known not to answer: said once.
    told: HashSet<(Id, String)>,
    /// Whether any address is one of plain http.
    plain: HashSet<String>,
}

/// What the steps before have brought.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    pub(super) metadata: Option<Metadata>,
    /// The metadata are another issuer's: what they name is not asked.
    pub(super) mismatch: bool,
    /// The key set; `None` if it couldn't be had.
    pub(super) keys: Option<Published>,
    pub(super) credentials: Answered,
    pub(super) jwts: Answered,
}

impl Learnt {
    /// What an answer of the introspection endpoint says of it, whatever it says of the token. A later one, about a real
    /// token, says more than one about a made-up one.
    pub(super) fn hear(&mut self, verdict: &Result<VerifiedToken, VerifyError>, is_jwt: bool) {
        let answered = match verdict {
            Ok(_) | Err(VerifyError::Rejected(_)) => Answered::Yes,
            Err(VerifyError::Unavailable(why)) if why.reason() == UnavailableReason::RefusedByServer => {
                Answered::No
            }
            _ => return,
        };
        if answered == Answered::Yes {
            self.credentials = Answered::Yes;
        }
        if is_jwt {
            self.jwts = answered;
        }
    }
}

/// Whether a server does something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Answered {
    Yes,
    No,
    #[default]
    Unknown,
}

/// Asks one issuer's server. `token` is this issuer's to judge.
pub(super) async fn visit(
    config: &VerifierConfig,
    section: &IssuerConfig,
    reach: Reach,
    token: Option<&str>,
    out: Sender<Message>,
) {
    let polite = Arc::new(Polite::new(Arc::clone(&reach.transport), Arc::clone(&reach.asking)));
    let (told, plain) = (HashSet::new(), HashSet::new());
    let mut visit = Visit { config, section, reach, polite, out, told, plain };
    let mut learnt = metadata::ask(&mut visit).await;
    learnt.keys = keys::ask(&mut visit, &learnt).await;
    questions::ask(&mut visit, &mut learnt).await;
    visit.judge_clock();
    visit.judge_plain_http();
    let verdicts = match token {
        Some(token) => Some(token::ask(&mut visit, &mut learnt, token).await),
        None => None,
    };
    questions::say_about_jwts(&visit, &learnt);
    questions::say_strategies(&visit, &learnt);
    if let Some(verdicts) = verdicts {
        token::say(&visit, &learnt, &verdicts);
    }
}

impl Visit<'_> {
    pub(super) fn tell(&self, finding: Finding) {
        // Nobody listens once the time is over.
        let _ = self.out.send(Message::Found(Box::new(finding.of(&self.section.issuer))));
    }

    /// Notes an address that is about to be asked.
    pub(super) fn note_address(&mut self, place: &str) {
        let reached = self.reached(place);
        if reached.starts_with("http://") {
            self.plain.insert(origin_of(&reached));
        }
    }

    /// Where an address really leads, by `connect`.
    fn reached(&self, place: &str) -> String {
        let own = origin_of(place);
        let detour = self.section.connect.iter().find(|(from, _)| origin_of(from) == own);
        detour.map_or_else(|| place.to_owned(), |(_, to)| to.clone())
    }

    /// Whether the configured strategy checks signatures.
    pub(super) fn needs_keys(&self) -> bool {
        self.section.strategy != StrategyName::Introspection
    }

    /// Whether the configured strategy asks about tokens.
    pub(super) fn needs_answers(&self) -> bool {
        self.section.strategy != StrategyName::Jwks
    }

    pub(super) const fn strategy(&self) -> &'static str {
        match self.section.strategy {
            StrategyName::Jwks => "jwks",
            StrategyName::Introspection => "introspection",
            StrategyName::Hybrid => "hybrid",
            StrategyName::Custom(_) => "custom",
        }
    }

    /// Why something could not be had, in words; said once a place. `what` is what was asked for, `needed` whether
    /// the configured strategy can do without.
    pub(super) fn failed(&mut self, why: UnavailableReason, what: &str, place: &str, needed: bool) {
        let severity = if needed { Severity::Problem } else { Severity::Warning };
        let origin = origin_of(place);
        let reached = self.reached(place);
        let detour = if reached == place { String::new() } else { format!(" (by connect: {reached})") };
        let finding = match why {
            UnavailableReason::ConnectFailed => Finding::new(
                Id::Unreachable,
                severity,
                format!("nobody answers at {origin}{detour}, where {what} should be"),
            )
            .means("the name does not resolve, nothing listens there, or a firewall is between")
            .remedy("check address and port from this very machine; if the server is reached at another address from here, say so by connect"),
            UnavailableReason::TlsFailed => Finding::new(
                Id::TlsFailed,
                severity,
                format!("no TLS connection with {origin}{detour}, where {what} should be"),
            )
            .means("its certificate is not trusted here, is expired or is another host's; or the port speaks no TLS")
            .remedy("name the CA's certificate in ca_file, or use the host that the certificate is for"),
            UnavailableReason::TimedOut => Finding::new(
                Id::TimedOut,
                severity,
                format!("no whole answer in time from {origin}{detour}, where {what} should be"),
            )
            .means("the server is slow or hangs, or a firewall drops what is sent")
            .remedy("try again; if it is always so slow, set timeout and connect_timeout in [issuer.keys] and [issuer.introspection]"),
            UnavailableReason::ServerError | UnavailableReason::RateLimited => Finding::new(
                Id::ServerError,
                severity,
                format!("the server is in trouble, or asks to be left alone, at {place} ({what})"),
            )
            .means("its own fault, not the configuration's")
            .remedy("look at the server's log; try again later"),
            UnavailableReason::Redirected => Finding::new(
                Id::Redirected,
                severity,
                format!("{place} ({what}) answers with a redirect{}", self.polite.redirect(place)),
            )
            .means("redirects are never followed, since they could lead keys and secrets elsewhere")
            .remedy("configure the address that it really is: https instead of http, no slash at the end, the host's full name"),
            _ => Finding::new(
                Id::UnreadableAnswer,
                severity,
                format!("what {place} answers is not {what}"),
            )
            .means("another program answers there, or a page for people")
            .remedy("check the address; open it in a browser or with curl"),
        };
        // Of an origin that doesn't answer one word is enough, of others one an address.
        let once = matches!(finding.id(), Id::Unreachable | Id::TlsFailed | Id::TimedOut);
        let key = (finding.id(), if once { origin } else { place.to_owned() });
        if self.told.insert(key) {
            self.tell(finding);
        }
    }

    fn judge_clock(&self) {
        let Some(ahead) = self.polite.clock_difference() else {
            if self.polite.was_answered() {
                self.tell(Finding::ok(
                    Id::ClockUnknown,
                    "the server doesn't say what time it is (no Date header), so the clocks can't be compared",
                ));
            }
            return;
        };
        let leeway = self.reach.policy.leeway().as_secs();
        let apart = ahead.unsigned_abs();
        let direction = if ahead > 0 { "ahead of" } else { "behind" };
        if apart <= 5 {
            self.tell(Finding::ok(Id::ClockAgrees, "the server's clock goes with ours"));
            return;
        }
        let severity = if apart > leeway { Severity::Problem } else { Severity::Warning };
        self.tell(
            Finding::new(
                Id::ClockDiffers,
                severity,
                format!("the server's clock is {apart} s {direction} ours; leeway forgives {leeway} s"),
            )
            .means(if ahead > 0 {
                "new tokens may be rejected as issued_in_future or not_yet_valid, and old ones live longer"
            } else {
                "tokens are rejected as expired before their time"
            })
            .remedy("let both machines take their time from the network (NTP); a greater leeway hides the difference"),
        );
    }

    fn judge_plain_http(&self) {
        let mut plain: Vec<_> = self.plain.iter().cloned().collect();
        plain.sort_unstable();
        if plain.is_empty() {
            return;
        }
        let (here, far): (Vec<_>, Vec<_>) = plain.into_iter().partition(|origin| is_loopback(origin));
        if !far.is_empty() {
            self.tell(
                Finding::warning(Id::PlainHttp, format!("plain http to {}", far.join(", ")))
                    .means("whoever is on the way reads tokens and secrets, and can replace keys")
                    .remedy("use https, with ca_file if the certificate is your own"),
            );
        } else if !here.is_empty() {
            self.tell(Finding::ok(
                Id::PlainHttp,
                format!("plain http, but on this machine alone ({})", here.join(", ")),
            ));
        }
    }

    /// The verifier that this section would make with another strategy; `None` where it can't.
    pub(super) fn verifier(&self, strategy: &StrategyName) -> Option<Verifier> {
        self.build(as_strategy(self.section, strategy)?)
    }

    /// One that asks about every token, also about those that the section refuses unasked.
    pub(super) fn asker(&self) -> Option<Verifier> {
        let mut section = as_strategy(self.section, &StrategyName::Introspection)?;
        section.opaque = None;
        self.build(section)
    }

    fn build(&self, section: IssuerConfig) -> Option<Verifier> {
        let mut config = self.config.clone();
        config.issuer = vec![section];
        let transport: Arc<dyn HttpTransport> = Arc::clone(&self.polite) as _;
        config.build_with(&Backends::new().transport(transport)).ok()
    }
}

/// The section under another strategy, without what that has no use for, and without its ways through the network,
/// which the transport knows.
fn as_strategy(section: &IssuerConfig, strategy: &StrategyName) -> Option<IssuerConfig> {
    let mut section = section.clone();
    section.connect.clear();
    section.ca_file = None;
    section.proxy = None;
    if let Some(asked) = section.introspection.as_mut().filter(|asked| asked.client_certificate.is_some()) {
        // The transport shows it.
        (asked.client_certificate, asked.client_key) = (None, None);
    }
    if section.strategy == *strategy {
        return Some(section);
    }
    match strategy {
        StrategyName::Jwks => {
            section.introspection = None;
            section.revocation = None;
            section.opaque = None;
        }
        StrategyName::Introspection | StrategyName::Hybrid => {
            let signed = section.introspection.as_ref()?.signed_answers.as_ref();
            let checks_answers = signed.is_some_and(|signed| *signed != SignedAnswersSection::Switch(false));
            section.opaque = None;
            if *strategy == StrategyName::Introspection {
                section.keys = section.keys.filter(|_| checks_answers);
                section.verified_tokens = None;
                section.types = None;
                let mut revocation = RevocationSection::default();
                revocation.freshness = section.revocation.and_then(|own| own.freshness);
                section.revocation = Some(revocation);
            }
        }
        StrategyName::Custom(_) => return None,
    }
    section.strategy = strategy.clone();
    Some(section)
}

/// `https://host:port` of an address.
pub(super) fn origin_of(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let port = if scheme == "https" { ":443" } else { ":80" };
    format!("{scheme}://{}", authority.strip_suffix(port).unwrap_or(authority)).to_ascii_lowercase()
}

fn is_loopback(origin: &str) -> bool {
    use verifier::core::endpoint::{Endpoint, Schemes};
    // The engine's own rule: plain http passes to loopback alone.
    Endpoint::parse(origin, Schemes::Secure).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_without_their_usual_port() {
        assert_eq!(origin_of("https://IdP.example:443/a?b"), "https://idp.example");
        assert_eq!(origin_of("http://127.0.0.1:8080/x"), "http://127.0.0.1:8080");
        assert!(is_loopback("http://127.0.0.1:1") && !is_loopback("http://idp.example"));
    }

    #[test]
    fn a_certificate_is_left_to_the_transport() {
        let text = "[[issuer]]\nissuer = \"https://idp.example\"\nstrategy = \"hybrid\"\nprofile = \"at+jwt\"\naudience = \"a\"\n\
                    [issuer.introspection]\nclient_id = \"me\"\nclient_auth = \"tls_client_auth\"\n\
                    client_certificate = { env = \"CERTIFICATE\" }\nclient_key = { env = \"KEY\" }\n";
        let config = VerifierConfig::from_toml(text).unwrap();
        for strategy in [StrategyName::Introspection, StrategyName::Hybrid] {
            let mut other = VerifierConfig::default();
            other.issuer = vec![as_strategy(&config.issuer[0], &strategy).unwrap()];
            let transport = Arc::new(verifier_testkit::doubles::ScriptedTransport::new());
            other.build_with(&Backends::new().transport(transport)).unwrap();
        }
    }

    #[test]
    fn every_strategy_of_one_section_can_be_built_but_not_without_introspection() {
        let toml = |strategy: &str, rest: &str| {
            let text = format!(
                "[[issuer]]\nissuer = \"https://idp.example\"\nstrategy = \"{strategy}\"\nprofile = \"at+jwt\"\naudience = \"a\"\n{rest}"
            );
            VerifierConfig::from_toml(&text).unwrap()
        };
        let asks = "[issuer.introspection]\nclient_auth = \"none\"\n";
        let hybrid = format!(
            "types = [\"at+jwt\"]\nopaque = \"introspect\"\nverified_tokens = false\n[issuer.keys]\nmax_age = \"5m\"\n{asks}\
             [issuer.revocation]\nfreshness = \"3s\"\nwhen_unknown = \"deny\"\nclaims = \"token\"\n"
        );
        for config in [toml("introspection", asks), toml("hybrid", &hybrid)] {
            for strategy in [StrategyName::Jwks, StrategyName::Introspection, StrategyName::Hybrid] {
                let section = as_strategy(&config.issuer[0], &strategy).unwrap();
                let mut other = VerifierConfig::default();
                other.issuer = vec![section];
                other.build().unwrap();
            }
        }
        let jwks = toml("jwks", "");
        assert!(as_strategy(&jwks.issuer[0], &StrategyName::Introspection).is_none());
        assert!(as_strategy(&jwks.issuer[0], &StrategyName::Hybrid).is_none());
    }
}
