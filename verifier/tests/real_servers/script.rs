//! The script of a row: what the server does, how it is configured here, what happens, and what each step has to lead
//! to by every strategy.

use verifier_testkit::{AuthorizationServer, Behaviour, Builder, DEFAULT_AUDIENCE, TokenRequest};

use crate::play::Play;

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
    pub(crate) const ALL: [Self; 4] = [Self::Jwks, Self::Introspection, Self::Hybrid, Self::HybridAnswers];

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
    pub(crate) code: &'static str,
    pub(crate) introspections: u64,
    /// Readings of the key set; `None`: not told, since a refresh in the background may fall into this step.
    pub(crate) readings: Option<u64>,
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
    pub(crate) about: String,
    pub(crate) behaviours: Vec<Behaviour>,
    pub(crate) server: fn(Builder) -> Builder,
    pub(crate) profile: &'static str,
    issuer: fn(&AuthorizationServer) -> String,
    lines: String,
    hybrid_lines: String,
    introspection_lines: String,
    revocation_lines: String,
    tables: fn(&AuthorizationServer, Way) -> String,
    pub(crate) steps: Vec<Step>,
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

    /// The configuration by this strategy, with our secret in this file.
    pub(crate) fn configuration(&self, way: Way, server: &AuthorizationServer, secret: &str) -> String {
        let mut text = format!(
            "[[issuer]]\nissuer = {:?}\nstrategy = {:?}\nprofile = {:?}\n",
            (self.issuer)(server),
            way.strategy(),
            self.profile
        );
        if !self.lines.contains("danger_accept_any_audience") {
            text += &format!("audience = [{DEFAULT_AUDIENCE:?}]\n");
        }
        text += &self.lines;
        text.push('\n');
        if way.is_hybrid() {
            text += &self.hybrid_lines;
        }
        if way.introspects() {
            text += &format!(
                "[issuer.introspection]\nclient_id = \"api\"\nclient_secret = {{ file = {secret:?} }}\n{}\n",
                self.introspection_lines
            );
        }
        text += &(self.tables)(server, way);
        if way.is_hybrid() {
            let claims = if way == Way::Hybrid { "token" } else { "introspection" };
            text += &format!("[issuer.revocation]\nclaims = {claims:?}\n{}\n", self.revocation_lines);
        }
        text
    }
}
