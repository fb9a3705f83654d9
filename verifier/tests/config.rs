//! Every mistake in a configuration is an error that names the key, and both values of a contradiction; no error shows
//! a secret.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use verifier::{ConfigError, Verifier, VerifierConfig};

/// What no error may show.
const CANARY: &str = "hunter2-canary";

const JWKS: &str = "strategy = 'jwks'\nprofile = 'generic'\naudience = 'api'\n";
const HYBRID: &str = "strategy = 'hybrid'\nprofile = 'generic'\naudience = 'api'\n";
const INTROSPECTION: &str = "strategy = 'introspection'\nprofile = 'generic'\naudience = 'api'\n";
const ASK: &str = "[issuer.introspection]\nendpoint = 'https://as.example/i'\n";

fn one(lines: &str) -> String {
    format!("[[issuer]]\nissuer = 'https://as.example'\n{lines}")
}

fn jwks(lines: &str) -> String {
    one(&format!("{JWKS}{lines}"))
}

fn introspection(lines: &str) -> String {
    one(&format!("{INTROSPECTION}{ASK}{lines}"))
}

fn hybrid(lines: &str) -> String {
    one(&format!("{HYBRID}{ASK}{lines}"))
}

fn build(toml: &str) -> Result<Verifier, ConfigError> {
    VerifierConfig::from_toml(toml)?.build()
}

/// The configuration, the key that the error has to name, and words that it has to hold.
type Case<'a> = (String, &'a str, &'a [&'a str]);

