//! The simulated authorization server and the network before it: every exchange waits until it is told to go on, so
//! answers are slow, overtake each other, or never come.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use verifier_core::transport::{HttpTransport, Limits, TransportError};

use super::Rng;
use super::clock::SimClock;
use super::tokens::{Token, key_set};

/// What is wrong with the server at present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    Nothing,
    Unreachable,
    TimesOut,
    Fails500,
    Limits429,
    Garbage,
    ActiveIsText,
    Refuses400,
    Unauthorized401,
    SaysInactive,
    AnswersForAnother,
}

impl Trouble {
    pub const ALL: [Self; 11] = [
        Self::Nothing,
        Self::Unreachable,
        Self::TimesOut,
        Self::Fails500,
        Self::Limits429,
        Self::Garbage,
        Self::ActiveIsText,
        Self::Refuses400,
        Self::Unauthorized401,
        Self::SaysInactive,
        Self::AnswersForAnother,
    ];

    /// Whether it makes the server tell untruths about good tokens.
    pub const fn lies(self) -> bool {
        matches!(self, Self::SaysInactive | Self::AnswersForAnother)
    }
}

/// One answer that the server gave about a token.
#[derive(Clone, Copy, Debug)]
pub struct Evaluation {
    pub token: usize,
    pub sent: u64,
    pub evaluated: u64,
    pub active: bool,
    /// Whether the answer named another token: only those who know whose token it is can tell.
    pub of_another: bool,
    /// Whether the asker has taken the answer in.
    pub consumed: bool,
}

#[derive(Debug)]
pub struct SimServer {
    clock: Arc<SimClock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tokens: Vec<Token>,
    revoked: Vec<Option<u64>>,
    slim: bool,
    trouble: Trouble,
    exchanges: Vec<Exchange>,
    evaluations: Vec<Evaluation>,
}

type Reply = Result<Response<Bytes>, TransportError>;

#[derive(Debug)]
struct Exchange {
    id: usize,
    /// The token asked about; `None` for the key set.
    about: Option<usize>,
    sent: u64,
    stage: Stage,
    waker: Option<Waker>,
}

#[derive(Debug)]
enum Stage {
    OnTheWay,
    OnTheWayBack(Reply, Option<usize>),
    Arrived(Reply, Option<usize>),
}

impl SimServer {
    pub fn new(clock: Arc<SimClock>, slim: bool) -> Arc<Self> {
        let state = State {
            tokens: Vec::new(),
            revoked: Vec::new(),
            slim,
            trouble: Trouble::Nothing,
            exchanges: Vec::new(),
            evaluations: Vec::new(),
        };
        Arc::new(Self { clock, state: Mutex::new(state) })
    }

    pub fn issue(&self, token: Token) {
        let mut state = self.state.lock().unwrap();
        state.tokens.push(token);
        state.revoked.push(None);
    }

    pub fn revoke(&self, token: usize) {
        let now = self.clock.tick();
        self.state.lock().unwrap().revoked[token].get_or_insert(now);
    }

    pub fn revoked_at(&self, token: usize) -> Option<u64> {
        self.state.lock().unwrap().revoked[token]
    }

    pub fn set_trouble(&self, trouble: Trouble) {
        self.state.lock().unwrap().trouble = trouble;
    }

    pub fn evaluations(&self) -> Vec<Evaluation> {
        self.state.lock().unwrap().evaluations.clone()
    }

    /// How often the server was asked.
    pub fn exchanges_begun(&self) -> usize {
        self.state.lock().unwrap().evaluations.len()
    }

    pub fn is_idle(&self) -> bool {
        self.state.lock().unwrap().exchanges.iter().all(|one| matches!(one.stage, Stage::Arrived(..)))
    }

