//! Which of ClickHouse's errors may pass.

use clickhouse::error::Error;
use hostread_sink_kit::SinkError;

use crate::NAME;

/// Codes of ClickHouse that say "not now": overload, memory, disk, replicas, a query cut short. All others say "never".
const PASSING: &[u32] = &[
    3, 74, 75, 76, 88, 96, 99, 101, 159, 198, 202, 203, 209, 210, 225, 236, 241, 242, 243, 244,
    252, 279, 285, 286, 290, 298, 305, 319, 364, 394, 410, 415, 425, 439, 473, 517, 571, 574, 594,
    606, 684, 689, 735, 745, 746, 999,
];

/// The code in a server's answer.
pub(crate) fn code(error: &Error) -> Option<u32> {
    let Error::BadResponse(text) = error else {
        return None;
    };
    let after = text.split_once("Code: ")?.1;
    let digits = after
        .find(|c: char| !c.is_ascii_digit())
        .map_or(after, |end| after.get(..end).unwrap_or_default());
    digits.parse().ok()
}

/// May the same request work later?
pub(crate) fn passes(error: &Error) -> bool {
    match error {
        Error::Network(_) | Error::TimedOut => true,
        // Without a code it was not ClickHouse that answered.
        Error::BadResponse(_) => code(error).is_none_or(|code| PASSING.contains(&code)),
        _ => false,
    }
}

pub(crate) fn classed(doing: &str, error: Error) -> SinkError {
    SinkError::of_server(NAME, doing, passes(&error), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_decide() {
        let bad = |text: &str| Error::BadResponse(text.to_owned());
        let parts = bad("Code: 252. DB::Exception: Too many parts");
        assert_eq!(code(&parts), Some(252));
        assert!(passes(&parts));
        assert!(!passes(&bad(
            "Code: 60. DB::Exception: Table x does not exist"
        )));
        assert!(!passes(&bad("Code: 516")));
        assert!(passes(&bad("502 Bad Gateway")));
        assert!(passes(&Error::TimedOut));
        assert!(!passes(&Error::SchemaMismatch(String::new())));
    }
}
