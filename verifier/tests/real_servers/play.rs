//! The stage on which a row is played: a server with behaviours, a clock, and a verifier by each strategy in turn.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use verifier::core::upstream::BreakerHealth;
use verifier::{Backends, Health, HealthNote, VerifiedToken, Verifier, VerifierConfig};
use verifier_testkit::{AuthorizationServer, ManualClock, TestRuntime};

use crate::script::{Outcome, Row, Step, Way};

/// A row that is being played, by one strategy.
pub(crate) struct Play {
    pub(crate) way: Way,
    pub(crate) clock: ManualClock,
    pub(crate) server: AuthorizationServer,
    pub(crate) verifier: Verifier,
    folder: tempfile::TempDir,
    log: Paper,
    tokens: RefCell<HashMap<&'static str, String>>,
    seen: RefCell<Vec<String>>,
    last: RefCell<Option<VerifiedToken>>,
}

/// Plays rows by every strategy.
pub(crate) async fn play(rows: Vec<Row>) {
    for row in &rows {
        for way in Way::ALL {
            let play = Play::begin(row, way);
            let guard = tracing::subscriber::set_default(play.log.subscriber());
            for (n, step) in row.steps.iter().enumerate() {
                let place = format!("{} ({}), {way:?}, step {n}", row.id, row.about);
                play.step(step, &place).await;
            }
            drop(guard);
            play.nothing_secret_was_written(row);
        }
    }
}

impl Play {
    fn begin(row: &Row, way: Way) -> Self {
        let clock = ManualClock::new();
        let mut builder = AuthorizationServer::builder().clock(clock.clone());
        builder = (row.server)(match row.profile {
            "keycloak" => builder.profile(verifier_testkit::Profile::Keycloak),
            "hydra" => builder.profile(verifier_testkit::Profile::Hydra),
            "generic" => builder.profile(verifier_testkit::Profile::Generic),
            _ => builder,
        });
        let server =
            row.behaviours.iter().fold(builder, |builder, one| builder.behaviour(*one)).start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "api-secret").unwrap();
        let toml = row.configuration(way, &server, &folder.path().join("secret").display().to_string());
        let runtime = TestRuntime::current(clock.clone()).unwrap();
        let backends = Backends::new().clock(Arc::new(clock.clone())).runtime(Arc::new(runtime));
        let verifier = VerifierConfig::from_toml(&toml)
            .and_then(|config| config.build_with(&backends))
            .unwrap_or_else(|error| panic!("{} {way:?}: {error}\n{toml}", row.id));
        Self {
            way,
            clock,
            server,
            verifier,
            folder,
            log: Paper::default(),
            tokens: RefCell::default(),
            seen: RefCell::default(),
            last: RefCell::default(),
        }
    }

    async fn step(&self, step: &Step, place: &str) {
        match step {
            Step::Issue(name, make) => {
                let token = make(self);
                self.seen.borrow_mut().push(token.clone());
                self.tokens.borrow_mut().insert(name, token);
            }
            Step::Ask(name, expected) => {
                let token = self.token(name);
                let expected = self.of(expected);
                self.server.reset_counts();
                let code = self.verify(&token).await;
                assert_eq!(code, expected.code, "{place}: {name}");
                self.cost(expected, &format!("{place}: {name}"));
            }
            Step::Many(n, make, expected) => {
                let expected = self.of(expected);
                self.server.reset_counts();
                for i in 0..*n {
                    let token = make(self, i);
                    if i == 0 {
                        self.tokens.borrow_mut().insert("one of many", token.clone());
                    }
                    let code = self.verify(&token).await;
                    assert_eq!(code, expected.code, "{place}: number {i}");
                }
                self.cost(expected, place);
            }
            Step::Behave(behaviour, on) => self.server.behave(*behaviour, *on),
            Step::Wait(seconds) => self.clock.advance(Duration::from_secs(*seconds)),
            Step::Ready(expected) => {
                let code = match self.verifier.ready(Duration::from_secs(1)).await {
                    Ok(()) => "ready",
                    Err(why) => why.code(),
                };
                assert_eq!(code, *self.of(expected), "{place}");
            }
            Step::Do(action) => action(self),
        }
    }

    async fn verify(&self, token: &str) -> &'static str {
        match self.verifier.verify(token).await {
            Ok(verified) => {
                *self.last.borrow_mut() = Some(verified);
                "verified"
            }
            Err(error) => error.code(),
        }
    }

    fn cost(&self, expected: &Outcome, place: &str) {
        let counts = self.server.counts();
        assert_eq!(counts.introspection, expected.introspections, "{place}: introspection calls");
        if let Some(readings) = expected.readings {
            assert_eq!(counts.jwks, readings, "{place}: readings of the key set");
        }
        assert_eq!((counts.other, counts.token, counts.revocation), (0, 0, 0), "{place}: odd requests");
    }

    pub(crate) fn of<'t, T>(&self, by_way: &'t [T; 4]) -> &'t T {
        &by_way[Way::ALL.iter().position(|way| *way == self.way).unwrap()]
    }

    /// The token of this name.
    pub(crate) fn token(&self, name: &str) -> String {
        self.tokens.borrow().get(name).expect("it was issued").clone()
    }

    /// What the last acceptance said.
    pub(crate) fn accepted<T>(&self, look: impl Fn(&VerifiedToken) -> T) -> T {
        look(self.last.borrow().as_ref().expect("something was verified"))
    }

    /// Another secret of ours than the server knows, or the right one again.
    pub(crate) fn write_secret(&self, secret: &str) {
        std::fs::write(self.folder.path().join("secret"), secret).unwrap();
    }

    pub(crate) fn notes(&self) -> Vec<HealthNote> {
        fn gather(health: &Health, notes: &mut Vec<HealthNote>) {
            notes.extend(&health.notes);
            health.parts.iter().for_each(|part| gather(part, notes));
        }
        let mut notes = Vec::new();
        gather(&self.verifier.health(), &mut notes);
        notes
    }

    /// No breaker has counted a failure.
    pub(crate) fn nothing_is_held_against_the_server(&self) {
        fn look(health: &Health) -> usize {
            if let Some(upstream) = &health.upstream {
                assert_eq!(upstream.breaker, BreakerHealth::Closed);
                assert_eq!((upstream.consecutive_failures, upstream.last_failure), (0, None));
            }
            usize::from(health.upstream.is_some()) + health.parts.iter().map(look).sum::<usize>()
        }
        let health = self.verifier.health();
        assert_eq!(health.ready, Ok(()));
        assert_eq!(look(&health) > 0, self.way.introspects());
    }

    /// How many lines of the log hold this.
    pub(crate) fn lines_with(&self, text: &str) -> usize {
        self.log.text().lines().filter(|line| line.contains(text)).count()
    }

    /// No row may put a token or the secret into the log: the beginning of every JWT is `eyJ`.
    fn nothing_secret_was_written(&self, row: &Row) {
        let text = self.log.text();
        assert!(!text.contains("eyJ") && !text.contains("api-secret"), "{}: {text}", row.id);
        for token in self.seen.borrow().iter().filter(|token| token.len() > 20) {
            assert!(!text.contains(token.as_str()), "{}: {text}", row.id);
        }
    }
}

/// What is logged, from debug on.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + 'static {
        let paper = self.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || paper.clone())
            .finish()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
