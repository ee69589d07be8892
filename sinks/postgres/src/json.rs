//! Rows as one JSON array of objects, which PostgreSQL takes apart again (`jsonb_to_recordset`). Pure.
//! Invariant: what a field holds cannot end the field or the row; numbers are exact.

use std::fmt::Write;

use hostread_schemas::{Day, Hour, NameKind, Names};
use hostread_sink_kit::words::push_json_text;

/// Bytes of a name in a key: an index entry holds 2,704, a key has two names at most.
pub(crate) const NAME_BYTES_MAX: usize = 1_000;

/// Rows under way to PostgreSQL.
#[derive(Debug)]
pub(crate) struct JsonRows {
    json: String,
    first_field: bool,
}

impl JsonRows {
    pub(crate) fn new() -> Self {
        Self {
            json: String::from("["),
            first_field: true,
        }
    }

    pub(crate) fn finish(mut self) -> String {
        self.json.push(']');
        self.json
    }

    pub(crate) fn begin_row(&mut self) {
        self.json
            .push_str(if self.json.len() == 1 { "{" } else { ",{" });
        self.first_field = true;
    }

    pub(crate) fn end_row(&mut self) {
        self.json.push('}');
    }

    fn field(&mut self, column: &str) -> &mut String {
        if !self.first_field {
            self.json.push(',');
        }
        self.first_field = false;
        push_json_text(&mut self.json, column);
        self.json.push(':');
        &mut self.json
    }

    /// A number, or a truth value.
    pub(crate) fn plain(&mut self, column: &str, value: impl std::fmt::Display) {
        write!(self.field(column), "{value}").expect("a string takes all");
    }

    pub(crate) fn text(&mut self, column: &str, text: &str) {
        push_json_text(self.field(column), text);
    }

    pub(crate) fn name(&mut self, column: &str, names: &Names, kind: NameKind, id: u64) {
        let name = names.text(kind, id);
        if name.len() <= NAME_BYTES_MAX {
            return self.text(column, &name);
        }
        let start = name.floor_char_boundary(NAME_BYTES_MAX - 20);
        let start = name.get(..start).unwrap_or_default();
        self.text(column, &format!("{start}~{id:016x}"));
    }

    /// A date, held to the years that both sides can write.
    pub(crate) fn day(&mut self, column: &str, day: Day) {
        const FIRST: i32 = -719_162; // 0001-01-01
        const LAST: i32 = 2_932_896; // 9999-12-31
        let day = Day(day.0.clamp(FIRST, LAST));
        self.text(column, &day.to_string());
    }

    /// The start of an hour, held to the years that both sides can write.
    pub(crate) fn hour(&mut self, column: &str, hour: Hour) {
        const FIRST: i32 = -17_259_888; // 0001-01-01
        const LAST: i32 = 70_389_502; // 9999-12-30 22:00: jiff writes no later hour, as some zone would be in year 10000
        let hour = Hour(hour.0.clamp(FIRST, LAST));
        self.text(column, &hour.start().to_string());
    }

    pub(crate) fn texts<'a>(&mut self, column: &str, texts: impl Iterator<Item = &'a str>) {
        let json = self.field(column);
        json.push('[');
        for (index, text) in texts.enumerate() {
            if index > 0 {
                json.push(',');
            }
            push_json_text(json, text);
        }
        json.push(']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(write: impl FnOnce(&mut JsonRows)) -> String {
        let mut rows = JsonRows::new();
        rows.begin_row();
        write(&mut rows);
        rows.end_row();
        rows.finish()
    }

    #[test]
    fn fields_cannot_end_the_row() {
        let json = row(|r| {
            r.text("a", "x\"},{\"\\\0\n");
            r.plain("b", u64::MAX);
            r.texts("c", ["\"", ""].into_iter());
            r.plain("d", true);
        });
        assert_eq!(
            json,
            "[{\"a\":\"x\\\"},{\\\"\\\\\u{fffd}\\u000a\",\"b\":18446744073709551615,\"c\":[\"\\\"\",\"\"],\"d\":true}]"
        );
    }

    #[test]
    fn a_long_name_is_cut_and_stays_its_own() {
        let names = Names::default();
        names.insert(NameKind::Line, 1, &"ü".repeat(2_000));
        names.insert(NameKind::Line, 2, &("ü".repeat(1_999) + "x"));
        names.insert(NameKind::Line, 3, &"x".repeat(NAME_BYTES_MAX));
        let line = |id| row(|r| r.name("l", &names, NameKind::Line, id));
        assert!(line(1).len() <= NAME_BYTES_MAX + 10);
        assert_ne!(line(1), line(2));
        assert!(line(3).contains(&"x".repeat(NAME_BYTES_MAX)));
    }

    #[test]
    fn days_and_hours_stay_in_range() {
        let day = |n| row(|r| r.day("d", Day(n)));
        assert_eq!(day(0), "[{\"d\":\"1970-01-01\"}]");
        assert_eq!(day(i32::MIN), "[{\"d\":\"0001-01-01\"}]");
        assert_eq!(day(i32::MAX), "[{\"d\":\"9999-12-31\"}]");
        let hour = |n| row(|r| r.hour("h", Hour(n)));
        assert_eq!(hour(1), "[{\"h\":\"1970-01-01T01:00:00.000Z\"}]");
        assert!(hour(i32::MAX).contains("9999-12-30"));
        assert!(hour(i32::MIN).contains("0001-01-01"));
    }
}
