//! Another configuration for a handle in use: nothing is rejected on the way, and what is the same goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join;
use stage::{STRATEGIES, Stage, code, section_and};
use verifier::{
    ReconfigureError, Rejection, RevocationEvent, UnavailableReason, ValidationPolicy, Verifier,
    VerifierConfig,
};
use verifier_testkit::{AuthorizationServer, Endpoint, Fault, Gate, TokenRequest};

const WITHIN: Duration = Duration::from_secs(3);

fn config(toml: &str) -> VerifierConfig {
    VerifierConfig::from_toml(toml).unwrap_or_else(|error| panic!("{error}\n{toml}"))
}

async fn put(verifier: &Verifier, toml: &str) -> Result<verifier::Reconfigured, ReconfigureError> {
    verifier.reconfigure(&config(toml), WITHIN).await
}

fn fresh(server: &AuthorizationServer) -> String {
    server.issue(TokenRequest::new()).token
}

#[tokio::test]
async fn an_unchanged_issuer_keeps_its_keys_and_its_answers() {
    for strategy in STRATEGIES {
        let stage = Stage::new();
        let (server, other) = (stage.server(), stage.server());
        let own = stage.section(&server, strategy);
        let verifier = stage.build(&own);
        let token = fresh(&server);
        assert_eq!(code(&verifier.verify(&token).await), "verified");
        let asked = |endpoint| server.counts().of(endpoint);
        let before = [Endpoint::Jwks, Endpoint::Introspection, Endpoint::Discovery].map(asked);

        // One more issuer, in front of it, and another limit of the handle.
        let both = format!("deadline = \"4s\"\n{}{own}", stage.section(&other, "jwks"));
        let changes = put(&verifier, &both).await.unwrap();
        assert_eq!(changes.kept, [server.issuer()], "{strategy}");
        assert_eq!(changes.built, [other.issuer()]);
        assert!(changes.dropped.is_empty());
        let verdict = verifier.verify(&token).await.unwrap();
        assert!(verdict.evidence().from_cache, "{strategy}: {:?}", verdict.evidence());
        assert_eq!(code(&verifier.verify(&fresh(&other)).await), "verified");

        // And without it.
        let changes = put(&verifier, &own).await.unwrap();
        assert_eq!(
            (changes.kept, changes.dropped),
            (vec![server.issuer().to_owned()], vec![other.issuer().to_owned()])
        );
        assert_eq!(code(&verifier.verify(&token).await), "verified");
        let after = [Endpoint::Jwks, Endpoint::Introspection, Endpoint::Discovery].map(asked);
        assert_eq!(after, before, "{strategy}: something was asked for again");
        assert_ne!(code(&verifier.verify(&fresh(&other)).await), "verified", "{strategy}");
    }
}

#[tokio::test]
async fn an_issuer_comes_into_force_when_it_is_ready() {
    let stage = Stage::new();
    let (server, late) = (stage.server(), stage.server());
    let own = stage.section(&server, "jwks");
    let verifier = stage.build(&own);
    let (token, of_late) = (fresh(&server), fresh(&late));
    let gate = Gate::new();
    late.faults().on(Endpoint::Jwks, Fault::Delay(gate.clone()));

    let both = format!("{own}{}", stage.section(&late, "jwks"));
    let (changes, ()) = join(put(&verifier, &both), async {
        gate.arrived(1).await;
        // The old configuration, as long as the new one waits for keys.
        assert_eq!(code(&verifier.verify(&token).await), "verified");
        assert_ne!(code(&verifier.verify(&of_late).await), "verified");
        gate.open();
    })
    .await;
    assert_eq!(changes.unwrap().built, [late.issuer()]);
    let fetched = late.counts().of(Endpoint::Jwks);
    assert_eq!(code(&verifier.verify(&of_late).await), "verified");
    assert_eq!(late.counts().of(Endpoint::Jwks), fetched, "the keys were there from the first request on");
}

