//! The built command against a server: what it prints, and how it exits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use verifier_testkit::forge::catalogue;
use verifier_testkit::forge::segments::{self, Segment};
use verifier_testkit::{
    AuthorizationServer, DEFAULT_AUDIENCE, Endpoint, Fault, RESOURCE_SERVER, RESOURCE_SERVER_SECRET,
    TokenRequest,
};

/// A server, and a configuration for it in a folder of its own.
struct Site {
    server: AuthorizationServer,
    folder: TempDir,
}

impl Site {
    fn new(strategy: &str) -> Self {
        let site = Self { server: AuthorizationServer::start().unwrap(), folder: TempDir::new().unwrap() };
        site.configure(&site.issuer(strategy));
        site
    }

    fn issuer(&self, strategy: &str) -> Value {
        let mut issuer = json!({
            "issuer": self.server.issuer(),
            "strategy": strategy,
            "profile": "at+jwt",
            "audience": DEFAULT_AUDIENCE,
        });
        if strategy != "jwks" {
            let secret = self.folder.path().join("secret");
            fs::write(&secret, RESOURCE_SERVER_SECRET).unwrap();
            issuer["introspection"] =
                json!({ "client_id": RESOURCE_SERVER, "client_secret": { "file": secret } });
        }
        issuer
    }

    fn configure(&self, issuer: &Value) {
        fs::write(self.config(), json!({ "issuer": [issuer] }).to_string()).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("verifier.json")
    }

    fn verify(&self, tokens: &[&str], args: &[&str]) -> Ran {
        let config = self.config();
        let mut all = vec!["verify", "--config", config.to_str().unwrap()];
        all.extend(args);
        run(&all, tokens.join("\n").as_bytes())
    }

    /// The one verdict on one token.
    fn verdict(&self, token: &str) -> (Value, i32) {
        let ran = self.verify(&[token], &["--json", "-"]);
        let lines = ran.json_lines();
        assert_eq!(lines.len(), 1, "{ran:?}");
        (lines[0].clone(), ran.status)
    }

    fn good(&self) -> String {
        self.server.issue(TokenRequest::new().subject("alice").scope("orders:read")).token
    }
}

