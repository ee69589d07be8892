//! Named answers of a query string or of a flat JSON object, as the public doors take them.
//! Promises: a field given twice, a NUL, bytes that are not UTF-8 and fields over their limit are rejections that name the field.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hostread_connectors_kit::text::{cut, percent_decode};
use hostread_connectors_kit::{Origin, Raw, Rejected};
use hostread_schemas::event::IpFacts;
use hostread_schemas::json::AGENT_BYTES_MAX;
use hostread_schemas::unit::{Currency, EventTimeMs, MoneyMicros};
use serde::de::{Deserializer, MapAccess, Visitor};

/// More fields than any door knows.
const FIELDS_MAX: usize = 64;

/// Fields by name. What the door itself knows is in the raw input's fields: `peer` (address), `user-agent`.
#[derive(Debug, Default)]
pub(crate) struct Answers(BTreeMap<String, String>);

impl Answers {
    /// From a query string, or from a JSON object when it starts with a brace.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Rejected> {
        match body.trim_ascii_start().first() {
            Some(b'{') => Self::from_json(body),
            _ => Self::from_query(body),
        }
    }

    /// From a JSON object, or a list of them: one result each, in order.
    pub(crate) fn read_list(
        body: &[u8],
        items_max: usize,
    ) -> Result<Vec<Result<Self, Rejected>>, Rejected> {
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let items = deserializer
            .deserialize_any(List(items_max))
            .and_then(|items| deserializer.end().map(|()| items))
            .map_err(|error| Rejected::whole("json", error.to_string()))?;
        Ok(items.into_iter().map(Self::collect).collect())
    }

    fn from_query(query: &[u8]) -> Result<Self, Rejected> {
        let mut answers = Self::default();
        for pair in query
            .split(|byte| *byte == b'&')
            .filter(|pair| !pair.is_empty())
        {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = form_text(halves.next().unwrap_or_default(), "")?;
            let value = form_text(halves.next().unwrap_or_default(), &name)?;
            answers.add(name, value)?;
        }
        Ok(answers)
    }

    fn from_json(body: &[u8]) -> Result<Self, Rejected> {
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let answers = deserializer
            .deserialize_map(Flat)
            .and_then(|answers| deserializer.end().map(|()| answers))
            .map_err(|error| Rejected::whole("json", error.to_string()))?;
        Self::collect(answers)
    }

    fn collect(fields: FlatFields) -> Result<Self, Rejected> {
        fields
            .into_iter()
            .try_fold(Self::default(), |mut into, (name, value)| {
                let value =
                    value.map_err(|message| Rejected::field("json", shown(&name), message))?;
                into.add(name, value)?;
                Ok(into)
            })
    }

    fn add(&mut self, name: String, value: String) -> Result<(), Rejected> {
        if name.contains('\0') || value.contains('\0') {
            return Err(Rejected::field("nul", shown(&name), "has a NUL character"));
        }
        if self.0.contains_key(&name) {
            return Err(Rejected::field("duplicate", shown(&name), "is given twice"));
        }
        if self.0.len() >= FIELDS_MAX {
            return Err(Rejected::whole("fields", "has too many fields"));
        }
        self.0.insert(name, value);
        Ok(())
    }

    /// Rejects fields that the door does not know: a misspelt name would be lost in silence.
    pub(crate) fn known(&self, names: &[&str]) -> Result<(), Rejected> {
        match self.0.keys().find(|name| !names.contains(&name.as_str())) {
            Some(name) => Err(Rejected::field(
                "fields",
                shown(name),
                "is not a field of this door",
            )),
            None => Ok(()),
        }
    }

    /// A field's text; an empty one is none.
    #[must_use]
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// As `text`, owned.
    #[must_use]
    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// A field that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<String, Rejected> {
        self.owned(name)
            .ok_or_else(|| Rejected::field("missing", name, "is needed"))
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(
        &self,
        name: &str,
        words: &[(&str, T)],
        default: T,
    ) -> Result<T, Rejected> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            Rejected::field("word", name, format!("must be one of {}", all.join(", ")))
        })
    }

    /// `value` and `currency`: a decimal such as `34.40` and three letters; a value needs a currency.
    pub(crate) fn money(&self) -> Result<(Option<MoneyMicros>, Option<Currency>), Rejected> {
        let currency = match self.text("currency") {
            None => None,
            Some(text) => Some(Currency::parse(text).ok_or_else(|| {
                Rejected::field("word", "currency", "must have three letters (ISO 4217)")
            })?),
        };
        let Some(text) = self.text("value") else {
            return Ok((None, currency));
        };
        let value = MoneyMicros::from_decimal(text)
            .ok_or_else(|| Rejected::field("number", "value", "must be a decimal such as 34.40"))?;
        if value.0 < 0 {
            return Err(Rejected::field("negative", "value", "is negative"));
        }
        if currency.is_none() {
            return Err(Rejected::field(
                "missing",
                "currency",
                "is needed with a value",
            ));
        }
        Ok((Some(value), currency))
    }

    /// `time`: RFC 3339 or milliseconds; without it, when the door got it.
    pub(crate) fn time(&self, origin: &Origin<'_>) -> Result<EventTimeMs, Rejected> {
        let Some(text) = self.text("time") else {
            return Ok(EventTimeMs(origin.received_at.0));
        };
        text.parse()
            .ok()
            .map(EventTimeMs)
            .or_else(|| EventTimeMs::from_rfc3339(text))
            .ok_or_else(|| {
                Rejected::field(
                    "date",
                    "time",
                    "must be a time such as 2026-11-09T10:00:00Z",
                )
            })
    }

    /// The address that is stated, else the peer's; none without consent.
    pub(crate) fn address(
        &self,
        origin: &Origin<'_>,
        raw: &Raw<'_>,
    ) -> Result<Option<IpFacts>, Rejected> {
        if !self.word(
            "consent",
            &[("1", true), ("true", true), ("0", false), ("false", false)],
            true,
        )? {
            return Ok(None);
        }
        let facts = |text: &str| {
            origin
                .pseudonyms
                .address_text(text)
                .ok_or_else(|| Rejected::field("ip", "ip", "is not an address"))
        };
        self.text("ip")
            .or_else(|| raw.field("peer"))
            .map(facts)
            .transpose()
    }

    /// The agent that is stated, else the caller's.
    #[must_use]
    pub(crate) fn agent(&self, raw: &Raw<'_>) -> String {
        let agent = self.text("agent").or_else(|| raw.field("user-agent"));
        clean_agent(agent.unwrap_or_default()).into_owned()
    }

    /// The sender's own id of what happened. Without one it is all that is known of it, time of receipt included: two page views are two.
    pub(crate) fn own_id(&self, time: EventTimeMs, ip: Option<&IpFacts>, agent: &str) -> Vec<u8> {
        if let Some(id) = self.text("id") {
            return id.as_bytes().to_vec();
        }
        let star = ip.map_or(0, |ip| ip.star.0);
        let mut all = format!("{}\0{star:016x}\0{agent}", time.0);
        for (name, value) in self.0.iter().filter(|(name, _)| *name != "ip") {
            all.push('\0');
            all.push_str(name);
            all.push('=');
            all.push_str(value);
        }
        all.into_bytes()
    }
}

