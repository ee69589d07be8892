//! An explanation as a page of text: what the number is, then every step that leads to it.

use comfy_table::CellAlignment;
use hostread_explain::{Because, Download, EpisodeDay, Explanation, KnownFrom, Request};
use hostread_schemas::MoneyMicros;
use serde_json::Value;

use super::{conversion_page, lines_page};
use crate::cmd::table;
use crate::report::grouped;

/// Lines of a list on a page; JSON has them all.
pub(super) const LISTED_MAX: usize = 40;

/// The page.
pub(crate) fn page(said: &Explanation) -> String {
    let mut page = Page::default();
    page.line(&format!("{} {}", said.kind.as_str(), said.id));
    page.line(&format!("of {}", said.tenant));
    page.line("");
    page.line(&format!(
        "As of tick {}, clock {}. {}",
        said.as_of.tick.0,
        said.as_of.clock,
        known_from(&said.known_from)
    ));
    numbers(&mut page, said);
    match &said.because {
        Because::Request(it) => request(&mut page, it),
        Because::Download(it) => download(&mut page, it),
        Because::Conversion(it) => conversion_page::conversion(&mut page, it),
        Because::Pacing(it) => lines_page::pacing(&mut page, it),
        Because::BillingLine(it) => lines_page::billing_line(&mut page, it),
        Because::Released { through } => {
            page.head("Released");
            page.line(&format!(
                "  Events through {through} were released. The archive keeps the row as its readers knew it; how it came about cannot be computed again."
            ));
        }
    }
    restatements(&mut page, said);
    late(&mut page, said);
    page.0
}

const fn known_from(from: &KnownFrom) -> &'static str {
    match from {
        KnownFrom::Events => "Computed from live events.",
        KnownFrom::EventsAndCarries => {
            "Computed from live events and from what releases carried on of events that are gone."
        }
        KnownFrom::ArchiveSealed => {
            "Its day is sealed: the number is the archive's. Its events are still there, and below is what they say now."
        }
        KnownFrom::ArchiveReleased => {
            "Its day is sealed and its events were released: the number is the archive's."
        }
    }
}

/// Text under way.
#[derive(Default)]
pub(super) struct Page(String);

impl Page {
    pub(super) fn line(&mut self, text: &str) {
        self.0.push_str(text.trim_end());
        self.0.push('\n');
    }

    pub(super) fn head(&mut self, title: &str) {
        self.line("");
        self.line(title);
    }

    /// Labels and values; what is empty is left out.
    pub(super) fn fields(&mut self, title: &str, fields: &[(&str, String)]) {
        self.head(title);
        let there = || fields.iter().filter(|(_, value)| !value.is_empty());
        let width = there().map(|(label, _)| label.chars().count()).max();
        for (label, value) in there() {
            let width = width.unwrap_or(0);
            self.line(&format!("  {label:width$}  {value}"));
        }
    }

    /// A table; columns from `numbers_from` on are to the right.
    pub(super) fn grid(
        &mut self,
        title: &str,
        headers: &[&str],
        numbers_from: usize,
        rows: Vec<Vec<String>>,
    ) {
        self.head(title);
        if rows.is_empty() {
            self.line("  none");
            return;
        }
        let more = rows.len().saturating_sub(LISTED_MAX);
        let mut grid = table();
        grid.set_header(headers);
        for row in rows.into_iter().take(LISTED_MAX) {
            grid.add_row(row);
        }
        for (at, column) in grid.column_iter_mut().enumerate() {
            if at >= numbers_from {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for line in grid.to_string().lines() {
            self.line(&format!(" {line}"));
        }
        if more > 0 {
            self.line(&format!("  {more} more are in --format json"));
        }
    }
}

pub(super) fn money(micros: i64, currency: &str) -> String {
    format!("{} {currency}", MoneyMicros(micros).to_decimal())
}

/// Millionths as a decimal.
pub(super) fn millionths(micros: i64) -> String {
    let size = micros.unsigned_abs();
    let sign = if micros < 0 { "-" } else { "" };
    format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000)
}

fn value(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_i64().map_or_else(|| number.to_string(), grouped),
        other => other.to_string(),
    }
}