fn all_refused(cases: &[Case<'_>]) {
    let mut wrong = String::new();
    for (toml, key, words) in cases {
        let outcome = build(toml);
        let Err(error) = outcome else {
            wrong += &format!("ACCEPTED, though {key} is wrong:\n{toml}\n---\n");
            continue;
        };
        let text = error.to_string();
        let missing: Vec<_> = words.iter().filter(|word| !text.contains(**word)).collect();
        if error.key_path() != *key || !missing.is_empty() || text.contains(CANARY) {
            wrong += &format!(
                "{text:?} (key {:?}, not {key:?}?) lacks {missing:?}:\n{toml}\n---\n",
                error.key_path()
            );
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn what_the_tables_below_start_from_is_accepted() {
    for toml in [jwks(""), introspection(""), hybrid("")] {
        build(&toml).unwrap_or_else(|error| panic!("{error}\n{toml}"));
    }
}

#[test]
fn typos_and_wrong_types_name_their_key() {
    all_refused(&[
        ("max_token_sice = 1".into(), "max_token_sice", &["max_token_size", "line 1"]),
        (jwks("audiences = ['api']"), "issuer[0].audiences", &["unknown field", "line 6"]),
        (jwks("[issuer.keys]\nalgorithm = ['RS256']"), "issuer[0].keys.algorithm", &["algorithms", "line 7"]),
        (hybrid("[issuer.revocation]\nfreshnes = '1s'"), "issuer[0].revocation.freshnes", &["freshness"]),
        (introspection("client-id = 'x'"), "issuer[0].introspection.client-id", &["client_id"]),
        (
            jwks("[issuer.verified_tokens]\nmax_entries = 5\nmax_weight = 1"),
            "issuer[0].verified_tokens.max_weight",
            &["max_entries"],
        ),
        (
            jwks("verified_tokens = 'off'"),
            "issuer[0].verified_tokens",
            &["true, false, or { max_entries = NUMBER }"],
        ),
        (
            jwks("[[issuer.keys.secrets]]\nkid = 'a'\nsecert = 1"),
            "issuer[0].keys.secrets[0].secert",
            &["secret"],
        ),
        ("[revocations]\nmax = 1".into(), "revocations.max", &["max_entries"]),
        (one("strategy = 'jwk'"), "issuer[0].strategy", &["jwks", "introspection", "hybrid", "custom:NAME"]),
        (one("strategy = 'custom:'"), "issuer[0].strategy", &["custom:NAME"]),
        (one("strategy = 1"), "issuer[0].strategy", &["string"]),
        (one(""), "issuer[0]", &["strategy"]),
        ("issuer = 'https://as.example'".into(), "issuer", &["sequence"]),
        (one("strategy = 'jwks'\naudience = 1"), "issuer[0].audience", &["a string, or a list of strings"]),
        (one("strategy = 'jwks'\naudience = ['a', 1]"), "issuer[0].audience[1]", &["string"]),
        (jwks("danger_allow_http = 'yes'"), "issuer[0].danger_allow_http", &["boolean"]),
        (jwks("[issuer.keys]\nmax_keys = -1"), "issuer[0].keys.max_keys", &["usize"]),
        (jwks("[issuer.keys]\nalgorithms = ['none']"), "issuer[0].keys.algorithms[0]", &["RS256"]),
        (jwks("[issuer.keys]\nalgorithms = ['rs256']"), "issuer[0].keys.algorithms[0]", &["RS256"]),
        (
            introspection("client_auth = 'basic'"),
            "issuer[0].introspection.client_auth",
            &["client_secret_basic"],
        ),
        (
            hybrid("[issuer.revocation]\nwhen_unknown = 'allow'"),
            "issuer[0].revocation.when_unknown",
            &["deny", "allow_stale"],
        ),
        (
            hybrid("[issuer.revocation]\nwhen_unknown = { allow_stale = '5m', x = 1 }"),
            "issuer[0].revocation.when_unknown.x",
            &["allow_stale"],
        ),
        (
            hybrid("[issuer.revocation]\ncheck_when = 'never'"),
            "issuer[0].revocation.check_when",
            &["always", "lifetime_over"],
        ),
        (
            hybrid("[issuer.revocation]\nclaims = 'both'"),
            "issuer[0].revocation.claims",
            &["token", "introspection"],
        ),
        (
            hybrid("").replace("[issuer.introspection]", "opaque = 'x'\n[issuer.introspection]"),
            "issuer[0].opaque",
            &["refuse", "introspect"],
        ),
    ]);
}

#[test]
fn a_duration_has_a_unit() {
    const FORM: &[&str] = &["a duration with a unit", "30s"];
    all_refused(&[
        ("deadline = 5".into(), "deadline", FORM),
        ("deadline = '5'".into(), "deadline", FORM),
        ("deadline = 1.5".into(), "deadline", FORM),
        ("deadline = '-1s'".into(), "deadline", FORM),
        (jwks("leeway = 30"), "issuer[0].leeway", FORM),
        (jwks("[issuer.keys]\nmax_age = 600"), "issuer[0].keys.max_age", FORM),
        (introspection("timeout = 2"), "issuer[0].introspection.timeout", FORM),
        (hybrid("[issuer.revocation]\nfreshness = 30"), "issuer[0].revocation.freshness", &["30s", "exp"]),
        (hybrid("[issuer.revocation]\nfreshness = 'ever'"), "issuer[0].revocation.freshness", FORM),
        (
            hybrid("[issuer.revocation]\nwhen_unknown = { allow_stale = 300 }"),
            "issuer[0].revocation.when_unknown.allow_stale",
            FORM,
        ),
        (
            hybrid("[issuer.revocation]\ncheck_when = { lifetime_over = 300 }"),
            "issuer[0].revocation.check_when.lifetime_over",
            FORM,
        ),
    ]);
}

#[test]
fn a_literal_secret_is_refused_and_never_shown() {
    const FORMS: &[&str] = &["{ env = \"NAME\" }", "{ file = \"PATH\" }"];
    const KEY: &str = "issuer[0].introspection.client_secret";
    let ask = |line: &str| introspection(&format!("client_id = 'api'\nclient_secret = {line}\n"));
    all_refused(&[
        (ask(&format!("'{CANARY}'")), KEY, &["a literal secret is refused", FORMS[0], FORMS[1]]),
        (ask(&format!("['{CANARY}']")), KEY, FORMS),
        (ask("1234567890"), KEY, FORMS),
        (ask("1.5"), KEY, FORMS),
        (ask("true"), KEY, FORMS),
        (
            ask(&format!("{{ value = '{CANARY}' }}")),
            "issuer[0].introspection.client_secret.value",
            &["env", "file"],
        ),
        (ask("{}"), KEY, FORMS),
        (ask("{ env = 'A', file = 'B' }"), KEY, &["exactly one of env and file"]),
        (ask(&format!("{{ env = ['{CANARY}'] }}")), "issuer[0].introspection.client_secret.env", &["string"]),
        (jwks(&format!("[issuer.keys]\nsecret = '{CANARY}'")), "issuer[0].keys.secret", FORMS),
        (
            jwks(&format!("[[issuer.keys.secrets]]\nkid = 'a'\nsecret = '{CANARY}'")),
            "issuer[0].keys.secrets[0].secret",
            FORMS,
        ),
        // In a place where none belongs.
        (introspection(&format!("cache = '{CANARY}'")), "issuer[0].introspection.cache", &["boolean"]),
        (
            introspection(&format!("client_auth = '{CANARY}'")),
            "issuer[0].introspection.client_auth",
            &["bearer"],
        ),
        (introspection(&format!("headers = '{CANARY}'")), "issuer[0].introspection.headers", &["map"]),
        (introspection(&format!("timeout = '{CANARY}'")), "issuer[0].introspection.timeout", &["duration"]),
        (jwks(&format!("profile2 = '{CANARY}'")), "issuer[0].profile2", &["unknown field"]),
    ]);
}

#[test]
fn a_number_as_a_secret_is_not_shown_either() {
    for (line, digits) in [("8675309777", "8675309777"), ("867.5309777", "5309777"), ("1979-05-27", "1979")] {
        let error = build(&introspection(&format!("client_secret = {line}"))).unwrap_err();
        assert!(!error.to_string().contains(digits) && !format!("{error:?}").contains(digits), "{error:?}");
    }
}

#[test]
fn broken_syntax_on_the_secrets_own_line_shows_no_secret() {
    for line in [
        format!("client_secret = {CANARY}"),
        format!("client_secret = '{CANARY}"),
        format!("client_secret = \"{CANARY}"),
        format!("client_secret = \"{CANARY}\" x"),
        format!("client_secret \"{CANARY}\""),
        format!("client_secret = \"\\q{CANARY}\""),
        format!("client_secret = {{ env = \"{CANARY}\""),
        format!("client_secret = {{ value = \"{CANARY}\", }} }}"),
        format!("client_secret = [\"{CANARY}\""),
        format!("client_secret == \"{CANARY}\""),
        format!("client_secret = 12{CANARY}"),
        format!("client_secret = \"\"\"{CANARY}"),
        format!("client_secret = \"{CANARY}\"\nclient_secret = \"{CANARY}\""),
        format!("client_secret = tru{CANARY}"),
        format!("client_secret = 999999999999999999999999999999{CANARY}"),
    ] {
        let toml = introspection(&format!("{line}\n"));
        let error = VerifierConfig::from_toml(&toml).expect_err(&toml);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(CANARY) && !shown.contains("hunter2"), "{shown}\n{toml}");
        assert!(error.line().is_some_and(|line| line >= 6), "{error:?}");
    }
}

#[test]
fn json_is_read_as_strictly() {
    let json = |secret: &str| {
        format!(
            r#"{{ "issuer": [ {{ "issuer": "https://as.example", "strategy": "introspection", "profile": "generic",
                 "audience": "api", "introspection": {{ "client_id": "api", "client_secret": {secret} }} }} ] }}"#
        )
    };
    for secret in [
        format!("\"{CANARY}\""),
        format!("[\"{CANARY}\"]"),
        format!("{{ \"value\": \"{CANARY}\" }}"),
        format!("{{ \"env\": [\"{CANARY}\"] }}"),
        "8675309777".into(),
        "-8675309777".into(),
        "86753.09777".into(),
        "null".into(),
        "true".into(),
        format!("\"{CANARY}"),
        CANARY.into(),
        format!("\"{CANARY}\\q\""),
        format!("\"{CANARY}\" x"),
        "123456789012345678901234567890".into(),
    ] {
        // `null` is no secret: it is the absence of one, and the endpoint wants one.
        let error =
            VerifierConfig::from_json(&json(&secret)).and_then(|config| config.build()).expect_err(&secret);
        let shown = format!("{error} {error:?}");
        assert!(
            !shown.contains(CANARY) && !shown.contains("8675309777") && !shown.contains("09777"),
            "{secret}: {shown}"
        );
    }
    let error = VerifierConfig::from_json(&json("\"x\"")).unwrap_err();
    assert_eq!(error.key_path(), "issuer[0].introspection.client_secret");
    assert_eq!(error.line(), Some(2));

    for (text, key) in [
        (r#"{ "issuers": [] }"#, "issuers"),
        (
            r#"{ "issuer": [ { "strategy": "jwks", "strategy": "hybrid", "issuer": "x" } ] }"#,
            "issuer[0].strategy",
        ),
        (r#"{ "deadline": 5 }"#, "deadline"),
        (r#"{ "issuer": [] } trailing"#, ""),
        (r#"[]"#, ""),
        ("", ""),
    ] {
        let error = VerifierConfig::from_json(text).and_then(|config| config.build()).expect_err(text);
        assert!(
            error.key_path() == key
                || key == "issuer[0].strategy" && error.key_path().starts_with("issuer[0]"),
            "{text}: {error:?}"
        );
    }
}

#[test]
fn who_we_are_and_what_a_token_looks_like_has_to_be_said() {
    all_refused(&[
        (String::new(), "issuer", &["[[issuer]]"]),
        (
            one("strategy = 'jwks'\naudience = 'api'"),
            "issuer[0].profile",
            &["at+jwt", "generic", "keycloak", "hydra"],
        ),
        (
            one("strategy = 'jwks'\naudience = 'api'\nprofile = 'auth1'"),
            "issuer[0].profile",
            &["\"auth1\"", "keycloak", "auth0"],
        ),
        (
            one("strategy = 'jwks'\nprofile = 'generic'"),
            "issuer[0].audience",
            &["danger_accept_any_audience = true"],
        ),
        (
            one("strategy = 'jwks'\nprofile = 'generic'\naudience = []"),
            "issuer[0].audience",
            &["danger_accept_any_audience"],
        ),
        (
            one("strategy = 'jwks'\nprofile = 'generic'\naudience = ['api', '']"),
            "issuer[0].audience",
            &["empty"],
        ),
        (
            jwks("danger_accept_any_audience = true"),
            "issuer[0].audience",
            &["danger_accept_any_audience = true"],
        ),
        (
            one(
                "strategy = 'jwks'\nprofile = 'generic'\ndanger_accept_any_audience = true\naudience_claim = 'azp'",
            ),
            "issuer[0].audience_claim",
            &["danger_accept_any_audience = true"],
        ),
        (jwks("roles = ['realm_access.roles']"), "issuer[0].roles", &["realm_access.roles", "RFC 6901"]),
        (jwks("required_scopes = ['a b']"), "issuer[0].required_scopes", &[]),
        (jwks("leeway = '6m'"), "issuer[0].leeway", &["360s", "300s"]),
        (jwks("max_age = '0s'"), "issuer[0].max_age", &["zero"]),
        (jwks("max_lifetime = '0s'"), "issuer[0].max_lifetime", &["zero"]),
        (
            jwks("max_lifetime = '2days'"),
            "issuer[0].max_lifetime",
            &["2days", "revocations.retention", "1day"],
        ),
    ]);
}

#[test]
fn sections_that_the_strategy_has_no_use_for_are_refused() {
    let custom = |lines: &str| one(&format!("strategy = 'custom:mine'\n{lines}"));
    all_refused(&[
        (jwks(ASK), "issuer[0].introspection", &["\"jwks\"", "\"hybrid\""]),
        (jwks("[issuer.revocation]\nfreshness = '30s'"), "issuer[0].revocation", &["\"jwks\"", "\"hybrid\""]),
        (jwks("opaque = 'introspect'"), "issuer[0].opaque", &["\"jwks\"", "\"hybrid\""]),
        (
            introspection("[issuer.keys]\nurl = 'https://as.example/k'"),
            "issuer[0].keys",
            &["\"introspection\"", "\"hybrid\""],
        ),
        (
            introspection("[issuer.verified_tokens]\nmax_entries = 1"),
            "issuer[0].verified_tokens",
            &["\"introspection\""],
        ),
        (
            introspection("[issuer.revocation]\nwhen_unknown = 'deny'"),
            "issuer[0].revocation.when_unknown",
            &["\"introspection\""],
        ),
        (
            introspection("[issuer.revocation]\ncheck_when = 'always'"),
            "issuer[0].revocation.check_when",
            &["\"hybrid\""],
        ),
        (
            introspection("[issuer.revocation]\nclaims = 'token'"),
            "issuer[0].revocation.claims",
            &["\"hybrid\""],
        ),
        (
            introspection("[issuer.revocation]\ncheckers = ['introspection']"),
            "issuer[0].revocation.checkers",
            &["\"hybrid\""],
        ),
        (
            introspection("[issuer.revocation]\ndanger_skip_identity_check = true"),
            "issuer[0].revocation.danger_skip_identity_check",
            &["\"hybrid\""],
        ),
        (one(INTROSPECTION), "issuer[0].introspection", &["[issuer.introspection]"]),
        (one(HYBRID), "issuer[0].introspection", &["[issuer.introspection]"]),
        (custom("profile = 'generic'"), "issuer[0].profile", &["\"custom\""]),
        (custom("audience = 'api'"), "issuer[0].audience", &["\"custom\""]),
        (custom("required_scopes = ['a']"), "issuer[0].required_scopes", &["\"custom\""]),
        (custom("leeway = '1s'"), "issuer[0].leeway", &["\"custom\""]),
        (custom("proxy = 'http://127.0.0.1:1'"), "issuer[0].proxy", &["\"custom\""]),
        (custom(ASK), "issuer[0].introspection", &["\"custom\""]),
    ]);
}

#[test]
fn contradictions_in_the_revocation_check_name_both_values() {
    let section = |lines: &str| hybrid(&format!("[issuer.revocation]\n{lines}"));
    const STALE: &str = "issuer[0].revocation.when_unknown";
    all_refused(&[
        (
            section("freshness = '90s'\nwhen_unknown = { allow_stale = '45s' }"),
            STALE,
            &["45s", "90s", "freshness"],
        ),
        (section("freshness = '90s'\nwhen_unknown = { allow_stale = '90s' }"), STALE, &["90s"]),
        (section("when_unknown = { allow_stale = '60s' }"), STALE, &["60s"]),
        (section("freshness = 'exp'\nwhen_unknown = { allow_stale = '1h' }"), STALE, &["3600s", "exp"]),
        (
            section("check_when = { lifetime_over = '4m' }"),
            "issuer[0].revocation.check_when",
            &["240s", "300s", "3600s"],
        ),
        (
            section("check_when = { lifetime_over = '61m' }"),
            "issuer[0].revocation.check_when",
            &["3660s", "3600s"],
        ),
        (
            section("check_when = { lifetime_over = '10m' }\nclaims = 'introspection'"),
            "issuer[0].revocation.claims",
            &["introspection", "600s"],
        ),
        (section("checkers = []"), "issuer[0].revocation.checkers", &["jwks"]),
        (section("checkers = ['intro']"), "issuer[0].revocation.checkers", &["\"intro\"", "custom:NAME"]),
        (section("checkers = ['custom:mine']"), "issuer[0].revocation.checkers", &["\"mine\""]),
    ]);
}

#[test]
fn contradictions_among_the_keys_name_both_values() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "short").unwrap();
    let long = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(long.path(), "a-secret-that-is-long-enough-for-sha-256\n").unwrap();
    let keys = |lines: &str| jwks(&format!("[issuer.keys]\n{lines}\n"));
    let short = format!("secret = {{ file = '{}' }}", file.path().display());
    let good = format!("secret = {{ file = '{}' }}", long.path().display());
    build(&keys(&format!("{good}\nalgorithms = ['HS256']"))).unwrap();
    all_refused(&[
        (keys("algorithms = []"), "issuer[0].keys.algorithms", &["empty"]),
        (keys("algorithms = ['RS256', 'HS256']"), "issuer[0].keys.algorithms", &["RS256", "HS256"]),
        (keys("algorithms = ['HS256']"), "issuer[0].keys.algorithms", &["HS256", "keys.secret"]),
        (
            keys(&format!("{good}\nalgorithms = ['RS256']")),
            "issuer[0].keys.algorithms",
            &["RS256", "keys.secret"],
        ),
        (
            keys(&format!("{good}\nalgorithms = ['HS256', 'ES256']")),
            "issuer[0].keys.algorithms",
            &["HS256", "ES256"],
        ),
        (
            keys(&format!("{good}\nalgorithms = ['HS256', 'HS512']")),
            "issuer[0].keys.algorithms",
            &["one HMAC algorithm"],
        ),
        (keys(&good), "issuer[0].keys.algorithms", &["HS256"]),
        (keys(&format!("{short}\nalgorithms = ['HS256']")), "issuer[0].keys.secret", &["HS256"]),
        (keys(&format!("{good}\nalgorithms = ['HS512']")), "issuer[0].keys.secret", &["HS512"]),
        (
            keys(&format!("{good}\nencoding = 'base64'\nalgorithms = ['HS256']")),
            "issuer[0].keys.secret",
            &["base64"],
        ),
        (
            keys(&format!("{good}\nurl = 'https://as.example/k'\nalgorithms = ['HS256']")),
            "issuer[0].keys",
            &["url", "secret"],
        ),
        (keys("url = 'https://as.example/k'\nfile = 'x'"), "issuer[0].keys", &["url and file"]),
        (
            keys("inline = '{}'\npem = 'x'\nsource = 'custom:mine'"),
            "issuer[0].keys",
            &["inline", "pem", "source"],
        ),
        (keys("pem = 'x'"), "issuer[0].keys.algorithms", &["keys.pem", "PEM"]),
        (keys("pem = 'x'\nalgorithms = ['RS256', 'ES256']"), "issuer[0].keys.algorithms", &["PEM"]),
        (keys("pem = 'x'\nalgorithms = ['RS256']"), "issuer[0].keys", &[]),
        (keys("file = '/nowhere/keys.pem'"), "issuer[0].keys.algorithms", &["keys.file"]),
        (keys("file = '/nowhere/keys.json'"), "issuer[0].keys.file", &["/nowhere/keys.json"]),
        (keys("inline = '{}'"), "issuer[0].keys", &[]),
        (keys("kid = 'a'"), "issuer[0].keys.kid", &["pem"]),
        (keys("encoding = 'utf8'"), "issuer[0].keys.encoding", &["secret"]),
        (keys("source = 'mine'"), "issuer[0].keys.source", &["custom:NAME"]),
        (keys("source = 'custom:mine'"), "issuer[0].keys.source", &["\"mine\""]),
        (
            keys("algorithms = ['RS256']\nalgorithm_when_absent = 'ES256'"),
            "issuer[0].keys.algorithm_when_absent",
            &["ES256"],
        ),
        (keys("max_rsa_bits = 1024"), "issuer[0].keys.max_rsa_bits", &["1024", "2048", "8192"]),
        (keys("cooldown = '0s'"), "issuer[0].keys.cooldown", &["zero"]),
        (keys("max_age = '0s'"), "issuer[0].keys.max_age", &["zero"]),
        (keys("timeout = '0s'"), "issuer[0].keys.timeout", &["zero"]),
        (keys("connect_timeout = '0s'"), "issuer[0].keys.connect_timeout", &["zero"]),
        (keys("connect_timeout = '9s'"), "issuer[0].keys.connect_timeout", &["9s", "timeout", "5s"]),
        (keys("max_size = 0"), "issuer[0].keys.max_size", &["zero"]),
        (keys("max_keys = 0"), "issuer[0].keys.max_keys", &["zero"]),
        (
            jwks("verified_tokens = { max_entries = 0 }"),
            "issuer[0].verified_tokens.max_entries",
            &["verified_tokens = false"],
        ),
    ]);
}

#[test]
fn contradictions_in_the_introspection_section_name_both_values() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let empty = format!("client_id = 'api'\nclient_secret = {{ file = '{}' }}", empty.path().display());
    const SECRET: &str = "issuer[0].introspection.client_secret";
    all_refused(&[
        (introspection("client_id = 'api'"), SECRET, &["env", "file"]),
        (introspection("client_auth = 'client_secret_post'\nclient_id = 'api'"), SECRET, &["client_auth"]),
        (introspection("client_auth = 'bearer'"), SECRET, &["client_auth"]),
        (
            introspection("client_secret = { env = 'PATH' }"),
            "issuer[0].introspection.client_id",
            &["client_auth"],
        ),
        (
            introspection("client_auth = 'none'\nclient_id = 'api'\nclient_secret = { file = '/nowhere' }"),
            "issuer[0].introspection.client_auth",
            &["none", "client_secret"],
        ),
        (
            introspection("client_id = 'api'\nclient_secret = { env = 'NO_SUCH_VARIABLE_77' }"),
            SECRET,
            &["NO_SUCH_VARIABLE_77", "not set"],
        ),
        (
            introspection("client_id = 'api'\nclient_secret = { file = '/nowhere/s' }"),
            SECRET,
            &["/nowhere/s"],
        ),
        (introspection(&empty), SECRET, &["empty"]),
        (
            introspection("cache = false\nmax_entries = 9"),
            "issuer[0].introspection.max_entries",
            &["9", "cache = false"],
        ),
        (introspection("max_entries = 0"), "issuer[0].introspection.max_entries", &["zero"]),
        (introspection("max_size = 0"), "issuer[0].introspection.max_size", &["zero"]),
        (introspection("max_concurrent = 0"), "issuer[0].introspection.max_concurrent", &["at least 1"]),
        (introspection("timeout = '0s'"), "issuer[0].introspection.timeout", &["zero"]),
        (introspection("connect_timeout = '0s'"), "issuer[0].introspection.connect_timeout", &["zero"]),
        (
            introspection("connect_timeout = '3s'"),
            "issuer[0].introspection.connect_timeout",
            &["3s", "2s", "timeout"],
        ),
        (introspection("negative_ttl = '2h'"), "issuer[0].introspection.negative_ttl", &["7200s"]),
        (introspection("parameters = { token = 'x' }"), "issuer[0].introspection.parameters", &["\"token\""]),
        (
            introspection("headers = { Authorization = 'x' }"),
            "issuer[0].introspection.headers",
            &["uthorization"],
        ),
        (
            introspection(&format!("headers = {{ 'a b' = '{CANARY}' }}")),
            "issuer[0].introspection.headers",
            &["a b"],
        ),
    ]);
    // With a secret, but raw and a colon in the id.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "s").unwrap();
    let raw = format!(
        "client_id = 'a:b'\nclient_auth = 'client_secret_basic_raw'\nclient_secret = {{ file = '{}' }}",
        file.path().display()
    );
    all_refused(&[(introspection(&raw), "issuer[0].introspection.client_id", &["colon"])]);
}

