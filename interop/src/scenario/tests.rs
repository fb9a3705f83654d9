use std::collections::BTreeSet;

use super::*;
use crate::play::{Piece, expected};
use crate::run::chosen;
use crate::scenarios;
use crate::server::{ALL, OTHER_AUDIENCE};

fn steps(scenario: &Scenario) -> &'static [Step] {
    match scenario.course {
        Course::Steps(steps) => steps,
        Course::Own(_) => &[],
    }
}

#[test]
fn each_scenario_has_a_name_of_its_own() {
    for product in ALL {
        let scenarios = chosen(*product, None);
        let ids: BTreeSet<&str> = scenarios.iter().map(|scenario| scenario.id).collect();
        assert_eq!(ids.len(), scenarios.len(), "{}", product.name());
    }
}

#[test]
fn each_server_plays_each_scenario_or_says_why_not() {
    for product in ALL {
        for scenario in chosen(*product, None) {
            let of = format!("{} {}", product.name(), scenario.id);
            match scenario.playable(*product) {
                Ok(sorts) => {
                    for (sort, step) in
                        sorts.iter().flat_map(|sort| steps(scenario).iter().map(move |step| (sort, step)))
                    {
                        for strategy in STRATEGIES {
                            match expected(*product, scenario, step, strategy, sort).0 {
                                Want::Exactly(_) => {}
                                Want::OneOf(verdicts, why) => {
                                    assert!(verdicts.len() > 1 && !why.is_empty(), "{of}");
                                }
                                Want::NotAsked(why) => assert!(!why.is_empty(), "{of}"),
                            }
                        }
                    }
                }
                Err(reason) => assert!(reason.len() > 10 && reason != "not written yet", "{of}: {reason}"),
            }
        }
    }
}

#[test]
fn an_opaque_token_is_no_jwt() {
    for scenario in scenarios::all() {
        for step in steps(scenario) {
            let want = step.expected.want(Strategy::Jwks, Format::Opaque);
            assert!(want == rejected("not_a_jwt") || matches!(want, Want::NotAsked(_)), "{}", scenario.id);
        }
    }
}

#[test]
fn each_override_speaks_of_a_verdict_that_is_played_and_changes_it() {
    for product in ALL {
        for own in product.overrides() {
            assert!(own.because.len() > 10, "{} {}", product.name(), own.scenario);
            let played = chosen(*product, None).into_iter().any(|scenario| {
                let of_its_own = matches!(scenario.course, Course::Own(_));
                let sorts = scenario.playable(*product).unwrap_or_default();
                let fits = |step: &Step, sort: &Sort| {
                    STRATEGIES.into_iter().any(|strategy| {
                        own.fits(scenario.id, step.name, strategy, sort)
                            && step.expected.want(strategy, scenario.format(sort)) != own.want
                    })
                };
                let named = sorts
                    .iter()
                    .any(|sort| own.fits(scenario.id, "", own.strategy.unwrap_or(Strategy::Jwks), sort));
                of_its_own && named
                    || steps(scenario).iter().any(|step| sorts.iter().any(|sort| fits(step, sort)))
            });
            assert!(played, "{} {}: {:?} says nothing", product.name(), own.scenario, own.step);
        }
    }
}

#[test]
fn each_deed_happens_somewhere() {
    let played: Vec<Deed> = scenarios::all()
        .flat_map(steps)
        .filter_map(|step| match step.act {
            Act::Server(deed) => Some(deed),
            _ => None,
        })
        .collect();
    for deed in Deed::ALL {
        assert!(played.contains(deed), "{deed:?}");
    }
}

#[test]
fn what_others_would_notice_is_played_alone() {
    let felt_by_all = [
        Deed::AddKey,
        Deed::DropKey,
        Deed::LockStore,
        Deed::Halt,
        Deed::Kill,
        Deed::Restart,
        Deed::DisableUser,
    ];
    for product in ALL {
        for scenario in chosen(*product, None) {
            let felt = steps(scenario)
                .iter()
                .any(|step| matches!(step.act, Act::Server(deed) if felt_by_all.contains(&deed)));
            let Ok(pieces) = Piece::all(*product, scenario) else { continue };
            assert!(!felt || pieces.iter().all(|piece| piece.alone), "{} {}", product.name(), scenario.id);
        }
        let together = |id: &str| {
            let scenario = chosen(*product, None).into_iter().find(|scenario| scenario.id == id);
            Piece::all(*product, scenario.unwrap()).unwrap().iter().filter(|piece| !piece.alone).count()
        };
        assert!(together("revoked/rfc7009") > 1 && together("expired") > 0, "{}", product.name());
    }
    // One key signs all of Hydra's tokens.
    let fresh = scenarios::all().find(|scenario| scenario.id == "fresh").unwrap();
    let alone = Piece::all(ALL[0], fresh).unwrap().into_iter().filter(|piece| piece.alone);
    let algorithms: Vec<&str> = alone.filter_map(|piece| piece.sort.map(|sort| sort.algorithm)).collect();
    assert_eq!(algorithms, ["ES256", "EdDSA"]);
}

#[test]
fn each_server_is_described() {
    for product in ALL {
        assert!(
            product.title().contains(|c: char| c.is_ascii_digit()),
            "{} without version",
            product.title()
        );
        assert!(!product.advice().is_empty(), "{} without advice", product.name());
        assert!(!product.sorts().is_empty(), "{} without tokens", product.name());
    }
    assert_ne!(crate::server::AUDIENCE, OTHER_AUDIENCE);
}

#[test]
fn the_usual_sorts_are_the_first_of_their_kind() {
    let all = [
        Sort::jwt(Subject::Client, "RS256"),
        Sort::jwt(Subject::Client, "ES256"),
        Sort::jwt(Subject::User, "RS256"),
        Sort::opaque(Subject::Client),
    ];
    assert_eq!(Sorts::Each.of(&all), all);
    assert_eq!(Sorts::EachUsual.of(&all), [all[0], all[2], all[3]]);
    assert_eq!(Sorts::EachFormat.of(&all), [all[0], all[3]]);
    assert_eq!(Sorts::Jwt.of(&all), [all[0]]);
    assert_eq!(Sorts::Opaque.of(&all), [all[3]]);
    assert_eq!(Sorts::Users.of(&all), [all[2]]);
}