#[derive(Debug)]
struct Ran {
    status: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json_lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().expect("ended by itself"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verifier"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(args: &[&str], input: &[u8]) -> Ran {
    let mut child = command(args).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // Who doesn't read is closed on.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output.into()
}

#[test]
fn a_good_token_is_verified_by_each_strategy() {
    for (strategy, basis) in [("jwks", "not_checked"), ("introspection", "active"), ("hybrid", "active")] {
        let site = Site::new(strategy);
        let token = site.good();
        let (line, status) = site.verdict(&token);
        assert_eq!(status, 0, "{line}");
        assert_eq!((&line["verdict"], &line["status"]), (&json!("verified"), &json!(200)));
        assert_eq!(line["claims"]["sub"], "alice");
        assert_eq!(line["claims"]["iss"], site.server.issuer());
        let evidence = &line["evidence"];
        assert_eq!(evidence["strategy"], strategy);
        assert_eq!(evidence["revocation"]["basis"], basis);
        if strategy != "introspection" {
            assert_eq!(evidence["algorithm"], "ES256");
            assert_eq!(evidence["kid"], site.server.signing_kid());
            assert!(evidence["key_set_age_ms"].is_u64());
        }
        if basis == "active" {
            assert_eq!(evidence["revocation"]["source"], "introspection");
            assert!(evidence["revocation"]["age_ms"].is_u64());
        }
    }
}

#[test]
fn each_bad_token_gets_its_code() {
    for strategy in ["jwks", "hybrid"] {
        let site = Site::new(strategy);
        let (server, good) = (&site.server, site.good());
        let forge = server.forge(TokenRequest::new());
        let ago = Duration::from_secs(3_600);
        let cases = [
            ("malformed_token", "garbage, with blanks".to_owned()),
            ("not_a_jwt", "garbage".to_owned()),
            ("algorithm_not_allowed", forge.clone().header("alg", "none").unsigned()),
            ("bad_signature", segments::bit_flipped(&good, Segment::Signature, 0)),
            ("bad_signature", segments::bit_flipped(&good, Segment::Payload, 8 * 12)),
            ("expired", server.issue(TokenRequest::new().issued_ago(ago).lifetime(ago / 2)).token),
            ("wrong_audience", server.issue(TokenRequest::new().audience("https://other.example.com")).token),
            ("unknown_key", catalogue::unknown_kids(&forge).next().unwrap()),
            ("encrypted_token", catalogue::jwe_shaped()),
        ];
        for (code, token) in &cases {
            let (line, status) = site.verdict(token);
            assert_eq!(line["code"], *code, "{strategy}");
            assert_eq!((&line["verdict"], &line["status"]), (&json!("rejected"), &json!(401)), "{code}");
            assert_eq!((line.get("claims"), line.get("evidence")), (None, None), "{code}");
            assert_eq!(status, 1, "{code}");
        }
    }
}

#[test]
fn a_revoked_token_is_rejected_where_somebody_is_asked() {
    for (strategy, code, expected) in
        [("jwks", "verified", 0), ("introspection", "inactive", 1), ("hybrid", "inactive", 1)]
    {
        let site = Site::new(strategy);
        let token = site.good();
        assert!(site.server.revoke(&token));
        let (line, status) = site.verdict(&token);
        assert_eq!((line["code"].as_str().unwrap(), status), (code, expected), "{strategy}");
    }
}

#[test]
fn a_server_out_of_reach_is_unavailable_and_no_fault_of_the_token() {
    for (strategy, code) in
        [("jwks", "keys_not_loaded"), ("introspection", "connect_failed"), ("hybrid", "keys_not_loaded")]
    {
        let site = Site::new(strategy);
        let token = site.good();
        site.server.refuse_connections();
        let (line, status) = site.verdict(&token);
        assert_eq!((&line["verdict"], &line["status"]), (&json!("unavailable"), &json!(503)), "{strategy}");
        assert_eq!(line["code"], code, "{strategy}");
        assert_eq!(line.get("claims"), None);
        assert_eq!(status, 2, "{strategy}");
        // What went wrong below is told, too: to machines and to people.
        let cause = (code != "connect_failed").then(|| json!("connect_failed"));
        assert_eq!(line.get("because"), cause.as_ref(), "{strategy}");
        let ran = site.verify(&[&token], &["-"]);
        assert!(ran.out.starts_with("unavailable  503  ") && ran.out.contains("connect_failed"), "{ran:?}");
    }
}

#[test]
fn one_verdict_a_line_and_the_worst_makes_the_exit_status() {
    let site = Site::new("hybrid");
    let (good, other) = (site.good(), site.good());
    let bad = site.server.issue(TokenRequest::new().audience("other")).token;
    let verdicts = |tokens: &[&str]| {
        let ran = site.verify(tokens, &["--json"]);
        let names: Vec<String> =
            ran.json_lines().iter().map(|line| line["verdict"].as_str().unwrap().to_owned()).collect();
        (names.join(" "), ran.status)
    };
    assert_eq!(verdicts(&[&good, "", &other, ""]), ("verified verified".to_owned(), 0));
    assert_eq!(verdicts(&[&good, &bad, &other]), ("verified rejected verified".to_owned(), 1));
    site.server.faults().on(Endpoint::Introspection, Fault::Status(500, String::new()));
    assert_eq!(verdicts(&[&bad, &good, &bad]), ("rejected unavailable rejected".to_owned(), 2));
}

#[test]
fn line_ends_lengths_and_odd_bytes_are_borne() {
    let site = Site::new("jwks");
    let good = site.good();
    let config = site.config();
    let mut input = format!("{good}\r\n\r\n{}\n", "a".repeat(3_000_000)).into_bytes();
    input.extend(b"\xff\xfe\n");
    input.extend(good.as_bytes());
    let ran = run(&["verify", "--json", "--config", config.to_str().unwrap(), "-"], &input);
    let codes: Vec<Value> = ran.json_lines().iter().map(|line| line["code"].clone()).collect();
    assert_eq!(codes, ["verified", "token_too_large", "malformed_token", "verified"]);
    assert_eq!(ran.status, 1);
}

#[test]
fn people_get_an_aligned_line_that_tells_the_age_of_what_is_known() {
    let site = Site::new("hybrid");
    let token = site.good();
    let expired = Duration::from_secs(600);
    let bad = site.server.issue(TokenRequest::new().issued_ago(expired).lifetime(expired / 2)).token;
    let ran = site.verify(&[&token, &bad], &[]);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:?}");
    assert!(lines[0].starts_with("verified     200  "), "{}", lines[0]);
    assert!(lines[0].contains("sub=alice") && lines[0].contains("revocation: active "), "{}", lines[0]);
    assert!(lines[0].ends_with(" ms ago]") || lines[0].ends_with(" s ago]"), "{}", lines[0]);
    assert_eq!(lines[1], "rejected     401  expired");
}

