//! Each provider's example accepts that provider's access tokens and no other token that the same keys sign, and a
//! provider that can't be asked is never configured to be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod stage;

use std::sync::LazyLock;
use std::time::Duration;

use stage::{Stage, code};
use verifier::config::IssuerConfig;
use verifier::{Freshness, Strategy, VerifiedToken, Verifier, VerifierConfig, VerifyError, examples};
use verifier_testkit::{
    Algorithm, Answer, AuthorizationServer, Client, Endpoint, IntrospectionAuth, Profile,
    RESOURCE_SERVER_SECRET, SigningKey, TokenRequest,
};

/// An RSA key takes its time to make.
static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::RS256));

/// An example as it is printed, at work against a server that writes as that provider does.
struct Site {
    stage: Stage,
    server: AuthorizationServer,
    verifier: Verifier,
    audience: String,
}

impl Site {
    fn new(example: &str, profile: Profile) -> Self {
        Self::with(example, profile, |_| {})
    }

    /// The example with a change of the test's own.
    fn with(example: &str, profile: Profile, change: impl FnOnce(&mut IssuerConfig)) -> Self {
        let stage = Stage::new();
        let mut config = VerifierConfig::from_toml(&printed(example, &stage)).unwrap();
        let issuer = &mut config.issuer[0];
        change(issuer);
        let caller = issuer.introspection.as_ref().and_then(|section| section.client_id.clone());
        let server = stage.server_with(|builder| {
            let builder = builder.issuer(issuer.issuer.clone()).signing_key(KEY.clone()).profile(profile);
            match caller {
                Some(caller) => builder.client(Client::new(caller, RESOURCE_SERVER_SECRET)),
                None => builder.introspection_auth(IntrospectionAuth::None),
            }
        });
        let origin = url(&issuer.issuer);
        issuer.connect.insert(origin, server.origin());
        // What isn't discovered is at an address of the provider's own.
        if let Some(keys) = issuer.keys.as_mut().filter(|keys| keys.url.is_some()) {
            keys.url = Some(server.jwks_uri());
        }
        if let Some(asked) = issuer.introspection.as_mut().filter(|section| section.endpoint.is_some()) {
            asked.endpoint = Some(server.introspection_endpoint());
        }
        let audience = issuer.audience.as_ref().unwrap().list()[0].clone();
        let verifier =
            config.build_with(&stage.backends()).unwrap_or_else(|error| panic!("{example}: {error}"));
        Self { stage, server, verifier, audience }
    }

    /// For this API.
    fn request(&self) -> TokenRequest {
        TokenRequest::new().audience(self.audience.clone())
    }

    fn of_alice(&self) -> TokenRequest {
        self.request().subject("alice").scope("orders:read")
    }

    async fn verify(&self, token: &str) -> Result<VerifiedToken, VerifyError> {
        self.verifier.verify(token).await
    }

    async fn accepted(&self, request: TokenRequest) -> VerifiedToken {
        self.verify(&self.server.issue(request).token).await.unwrap()
    }

    async fn code(&self, request: TokenRequest) -> &'static str {
        code(&self.verify(&self.server.issue(request).token).await)
    }

    async fn id_token(&self, request: TokenRequest) -> &'static str {
        code(&self.verify(&self.server.issue_id_token(request).token).await)
    }

    async fn refresh_token(&self, request: TokenRequest) -> &'static str {
        code(&self.verify(&self.server.issue_refresh_token(request).token).await)
    }
}

/// The origin of an address.
fn url(address: &str) -> String {
    address.split('/').take(3).collect::<Vec<_>>().join("/")
}

/// An example with its secret, if it has one, in a file: the environment of a test is everybody's.
fn printed(example: &str, stage: &Stage) -> String {
    let place = format!("{{ file = {:?} }}", stage.secret());
    examples::get(example).unwrap().toml.replace("{ env = \"API_CLIENT_SECRET\" }", &place)
}

