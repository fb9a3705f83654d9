#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::*;
use crate::claims::{AnswerError, Facts};
use crate::error::Rejection;
use crate::fixtures::{AUDIENCE, Claims, ISSUER, header, judged, object, rules};

fn verdict(profile: &TokenProfile, typ: &str, claims: &Claims) -> Option<Rejection> {
    judged(profile, &header(typ), &claims.text()).err()
}

/// An ID token in the words of OpenID Connect Core §2 for the API itself: the audience rule doesn't help.
fn id_token() -> Claims {
    Claims::new().without("client_id").without("scope").with("aud", format!("{AUDIENCE:?}"))
}

#[test]
fn only_google_s_profile_is_for_id_tokens_and_says_so() {
    for name in TokenProfile::NAMES {
        assert_eq!(TokenProfile::by_name(name).unwrap().id_tokens, *name == "google-id-token", "{name}");
    }
}

#[test]
fn who_has_no_introspection_endpoint_is_known() {
    for name in TokenProfile::NAMES {
        let none = TokenProfile::by_name(name).unwrap().introspection == IntrospectionOffer::None;
        assert_eq!(none, ["auth0", "entra", "cognito", "google-id-token"].contains(name), "{name}");
    }
}

// R06
#[test]
fn id_tokens_for_the_api_itself_are_refused_by_what_they_lack() {
    let plain = id_token().with("sid", "\"s\"").with("email", "\"a@example.com\"");
    for profile in [TokenProfile::auth0(), TokenProfile::okta(), TokenProfile::entra()] {
        let claims = plain.clone().with("ver", "\"2.0\"").with("amr", "[\"pwd\"]");
        for typ in ["\"JWT\"", "\"at+jwt\""] {
            let why = verdict(&profile, typ, &claims);
            let lacking = [Some(Rejection::NoAccessTokenMark), Some(Rejection::MissingClaim)];
            assert!(lacking.contains(&why), "{}: {why:?}", profile.name);
        }
    }
    let cognito = TokenProfile::cognito();
    let id = plain.with("token_use", "\"id\"").with("cognito:username", "\"alice\"");
    assert_eq!(verdict(&cognito, "", &id), Some(Rejection::NotAnAccessToken));
    // Even one that names its client; and `token_use` is a text, or nothing.
    let odd = Claims::of(&cognito);
    for (raw, why) in [
        ("\"id\"", Rejection::NotAnAccessToken),
        ("[\"access\"]", Rejection::NotAnAccessToken),
        ("\"something\"", Rejection::NoAccessTokenMark),
        ("null", Rejection::NoAccessTokenMark),
    ] {
        assert_eq!(verdict(&cognito, "", &odd.clone().with("token_use", raw)), Some(why), "{raw}");
    }
}

