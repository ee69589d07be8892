//! Columns as a native block of ClickHouse. Pure.

use clickhouse::native::builder::BlockBuilder;
use clickhouse::native::encode::{Encode, ValueWriter};
use clickhouse::native::{Block, DataTypeNode};
use hostread_schemas::{Day, EventId, EventTimeMs};
use hostread_sink_kit::ColumnWriter;

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

/// Whatever is a text.
struct Text<T>(T);

impl<T: AsRef<str>> Encode for Text<T> {
    fn produces() -> DataTypeNode {
        str::produces()
    }
    fn encode(&self, writer: &mut ValueWriter<'_>) -> Result<(), Failure> {
        self.0.as_ref().encode(writer)
    }
}

/// A block under way.
#[derive(Default)]
pub(crate) struct Columns(BlockBuilder);

impl Columns {
    /// A column of any type.
    pub(crate) fn column<T: Encode>(
        &mut self,
        name: &str,
        values: impl Iterator<Item = T>,
    ) -> Encoded<()> {
        self.0.upsert_column::<T>(name)?.add_all(values)?;
        Ok(())
    }

    /// The block.
    pub(crate) fn build(mut self) -> Encoded<Block> {
        Ok(self.0.build()?)
    }
}

impl ColumnWriter for Columns {
    type Error = Failure;

    fn days(&mut self, name: &str, values: impl Iterator<Item = Day>) -> Encoded<()> {
        self.column(name, values.map(Date))
    }

    fn times(&mut self, name: &str, values: impl Iterator<Item = EventTimeMs>) -> Encoded<()> {
        self.column(name, values.map(Millis))
    }

    fn texts<T: AsRef<str>>(&mut self, name: &str, values: impl Iterator<Item = T>) -> Encoded<()> {
        self.column(name, values.map(Text))
    }

    fn text_lists<T: AsRef<str>>(
        &mut self,
        name: &str,
        values: impl Iterator<Item = Vec<T>>,
    ) -> Encoded<()> {
        self.column(
            name,
            values.map(|texts| texts.into_iter().map(Text).collect::<Vec<_>>()),
        )
    }

    fn small_lists(&mut self, name: &str, values: impl Iterator<Item = Vec<u32>>) -> Encoded<()> {
        self.column(name, values)
    }

    fn signed(&mut self, name: &str, values: impl Iterator<Item = i64>) -> Encoded<()> {
        self.column(name, values)
    }

    fn unsigned(&mut self, name: &str, values: impl Iterator<Item = u64>) -> Encoded<()> {
        self.column(name, values)
    }

    fn small(&mut self, name: &str, values: impl Iterator<Item = u32>) -> Encoded<()> {
        self.column(name, values)
    }

    fn ids(&mut self, name: &str, values: impl Iterator<Item = EventId>) -> Encoded<()> {
        let number = |id: EventId| (u128::from(id.hi) << 64) | u128::from(id.lo);
        self.column(name, values.map(number))
    }
}