// R04 to R06: even the ID token that names the API as its audience.
#[tokio::test]
async fn each_example_accepts_access_tokens_alone() {
    for (example, profile, id, refresh) in [
        ("at+jwt", Profile::AtJwt, "wrong_type", "not_a_jwt"),
        ("keycloak", Profile::Keycloak, "not_an_access_token", "not_an_access_token"),
        ("hydra", Profile::Hydra, "missing_claim", "not_an_access_token"),
        ("auth0", Profile::Auth0, "no_access_token_mark", "not_a_jwt"),
        ("okta", Profile::Okta, "missing_claim", "not_a_jwt"),
        ("entra", Profile::Entra, "no_access_token_mark", "not_a_jwt"),
        ("cognito", Profile::Cognito, "not_an_access_token", "encrypted_token"),
        // Opaque, and answered active without an audience.
        ("node-oidc-provider", Profile::AtJwt, "wrong_type", "wrong_audience"),
    ] {
        let site = Site::new(example, profile);
        let alice = || {
            let request = site.of_alice().role("admin");
            // The app client plays the audience's part.
            if example == "cognito" { request.client(site.audience.clone()) } else { request }
        };
        let token = site.accepted(alice()).await;
        assert_eq!((token.subject(), token.has_scope("orders:read")), (Some("alice"), true), "{example}");
        let ours = alice().claim("aud", site.audience.clone());
        assert_eq!(site.id_token(alice()).await, id, "{example}");
        assert_eq!(site.id_token(ours).await, id, "{example}");
        assert_eq!(site.refresh_token(alice()).await, refresh, "{example}");
        let elsewhere = alice().claim("iss", "https://elsewhere.example");
        assert_eq!(site.code(elsewhere).await, "wrong_issuer", "{example}");
        let names_us = if example == "cognito" { "client_id" } else { "aud" };
        assert_eq!(site.code(alice().claim(names_us, "other")).await, "wrong_audience", "{example}");
    }
}

#[tokio::test]
async fn generic_example_introspects() {
    let site = Site::new("generic", Profile::Generic);
    assert_eq!(site.accepted(site.of_alice().opaque()).await.subject(), Some("alice"));
    assert_eq!(site.refresh_token(site.of_alice()).await, "wrong_audience");
    assert_eq!(site.id_token(site.of_alice()).await, "wrong_audience");
}

#[tokio::test]
async fn auth0_has_two_dialects_and_permissions() {
    let site = Site::new("auth0", Profile::Auth0);
    let token = site.accepted(site.of_alice().role("delete:orders")).await;
    assert_eq!(token.roles().collect::<Vec<_>>(), ["delete:orders"]);
    // Beside the API's stands the tenant's own userinfo.
    assert_eq!(token.audience().count(), 2);
    assert_eq!(token.client_id(), Some("app"));
    let own = site.accepted(site.request()).await;
    assert_eq!(own.subject(), Some("app@clients"));
    let rfc9068 = site.accepted(site.of_alice().profile(Profile::AtJwt)).await;
    assert_eq!((rfc9068.client_id(), rfc9068.roles().count()), (Some("app"), 0));
    // Without an audience Auth0 issues what only it can read.
    assert_eq!(site.code(site.of_alice().opaque()).await, "not_a_jwt");
    // An address without the slash is another issuer's name.
    let bare = site.of_alice().claim("iss", site.server.issuer().trim_end_matches('/'));
    assert_eq!(site.code(bare).await, "wrong_issuer");
}

#[tokio::test]
async fn okta_can_be_asked_and_its_org_server_s_tokens_are_refused() {
    let site = Site::new("okta", Profile::Okta);
    let issued = site.server.issue(site.of_alice());
    let token = site.verify(&issued.token).await.unwrap();
    assert_eq!((token.client_id(), token.evidence().strategy), (Some("app"), Strategy::Hybrid));
    assert_eq!(site.server.counts().introspection, 1);
    site.server.revoke(&issued.token);
    site.stage.clock.advance(Duration::from_secs(1));
    let live = site.verifier.request(&issued.token).freshness(Freshness::LIVE).verify().await;
    assert_eq!(code(&live), "inactive");
    let internal = site.of_alice().header("typ", "application/okta-internal-at+jwt");
    assert_eq!(site.code(internal).await, "wrong_type");

    // Introspection alone: answers call every kind of token Bearer, and write scope and client otherwise.
    let site = Site::with("okta", Profile::Okta, |issuer| {
        issuer.strategy = verifier::config::StrategyName::Introspection;
        issuer.keys = None;
        issuer.revocation = None;
    });
    let token = site.accepted(site.of_alice()).await;
    assert_eq!((token.client_id(), token.has_scope("orders:read")), (Some("app"), true));
    assert_eq!(site.id_token(site.of_alice()).await, "not_an_access_token");
    assert_eq!(site.refresh_token(site.of_alice()).await, "wrong_audience");
}

