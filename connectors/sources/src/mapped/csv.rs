//! The columns of one line.

use std::borrow::Cow;

use super::Values;
use super::mapping::Named;

/// Columns of a line at most.
const COLUMNS_MAX: usize = 4_096;

/// Where the named fields stand.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    count: usize,
    places: Vec<Option<usize>>,
}

impl Columns {
    /// By the names of the columns.
    pub(super) fn new(names: &[impl AsRef<str>], named: &[Named]) -> Self {
        let place = |wanted: &Named| names.iter().position(|name| name.as_ref() == wanted.name);
        Self {
            count: names.len(),
            places: named.iter().map(place).collect(),
        }
    }

    /// Whether a column has the name at this place of `named`.
    pub(super) fn has(&self, at: usize) -> bool {
        self.places.get(at).is_some_and(Option::is_some)
    }

    /// Reads the fields of a line, in the order of `named`.
    pub(super) fn read<'a>(&self, separator: u8, line: &'a str) -> Result<Values<'a>, String> {
        let columns = split(separator, line)?;
        if columns.len() != self.count {
            return Err(format!(
                "has {} columns where {} are expected",
                columns.len(),
                self.count
            ));
        }
        let value = |place: &Option<usize>| place.and_then(|at| columns.get(at).cloned());
        Ok(self.places.iter().map(value).collect())
    }
}

/// The columns of a line: parted by `separator`; a column in double quotes may hold it, and `""` is a quote.
pub(super) fn split(separator: u8, line: &str) -> Result<Vec<Cow<'_, str>>, String> {
    let mut columns = Vec::new();
    let mut rest = line;
    loop {
        let (column, behind) = match rest.strip_prefix('"') {
            None => match rest.split_once(char::from(separator)) {
                Some((column, behind)) => (Cow::Borrowed(column), Some(behind)),
                None => (Cow::Borrowed(rest), None),
            },
            Some(quoted) => in_quotes(separator, quoted)?,
        };
        columns.push(column);
        if columns.len() > COLUMNS_MAX {
            return Err(format!("has more than {COLUMNS_MAX} columns"));
        }
        match behind {
            Some(behind) => rest = behind,
            None => return Ok(columns),
        }
    }
}

/// What stands before the closing quote, and what comes behind the separator after it.
fn in_quotes(separator: u8, text: &str) -> Result<(Cow<'_, str>, Option<&str>), String> {
    let mut column = Cow::Borrowed("");
    let mut rest = text;
    loop {
        let (part, behind) = rest
            .split_once('"')
            .ok_or_else(|| "has a quote that does not close".to_owned())?;
        column += part;
        if let Some(behind) = behind.strip_prefix('"') {
            column += "\"";
            rest = behind;
        } else if behind.is_empty() {
            return Ok((column, None));
        } else if let Some(behind) = behind.strip_prefix(char::from(separator)) {
            return Ok((column, Some(behind)));
        } else {
            return Err("has text behind a closing quote".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;

    #[test]
    fn columns() {
        for (line, expected) in [
            ("a,b,c", vec!["a", "b", "c"]),
            ("", vec![""]),
            (",", vec!["", ""]),
            (
                r#""a,b","say ""so""","""#.trim_end_matches('"'),
                vec!["a,b", "say \"so\"", ""],
            ),
            (r#"a"b,ü"#, vec!["a\"b", "ü"]),
        ] {
            assert_eq!(split(b',', line).unwrap(), expected, "{line}");
        }
        for line in ["\"a", "\"a\"b,c", "\"a\"\"", &",".repeat(COLUMNS_MAX)] {
            assert!(split(b',', line).is_err(), "{line}");
        }
        assert_eq!(split(b'\t', "a\tb").unwrap(), ["a", "b"]);
    }
}
