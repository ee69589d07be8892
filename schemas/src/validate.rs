//! What a door refuses of an event that reads well: times, amounts, names and lists out of bounds.
//! Needs: the door's clock.    Promises: pure; the first field that is out of bounds is named.
//! Leaves out: what a file importer mends instead of refusing (it cuts long agents before it comes here), regular expressions
//! that do not compile (`rules` says so), names that no catalog has (they may come later).

use crate::event::{Body, Episode, Event, IpFacts, LineItem, Meta, RuleSet, Settings};
use crate::intern::civil_day;
use crate::json::FieldError;
use crate::unit::{DAY_MS, EventTimeMs, MoneyMicros};

/// How far a source's clock may go ahead. A day: wrong time zones are common, and a later time could not be told from them.
pub const FUTURE_MS_MAX: i64 = DAY_MS;
/// How old an event may be. Longer: conversions of that age are released (400 days). Shorter: back-fills of a year would not fit.
pub const AGE_MS_MAX: i64 = 400 * DAY_MS;
/// Longest name. GUIDs are often whole URLs; every name is held in memory once.
pub const NAME_BYTES_MAX: usize = 512;
/// Longest path of an audio address, title or user agent. Longest agents seen in the wild have under 1 KiB.
pub const AGENT_BYTES_MAX: usize = 2_048;
/// Longest regular expression: longer ones compile to programs that slow every agent.
pub const REGEX_BYTES_MAX: usize = 1_024;
/// Most promo codes in an order; shops allow a handful.
pub const CODES_MAX: usize = 32;
/// Most audio addresses of an episode: hosts move, prefixes change; each is one entry of a join.
pub const ENCLOSURES_MAX: usize = 64;
/// Most bot patterns of a rule set: each is tried on every new agent. The public list has under 200.
pub const BOT_AGENTS_MAX: usize = 2_000;
/// Most patterns of other agents: each is tried on every new agent that is a bot but for them. The public lists have some 900.
pub const OTHER_AGENTS_MAX: usize = 4_000;
/// Most networks and addresses of a rule set: at 10 bytes each they must fit a log record of 4 MiB.
pub const NETS_MAX: usize = 300_000;
/// Most entries of an inclusion list, each with two dates.
pub const INCLUSION_MAX: usize = 10_000;
/// An inclusion is looked at again after so many days.
pub const INCLUSION_DAYS_MAX: i32 = 90;
/// Most denied referrers of a rule set.
pub const REFERRERS_MAX: usize = 10_000;
/// Largest byte position, size or goal: the integers that every JSON reader has exactly.
pub const COUNT_MAX: u64 = 1 << 53;
/// Largest amount, ten thousand million units: nine hundred of them still add up in 64 bits.
pub const MONEY_MICROS_MAX: i64 = 10_000_000_000_000_000;
/// Longest flight: ten years. Days are walked when a line's plan is drawn up.
pub const FLIGHT_DAYS_MAX: i32 = 3_660;
/// Longest lookback and half-life: 90 days.
pub const HOURS_MAX: u32 = 90 * 24;

/// 1900-01-01: radio archives go back that far.
const INSTANT_MS_MIN: i64 = -2_208_988_800_000;

type Checked = Result<(), FieldError>;