#[tokio::test]
async fn entra_s_versions_differ_in_issuer_client_and_audience() {
    let site = Site::new("entra", Profile::Entra);
    let token = site.accepted(site.of_alice()).await;
    assert_eq!((token.client_id(), token.jwt_id()), (Some("app"), None));
    // An application's own token: roles, no scope. Without any it was granted nothing.
    let own = site.accepted(site.request().role("Orders.Read.All")).await;
    assert_eq!(own.roles().collect::<Vec<_>>(), ["Orders.Read.All"]);
    assert_eq!(site.code(site.request()).await, "no_access_token_mark");
    // One registration for application and API: the audience is the client.
    site.accepted(site.of_alice().client(site.audience.clone())).await;
    assert_eq!(site.code(site.of_alice().profile(Profile::EntraV1)).await, "verified", "by its issuer alone");
    // Microsoft Graph's tokens are signed over another header than the one that is sent.
    let forge = site.server.forge(site.of_alice().header("nonce", "hashed"));
    let sent = site.server.forge(site.of_alice().header("nonce", "plain"));
    let signature = forge.sign(&KEY);
    let signature = signature.rsplit('.').next().unwrap();
    let graph = format!("{}.{signature}", sent.signing_input());
    assert_eq!(code(&site.verify(&graph).await), "bad_signature");

    let site = Site::with("entra", Profile::EntraV1, |issuer| {
        issuer.issuer = "https://sts.windows.net/11111111-2222-3333-4444-555555555555/".into();
        issuer.keys.as_mut().unwrap().url = Some("https://login.microsoftonline.com/x/discovery/keys".into());
    });
    assert_eq!(site.accepted(site.of_alice()).await.client_id(), Some("app"));
    assert_eq!(site.id_token(site.of_alice().role("admin")).await, "no_access_token_mark");
}

#[tokio::test]
async fn cognito_s_app_clients_play_the_audience_s_part() {
    let site = Site::new("cognito", Profile::Cognito);
    let app = || site.of_alice().client(site.audience.clone());
    let token = site.accepted(app().role("admins")).await;
    assert_eq!((token.audience().count(), token.client_id()), (0, Some(&*site.audience)));
    assert_eq!(token.roles().collect::<Vec<_>>(), ["admins"]);
    assert_eq!(site.code(site.of_alice().client("another-app")).await, "wrong_audience");
    // A resource that the client asked for is an audience like any other.
    let site = Site::with("cognito", Profile::Cognito, |issuer| {
        issuer.audience_claim = None;
        issuer.audience = Some(verifier::config::OneOrMany::One("https://api.example.com".into()));
    });
    site.accepted(site.of_alice().claim("aud", "https://api.example.com")).await;
    assert_eq!(site.code(site.of_alice()).await, "wrong_audience");
}

#[tokio::test]
async fn google_s_service_tokens_are_accepted_and_sign_ins_are_not() {
    let site = Site::new("google-id-token", Profile::GoogleIdToken);
    let account = || site.request().subject("112010400000000710080");
    let token = site.accepted(account()).await;
    assert_eq!((token.subject(), token.scopes().count()), (Some("112010400000000710080"), 0));
    assert_eq!(
        site.code(account().audience("https://other.example").claim("aud", "https://other.example")).await,
        "wrong_audience"
    );
    // A sign-in is for an application: told by its audience, and by nonce and hash.
    assert_eq!(site.id_token(account()).await, "not_an_access_token");
    for (name, value) in [("nonce", "n"), ("at_hash", "h"), ("azp", &*site.audience)] {
        assert_eq!(site.code(account().claim(name, value)).await, "not_an_access_token", "{name}");
    }
    assert_eq!(site.refresh_token(account()).await, "not_a_jwt");
    // Google's access tokens look like this.
    assert_eq!(code(&site.verify("ya29.a0AfH6SMBx").await), "not_a_jwt");
}

