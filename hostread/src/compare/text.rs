//! A gap as a table, JSON and CSV.

use anyhow::Result;
use comfy_table::{Cell, CellAlignment};
use hostread_rules::Window;
use serde_json::{Map, Value, json};

use super::average::{PARTS, hundredths};
use super::gap::{Gap, Group, NEAR_PERCENT, Row};
use super::hypotheses::{Change, Outcome, Tested};
use super::{Side, Way};
use crate::cmd::table;
use crate::listing::{no_formula, sheet};

/// A comparison, ready to print.
pub(crate) struct Comparison<'a> {
    pub(crate) gap: &'a Gap,
    /// Names of episodes by their place.
    pub(crate) episodes: &'a [String],
    /// How each side is described.
    pub(crate) sides: [Value; 2],
    pub(crate) said: [String; 2],
    /// Whose count rules.
    pub(crate) controlling: Side,
    /// Theirs are totals.
    pub(crate) outcome: Option<&'a Outcome>,
}

/// How a side counts, in JSON and for people.
pub(crate) fn described(way: &Way) -> (Value, String) {
    let Way {
        rules,
        window,
        zone,
        ..
    } = way;
    let said = match window {
        Window::Calendar => format!("rules {rules}, calendar days in {zone}"),
        rolling => format!(
            "rules {rules}, {} windows of 24 h, days in {zone}",
            rolling.as_str()
        ),
    };
    (json!({"rules": rules, "window": window, "tz": zone}), said)
}

impl Comparison<'_> {
    fn episode(&self, group: &Group) -> Option<&str> {
        self.episodes.get(group.0?).map(String::as_str)
    }

    const fn controlling(&self) -> &'static str {
        match self.controlling {
            Side::Ours => "ours",
            Side::Theirs => "theirs",
        }
    }

    /// One object; parts in sixtieths of a download.
    pub(crate) fn json(&self) -> Value {
        let whole = self.gap.whole();
        let [mut ours, mut theirs] = self.sides.clone();
        ours["downloads"] = json!(whole.ours);
        theirs["downloads"] = json!(whole.theirs);
        let rows = self.gap.rows.iter();
        let groups: Vec<Value> = rows
            .map(|(group, row)| self.group(Some(group), row))
            .collect();
        let mut all = json!({
            "ours": ours, "theirs": theirs, "controlling": self.controlling(),
            "within_5_percent": whole.near(self.controlling), "parts_of": PARTS,
            "total": self.group(None, &whole), "groups": groups,
        });
        if let Some(outcome) = self.outcome {
            let tested = outcome.tested.iter().map(|one| {
                let changes: Vec<String> = one.changes.iter().map(Change::said).collect();
                json!({"changes": changes, "downloads": one.downloads, "left": one.left, "fits": one.fits})
            });
            all["differs"] = json!(outcome.differs);
            all["undecided"] = json!(outcome.undecided);
            all["hypotheses"] = tested.collect();
        }
        all
    }

    fn group(&self, group: Option<&Group>, row: &Row) -> Value {
        let mut object = Map::new();
        if let Some(group) = group {
            if let Some(episode) = self.episode(group) {
                object.insert("episode".to_owned(), json!(episode));
            }
            if let Some(day) = &group.1 {
                object.insert("day".to_owned(), json!(day));
            }
        }
        let parts = self.gap.heads.iter().zip(&row.parts);
        let parts: Map<String, Value> = parts
            .map(|(head, part)| (head.key.to_owned(), json!(part)))
            .collect();
        let counts = json!({
            "ours": row.ours, "theirs": row.theirs, "gap": row.gap(),
            "gap_percent": row.permille(self.controlling).map(tenths),
            "parts": parts, "unexplained": row.unexplained(),
        });
        if let Value::Object(counts) = counts {
            object.extend(counts);
        }
        if self.gap.two_logs {
            object.insert("only_ours".to_owned(), json!(row.only[0]));
            object.insert("only_theirs".to_owned(), json!(row.only[1]));
        }
        Value::Object(object)
    }

    /// The cells of a row behind its group.
    fn cells(&self, row: &Row, names: bool) -> Vec<String> {
        let counts = [row.ours, row.theirs, row.gap()];
        let mut cells: Vec<String> = counts.iter().map(ToString::to_string).collect();
        let percent = row.permille(self.controlling).map(tenths);
        cells.push(percent.unwrap_or_default());
        cells.extend(hundredths(&row.parts).into_iter().map(decimal));
        // What we counted ourselves, both times, is explained.
        if self.outcome.is_some() || !names {
            cells.push(row.unexplained().to_string());
        }
        if self.gap.two_logs {
            cells.extend(row.only.iter().map(ToString::to_string));
        }
        cells
    }

    fn heads(&self, names: bool) -> Vec<String> {
        let some = |of: fn(&Group) -> bool| self.gap.rows.keys().any(of);
        let mut heads = Vec::new();
        if some(|group| group.0.is_some()) {
            heads.push("episode");
        }
        if some(|group| group.1.is_some()) {
            heads.push("day");
        }
        let percent = if names { "%" } else { "gap_percent" };
        heads.extend(["ours", "theirs", "gap", percent]);
        let parts = self.gap.heads.iter();
        heads.extend(parts.map(|head| if names { head.name } else { head.key }));
        if self.outcome.is_some() || !names {
            heads.push("unexplained");
        }
        if self.gap.two_logs && names {
            heads.extend(["only in ours", "only in theirs"]);
        } else if self.gap.two_logs {
            heads.extend(["only_ours", "only_theirs"]);
        }
        heads.into_iter().map(str::to_owned).collect()
    }

    fn names(&self, group: &Group) -> Vec<String> {
        let episode = self.episode(group).map(str::to_owned);
        episode.into_iter().chain(group.1.clone()).collect()
    }

    /// A row for each group, with a head.
    ///
    /// # Errors
    /// Never for what a comparison holds.
    pub(crate) fn csv(&self) -> Result<String> {
        let rows = self.gap.rows.iter().map(|(group, row)| {
            let names = self.names(group).into_iter().map(no_formula);
            names.chain(self.cells(row, false)).collect()
        });
        sheet(std::iter::once(self.heads(false)).chain(rows))
    }

    /// For people: what was compared, the gap and whether it is near, a table.
    pub(crate) fn text(&self) -> String {
        let whole = self.gap.whole();
        let [ours, theirs] = &self.said;
        let controlling = self.controlling();
        let gap = match whole.permille(self.controlling).map(tenths) {
            Some(percent) => format!("{}, {percent}% of {controlling}", signed(whole.gap())),
            None => format!("{}, of no downloads of {controlling}", signed(whole.gap())),
        };
        let near = whole.near(self.controlling);
        let near = if near { "within" } else { "beyond" };
        format!(
            "ours    {:>9}  {ours}\ntheirs  {:>9}  {theirs}\ngap     {gap}: {near} the {NEAR_PERCENT}% of IAB for \
             downloads\n{}\n{}",
            whole.ours,
            whole.theirs,
            self.outcome.map_or_else(String::new, explained),
            self.table(&whole)
        )
    }

    fn table(&self, whole: &Row) -> String {
        let mut all = table();
        let heads = self.heads(true);
        let names = heads.iter().position(|head| head == "ours").unwrap_or(0);
        all.set_header(heads);
        let mut equal = 0;
        let right = |cell: String| Cell::new(cell).set_alignment(CellAlignment::Right);
        for (group, row) in &self.gap.rows {
            let same = row.gap() == 0 && row.only == [0, 0];
            if same && row.parts.iter().all(|part| *part == 0) {
                equal += 1;
                continue;
            }
            let cells = self.names(group).into_iter().map(Cell::new);
            all.add_row(cells.chain(self.cells(row, true).into_iter().map(right)));
        }
        if names > 0 {
            let blank = (1..names).map(|_| String::new());
            let all_of = std::iter::once("all".to_owned()).chain(blank);
            let cells = all_of.map(Cell::new);
            all.add_row(cells.chain(self.cells(whole, true).into_iter().map(right)));
        }
        match equal {
            0 => all.to_string(),
            equal => format!("{all}\n{equal} more rows have no gap"),
        }
    }
}