/// A user agent that any later step takes: no control characters, of bounded length.
pub(crate) fn clean_agent(agent: &str) -> Cow<'_, str> {
    let agent = cut(agent, AGENT_BYTES_MAX);
    // Every control character is one of these bytes or begins with one. Asked of all bytes, they are asked many at a time.
    let suspect = |byte: u8| byte.is_ascii_control() || byte == 0xC2;
    let suspects = agent.bytes().fold(false, |any, byte| any | suspect(byte));
    if suspects && agent.contains(char::is_control) {
        let plain = agent.replace(char::is_control, " ");
        Cow::Owned(plain.trim().to_owned())
    } else {
        Cow::Borrowed(agent)
    }
}

fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

fn form_text(encoded: &[u8], name: &str) -> Result<String, Rejected> {
    let spaced: Vec<u8> = encoded
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    String::from_utf8(percent_decode(&spaced).into_owned())
        .map_err(|_| Rejected::field("utf8", shown(name), "is not UTF-8"))
}

/// A flat JSON object in its own order; a value that is no scalar is the field's error.
struct Flat;
type FlatFields = Vec<(String, Result<String, &'static str>)>;

impl<'de> Visitor<'de> for Flat {
    type Value = FlatFields;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<FlatFields, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = access.next_key::<String>()? {
            let value = access.next_value::<Scalar>()?;
            if fields.len() <= FIELDS_MAX && value != Scalar::Null {
                fields.push((name, value.text()));
            }
        }
        Ok(fields)
    }
}

