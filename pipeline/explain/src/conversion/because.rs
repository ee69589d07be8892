//! From a merged and credited conversion to what is said of it.

use hostread_rules::attribution::code_touch;
use hostread_rules::conversion::{Conversion as Made, strength};
use hostread_schemas::event::{ByModel, Model};
use hostread_schemas::fact::{PathTouch, SignalKind};
use hostread_schemas::{ConversionId, Day, NameKind, TenantId};
use hostread_sink_kit::words;
use serde_json::{Map, Value, json};

use super::said::{Conversion, Credits, LeftOut, PathStep, Sharing, SignalSaid};
use crate::asked::DownloadId;
use crate::dims::Dims;
use crate::known::Known;
use crate::path::{Credited, Life, NotOnPath, Parts, Seen};
use crate::said::{Because, Found, KnownFrom};
use crate::signals::{Merged, Signal};

/// Deliveries beside the path that are listed; more are counted.
const LEFT_OUT_LISTED_MAX: usize = 100;

pub(super) fn no_conversion(
    known: &Known<'_>,
    dims: &Dims,
    tenant: TenantId,
    one: &Merged,
) -> Found {
    let facts = || one.signals.iter().map(|signal| &signal.fact);
    let because = if facts().any(|signal| signal.test) {
        "one of its signals is a test order"
    } else if facts().any(|signal| signal.kind == SignalKind::Cancel) {
        "it was cancelled"
    } else if facts().all(|signal| strength(signal.kind).is_none()) {
        "there are refunds and nothing that they refund"
    } else {
        "all of its value was given back"
    };
    let store = one.signals.first().map(|signal| signal.fact.store);
    let store = store.unwrap_or_default();
    let said = Conversion {
        order_reference: reference(known, one.id),
        store: known.name(NameKind::Store, store.0),
        store_event: dims.stores.said(&store).map(|said| said.event),
        brand: known.name(NameKind::Brand, dims.brand_of_store(store).0),
        time: String::new(),
        signals: signals(known, one),
        none_because: Some(because),
        stated_micros: 0,
        refunded_micros: 0,
        value_micros: 0,
        currency: String::new(),
        matched_by: "none",
        match_because: because.to_owned(),
        household: String::new(),
        sharing: None,
        settings_event: None,
        lookback_secs: 0,
        half_life_secs: 0,
        frozen: false,
        path: Vec::new(),
        touches_cut: 0,
        left_out: Vec::new(),
        left_out_more: 0,
        other_brands: 0,
        credits: Vec::new(),
    };
    Found {
        tenant,
        id: one.id.to_string(),
        known_from: KnownFrom::Events,
        rows: Vec::new(),
        numbers: vec![("conversions".to_owned(), json!(0))],
        because: Because::Conversion(Box::new(said)),
        moves: Vec::new(),
    }
}

pub(super) fn because(
    known: &Known<'_>,
    dims: &Dims,
    one: &Merged,
    made: &Made,
    life: Option<&Life>,
    credited: &Credited,
) -> Conversion {
    let row = &credited.row.1;
    let empty = Life::default();
    let sharing = made
        .household
        .is_some()
        .then(|| sharing(dims, life.unwrap_or(&empty), made.time.day()));
    let mut left_out: Vec<&(Seen, NotOnPath)> = credited.not_on_path.iter().collect();
    left_out.sort_by_key(|(seen, _)| seen.secs.abs_diff(made.time.secs()));
    let more = left_out.len().saturating_sub(LEFT_OUT_LISTED_MAX);
    left_out.truncate(LEFT_OUT_LISTED_MAX);
    Conversion {
        order_reference: reference(known, one.id),
        store: known.name(NameKind::Store, made.store.0),
        store_event: dims.stores.said(&made.store).map(|said| said.event),
        brand: known.name(NameKind::Brand, row.brand.0),
        time: made.time.to_string(),
        signals: signals(known, one),
        none_because: None,
        stated_micros: made.value.0.saturating_add(made.refunded.0),
        refunded_micros: made.refunded.0,
        value_micros: made.value.0,
        currency: made.currency.as_str().to_owned(),
        matched_by: words::matched_by(row.matched_by),
        match_because: match_because(known, one, made, sharing.as_ref(), credited),
        household: if made.household.is_some() {
            made.household.to_string()
        } else {
            String::new()
        },
        sharing,
        settings_event: dims.settings.said(&()).map(|said| said.event),
        lookback_secs: credited.lookback_secs,
        half_life_secs: credited.half_life_secs,
        frozen: credited.frozen,
        path: path(known, made, life, credited),
        touches_cut: row.touches_cut,
        left_out: left_out
            .into_iter()
            .map(|(seen, why)| LeftOut {
                touch: seen.touch,
                time: seen.time.to_string(),
                line: known.name(NameKind::Line, seen.line.0),
                because: not_on_path(*why),
            })
            .collect(),
        left_out_more: more,
        other_brands: credited.other_brands,
        credits: credits(known, credited),
    }
}