#[test]
fn issuers_are_told_apart() {
    let other = |lines: &str| jwks(lines).replace("as.example", "other.example");
    let tenants = |lines: &str| {
        format!("[[issuer]]\nissuer = 'https://login.example/{{tenantid}}/v2.0'\n{JWKS}{lines}")
    };
    const KEYS: &str = "[issuer.keys]\nurl = 'https://login.example/keys'\n";
    build(&tenants(&format!("tenants = ['a', 'b']\n{KEYS}"))).unwrap();
    all_refused(&[
        (format!("{}\n{}", jwks(""), jwks("")), "issuer[1].issuer", &["https://as.example", "issuer[0]"]),
        (one(JWKS).replace("https://as.example", ""), "issuer[0].issuer", &["empty"]),
        (
            format!(
                "{}\n{}",
                hybrid("").replace("[issuer.intro", "opaque = 'introspect'\n[issuer.intro"),
                introspection("")
                    .replace("as.example'\nstrategy", "b.example'\nopaque = 'introspect'\nstrategy")
            ),
            "issuer[1].opaque",
            &["issuer[0]"],
        ),
        (
            format!(
                "{}\n{}",
                jwks("danger_accept_missing_issuer = true"),
                other("danger_accept_missing_issuer = true")
            ),
            "issuer[1].danger_accept_missing_issuer",
            &["issuer[0]"],
        ),
        (tenants(KEYS), "issuer[0].tenants", &["{tenantid}"]),
        (jwks("tenants = ['a']"), "issuer[0].tenants", &["{tenantid}"]),
        (tenants(&format!("tenants = ['']\n{KEYS}")), "issuer[0].tenants", &[]),
        (
            tenants(&format!("tenants = ['a', 'a']\n{KEYS}")),
            "issuer[0].issuer",
            &["https://login.example/a/v2.0"],
        ),
        (tenants("tenants = ['a']"), "issuer[0].keys.url", &["tenants"]),
        (
            format!(
                "[[issuer]]\nissuer = 'https://login.example/{{tenantid}}/v2.0'\n{INTROSPECTION}tenants = ['a', 'b']\n{ASK}"
            ),
            "issuer[0].tenants",
            &["\"jwks\""],
        ),
    ]);
    // Both strategies with introspect-by-default do not both claim opaque tokens: among several it has to be said.
    build(&format!(
        "{}\n{}",
        introspection(""),
        introspection("").replace("as.example'\nstrategy", "b.example'\nstrategy")
    ))
    .unwrap();
}

