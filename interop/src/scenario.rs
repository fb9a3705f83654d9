//! The shape of the table: a scenario is a token, what happens to it step by step, and what each strategy must say.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use verifier::Strategy;

use crate::server::{
    Audience, Deed, Format, Kind, Lifetime, Need, Order, Product, Scopes, Sort, Subject, Trouble,
};
use crate::stage::{Check, Stage};
use crate::twist::Twist;

/// The strategies, in the order of all tables here.
pub(crate) const STRATEGIES: [Strategy; 3] = [Strategy::Jwks, Strategy::Introspection, Strategy::Hybrid];

/// The freshness that scenarios demand.
pub(crate) const FRESHNESS: Duration = Duration::from_secs(1);

/// What a verifier said of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It was accepted.
    Verified,
    /// The token's fault, with the stable code.
    Rejected(&'static str),
    /// No verdict could be given, with the stable code.
    Unavailable(&'static str),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verified => f.write_str("verified"),
            Self::Rejected(code) => write!(f, "rejected/{code}"),
            Self::Unavailable(code) => write!(f, "unavailable/{code}"),
        }
    }
}

/// What a verifier has to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Want {
    /// This, and nothing else.
    Exactly(Verdict),
    /// One of these; the text says why it can't be told which.
    OneOf(&'static [Verdict], &'static str),
    /// Not judged by this strategy; the text says why.
    NotAsked(&'static str),
}

impl Want {
    /// Whether this verdict will do.
    pub(crate) fn allows(&self, verdict: Verdict) -> bool {
        match self {
            Self::Exactly(want) => *want == verdict,
            Self::OneOf(wanted, _) => wanted.contains(&verdict),
            Self::NotAsked(_) => true,
        }
    }
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(want) => want.fmt(f),
            Self::OneOf(wanted, _) => {
                let texts: Vec<String> = wanted.iter().map(Verdict::to_string).collect();
                f.write_str(&texts.join(" or "))
            }
            Self::NotAsked(_) => f.write_str("-"),
        }
    }
}

/// `VERIFIED`, for tables.
pub(crate) const VERIFIED: Want = Want::Exactly(Verdict::Verified);

/// Rejected with this code.
pub(crate) const fn rejected(code: &'static str) -> Want {
    Want::Exactly(Verdict::Rejected(code))
}

/// Unavailable with this code.
pub(crate) const fn unavailable(code: &'static str) -> Want {
    Want::Exactly(Verdict::Unavailable(code))
}

/// What is expected of the three strategies, for JWTs and for opaque tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    jwt: [Want; 3],
    opaque: [Want; 3],
}

impl Expected {
    /// The same for both formats, but that `jwks` can't read opaque tokens.
    pub(crate) const fn of(jwks: Want, introspection: Want, hybrid: Want) -> Self {
        Self { jwt: [jwks, introspection, hybrid], opaque: [rejected("not_a_jwt"), introspection, hybrid] }
    }

    /// Other verdicts on opaque tokens.
    pub(crate) const fn opaque(self, introspection: Want, hybrid: Want) -> Self {
        Self { opaque: [rejected("not_a_jwt"), introspection, hybrid], ..self }
    }

    /// What this strategy has to say of such a token.
    pub(crate) const fn want(&self, strategy: Strategy, format: Format) -> Want {
        let of = match format {
            Format::Jwt => &self.jwt,
            Format::Opaque => &self.opaque,
        };
        match strategy {
            Strategy::Jwks => of[0],
            Strategy::Introspection => of[1],
            _ => of[2],
        }
    }
}

/// Which sorts of access token a scenario is played with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sorts {
    /// Every one that the server issues.
    Each,
    /// The usual one of each format and subject.
    EachUsual,
    /// The usual one of each format: a client's where there is one.
    EachFormat,
    /// The usual JWT.
    Jwt,
    /// The usual opaque one.
    Opaque,
    /// A user's usual one of each format.
    Users,
}

impl Sorts {
    /// Those of a server's that are meant.
    pub(crate) fn of(self, all: &[Sort]) -> Vec<Sort> {
        let mut kept: Vec<Sort> = Vec::new();
        for sort in all {
            let wanted = match self {
                Self::Each | Self::EachUsual | Self::EachFormat => true,
                Self::Jwt => sort.format == Format::Jwt,
                Self::Opaque => sort.format == Format::Opaque,
                Self::Users => sort.subject == Subject::User,
            };
            let another = |held: &Sort| match self {
                Self::Each => held == sort,
                Self::EachUsual => held.format == sort.format && held.subject == sort.subject,
                _ => held.format == sort.format,
            };
            if wanted && !kept.iter().any(another) {
                kept.push(*sort);
            }
        }
        kept
    }