#[test]
fn hostile_claims_of_a_verified_token_do_not_reach_the_terminal() {
    let site = Site::new("jwks");
    let token = site.server.issue(TokenRequest::new().subject("a\u{1b}[2J\u{9b}\u{202e}b")).token;
    for args in [&["-"][..], &["--json", "-"]] {
        let ran = site.verify(&[&token], args);
        assert_eq!(ran.status, 0);
        assert!(ran.out.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{:?}", ran.out);
    }
    let (line, _) = site.verdict(&token);
    assert_eq!(line["claims"]["sub"], "a\u{1b}[2J\u{9b}\u{202e}b");
}

#[test]
fn another_instant_can_be_asked_for() {
    let site = Site::new("jwks");
    let issued = site.server.issue(TokenRequest::new());
    let code_at = |time: &str| {
        let ran = site.verify(&[&issued.token], &["--json", "--now", time, "-"]);
        ran.json_lines()[0]["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(code_at(&issued.issued_at.to_string()), "verified");
    assert_eq!(code_at(&(issued.expires_at + 3_600).to_string()), "expired");
    assert_eq!(code_at("2001-01-01T00:00:00Z"), "issued_in_future");
}

#[test]
fn a_freshness_that_nobody_can_give_is_unavailable() {
    let site = Site::new("jwks");
    let ran = site.verify(&[&site.good()], &["--json", "--freshness", "10s", "-"]);
    assert_eq!((ran.json_lines()[0]["code"].as_str(), ran.status), (Some("no_revocation_source"), 2));

    let site = Site::new("hybrid");
    let token = site.good();
    let calls = |args: &[&str]| {
        site.server.reset_counts();
        assert_eq!(site.verify(&[&token, &token, &token], args).status, 0);
        site.server.counts().introspection
    };
    assert_eq!(calls(&[]), 1);
    assert_eq!(calls(&["--freshness", "0s"]), 3);
}

#[test]
fn tokens_come_from_files_and_arguments_too() {
    let site = Site::new("jwks");
    let token = site.good();
    let file = site.folder.path().join("token");
    fs::write(&file, format!("{token}\n")).unwrap();
    let ran = site.verify(&[], &["--token-file", file.to_str().unwrap()]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{ran:?}");

    let ran = site.verify(&[], &[&token]);
    assert_eq!(ran.status, 0);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    assert!(ran.err.contains("history") && ran.err.contains("ps"), "{}", ran.err);
    assert!(!ran.err.contains(&token) && !ran.out.contains(&token));
}

#[test]
fn no_output_holds_a_token_or_a_secret() {
    let site = Site::new("hybrid");
    let (good, revoked) = (site.good(), site.good());
    site.server.revoke(&revoked);
    for args in [&["-"][..], &["--json", "-"]] {
        let ran = site.verify(&[&good, &revoked, "garbage"], args);
        let all = format!("{}{}", ran.out, ran.err);
        for secret in [&good, &revoked, "garbage", RESOURCE_SERVER_SECRET] {
            assert!(!all.contains(secret), "{all}");
        }
        for token in [&good, &revoked] {
            let signature = token.rsplit('.').next().unwrap();
            assert!(!all.contains(signature), "{all}");
        }
    }
}

#[test]
fn a_configuration_that_is_wrong_is_refused_by_its_key() {
    let site = Site::new("jwks");
    let good = site.issuer("jwks");
    let with = |key: &str, value: Value| {
        let mut issuer = good.clone();
        issuer[key] = value;
        issuer
    };
    for (issuer, key) in [
        (with("audiense", json!("x")), "audiense"),
        (with("strategy", json!("jwsk")), "strategy"),
        (with("leeway", json!("soon")), "leeway"),
        (with("keys", json!({ "algoritms": ["RS256"] })), "algoritms"),
    ] {
        site.configure(&issuer);
        let config = site.config();
        for args in [
            &["verify", "--config", config.to_str().unwrap(), "-"][..],
            &["config", "check", config.to_str().unwrap()],
        ] {
            let ran = run(args, b"token\n");
            assert_eq!((ran.status, ran.out.as_str()), (3, ""), "{ran:?}");
            assert!(ran.err.contains(key), "{key} is not in {}", ran.err);
        }
    }
}

#[test]
fn a_literal_secret_is_refused_and_not_echoed() {
    let site = Site::new("hybrid");
    let mut issuer = site.issuer("hybrid");
    issuer["introspection"]["client_secret"] = json!("hunter2-hunter2");
    site.configure(&issuer);
    let ran = site.verify(&["token"], &["-"]);
    assert_eq!(ran.status, 3);
    assert!(
        ran.err.contains("client_secret") && ran.err.contains("env") && ran.err.contains("file"),
        "{ran:?}"
    );
    assert!(!ran.err.contains("hunter2") && !ran.out.contains("hunter2"));
}

#[test]
fn a_wrong_command_line_exits_with_3_and_help_with_0() {
    for args in [
        &["verify"][..],
        &["verify", "--config", "x", "--now", "tomorrow", "-"],
        &["verify", "--config", "x", "--freshness", "30", "-"],
        &["verify", "--config", "x", "--token-file", "y", "-"],
        &["frobnicate"],
        &["inspect", "some.token.here"],
        &["config", "example", "nobody"],
        &[],
    ] {
        let ran = run(args, b"");
        assert_eq!((ran.status, ran.out.as_str()), (3, ""), "{args:?}: {ran:?}");
        assert!(!ran.err.is_empty());
    }
    for args in
        [&["--help"][..], &["--version"], &["verify", "--help"], &["inspect", "-h"], &["help", "demo"]]
    {
        let ran = run(args, b"");
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{args:?}: {ran:?}");
        assert!(!ran.out.is_empty());
    }
    let missing = run(&["verify", "--config", "/nonexistent/verifier.toml", "-"], b"token\n");
    assert_eq!(missing.status, 3);
    assert!(missing.err.contains("/nonexistent/verifier.toml"), "{}", missing.err);
    let site = Site::new("jwks");
    let nothing = site.verify(&["", ""], &["-"]);
    assert_eq!((nothing.status, nothing.out.as_str()), (3, ""), "{nothing:?}");
}

#[test]
fn a_token_in_the_wrong_place_of_the_command_line_is_not_repeated() {
    let token = some_token();
    let opaque = "Zm9vYmFyYmF6cXV4MTIzNA";
    for token in [token.as_str(), opaque] {
        let dashed = format!("-{token}");
        let (long, value) = (format!("--{token}"), format!("--token={token}"));
        for args in [
            &[token][..],
            &["inspect", token],
            &["inspect", "-", token],
            &["inspect", &dashed],
            &["verify", "--config", "x", token, token],
            &["verify", "--config", "x", "-", token],
            &["verify", "--config", "x", &dashed],
            &["verify", "--config", "x", &long],
            &["verify", "--config", "x", &value],
            &["verify", "--config", "x", "--now", token, "-"],
            &["verify", "--config", "x", "--freshness", token, "-"],
            &["config", token],
            &["config", "example", token],
            &["demo", token],
        ] {
            let ran = run(args, b"");
            assert_eq!(ran.status, 3, "{args:?}: {ran:?}");
            assert!(!ran.err.is_empty() && !ran.err.contains(token) && !ran.out.contains(token), "{ran:?}");
        }
    }
    // What was mistyped and is no token is told.
    for (args, told) in [
        (&["verfiy"][..], "verfiy"),
        (&["verify", "--confg", "x"], "--confg"),
        (&["verify", "--config", "x", "--now", "2026-01-31T12:00:00", "-"], "2026-01-31T12:00:00"),
        (&["verify", "--config", "x", "--now", "2026-01-31T12:00:00", "-"], "--now <TIME>"),
        (&["inspect", "a.b.c"], "[-]"),
    ] {
        let ran = run(args, b"");
        assert!(ran.err.contains(told), "{told}: {ran:?}");
    }
}

fn some_token() -> String {
    AuthorizationServer::start().unwrap().issue(TokenRequest::new()).token
}

#[test]
fn a_file_that_cannot_be_read_is_named_once() {
    let site = Site::new("jwks");
    let folder = site.folder.path().to_str().unwrap();
    let nowhere = format!("{folder}/nowhere.toml");
    let config = site.config();
    let config = config.to_str().unwrap();
    for (args, file) in [
        (&["verify", "--config", &nowhere, "-"][..], nowhere.as_str()),
        (&["verify", "--config", folder, "-"], folder),
        (&["config", "check", &nowhere], &nowhere),
        (&["verify", "--config", config, "--token-file", &nowhere], &nowhere),
        (&["verify", "--config", config, "--token-file", folder], folder),
        (&["inspect", "--token-file", folder], folder),
    ] {
        let ran = run(args, b"token\n");
        assert_eq!((ran.status, ran.out.as_str()), (3, ""), "{ran:?}");
        assert_eq!(ran.err.matches(file).count(), 1, "{ran:?}");
    }
}

#[test]
fn a_closed_pipe_ends_quietly_and_is_no_success() {
    let site = Site::new("jwks");
    let token = site.good();
    let config = site.config();
    let mut child = command(&["verify", "--config", config.to_str().unwrap(), "-"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    writeln!(stdin, "{token}").unwrap();
    let mut first = [0; 8];
    stdout.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"verified");
    drop(stdout);
    writeln!(stdin, "{token}").unwrap();
    drop(stdin);
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((ran.status, ran.err.as_str()), (141, ""));
}

#[test]
fn a_token_is_inspected_and_not_believed() {
    let site = Site::new("jwks");
    let forge = site.server.forge(TokenRequest::new()).header("alg", "none").claim("sub", "\u{1b}[2Jroot");
    let ran = run(&["inspect", "-"], forge.unsigned().as_bytes());
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert!(ran.out.starts_with("UNVERIFIED"), "{}", ran.out);
    for expected in ["alg none", "no signature", "\\u001b[2Jroot", "  exp  20"] {
        assert!(ran.out.contains(expected), "{expected:?} is not in {}", ran.out);
    }
    assert!(!ran.out.contains('\u{1b}'));
    for opaque in ["opaque", &catalogue::jwe_shaped()] {
        assert_eq!(run(&["inspect", "-"], opaque.as_bytes()).status, 1);
    }
    assert_eq!(run(&["inspect", "-"], b"").status, 3);
}

#[test]
fn a_configuration_is_explained_and_examples_can_be_used() {
    let site = Site::new("hybrid");
    let config = site.config();
    let ran = run(&["config", "check", config.to_str().unwrap()], b"");
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    for expected in [site.server.issuer(), "hybrid", "discovery", "60s", "as api", DEFAULT_AUDIENCE] {
        assert!(ran.out.contains(expected), "{expected:?} is not in {}", ran.out);
    }
    assert!(!ran.out.contains(RESOURCE_SERVER_SECRET));
    assert_eq!(site.server.counts().total(), 0, "nobody is asked");

    site.configure(&site.issuer("jwks"));
    let ran = run(&["config", "check", config.to_str().unwrap()], b"");
    assert!(ran.out.contains("warning: issuer[0].max_lifetime"), "{}", ran.out);

    for example in verifier::examples::ALL {
        let example = run(&["config", "example", example.name], b"");
        assert_eq!(example.status, 0);
        check_example(&site.folder.path().join("example.toml"), &example.out);
    }
}

/// The example can be read, and apart from secrets that aren't there, used.
fn check_example(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    let mut check = command(&["config", "check", path.to_str().unwrap()]);
    // Whatever environment variables it names for its secrets.
    for name in text.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next()) {
        check.env(name, "a-secret-of-some-length-for-the-check");
    }
    let ran = Ran::from(check.output().unwrap());
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{text}");
}
