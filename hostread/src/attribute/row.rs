//! A record as journeys: its path, their totals, and the ages of their touches.
//!
//! Promises: what cannot be read is an error that names the column. Leaves out: who the channels are to others.

use std::borrow::Cow;

use anyhow::{Context, Result, bail};
use hostread_schemas::MoneyMicros;

use super::records::{close, fields};

/// The columns that a file may have; the last three may be missing.
const COLUMNS: [&str; 5] = ["path", "conversions", "value", "nulls", "ages"];
const PATH: usize = 0;
const CONVERSIONS: usize = 1;
const VALUE: usize = 2;
const NULLS: usize = 3;
const AGES: usize = 4;

/// A trillion: what one field may say, so that sums of many stay exact.
const FIELD_MICROS_MAX: u64 = 1_000_000_000_000_000_000;
/// A century.
const AGE_SECS_MAX: i64 = 100 * 366 * 86_400;
const HOUR_SECS: i128 = 3_600;

/// Which column of the file is what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Place of each of [`COLUMNS`] in a record.
    places: [Option<usize>; COLUMNS.len()],
    fields: usize,
}

/// Of a record.
#[derive(Debug, Default)]
pub(super) struct Row<'a> {
    /// Names of channels, oldest touch first.
    pub(super) path: Vec<Cow<'a, str>>,
    pub(super) conversions_micros: u64,
    pub(super) value_micros: u64,
    pub(super) nulls_micros: u64,
    /// As many as touches, or none.
    pub(super) ages_secs: Vec<i64>,
}

impl Header {
    /// Reads the first record.
    pub(super) fn read(record: &[u8]) -> Result<Self> {
        if record.starts_with(&[0xFF, 0xFE]) || record.starts_with(&[0xFE, 0xFF]) {
            bail!("the file is UTF-16: write it as UTF-8");
        }
        let record = record.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(record);
        let record = utf8(record)?;
        let mut header = Self {
            places: [None; COLUMNS.len()],
            fields: 0,
        };
        for name in fields(record) {
            let name = name.trim().to_lowercase();
            let known = COLUMNS.iter().position(|column| *column == name);
            match known.and_then(|column| header.places.get_mut(column)) {
                None => bail!("column \"{name}\" is none of {}", COLUMNS.join(", ")),
                Some(Some(_)) => bail!("column \"{name}\" stands there twice"),
                Some(place) => *place = Some(header.fields),
            }
            header.fields += 1;
        }
        for column in [PATH, CONVERSIONS] {
            if !header.has(column) {
                let name = COLUMNS.get(column).unwrap_or(&"");
                bail!("column \"{name}\" is missing");
            }
        }
        Ok(header)
    }

    fn has(&self, column: usize) -> bool {
        self.places.get(column).is_some_and(Option::is_some)
    }

    pub(super) fn has_value(&self) -> bool {
        self.has(VALUE)
    }

    pub(super) fn has_nulls(&self) -> bool {
        self.has(NULLS)
    }

    pub(super) fn has_ages(&self) -> bool {
        self.has(AGES)
    }

    /// Reads another record.
    pub(super) fn row<'a>(&self, record: &'a [u8]) -> Result<Row<'a>> {
        let record = utf8(record)?;
        let mut row = Row::default();
        let (mut count, mut ages) = (0, Cow::Borrowed(""));
        for (at, field) in fields(record).enumerate() {
            count = at + 1;
            let column = self.places.iter().position(|place| *place == Some(at));
            match column {
                Some(PATH) => row.path = path(field)?,
                Some(CONVERSIONS) => row.conversions_micros = micros("conversions", &field)?,
                Some(VALUE) => row.value_micros = micros("value", &field)?,
                Some(NULLS) => row.nulls_micros = micros("nulls", &field)?,
                Some(_) => ages = field,
                None => {}
            }
        }
        if count != self.fields {
            bail!("has {count} fields where {} are expected", self.fields);
        }
        let converts = row.conversions_micros > 0 || row.value_micros > 0;
        // Journeys that did not convert have no time that an age could end at.
        if self.has_ages() && (converts || !ages.trim().is_empty()) {
            row.ages_secs = ages_secs(&ages, row.path.len())?;
        }
        Ok(row)
    }
}

fn utf8(record: &[u8]) -> Result<&str> {
    std::str::from_utf8(record)
        .ok()
        .context("the line is not UTF-8")
}

