//! Rows of one view as a native block of ClickHouse, a column at a time. Pure.
//! Invariant: a deleted row has its key, its version, and defaults for the rest.

use clickhouse::native::builder::BlockBuilder;
use clickhouse::native::encode::{Encode, ValueWriter};
use clickhouse::native::{Block, DataTypeNode};
use hostread_schemas::{Day, EventTimeMs, Hour, NameKind, Names};
use hostread_sink_kit::NameCache;

type Failure = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Encoded<T> = Result<T, Failure>;

/// `Date32`, held to the years that it can say.
#[derive(Clone, Copy, Default)]
pub(crate) struct Date(pub(crate) Day);

impl Encode for Date {
    fn produces() -> DataTypeNode {
        DataTypeNode::Date32
    }
    fn encode(&self, writer: &mut ValueWriter<'_>) -> Result<(), Failure> {
        const FIRST: i32 = -25_567; // 1900-01-01
        const LAST: i32 = 120_529; // 2299-12-31
        Ok(writer.write_fixed(&self.0.0.clamp(FIRST, LAST).to_le_bytes())?)
    }
}

/// `DateTime64(3, 'UTC')`, held to the years that it can say.
#[derive(Clone, Copy, Default)]
pub(crate) struct Millis(pub(crate) EventTimeMs);

impl From<Hour> for Millis {
    fn from(hour: Hour) -> Self {
        Self(hour.start())
    }
}

impl Encode for Millis {
    fn produces() -> DataTypeNode {
        DataTypeNode::new("DateTime64(3, 'UTC')").expect("the type is well-formed")
    }
    fn encode(&self, writer: &mut ValueWriter<'_>) -> Result<(), Failure> {
        const FIRST: i64 = -2_208_988_800_000; // 1900-01-01
        const LAST: i64 = 10_413_791_999_999; // 2299-12-31
        Ok(writer.write_fixed(&self.0.0.clamp(FIRST, LAST).to_le_bytes())?)
    }
}

/// A row of the view at hand.
pub(crate) struct Row<'a, K, V> {
    pub(crate) key: &'a K,
    pub(crate) value: Option<&'a V>,
    pub(crate) version: u64,
}

/// Columns of one view under way to a block.
pub(crate) struct Table<'a, K, V> {
    rows: Vec<Row<'a, K, V>>,
    names: &'a Names,
    block: BlockBuilder,
}

impl<'a, K, V> Table<'a, K, V> {
    pub(crate) fn new(rows: Vec<Row<'a, K, V>>, names: &'a Names) -> Self {
        Self {
            rows,
            names,
            block: BlockBuilder::new(),
        }
    }

    fn column<T: Encode>(
        block: &mut BlockBuilder,
        name: &str,
        values: impl Iterator<Item = T>,
    ) -> Encoded<()> {
        block.upsert_column::<T>(name)?.add_all(values)?;
        Ok(())
    }

    /// A column of the key.
    pub(crate) fn key<T: Encode>(&mut self, name: &str, of: impl Fn(&'a K) -> T) -> Encoded<()> {
        Self::column(
            &mut self.block,
            name,
            self.rows.iter().map(|row| of(row.key)),
        )
    }

    /// A column of the value.
    pub(crate) fn value<T: Encode + Default>(
        &mut self,
        name: &str,
        of: impl Fn(&'a V) -> T,
    ) -> Encoded<()> {
        let values = self
            .rows
            .iter()
            .map(|row| row.value.map(&of).unwrap_or_default());
        Self::column(&mut self.block, name, values)
    }

    /// A column with the name behind an id of the key.
    pub(crate) fn key_name(
        &mut self,
        name: &str,
        kind: NameKind,
        of: impl Fn(&'a K) -> u64,
    ) -> Encoded<()> {
        self.named(name, kind, |row| of(row.key))
    }

    /// A column with the name behind an id of the value.
    pub(crate) fn value_name(
        &mut self,
        name: &str,
        kind: NameKind,
        of: impl Fn(&'a V) -> u64,
    ) -> Encoded<()> {
        self.named(name, kind, |row| row.value.map_or(0, &of))
    }

    fn named(
        &mut self,
        name: &str,
        kind: NameKind,
        id: impl Fn(&Row<'a, K, V>) -> u64,
    ) -> Encoded<()> {
        let mut names = NameCache::new(self.names);
        for row in &self.rows {
            names.need(kind, id(row));
        }
        let values = self.rows.iter().map(|row| names.get(kind, id(row)));
        Self::column(&mut self.block, name, values)
    }

    /// Adds version and deletion mark.
    pub(crate) fn finish(mut self) -> Encoded<Block> {
        let rows = &self.rows;
        Self::column(
            &mut self.block,
            "version",
            rows.iter().map(|row| row.version),
        )?;
        let deleted = rows.iter().map(|row| u8::from(row.value.is_none()));
        Self::column(&mut self.block, "is_deleted", deleted)?;
        Ok(self.block.build()?)
    }
}