#[test]
fn plain_http_off_loopback_needs_the_danger_switch() {
    const WORD: &[&str] = &["plain http", "danger_allow_http = true"];
    let http = |lines: &str| jwks(lines).replace("https://as.example", "http://as.example");
    let connect = "[issuer.connect]\n'https://as.example' = 'http://keycloak:8080'\n";
    let cases: [(String, &str, &[&str]); 5] = [
        (http(""), "issuer[0].keys.url", WORD),
        (jwks("[issuer.keys]\nurl = 'http://as.example/k'"), "issuer[0].keys.url", WORD),
        (
            introspection("").replace("https://as.example/i", "http://as.example/i"),
            "issuer[0].introspection.endpoint",
            WORD,
        ),
        (
            jwks(connect),
            "issuer[0].connect.\"https://as.example\"",
            &["http://keycloak:8080", "danger_allow_http = true"],
        ),
        // A detour for one origin is none for another that begins with the same letters.
        (
            jwks(
                "[issuer.keys]\nurl = 'http://idp.evil.example/k'\n[issuer.connect]\n'http://idp' = 'http://127.0.0.1:1'",
            ),
            "issuer[0].keys.url",
            WORD,
        ),
    ];
    all_refused(&cases);
    for (toml, _, _) in &cases {
        build(&toml.replace("audience =", "danger_allow_http = true\naudience =")).unwrap();
    }
    for loopback in ["127.0.0.1:1", "localhost:1", "[::1]:1"] {
        build(&http("").replace("as.example", loopback)).unwrap();
        build(&jwks(&connect.replace("keycloak:8080", loopback))).unwrap();
    }
}