impl<'de> serde::Deserialize<'de> for FlatObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Flat).map(Self)
    }
}

struct FlatObject(FlatFields);

/// One object or an array of at most this many.
struct List(usize);

impl<'de> Visitor<'de> for List {
    type Value = Vec<FlatFields>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object or an array of them")
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Self::Value, A::Error> {
        Ok(vec![Flat.visit_map(access)?])
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(
        self,
        mut access: A,
    ) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(FlatObject(item)) = access.next_element()? {
            if items.len() >= self.0 {
                let message = format!("the array has more than {} entries", self.0);
                return Err(serde::de::Error::custom(message));
            }
            items.push(item);
        }
        Ok(items)
    }
}

#[derive(PartialEq, Eq)]
enum Scalar {
    Null,
    Text(String),
    Nested,
}

impl Scalar {
    fn text(self) -> Result<String, &'static str> {
        match self {
            Self::Null => Ok(String::new()),
            Self::Text(text) => Ok(text),
            Self::Nested => Err("must be text, a number or true/false"),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_string()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_string()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_string()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        // The shortest decimal that reads as this number: what the sender wrote, for any amount of money.
        Ok(Scalar::Text(value.to_string()))
    }
    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(value))
    }
    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut access: A) -> Result<Scalar, A::Error> {
        while access.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nested)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Scalar, A::Error> {
        while access
            .next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?
            .is_some()
        {}
        Ok(Scalar::Nested)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;

    fn reason(body: &[u8]) -> (&'static str, String) {
        let rejected = Answers::read(body).unwrap_err();
        (rejected.reason, rejected.field)
    }

    #[test]
    fn query_and_json_say_the_same() {
        let query = Answers::read(b"store=a+b&value=34.40&code=%C3%9C&empty=").unwrap();
        let json = Answers::read(
            " {\"store\":\"a b\",\"value\":34.40,\"code\":\"Ü\",\"empty\":null}".as_bytes(),
        )
        .unwrap();
        for answers in [&query, &json] {
            assert_eq!(answers.text("store"), Some("a b"));
            assert_eq!(answers.text("code"), Some("Ü"));
            assert_eq!(answers.text("empty"), None);
            assert_eq!(
                MoneyMicros::from_decimal(answers.text("value").unwrap()),
                Some(MoneyMicros(34_400_000))
            );
        }
        assert!(query.known(&["store", "value", "code", "empty"]).is_ok());
        assert_eq!(query.known(&["store"]).unwrap_err().reason, "fields");
    }

    #[test]
    fn what_is_refused_names_the_field() {
        assert_eq!(reason(b"a=1&a=2"), ("duplicate", "a".to_owned()));
        assert_eq!(reason(b"a=%00"), ("nul", "a".to_owned()));
        assert_eq!(reason(b"a=%FF"), ("utf8", "a".to_owned()));
        assert_eq!(reason(br#"{"a":1,"a":2}"#), ("duplicate", "a".to_owned()));
        assert_eq!(reason(br#"{"a":"\u0000"}"#), ("nul", "a".to_owned()));
        assert_eq!(reason(br#"{"a":[[[]]]}"#), ("json", "a".to_owned()));
        assert_eq!(reason(br#"{"a":1"#).0, "json");
        assert_eq!(reason(b"{\"a\":\"\xFF\"}").0, "json");
        let deep = [
            br#"{"a":"#.to_vec(),
            b"[".repeat(100_000),
            b"]".repeat(100_000),
            b"}".to_vec(),
        ]
        .concat();
        assert_eq!(reason(&deep), ("json", "a".to_owned()));
        let many = (0..70)
            .map(|n| format!("f{n}=1"))
            .collect::<Vec<_>>()
            .join("&");
        assert_eq!(reason(many.as_bytes()).0, "fields");
    }
}