fn numbers(page: &mut Page, said: &Explanation) {
    let Some(without) = &said.without else {
        let rows = said.numbers.iter();
        let rows = rows.map(|number| vec![number.name.clone(), value(&number.is)]);
        page.grid("The number", &["", "is"], 1, rows.collect());
        return;
    };
    let cause = without.cause.to_string();
    let rows = said.numbers.iter().map(|number| {
        let instead = number.without.as_ref().unwrap_or(&Value::Null);
        let mark = if *instead == number.is { "" } else { "differs" };
        vec![
            number.name.clone(),
            value(&number.is),
            value(instead),
            mark.to_owned(),
        ]
    });
    let rows = rows.collect();
    page.grid("The number", &["", "is", "without it", ""], 1, rows);
    let effect = if without.differs {
        "Without it the number is another; \"-\" stands for no such row."
    } else {
        "Without it the number is the same."
    };
    page.line(&format!("  it = {cause} ({}). {effect}", without.what));
}

pub(super) fn event(id: Option<hostread_schemas::EventId>) -> String {
    id.map_or_else(String::new, |id| format!(" (event {id})"))
}

fn rule_set(name: &str, id: Option<hostread_schemas::EventId>) -> String {
    if name.is_empty() {
        "none: the default rules hold".to_owned()
    } else {
        format!("{name}{}", event(id))
    }
}

fn request(page: &mut Page, it: &Request) {
    page.fields(
        "The request",
        &[
            ("time", it.time.to_string()),
            ("address", it.enclosure.clone()),
            ("agent", it.agent.clone()),
            ("listener", it.listener.clone()),
            ("household", it.household.clone()),
            ("from", it.address.to_owned()),
            ("seen by", it.source_kind.to_owned()),
            ("status", it.status.to_string()),
            (
                "bytes",
                format!(
                    "{} from byte {}",
                    grouped(it.sent_bytes.cast_signed()),
                    grouped(it.sent_first.cast_signed())
                ),
            ),
            ("rule set", rule_set(&it.rule_set, it.rule_set_event)),
            ("part of", it.download.clone().unwrap_or_default()),
        ],
    );
    let rows = it.filters.iter().map(|filter| {
        vec![
            filter.filter.to_owned(),
            filter.says.to_owned(),
            filter.because.clone(),
        ]
    });
    let title = format!("The filters, in their order: {}", it.verdict);
    page.grid(&title, &["filter", "says", "because"], 3, rows.collect());
    if let Some(day) = &it.episode_day {
        episode_day(page, day);
    }
}

fn episode_day(page: &mut Page, it: &EpisodeDay) {
    let limit = match it.household_limit {
        0 => String::new(),
        limit => format!("{} downloads, limit {limit}", it.household_downloads),
    };
    page.fields(
        "The episode on the listener's day",
        &[
            (
                "episode",
                format!("{}{}", it.episode, event(it.episode_event)),
            ),
            ("show", it.show.clone()),
            ("needed", it.needed_because.clone()),
            ("household", limit),
        ],
    );
    let bytes = |bytes: u64| grouped(i64::try_from(bytes).unwrap_or(i64::MAX));
    let rows = it.requests.iter().map(|request| {
        let version = request.version.map(|at| (at + 1).to_string());
        vec![
            request.time.to_string(),
            request.request.to_string(),
            request.verdict.to_owned(),
            version.unwrap_or_default(),
            bytes(request.first_byte),
            bytes(request.bytes),
            bytes(request.added_bytes),
        ]
    });
    page.grid(
        "Its requests",
        &[
            "time",
            "request",
            "verdict",
            "version",
            "from byte",
            "bytes",
            "new bytes",
        ],
        3,
        rows.collect(),
    );
    let rows = it.versions.iter().enumerate().map(|(at, version)| {
        let reached = version.reached_with.map(|id| id.to_string());
        vec![
            (at + 1).to_string(),
            version.enclosure.clone(),
            if version.makes_it {
                "makes the download"
            } else {
                ""
            }
            .to_owned(),
            reached.unwrap_or_else(|| "not reached".to_owned()),
            bytes(version.union_bytes),
            bytes(version.needed_bytes),
        ]
    });
    page.grid(
        "Bytes put together, by version of the file",
        &[
            "version",
            "address",
            "",
            "reached with",
            "distinct bytes",
            "needed",
        ],
        4,
        rows.collect(),
    );
}

