//! What a parser says is wrong, without the values that it quotes: one of them might be a secret in the wrong place.

/// The message, with the value taken out of `invalid type: string "..", expected ..` and its like. Keys stay.
pub(super) fn without_values(message: &str) -> String {
    for (start, name) in [
        ("invalid type: ", "wrong type"),
        ("invalid value: ", "wrong value"),
        ("invalid length ", "wrong length"),
        ("unknown variant `", "unknown value"),
    ] {
        if let Some(rest) = message.strip_prefix(start) {
            // The value is quoted and comes first; what was expected comes last.
            let expected = rest.rsplit_once(", expected ").map(|(_, expected)| expected);
            return match expected {
                Some(expected) => format!("{name}: expected {expected}"),
                None => name.to_owned(),
            };
        }
    }
    message.to_owned()
}

/// serde_json ends its messages with " at line 1 column 2"; the line is told elsewhere.
pub(super) fn without_place(message: &str) -> &str {
    message.rsplit_once(" at line ").map_or(message, |(before, _)| before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_left_out_and_what_is_expected_stays() {
        for (message, left) in [
            (
                r#"invalid type: string "hunter2, expected x", expected a boolean"#,
                "wrong type: expected a boolean",
            ),
            ("invalid value: integer `-77`, expected usize", "wrong value: expected usize"),
            (
                "unknown variant `hunter2`, expected one of `none`, `bearer`",
                "unknown value: expected one of `none`, `bearer`",
            ),
            ("unknown variant `hunter2`, there are no variants", "unknown value"),
            (
                "unknown field `freshnes`, expected `freshness`",
                "unknown field `freshnes`, expected `freshness`",
            ),
        ] {
            assert_eq!(without_values(message), left);
        }
    }

    #[test]
    fn the_place_is_told_elsewhere() {
        assert_eq!(without_place("expected value at line 3 column 7"), "expected value");
        assert_eq!(without_place("no place"), "no place");
    }
}