/// Refuses what no door takes, naming the field.
pub fn validate(event: &Event, now: EventTimeMs) -> Result<(), FieldError> {
    meta(&event.meta, now)?;
    match &event.body {
        Body::Request(e) => {
            path("enclosure", &e.enclosure)?;
            if e.status > 999 {
                return refuse("status", "an HTTP status has three digits");
            }
            for (field, bytes) in [
                ("range_first", e.range_first),
                ("range_last", e.range_last),
                ("sent_first", Some(e.sent_first)),
                ("sent_bytes", Some(e.sent_bytes)),
                ("total_bytes", e.total_bytes),
            ] {
                count(field, bytes.unwrap_or_default())?;
            }
            listener_address(&e.ip)?;
            agent(&e.agent)?;
            optional("session", e.session.as_deref())?;
            optional("referrer", e.referrer.as_deref())
        }
        Body::Impression(e) => {
            name("line", &e.line)?;
            optional("show", Some(&e.show))?;
            optional("episode", Some(&e.episode))?;
            listener_address(&e.ip)?;
            agent(&e.agent)?;
            optional("session", e.session.as_deref())
        }
        Body::Pixel(e) => {
            name("store", &e.store)?;
            optional("order", e.order.as_deref())?;
            money("value", e.value.unwrap_or_default())?;
            optional("code", e.code.as_deref())?;
            address(e.ip.as_ref())?;
            agent(&e.agent)
        }
        Body::Order(e) => {
            name("store", &e.store)?;
            optional("order_id", e.order_id.as_deref())?;
            optional("order_name", e.order_name.as_deref())?;
            instant("placed_at", e.placed_at, now)?;
            money("value", e.value)?;
            list("codes", &e.codes, CODES_MAX, NAME_BYTES_MAX)?;
            address(e.ip.as_ref())
        }
        Body::Redemption(e) => {
            name("store", &e.store)?;
            name("code", &e.code)?;
            optional("order", e.order.as_deref())?;
            money("value", e.value.unwrap_or_default())?;
            address(e.ip.as_ref())
        }
        Body::Show(e) => {
            name("show", &e.show)?;
            title(&e.title)
        }
        Body::Episode(e) => episode(e, now),
        Body::Slot(e) => {
            names(&[
                ("slot", &e.slot),
                ("show", &e.show),
                ("episode", &e.episode),
                ("line", &e.line),
            ])?;
            count("first_byte", e.first_byte)?;
            count("last_byte", e.last_byte)?;
            if e.last_byte < e.first_byte {
                return refuse("last_byte", "lies before first_byte");
            }
            Ok(())
        }
        Body::Store(e) => names(&[("store", &e.store), ("brand", &e.brand)]),
        Body::Campaign(e) => {
            names(&[("campaign", &e.campaign), ("brand", &e.brand)])?;
            title(&e.title)
        }
        Body::LineItem(e) => line_item(e),
        Body::Code(e) => names(&[("store", &e.store), ("code", &e.code), ("line", &e.line)]),
        Body::Aired(e) => {
            names(&[("line", &e.line), ("episode", &e.episode)])?;
            instant("aired_at", Some(e.aired_at), now)?;
            count("episode_goal", e.episode_goal)
        }
        Body::RuleSet(e) => rule_set(e),
        Body::Settings(e) => settings(e),
    }
}

fn refuse(field: &str, message: impl Into<String>) -> Checked {
    Err(FieldError::new(field, message))
}

fn meta(meta: &Meta, now: EventTimeMs) -> Checked {
    name("tenant", &meta.tenant)?;
    name("source", &meta.source)?;
    text("batch_id", &meta.batch_id, NAME_BYTES_MAX)?;
    if meta.time.0 > now.0.saturating_add(FUTURE_MS_MAX) {
        return refuse("time", "lies more than 24 hours in the future");
    }
    if meta.time.0 < now.0.saturating_sub(AGE_MS_MAX) {
        return refuse("time", "is older than 400 days");
    }
    Ok(())
}

fn episode(e: &Episode, now: EventTimeMs) -> Checked {
    names(&[("show", &e.show), ("episode", &e.episode)])?;
    title(&e.title)?;
    list("enclosures", &e.enclosures, ENCLOSURES_MAX, AGENT_BYTES_MAX)?;
    instant("published_at", e.published_at, now)?;
    count("size_bytes", e.size_bytes)?;
    count("header_bytes", e.header_bytes)?;
    if e.size_bytes != 0 && e.header_bytes > e.size_bytes {
        return refuse("header_bytes", "is larger than size_bytes");
    }
    Ok(())
}

