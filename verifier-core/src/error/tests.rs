use std::collections::BTreeSet;

use super::*;

#[test]
fn codes_are_unique_and_documented_in_order() {
    let codes: Vec<_> = Rejection::ALL
        .iter()
        .map(|r| r.code())
        .chain(UnavailableReason::ALL.iter().map(|r| r.code()))
        .collect();
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
    // The list is a promise to dashboards: a change here is a breaking change.
    assert_eq!(codes.join("\n"), include_str!("codes.txt").trim_end());
}

#[test]
fn a_refused_token_is_no_server_failure_and_not_retryable() {
    let refused = Unavailable::new(UnavailableReason::RefusedByServer).retry_in(Duration::from_secs(9));
    assert!(!refused.is_server_failure());
    assert!(!refused.is_retryable());
    assert_eq!(refused.retry_after(), None);
}

#[test]
fn statuses_follow_rfc_6750() {
    for rejection in Rejection::ALL {
        let expected = match rejection.oauth_error() {
            Some("invalid_request") => 400,
            Some("insufficient_scope") => 403,
            _ => 401,
        };
        assert_eq!(rejection.status(), expected, "{rejection}");
    }
}
