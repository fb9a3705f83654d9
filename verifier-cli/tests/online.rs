//! `config check --online` against a server on loopback: what it finds, by name, and what it never prints.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use verifier_testkit::{
    Algorithm, Answer, AuthorizationServer, Builder, DEFAULT_AUDIENCE, Endpoint, Fault, Gate,
    IntrospectionAuth, Profile, RESOURCE_SERVER, RESOURCE_SERVER_SECRET, SigningKey, TokenForge,
    TokenRequest,
};

struct Site {
    server: AuthorizationServer,
    folder: TempDir,
    issuer: Value,
}

impl Site {
    fn new(strategy: &str) -> Self {
        Self::of(strategy, AuthorizationServer::builder())
    }

    fn of(strategy: &str, builder: Builder) -> Self {
        let server = builder.start().unwrap();
        let folder = TempDir::new().unwrap();
        let mut issuer = json!({
            "issuer": server.issuer(),
            "strategy": strategy,
            "profile": "at+jwt",
            "audience": DEFAULT_AUDIENCE,
        });
        if strategy != "jwks" {
            let secret = folder.path().join("secret");
            fs::write(&secret, RESOURCE_SERVER_SECRET).unwrap();
            issuer["introspection"] =
                json!({ "client_id": RESOURCE_SERVER, "client_secret": { "file": secret } });
        } else {
            issuer["max_lifetime"] = json!("10m");
        }
        Self { server, folder, issuer }
    }

    fn secret(&self, text: &str) {
        fs::write(self.folder.path().join("secret"), text).unwrap();
    }

    fn file(&self, issuers: &[&Value]) -> PathBuf {
        let file = self.folder.path().join("verifier.json");
        fs::write(&file, json!({ "issuer": issuers }).to_string()).unwrap();
        file
    }

    fn check(&self) -> Ran {
        run(&self.file(&[&self.issuer]), &["--json"], None)
    }

    fn check_token(&self, token: &str) -> Ran {
        run(&self.file(&[&self.issuer]), &["--json", "--token", "-"], Some(token))
    }
}

#[derive(Debug)]
struct Ran {
    status: i32,
    out: String,
    err: String,
}