fn reference(known: &Known<'_>, id: ConversionId) -> String {
    known.name(NameKind::Conversion, id.0)
}

const fn not_on_path(why: NotOnPath) -> &'static str {
    match why {
        NotOnPath::BeforeLookback => "older than the lookback",
        NotOnPath::AfterConversion => "after the conversion",
        NotOnPath::SharedDay => "the household is shared on that day",
        NotOnPath::NotResidential => "the address is not residential",
        NotOnPath::BeyondLimit => "beyond the oldest and the 255 nearest",
    }
}

fn sharing(dims: &Dims, life: &Life, day: Day) -> Sharing {
    let settings = dims.settings();
    let (agents_day, agents_month) = life.agents(day);
    Sharing {
        agents_day,
        agents_day_max: settings.shared_agents_day_max,
        agents_month,
        agents_month_max: settings.shared_agents_month_max,
        shared: life.is_shared(day),
    }
}

fn match_because(
    known: &Known<'_>,
    one: &Merged,
    made: &Made,
    sharing: Option<&Sharing>,
    credited: &Credited,
) -> String {
    let row = &credited.row.1;
    let household = one
        .signals
        .iter()
        .any(|signal| signal.fact.household.is_some());
    let by_household = if !row.brand.is_some() {
        "nothing says whose brand the store is"
    } else if !household {
        "no signal has a household"
    } else if !made.household.is_some() {
        "the household's address is not residential"
    } else if sharing.is_some_and(|sharing| sharing.shared) {
        "the household is shared on the conversion's day"
    } else if row.touches == 0
        || row.matched_by == 2 && credited.path.len() == 1 && is_code(&credited.path, made)
    {
        "the household has no touch of the brand in the lookback"
    } else {
        "the household has touches of the brand in the lookback"
    };
    if row.matched_by == 2 {
        let line = known.name(NameKind::Line, row.code_line.0);
        let code = known.name(NameKind::Code, made.code.0);
        return format!("the code {code} names line {line}; {by_household}");
    }
    by_household.to_owned()
}

fn is_code(path: &[PathTouch], made: &Made) -> bool {
    path.iter()
        .any(|touch| touch.touch == code_touch(made.conversion))
}

/// Every signal, and which parts of the conversion it decides (definition 10).
fn signals(known: &Known<'_>, one: &Merged) -> Vec<SignalSaid> {
    let strongest = |has: &dyn Fn(&Signal) -> bool| {
        let ranked = one.signals.iter().enumerate();
        let ranked = ranked.filter(|(_, signal)| has(signal));
        ranked
            .filter_map(|(at, signal)| Some((strength(signal.fact.kind)?, at)))
            .min()
            .map(|(strength, at)| (at, strength))
    };
    let made = one.conversion.as_ref();
    let kind = strongest(&|_| true).map(|(at, _)| at);
    let household = strongest(&|signal| signal.fact.household.is_some()).map(|(at, _)| at);
    let code = strongest(&|signal| signal.fact.code.is_some()).map(|(at, _)| at);
    // Among equals the last states the value.
    let stated = strongest(&|signal| signal.fact.has_value).and_then(|(_, rank)| {
        one.signals
            .iter()
            .rposition(|signal| signal.fact.has_value && strength(signal.fact.kind) == Some(rank))
    });
    let dated = made.and_then(|made| {
        one.signals
            .iter()
            .position(|signal| signal.fact.kind == made.kind && time_of(signal) == made.time)
    });
    let one_said = |(at, signal): (usize, &Signal)| {
        let mut gives = Vec::new();
        for (decides, what) in [
            (kind, "kind"),
            (dated, "time"),
            (stated, "value"),
            (household, "household"),
            (code, "code"),
        ] {
            if decides == Some(at) {
                gives.push(what);
            }
        }
        if signal.fact.kind == SignalKind::Refund
            && made.is_some_and(|made| made.currency == signal.fact.currency)
        {
            gives.push("refund");
        }
        said(known, signal, gives)
    };
    one.signals.iter().enumerate().map(one_said).collect()
}

