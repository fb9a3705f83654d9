#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::*;
use crate::claims::Facts;
use crate::fixtures::{AUDIENCE, Claims, ISSUER, header, judged, profiles};

fn verdict(profile: &TokenProfile, typ: &str, claims: &Claims) -> Option<Rejection> {
    judged(profile, &header(typ), &claims.text()).err()
}

/// None of the profiles takes these claims under this `typ`, for one of these reasons.
fn nobody_takes(what: &str, typ: &str, claims: &dyn Fn(Claims) -> Claims, reasons: &[Rejection]) {
    for (profile, _) in profiles() {
        let verdict = verdict(&profile, typ, &claims(Claims::of(&profile)));
        assert!(
            verdict.is_some_and(|reason| reasons.contains(&reason)),
            "{what}, {}: {verdict:?}",
            profile.name
        );
    }
}

#[test]
fn a_profile_is_found_by_its_name() {
    for name in TokenProfile::NAMES {
        assert_eq!(TokenProfile::by_name(name).unwrap().name, *name);
    }
    for name in ["", "AT+JWT", "at_jwt", "default", "any"] {
        assert_eq!(TokenProfile::by_name(name), None, "{name}");
    }
}

#[test]
fn a_required_claim_of_ones_own_that_says_nothing_is_missing() {
    for (mut profile, header) in profiles() {
        profile.required.push("tenant".into());
        let claims = Claims::of(&profile);
        let verdict = |claims: &Claims| judged(&profile, &header, &claims.text()).err();
        assert_eq!(verdict(&claims.clone().with("tenant", r#""t-1""#)), None, "{}", profile.name);
        for nothing in ["null", r#""""#] {
            let claims = claims.clone().with("tenant", nothing);
            assert_eq!(verdict(&claims), Some(Rejection::MissingClaim), "{}: {nothing}", profile.name);
        }
    }
}

// E10
#[test]
fn the_type_is_a_media_type_of_the_profile() {
    let rfc = TokenProfile::at_jwt();
    for typ in ["at+jwt", "AT+JWT", "at+JWT", "application/at+jwt", "Application/AT+jwt"] {
        assert_eq!(verdict(&rfc, &format!("{typ:?}"), &Claims::new()), None, "{typ}");
    }
    for typ in [
        "",
        "\"JWT\"",
        "\"jwt\"",
        "\"\"",
        "\"at+jwt;v=1\"",
        "\"text/at+jwt\"",
        "\"application/application/at+jwt\"",
        "\" at+jwt\"",
        "\"at+jwt \"",
        "\"application/\"",
        "\"id+jwt\"",
        "\"a\\u0000t+jwt\"",
    ] {
        assert_eq!(verdict(&rfc, typ, &Claims::new()), Some(Rejection::WrongType), "{typ}");
    }
    for typ in ["1", "null", "[\"at+jwt\"]"] {
        assert_eq!(verdict(&rfc, typ, &Claims::new()), Some(Rejection::MalformedHeader), "{typ}");
    }
    for (profile, _) in profiles() {
        let expected = (!profile.type_may_be_absent).then_some(Rejection::WrongType);
        assert_eq!(verdict(&profile, "", &Claims::of(&profile)), expected, "{}", profile.name);
        assert_eq!(verdict(&profile, "\"at+jwt\"", &Claims::of(&profile)), None, "{}", profile.name);
    }
}

// E03 to E08: kinds that name themselves.
#[test]
fn other_types_are_refused_by_name() {
    for typ in [
        "logout+jwt",
        "secevent+jwt",
        "dpop+jwt",
        "client-authentication+jwt",
        "token-introspection+jwt",
        "statuslist+jwt",
        "vp+jwt",
        "vc+sd-jwt",
        "dc+sd-jwt",
        "kb+jwt",
        "oauth-authz-req+jwt",
        "id_token",
        "refresh",
        "JWS",
        "JOSE",
        "application/secevent+jwt",
    ] {
        nobody_takes(typ, &format!("{typ:?}"), &|claims| claims, &[Rejection::WrongType]);
    }
}

// E01, R05, R06
#[test]
fn id_tokens_are_refused() {
    let marks = [("at_hash", "\"x\""), ("c_hash", "\"x\""), ("s_hash", "\"x\"")];
    for (name, raw) in marks {
        nobody_takes(
            name,
            "\"JWT\"",
            &|claims| claims.with(name, raw),
            &[Rejection::NotAnAccessToken, Rejection::WrongType],
        );
    }
    nobody_takes(
        "an id token that says so",
        "\"JWT\"",
        &|claims| claims.with("typ", "\"ID\""),
        &[Rejection::NotAnAccessToken, Rejection::WrongType],
    );
    // As OpenID Connect Core §2 has it, and nothing more.
    nobody_takes(
        "a plain id token",
        "\"JWT\"",
        &|claims| {
            let claims =
                claims.without("client_id").without("scope").without("scp").without("typ").without("jti");
            claims.with("azp", "\"app\"").with("aud", "\"app\"").with("nonce", "\"n\"")
        },
        &[
            Rejection::NotAnAccessToken,
            Rejection::WrongType,
            Rejection::MissingClaim,
            Rejection::NoAccessTokenMark,
        ],
    );
    // Even one whose audience is this very API.
    nobody_takes(
        "an id token for this API",
        "\"JWT\"",
        &|claims| claims.without("client_id").without("scope").without("scp").without("typ").without("azp"),
        &[Rejection::NoAccessTokenMark, Rejection::WrongType, Rejection::MissingClaim],
    );
    // A nonce tells an ID token apart, but where the server puts one into access tokens.
    for (profile, _) in profiles() {
        let verdict = verdict(&profile, "\"JWT\"", &Claims::of(&profile).with("nonce", "\"n\""));
        match &*profile.name {
            "keycloak" => assert_eq!(verdict, None),
            "at+jwt" => assert_eq!(verdict, Some(Rejection::WrongType)),
            _ => assert_eq!(verdict, Some(Rejection::NotAnAccessToken)),
        }
    }
}

#[test]
fn a_token_for_its_own_client_alone_is_an_id_token() {
    let own = |raw: &str| {
        let claims = Claims::new().with("client_id", format!("{AUDIENCE:?}")).with("aud", raw);
        verdict(&TokenProfile::generic(), "\"JWT\"", &claims)
    };
    assert_eq!(own(&format!("{AUDIENCE:?}")), Some(Rejection::NotAnAccessToken));
    assert_eq!(own(&format!("[{AUDIENCE:?}]")), Some(Rejection::NotAnAccessToken));
    assert_eq!(own(&format!("[{AUDIENCE:?},{AUDIENCE:?}]")), Some(Rejection::NotAnAccessToken));
    assert_eq!(own(&format!("[{AUDIENCE:?},\"other\"]")), None);
    // Keycloak tells its kinds by `typ`; there it is an ordinary access token.
    let claims = Claims::of(&TokenProfile::keycloak())
        .with("azp", format!("{AUDIENCE:?}"))
        .with("aud", format!("{AUDIENCE:?}"));
    assert_eq!(verdict(&TokenProfile::keycloak(), "\"JWT\"", &claims), None);
}

// E02, R04, R06
#[test]
fn refresh_tokens_are_refused() {
    for (name, raw) in [
        ("typ", "\"Refresh\""),
        ("typ", "\"Offline\""),
        ("typ", "\"refresh\""),
        ("token_use", "\"refresh_token\""),
        ("token_use", "\"refresh\""),
        ("token_use", "\"id\""),
    ] {
        nobody_takes(
            raw,
            "\"JWT\"",
            &|claims| claims.with(name, raw),
            &[Rejection::NotAnAccessToken, Rejection::WrongType],
        );
    }
}

// E03, E04
#[test]
fn logout_tokens_and_security_events_are_refused_untyped_too() {
    let events = r#"{"http://schemas.openid.net/event/backchannel-logout":{}}"#;
    for raw in [events, "{}", "[]", "\"x\"", "false"] {
        nobody_takes(
            "events",
            "\"JWT\"",
            &|claims| claims.with("events", raw),
            &[Rejection::NotAnAccessToken, Rejection::WrongType],
        );
    }
    nobody_takes(
        "typ says Logout",
        "\"JWT\"",
        &|claims| claims.with("typ", "\"Logout\""),
        &[Rejection::NotAnAccessToken, Rejection::WrongType],
    );
}

// E05
#[test]
fn proofs_are_refused_untyped_too() {
    for (name, raw) in [("htm", "\"GET\""), ("htu", "\"https://api.example/x\"")] {
        nobody_takes(
            name,
            "\"JWT\"",
            &|claims| claims.with(name, raw),
            &[Rejection::NotAnAccessToken, Rejection::WrongType],
        );
    }
}

// E06
#[test]
fn client_assertions_are_refused() {
    // RFC 7523 §3: iss and sub are the client, aud the server.
    nobody_takes(
        "an assertion by its issuer",
        "\"JWT\"",
        &|claims| claims.with("iss", "\"app\"").with("sub", "\"app\"").with("aud", format!("{ISSUER:?}")),
        &[Rejection::WrongIssuer],
    );
    nobody_takes(
        "an assertion with our issuer",
        "\"JWT\"",
        &|claims| {
            let claims =
                claims.without("client_id").without("scope").without("scp").without("azp").without("typ");
            claims.with("aud", format!("{ISSUER:?}"))
        },
        &[Rejection::WrongType, Rejection::NoAccessTokenMark, Rejection::MissingClaim],
    );
}

// E07, E08, E09
#[test]
fn introspection_answers_status_lists_and_presentations_are_refused_untyped_too() {
    for (name, raw) in [
        ("token_introspection", r#"{"active":true}"#),
        ("vp", r#"{"type":"VerifiablePresentation"}"#),
        ("vc", "{}"),
    ] {
        nobody_takes(
            name,
            "\"JWT\"",
            &|claims| claims.with(name, raw),
            &[Rejection::NotAnAccessToken, Rejection::WrongType],
        );
    }
    nobody_takes(
        "a status list",
        "\"JWT\"",
        &|claims| {
            let claims =
                claims.without("client_id").without("scope").without("scp").without("azp").without("typ");
            claims.with("status_list", r#"{"bits":1,"lst":"eNrbuRgAAhcBXQ"}"#)
        },
        &[Rejection::WrongType, Rejection::NoAccessTokenMark, Rejection::MissingClaim],
    );
}

// E11
#[test]
fn a_token_for_another_resource_is_refused() {
    for (profile, head) in profiles() {
        let claims = Claims::of(&profile).with("aud", "\"https://other.example\"").text();
        assert_eq!(
            judged(&profile, &head, &claims).err(),
            Some(Rejection::WrongAudience),
            "{}",
            profile.name
        );
    }
}

// E12
#[test]
fn an_untyped_token_needs_a_mark_of_an_access_token() {
    let bare = Claims::new().without("client_id").without("scope");
    let generic = TokenProfile::generic();
    for typ in ["", "\"JWT\"", "\"at+jwt\""] {
        assert_eq!(verdict(&generic, typ, &bare), Some(Rejection::NoAccessTokenMark), "{typ}");
    }
    for (name, raw) in
        [("client_id", "\"app\""), ("azp", "\"app\""), ("scope", "\"read\""), ("scp", "[\"read\"]")]
    {
        assert_eq!(verdict(&generic, "", &bare.clone().with(name, raw)), None, "{name}");
    }
    let keycloak = TokenProfile::keycloak();
    let claims = Claims::of(&keycloak);
    assert_eq!(verdict(&keycloak, "\"JWT\"", &claims.clone().with("typ", "\"DPoP\"")), None);
    for (raw, why) in [
        ("\"Serialized-ID\"", Rejection::NoAccessTokenMark),
        ("\"InitialAccessToken\"", Rejection::NoAccessTokenMark),
        ("\"\"", Rejection::NoAccessTokenMark),
        ("null", Rejection::NoAccessTokenMark),
        // What should be a text and isn't refuses, and proves nothing.
        ("[\"Bearer\"]", Rejection::NotAnAccessToken),
        ("1", Rejection::NotAnAccessToken),
    ] {
        assert_eq!(verdict(&keycloak, "\"JWT\"", &claims.clone().with("typ", raw)), Some(why), "{raw}");
    }
    assert_eq!(verdict(&keycloak, "\"JWT\"", &claims.without("typ")), Some(Rejection::NoAccessTokenMark));
    let hydra = TokenProfile::hydra();
    let claims = Claims::of(&hydra).without("scp");
    assert_eq!(verdict(&hydra, "\"JWT\"", &claims), Some(Rejection::NoAccessTokenMark));
}

#[test]
fn an_explicit_type_settles_the_kind() {
    for (profile, _) in profiles() {
        let claims = Claims::of(&profile).with("nonce", "\"n\"");
        assert_eq!(verdict(&profile, "\"at+jwt\"", &claims), None, "{}", profile.name);
    }
}

#[test]
fn a_mark_that_is_null_is_no_mark() {
    let claims = Claims::new().with("nonce", "null").with("events", "null");
    assert_eq!(verdict(&TokenProfile::generic(), "\"JWT\"", &claims), None);
}

#[test]
fn the_client_is_named_by_the_first_claim_of_the_profile() {
    let client = |profile: &TokenProfile, head: &str, claims: &Claims| {
        judged(profile, head, &claims.text())
            .ok()
            .and_then(|facts: Facts| facts.client_id().map(str::to_owned))
    };
    let generic = TokenProfile::generic();
    let bare = Claims::new().without("client_id");
    for name in ["client_id", "azp", "cid", "appid"] {
        let claims = bare.clone().with(name, "\"who\"");
        assert_eq!(client(&generic, &header(""), &claims).as_deref(), Some("who"), "{name}");
    }
    let both = Claims::new().with("azp", "\"other\"");
    assert_eq!(client(&generic, &header(""), &both).as_deref(), Some("app"));
}