impl Ran {
    fn findings(&self) -> Vec<Value> {
        assert_eq!(self.err, "");
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn ids(&self) -> Vec<String> {
        self.findings().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    }

    /// The one finding of this name.
    fn only(&self, id: &str) -> Value {
        let mut found: Vec<_> = self.findings().into_iter().filter(|one| one["id"] == id).collect();
        assert_eq!(found.len(), 1, "{id} in {}", self.out);
        found.remove(0)
    }

    /// The one finding of this name, which has to be a problem.
    fn problem(&self, id: &str) -> Value {
        let found = self.only(id);
        assert_eq!(found["severity"], "problem", "{found}");
        found
    }

    fn problems(&self) -> Vec<String> {
        let severe = |one: &Value| one["severity"] == "problem";
        let name = |one: &Value| one["id"].as_str().unwrap().to_owned();
        self.findings().iter().filter(|one| severe(one)).map(name).collect()
    }
}

fn run(file: &std::path::Path, args: &[&str], token: Option<&str>) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_verifier"))
        .args(["config", "check", "--online"])
        .arg(file)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(token.unwrap_or_default().as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Ran {
        status: output.status.code().expect("ended by itself"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn text(finding: &Value, member: &str) -> String {
    finding[member].as_str().unwrap_or_else(|| panic!("no {member} in {finding}")).to_owned()
}

#[test]
fn a_server_that_fits_is_told_so_and_asked_little() {
    for strategy in ["jwks", "introspection", "hybrid"] {
        let site = Site::new(strategy);
        let ran = site.check();
        assert_eq!((ran.status, ran.problems()), (0, vec![]), "{strategy}: {}", ran.out);
        let ids = ran.ids();
        for id in
            ["metadata_found", "keys_usable", "clock_agrees", "plain_http", "cache_sensible", "strategies"]
        {
            assert!(ids.iter().any(|one| one == id), "{strategy}: no {id}");
        }
        let asks = strategy != "jwks";
        for id in ["credentials_accepted", "jwt_introspectable"] {
            assert_eq!(ids.iter().any(|one| one == id), asks, "{strategy}: {id}");
        }
        let counts = site.server.counts();
        assert_eq!((counts.discovery, counts.jwks), (2, 1), "each document once");
        assert_eq!(counts.introspection, if asks { 2 } else { 0 });
    }
}

#[test]
fn a_wrong_issuer_spelling_is_told_with_both_names() {
    let mut site = Site::new("hybrid");
    let wrong = format!("{}/", site.server.issuer());
    site.issuer["issuer"] = json!(wrong);
    let ran = site.check();
    let found = ran.problem("issuer_mismatch");
    assert!(text(&found, "found").contains(&format!("\"{}\"", site.server.issuer())), "{found}");
    assert!(text(&found, "found").contains("slash at the end"));
    assert!(text(&found, "expected").contains(&format!("\"{wrong}\"")));
    assert!(text(&found, "do").contains(&format!("issuer = \"{}\"", site.server.issuer())));
    assert_eq!(ran.status, 1);
    assert!(!ran.ids().contains(&"metadata_missing".to_owned()), "{}", ran.out);
    let possible = ran.problem("strategy_not_possible");
    assert!(text(&possible, "found").contains("jwks: no (the issuer's name is not the server's)"));
    // Nothing that another issuer names is asked, and no secret goes there.
    assert_eq!((site.server.counts().jwks, site.server.counts().introspection), (0, 0));
}

#[test]
fn an_issuer_that_follows_the_host_header_is_told_by_both_names() {
    // Another name for the same machine, as with servers that take their name from the request.
    let mut site = Site::new("jwks");
    let here = site.server.origin();
    let there = here.replace("127.0.0.1", "localhost");
    site.issuer["issuer"] = json!(site.server.issuer().replace(&here, &there));
    site.issuer["connect"] = json!({ &there: &here });
    let found = site.check().problem("issuer_mismatch");
    assert!(
        text(&found, "found").contains(site.server.issuer())
            && text(&found, "found").contains("host or port")
    );
    assert!(text(&found, "expected").contains(&there));
    assert!(text(&found, "do").contains("connect"));
}

#[test]
fn a_server_that_is_reached_elsewhere_is_asked_there() {
    const ISSUER: &str = "https://idp.example.test/realms/main";
    let mut site = Site::of("hybrid", AuthorizationServer::builder().issuer(ISSUER));
    site.issuer["connect"] = json!({ "https://idp.example.test": site.server.origin() });
    let token = site.server.issue(TokenRequest::new().subject("alice")).token;
    let ran = site.check_token(&token);
    assert_eq!((ran.status, ran.problems()), (0, vec![]), "{}", ran.out);
    assert!(text(&ran.only("plain_http"), "found").contains(&site.server.origin()));

    site.server.refuse_connections();
    assert!(text(&site.check().problem("unreachable"), "found").contains(&site.server.origin()));
}

#[test]
fn what_a_server_calls_itself_is_cut_and_harmless() {
    let site = Site::new("jwks");
    let mut metadata = site.server.metadata();
    metadata["issuer"] = json!(format!("https://evil\u{1b}[2J\u{202e}{}", "x".repeat(50_000)));
    site.server.override_metadata(&metadata);
    let people = run(&site.file(&[&site.issuer]), &[], None);
    assert!(people.out.contains("issuer_mismatch") && people.out.contains("\\u{1b}"), "{}", people.out);
    assert!(people.out.chars().all(|c| c == '\n' || !c.is_control()) && !people.out.contains('\u{202e}'));
    assert!(people.out.len() < 6_000, "{}", people.out.len());
    assert_eq!(people.status, 1);
}

#[test]
fn a_wrong_secret_is_told() {
    for strategy in ["introspection", "hybrid"] {
        let site = Site::new(strategy);
        site.secret("not-the-secret-either");
        let ran = site.check();
        let found = ran.problem("credentials_refused");
        assert!(text(&found, "found").contains("401 invalid_client"), "{found}");
        assert!(text(&found, "found").contains(RESOURCE_SERVER));
        assert!(text(&found, "do").contains("client_secret_basic"), "what the server takes: {found}");
        ran.problem("strategy_not_possible");
        assert_eq!(ran.status, 1);
        assert!(!ran.out.contains("not-the-secret-either"));
    }
}

#[test]
fn missing_credentials_are_told() {
    let mut site = Site::new("introspection");
    site.issuer["introspection"] = json!({ "client_auth": "none" });
    let found = site.check().problem("credentials_refused");
    assert!(text(&found, "do").contains("give client_id"), "{found}");
}

#[test]
fn a_caller_that_is_missing_from_the_audience_is_told() {
    let site = Site::of("hybrid", AuthorizationServer::builder().audience_must_name_caller(true));
    let token = site.server.issue(TokenRequest::new().subject("alice")).token;
    let ran = site.check_token(&token);
    let found = ran.problem("audience_lacks_caller");
    assert!(
        text(&found, "found").contains(RESOURCE_SERVER) && text(&found, "found").contains(DEFAULT_AUDIENCE)
    );
    assert!(text(&found, "do").contains("mapper") && text(&found, "do").contains(RESOURCE_SERVER));
    assert_eq!(ran.status, 1);

    // With the caller in it, all is well.
    let both = TokenRequest::new().subject("alice").audience(DEFAULT_AUDIENCE).audience(RESOURCE_SERVER);
    let ran = site.check_token(&site.server.issue(both).token);
    assert_eq!((ran.status, ran.problems()), (0, vec![]), "{}", ran.out);
}

#[test]
fn a_revoked_token_is_not_blamed_on_the_audience_where_that_names_the_caller() {
    let site = Site::new("introspection");
    let both = TokenRequest::new().subject("alice").audience(DEFAULT_AUDIENCE).audience(RESOURCE_SERVER);
    let token = site.server.issue(both).token;
    site.server.revoke(&token);
    let ran = site.check_token(&token);
    ran.problem("inactive_though_valid");
    assert!(!ran.ids().contains(&"audience_lacks_caller".to_owned()));
    assert_eq!(ran.status, 1);
}

#[test]
fn a_token_without_own_audience_is_still_known_to_be_good() {
    // A slim token, whose claims the server adds: locally it says too little to be judged by jwks alone.
    let keycloak = AuthorizationServer::builder().profile(Profile::Keycloak);
    let mut site = Site::of("hybrid", keycloak.audience_must_name_caller(true));
    site.issuer["profile"] = json!("keycloak");
    site.issuer["revocation"] = json!({ "claims": "introspection" });
    let token = site.server.issue(TokenRequest::new().subject("alice").without_claim("aud")).token;
    let ran = site.check_token(&token);
    ran.problem("audience_lacks_caller");
}

/// Like node-oidc-provider: opaque tokens are answered for, JWTs are a 400.
fn refuse_jwts(site: &Site, token: Option<&str>) {
    let refusal = || Answer::json(&json!({ "error": "unsupported_token_type" })).status(400);
    if let Some(token) = token {
        site.server.override_answer_about(token, refusal());
    }
    // The second question is the one about a made-up JWT.
    site.server.faults().next_good(Endpoint::Introspection, 1);
    site.server.faults().next(Endpoint::Introspection, 1, Fault::Status(400, "{}".into()));
}

#[test]
fn jwts_that_are_not_introspectable_are_told() {
    for (strategy, severity, status) in [("hybrid", "problem", 1), ("introspection", "warning", 0)] {
        let site = Site::new(strategy);
        refuse_jwts(&site, None);
        let ran = site.check();
        let found = ran.only("jwt_not_introspectable");
        assert_eq!(
            (found["severity"].as_str(), ran.status),
            (Some(severity), status),
            "{strategy} {}",
            ran.out
        );
        assert!(text(&found, "do").contains("jwks"));
        assert!(!ran.ids().contains(&"credentials_refused".to_owned()));
    }
}

#[test]
fn a_real_jwt_has_the_last_word_on_whether_jwts_are_introspectable() {
    let site = Site::new("hybrid");
    refuse_jwts(&site, None);
    let token = site.server.issue(TokenRequest::new().subject("alice")).token;
    let ran = site.check_token(&token);
    ran.only("jwt_introspectable");
    assert_eq!(ran.status, 0, "{}", ran.out);

    let site = Site::new("hybrid");
    let token = site.server.issue(TokenRequest::new().subject("alice")).token;
    refuse_jwts(&site, Some(&token));
    let ran = site.check_token(&token);
    ran.problem("jwt_not_introspectable");
    assert!(ran.findings().iter().any(|one| one["id"] == "token_verified" && one["strategy"] == "jwks"));
    assert!(ran.findings().iter().any(|one| one["id"] == "token_unavailable" && one["strategy"] == "hybrid"));
}

#[test]
fn keys_that_cannot_be_used_are_told_with_the_reason() {
    let site = Site::new("jwks");
    let mut jwks = site.server.jwks();
    let keys = jwks["keys"].as_array_mut().unwrap();
    let mut encrypts = Value::Object(SigningKey::generate(Algorithm::ES256).with_kid("for-jwe").jwk());
    encrypts["use"] = json!("enc");
    keys.push(encrypts);
    keys.push(json!({ "kty": "OKP", "crv": "X25519", "kid": "unknown-curve", "x": "AAAA" }));
    keys.push(json!({ "kty": "EC", "crv": "P-256", "kid": "off\u{1b}-curve", "alg": "ES256", "x": "AAAA", "y": "AAAA" }));
    site.server.override_jwks(200, jwks.to_string());
    let ran = site.check();
    assert_eq!(ran.status, 0, "one good key is there: {}", ran.out);
    let found: Vec<_> = ran.findings().into_iter().filter(|one| one["id"] == "key_skipped").collect();
    let of = |kid: &str| found.iter().find(|one| text(one, "found").contains(kid)).unwrap();
    assert_eq!(of("for-jwe")["severity"], "ok");
    assert!(text(of("for-jwe"), "found").contains("not_for_verification"));
    assert_eq!(of("unknown-curve")["severity"], "warning");
    assert!(text(of("unknown-curve"), "found").contains("unknown_key_type"));
    assert!(text(of("-curve"), "found").contains("("));
    assert_eq!(found.len(), 3);
}

#[test]
fn a_set_without_a_usable_key_says_why_of_each() {
    let mut site = Site::new("jwks");
    site.issuer["keys"] = json!({ "algorithms": ["RS256"] });
    let ran = site.check();
    ran.problem("no_usable_key");
    let found = ran.only("key_skipped");
    assert!(text(&found, "found").contains(&site.server.signing_kid()), "{found}");
    assert!(
        text(&found, "found").contains("key_algorithm_not_allowed") && text(&found, "do").contains("RS256")
    );
    ran.problem("strategy_not_possible");
    assert_eq!(ran.status, 1);
}

#[test]
fn a_published_private_key_is_a_problem() {
    let site = Site::new("jwks");
    let mut jwks = site.server.jwks();
    let mut leaked = Value::Object(SigningKey::generate(Algorithm::ES256).with_kid("leaked").jwk());
    leaked["d"] = json!("canary-private-half");
    jwks["keys"].as_array_mut().unwrap().push(leaked);
    site.server.override_jwks(200, jwks.to_string());
    let ran = site.check();
    assert!(text(&ran.problem("key_skipped"), "found").contains("private_members"));
    assert!(!ran.out.contains("canary-private-half"));
}

#[test]
fn an_unreachable_server_is_told_once_and_is_no_verdict() {
    for strategy in ["jwks", "introspection", "hybrid"] {
        let site = Site::new(strategy);
        site.server.refuse_connections();
        let ran = site.check();
        let found = ran.problem("unreachable");
        assert!(text(&found, "found").contains(&site.server.origin()), "{found}");
        assert_eq!(ran.status, 2, "{}", ran.out);
    }
}

#[test]
fn an_introspection_endpoint_elsewhere_that_does_not_answer_is_told_by_its_own_address() {
    // Like Hydra's, on another port.
    let gone = AuthorizationServer::start().unwrap();
    gone.refuse_connections();
    let mut site = Site::new("hybrid");
    site.issuer["introspection"]["endpoint"] =
        json!(format!("{}?key=canary-in-query", gone.introspection_endpoint()));
    let ran = site.check();
    assert!(text(&ran.problem("unreachable"), "found").contains(&gone.origin()));
    ran.only("keys_usable");
    assert!(!ran.out.contains("canary-in-query"));
    assert_eq!(ran.status, 2);
}

#[test]
fn faults_of_the_server_have_names() {
    let cases: [(&str, Fault, Endpoint, i32); 4] = [
        ("server_error", Fault::Status(503, String::new()), Endpoint::Discovery, 2),
        ("redirected", Fault::Redirect("https://elsewhere.example/".into()), Endpoint::Jwks, 1),
        ("unreadable_answer", Fault::Html200, Endpoint::Introspection, 1),
        ("introspection_missing", Fault::Status(404, String::new()), Endpoint::Introspection, 1),
    ];
    for (id, fault, endpoint, status) in cases {
        let site = Site::new("hybrid");
        site.server.faults().on(endpoint, fault);
        let ran = site.check();
        ran.problem(id);
        assert!(ran.status >= status, "{id}: {}", ran.out);
    }
    let site = Site::new("hybrid");
    site.server.faults().on(Endpoint::Discovery, Fault::Status(404, String::new()));
    site.check().problem("metadata_missing");

    // Where a document went is told, where a question about a token would go isn't.
    let site = Site::new("hybrid");
    site.server.faults().on(Endpoint::Jwks, Fault::Redirect("https://keys.example/k?canary".into()));
    site.server.faults().on(Endpoint::Introspection, Fault::Redirect("https://echo.example/canary".into()));
    let ran = site.check();
    let found: Vec<_> = ran.findings().into_iter().filter(|one| one["id"] == "redirected").collect();
    assert!(text(&found[0], "found").contains("to \"https://keys.example/k\""), "{found:?}");
    assert!(found.len() == 2 && !ran.out.contains("canary") && !ran.out.contains("echo.example"));
}

#[test]
fn the_time_of_all_is_bounded() {
    let site = Site::new("jwks");
    let gate = Gate::new();
    site.server.faults().on(Endpoint::Jwks, Fault::Delay(gate));
    let ran = run(&site.file(&[&site.issuer]), &["--json", "--within", "300ms"], None);
    ran.problem("out_of_time");
    assert_eq!(ran.status, 2);
}

#[test]
fn an_endpoint_that_calls_everything_active_is_told() {
    let site = Site::new("introspection");
    site.server.override_introspection(&json!({ "active": true }));
    site.check().problem("everything_active");
}

/// One that reads JWTs and checks no signature.
#[test]
fn an_endpoint_that_calls_every_jwt_active_is_told() {
    let site = Site::new("introspection");
    let answer = json!({ "active": true, "aud": DEFAULT_AUDIENCE }).to_string();
    let answer = Fault::Status(200, answer).then(Fault::ContentType("application/json".into()));
    site.server.faults().next_good(Endpoint::Introspection, 1);
    site.server.faults().next(Endpoint::Introspection, 1, answer);
    let ran = site.check();
    assert!(text(&ran.problem("everything_active"), "found").contains("a JWT"), "{}", ran.out);
    ran.only("credentials_accepted");
}

#[test]
fn clocks_that_differ_are_told_in_seconds() {
    for (date, direction) in
        [("Thu, 01 Jan 2099 00:00:00 GMT", "ahead of"), ("Thu, 01 Jan 2015 00:00:00 GMT", "behind")]
    {
        let site = Site::new("jwks");
        for endpoint in [Endpoint::Discovery, Endpoint::Jwks] {
            let document =
                if endpoint == Endpoint::Jwks { site.server.jwks() } else { site.server.metadata() };
            site.server.override_answer(endpoint, Answer::json(&document).header("date", date));
        }
        let found = site.check().problem("clock_differs");
        assert!(text(&found, "found").contains(direction), "{found}");
    }
}

#[test]
fn a_key_set_that_may_be_kept_for_days_is_told() {
    let site = Site::of("jwks", AuthorizationServer::builder().jwks_cache_control("public, max-age=86400"));
    let ran = site.check();
    let found = ran.only("cache_outlives_rotation");
    assert_eq!(found["severity"], "warning");
    assert!(text(&found, "found").contains("1day") && text(&found, "expected").contains("1h"), "{found}");
    assert_eq!(ran.status, 0);
}

#[test]
fn a_token_is_judged_by_each_strategy() {
    let site = Site::new("hybrid");
    let ran = site.check_token(&site.server.issue(TokenRequest::new().subject("alice")).token);
    let by: Vec<_> = ran
        .findings()
        .into_iter()
        .filter(|one| one["id"] == "token_verified")
        .map(|one| text(&one, "strategy"))
        .collect();
    assert_eq!(by, ["jwks", "introspection", "hybrid"]);
    ran.only("lifetime_fits_jwks");
    assert_eq!(ran.status, 0, "{}", ran.out);
    assert!(site.server.counts().introspection <= 4);
}

#[test]
fn what_is_wrong_with_a_token_is_told_as_expected_against_found() {
    let site = Site::new("jwks");
    let wrong_audience = site.server.issue(TokenRequest::new().audience("https://other.example")).token;
    let ran = site.check_token(&wrong_audience);
    let found = ran.problem("token_audience_differs");
    assert!(text(&found, "found").contains("https://other.example"));
    assert!(text(&found, "expected").contains(DEFAULT_AUDIENCE));
    assert!(text(&ran.problem("token_rejected"), "found").contains("wrong_audience"));
    assert_eq!(ran.status, 1);

    let forge = || site.server.forge(TokenRequest::new().subject("alice"));
    let key = site.server.signing_key();
    let ran = site.check_token(&forge().header("typ", "JWT").sign(&key));
    let found = ran.problem("token_type_differs");
    assert!(text(&found, "found").contains("JWT") && text(&found, "expected").contains("at+jwt"));

    let hmac = SigningKey::hmac(Algorithm::HS256, *b"canary-0123456789-canary-0123456");
    let ran = site.check_token(&forge().for_key(&hmac).sign(&hmac));
    let found = ran.problem("token_algorithm_not_allowed");
    assert!(text(&found, "found").contains("HS256") && text(&found, "expected").contains("ES256"));

    let mut hybrid = Site::new("hybrid");
    hybrid.issuer["issuer"] = json!(hybrid.server.issuer());
    let ran = hybrid.check_token(&forge().claim("iss", "https://somebody.else").sign(&key));
    let found = ran.problem("token_issuer_differs");
    assert!(text(&found, "found").contains("https://somebody.else"));
    assert!(text(&found, "expected").contains(hybrid.server.issuer()));
    assert_eq!(hybrid.server.counts().introspection, 2, "a token of somebody else's is sent to nobody");

    let ran = site.check_token(&forge().without_claim("jti").without_claim("aud").sign(&key));
    assert!(text(&ran.problem("token_rejected"), "means").contains("\"aud\", \"jti\""), "{}", ran.out);
    assert_eq!(text(&ran.problem("token_audience_differs"), "found"), "aud is absent");

    let expired = site.server.issue(TokenRequest::new().issued_ago(Duration::from_secs(7_200))).token;
    let ran = site.check_token(&expired);
    assert!(text(&ran.problem("token_rejected"), "means").contains("ago"), "{}", ran.out);
}

#[test]
fn a_long_life_does_not_go_with_jwks_alone() {
    for (strategy, severity) in [("jwks", "warning"), ("hybrid", "ok")] {
        let mut site = Site::new(strategy);
        site.issuer.as_object_mut().unwrap().remove("max_lifetime");
        let token = site.server.issue(TokenRequest::new().lifetime(Duration::from_secs(36_000))).token;
        let ran = site.check_token(&token);
        let found = ran.only("lifetime_too_long");
        assert_eq!(found["severity"], severity);
        assert!(text(&found, "found").contains("10h"), "{found}");
        assert_eq!(ran.status, 0, "{}", ran.out);
    }
}

#[test]
fn of_several_issuers_each_is_asked_and_a_token_goes_to_its_own() {
    let (one, mut other) = (Site::new("hybrid"), Site::new("introspection"));
    other.issuer["opaque"] = json!("introspect");
    let file = one.file(&[&one.issuer, &other.issuer]);
    let jwt = one.server.issue(TokenRequest::new().subject("alice")).token;
    let ran = run(&file, &["--json", "--token", "-"], Some(&jwt));
    assert_eq!(ran.status, 0, "{}", ran.out);
    for site in [&one, &other] {
        assert!(
            ran.findings().iter().any(|it| it["id"] == "strategies" && it["issuer"] == site.server.issuer())
        );
    }
    assert_eq!((one.server.counts().introspection, other.server.counts().introspection), (4, 2));

    let opaque = other.server.issue(TokenRequest::new().opaque()).token;
    let ran = run(&file, &["--json", "--token", "-"], Some(&opaque));
    assert!(
        ran.findings().iter().any(|it| it["id"] == "token_verified" && it["strategy"] == "introspection")
    );
    assert_eq!(one.server.counts().introspection, 4 + 2, "not asked about it");

    let nobodys = one
        .server
        .forge(TokenRequest::new())
        .claim("iss", "https://x.example")
        .sign(&one.server.signing_key());
    let ran = run(&file, &["--json", "--token", "-"], Some(&nobodys));
    ran.problem("token_issuer_differs");
}

#[test]
fn neither_token_nor_secret_is_ever_printed() {
    let site =
        Site::of("hybrid", AuthorizationServer::builder().introspection_auth(IntrospectionAuth::BasicOrPost));
    let good = site.server.issue(TokenRequest::new().subject("alice")).token;
    // A server that says back what it was told.
    let echo = Answer::json(
        &json!({ "error": good, "error_description": format!("{good} {RESOURCE_SERVER_SECRET}") }),
    )
    .status(400);
    let refused = site.server.issue(TokenRequest::new().subject("bob")).token;
    site.server.override_answer_about(&refused, echo);
    let active = site.server.issue(TokenRequest::new().subject("eve")).token;
    site.server.override_introspection_of(&active, &json!({ "active": true, "jwt": active, "sub": active }));
    let opaque = site.server.issue(TokenRequest::new().opaque()).token;
    let forged = TokenForge::like(&good)
        .unwrap()
        .claim("aud", "https://other")
        .sign(&SigningKey::generate(Algorithm::ES256));
    let tokens = [good, refused, active, opaque, forged, "not a token at all, but a canary".to_owned()];
    for token in &tokens {
        for args in [&["--token", "-", "--json"][..], &["--token", "-"][..]] {
            let ran = run(&site.file(&[&site.issuer]), args, Some(token));
            for output in [&ran.out, &ran.err] {
                assert!(!output.contains(RESOURCE_SERVER_SECRET));
                for part in token.split('.').filter(|part| part.len() > 8) {
                    assert!(!output.contains(part), "{output}");
                }
            }
        }
    }
}

#[test]
fn a_server_that_repeats_what_it_was_told_is_not_quoted() {
    const CANARY: &str = "canary-of-the-body";
    let site = Site::new("hybrid");
    let token = site.server.issue(TokenRequest::new().subject("alice")).token;
    for status in [200, 307, 400, 401, 403, 404, 500] {
        let echo = json!({ "active": true, "error": CANARY, "error_description": CANARY, "iss": CANARY, "aud": CANARY });
        let answer = Answer::json(&echo).status(status).header("location", &format!("https://{CANARY}/"));
        site.server.override_answer(Endpoint::Introspection, answer.header("www-authenticate", CANARY));
        for args in [&["--token", "-", "--json"][..], &["--token", "-"][..]] {
            let ran = run(&site.file(&[&site.issuer]), args, Some(&token));
            assert!(ran.status != 0 && !ran.out.contains(CANARY), "{status}: {}", ran.out);
        }
    }
}

#[test]
fn what_cannot_be_used_is_refused_as_ever() {
    let mut site = Site::new("jwks");
    site.issuer["revocation"] = json!({});
    let ran = site.check();
    assert_eq!(ran.status, 3);
    assert!(ran.err.contains("issuer[0].revocation"), "{}", ran.err);
    assert_eq!(site.server.counts().discovery, 0, "nobody was asked");

    let site = Site::new("jwks");
    let file = site.file(&[&site.issuer]);
    for (args, token, words) in [
        (&["--token", "-"][..], "", "no token was given"),
        (&["--token", "eyJhbGciOiJFUzI1NiJ9.e30.canary"][..], "", "invalid value"),
        (&["--token", "-", "--token-file", "x"][..], "", "cannot be used with"),
        (&["--token-file", "/nonexistent/token"][..], "", "not found"),
        (&["--within", "soon"][..], "", "duration"),
    ] {
        let ran = run(&file, args, Some(token));
        assert_eq!(ran.status, 3, "{args:?}: {} {}", ran.out, ran.err);
        assert!(ran.err.contains(words), "{args:?}: {}", ran.err);
        assert!(!ran.err.contains("canary"), "{}", ran.err);
    }
    let huge = "a".repeat(70_000);
    assert_eq!(run(&file, &["--token", "-"], Some(&huge)).status, 3);
}

#[test]
fn without_online_nobody_is_asked() {
    let site = Site::new("hybrid");
    let file = site.file(&[&site.issuer]);
    let offline = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_verifier"))
            .args(["config", "check"])
            .arg(&file)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, out) = offline(&[]);
    assert!(status == Some(0) && out.contains("Nobody was asked yet"), "{out}");
    assert_eq!(site.server.counts().discovery + site.server.counts().introspection, 0);
    for args in [&["--json"][..], &["--token", "-"][..], &["--within", "3s"][..]] {
        assert_eq!(offline(args).0, Some(3), "{args:?} goes with --online alone");
    }
}

/// It may be anybody's: the service sends it nowhere either, where there are several issuers.
#[test]
fn a_jwt_that_cannot_be_read_is_sent_to_nobody() {
    let (one, mut other) = (Site::new("jwks"), Site::new("introspection"));
    other.issuer["opaque"] = json!("introspect");
    let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
    let jwt = one.server.forge(TokenRequest::new()).claim("ext", deep).sign(&one.server.signing_key());
    let ran = run(&one.file(&[&one.issuer, &other.issuer]), &["--json", "--token", "-"], Some(&jwt));
    ran.problem("token_issuer_differs");
    assert_eq!(other.server.counts().introspection, 2, "the two made-up ones");
    let ran = other.check_token(&jwt);
    assert_eq!(other.server.counts().introspection, 4, "{}", ran.out);
    assert_eq!(ran.status, 1, "{}", ran.out);
}

#[test]
fn an_endpoint_is_not_blamed_for_opaque_tokens_that_are_refused_here() {
    let mut site = Site::new("introspection");
    site.issuer["opaque"] = json!("refuse");
    let ran = site.check();
    ran.only("credentials_accepted");
    assert_eq!((ran.status, ran.problems()), (0, vec![]), "{}", ran.out);
}

#[test]
fn who_answers_for_jwts_alone_goes_with_hybrid() {
    let site = Site::new("hybrid");
    site.server.faults().next(Endpoint::Introspection, 1, Fault::Status(400, "{}".into()));
    let ran = site.check();
    ran.only("opaque_not_introspectable");
    ran.only("jwt_introspectable");
    assert_eq!((ran.status, ran.problems()), (0, vec![]), "{}", ran.out);
}

#[test]
fn signed_answers_are_checked_with_the_keys_that_are_configured() {
    let mut site = Site::of("hybrid", AuthorizationServer::builder().signs_answers(Algorithm::ES256));
    site.issuer["introspection"]["signed_answers"] = json!({ "algorithm": "ES256" });
    site.issuer["introspection"]["endpoint"] = json!(site.server.introspection_endpoint());
    site.issuer["keys"] = json!({ "url": site.server.jwks_uri() });
    site.server.faults().on(Endpoint::Discovery, Fault::Status(404, String::new()));
    let ran = site.check();
    ran.only("credentials_accepted");
    assert_eq!((ran.status, ran.problems()), (0, vec![]), "{}", ran.out);
}

#[test]
fn answers_that_are_not_signed_as_demanded_are_told() {
    let mut site = Site::new("hybrid");
    site.issuer["introspection"]["signed_answers"] = json!({ "algorithm": "ES256" });
    let ran = site.check();
    let found = ran.problem("answers_not_signed");
    assert!(text(&found, "found").contains("answer_not_signed"), "{found}");
    assert!(text(&found, "do").contains("introspection_signed_response_alg"), "{found}");
    assert!(!ran.ids().contains(&"unreadable_answer".to_owned()), "{}", ran.out);
    assert_eq!(ran.status, 1);
}

#[test]
fn a_token_endpoint_that_is_not_there_is_called_so() {
    let mut site = Site::new("introspection");
    site.issuer["introspection"]["client_auth"] = json!("client_credentials");
    site.server.faults().on(Endpoint::Token, Fault::Status(404, String::new()));
    let ran = site.check();
    let found = ran.problem("introspection_missing");
    assert!(text(&found, "found").contains("no token to ask with was granted at"), "{found}");
    assert!(text(&found, "do").contains("token_endpoint"), "{found}");
}

/// Some servers want a key of their own in the query of an address.
#[test]
fn queries_of_addresses_are_not_printed() {
    for status in [200, 307, 404, 503] {
        let mut site = Site::new("hybrid");
        let with_key = |url: String| json!(format!("{url}?key=canary"));
        site.issuer["keys"] = json!({ "url": with_key(site.server.jwks_uri()) });
        site.issuer["introspection"]["endpoint"] = with_key(site.server.introspection_endpoint());
        if status != 200 {
            for endpoint in [Endpoint::Jwks, Endpoint::Introspection] {
                site.server.faults().on(endpoint, Fault::Status(status, String::new()));
            }
        }
        for args in [&["--json"][..], &[][..]] {
            let ran = run(&site.file(&[&site.issuer]), args, None);
            assert!(!ran.out.contains("canary") && !ran.err.contains("canary"), "{status} {}", ran.out);
        }
        site.issuer["keys"]["url"] = json!("https://idp.example.test:1/keys?key=canary");
        site.issuer["introspection"]["endpoint"] = json!("https://idp.example.test:1/introspect?key=canary");
        site.issuer["connect"] = json!({ "https://idp.example.test:1": "http://127.0.0.1:1" });
        let ran = site.check();
        assert!(!ran.out.contains("canary") && !ran.err.contains("canary"), "{}", ran.out);
    }
}
