//! The issuer's metadata, at both well-known places, and by what name the server calls itself there.

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use verifier::config::{IssuerConfig, KeysSection, StrategyName};
use verifier::core::endpoint::{Endpoint, EndpointError};
use verifier::core::error::{Unavailable, UnavailableReason};
use verifier::core::json::{Json, JsonLimits, Object};
use verifier::core::metadata::{Metadata, MetadataError, discovery_urls};
use verifier::core::transport::HttpTransport as _;

use super::finding::{Finding, Id, Severity, foreign};
use super::issuer::{Learnt, Visit, origin_of};

/// What is at one place.
enum Place {
    Document(Box<Metadata>),
    /// Another issuer's document.
    Other(String),
    /// Nothing of the kind.
    Absent,
    /// What the engine takes no document from.
    Failed(UnavailableReason),
}

pub(super) async fn ask(visit: &mut Visit<'_>) -> Learnt {
    let mut learnt = Learnt::default();
    let needed = is_needed(visit.section);
    let issuer = visit.section.issuer.clone();
    let mut found = Vec::new();
    let mut failed = false;
    for url in discovery_urls(&issuer).unwrap_or_default() {
        let endpoint = match Endpoint::parse(url.as_str(), visit.reach.schemes) {
            Ok(endpoint) => endpoint,
            // The offline check lets it pass only where nobody has to go there.
            Err(EndpointError::PlainHttp) => break,
            Err(_) => continue,
        };
        let place = endpoint.to_string();
        visit.note_address(&place);
        match fetch(visit, &endpoint, &issuer).await {
            Place::Document(metadata) => {
                found.push(place);
                learnt.metadata.get_or_insert(*metadata);
            }
            Place::Other(name) => {
                // The place that is looked at first decides.
                learnt.mismatch |= learnt.metadata.is_none();
                visit.tell(mismatch(&issuer, &name, &place, learnt.metadata.is_none()));
                break;
            }
            Place::Absent => {}
            // Nobody looks there once the document is found.
            Place::Failed(_) if learnt.metadata.is_some() => break,
            Place::Failed(why) => {
                failed = true;
                visit.failed(why, "the issuer's metadata", &place, needed);
                if why != UnavailableReason::Redirected {
                    break;
                }
            }
        }
    }
    if let Some(metadata) = &learnt.metadata {
        let names = |what: &str, is: bool| format!("{what}: {}", if is { "named" } else { "not named" });
        visit.tell(Finding::ok(
            Id::MetadataFound,
            format!(
                "the server calls itself {}, as configured ({}; {}; {})",
                foreign(metadata.issuer()),
                found.join(" and "),
                names("key set", metadata.jwks_uri().is_some()),
                names("introspection endpoint", metadata.introspection_endpoint().is_some()),
            ),
        ));
    } else if !failed && !learnt.mismatch {
        let severity = if needed { Severity::Problem } else { Severity::Ok };
        let finding = Finding::new(
            Id::MetadataMissing,
            severity,
            format!("no metadata of {} at its well-known places", foreign(&issuer)),
        );
        visit.tell(if needed {
            finding
                .means("where keys and introspection endpoint are can't be found out; most often the issuer's name is misspelt")
                .remedy("check issuer, its path too; or name the addresses: keys.url, introspection.endpoint")
        } else {
            finding.means("no harm: the configuration names the addresses itself")
        });
    }
    learnt
}

async fn fetch(visit: &Visit<'_>, endpoint: &Endpoint, issuer: &str) -> Place {
    let mut request = Request::new(Bytes::new());
    let Ok(uri) = endpoint.as_str().parse() else { return Place::Absent };
    *request.uri_mut() = uri;
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let response = match visit.polite.send(request, visit.reach.refresh.limits()).await {
        Ok(response) => response,
        Err(error) => return Place::Failed(Unavailable::from(error).reason()),
    };
    match response.status() {
        StatusCode::OK => match Metadata::parse(response.body(), issuer) {
            Ok(metadata) => Place::Document(Box::new(metadata)),
            Err(MetadataError::IssuerMismatch) => {
                let document = Object::parse(response.body(), JsonLimits::DOCUMENT).ok();
                let name = document.as_ref().and_then(|it| it.get("issuer")).and_then(Json::as_str);
                Place::Other(name.unwrap_or_default().to_owned())
            }
            Err(MetadataError::MalformedMember) => Place::Failed(UnavailableReason::UnreadableAnswer),
            Err(_) => Place::Absent,
        },
        status if status.is_redirection() => Place::Failed(UnavailableReason::Redirected),
        StatusCode::TOO_MANY_REQUESTS => Place::Failed(UnavailableReason::RateLimited),
        status if status.is_server_error() => Place::Failed(UnavailableReason::ServerError),
        _ => Place::Absent,
    }
}

