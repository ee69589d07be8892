//! Rows as people, spreadsheets and programs read them.

use anyhow::Result;
use comfy_table::CellAlignment;
use serde_json::{Map, Value, json};

use crate::attribute::path_text;
use crate::cmd::table;
use crate::report::{decimal, grouped};
use crate::tables::{int, text};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// A list of names in JSON, shown as a path.
    Path,
    Count,
    /// Millionths: whole numbers of them in JSON, where the name says so; decimals elsewhere.
    Micros,
    /// Millionths of a whole: as `Micros`, and percent for people.
    Share,
}

/// A column of a listing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    /// As people read it.
    header: &'static str,
    kind: Kind,
}

impl Column {
    /// Words, or a number that nobody adds up.
    pub(crate) const fn text(header: &'static str) -> Self {
        let kind = Kind::Text;
        Self { header, kind }
    }

    /// Names along a path, given as a list in JSON.
    pub(crate) const fn path(header: &'static str) -> Self {
        let kind = Kind::Path;
        Self { header, kind }
    }

    /// Whole numbers.
    pub(crate) const fn count(header: &'static str) -> Self {
        let kind = Kind::Count;
        Self { header, kind }
    }

    /// Decimals, given in millionths.
    pub(crate) const fn micros(header: &'static str) -> Self {
        let kind = Kind::Micros;
        Self { header, kind }
    }

    /// Parts of a whole, given in millionths.
    pub(crate) const fn share(header: &'static str) -> Self {
        let kind = Kind::Share;
        Self { header, kind }
    }

    const fn is_words(&self) -> bool {
        matches!(self.kind, Kind::Text | Kind::Path)
    }

    /// The words of a cell.
    fn words(&self, row: &[Value], at: usize) -> String {
        let text = text(row, at);
        let names = (self.kind == Kind::Path).then(|| serde_json::from_str::<Vec<String>>(&text));
        match names {
            Some(Ok(names)) => path_text(&names),
            _ => text,
        }
    }

    fn field(&self) -> String {
        let name = self.header.replace(' ', "_");
        match self.kind {
            Kind::Text | Kind::Path | Kind::Count => name,
            Kind::Micros | Kind::Share => name + "_micros",
        }
    }
}

/// Rows to be printed: a text, a whole number or nothing in each column.
#[derive(Debug)]
pub(crate) struct Listing {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
    /// Rows that are not shown.
    more: u64,
    /// What those are.
    others: &'static str,
}

impl Listing {
    /// Every row.
    pub(crate) const fn whole(columns: Vec<Column>, rows: Vec<Vec<Value>>) -> Self {
        Self {
            columns,
            rows,
            more: 0,
            others: "",
        }
    }

    /// Of `all` rows these; the others are older, or further.
    pub(crate) const fn of_all(
        columns: Vec<Column>,
        rows: Vec<Vec<Value>>,
        all: u64,
        others: &'static str,
    ) -> Self {
        Self {
            more: all.saturating_sub(rows.len() as u64),
            columns,
            rows,
            others,
        }
    }

    /// Rows that are not shown.
    pub(crate) const fn more(&self) -> u64 {
        self.more
    }

    /// Keeps the columns but those of these names.
    pub(crate) fn leave_out(&mut self, headers: &[&str]) {
        self.keep(|column| !headers.contains(&column.header));
    }

    /// Keeps the columns of these names.
    pub(crate) fn only(&mut self, headers: &[&str]) {
        self.keep(|column| headers.contains(&column.header));
    }

    fn keep(&mut self, shown: impl Fn(&Column) -> bool) {
        for row in &mut self.rows {
            let mut columns = self.columns.iter();
            row.retain(|_| columns.next().is_some_and(&shown));
        }
        self.columns.retain(shown);
    }

    /// One object a row: texts, whole numbers, and millionths as whole numbers of them.
    pub(crate) fn objects(&self) -> Vec<Value> {
        let object = |row: &Vec<Value>| {
            let fields = self.columns.iter().enumerate().map(|(at, column)| {
                let value = match column.kind {
                    _ if is_empty(row, at) => Value::Null,
                    Kind::Text | Kind::Path => json!(column.words(row, at)),
                    Kind::Count | Kind::Micros | Kind::Share => json!(int(row, at)),
                };
                (column.field(), value)
            });
            Value::Object(fields.collect::<Map<String, Value>>())
        };
        self.rows.iter().map(object).collect()
    }

    /// For a spreadsheet: a head, then the rows; numbers without separators, millionths as decimals.
    ///
    /// # Errors
    /// Never for what a listing holds.
    pub(crate) fn csv(&self) -> Result<String> {
        let head = self.columns.iter().map(|column| column.header.to_owned());
        let rows = self.rows.iter().map(|row| {
            let cells = self.columns.iter().enumerate();
            let cells = cells.map(|(at, column)| match column.kind {
                _ if is_empty(row, at) => String::new(),
                Kind::Text | Kind::Path => no_formula(column.words(row, at)),
                Kind::Count => int(row, at).to_string(),
                Kind::Micros | Kind::Share => exact(int(row, at)),
            });
            cells.collect()
        });
        sheet(std::iter::once(head.collect()).chain(rows))
    }

