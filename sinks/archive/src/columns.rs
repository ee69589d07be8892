//! Columns as Parquet has them.

use std::convert::Infallible;
use std::sync::Arc;

use hostread_schemas::{Day, EventId, EventTimeMs};
use hostread_sink_kit::ColumnWriter;
use hostread_sink_kit::words::push_json_text;
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::Result;
use parquet::file::writer::SerializedColumnWriter;
use parquet::schema::types::Type;

/// The values of a column.
enum Values {
    Bools(Vec<bool>),
    Small(Vec<i32>),
    Large(Vec<i64>),
    Bytes(Vec<ByteArray>),
}

impl Values {
    const fn physical(&self) -> Physical {
        match self {
            Self::Bools(_) => Physical::BOOLEAN,
            Self::Small(_) => Physical::INT32,
            Self::Large(_) => Physical::INT64,
            Self::Bytes(_) => Physical::BYTE_ARRAY,
        }
    }
}

struct Column {
    name: String,
    logical: Option<LogicalType>,
    values: Values,
    /// A few texts for many rows: a dictionary is worth its work.
    repeats: bool,
}

/// Columns of some rows of one view; every value is there.
#[derive(Default)]
pub(crate) struct Columns(Vec<Column>);

impl Columns {
    fn add(&mut self, name: &str, logical: Option<LogicalType>, values: Values) {
        self.0.push(Column {
            name: name.to_owned(),
            repeats: logical == Some(LogicalType::String),
            logical,
            values,
        });
    }

    /// A column of yes and no.
    pub(crate) fn bools(&mut self, name: &str, values: impl Iterator<Item = bool>) {
        self.add(name, None, Values::Bools(values.collect()));
    }

    /// A column of bytes.
    pub(crate) fn bytes(&mut self, name: &str, values: Vec<Vec<u8>>) {
        let values = values.into_iter().map(ByteArray::from).collect();
        self.add(name, None, Values::Bytes(values));
    }

    /// Columns whose values come again and again.
    pub(crate) fn repetitive(&self) -> impl Iterator<Item = &str> {
        let texts = self.0.iter().filter(|column| column.repeats);
        texts.map(|column| column.name.as_str())
    }

    /// What a reader must know of the columns.
    pub(crate) fn schema(&self, name: &str) -> Result<Type> {
        let fields = self.0.iter().map(|column| {
            Type::primitive_type_builder(&column.name, column.values.physical())
                .with_logical_type(column.logical.clone())
                .with_repetition(Repetition::REQUIRED)
                .build()
                .map(Arc::new)
        });
        Type::group_type_builder(name)
            .with_fields(fields.collect::<Result<_>>()?)
            .build()
    }

    /// Writes the column at a place.
    pub(crate) fn write(&self, at: usize, to: &mut SerializedColumnWriter<'_>) -> Result<()> {
        fn all<T: DataType>(to: &mut SerializedColumnWriter<'_>, values: &[T::T]) -> Result<()> {
            to.typed::<T>().write_batch(values, None, None).map(drop)
        }
        match self.0.get(at).map(|column| &column.values) {
            Some(Values::Bools(values)) => all::<BoolType>(to, values),
            Some(Values::Small(values)) => all::<Int32Type>(to, values),
            Some(Values::Large(values)) => all::<Int64Type>(to, values),
            Some(Values::Bytes(values)) => all::<ByteArrayType>(to, values),
            None => Ok(()),
        }
    }
}

/// Nothing can go wrong: columns are kept until they are written.
type Taken = std::result::Result<(), Infallible>;

impl ColumnWriter for Columns {
    type Error = Infallible;

    fn days(&mut self, name: &str, values: impl Iterator<Item = Day>) -> Taken {
        let days = values.map(|day| day.0).collect();
        self.add(name, Some(LogicalType::Date), Values::Small(days));
        Ok(())
    }

    fn times(&mut self, name: &str, values: impl Iterator<Item = EventTimeMs>) -> Taken {
        let times = values.map(|time| time.0).collect();
        let millis = LogicalType::timestamp(true, TimeUnit::MILLIS);
        self.add(name, Some(millis), Values::Large(times));
        Ok(())
    }

    fn texts<T: AsRef<str>>(&mut self, name: &str, values: impl Iterator<Item = T>) -> Taken {
        let texts = values.map(|text| ByteArray::from(text.as_ref())).collect();
        self.add(name, Some(LogicalType::String), Values::Bytes(texts));
        Ok(())
    }

    /// As JSON.
    fn text_lists<T: AsRef<str>>(
        &mut self,
        name: &str,
        values: impl Iterator<Item = Vec<T>>,
    ) -> Taken {
        let json = |texts: Vec<T>| {
            let mut json = String::from("[");
            for (index, text) in texts.iter().enumerate() {
                if index > 0 {
                    json.push(',');
                }
                push_json_text(&mut json, text.as_ref());
            }
            json.push(']');
            json
        };
        self.texts(name, values.map(json))
    }

    /// As JSON.
    fn small_lists(&mut self, name: &str, values: impl Iterator<Item = Vec<u32>>) -> Taken {
        self.texts(name, values.map(|numbers| format!("{numbers:?}")))
    }

    fn signed(&mut self, name: &str, values: impl Iterator<Item = i64>) -> Taken {
        self.add(name, None, Values::Large(values.collect()));
        Ok(())
    }

    fn unsigned(&mut self, name: &str, values: impl Iterator<Item = u64>) -> Taken {
        let bits = values.map(u64::cast_signed).collect();
        self.add(name, Some(of_bits(64)), Values::Large(bits));
        Ok(())
    }

    fn small(&mut self, name: &str, values: impl Iterator<Item = u32>) -> Taken {
        let bits = values.map(u32::cast_signed).collect();
        self.add(name, Some(of_bits(32)), Values::Small(bits));
        Ok(())
    }

    /// In hexadecimal.
    fn ids(&mut self, name: &str, values: impl Iterator<Item = EventId>) -> Taken {
        let hex = values.map(|id| ByteArray::from(id.to_hex().into_bytes()));
        self.add(
            name,
            Some(LogicalType::String),
            Values::Bytes(hex.collect()),
        );
        if let Some(column) = self.0.last_mut() {
            column.repeats = false;
        }
        Ok(())
    }
}

fn of_bits(bits: i8) -> LogicalType {
    LogicalType::integer(bits, false)
}