/// Whether the configured strategy finds its addresses there.
fn is_needed(section: &IssuerConfig) -> bool {
    let keys = section.strategy != StrategyName::Introspection && are_discovered(section.keys.as_ref());
    let endpoint = section.introspection.as_ref().is_some_and(|section| section.endpoint.is_none());
    keys || (section.strategy != StrategyName::Jwks && endpoint)
}

/// Whether the keys' address comes from the metadata.
pub(super) fn are_discovered(keys: Option<&KeysSection>) -> bool {
    keys.is_none_or(|keys| {
        keys.url.is_none()
            && keys.file.is_none()
            && keys.inline.is_none()
            && keys.pem.is_none()
            && keys.secret.is_none()
            && keys.secrets.is_empty()
            && keys.source.is_none()
    })
}

fn mismatch(configured: &str, named: &str, place: &str, decides: bool) -> Finding {
    let severity = if decides { Severity::Problem } else { Severity::Warning };
    let finding = Finding::new(
        Id::IssuerMismatch,
        severity,
        format!("the server at {place} calls itself {}{}", foreign(named), difference(configured, named)),
    )
    .expected(foreign(configured));
    if !decides {
        return finding
            .means(
                "the other well-known place names the issuer as configured and is the one that counts here",
            )
            .remedy("tell whoever runs the server that its two documents contradict each other");
    }
    finding
        .means(
            "a token says in iss who issued it, and that has to be the configured name, byte for byte: with the wrong \
             name every token is rejected, and nothing that the server says of itself is believed",
        )
        .remedy(remedy(configured, named))
}

fn remedy(configured: &str, named: &str) -> String {
    let spelling = format!("if this is the server that you mean, write issuer = {}", foreign(named));
    let (from, to) = (origin_of(named), origin_of(configured));
    if from == to {
        return spelling;
    }
    format!(
        "{spelling}; if that name leads elsewhere from here, add connect = {{ {} = {} }}",
        foreign(&from),
        foreign(&to)
    )
}

/// The usual differences, by name.
fn difference(one: &str, other: &str) -> &'static str {
    let without_slash = |text: &str| text.strip_suffix('/').unwrap_or(text).to_owned();
    let scheme = |text: &str| text.split_once("://").map_or(text, |(_, rest)| rest).to_owned();
    if without_slash(one) == without_slash(other) {
        ": they differ in a slash at the end"
    } else if one.eq_ignore_ascii_case(other) {
        ": they differ in upper and lower case"
    } else if without_slash(&scheme(one)) == without_slash(&scheme(other)) {
        ": they differ in http and https"
    } else {
        let path = |text: &str| scheme(text).split_once('/').map(|(_, path)| path.to_owned());
        if path(one) == path(other) { ": they differ in host or port" } else { "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_differences_have_names() {
        let of = |other| difference("https://idp.example/realms/a", other);
        assert!(of("https://idp.example/realms/a/").contains("slash"));
        assert!(of("https://idp.example/realms/A").contains("case"));
        assert!(of("http://idp.example/realms/a").contains("https"));
        assert!(of("https://other.example/realms/a").contains("host"));
        assert_eq!(of("https://other.example/realms/b"), "");
    }

    #[test]
    fn metadata_are_needed_where_an_address_is_left_out() {
        let needed = |strategy: &str, rest: &str| {
            let text = format!(
                "[[issuer]]\nissuer = \"https://idp.example\"\nstrategy = \"{strategy}\"\nprofile = \"at+jwt\"\naudience = \"a\"\n{rest}"
            );
            is_needed(&verifier::VerifierConfig::from_toml(&text).unwrap().issuer[0])
        };
        assert!(needed("jwks", "") && !needed("jwks", "[issuer.keys]\nurl = \"https://idp.example/k\""));
        assert!(needed("introspection", "[issuer.introspection]\n"));
        assert!(!needed("introspection", "[issuer.introspection]\nendpoint = \"https://idp.example/i\""));
        assert!(needed("hybrid", "[issuer.introspection]\nendpoint = \"https://idp.example/i\""));
    }
}
