//! A gap as a table, JSON and CSV.

use comfy_table::{Cell, CellAlignment};
use hostread_rules::Window;
use serde_json::{Map, Value, json};

use super::average::{PARTS, hundredths};
use super::gap::{Gap, Group, NEAR_PERCENT, Row};
use super::{Side, Way};
use crate::cmd::table;
use crate::count::quoted;

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
        json!({
            "ours": ours, "theirs": theirs, "controlling": self.controlling(),
            "within_5_percent": whole.near(self.controlling), "parts_of": PARTS,
            "total": self.group(None, &whole), "groups": groups,
        })
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
    fn cells(&self, row: &Row) -> Vec<String> {
        let counts = [row.ours, row.theirs, row.gap()];
        let mut cells: Vec<String> = counts.iter().map(ToString::to_string).collect();
        let percent = row.permille(self.controlling).map(tenths);
        cells.push(percent.unwrap_or_default());
        cells.extend(hundredths(&row.parts).into_iter().map(decimal));
        cells.push(row.unexplained().to_string());
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
        heads.push("unexplained");
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
    pub(crate) fn csv(&self) -> String {
        let mut text = self.heads(false).join(",") + "\n";
        for (group, row) in &self.gap.rows {
            let names = self.names(group);
            let names = names.iter().map(|name| quoted(name));
            let cells: Vec<String> = names.chain(self.cells(row)).collect();
            text.push_str(&(cells.join(",") + "\n"));
        }
        text
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
        let near = match whole.near(self.controlling) {
            true => "within",
            false => "beyond",
        };
        format!(
            "ours    {:>9}  {ours}\ntheirs  {:>9}  {theirs}\ngap     {gap}: {near} the {NEAR_PERCENT}% of IAB for \
             downloads\n\n{}",
            whole.ours,
            whole.theirs,
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
            all.add_row(cells.chain(self.cells(row).into_iter().map(right)));
        }
        if names > 0 {
            let blank = (1..names).map(|_| String::new());
            let all_of = std::iter::once("all".to_owned()).chain(blank);
            let cells = all_of.map(Cell::new);
            all.add_row(cells.chain(self.cells(whole).into_iter().map(right)));
        }
        match equal {
            0 => all.to_string(),
            equal => format!("{all}\n{equal} more rows have no gap"),
        }
    }
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