#[test]
fn addresses_and_files_of_the_transport_name_their_key() {
    let bad = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(bad.path(), "no certificate").unwrap();
    let no_pem = format!("ca_file = '{}'", bad.path().display());
    all_refused(&[
        (jwks("[issuer.keys]\nurl = 'as.example/k'"), "issuer[0].keys.url", &["URL"]),
        (jwks("[issuer.keys]\nurl = 'ftp://as.example/k'"), "issuer[0].keys.url", &["https"]),
        (
            jwks(&format!("[issuer.keys]\nurl = 'https://me:{CANARY}@as.example/k'")),
            "issuer[0].keys.url",
            &["password"],
        ),
        (one(JWKS).replace("https://as.example", "my-issuer"), "issuer[0].keys.url", &["issuer"]),
        (
            jwks(&format!("[issuer.connect]\n'https://as.example' = 'https://me:{CANARY}@idp'")),
            "issuer[0].connect.\"https://as.example\"",
            &["password"],
        ),
        (
            jwks(&format!("[issuer.connect]\n'https://as.example' = 'http://me:{CANARY}@idp'")),
            "issuer[0].connect.\"https://as.example\"",
            &["http"],
        ),
        (jwks("ca_file = '/nowhere/ca.pem'"), "issuer[0].ca_file", &["/nowhere/ca.pem"]),
        (jwks(&no_pem), "issuer[0].ca_file", &["certificate"]),
        (jwks(&format!("proxy = 'socks5://me:{CANARY}@x'")), "issuer[0].proxy", &["http"]),
        (
            jwks("[issuer.connect]\n'https://as.example/x' = 'http://127.0.0.1:1'"),
            "issuer[0].connect",
            &["origin"],
        ),
        (
            jwks("[issuer.connect]\n'https://as.example' = 'http://127.0.0.1:1/x'"),
            "issuer[0].connect",
            &["origin"],
        ),
        (
            jwks(
                "[issuer.connect]\n'https://as.example' = 'http://127.0.0.1:1'\n'https://as.example:443' = 'http://127.0.0.1:2'",
            ),
            "issuer[0].connect",
            &["https://as.example"],
        ),
    ]);
}