    /// One exchange goes one step further; false if none can.
    pub fn go_on(&self, rng: &mut Rng) -> bool {
        let now = self.clock.tick();
        let seconds = self.clock.true_seconds();
        let mut state = self.state.lock().unwrap();
        let open: Vec<usize> = (0..state.exchanges.len())
            .filter(|n| !matches!(state.exchanges[*n].stage, Stage::Arrived(..)))
            .collect();
        if open.is_empty() {
            return false;
        }
        let n = *rng.pick(&open);
        let stage = std::mem::replace(&mut state.exchanges[n].stage, Stage::OnTheWay);
        let (stage, waker) = match stage {
            Stage::OnTheWay => {
                let (about, sent) = (state.exchanges[n].about, state.exchanges[n].sent);
                let (reply, says) = state.reply(about, seconds);
                let place = says.map(|(token, active)| {
                    let of_another = active && state.trouble == Trouble::AnswersForAnother;
                    let (evaluated, consumed) = (now, false);
                    state.evaluations.push(Evaluation {
                        token,
                        sent,
                        evaluated,
                        active,
                        of_another,
                        consumed,
                    });
                    state.evaluations.len() - 1
                });
                (Stage::OnTheWayBack(reply, place), None)
            }
            Stage::OnTheWayBack(reply, place) => {
                (Stage::Arrived(reply, place), state.exchanges[n].waker.take())
            }
            arrived => (arrived, None),
        };
        state.exchanges[n].stage = stage;
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

impl State {
    fn reply(&self, about: Option<usize>, seconds: i64) -> (Reply, Option<(usize, bool)>) {
        let json = |body: String| {
            Ok(Response::builder()
                .header("content-type", "application/json")
                .body(Bytes::from(body))
                .unwrap())
        };
        let status = |status: u16| Ok(Response::builder().status(status).body(Bytes::new()).unwrap());
        match self.trouble {
            Trouble::Unreachable => return (Err(TransportError::Connect), None),
            Trouble::TimesOut => return (Err(TransportError::TimedOut), None),
            Trouble::Fails500 => return (status(500), None),
            Trouble::Limits429 => return (status(429), None),
            Trouble::Garbage => return (json("<html>".to_owned()), None),
            _ => {}
        }
        let Some(token) = about else { return (json(key_set()), None) };
        let inactive = || json(r#"{"active":false}"#.to_owned());
        match self.trouble {
            Trouble::Refuses400 => (status(400), None),
            Trouble::Unauthorized401 => (status(401), None),
            Trouble::ActiveIsText => (json(r#"{"active":"true"}"#.to_owned()), None),
            Trouble::SaysInactive => (inactive(), Some((token, false))),
            _ => {
                let known = &self.tokens[token];
                let active = !known.forged && self.revoked[token].is_none() && seconds < known.expires_at;
                let reply = match self.trouble {
                    _ if !active => inactive(),
                    Trouble::AnswersForAnother => {
                        json(Token { client: "other".to_owned(), ..known.clone() }.answer(self.slim))
                    }
                    _ => json(known.answer(self.slim)),
                };
                (reply, Some((token, active)))
            }
        }
    }
}

/// The network as the verifiers hold it.
#[derive(Debug)]
pub struct Network(pub Arc<SimServer>);

#[async_trait]
impl HttpTransport for Network {
    async fn send(&self, request: Request<Bytes>, _: Limits) -> Reply {
        let sent = self.0.clock.tick();
        let id = {
            let mut state = self.0.state.lock().unwrap();
            let about = if request.method() == http::Method::GET {
                None
            } else {
                let body = std::str::from_utf8(request.body()).unwrap();
                let text = body.split('&').find_map(|pair| pair.strip_prefix("token=")).unwrap();
                Some(state.tokens.iter().position(|token| token.text == text).unwrap())
            };
            let id = state.exchanges.last().map_or(0, |last| last.id + 1);
            state.exchanges.push(Exchange { id, about, sent, stage: Stage::OnTheWay, waker: None });
            id
        };
        InTheAir { id, server: Arc::clone(&self.0) }.await
    }
}

struct InTheAir {
    id: usize,
    server: Arc<SimServer>,
}

impl Future for InTheAir {
    type Output = Reply;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        let mut state = self.server.state.lock().unwrap();
        let n = state.exchanges.iter().position(|one| one.id == self.id).unwrap();
        if !matches!(state.exchanges[n].stage, Stage::Arrived(..)) {
            state.exchanges[n].waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let exchange = std::mem::replace(&mut state.exchanges[n].stage, Stage::OnTheWay);
        // Keeps its place, so that ids stay in order; nobody waits for it any more.
        state.exchanges[n].stage = Stage::Arrived(Err(TransportError::Broken), None);
        match exchange {
            Stage::Arrived(reply, place) => {
                if let Some(place) = place {
                    state.evaluations[place].consumed = true;
                }
                Poll::Ready(reply)
            }
            _ => Poll::Pending,
        }
    }
}