fn download(page: &mut Page, it: &Download) {
    page.fields(
        "The download",
        &[
            ("day", it.day.clone()),
            ("window", it.window.to_owned()),
            ("started", it.started_at.clone()),
            ("listener", it.listener.clone()),
            ("household", it.household.clone()),
            ("agent", it.agent.clone()),
            ("seen by", it.source_kind.to_owned()),
            ("rule set", rule_set(&it.rule_set, it.rule_set_event)),
        ],
    );
    episode_day(page, &it.episode_day);
    let rows = it.not_counted.iter().map(|other| {
        vec![
            other.request.to_string(),
            other.episode.clone(),
            other.verdict.to_owned(),
        ]
    });
    page.grid(
        "Other requests of the listener on the day that do not count",
        &["request", "episode", "because"],
        3,
        rows.collect(),
    );
    let rows = it.ads.iter().map(|ad| {
        vec![
            ad.line.clone(),
            ad.touch.to_string(),
            ad.day.clone(),
            if ad.billable {
                "billable"
            } else {
                "not billable"
            }
            .to_owned(),
        ]
    });
    page.grid(
        "Ads that it delivered",
        &["line item", "touch", "billing day", ""],
        4,
        rows.collect(),
    );
}

fn restatements(page: &mut Page, said: &Explanation) {
    if said.restatements.is_empty() {
        page.head("Restatements");
        page.line("  no published number that this is part of has moved");
        return;
    }
    let rows = said.restatements.iter().map(|row| {
        let names = row.of.as_object().into_iter().flatten();
        let names: Vec<&str> = names.filter_map(|(_, name)| name.as_str()).collect();
        let cause = match (&row.event, &row.batches[..]) {
            (Some(event), _) => {
                format!("event {event}: {}", row.what.as_deref().unwrap_or_default())
            }
            (None, [first, rest @ ..]) => {
                let more = rest.len() as u64 + u64::from(row.batches_more);
                match more {
                    0 => format!("batch {first}"),
                    more => format!("batch {first} and {more} more"),
                }
            }
            (None, []) => "the clock".to_owned(),
        };
        vec![
            row.tick.to_string(),
            row.number.clone(),
            names.join(" / "),
            cause,
            grouped(row.old),
            grouped(row.new),
            grouped(row.new - row.old),
        ]
    });
    page.grid(
        "Restatements of published numbers that this is part of, oldest first",
        &["tick", "number", "of", "cause", "was", "is", "moved by"],
        4,
        rows.collect(),
    );
    if said.restatements_more > 0 {
        let more = said.restatements_more;
        page.line(&format!(
            "  {more} older ones: hostread report restatements"
        ));
    }
}

fn late(page: &mut Page, said: &Explanation) {
    if said.late.is_empty() {
        return;
    }
    let number = |number: Option<i64>| number.map(grouped).unwrap_or_default();
    let rows = said.late.iter().map(|row| {
        let names = row.key.as_object().into_iter().flatten();
        let names: Vec<&str> = names.filter_map(|(_, name)| name.as_str()).collect();
        vec![
            row.tick.to_string(),
            row.day.clone(),
            format!("{} {}", row.kind, row.of).trim().to_owned(),
            names.join(" / "),
            grouped(row.count),
            number(row.old),
            number(row.new),
        ]
    });
    page.grid(
        "Not applied, for it came after the seal of the day, oldest first",
        &["tick", "day", "what", "of", "came", "is", "would be"],
        4,
        rows.collect(),
    );
    if said.late_more > 0 {
        let more = said.late_more;
        page.line(&format!("  {more} older ones: hostread report late"));
    }
}
