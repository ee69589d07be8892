//! A table of downloads that another party counted: CSV with columns for downloads and episode, day or both.
//!
//! Promises: names of columns in any case and with any signs between words, separated by commas, semicolons or tabs; a row that
//! cannot be read is named and left out. Rows of one episode and day are added up.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use hostread_connectors::log::{LogFormat, LogSettings};
use hostread_schemas::event::SourceKind;
use jiff::civil::Date;

use super::gap::{By, Group};

/// A larger file is no table of totals.
pub(crate) const TOTALS_BYTES_MAX: u64 = 64 << 20;
/// Bad rows that are told.
const TOLD_MAX: usize = 5;

const EPISODE: [&str; 6] = ["episode", "episodeid", "id", "guid", "path", "episodeguid"];
const DAY: [&str; 2] = ["day", "date"];
const DOWNLOADS: [&str; 6] = [
    "downloads",
    "download",
    "count",
    "total",
    "totaldownloads",
    "iabdownloads",
];

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// What rows are of.
    pub(crate) by: By,
    pub(crate) rows: BTreeMap<Group, i64>,
    /// Rows that could not be read.
    pub(crate) bad: u64,
    /// Number and fault of the first of them.
    pub(crate) told: Vec<(u64, String)>,
    /// Episodes that our log and catalog do not know.
    pub(crate) unknown: Vec<String>,
}

/// Where the columns are.
struct Columns {
    episode: Option<usize>,
    day: Option<usize>,
    downloads: usize,
}

impl Columns {
    fn of(heads: &csv::StringRecord) -> Result<Self> {
        let plain = |head: &str| -> String {
            let letters = head.chars().filter(char::is_ascii_alphanumeric);
            letters.map(|letter| letter.to_ascii_lowercase()).collect()
        };
        let find = |names: &[&str]| {
            heads
                .iter()
                .position(|head| names.contains(&plain(head).as_str()))
        };
        let (episode, day) = (find(&EPISODE), find(&DAY));
        let there: Vec<&str> = heads.iter().collect();
        let Some(downloads) = find(&DOWNLOADS) else {
            bail!("it has no column downloads, only {}", there.join(", "));
        };
        if episode.is_none() && day.is_none() {
            bail!(
                "it has neither a column episode nor a column day, only {}",
                there.join(", ")
            );
        }
        Ok(Self {
            episode,
            day,
            downloads,
        })
    }
}

fn is_log(head: &[u8]) -> bool {
    let settings = LogSettings {
        source_kind: SourceKind::Cdn,
        stitched: false,
    };
    LogFormat::told_by(head, settings, None).is_some()
}

impl Totals {
    /// `episodes`: the names that are known by their place; new ones are added.
    pub(crate) fn read(text: &[u8], episodes: &mut Vec<String>) -> Result<Self> {
        let head = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let often = |separator: &u8| head.split(|byte| byte == separator).count();
        let separators = [b',', b';', b'\t'].into_iter().rev();
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(separators.max_by_key(often).unwrap_or(b','))
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text);
        let columns = Columns::of(reader.headers().context("reading its head")?);
        let columns = match columns {
            Err(_) if is_log(head) => bail!(
                "it looks like a delivery log, and is asked for as a table of totals: logs are OURS and THEIRS, or --theirs"
            ),
            columns => columns?,
        };
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for (place, name) in episodes.iter().enumerate() {
            places.entry(name.clone()).or_insert(place);
        }
        let mut totals = Self {
            by: By {
                episode: columns.episode.is_some(),
                day: columns.day.is_some(),
            },
            ..Self::default()
        };
        for row in reader.byte_records() {
            let row = row.context("reading its rows")?;
            let line = row.position().map_or(0, csv::Position::line);
            match read_row(&columns, row) {
                Ok((episode, day, downloads)) => {
                    let place = episode.map(|episode| {
                        *places.entry(episode).or_insert_with_key(|name| {
                            totals.unknown.push(name.clone());
                            episodes.push(name.clone());
                            episodes.len() - 1
                        })
                    });
                    let sum = totals.rows.entry((place, day)).or_default();
                    *sum = sum.saturating_add(downloads);
                }
                Err(why) => {
                    totals.bad += 1;
                    if totals.told.len() < TOLD_MAX {
                        totals.told.push((line, why));
                    }
                }
            }
        }
        Ok(totals)
    }
}

/// Episode, day and downloads of a row, or what is wrong with it.
fn read_row(
    columns: &Columns,
    row: csv::ByteRecord,
) -> Result<(Option<String>, Option<String>, i64), String> {
    let row = csv::StringRecord::from_byte_record(row).map_err(|_| "is not UTF-8".to_owned())?;
    let field = |at: Option<usize>| at.map(|at| row.get(at).unwrap_or_default());
    let episode = match field(columns.episode) {
        Some("") => return Err("names no episode".to_owned()),
        Some(sum) if ["total", "totals", "sum"].contains(&sum.to_lowercase().as_str()) => {
            return Err("is a sum, and no episode".to_owned());
        }
        episode => episode.map(str::to_owned),
    };
    let day = field(columns.day).map(day).transpose()?;
    let text = row.get(columns.downloads).unwrap_or_default();
    let downloads = number(text).ok_or_else(|| format!("downloads: \"{text}\" is no number"))?;
    Ok((episode, day, downloads))
}