    /// What a server must have that there is any.
    pub(crate) const fn need(self) -> Option<Need> {
        match self {
            Self::Jwt => Some(Need::Format(Format::Jwt)),
            Self::Opaque => Some(Need::Format(Format::Opaque)),
            Self::Users => Some(Need::Subject(Subject::User)),
            Self::Each | Self::EachUsual | Self::EachFormat => None,
        }
    }
}

/// How old the knowledge of revocations may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Demand {
    /// As the example has it.
    Configured,
    /// [`FRESHNESS`]. `jwks`, which can't promise that, is asked without.
    Fresh,
    /// Asked now. `jwks`, which can't promise that, is asked without.
    Live,
}

/// A setting that a scenario changes in the example. Strategies that have no such section go without it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Change {
    /// `issuer`, `issuer.keys`, `issuer.introspection`, `issuer.revocation`; empty: the top of the file.
    pub(crate) section: &'static str,
    /// The key; an existing line is replaced.
    pub(crate) key: &'static str,
    /// The value, in TOML; `None` takes the line away. `{issuer}`, `{introspection}`, `{jwks}`, `{held}`, `{other}` stand
    /// for the server's settings of these names (the scopes are the last two), `{address}` for where it listens.
    pub(crate) value: Option<&'static str>,
}

impl Change {
    /// Sets a key.
    pub(crate) const fn set(section: &'static str, key: &'static str, value: &'static str) -> Self {
        Self { section, key, value: Some(value) }
    }

    /// Takes a key away.
    pub(crate) const fn remove(section: &'static str, key: &'static str) -> Self {
        Self { section, key, value: None }
    }
}

/// What happens before a verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    /// Nothing.
    Nothing,
    /// The server does something.
    Server(Deed),
    /// Time passes until the token is past its end, by its own word and the token endpoint's.
    UntilExpired,
    /// Another token is issued, as ordered, and judged from now on.
    NewToken,
    /// Back to the token before [`Act::NewToken`].
    OldToken,
}

/// When the verdict has to be the expected one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum When {
    /// At once.
    Now,
    /// For every request that arrives later than [`FRESHNESS`] after the act was confirmed; until then, the verdict of
    /// the step before may go on. It is asked all that time, and the first change is reported.
    AfterFreshness,
    /// Some time, at most this long after the act: a recovery. Until then, the verdict of the step before may go on, and
    /// any unavailability where that was one.
    Within(Duration),
}

/// How often the introspection endpoint may be asked during a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Calls {
    /// As often as it takes.
    Any,
    /// Never.
    None,
}

/// One thing that happens, and the verdicts after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// What the report calls it: `fresh`, `revoked`.
    pub(crate) name: &'static str,
    /// What happens first.
    pub(crate) act: Act,
    /// Until when.
    pub(crate) when: When,
    /// What is said then.
    pub(crate) expected: Expected,
    /// How often somebody may be asked.
    pub(crate) calls: Calls,
}

impl Step {
    /// An act, and the verdicts at once.
    pub(crate) const fn new(name: &'static str, act: Act, expected: Expected) -> Self {
        Self { name, act, when: When::Now, expected, calls: Calls::Any }
    }

    /// The verdicts need the freshness.
    pub(crate) const fn after_freshness(self) -> Self {
        Self { when: When::AfterFreshness, ..self }
    }

    /// The verdicts need this long at most.
    pub(crate) const fn within(self, bound: Duration) -> Self {
        Self { when: When::Within(bound), ..self }
    }

    /// Without a call.
    pub(crate) const fn no_calls(self) -> Self {
        Self { calls: Calls::None, ..self }
    }
}

/// What a scenario of one's own does: as many checks as it likes.
pub(crate) type Play = for<'a> fn(&'a Stage<'a>) -> BoxFuture<'a, Result<Vec<Check>, Trouble>>;

