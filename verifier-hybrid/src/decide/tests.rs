use proptest::prelude::*;
use verifier_core::json::{JsonLimits, Object};
use verifier_core::policy::IssuerRules;
use verifier_core::profile::TokenProfile;
use verifier_core::time::{Instant, WallTime};

use super::*;

const SOURCE: StatusSource = StatusSource::Introspection;

fn at(seconds: u64) -> Now {
    Now::new(
        WallTime::from_unix_seconds(1_800_000_000 + seconds as i64),
        Instant::from_nanos(seconds * 1_000_000_000),
    )
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn terms(freshness: u64, stale: Option<u64>) -> Terms {
    Terms { arrival: at(1_000), freshness: seconds(freshness), stale: stale.map(seconds) }
}

fn active(as_of: Now) -> RevocationStatus {
    RevocationStatus::Active { as_of, answer: None }
}

fn opinion(answer: Result<RevocationStatus, CouldNotAsk>, terms: &Terms) -> Opinion {
    judge(answer, SOURCE, terms).0
}

#[test]
fn an_active_status_is_fresh_up_to_its_last_nanosecond() {
    let terms = terms(60, Some(300));
    for (as_of, fresh) in [(940, true), (941, true), (1_000, true), (1_001, true), (939, false), (700, false)]
    {
        let expected = if fresh {
            Opinion::Accept(RevocationBasis::Active { as_of: at(as_of), source: SOURCE })
        } else {
            Opinion::Unavailable(UnavailableReason::TooStale.into())
        };
        assert_eq!(opinion(Ok(active(at(as_of))), &terms), expected, "{as_of}");
    }
}

#[test]
fn live_takes_only_what_was_asked_after_the_arrival() {
    let terms = terms(0, None);
    assert!(matches!(opinion(Ok(active(at(1_000))), &terms), Opinion::Accept(_)));
    let just_before = Now::new(at(1_000).wall, Instant::from_nanos(999_999_999_999));
    assert!(matches!(opinion(Ok(active(just_before)), &terms), Opinion::Unavailable(_)));
}

#[test]
fn a_clock_set_back_makes_no_status_younger_and_a_slept_hour_counts() {
    let terms = terms(60, None);
    let asked_100_s_ago = at(900);
    let set_back = Now::new(WallTime::from_unix_seconds(5), asked_100_s_ago.monotonic);
    assert!(matches!(opinion(Ok(active(set_back)), &terms), Opinion::Unavailable(_)));
    let asleep_since = Now::new(at(1_000).wall.minus(seconds(3_600)), at(999).monotonic);
    assert!(matches!(opinion(Ok(active(asleep_since)), &terms), Opinion::Unavailable(_)));
}

#[test]
fn only_a_servers_failure_and_an_active_status_allow_staleness() {
    let last = [
        (None, false),
        (Some(RevocationStatus::NoOpinion), false),
        (Some(RevocationStatus::Inactive { as_of: at(990) }), false),
        (Some(RevocationStatus::Unacceptable { as_of: at(990), why: Rejection::WrongIssuer }), false),
        (Some(active(at(699))), false),
        (Some(active(at(700))), true),
        (Some(active(at(930))), true),
    ];
    for reason in UnavailableReason::ALL {
        let why = Unavailable::new(*reason);
        for (last, usable) in &last {
            for stale in [None, Some(300)] {
                let terms = terms(60, stale);
                let got = opinion(Err(CouldNotAsk { why, last: last.clone() }), &terms);
                if stale.is_some() && *usable && why.is_server_failure() {
                    assert!(
                        matches!(got, Opinion::Accept(RevocationBasis::Stale { .. })),
                        "{reason} {last:?}"
                    );
                } else {
                    assert_eq!(got, Opinion::Unavailable(why), "{reason} {last:?}");
                }
            }
        }
    }
    let ours = [
        UnavailableReason::Shed,
        UnavailableReason::RefusedByServer,
        UnavailableReason::CredentialsRefused,
        UnavailableReason::AnswerNotSigned,
        UnavailableReason::AnswerEncrypted,
        UnavailableReason::AnswerNotTrusted,
        UnavailableReason::KeysNotLoaded,
        UnavailableReason::Misconfigured,
        UnavailableReason::Redirected,
        UnavailableReason::NoRuntime,
        UnavailableReason::DeadlineExceeded,
        UnavailableReason::Crashed,
        UnavailableReason::StatusUnknown,
        UnavailableReason::TooStale,
    ];
    assert!(ours.into_iter().all(|reason| !Unavailable::new(reason).is_server_failure()));
}

#[test]
fn a_demand_binds_the_stale_allowance_too() {
    let config = HybridConfig::default().with_when_unknown(WhenUnknown::AllowStale { up_to: seconds(300) });
    let configured = Terms::new(&config, at(1_000), Freshness::CONFIGURED);
    assert_eq!((configured.freshness, configured.stale), (seconds(60), Some(seconds(300))));
    let demanding = Terms::new(&config, at(1_000), Freshness::at_most(seconds(10)));
    assert_eq!((demanding.freshness, demanding.stale), (seconds(10), Some(seconds(10))));
}

#[test]
fn no_opinion_of_anybody_is_not_knowing() {
    let settled = Opinion::None.and(Opinion::None, at(0)).settled();
    assert_eq!(settled, Err(UnavailableReason::StatusUnknown.into()));
}

#[test]
fn short_lived_tokens_are_exempt_unless_a_freshness_is_demanded() {
    let over = CheckWhen::LifetimeOver(seconds(600));
    assert!(is_exempt(over, Freshness::CONFIGURED, Some(seconds(600))));
    assert!(!is_exempt(over, Freshness::CONFIGURED, Some(seconds(601))));
    assert!(!is_exempt(over, Freshness::CONFIGURED, None));
    assert!(!is_exempt(over, Freshness::LIVE, Some(seconds(600))));
    assert!(!is_exempt(over, Freshness::at_most(seconds(3_600)), Some(seconds(1))));
    assert!(!is_exempt(CheckWhen::Always, Freshness::CONFIGURED, Some(seconds(1))));
}

#[test]
fn an_answer_must_be_of_this_token() {
    let token = Identity::new("i", Some("1"), Some("alice"), None, Some("app"), Some(5));
    let silent = Identity::new("i", None, None, None, None, None);
    let same = Identity::new("i", None, Some("alice"), None, None, None);
    let other_jti = Identity::new("i", Some("2"), Some("alice"), None, Some("app"), None);
    let other_issuer = Identity::new("j", Some("1"), Some("alice"), None, Some("app"), Some(5));
    for rule in [IdentityRule::Agree, IdentityRule::DangerNoSharedMember] {
        assert_eq!(cross_check(&token, &same, rule), Ok(()));
        assert_eq!(cross_check(&token, &other_jti, rule), Err(Rejection::IdentityMismatch));
        assert_eq!(cross_check(&token, &other_issuer, rule), Err(Rejection::IdentityMismatch));
    }
    assert_eq!(cross_check(&token, &silent, IdentityRule::Agree), Err(Rejection::IdentityMismatch));
    assert_eq!(cross_check(&token, &silent, IdentityRule::DangerNoSharedMember), Ok(()));
}

#[test]
fn what_the_server_said_comes_along_only_with_an_acceptance() {
    let rules = IssuerRules::new("i", TokenProfile::generic()).unwrap();
    let object = Object::parse(br#"{"active":true,"sub":"alice"}"#, JsonLimits::CLAIMS).unwrap();
    let facts = Arc::new(Facts::from_answer(object, &rules).unwrap());
    let with = |as_of| RevocationStatus::Active { as_of, answer: Some(Arc::clone(&facts)) };
    assert!(judge(Ok(with(at(990))), SOURCE, &terms(60, None)).1.is_some());
    assert!(judge(Ok(with(at(900))), SOURCE, &terms(60, None)).1.is_none());
    let failed =
        |as_of| Err(CouldNotAsk { why: UnavailableReason::ServerError.into(), last: Some(with(as_of)) });
    assert!(judge(failed(at(900)), SOURCE, &terms(60, Some(300))).1.is_some());
    assert!(judge(failed(at(900)), SOURCE, &terms(60, None)).1.is_none());
}

fn any_status() -> impl Strategy<Value = RevocationStatus> {
    prop_oneof![
        (0_u64..1_200).prop_map(|t| active(at(t))),
        (0_u64..1_200).prop_map(|t| RevocationStatus::Inactive { as_of: at(t) }),
        (0_u64..1_200)
            .prop_map(|t| RevocationStatus::Unacceptable { as_of: at(t), why: Rejection::NotAnAccessToken }),
        Just(RevocationStatus::NoOpinion),
    ]
}

fn any_answer() -> impl Strategy<Value = Result<RevocationStatus, CouldNotAsk>> {
    prop_oneof![
        any_status().prop_map(Ok),
        (proptest::sample::select(UnavailableReason::ALL), proptest::option::of(any_status()), any::<bool>())
            .prop_map(|(reason, last, retry)| {
                let why = Unavailable::new(reason);
                Err(CouldNotAsk {
                    why: if retry && why.is_retryable() { why.retry_in(seconds(3)) } else { why },
                    last,
                })
            }),
    ]
}

fn any_terms() -> impl Strategy<Value = Terms> {
    (0_u64..200, proptest::option::of(0_u64..600)).prop_map(|(freshness, stale)| terms(freshness, stale))
}

proptest! {
    /// The whole table against its sentence: an acceptance needs somebody who knows the token to be active on
    /// knowledge that is fresh, or stale within the allowance by a server's failure, and nobody who says otherwise.
    #[test]
    fn an_acceptance_is_earned(answers in prop::collection::vec(any_answer(), 0..4), terms in any_terms()) {
        let opinions: Vec<Opinion> = answers.iter().map(|answer| opinion(answer.clone(), &terms)).collect();
        let together = opinions.iter().fold(Opinion::None, |all, one| all.and(*one, terms.arrival));
        let refused = answers.iter().any(|answer| {
            matches!(answer, Ok(RevocationStatus::Inactive { .. } | RevocationStatus::Unacceptable { .. }))
        });
        match together.settled() {
            Ok(basis) => {
                prop_assert!(!refused);
                let age = terms.arrival.since(basis.as_of().unwrap());
                match basis {
                    RevocationBasis::Active { .. } => prop_assert!(age <= terms.freshness),
                    RevocationBasis::Stale { .. } => prop_assert!(age <= terms.stale.unwrap()),
                    _ => prop_assert!(false, "no such basis"),
                }
                // As old as the oldest that counts, and one of those that were given.
                let mut given = false;
                for answer in &answers {
                    let as_of = match answer {
                        Ok(status) => status.as_of(),
                        Err(failed) => {
                            prop_assert!(failed.why.is_server_failure());
                            let last = failed.last.as_ref();
                            prop_assert!(matches!(last, Some(RevocationStatus::Active { .. })), "nothing to rest on");
                            last.and_then(RevocationStatus::as_of)
                        }
                    };
                    if let Some(as_of) = as_of {
                        prop_assert!(terms.arrival.since(as_of) <= age);
                        given |= Some(as_of) == basis.as_of();
                    }
                }
                prop_assert!(given);
            }
            Err(verifier_core::error::VerifyError::Rejected(_)) => prop_assert!(refused),
            Err(_) => prop_assert!(!refused),
        }
    }

    #[test]
    fn the_order_of_answers_means_nothing(
        answers in prop::collection::vec(any_answer(), 0..5),
        terms in any_terms(),
        turn in 0_usize..5,
    ) {
        let opinions: Vec<Opinion> = answers.into_iter().map(|answer| opinion(answer, &terms)).collect();
        let fold = |list: &[Opinion]| list.iter().fold(Opinion::None, |all, one| all.and(*one, terms.arrival));
        let mut turned = opinions.clone();
        turned.rotate_left(turn.min(opinions.len()));
        let mut backwards = opinions.clone();
        backwards.reverse();
        prop_assert_eq!(fold(&opinions), fold(&turned));
        prop_assert_eq!(fold(&opinions), fold(&backwards));
    }
}