#[test]
fn limits_of_the_whole_have_their_range() {
    let with = |line: &str| format!("{line}\n{}", jwks(""));
    build(&with("max_token_size = 65536")).unwrap();
    all_refused(&[
        (with("max_token_size = 0"), "max_token_size", &["0", "65536"]),
        (with("max_token_size = 65537"), "max_token_size", &["65537", "65536"]),
        (with("deadline = '0s'"), "deadline", &["zero"]),
        (with("revocations = { max_entries = 0 }"), "revocations.max_entries", &["zero"]),
        (with("revocations = { retention = '0s' }"), "revocations.retention", &["zero"]),
        (one("strategy = 'custom:mine'"), "issuer[0].strategy", &["\"mine\""]),
    ]);
}

#[test]
fn a_file_that_is_missing_is_named() {
    let error = VerifierConfig::from_file("/nowhere/verifier.toml").unwrap_err();
    assert!(error.to_string().contains("/nowhere/verifier.toml"), "{error}");
}

#[test]
fn a_file_is_json_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("verifier.json");
    std::fs::write(&path, r#"{ "issuer": [{ "issuer": "https://as.example", "strategy": "jwks", "profile": "generic", "audience": "api" }] }"#).unwrap();
    VerifierConfig::from_file(&path).unwrap().build().unwrap();
    let path = folder.path().join("verifier.toml");
    std::fs::write(&path, jwks("")).unwrap();
    VerifierConfig::from_file(&path).unwrap().build().unwrap();
}

