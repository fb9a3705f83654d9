//! The stage on which a row is played: a server with behaviours, a clock, one verifier by each strategy in turn, and a
//! script of steps with what each of them has to lead to.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use verifier::core::upstream::BreakerHealth;
use verifier::{Backends, Health, HealthNote, VerifiedToken, Verifier, VerifierConfig};
use verifier_testkit::{
    AuthorizationServer, Behaviour, Builder, DEFAULT_AUDIENCE, ManualClock, TestRuntime, TokenRequest,
};

/// A strategy, and for hybrid whose claims the service sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    Jwks,
    Introspection,
    /// `claims = "token"`
    Hybrid,
    /// `claims = "introspection"`
    HybridAnswers,
}

impl Way {
    const ALL: [Self; 4] = [Self::Jwks, Self::Introspection, Self::Hybrid, Self::HybridAnswers];

    const fn strategy(self) -> &'static str {
        match self {
            Self::Jwks => "jwks",
            Self::Introspection => "introspection",
            Self::Hybrid | Self::HybridAnswers => "hybrid",
        }
    }

    pub(crate) const fn is_hybrid(self) -> bool {
        matches!(self, Self::Hybrid | Self::HybridAnswers)
    }

    pub(crate) const fn introspects(self) -> bool {
        !matches!(self, Self::Jwks)
    }
}

/// What a verification leads to: `verified` or the code, and what it cost the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    code: &'static str,
    introspections: u64,
    /// Readings of the key set; `None`: not told, since a refresh in the background may fall into this step.
    readings: Option<u64>,
}

/// Verified, with so many introspection calls and readings of the key set.
pub(crate) const fn ok(introspections: u64, readings: u64) -> Outcome {
    no("verified", introspections, readings)
}

/// Not verified, with this code.
pub(crate) const fn no(code: &'static str, introspections: u64, readings: u64) -> Outcome {
    Outcome { code, introspections, readings: Some(readings) }
}

impl Outcome {
    /// However often the key set was read.
    pub(crate) const fn any_readings(self) -> Self {
        Self { readings: None, ..self }
    }
}

/// By jwks, introspection, hybrid with the token's claims, hybrid with the answer's.
pub(crate) type ByWay = [Outcome; 4];

/// The same, at no cost, by every strategy.
pub(crate) const fn all(code: &'static str) -> ByWay {
    [no(code, 0, 0); 4]
}

/// A good token, the first of its verifier: the keys are read once, the server is asked once.
pub(crate) const FIRST: ByWay = [ok(0, 1), ok(1, 0), ok(1, 1), ok(1, 1)];
/// A good token that comes later.
pub(crate) const LATER: ByWay = [ok(0, 0), ok(1, 0), ok(1, 0), ok(1, 0)];
/// A good token of which all is known.
pub(crate) const KNOWN: ByWay = [ok(0, 0); 4];

/// Makes the token of this number.
type ManyTokens = Box<dyn Fn(&Play, usize) -> String>;