/// How a scenario goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Course {
    /// A token is ordered, and goes through these steps, judged by one verifier of each strategy that lives through all
    /// of them.
    Steps(&'static [Step]),
    /// Anything else.
    Own(Play),
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    /// Unique, for reports and `--only`: `revoked/rfc7009`.
    pub(crate) id: &'static str,
    /// One line for people.
    pub(crate) title: &'static str,
    /// With which tokens.
    pub(crate) sorts: Sorts,
    /// What is ordered.
    pub(crate) kind: Kind,
    /// For whom.
    pub(crate) audience: Audience,
    /// How long-lived.
    pub(crate) lifetime: Lifetime,
    /// With which scopes.
    pub(crate) scopes: Scopes,
    /// What is done to the token's text before anybody sees it.
    pub(crate) twist: Twist,
    /// What is changed in the example.
    pub(crate) changes: &'static [Change],
    /// How fresh.
    pub(crate) demand: Demand,
    /// What a server must have besides what the order and the deeds say.
    pub(crate) needs: &'static [Need],
    /// Whether others would notice: nothing else is played meanwhile. Of steps it is known by their deeds.
    pub(crate) alone: bool,
    /// What happens.
    pub(crate) course: Course,
}

impl Scenario {
    /// A usual access token, nothing changed.
    pub(crate) const fn new(id: &'static str, title: &'static str, sorts: Sorts, course: Course) -> Self {
        Self {
            id,
            title,
            sorts,
            kind: Kind::Access,
            audience: Audience::Ours,
            lifetime: Lifetime::Usual,
            scopes: Scopes::Held,
            twist: Twist::None,
            changes: &[],
            demand: Demand::Configured,
            needs: &[],
            alone: false,
            course,
        }
    }

    /// The same, with nothing else played meanwhile.
    pub(crate) const fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// Whether nothing else may be played meanwhile, with this sort of token.
    pub(crate) fn disturbs(&self, product: &dyn Product, sort: Option<&Sort>) -> bool {
        let acts = match self.course {
            Course::Steps(steps) => steps,
            Course::Own(_) => &[],
        };
        let done = |step: &Step| matches!(step.act, Act::Server(deed) if product.disturbs(deed));
        self.alone || acts.iter().any(done) || sort.is_some_and(|sort| product.disturbed_by(sort))
    }

    /// What to order of this sort.
    pub(crate) const fn order(&self, sort: Sort) -> Order {
        Order { kind: self.kind, sort, audience: self.audience, lifetime: self.lifetime, scopes: self.scopes }
    }

    /// The format of the text that is judged: ID tokens are JWTs, whatever the access tokens are.
    pub(crate) const fn format(&self, sort: &Sort) -> Format {
        match self.kind {
            Kind::Id => Format::Jwt,
            _ => sort.format,
        }
    }

    /// The sorts that this product plays it with, or why it can't be played.
    ///
    /// # Errors
    /// The reason.
    pub(crate) fn playable(&self, product: &dyn Product) -> Result<Vec<Sort>, &'static str> {
        let order = [
            Need::Kind(self.kind),
            Need::Audience(self.audience),
            Need::Lifetime(self.lifetime),
            Need::Scopes(self.scopes),
        ];
        let deeds = match self.course {
            Course::Steps(steps) => steps,
            Course::Own(_) => &[],
        }
        .iter()
        .filter_map(|step| match step.act {
            Act::Server(deed) => Some(Need::Deed(deed)),
            _ => None,
        });
        let mut needs =
            self.sorts.need().into_iter().chain(order).chain(self.needs.iter().copied()).chain(deeds);
        if let Some(reason) = needs.find_map(|need| product.lacks(need)) {
            return Err(reason);
        }
        let mut sorts = self.sorts.of(product.sorts());
        if matches!(self.kind, Kind::Id | Kind::Refresh | Kind::Code) {
            sorts.retain(|sort| sort.subject == Subject::User);
        }
        if sorts.is_empty() { Err("it issues no such token") } else { Ok(sorts) }
    }
}

/// Where a server's verdicts are other than the table's. The first that fits holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Override {
    /// The scenario's id; one that ends in `*` means all that begin so.
    pub(crate) scenario: &'static str,
    /// The step's name; `None`: all.
    pub(crate) step: Option<&'static str>,
    /// The strategy; `None`: all.
    pub(crate) strategy: Option<Strategy>,
    /// The sorts of token.
    pub(crate) sorts: fn(&Sort) -> bool,
    /// What is expected here.
    pub(crate) want: Want,
    /// Why: what the server does, and which rule makes that of it.
    pub(crate) because: &'static str,
}

impl Override {
    /// Whether it speaks of this verdict.
    pub(crate) fn fits(&self, scenario: &str, step: &str, strategy: Strategy, sort: &Sort) -> bool {
        let named = match self.scenario.strip_suffix('*') {
            Some(prefix) => scenario.starts_with(prefix),
            None => scenario == self.scenario,
        };
        named
            && self.step.is_none_or(|own| own == step)
            && self.strategy.is_none_or(|own| own == strategy)
            && (self.sorts)(sort)
    }
}

#[cfg(test)]
mod tests;