#[tokio::test]
async fn node_oidc_provider_is_never_asked_about_a_jwt() {
    let site = Site::new("node-oidc-provider", Profile::AtJwt);
    // Its keys need not say what they are for.
    let mut keys = site.server.jwks();
    for key in keys["keys"].as_array_mut().unwrap() {
        key.as_object_mut().unwrap().retain(|name, _| !matches!(name.as_str(), "alg" | "use"));
    }
    site.server.override_jwks(200, keys.to_string());
    for lifetime in [1, 300, 3_600] {
        let token = site.accepted(site.of_alice().jwt().lifetime(Duration::from_secs(lifetime))).await;
        assert_eq!(token.subject(), Some("alice"), "{lifetime}");
        assert_eq!(site.server.requests(Endpoint::Introspection).len(), 0, "{lifetime}");
    }
    let long = site.of_alice().jwt().lifetime(Duration::from_secs(3_601));
    assert_eq!(site.code(long).await, "lifetime_too_long");
    assert_eq!(site.server.requests(Endpoint::Introspection).len(), 0);
    // Who demands freshness of a JWT demands what that server can't give.
    let jwt = site.server.issue(site.of_alice().jwt()).token;
    site.server.override_answer_about(
        &jwt,
        Answer::json(&serde_json::json!({ "error": "unsupported_token_type" })).status(400),
    );
    let live = site.verifier.request(&jwt).freshness(Freshness::LIVE).verify().await;
    assert_eq!(code(&live), "refused_by_server");
    let asked = site.server.requests(Endpoint::Introspection).len();
    // Opaque: its answers name neither subject nor id.
    let opaque = || site.of_alice().opaque().not_answered("sub").not_answered("jti");
    let issued = site.server.issue(opaque());
    let token = site.verify(&issued.token).await.unwrap();
    assert_eq!((token.subject(), token.client_id()), (None, Some("app")));
    assert_eq!(site.server.requests(Endpoint::Introspection).len(), asked + 1);
    site.server.revoke(&issued.token);
    site.stage.clock.advance(Duration::from_secs(1));
    let live = site.verifier.request(&issued.token).freshness(Freshness::LIVE).verify().await;
    assert_eq!(code(&live), "inactive");
}

/// Whether it builds, and what it is told if it doesn't.
fn refusal(toml: &str) -> Option<(String, String)> {
    let error = VerifierConfig::from_toml(toml).and_then(|config| config.build()).err()?;
    Some((error.key_path().to_owned(), error.to_string()))
}

fn section(profile: &str, strategy: &str, lines: &str) -> String {
    let opt_in = if profile == "google-id-token" { "danger_accept_id_tokens = true\n" } else { "" };
    format!(
        "[[issuer]]\nissuer = 'https://as.example'\nprofile = '{profile}'\nstrategy = '{strategy}'\n\
         audience = 'api'\n{opt_in}{lines}"
    )
}