/// One step of a script.
pub(crate) enum Step {
    /// Makes a token, to be called by this name.
    Issue(&'static str, Box<dyn Fn(&Play) -> String>),
    /// Verifies it.
    Ask(&'static str, ByWay),
    /// Makes and verifies so many tokens; the costs are those of all together. The first is called `one of many`.
    Many(usize, ManyTokens, ByWay),
    /// Switches a behaviour.
    Behave(Behaviour, bool),
    /// Lets seconds pass.
    Wait(u64),
    /// Whether the verifier is ready: `ready` or the code, by way.
    Ready([&'static str; 4]),
    /// Does something else, or looks at what came of it.
    Do(Box<dyn Fn(&Play)>),
}

pub(crate) fn issue(name: &'static str, request: fn() -> TokenRequest) -> Step {
    Step::Issue(name, Box::new(move |play| play.server.issue(request()).token))
}

pub(crate) fn make(name: &'static str, token: impl Fn(&Play) -> String + 'static) -> Step {
    Step::Issue(name, Box::new(token))
}

pub(crate) fn ask(name: &'static str, expected: ByWay) -> Step {
    Step::Ask(name, expected)
}

pub(crate) fn many(n: usize, token: impl Fn(&Play, usize) -> String + 'static, expected: ByWay) -> Step {
    Step::Many(n, Box::new(token), expected)
}

pub(crate) fn act(action: impl Fn(&Play) + 'static) -> Step {
    Step::Do(Box::new(action))
}

pub(crate) const fn on(behaviour: Behaviour) -> Step {
    Step::Behave(behaviour, true)
}

pub(crate) const fn off(behaviour: Behaviour) -> Step {
    Step::Behave(behaviour, false)
}

/// One row: what the server does, how it is configured here, and what happens.
pub(crate) struct Row {
    pub(crate) id: &'static str,
    about: String,
    behaviours: Vec<Behaviour>,
    server: fn(Builder) -> Builder,
    profile: &'static str,
    issuer: fn(&AuthorizationServer) -> String,
    lines: String,
    hybrid_lines: String,
    introspection_lines: String,
    revocation_lines: String,
    tables: fn(&AuthorizationServer, Way) -> String,
    steps: Vec<Step>,
}

impl Row {
    pub(crate) fn new(id: &'static str, about: impl Into<String>) -> Self {
        Self {
            id,
            about: about.into(),
            behaviours: Vec::new(),
            server: |builder| builder,
            profile: "at+jwt",
            issuer: |server| server.issuer().to_owned(),
            lines: String::new(),
            hybrid_lines: String::new(),
            introspection_lines: String::new(),
            revocation_lines: String::new(),
            tables: |_, _| String::new(),
            steps: Vec::new(),
        }
    }

    /// The server does this from the start.
    pub(crate) fn behaving(mut self, behaviour: Behaviour) -> Self {
        self.behaviours.push(behaviour);
        self
    }

    pub(crate) fn server(self, server: fn(Builder) -> Builder) -> Self {
        Self { server, ..self }
    }

    /// The server writes in this manner, and the configuration knows it.
    pub(crate) fn profile(self, profile: &'static str) -> Self {
        Self { profile, ..self }
    }

    /// Another name than the server's in the configuration.
    pub(crate) fn issuer(self, issuer: fn(&AuthorizationServer) -> String) -> Self {
        Self { issuer, ..self }
    }

    /// Lines of the issuer's own table.
    pub(crate) fn lines(self, lines: &str) -> Self {
        Self { lines: lines.to_owned(), ..self }
    }

    /// Opaque tokens are introspected by hybrid too.
    pub(crate) fn opaque_too(self) -> Self {
        Self { hybrid_lines: "opaque = \"introspect\"\n".to_owned(), ..self }
    }

    /// Lines of the introspection section.
    pub(crate) fn introspection(self, lines: &str) -> Self {
        Self { introspection_lines: lines.to_owned(), ..self }
    }

    /// Lines of hybrid's revocation section.
    pub(crate) fn revocation(self, lines: &str) -> Self {
        Self { revocation_lines: lines.to_owned(), ..self }
    }

    /// Further tables of the issuer; they may end the introspection section with a line of its own.
    pub(crate) fn tables(self, tables: fn(&AuthorizationServer, Way) -> String) -> Self {
        Self { tables, ..self }
    }

    pub(crate) fn steps(self, steps: Vec<Step>) -> Self {
        Self { steps, ..self }
    }
}

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
        let toml = configuration(row, way, &server, &folder.path().join("secret").display().to_string());
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

fn configuration(row: &Row, way: Way, server: &AuthorizationServer, secret: &str) -> String {
    let mut text = format!(
        "[[issuer]]\nissuer = {:?}\nstrategy = {:?}\nprofile = {:?}\n",
        (row.issuer)(server),
        way.strategy(),
        row.profile
    );
    if !row.lines.contains("danger_accept_any_audience") {
        text += &format!("audience = [{DEFAULT_AUDIENCE:?}]\n");
    }
    text += &row.lines;
    text.push('\n');
    if way.is_hybrid() {
        text += &row.hybrid_lines;
    }
    if way.introspects() {
        text += &format!(
            "[issuer.introspection]\nclient_id = \"api\"\nclient_secret = {{ file = {secret:?} }}\n{}\n",
            row.introspection_lines
        );
    }
    text += &(row.tables)(server, way);
    if way.is_hybrid() {
        let claims = if way == Way::Hybrid { "token" } else { "introspection" };
        text += &format!("[issuer.revocation]\nclaims = {claims:?}\n{}\n", row.revocation_lines);
    }
    text
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
