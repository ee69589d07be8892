//! The named fields of one JSON object; everything else is passed over.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Values;
use super::mapping::Named;

/// Reads the fields of a line, in the order of `named`.
pub(super) fn read<'a>(named: &[Named], line: &'a str) -> Result<Values<'a>, String> {
    let mut values = vec![None; named.len()];
    let all: Vec<(usize, &str)> = named
        .iter()
        .enumerate()
        .map(|(at, named)| (at, named.name.as_str()))
        .collect();
    let mut reader = serde_json::Deserializer::from_str(line);
    let object = Object {
        wanted: all,
        values: &mut values,
    };
    // Its own words could hold what the line says of a listener.
    object
        .deserialize(&mut reader)
        .and_then(|()| reader.end())
        .map_err(|error| {
            format!(
                "is not a JSON object of single values (column {})",
                error.column()
            )
        })?;
    Ok(values)
}

/// An object of which some keys are wanted; a wanted `a.b` is the key `a.b`, or `b` of the object `a`.
struct Object<'v, 'n, 'a> {
    wanted: Vec<(usize, &'n str)>,
    values: &'v mut Values<'a>,
}

impl<'a> DeserializeSeed<'a> for Object<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Object<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'a, str>>()? {
            if let Some((at, _)) = self.wanted.iter().find(|(_, name)| *name == key) {
                let value = map.next_value_seed(Single)?;
                if let Some(slot) = self.values.get_mut(*at) {
                    *slot = value;
                }
                continue;
            }
            let wanted: Vec<(usize, &str)> = self
                .wanted
                .iter()
                .filter_map(|(at, name)| Some((*at, inside(name, &key)?)))
                .collect();
            if wanted.is_empty() {
                map.next_value::<IgnoredAny>()?;
            } else {
                let values = &mut *self.values;
                map.next_value_seed(Maybe(Object { wanted, values }))?;
            }
        }
        Ok(())
    }
}

/// What is looked for inside the object of this key.
fn inside<'n>(name: &'n str, key: &str) -> Option<&'n str> {
    name.strip_prefix(key)?.strip_prefix('.')
}

/// An object, or a value that holds nothing that is wanted.
struct Maybe<'v, 'n, 'a>(Object<'v, 'n, 'a>);

impl<'a> DeserializeSeed<'a> for Maybe<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! holds_nothing {
    ($($visit:ident($kind:ty)),*) => {$(
        fn $visit<E>(self, _: $kind) -> Result<(), E> {
            Ok(())
        }
    )*};
}

impl<'a> Visitor<'a> for Maybe<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<(), A::Error> {
        self.0.visit_map(map)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    holds_nothing!(
        visit_bool(bool),
        visit_i64(i64),
        visit_u64(u64),
        visit_f64(f64),
        visit_str(&str)
    );
}

/// A text, a number or a truth, as text; null is nothing.
struct Single;

impl<'a> DeserializeSeed<'a> for Single {
    type Value = Option<Cow<'a, str>>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Single {
    type Value = Option<Cow<'a, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value")
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(if truth { "true" } else { "false" })))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}