/// Which hypotheses fit, and all that were tested.
fn explained(outcome: &Outcome) -> String {
    let differs = outcome.differs;
    let fit: Vec<String> = outcome
        .tested
        .iter()
        .take(outcome.best)
        .map(Tested::said)
        .collect();
    let left = outcome.tested.first().map_or(differs, |best| best.left);
    let mut said = match fit.as_slice() {
        _ if differs == 0 => "row by row theirs are ours".to_owned(),
        [] => format!("no hypothesis fits: row by row {differs} downloads differ, unexplained"),
        [one] => {
            format!("{one} fits: it leaves {left} of {differs} downloads that differ row by row")
        }
        several => format!(
            "{} fit equally well: each leaves {left} of {differs} downloads that differ row by row",
            several.join(", ")
        ),
    };
    if outcome.undecided {
        said.push_str("; they split the gap otherwise, so it stays unexplained");
    }
    if outcome.outside != 0 {
        let outside = outcome.outside;
        said.push('\n');
        said.push_str(&outside.to_string());
        said.push_str(" of theirs are on days of which our log has no download");
    }
    let mut all = table();
    all.set_header(["hypothesis", "downloads", "leaves", "explains %", ""]);
    let (helps, helpless): (Vec<&Tested>, Vec<&Tested>) = outcome
        .tested
        .iter()
        .partition(|one| one.left < differs || differs == 0);
    for one in helps {
        let explains = differs - one.left;
        let permille = (explains * 1000).checked_div(differs).unwrap_or(0);
        let cells = [
            one.downloads.to_string(),
            one.left.to_string(),
            tenths(permille),
        ];
        let right = cells.map(|cell| Cell::new(cell).set_alignment(CellAlignment::Right));
        let fits = Cell::new(if one.fits { "fits" } else { "" });
        all.add_row(
            [Cell::new(one.said())]
                .into_iter()
                .chain(right)
                .chain([fits]),
        );
    }
    let helpless: Vec<String> = helpless.into_iter().map(Tested::said).collect();
    if helpless.is_empty() {
        return format!("{said}\n\n{all}\n");
    }
    let helpless = helpless.join(", ");
    format!("{said}\n\n{all}\nexplains nothing: {helpless}\n")
}

/// Tenths as a decimal.
pub(super) fn tenths(tenths: i64) -> String {
    let sign = if tenths < 0 { "-" } else { "" };
    let size = tenths.unsigned_abs();
    format!("{sign}{}.{}", size / 10, size % 10)
}

/// Hundredths as a decimal without zeros that say nothing.
fn decimal(hundredths: i64) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let size = hundredths.unsigned_abs();
    let (whole, part) = (size / 100, size % 100);
    match (part, part % 10) {
        (0, _) => format!("{sign}{whole}"),
        (_, 0) => format!("{sign}{whole}.{}", part / 10),
        _ => format!("{sign}{whole}.{part:02}"),
    }
}

fn signed(count: i64) -> String {
    match count {
        1.. => format!("+{count}"),
        _ => count.to_string(),
    }
}