fn line_item(e: &LineItem) -> Checked {
    names(&[("line", &e.line), ("campaign", &e.campaign)])?;
    count("goal", e.goal)?;
    money("price", e.price)?;
    let mut days = [0; 2];
    for ((field, date), day) in [("start", &e.start), ("end", &e.end)]
        .into_iter()
        .zip(&mut days)
    {
        *day = date_of(field, date)?;
    }
    let [start, end] = days;
    if end < start {
        return refuse("end", "lies before start");
    }
    if end - start > FLIGHT_DAYS_MAX {
        return refuse(
            "end",
            format!("a flight has at most {FLIGHT_DAYS_MAX} days"),
        );
    }
    if !e.zone.is_empty() && jiff::tz::TimeZone::get(&e.zone).is_err() {
        return refuse(
            "zone",
            "must be a zone of the IANA database such as Europe/Berlin",
        );
    }
    Ok(())
}

/// Days since 1970.
fn date_of(field: &str, date: &str) -> Result<i32, FieldError> {
    let separated = date.len() == 10 && date.bytes().filter(|b| *b == b'-').count() == 2;
    let day = civil_day(date).filter(|_| separated).map(|day| day.0);
    day.ok_or_else(|| FieldError::new(field, "must be a day such as 2026-11-09"))
}

fn rule_set(e: &RuleSet) -> Checked {
    name("rule_set", &e.rule_set)?;
    if !(1..=3_600).contains(&e.threshold_secs) {
        return refuse("threshold_secs", "must be from 1 to 3600");
    }
    list("bot_agents", &e.bot_agents, BOT_AGENTS_MAX, REGEX_BYTES_MAX)?;
    if e.nonhuman_nets.len() > NETS_MAX {
        return refuse("nonhuman_nets", format!("has more than {NETS_MAX} entries"));
    }
    list(
        "referrers_denied",
        &e.referrers_denied,
        REFERRERS_MAX,
        NAME_BYTES_MAX,
    )?;
    other_agents(e)?;
    inclusion(e)
}

fn other_agents(e: &RuleSet) -> Checked {
    if e.other_agents.len() > OTHER_AGENTS_MAX {
        let message = format!("has more than {OTHER_AGENTS_MAX} entries");
        return refuse("other_agents", message);
    }
    for (index, other) in e.other_agents.iter().enumerate() {
        let at = |field: &str| format!("other_agents[{index}].{field}");
        if other.pattern.is_empty() {
            return refuse(&at("pattern"), "is empty");
        }
        text(&at("pattern"), &other.pattern, REGEX_BYTES_MAX)?;
        if other.bots_before as usize >= e.bot_agents.len() {
            return refuse(
                &at("bots_before"),
                "must leave one of bot_agents to be tried later",
            );
        }
    }
    Ok(())
}

fn inclusion(e: &RuleSet) -> Checked {
    if e.included.len() > INCLUSION_MAX {
        return refuse("included", format!("has more than {INCLUSION_MAX} entries"));
    }
    let included = e.included.iter();
    let hashes = included.map(|entry| entry.nets.len() + entry.addresses.len());
    if e.nonhuman_nets.len() + hashes.sum::<usize>() > NETS_MAX {
        let message = format!("has with nonhuman_nets more than {NETS_MAX} networks and addresses");
        return refuse("included", message);
    }
    for (index, entry) in e.included.iter().enumerate() {
        let day = |field, text: &str| date_of(&format!("included[{index}].{field}"), text);
        let (from, expires) = (day("from", &entry.from)?, day("expires", &entry.expires)?);
        if !(1..=INCLUSION_DAYS_MAX).contains(&(expires - from)) {
            let message = format!("must be 1 to {INCLUSION_DAYS_MAX} days after from");
            return refuse(&format!("included[{index}].expires"), message);
        }
    }
    Ok(())
}

