use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use proptest::prelude::*;
use verifier_core::revocation::Touched;

use super::*;

const START: i64 = 1_800_000_000;

/// Two clocks that are set by hand.
#[derive(Debug)]
struct Hands {
    wall: AtomicI64,
    monotonic: AtomicU64,
}

impl Hands {
    fn new() -> Arc<Self> {
        Arc::new(Self { wall: AtomicI64::new(START), monotonic: AtomicU64::new(1_000) })
    }

    fn advance(&self, seconds: u64) {
        self.wall.fetch_add(seconds as i64, Ordering::Relaxed);
        self.monotonic.fetch_add(seconds, Ordering::Relaxed);
    }

    fn step_wall(&self, seconds: i64) {
        self.wall.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for Hands {
    fn now(&self) -> Now {
        Now::new(
            WallTime::from_unix_seconds(self.wall.load(Ordering::Relaxed)),
            Instant::from_nanos(self.monotonic.load(Ordering::Relaxed) * 1_000_000_000),
        )
    }
}

fn token(jti: &str, expires_at: Option<i64>) -> RevocationEvent {
    RevocationEvent::Token { issuer: "i".into(), jwt_id: jti.into(), expires_at }
}

fn subject(sub: &str, limit: i64) -> RevocationEvent {
    RevocationEvent::Subject { issuer: "i".into(), subject: sub.into(), issued_at_or_before: limit }
}

fn who(jti: &str) -> Identity {
    Identity::new("i", Some(jti), Some("alice"), Some("s1"), Some("app"), Some(START))
}

fn text(token: &str) -> Digest {
    Digest::of_parts(&[token.as_bytes()])
}

#[test]
fn every_kind_of_event_is_found_and_nothing_else() {
    let list = Revocations::new(Hands::new());
    let me = who("1");
    assert_eq!(list.revokes(&me, text("t")), None);
    let client = |limit| RevocationEvent::Client {
        issuer: "i".into(),
        client: "app".into(),
        issued_at_or_before: limit,
    };
    let foreign = [
        token("2", None),
        subject("bob", i64::MAX),
        subject("alice", START - 1),
        client(START - 1),
        RevocationEvent::Session { issuer: "i".into(), session: "s2".into() },
        RevocationEvent::Token { issuer: "j".into(), jwt_id: "1".into(), expires_at: None },
        RevocationEvent::Text { token: text("u"), expires_at: None },
    ];
    for event in &foreign {
        list.ingest(event).unwrap();
        assert_eq!(list.revokes(&me, text("t")), None, "{event:?}");
    }
    let mine = [
        token("1", None),
        subject("alice", START),
        client(START),
        RevocationEvent::Session { issuer: "i".into(), session: "s1".into() },
        RevocationEvent::Text { token: text("t"), expires_at: None },
    ];
    for event in &mine {
        let list = Revocations::new(Hands::new());
        list.ingest(event).unwrap();
        assert_eq!(list.revokes(&me, text("t")), Some(RevocationRule::from(event)), "{event:?}");
    }
}

#[test]
fn of_two_instants_the_later_counts_and_takes_no_second_place() {
    let list = Revocations::new(Hands::new()).with_capacity(1);
    for limit in [START - 10, START + 10, START - 20] {
        list.ingest(&subject("alice", limit)).unwrap();
        assert_eq!(list.len(), 1);
    }
    assert!(list.revokes(&who("1"), text("t")).is_some());
}

#[test]
fn a_full_list_refuses_and_forgets_nothing() {
    let hands = Hands::new();
    let list = Revocations::new(Arc::clone(&hands) as Arc<dyn Clock>).with_capacity(2);
    let log = list.log("i");
    list.ingest(&token("1", Some(START + 10))).unwrap();
    list.ingest(&token("2", Some(START + 500))).unwrap();
    let full = list.ingest(&token("3", None)).unwrap_err();
    assert_eq!(full.capacity(), 2);
    assert!(full.to_string().contains("full at 2 rules"));
    assert_eq!(log.sequence(), 2, "what was refused is not announced");
    for jti in ["1", "2"] {
        assert!(list.revokes(&who(jti), text("t")).is_some());
    }
    assert!(list.revokes(&who("3"), text("t")).is_none());
    // A known rule can still be renewed; and once a token is past its end there is room.
    list.ingest(&token("2", Some(START + 600))).unwrap();
    hands.advance(10 + KEPT_PAST_EXPIRY.as_secs());
    list.ingest(&token("3", None)).unwrap();
    assert!(list.revokes(&who("1"), text("t")).is_none());
    assert!(list.revokes(&who("2"), text("t")).is_some());
    assert!(list.revokes(&who("3"), text("t")).is_some());
}

#[test]
fn neither_a_clock_that_is_set_nor_a_slept_hour_drops_a_rule() {
    let hands = Hands::new();
    let list = Revocations::new(Arc::clone(&hands) as Arc<dyn Clock>).with_capacity(1);
    list.ingest(&token("1", Some(START + 3_600))).unwrap();
    hands.step_wall(100_000);
    assert!(list.ingest(&token("2", None)).is_err(), "the wall clock alone is no proof");
    hands.step_wall(-100_000);
    hands.advance(3_600 + KEPT_PAST_EXPIRY.as_secs());
    hands.step_wall(-50_000);
    assert!(list.ingest(&token("2", None)).is_err(), "the monotonic clock alone is none either");
    assert!(list.revokes(&who("1"), text("t")).is_some());
    hands.step_wall(50_000);
    hands.advance(1); // fruitless searches are a second apart
    list.ingest(&token("2", None)).unwrap();
    assert!(list.revokes(&who("1"), text("t")).is_none());
}

#[test]
fn rules_without_an_end_stay_for_the_retention_counted_from_the_later_instant() {
    let hands = Hands::new();
    let day = DEFAULT_RETENTION.as_secs();
    let margin = KEPT_PAST_EXPIRY.as_secs();
    let list = Revocations::new(Arc::clone(&hands) as Arc<dyn Clock>).with_capacity(2);
    list.ingest(&subject("alice", START)).unwrap();
    list.ingest(&subject("bob", START + 1_000)).unwrap();
    hands.advance(day + margin - 1);
    assert!(list.ingest(&token("x", None)).is_err());
    hands.advance(1);
    list.ingest(&token("x", None)).unwrap();
    assert!(list.revokes(&who("1"), text("t")).is_none(), "alice's time is over");
    let bob = Identity::new("i", None, Some("bob"), None, None, None);
    assert!(list.revokes(&bob, text("t")).is_some());
}

#[test]
fn each_issuer_has_a_log_and_what_names_none_goes_to_all() {
    let list = Revocations::new(Hands::new());
    let (i, j) = (list.log("i"), list.log("j"));
    assert!(Arc::ptr_eq(&i, &list.log("i")));
    list.ingest(&token("1", None)).unwrap();
    assert_eq!((i.sequence(), j.sequence()), (1, 0));
    assert_eq!(i.judge(0, &who("1"), text("t")), Touched::Touched);
    list.ingest(&RevocationEvent::Text { token: text("t"), expires_at: None }).unwrap();
    assert_eq!((i.sequence(), j.sequence()), (2, 1));
    list.ingest(&RevocationEvent::Session { issuer: "tenant".into(), session: "s".into() }).unwrap();
    assert_eq!((i.sequence(), j.sequence()), (3, 2));
}

#[test]
fn the_rule_stands_before_the_log_tells_of_it() {
    // Whoever sees the number finds the rule, with a writer at work.
    let list = Arc::new(Revocations::new(Hands::new()));
    let log = list.log("i");
    let writer = std::thread::spawn({
        let list = Arc::clone(&list);
        move || (0..20_000).for_each(|n| list.ingest(&token(&n.to_string(), None)).unwrap())
    });
    loop {
        let seen = log.sequence();
        if seen > 0 {
            let latest = who(&(seen - 1).to_string());
            assert!(list.revokes(&latest, text("t")).is_some(), "event {seen}");
        }
        if seen == 20_000 {
            break;
        }
    }
    writer.join().unwrap();
}

#[test]
fn a_hundred_thousand_rules_are_held_and_found() {
    let list = Revocations::new(Hands::new());
    for n in 0..DEFAULT_CAPACITY {
        list.ingest(&token(&n.to_string(), Some(START + 60))).unwrap();
    }
    assert_eq!(list.len(), DEFAULT_CAPACITY);
    assert!(list.ingest(&token("one more", Some(START + 60))).is_err());
    for n in (0..DEFAULT_CAPACITY).step_by(997) {
        assert!(list.revokes(&who(&n.to_string()), text("t")).is_some());
    }
    assert!(list.revokes(&who("one more"), text("t")).is_none());
}

#[derive(Clone, Debug)]
enum Step {
    Ingest(RevocationEvent),
    Advance(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let limit = START - 5..START + 5;
    prop_oneof![
        (0_u8..6, proptest::option::of(START..START + 100))
            .prop_map(|(n, exp)| Step::Ingest(token(&n.to_string(), exp))),
        (0_u8..4, limit).prop_map(|(n, limit)| Step::Ingest(subject(&n.to_string(), limit))),
        (0_u64..400).prop_map(Step::Advance),
    ]
}

proptest! {
    /// Against a list that forgets nothing: within the bounds, every live token that an event covers is found, and no
    /// other ever.
    #[test]
    fn it_finds_what_a_plain_list_finds(steps in prop::collection::vec(any_step(), 0..60), capacity in 1_usize..12) {
        let hands = Hands::new();
        let list = Revocations::new(Arc::clone(&hands) as Arc<dyn Clock>).with_capacity(capacity);
        let mut plain: Vec<(RevocationRule, Option<i64>)> = Vec::new();
        for step in steps {
            match step {
                Step::Ingest(event) => {
                    if list.ingest(&event).is_ok() {
                        let exp = match event {
                            RevocationEvent::Token { expires_at, .. } => expires_at,
                            _ => None,
                        };
                        plain.push((RevocationRule::from(&event), exp));
                    }
                }
                Step::Advance(seconds) => hands.advance(seconds),
            }
            prop_assert!(list.len() <= capacity);
            let now = hands.now().wall.unix_seconds();
            for n in 0..6 {
                let me = Identity::new("i", Some(&n.to_string()), Some(&n.to_string()), None, None, Some(START));
                let found = list.revokes(&me, text("t")).is_some();
                let covering = |(rule, _): &&(RevocationRule, Option<i64>)| rule.covers(&me, text("t"));
                if found {
                    prop_assert!(plain.iter().any(|one| covering(&one)));
                } else {
                    let leeway = MAX_LEEWAY.as_secs() as i64;
                    prop_assert!(plain.iter().filter(covering).all(|(_, exp)| exp.is_some_and(|exp| exp + leeway < now)));
                }
            }
        }
    }
}