#[test]
fn debug_of_a_configuration_shows_no_password() {
    let toml = introspection(&format!(
        "headers = {{ X-Api-Key = '{CANARY}' }}\nparameters = {{ pass = '{CANARY}' }}"
    ));
    let toml =
        toml.replacen("audience =", &format!("proxy = 'http://me:{CANARY}@proxy:3128'\naudience ="), 1);
    let config = VerifierConfig::from_toml(&toml).unwrap();
    let verifier = config.build().unwrap();
    let shown = format!("{config:?} {verifier:?} {:?}", verifier.health());
    assert!(!shown.contains(CANARY), "{shown}");
    assert!(shown.contains("proxy") && shown.contains("X-Api-Key"), "{shown}");
}

#[test]
fn types_are_not_widened_where_they_alone_tell_an_access_token() {
    let at_jwt = |types: &str| {
        let toml = jwks(&format!("types = {types}")).replacen("profile = 'generic'", "profile = 'at+jwt'", 1);
        assert!(toml.contains("'at+jwt'"), "{toml}");
        toml
    };
    // With no other mark an ID token of the same issuer would pass for an access token.
    all_refused(&[
        (at_jwt("['JWT']"), "issuer[0].types", &["at+jwt", "generic"]),
        (at_jwt("['at+jwt', 'JWT']"), "issuer[0].types", &["at+jwt", "generic"]),
        (jwks("types = []"), "issuer[0].types", &["empty"]),
        (
            introspection("").replacen("audience =", "types = ['JWT']\naudience =", 1),
            "issuer[0].types",
            &["introspection"],
        ),
    ]);
    build(&at_jwt("['AT+JWT']")).unwrap();
    build(&jwks("types = ['JWT', 'vnd.example+jwt']")).unwrap();
}