/// The names of a path.
fn path(field: Cow<'_, str>) -> Result<Vec<Cow<'_, str>>> {
    let mut names = Vec::new();
    match field {
        Cow::Borrowed(text) => names_of(text, |name| names.push(name))?,
        Cow::Owned(text) => names_of(&text, |name| names.push(Cow::Owned(name.into_owned())))?,
    }
    Ok(names)
}

fn names_of<'a>(path: &'a str, mut each: impl FnMut(Cow<'a, str>)) -> Result<()> {
    let mut rest = Some(path);
    let mut touch = 0;
    while let Some(text) = rest {
        touch += 1;
        let text = text.trim_start();
        let quoted = text.strip_prefix('"').and_then(close);
        // A name that begins with a quote and goes on behind the second is a name with quotes.
        let quoted = quoted.map(|(name, after)| (name, after.trim_start()));
        if let Some((name, after)) =
            quoted.filter(|(_, after)| after.is_empty() || after.starts_with('>'))
        {
            rest = after.strip_prefix('>');
            if name.trim().is_empty() {
                bail!("path: touch {touch} has no name");
            }
            each(name);
            continue;
        }
        let (name, after) = match text.split_once('>') {
            Some((name, after)) => (name, Some(after)),
            None => (text, None),
        };
        rest = after;
        let name = name.trim_end();
        if name.is_empty() {
            bail!("path: touch {touch} has no name");
        }
        each(Cow::Borrowed(name));
    }
    Ok(())
}

/// A path as [`Header::row`] reads it: names with ` > ` between them, quoted where they would be read as others.
pub(crate) fn path_text(names: &[String]) -> String {
    let text = |name: &String| {
        let unclear = name.is_empty() || name.contains(['"', '>']) || name.trim() != name;
        if unclear {
            format!("\"{}\"", name.replace('"', "\"\""))
        } else {
            name.clone()
        }
    };
    names.iter().map(text).collect::<Vec<_>>().join(" > ")
}

/// A total with up to six decimals; nothing is 0.
pub(super) fn micros(column: &str, field: &str) -> Result<u64> {
    let text = field.trim();
    if text.is_empty() {
        return Ok(0);
    }
    let plain = text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(whole) = plain.then(|| text.parse::<u64>().ok()).flatten() {
        return Ok(whole * 1_000_000);
    }
    let Some(MoneyMicros(micros)) = MoneyMicros::from_decimal(text) else {
        bail!("{column}: \"{text}\" is no number with at most six decimals");
    };
    match u64::try_from(micros) {
        Err(_) => bail!("{column}: \"{text}\" is below 0"),
        Ok(micros) if micros > FIELD_MICROS_MAX => bail!("{column}: \"{text}\" is over a trillion"),
        Ok(micros) => Ok(micros),
    }
}

/// Hours before the conversion, one for each touch, oldest first.
fn ages_secs(field: &str, touches: usize) -> Result<Vec<i64>> {
    let mut ages = Vec::with_capacity(touches);
    for hours in field.split('>').map(str::trim) {
        let Some(MoneyMicros(micros)) = MoneyMicros::from_decimal(hours) else {
            bail!("ages: \"{hours}\" is no number of hours with at most six decimals");
        };
        let secs = i64::try_from(i128::from(micros) * HOUR_SECS / 1_000_000).unwrap_or(-1);
        if !(0..=AGE_SECS_MAX).contains(&secs) || micros < 0 {
            bail!("ages: \"{hours}\" hours are not between 0 and a century");
        }
        if ages.last().is_some_and(|before| *before < secs) {
            bail!(
                "ages: touch {} is older than the one before it",
                ages.len() + 1
            );
        }
        ages.push(secs);
    }
    if ages.len() != touches {
        bail!("ages: {} stand there for {touches} touches", ages.len());
    }
    Ok(ages)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;

    fn read<'a>(head: &str, record: &'a str) -> Result<Row<'a>> {
        Header::read(head.as_bytes())?.row(record.as_bytes())
    }

    fn wrong(head: &str, record: &str) -> String {
        read(head, record).unwrap_err().to_string()
    }

    fn names(record: &str) -> Vec<String> {
        let row = read("path,conversions", record).unwrap();
        row.path.into_iter().map(Cow::into_owned).collect()
    }

    #[test]
    fn names_of_paths() {
        assert_eq!(names("a > b > a,1"), ["a", "b", "a"]);
        assert_eq!(names("a>b  >\tc d ,1"), ["a", "b", "c d"]);
        assert_eq!(names(r#""a > b" > c,1"#), ["a > b", "c"]);
        assert_eq!(names(r#""""a > b"" > c",1"#), ["a > b", "c"]);
        assert_eq!(names(r#"c > "x, ""y"" > z",1"#), ["c", r#"x, "y" > z"#]);
        assert_eq!(
            names(r#"" "" a "" > null > (start)",1"#),
            [" a ", "null", "(start)"]
        );
        let empty = wrong("path,conversions", r#""a > """" > b",1"#);
        assert_eq!(empty, "path: touch 2 has no name");
        assert_eq!(names(r#""""best"" show > b",1"#), [r#""best" show"#, "b"]);
        assert_eq!(names("Überall > 東京,1"), ["Überall", "東京"]);
    }

    #[test]
    fn a_path_that_is_written_is_read_as_it_was() {
        let all = [
            "a",
            "a > b",
            " a",
            "a\t",
            "\"",
            "\"a\" b",
            "x, \"y\" > z",
            ">",
            "東京",
        ];
        let paths = all.map(|name| vec![name.to_owned(), "b".to_owned()]);
        for path in paths.into_iter().chain([all.map(str::to_owned).to_vec()]) {
            let mut file = csv::Writer::from_writer(Vec::new());
            let record = file.write_record([&path_text(&path), "1"]);
            record.unwrap();
            let record = String::from_utf8(file.into_inner().unwrap()).unwrap();
            assert_eq!(names(record.trim_end_matches('\n')), path);
        }
        let plain = ["a", "b c", "a"].map(str::to_owned);
        assert_eq!(path_text(&plain), "a > b c > a");
    }

    #[test]
    fn totals_and_ages() {
        let head = "\u{feff}Nulls,path, conversions ,ages,value";
        let row = read(head, "3,a > b,2.5,48 > 0.5,19.990001").unwrap();
        assert_eq!(
            (row.conversions_micros, row.value_micros, row.nulls_micros),
            (2_500_000, 19_990_001, 3_000_000)
        );
        assert_eq!(row.ages_secs, [172_800, 1_800]);
        let row = read(head, ",a,,,").unwrap();
        assert_eq!((row.conversions_micros, row.ages_secs.len()), (0, 0));
    }

    #[test]
    fn a_wrong_header_is_named() {
        let head = |text: &[u8]| Header::read(text).unwrap_err().to_string();
        assert_eq!(
            head(b"path;conversions"),
            "column \"path;conversions\" is none of path, conversions, value, nulls, ages"
        );
        assert_eq!(head(b"path,value"), "column \"conversions\" is missing");
        assert_eq!(head(b"conversions"), "column \"path\" is missing");
        assert_eq!(head(b"path,path"), "column \"path\" stands there twice");
        assert_eq!(
            head(b"\xff\xfep\0a\0"),
            "the file is UTF-16: write it as UTF-8"
        );
        assert_eq!(head(b"path,\xe9"), "the line is not UTF-8");
    }

    #[test]
    fn a_wrong_field_is_named() {
        let head = "path,conversions,value,nulls,ages";
        for (record, why) in [
            ("a,1,2", "has 3 fields where 5 are expected"),
            ("a,1,2,3,4,5", "has 6 fields where 5 are expected"),
            (",1,2,3,4", "path: touch 1 has no name"),
            ("a > > b,1,2,3,4", "path: touch 2 has no name"),
            ("a >,1,2,3,4", "path: touch 2 has no name"),
            (
                "a,x,2,3,4",
                "conversions: \"x\" is no number with at most six decimals",
            ),
            (
                "a,1e3,2,3,4",
                "conversions: \"1e3\" is no number with at most six decimals",
            ),
            (
                "a,1,2.0000001,3,4",
                "value: \"2.0000001\" is no number with at most six decimals",
            ),
            ("a,1,-2,3,4", "value: \"-2\" is below 0"),
            (
                "a,1,2,1000000000001,4",
                "nulls: \"1000000000001\" is over a trillion",
            ),
            ("a > b,1,2,3,4", "ages: 1 stand there for 2 touches"),
            (
                "a > b,1,2,3,4 > 5",
                "ages: touch 2 is older than the one before it",
            ),
            (
                "a,1,2,3,",
                "ages: \"\" is no number of hours with at most six decimals",
            ),
            (
                "a,1,2,3,-1",
                "ages: \"-1\" hours are not between 0 and a century",
            ),
            (
                "a,1,2,3,1000000",
                "ages: \"1000000\" hours are not between 0 and a century",
            ),
        ] {
            assert_eq!(wrong(head, record), why, "{record}");
        }
        let row = Header::read(head.as_bytes())
            .unwrap()
            .row(b"\xe9,1,2,3,4")
            .unwrap_err();
        assert_eq!(row.to_string(), "the line is not UTF-8");
    }
}