/// When a signal says that the conversion was.
fn time_of(signal: &Signal) -> hostread_schemas::EventTimeMs {
    match signal.fact.kind {
        SignalKind::Order => signal.fact.placed_at.unwrap_or(signal.time),
        _ => signal.time,
    }
}

fn said(known: &Known<'_>, signal: &Signal, gives: Vec<&'static str>) -> SignalSaid {
    let fact = &signal.fact;
    SignalSaid {
        event: signal.event,
        time: signal.time.to_string(),
        kind: words::signal_kind(fact.kind),
        order_name: reference(known, fact.order_name),
        order_id: reference(known, fact.order_id),
        value_micros: fact.has_value.then_some(fact.value.0),
        currency: fact.currency.as_str().to_owned(),
        code: known.name(NameKind::Code, fact.code.0),
        address: if fact.household.is_some() {
            words::ip_class(fact.ip_class)
        } else {
            ""
        },
        test: fact.test,
        carried: signal.carried,
        gives,
    }
}

/// The touches with what each earns: the same weights and the same apportioning as the credits' (definition 14).
fn path(known: &Known<'_>, made: &Made, life: Option<&Life>, credited: &Credited) -> Vec<PathStep> {
    let ages = credited.ages(made);
    let models = Model::ALL.into_iter();
    let by_model: Vec<(Model, Parts)> = models
        .map(|model| (model, credited.parts(made, model)))
        .collect();
    let step = |(at, touch): (usize, &PathTouch)| {
        let column = |value: &dyn Fn(&Parts) -> Value| {
            let fields = by_model
                .iter()
                .map(|(model, parts)| (model.as_str().to_owned(), value(parts)));
            Value::Object(fields.collect::<Map<_, _>>())
        };
        PathStep {
            touch: touch.touch,
            time: touch.time.to_string(),
            age_secs: ages.get(at).copied().unwrap_or_default(),
            line: known.name(NameKind::Line, touch.line.0),
            campaign: known.name(NameKind::Campaign, touch.campaign.0),
            show: known.name(NameKind::Show, touch.show.0),
            from: from(known, made, life, touch),
            weights: column(&|of| json!(of.weights.get(at))),
            credit_micros: column(&|of| json!(of.credits.get(at))),
            money_micros: column(&|of| json!(of.money.get(at))),
        }
    };
    credited.path.iter().enumerate().map(step).collect()
}

fn from(known: &Known<'_>, made: &Made, life: Option<&Life>, touch: &PathTouch) -> String {
    if touch.touch == code_touch(made.conversion) {
        return "code".to_owned();
    }
    let seen = life.and_then(|life| life.seen.iter().find(|seen| seen.touch == touch.touch));
    seen.map_or_else(
        || "frozen".to_owned(),
        |seen| {
            let id = DownloadId {
                day: seen.day,
                listener: seen.listener,
                episode: known.name(NameKind::Episode, seen.episode.0),
            };
            id.to_string()
        },
    )
}

fn by_model(amounts: &ByModel) -> Value {
    let fields = Model::ALL.into_iter().zip(amounts);
    let fields = fields.map(|(model, amount)| (model.as_str().to_owned(), json!(amount)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn credits(known: &Known<'_>, credited: &Credited) -> Vec<Credits> {
    let rows = credited.credits.iter();
    rows.map(|(key, row)| Credits {
        line: known.name(NameKind::Line, key.line.0),
        campaign: known.name(NameKind::Campaign, row.campaign.0),
        touches: row.touches,
        credit_micros: by_model(&row.credit_micros),
        money_micros: by_model(&row.money_micros),
    })
    .collect()
}
