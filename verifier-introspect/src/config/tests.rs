use super::*;

fn rejected(change: impl FnOnce(&mut IntrospectionConfig)) -> String {
    let mut config = IntrospectionConfig::new(ClientAuth::None);
    change(&mut config);
    config.validate().unwrap_err().to_string()
}

#[test]
fn the_defaults_are_those_that_are_documented() {
    let config = IntrospectionConfig::new(ClientAuth::None);
    assert_eq!(config.validate(), Ok(()));
    assert_eq!(config.freshness, AnswerFreshness::AtMost(Duration::from_secs(60)));
    assert_eq!(config.negative_ttl, Duration::from_secs(10));
    assert_eq!(config.limits.connect, Duration::from_secs(1));
    assert_eq!(config.limits.total, Duration::from_secs(2));
    assert_eq!(config.limits.body, 65_536);
    assert_eq!(config.upstream.max_concurrent, 64);
}

#[test]
fn a_contradiction_names_both_numbers() {
    let stale = rejected(|config| config.stale_allowance = Duration::from_secs(30));
    assert!(stale.contains("stale_allowance: 30s") && stale.contains("60s"), "{stale}");
    let for_life = rejected(|config| {
        config.freshness = AnswerFreshness::UntilExpiry;
        config.stale_allowance = Duration::from_secs(30);
    });
    assert!(for_life.contains("30s") && for_life.contains("life"), "{for_life}");
    let connect = rejected(|config| config.limits.connect = Duration::from_secs(3));
    assert!(connect.contains("3s") && connect.contains("2s"), "{connect}");
    let negative = rejected(|config| config.negative_ttl = Duration::from_secs(3_600));
    assert!(negative.contains("3600s") && negative.contains("300s"), "{negative}");
    let upstream = rejected(|config| config.upstream.max_concurrent = 0);
    assert!(upstream.contains("max_concurrent"), "{upstream}");
    let cache = rejected(|config| config.cache = Cache::Bounded { active: 0, negative: 1 });
    assert!(cache.contains("cache.active"), "{cache}");
    // More than the freshness, and allowed: only acceptances are bounded by it.
    let mut config = IntrospectionConfig::new(ClientAuth::None);
    config.freshness = AnswerFreshness::AtMost(Duration::ZERO);
    assert_eq!(config.validate(), Ok(()));
}

#[test]
fn the_values_of_headers_are_not_shown() {
    let mut config = IntrospectionConfig::new(ClientAuth::None);
    config.headers.push(("x-api-key".to_owned(), "canary".to_owned()));
    config.parameters.push(("api_key".to_owned(), "canary".to_owned()));
    let shown = format!("{config:?}");
    assert!(
        shown.contains("x-api-key") && shown.contains("api_key") && shown.contains("negative_ttl"),
        "{shown}"
    );
    assert!(!shown.contains("canary"), "{shown}");
}
