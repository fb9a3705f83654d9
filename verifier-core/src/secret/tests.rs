use super::*;

#[test]
fn a_secret_is_shown_by_exposing_it_alone() {
    let secret: Secret = serde_json::from_str(r#""s3cr3t-canary""#).unwrap();
    assert_eq!(secret.expose(), "s3cr3t-canary");
    assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "[redacted] Some([redacted])");
    assert!(!secret.is_empty() && Secret::new("").is_empty());
}

#[test]
fn secrets_are_equal_if_all_bytes_are() {
    assert_eq!(Secret::new("abc"), Secret::new("abc"));
    for other in ["", "ab", "abcd", "abd", "Abc"] {
        assert_ne!(Secret::new("abc"), Secret::new(other), "{other}");
    }
}

#[test]
fn only_a_text_is_a_secret() {
    for json in ["null", "1", "[\"a\"]", "{}"] {
        assert!(serde_json::from_str::<Secret>(json).is_err(), "{json}");
    }
}