#[test]
fn auth0_s_both_dialects_are_accepted() {
    let auth0 = TokenProfile::auth0();
    let audiences = format!("[{AUDIENCE:?},\"https://tenant.auth0.com/userinfo\"]");
    let own = Claims::of(&auth0).without("jti").with("aud", audiences.clone());
    let facts = |typ: &str, claims: &Claims| judged(&auth0, &header(typ), &claims.text()).unwrap();
    let roles = own.clone().with("permissions", r#"["read:orders"]"#);
    assert_eq!(facts("\"JWT\"", &roles).roles().collect::<Vec<_>>(), ["read:orders"]);
    assert_eq!(facts("\"JWT\"", &own).client_id(), Some("app"));
    // A client's own token without any scope.
    assert_eq!(verdict(&auth0, "\"JWT\"", &own.without("scope")), None);
    let rfc9068 = Claims::new().with("aud", audiences);
    assert_eq!(facts("\"at+jwt\"", &rfc9068).client_id(), Some("app"));
    assert_eq!(verdict(&auth0, "", &rfc9068), Some(Rejection::WrongType));
}

#[test]
fn okta_s_org_server_s_tokens_are_refused_by_their_type() {
    let okta = TokenProfile::okta();
    for typ in ["\"application/okta-internal-at+jwt\"", "\"okta-internal-at+jwt\""] {
        assert_eq!(verdict(&okta, typ, &Claims::of(&okta)), Some(Rejection::WrongType), "{typ}");
    }
}

// R04, R05: the answers say `Bearer` of every kind.
#[test]
fn okta_s_answers_about_id_tokens_are_refused() {
    let rules = rules(&TokenProfile::okta());
    let read = |members: &str| {
        let text = format!(
            r#"{{"active":true,"token_type":"Bearer","client_id":"app","iss":{ISSUER:?},"exp":1800000300{members}}}"#
        );
        Facts::from_answer(object(&text), &rules).map(drop)
    };
    let refused = Err(AnswerError::Rejected(Rejection::NotAnAccessToken));
    for id in [r#","aud":"app""#, r#","aud":["app"]"#, r#","aud":"x","at_hash":"h""#, r#","nonce":"n""#] {
        assert_eq!(read(id), refused, "{id}");
    }
    assert_eq!(read(&format!(r#","aud":{AUDIENCE:?},"scope":"read""#)), Ok(()));
}

#[test]
fn entra_s_tokens_bear_scopes_or_roles_beside_their_client() {
    let entra = TokenProfile::entra();
    let of = |claims: &Claims| verdict(&entra, "\"JWT\"", claims);
    let user = Claims::of(&entra);
    let bare = user.clone().without("scp").without("azp");
    let refused = Some(Rejection::NoAccessTokenMark);
    for client in ["azp", "appid"] {
        let bare = bare.clone().with(client, "\"app\"");
        assert_eq!(of(&bare), refused, "{client}: an application that was granted nothing");
        let granted = bare.with("roles", r#"["Orders.Read.All"]"#);
        let facts = judged(&entra, &header("\"JWT\""), &granted.text()).unwrap();
        assert_eq!(facts.client_id(), Some("app"));
        assert_eq!(facts.roles().collect::<Vec<_>>(), ["Orders.Read.All"]);
    }
    // A user's ID token has the user's roles, and for one registration of both it has the API's audience.
    assert_eq!(of(&bare.with("roles", r#"["admin"]"#)), refused);
    // Where application and API are one registration, the audience is the client.
    assert_eq!(of(&user.clone().with("azp", format!("{AUDIENCE:?}"))), None);
    assert_eq!(of(&user.without("ver")), Some(Rejection::MissingClaim));
}

#[test]
fn google_s_profile_takes_service_tokens_and_no_sign_in() {
    let google = TokenProfile::google_id_token();
    let of = |claims: &Claims| verdict(&google, "\"JWT\"", claims);
    let service = id_token().without("jti").with("azp", "\"1129\"").with("sub", "\"1129\"");
    assert_eq!(of(&service), None);
    assert_eq!(of(&service.clone().without("azp")), None);
    for (name, raw) in [
        ("nonce", "\"n\""),
        ("at_hash", "\"h\""),
        ("c_hash", "\"h\""),
        ("events", "{}"),
        // The application's own id, even where somebody has configured it as audience.
        ("azp", &*format!("{AUDIENCE:?}")),
    ] {
        assert_eq!(of(&service.clone().with(name, raw)), Some(Rejection::NotAnAccessToken), "{name}");
    }
    assert_eq!(verdict(&google, "\"at+jwt\"", &service), Some(Rejection::WrongType));
    assert_eq!(verdict(&google, "", &service), Some(Rejection::WrongType));
}

#[test]
fn all_of_no_marks_is_no_mark() {
    let mut profile = TokenProfile::generic();
    profile.positive_marks = vec![Mark::All(Vec::new())];
    assert_eq!(verdict(&profile, "", &Claims::new()), Some(Rejection::NoAccessTokenMark));
    profile.positive_marks = Vec::new();
    profile.refused_marks = vec![Mark::All(Vec::new())];
    assert_eq!(verdict(&profile, "", &Claims::new()), None);
}

/// What tells an access token of each provider, said once more in other words than the profile's.
fn may_be_accepted(name: &str, has: impl Fn(&str) -> Option<&'static str>) -> bool {
    let id_token = ["nonce", "at_hash", "c_hash"].into_iter().any(|mark| has(mark).is_some());
    let client = |name| has(name).is_some();
    !id_token
        && match name {
            "auth0" => client("azp") || client("client_id"),
            "okta" => client("cid") && has("scp").is_some() && has("jti").is_some(),
            "entra" => has("scp").is_some() || (has("roles").is_some() && (client("azp") || client("appid"))),
            "cognito" => client("client_id") && has("token_use") == Some("\"access\""),
            _ => true,
        }
}

/// Claims with each of their values.
const WORDS: &[(&str, &[&str])] = &[
    ("azp", &["\"app\""]),
    ("appid", &["\"app\""]),
    ("cid", &["\"app\""]),
    ("client_id", &["\"app\""]),
    ("scp", &["\"read\""]),
    ("scope", &["\"read\"", "\"openid\""]),
    ("roles", &["[\"admin\"]"]),
    ("token_use", &["\"access\"", "\"id\""]),
    ("jti", &["\"j\""]),
    ("sid", &["\"s\""]),
    ("ver", &["\"2.0\"", "1"]),
    ("email", &["\"a@example.com\""]),
    ("gty", &["\"password\""]),
    ("nonce", &["\"n\""]),
    ("at_hash", &["\"h\""]),
    ("c_hash", &["\"h\""]),
];

proptest::proptest! {
    #[test]
    fn nothing_but_an_access_token_passes(
        picks in proptest::collection::vec(0_usize..3, WORDS.len()),
        typ in proptest::sample::select(vec!["", "\"JWT\""]),
    ) {
        let mut claims = Claims::new().without("client_id").without("scope").without("jti");
        let mut said = Vec::new();
        for ((name, values), pick) in WORDS.iter().zip(picks) {
            if let Some(value) = values.get(pick) {
                claims = claims.with(name, *value);
                said.push((*name, *value));
            }
        }
        let has = |name: &str| said.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
        for profile in [
            TokenProfile::auth0(),
            TokenProfile::okta(),
            TokenProfile::entra(),
            TokenProfile::cognito(),
            TokenProfile::google_id_token(),
        ] {
            if verdict(&profile, typ, &claims).is_none() {
                proptest::prop_assert!(may_be_accepted(&profile.name, has), "{}: {said:?}", profile.name);
            }
        }
    }
}