/// A date, whatever time stands behind it.
fn day(text: &str) -> Result<String, String> {
    let (date, rest) = text.split_at_checked(10).unwrap_or((text, ""));
    let date = date.parse::<Date>().ok();
    let date = date.filter(|_| rest.is_empty() || rest.starts_with(['T', ' ']));
    let wrong = || format!("day: \"{text}\" is no date such as 2026-11-09");
    date.map(|date| date.to_string()).ok_or_else(wrong)
}

/// Digits, or groups of three of them with commas between.
fn number(text: &str) -> Option<i64> {
    let mut groups = text.split(',');
    let first = groups.next()?;
    let digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let mut whole = first.to_owned();
    for group in groups {
        if group.len() != 3 || !digits(group) || first.is_empty() || first.len() > 3 {
            return None;
        }
        whole.push_str(group);
    }
    let number = whole.parse().ok().filter(|_| digits(&whole));
    // Sums of more rows than a file can have stay far from the end.
    number.filter(|number| *number < 1 << 40)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;

    fn read(text: &str) -> (Totals, Vec<String>) {
        let mut episodes = vec!["one".to_owned(), "two".to_owned()];
        let totals = Totals::read(text.as_bytes(), &mut episodes).unwrap();
        (totals, episodes)
    }

    #[test]
    fn columns_are_found_in_any_spelling() {
        let texts = [
            "episode,day,downloads\none,2026-11-09,5\ntwo,2026-11-10,7\n",
            "\u{feff}Total Downloads;Date;Episode ID\r\n5;2026-11-09;one\r\n7;2026-11-10;two\r\n",
            "Day\tIAB downloads\tGUID\tTitle\n2026-11-09T00:00:00Z\t2\tone\tOne\n2026-11-09 00:00\t3\t one \tOne\n2026-11-10\t7\ttwo\tTwo\n",
        ];
        let day = |day: &str| Some(format!("2026-11-{day}"));
        let expected: BTreeMap<Group, i64> =
            [((Some(0), day("09")), 5), ((Some(1), day("10")), 7)].into();
        for text in texts {
            let (totals, _) = read(text);
            assert_eq!((totals.rows, totals.bad), (expected.clone(), 0), "{text}");
        }
        let (totals, _) = read("episode,count\none,\"1,234\"\n");
        assert!(totals.by.episode && !totals.by.day);
        assert_eq!(totals.rows, [((Some(0), None), 1234)].into());
        let (totals, _) = read("date,downloads\n2026-11-09,3\n");
        assert_eq!(totals.rows, [((None, day("09")), 3)].into());
    }

    #[test]
    fn bad_rows_are_named_and_left_out() {
        let (totals, episodes) = read(
            "episode,day,downloads\none,2026-11-09,5\none,09.11.2026,5\n,2026-11-09,5\none,2026-11-09,-5\n\
             Total,2026-11-09,5\nthree,2026-11-09,1\none\none,2026-11-09,\"1,23\"\n",
        );
        assert_eq!(totals.rows.len(), 2);
        assert_eq!(totals.bad, 6);
        let told = [
            (3, "day: \"09.11.2026\" is no date such as 2026-11-09"),
            (4, "names no episode"),
            (5, "downloads: \"-5\" is no number"),
            (6, "is a sum, and no episode"),
            (8, "day: \"\" is no date such as 2026-11-09"),
        ];
        assert_eq!(totals.told, told.map(|(at, why)| (at, why.to_owned())));
        assert_eq!(
            (totals.unknown, &*episodes[2]),
            (vec!["three".to_owned()], "three")
        );
    }

    #[test]
    fn what_is_no_table_of_totals_is_said() {
        let fails = |text: &[u8]| format!("{:#}", Totals::read(text, &mut Vec::new()).unwrap_err());
        assert_eq!(
            fails(b"episode,plays\n"),
            "it has no column downloads, only episode, plays"
        );
        let neither = "it has neither a column episode nor a column day, only show, downloads";
        assert_eq!(fails(b"show,downloads\n"), neither);
        let log = b"192.0.2.1 - - [09/Nov/2026:10:00:00 +0000] \"GET /e.mp3 HTTP/1.1\" 200 5 \"-\" \"a/1\"\n";
        assert!(fails(log).starts_with("it looks like a delivery log"));
        // A first column of as many letters as a date has.
        assert!(read("episode_id\tdownloads\ne\t1\n").0.by.episode);
        fails(b"");
        fails(b"\xff\xfe\x00");
    }
}