fn settings(e: &Settings) -> Checked {
    for (field, hours) in [
        ("lookback_hours", e.lookback_hours),
        ("half_life_hours", e.half_life_hours),
    ] {
        if !(1..=HOURS_MAX).contains(&hours) {
            return refuse(field, format!("must be from 1 to {HOURS_MAX}"));
        }
    }
    for (field, agents) in [
        ("shared_agents_day_max", e.shared_agents_day_max),
        ("shared_agents_month_max", e.shared_agents_month_max),
    ] {
        if agents == 0 {
            return refuse(field, "must be at least 1");
        }
    }
    Ok(())
}

fn text(field: &str, text: &str, bytes_max: usize) -> Checked {
    if text.len() > bytes_max {
        return refuse(field, format!("has more than {bytes_max} bytes"));
    }
    if text.chars().any(char::is_control) {
        return refuse(field, "has a control character");
    }
    Ok(())
}

fn name(field: &str, value: &str) -> Checked {
    if value.trim().is_empty() {
        return refuse(field, "is needed");
    }
    text(field, value, NAME_BYTES_MAX)
}

fn names(fields: &[(&str, &String)]) -> Checked {
    fields
        .iter()
        .try_for_each(|(field, value)| name(field, value))
}

fn optional(field: &str, value: Option<&str>) -> Checked {
    text(field, value.unwrap_or_default(), NAME_BYTES_MAX)
}

fn path(field: &str, value: &str) -> Checked {
    if value.is_empty() {
        return refuse(field, "is needed");
    }
    text(field, value, AGENT_BYTES_MAX)
}

fn agent(value: &str) -> Checked {
    text("agent", value, AGENT_BYTES_MAX)
}

fn title(value: &str) -> Checked {
    text("title", value, AGENT_BYTES_MAX)
}

fn list(field: &str, values: &[String], items_max: usize, bytes_max: usize) -> Checked {
    if values.len() > items_max {
        return refuse(field, format!("has more than {items_max} entries"));
    }
    for (index, value) in values.iter().enumerate() {
        let at = format!("{field}[{index}]");
        if value.is_empty() {
            return refuse(&at, "is empty");
        }
        text(&at, value, bytes_max)?;
    }
    Ok(())
}

fn count(field: &str, value: u64) -> Checked {
    if value > COUNT_MAX {
        return refuse(field, format!("is larger than {COUNT_MAX}"));
    }
    Ok(())
}

fn money(field: &str, value: MoneyMicros) -> Checked {
    if value.0 < 0 {
        return refuse(field, "is negative");
    }
    if value.0 > MONEY_MICROS_MAX {
        return refuse(
            field,
            format!("is larger than {MONEY_MICROS_MAX} millionths"),
        );
    }
    Ok(())
}

fn instant(field: &str, time: Option<EventTimeMs>, now: EventTimeMs) -> Checked {
    match time {
        Some(time) if time.0 < INSTANT_MS_MIN => refuse(field, "lies before the year 1900"),
        Some(time) if time.0 > now.0.saturating_add(AGE_MS_MAX) => {
            refuse(field, "lies more than 400 days in the future")
        }
        _ => Ok(()),
    }
}

/// Without an address everybody with the same agent would be one listener.
fn listener_address(ip: &IpFacts) -> Checked {
    if ip.star.0 == 0 {
        return refuse("ip", "is needed");
    }
    address(Some(ip))
}

fn address(ip: Option<&IpFacts>) -> Checked {
    let dated = ip.map_or("", |ip| &ip.dated);
    if !dated.is_empty() && dated.parse::<jiff::civil::Date>().is_err() {
        return refuse("ip.dated", "must be a date such as 2026-11-01");
    }
    let country = ip.map_or("", |ip| &ip.country);
    let two_letters = country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase());
    if country.is_empty() || two_letters {
        Ok(())
    } else {
        refuse("ip.country", "must be two upper-case letters (ISO 3166)")
    }
}
