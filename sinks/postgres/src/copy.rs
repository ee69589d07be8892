//! Rows in the text format of COPY. Pure.
//! Invariant: what a field holds cannot end the field or the row.

use std::fmt::Write;

use hostread_schemas::{Day, Hour, NameKind};
use hostread_sink_kit::NameCache;

/// Bytes of a name in a key: an index entry holds 2,704, a key has two names at most.
pub(crate) const NAME_BYTES_MAX: usize = 1_000;

/// Rows under way to COPY.
#[derive(Default)]
pub(crate) struct CopyText {
    text: String,
    in_row: bool,
}

impl CopyText {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.text.into_bytes()
    }

    fn field(&mut self) -> &mut String {
        if self.in_row {
            self.text.push('\t');
        }
        self.in_row = true;
        &mut self.text
    }

    pub(crate) fn end_row(&mut self) {
        self.text.push('\n');
        self.in_row = false;
    }

    pub(crate) fn null(&mut self) {
        self.field().push_str("\\N");
    }

    pub(crate) fn number(&mut self, number: impl std::fmt::Display) {
        write!(self.field(), "{number}").expect("a string takes all");
    }

    pub(crate) fn text(&mut self, text: &str) {
        push_escaped(self.field(), text);
    }

    pub(crate) fn name(&mut self, names: &NameCache, kind: NameKind, id: u64) {
        let name = names.get(kind, id);
        match name
            .char_indices()
            .map(|(at, _)| at)
            .find(|at| *at >= NAME_BYTES_MAX - 20)
        {
            Some(end) if name.len() > NAME_BYTES_MAX => {
                let start = name.get(..end).unwrap_or_default();
                self.text(&format!("{start}~{id:016x}"));
            }
            _ => self.text(name),
        }
    }

    pub(crate) fn flag(&mut self, flag: bool) {
        self.field().push(if flag { 't' } else { 'f' });
    }

    /// A date, held to the years that both sides can write.
    pub(crate) fn day(&mut self, day: Day) {
        const FIRST: i32 = -719_162; // 0001-01-01
        const LAST: i32 = 2_932_896; // 9999-12-31
        self.number(Day(day.0.clamp(FIRST, LAST)));
    }

    /// The start of an hour, held to the years that both sides can write.
    pub(crate) fn hour(&mut self, hour: Hour) {
        const FIRST: i32 = -17_259_888; // 0001-01-01
        const LAST: i32 = 70_389_503; // 9999-12-30
        self.number(Hour(hour.0.clamp(FIRST, LAST)).start());
    }

    /// An array of texts: quoted for the array, then escaped for COPY.
    pub(crate) fn texts<'a>(&mut self, texts: impl Iterator<Item = &'a str>) {
        let mut array = String::from("{");
        for (index, text) in texts.enumerate() {
            array.push_str(if index == 0 { "\"" } else { ",\"" });
            for c in text.chars() {
                if c == '"' || c == '\\' {
                    array.push('\\');
                }
                array.push(c);
            }
            array.push('"');
        }
        array.push('}');
        self.text(&array);
    }
}

fn push_escaped(to: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => to.push_str("\\\\"),
            '\t' => to.push_str("\\t"),
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            // PostgreSQL has no text with a NUL.
            '\0' => to.push('\u{fffd}'),
            c => to.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use hostread_schemas::Names;

    use super::*;

    fn text(write: impl FnOnce(&mut CopyText)) -> String {
        let mut copy = CopyText::default();
        write(&mut copy);
        copy.end_row();
        String::from_utf8(copy.into_bytes()).unwrap()
    }

    #[test]
    fn fields_cannot_end_the_row() {
        let row = text(|c| {
            c.text("a\tb\nc\\N\r\0");
            c.null();
            c.number(-5);
            c.texts(["x\"y", "\\", ""].into_iter());
        });
        assert_eq!(
            row,
            "a\\tb\\nc\\\\N\\r\u{fffd}\t\\N\t-5\t{\"x\\\\\"y\",\"\\\\\\\\\",\"\"}\n"
        );
    }

    #[test]
    fn a_long_name_is_cut_and_stays_its_own() {
        let names = Names::default();
        names.insert(NameKind::Line, 1, &"ü".repeat(2_000));
        names.insert(NameKind::Line, 2, &("ü".repeat(1_999) + "x"));
        names.insert(NameKind::Line, 3, &"x".repeat(NAME_BYTES_MAX));
        let mut cache = NameCache::new(&names);
        (1..4).for_each(|id| cache.need(NameKind::Line, id));
        let row = |id| text(|c| c.name(&cache, NameKind::Line, id));
        assert!(row(1).len() <= NAME_BYTES_MAX + 1);
        assert_ne!(row(1), row(2));
        assert_eq!(row(3).trim(), "x".repeat(NAME_BYTES_MAX));
    }

    #[test]
    fn days_and_hours_stay_in_range() {
        assert_eq!(text(|c| c.day(Day(0))), "1970-01-01\n");
        assert_eq!(text(|c| c.day(Day(i32::MIN))), "0001-01-01\n");
        assert_eq!(text(|c| c.day(Day(i32::MAX))), "9999-12-31\n");
        assert_eq!(text(|c| c.hour(Hour(1))), "1970-01-01T01:00:00.000Z\n");
        assert!(text(|c| c.hour(Hour(i32::MAX))).starts_with("9999-12-30"));
        assert!(text(|c| c.hour(Hour(i32::MIN))).starts_with("0001-01-01"));
    }
}