#[test]
fn a_strategy_that_asks_is_refused_where_nobody_can_be_asked() {
    const ASK: &str = "[issuer.introspection]\nclient_auth = 'none'\n";
    for profile in ["auth0", "entra", "cognito", "google-id-token"] {
        assert_eq!(refusal(&section(profile, "jwks", "")), None, "{profile}");
        for strategy in ["introspection", "hybrid"] {
            for lines in ["", ASK, "[issuer.revocation]\nfreshness = '30s'"] {
                let (key, text) = refusal(&section(profile, strategy, lines)).expect(profile);
                assert_eq!(key, "issuer[0].strategy", "{text}");
                for word in
                    [profile, strategy, "\"jwks\"", "max_lifetime", "events", "introspection.endpoint"]
                {
                    assert!(text.contains(word), "{word}: {text}");
                }
                assert_eq!(text.contains("revocation.checkers"), strategy == "hybrid", "{text}");
            }
            // Somebody else's word: an endpoint of one's own.
            let own = "[issuer.introspection]\nendpoint = 'https://gateway.example/introspect'\n";
            assert_eq!(refusal(&section(profile, strategy, own)), None, "{profile} {strategy}");
            for endpoint in [
                "https://oauth2.googleapis.com/tokeninfo",
                "https://www.googleapis.com/oauth2/v3/tokeninfo?x=y",
                "https://tenant.auth0.com/userinfo/",
            ] {
                let lines = format!("[issuer.introspection]\nendpoint = '{endpoint}'\n");
                let (key, text) = refusal(&section(profile, strategy, &lines)).expect(profile);
                assert_eq!(key, "issuer[0].introspection.endpoint", "{text}");
                assert!(text.contains("RFC 7662") && text.contains("jwks"), "{text}");
            }
        }
        // Checkers of one's own: the provider isn't asked. One that isn't registered is another matter.
        let own = "[issuer.revocation]\ncheckers = ['custom:events']\n";
        let (key, _) = refusal(&section(profile, "hybrid", own)).expect(profile);
        assert_eq!(key, "issuer[0].revocation.checkers", "{profile}");
        let both = "[issuer.revocation]\ncheckers = ['custom:events', 'introspection']\n";
        assert_eq!(refusal(&section(profile, "hybrid", both)).expect(profile).0, "issuer[0].strategy");
    }
    for profile in ["at+jwt", "generic", "keycloak", "hydra", "okta"] {
        for strategy in ["introspection", "hybrid"] {
            assert_eq!(refusal(&section(profile, strategy, ASK)), None, "{profile} {strategy}");
        }
    }
}

#[test]
fn id_tokens_are_accepted_by_explicit_opt_in_alone() {
    let bare = "[[issuer]]\nissuer = 'https://accounts.google.com'\nstrategy = 'jwks'\nprofile = 'google-id-token'\n";
    let (key, text) = refusal(&format!("{bare}audience = 'api'")).unwrap();
    assert_eq!(key, "issuer[0].profile");
    assert!(text.contains("danger_accept_id_tokens = true") && text.contains("google-id-token"), "{text}");
    let (key, text) =
        refusal(&format!("{bare}danger_accept_id_tokens = true\ndanger_accept_any_audience = true")).unwrap();
    assert_eq!(key, "issuer[0].danger_accept_any_audience");
    assert!(text.contains("danger_accept_id_tokens = true"), "{text}");
    for profile in ["at+jwt", "generic", "keycloak", "hydra", "auth0", "okta", "entra", "cognito"] {
        let (key, text) =
            refusal(&section(profile, "jwks", "danger_accept_id_tokens = true")).expect(profile);
        assert_eq!(key, "issuer[0].danger_accept_id_tokens");
        assert!(text.contains(profile), "{text}");
    }
    let custom = "[[issuer]]\nissuer = 'x'\nstrategy = 'custom:mine'\ndanger_accept_id_tokens = true";
    assert_eq!(refusal(custom).unwrap().0, "issuer[0].danger_accept_id_tokens");
}

#[test]
fn examples_warn_of_nothing_that_they_do_not_explain() {
    for example in examples::ALL {
        let config = VerifierConfig::from_toml(example.toml).unwrap();
        for warning in config.warnings() {
            let key = warning.key_path().rsplit('.').next().unwrap();
            let explained = example
                .toml
                .lines()
                .any(|line| line.starts_with(key) && line.contains('#') && line.contains("warns"));
            assert!(explained, "{}: {warning}", example.name);
        }
    }
    let warned = |lines: &str| {
        let toml = section("cognito", "jwks", &format!("max_lifetime = '1h'\n{lines}"));
        VerifierConfig::from_toml(&toml).unwrap().warnings().len()
    };
    assert_eq!(
        (warned(""), warned("audience_claim = 'client_id'"), warned("audience_claim = 'aud'")),
        (1, 0, 0)
    );
}