#[tokio::test]
async fn what_is_not_ready_in_time_leaves_all_as_it_was() {
    let stage = Stage::new();
    let (server, down) = (stage.server(), stage.server());
    let own = stage.section(&server, "jwks");
    let verifier = stage.build(&own);
    let token = fresh(&server);
    assert_eq!(code(&verifier.verify(&token).await), "verified");
    let gate = Gate::new();
    down.faults().on(Endpoint::Jwks, Fault::Delay(gate.clone()));

    let both = format!("{own}{}", stage.section(&down, "jwks"));
    let (outcome, ()) = join(put(&verifier, &both), async {
        gate.arrived(1).await;
        stage.clock.advance(WITHIN);
    })
    .await;
    match outcome.unwrap_err() {
        ReconfigureError::NotReady { issuer, why } => {
            assert_eq!(issuer, down.issuer());
            assert_eq!(why.reason(), UnavailableReason::DeadlineExceeded);
        }
        other => panic!("{other}"),
    }
    assert_eq!(code(&verifier.verify(&token).await), "verified");
    assert_eq!(verifier.health().parts.len(), 0, "still one issuer");
    gate.open();

    // An unchanged issuer that is down just now holds nobody up.
    server.faults().on(Endpoint::Jwks, Fault::Status(503, String::new()));
    down.faults().clear_all();
    assert_eq!(put(&verifier, &both).await.unwrap().kept, [server.issuer()]);
    assert_eq!(code(&verifier.verify(&fresh(&down)).await), "verified");
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_leaves_all_as_it_was() {
    let stage = Stage::new();
    let server = stage.server();
    let own = stage.section(&server, "hybrid");
    let verifier = stage.build(&own);
    let token = fresh(&server);
    for (toml, key) in [
        (String::new(), "issuer"),
        (format!("{own}{own}"), "issuer[1].issuer"),
        (format!("deadline = \"0s\"\n{own}"), "deadline"),
        (own.replace("at+jwt", "no-such-profile"), "issuer[0].profile"),
        (format!("{own}\n[revocations]\nmax_entries = 5\n"), "revocations"),
    ] {
        match put(&verifier, &toml).await.unwrap_err() {
            ReconfigureError::Config(error) => assert_eq!(error.key_path(), key, "{error}"),
            other => panic!("{other}"),
        }
        assert_eq!(code(&verifier.verify(&token).await), "verified");
    }
    let by_hand = Verifier::builder_in(stage.runtime.env())
        .issuer(server.issuer(), verifier.backend())
        .build()
        .unwrap();
    assert_eq!(put(&by_hand, &own).await.unwrap_err(), ReconfigureError::MadeByHand);
    assert_eq!(code(&by_hand.verify(&token).await), "verified");
}

#[tokio::test]
async fn a_call_under_way_ends_as_it_began() {
    let stage = Stage::new();
    let (server, other) = (stage.server(), stage.server());
    let verifier = stage.verifier(&server, "introspection");
    let token = fresh(&server);
    let gate = Gate::new();
    server.faults().on(Endpoint::Introspection, Fault::Delay(gate.clone()));
    let (outcome, ()) = join(verifier.verify(&token), async {
        gate.arrived(1).await;
        let changes = put(&verifier, &stage.section(&other, "jwks")).await.unwrap();
        assert_eq!(changes.dropped, [server.issuer()]);
        gate.open();
    })
    .await;
    assert_eq!(code(&outcome), "verified");
    assert_ne!(code(&verifier.verify(&token).await), "verified", "later ones by the new configuration");
}

#[tokio::test]
async fn what_was_revoked_stays_revoked_and_a_handle_keeps_its_policy() {
    let stage = Stage::new();
    let server = stage.server();
    let verifier = stage.verifier(&server, "hybrid");
    let narrow =
        verifier.with_policy(ValidationPolicy::for_audience("https://other.example").build().unwrap());
    let (token, issued) = (fresh(&server), server.issue(TokenRequest::new()));
    assert_eq!(code(&verifier.verify(&issued.token).await), "verified");
    verifier
        .revoke(&RevocationEvent::Token {
            issuer: server.issuer().to_owned(),
            jwt_id: issued.jti.clone(),
            expires_at: Some(issued.expires_at),
        })
        .unwrap();
    let changed = section_and(server.issuer(), "hybrid", &stage.secret(), "leeway = \"5s\"");
    assert_eq!(put(&verifier, &changed).await.unwrap().built, [server.issuer()]);
    assert_eq!(stage::rejected(verifier.verify(&issued.token).await), Rejection::Revoked);
    assert_eq!(code(&verifier.verify(&token).await), "verified");
    assert_eq!(stage::rejected(narrow.verify(&token).await), Rejection::WrongAudience);
}

#[tokio::test]
async fn what_is_revoked_while_its_issuer_is_away_is_revoked_when_it_is_back() {
    for strategy in STRATEGIES {
        let stage = Stage::new();
        let (server, other) = (stage.server(), stage.server());
        let own = stage.section(&server, strategy);
        let verifier = stage.build(&own);
        let (issued, good) = (server.issue(TokenRequest::new()), fresh(&server));
        assert_eq!(code(&verifier.verify(&issued.token).await), "verified");
        let event = RevocationEvent::Token {
            issuer: server.issuer().to_owned(),
            jwt_id: issued.jti.clone(),
            expires_at: Some(issued.expires_at),
        };
        let gate = Gate::new();
        for endpoint in [Endpoint::Introspection, Endpoint::Jwks] {
            server.faults().next(endpoint, 1, Fault::Delay(gate.clone()));
        }
        stage.clock.advance(Duration::from_secs(90));
        // One asks by the configuration that goes, if he has to, and must not bring back what is revoked meanwhile.
        let (pending, ()) = join(verifier.verify(&issued.token), async {
            put(&verifier, &stage.section(&other, "jwks")).await.unwrap();
            verifier.revoke(&event).unwrap();
            gate.open();
        })
        .await;
        assert!(
            code(&pending) == "revoked" || (strategy == "jwks" && code(&pending) == "verified"),
            "{strategy}: {}",
            code(&pending)
        );
        assert_ne!(code(&verifier.verify(&issued.token).await), "verified", "{strategy}");
        put(&verifier, &own).await.unwrap();
        assert_eq!(stage::rejected(verifier.verify(&issued.token).await), Rejection::Revoked, "{strategy}");
        assert_eq!(code(&verifier.verify(&good).await), "verified", "{strategy}");
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_configuration_that_went() {
    for strategy in STRATEGIES {
        let stage = Stage::new();
        let (server, other) = (stage.server(), stage.server());
        let verifier = stage.verifier(&server, strategy);
        assert_eq!(code(&verifier.verify(&fresh(&server)).await), "verified");
        let gone = Arc::downgrade(&verifier.backend());
        put(&verifier, &stage.section(&other, "jwks")).await.unwrap();
        assert!(gone.upgrade().is_none(), "{strategy}");
    }
}

#[tokio::test]
async fn a_secret_file_that_was_read_once_counts_as_part_of_the_section() {
    let stage = Stage::new();
    let server = stage.server();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shared");
    std::fs::write(&file, "a secret of thirty-two characters").unwrap();
    let toml = format!(
        "[[issuer]]\nissuer = {:?}\nstrategy = \"jwks\"\nprofile = \"at+jwt\"\naudience = \"a\"\n[issuer.keys]\n\
         algorithms = [\"HS256\"]\nsecret = {{ file = {:?} }}\n",
        server.issuer(),
        file.display().to_string()
    );
    let verifier = stage.build(&toml);
    assert_eq!(put(&verifier, &toml).await.unwrap().kept.len(), 1);
    std::fs::write(&file, "another secret of thirty-two octets").unwrap();
    assert_eq!(put(&verifier, &toml).await.unwrap().built.len(), 1);
}

/// A certificate and its key are read once, too; a key that signs assertions is read again when it changes.
#[tokio::test]
async fn a_renewed_client_certificate_counts_as_part_of_the_section() {
    let stage = Stage::new();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let renew = || {
        let own = rcgen::generate_simple_self_signed(vec!["me".to_owned()]).unwrap();
        std::fs::write(path("cert"), own.cert.pem()).unwrap();
        std::fs::write(path("key"), own.signing_key.serialize_pem()).unwrap();
        own.cert.pem()
    };
    let toml = |lines: &str| {
        format!(
            "[[issuer]]\nissuer = 'https://as.example'\nstrategy = 'introspection'\nprofile = 'generic'\n\
             audience = 'a'\nca_file = {:?}\n[issuer.introspection]\nendpoint = 'https://as.example/i'\n\
             client_id = 'me'\nclient_key = {{ file = {:?} }}\n{lines}",
            path("ca").display().to_string(),
            path("key").display().to_string()
        )
    };
    std::fs::write(path("ca"), renew()).unwrap();
    let tls = toml(&format!(
        "client_auth = 'tls_client_auth'\nclient_certificate = {{ file = {:?} }}\n",
        path("cert").display().to_string()
    ));
    let verifier = VerifierConfig::from_toml(&tls).unwrap().build().unwrap();
    assert_eq!(put(&verifier, &tls).await.unwrap().kept.len(), 1);
    renew();
    assert_eq!(put(&verifier, &tls).await.unwrap().built.len(), 1);
    assert_eq!(put(&verifier, &tls).await.unwrap().kept.len(), 1);
    // Half of a renewal: the key is there, its certificate isn't yet. What is in force stays.
    let old = std::fs::read(path("cert")).unwrap();
    renew();
    std::fs::write(path("cert"), old).unwrap();
    let error = put(&verifier, &tls).await.unwrap_err().to_string();
    assert!(error.contains("introspection.client_key"), "{error}");

    let signed = toml("client_auth = 'private_key_jwt'\n");
    let verifier =
        stage.build(&signed.replace(&format!("ca_file = {:?}\n", path("ca").display().to_string()), ""));
    let signed = signed.replace(&format!("ca_file = {:?}\n", path("ca").display().to_string()), "");
    renew();
    assert_eq!(put(&verifier, &signed).await.unwrap().kept.len(), 1);
}

/// As a shell's `<(get-secret)` gives it: it can be read once, and belongs to whoever needs the secret.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_secret_from_a_pipe_is_read_by_nobody_else() {
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;

    let stage = Stage::new();
    let server = stage.server();
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"a secret of thirty-two characters").unwrap();
    drop(writer);
    let toml = format!(
        "[[issuer]]\nissuer = {:?}\nstrategy = \"jwks\"\nprofile = \"at+jwt\"\naudience = \"a\"\n[issuer.keys]\n\
         algorithms = [\"HS256\"]\nsecret = {{ file = \"/proc/self/fd/{}\" }}\n",
        server.issuer(),
        reader.as_raw_fd()
    );
    let verifier = stage.build(&toml);
    assert_eq!(put(&verifier, &toml).await.unwrap().kept.len(), 1);
}

#[tokio::test]
async fn of_two_at_once_one_comes_into_force() {
    let stage = Stage::new();
    let (server, one, two) = (stage.server(), stage.server(), stage.server());
    let verifier = stage.verifier(&server, "jwks");
    let gate = Gate::new();
    for late in [&one, &two] {
        late.faults().on(Endpoint::Jwks, Fault::Delay(gate.clone()));
    }
    let (first, second) = (stage.section(&one, "jwks"), stage.section(&two, "jwks"));
    let ((a, b), ()) = join(join(put(&verifier, &first), put(&verifier, &second)), async {
        gate.arrived(2).await;
        gate.open();
    })
    .await;
    let won = [&a, &b].iter().filter(|outcome| outcome.is_ok()).count();
    let lost = [&a, &b].iter().filter(|outcome| ***outcome == Err(ReconfigureError::Superseded)).count();
    assert_eq!((won, lost), (1, 1), "{a:?} {b:?}");
}

/// A steady stream from several threads while configurations come and go: nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_rejected_in_between() {
    for strategy in STRATEGIES {
        let stage = Stage::new();
        let (server, other) = (stage.server(), stage.server());
        let verifier = stage.verifier(&server, strategy);
        let tokens: Arc<Vec<String>> = Arc::new((0..20).map(|_| fresh(&server)).collect());
        assert_eq!(code(&verifier.verify(&tokens[0]).await), "verified");
        let (done, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let streams: Vec<_> = (0..4)
            .map(|n| {
                let (verifier, tokens) = (verifier.clone(), Arc::clone(&tokens));
                let (done, count) = (Arc::clone(&done), Arc::clone(&count));
                tokio::spawn(async move {
                    let mut turn = n;
                    while !done.load(Ordering::Relaxed) {
                        let outcome = verifier.verify(&tokens[turn % tokens.len()]).await;
                        assert_eq!(code(&outcome), "verified");
                        turn += 1;
                        count.fetch_add(1, Ordering::Relaxed);
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for round in 0..12 {
            let changed = section_and(
                server.issuer(),
                strategy,
                &stage.secret(),
                &format!("leeway = \"{}s\"", round + 1),
            );
            let toml =
                if round % 2 == 0 { changed } else { format!("{changed}{}", stage.section(&other, "jwks")) };
            put(&verifier, &toml).await.unwrap();
            let so_far = count.load(Ordering::Relaxed);
            while count.load(Ordering::Relaxed) < so_far + 20 {
                tokio::task::yield_now().await;
            }
        }
        done.store(true, Ordering::Relaxed);
        for stream in streams {
            stream.await.unwrap();
        }
    }
}