    /// A table for people, and what it leaves out.
    pub(crate) fn render(&self, nothing: &str) -> String {
        if self.rows.is_empty() {
            return nothing.to_owned();
        }
        let mut table = table();
        table.set_header(self.columns.iter().map(|column| column.header));
        for (column, shown) in self.columns.iter().zip(table.column_iter_mut()) {
            if !column.is_words() {
                shown.set_cell_alignment(CellAlignment::Right);
            }
        }
        for row in &self.rows {
            let cells = self.columns.iter().enumerate();
            table.add_row(cells.map(|(at, column)| match column.kind {
                _ if is_empty(row, at) => String::new(),
                Kind::Text | Kind::Path => column.words(row, at),
                Kind::Count => grouped(int(row, at)),
                Kind::Micros => decimal(int(row, at)),
                Kind::Share => decimal(100 * int(row, at)) + " %",
            }));
        }
        match self.more {
            0 => table.to_string(),
            more => format!(
                "{table}\n{more} {} ones are not shown (--limit)",
                self.others
            ),
        }
    }
}

/// Has the cell no value?
fn is_empty(row: &[Value], at: usize) -> bool {
    row.get(at).is_some_and(Value::is_null)
}

/// Rows of cells as CSV.
///
/// # Errors
/// Never for rows of one width.
pub(crate) fn sheet(rows: impl Iterator<Item = Vec<String>>) -> Result<String> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    for row in rows {
        csv.write_record(row)?;
    }
    Ok(String::from_utf8(csv.into_inner()?)?)
}

/// A text as a spreadsheet shows it. Anybody can type a promo code or ask for an address, also one that a spreadsheet would run:
/// it gets a quote before it, which shows no more than the text.
pub(crate) fn no_formula(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text
    }
}

/// Millionths as a decimal with all its digits and no more.
pub(crate) fn exact(micros: i64) -> String {
    let (whole, rest) = (
        micros.unsigned_abs() / 1_000_000,
        micros.unsigned_abs() % 1_000_000,
    );
    let sign = if micros < 0 { "-" } else { "" };
    let digits = format!("{rest:06}");
    match digits.trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        digits => format!("{sign}{whole}.{digits}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Listing {
        let columns = vec![
            Column::text("campaign"),
            Column::count("orders"),
            Column::micros("money"),
        ];
        let rows = vec![
            vec![json!("a, \"b\""), json!("1200"), json!("-1500000")],
            vec![json!("c"), json!(7), json!(1_234_000_001_i64)],
        ];
        Listing::of_all(columns, rows, 5, "further")
    }

    #[test]
    fn a_spreadsheet_gets_decimals_and_quotes() {
        let csv = "campaign,orders,money\n\"a, \"\"b\"\"\",1200,-1.5\nc,7,1234.000001\n";
        assert_eq!(listing().csv().expect("it fits"), csv);
    }

    #[test]
    fn a_spreadsheet_runs_no_text() {
        let columns = vec![Column::text("code"), Column::micros("value")];
        let code = "=HYPERLINK(\"https://example.org\")";
        let rows = vec![vec![json!(code), json!(-2_000_000)]];
        let listing = Listing::whole(columns, rows);
        let csv = "code,value\n\"'=HYPERLINK(\"\"https://example.org\"\")\",-2\n";
        assert_eq!(listing.csv().expect("it fits"), csv);
        assert_eq!(
            listing.objects(),
            [json!({"code": code, "value_micros": -2_000_000})]
        );
    }

    #[test]
    fn a_path_is_its_names() {
        let columns = vec![Column::path("path")];
        let rows = vec![vec![json!("[\"=a\",\"b > c\"]")]];
        let listing = Listing::whole(columns, rows);
        assert_eq!(listing.objects(), [json!({"path": "=a > \"b > c\""})]);
        let csv = listing.csv().expect("it fits");
        assert_eq!(csv, "path\n\"'=a > \"\"b > c\"\"\"\n");
    }

    #[test]
    fn programs_get_whole_numbers_and_the_unit_in_the_name() {
        let objects = listing().objects();
        let first = json!({"campaign": "a, \"b\"", "orders": 1200, "money_micros": -1_500_000});
        assert_eq!(objects.first(), Some(&first));
    }

    #[test]
    fn people_get_percent_and_programs_millionths() {
        let columns = vec![Column::share("difference")];
        let listing = Listing::whole(columns, vec![vec![json!(-123_456)], vec![Value::Null]]);
        assert!(listing.render("nothing").contains("-12.35 %"));
        assert_eq!(
            listing.csv().expect("it fits"),
            "difference\n-0.123456\n\"\"\n"
        );
        let objects = [
            json!({"difference_micros": -123_456}),
            json!({"difference_micros": null}),
        ];
        assert_eq!(listing.objects(), objects);
    }

    #[test]
    fn people_are_told_what_is_not_shown() {
        let said = listing().render("nothing");
        assert!(said.contains("1,234.00"), "{said}");
        assert!(
            said.ends_with("3 further ones are not shown (--limit)"),
            "{said}"
        );
        let empty = Listing::whole(vec![Column::text("a")], Vec::new());
        assert_eq!(empty.render("nothing"), "nothing");
    }

    #[test]
    fn columns_go_with_their_cells() {
        let mut listing = listing();
        listing.only(&["orders"]);
        assert_eq!(listing.csv().expect("it fits"), "orders\n1200\n7\n");
    }
}
