//! Event -> fact: names become 64-bit keyed hashes.
//!
//! Promises: the same key and event give the same fact everywhere. Invariant 1: no id but "none"
//! is 0. Every name that a fact stands on is told to `learn`, so that a collision can be refused.

use std::borrow::Cow;
use std::hash::Hasher;

use siphasher::sip::SipHasher24;
use siphasher::sip128::{Hasher128, SipHasher24 as SipHasher128};

use crate::event::{
    Body, Event, Included, IpFacts, Order, OrderKind, Pixel, PixelKind, Redemption, RequestText,
    RuleSet,
};
use crate::fact::{
    EpisodeFact, Fact, FactBody, ImpressionFact, IncludedFact, LineFact, RequestFact, RuleSetFact,
    SettingsFact, SignalFact, SignalKind, SlotFact,
};
use crate::id::{
    AgentId, BrandId, CampaignId, CodeId, ConversionId, CustomerId, EnclosureId, EpisodeId,
    EventId, HouseholdId, LineId, ListenerId, NetId, PatternId, RuleSetId, ShowId, SlotId, StoreId,
    TenantId,
};
use crate::names::NameKind;
use crate::unit::Day;

/// Hashes names to ids under the installation's key.
#[derive(Clone, Copy)]
pub struct IdHasher {
    key: [u8; 16],
}

impl std::fmt::Debug for IdHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdHasher")
    }
}

/// Told of every name that a fact stands on: kind, id, text.
pub type Learn<'a> = &'a mut dyn FnMut(NameKind, u64, &str);

impl IdHasher {
    /// Hashes under `key` (a secret of the installation; the journal is bound to it).
    #[must_use]
    pub const fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    fn hash(self, kind: u8, scope: u64, text: &[u8]) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u8(kind);
        hasher.write_u64(scope);
        hasher.write(text);
        hasher.finish().max(1)
    }

    /// A tenant's id.
    #[must_use]
    pub fn tenant(self, name: &str) -> TenantId {
        TenantId(self.hash(NameKind::Tenant as u8, 0, name.as_bytes()))
    }

    /// Id of a name of a tenant; 0 for the empty text.
    #[must_use]
    pub fn name(self, kind: NameKind, tenant: TenantId, text: &str) -> u64 {
        if text.is_empty() {
            0
        } else {
            self.hash(kind as u8, tenant.0, text.as_bytes())
        }
    }

    /// Identity of an event: a hash of (tenant, source, the source's own id).
    #[must_use]
    pub fn event_id(self, tenant: &str, source: &str, own_id: &[u8]) -> EventId {
        let mut hasher = SipHasher128::new_with_key(&self.key);
        for part in [tenant.as_bytes(), source.as_bytes(), own_id] {
            hasher.write_u64(part.len() as u64);
            hasher.write(part);
        }
        let hash = hasher.finish128();
        EventId {
            hi: hash.h1,
            lo: hash.h2,
        }
    }

    /// IP* + agent + session.
    #[must_use]
    pub fn listener(
        self,
        tenant: TenantId,
        star: u64,
        agent: AgentId,
        session: &str,
    ) -> ListenerId {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u8(0xF0);
        hasher.write_u64(tenant.0);
        hasher.write_u64(star);
        hasher.write_u64(agent.0);
        hasher.write(session.as_bytes());
        ListenerId(hasher.finish().max(1))
    }

    /// Identity of something derived from other ids.
    #[must_use]
    pub fn derived(self, kind: u8, parts: &[u64]) -> EventId {
        let mut hasher = SipHasher128::new_with_key(&self.key);
        hasher.write_u8(kind);
        for part in parts {
            hasher.write_u64(*part);
        }
        let hash = hasher.finish128();
        EventId {
            hi: hash.h1,
            lo: hash.h2,
        }
    }

    /// The fact that a tenant's request states, without the event.
    pub fn request(
        self,
        tenant: TenantId,
        request: &RequestText<'_>,
        ip: &IpFacts,
        learn: Learn<'_>,
    ) -> RequestFact {
        let hasher = self;
        let mut scope = Scope {
            hasher,
            tenant,
            learn,
        };
        scope.request(request, ip)
    }

    /// The fact that an event states.
    pub fn fact(self, event: &Event, learn: Learn<'_>) -> Fact {
        let tenant = self.tenant(&event.meta.tenant);
        learn(NameKind::Tenant, tenant.0, &event.meta.tenant);
        let mut scope = Scope {
            hasher: self,
            tenant,
            learn,
        };
        let body = scope.body(&event.body);
        Fact {
            tenant,
            time: event.meta.time,
            id: event.meta.id,
            body,
        }
    }
}

/// First and last day of a flight that cannot be read: it ends before it starts. Both are in the calendar, so that arithmetic on
/// them stays in range.
const FLIGHT_NEVER: (Day, Day) = (Day(2_932_896), Day(0));

/// Hosts are compared without case and final dot.
#[must_use]
pub fn normal_host(text: &str) -> Cow<'_, str> {
    let host = text.trim().trim_end_matches('.');
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// Order number, name and id of one order: trimmed, leading `#` off.
#[must_use]
pub fn normal_order(text: &str) -> &str {
    text.trim().trim_start_matches('#').trim()
}

/// Codes are case-folded and trimmed.
#[must_use]
pub fn normal_code(text: &str) -> String {
    text.trim().to_lowercase()
}

struct Scope<'a, 'b> {
    hasher: IdHasher,
    tenant: TenantId,
    learn: &'a mut (dyn FnMut(NameKind, u64, &str) + 'b),
}

impl Scope<'_, '_> {
    fn id(&mut self, kind: NameKind, text: &str) -> u64 {
        let id = self.hasher.name(kind, self.tenant, text);
        if id != 0 {
            (self.learn)(kind, id, text);
        }
        id
    }

    fn order(&mut self, store: StoreId, text: Option<&String>) -> ConversionId {
        let text = text.map_or("", |t| normal_order(t));
        if text.is_empty() {
            return ConversionId::NONE;
        }
        let scope = self
            .hasher
            .hash(0xF1, self.tenant.0, &store.0.to_be_bytes());
        let id = self
            .hasher
            .hash(NameKind::Conversion as u8, scope, text.as_bytes());
        (self.learn)(NameKind::Conversion, id, text);
        ConversionId(id)
    }

    fn body(&mut self, body: &Body) -> FactBody {
        match body {
            Body::Request(e) => FactBody::Request(self.request(&e.text(), &e.ip)),
            Body::Impression(e) => FactBody::Impression(self.impression(e)),
            Body::Pixel(e) => FactBody::Signal(self.pixel(e)),
            Body::Order(e) => FactBody::Signal(self.order_signal(e)),
            Body::Redemption(e) => FactBody::Signal(self.redemption(e)),
            Body::Show(e) => FactBody::Show(ShowId(self.id(NameKind::Show, &e.show))),
            Body::Episode(e) => FactBody::Episode(EpisodeFact {
                show: ShowId(self.id(NameKind::Show, &e.show)),
                episode: EpisodeId(self.id(NameKind::Episode, &e.episode)),
                enclosures: e
                    .enclosures
                    .iter()
                    .map(|path| EnclosureId(self.id(NameKind::Enclosure, path)))
                    .collect(),
                published_at: e.published_at,
                size_bytes: e.size_bytes,
                header_bytes: e.header_bytes,
                bit_rate: e.bit_rate.unwrap_or(0),
                duration_secs: e.duration_secs.unwrap_or(0),
                vbr: e.vbr,
            }),
            Body::Slot(e) => FactBody::Slot(SlotFact {
                slot: SlotId(self.id(NameKind::Slot, &e.slot)),
                show: ShowId(self.id(NameKind::Show, &e.show)),
                episode: EpisodeId(self.id(NameKind::Episode, &e.episode)),
                line: LineId(self.id(NameKind::Line, &e.line)),
                first_byte: e.first_byte,
                last_byte: e.last_byte,
                removed: e.removed,
            }),
            Body::Store(e) => FactBody::Store(
                StoreId(self.id(NameKind::Store, &e.store)),
                BrandId(self.id(NameKind::Brand, &e.brand)),
            ),
            Body::Campaign(e) => FactBody::Campaign(
                CampaignId(self.id(NameKind::Campaign, &e.campaign)),
                BrandId(self.id(NameKind::Brand, &e.brand)),
            ),
            Body::LineItem(e) => FactBody::Line(LineFact {
                line: LineId(self.id(NameKind::Line, &e.line)),
                campaign: CampaignId(self.id(NameKind::Campaign, &e.campaign)),
                kind: e.kind,
                controlling: e.controlling,
                goal: e.goal,
                start: civil_day(&e.start).unwrap_or(FLIGHT_NEVER.0),
                end: civil_day(&e.end).unwrap_or(FLIGHT_NEVER.1),
                zone: if e.zone.is_empty() {
                    "UTC".to_owned()
                } else {
                    e.zone.clone()
                },
                price_kind: e.price_kind,
                price: e.price,
                currency: e.currency,
                model: e.model,
            }),
            Body::Code(e) => FactBody::Code(
                StoreId(self.id(NameKind::Store, &e.store)),
                CodeId(self.id(NameKind::Code, &normal_code(&e.code))),
                LineId(self.id(NameKind::Line, &e.line)),
            ),
            Body::Aired(e) => FactBody::Aired {
                line: LineId(self.id(NameKind::Line, &e.line)),
                episode: EpisodeId(self.id(NameKind::Episode, &e.episode)),
                aired_at: e.aired_at,
                episode_goal: e.episode_goal,
            },
            Body::RuleSet(e) => FactBody::RuleSet(self.rule_set(e)),
            Body::Settings(e) => FactBody::Settings(SettingsFact {
                lookback_secs: i64::from(e.lookback_hours) * 3600,
                half_life_secs: i64::from(e.half_life_hours) * 3600,
                shared_agents_day_max: e.shared_agents_day_max,
                shared_agents_month_max: e.shared_agents_month_max,
            }),
        }
    }

    fn rule_set(&mut self, e: &RuleSet) -> RuleSetFact {
        for pattern in e.bot_agents.iter().filter(|text| !text.is_empty()) {
            (self.learn)(NameKind::Pattern, PatternId::of(pattern).0, pattern);
        }
        let denied = e.referrers_denied.iter();
        RuleSetFact {
            rule_set: RuleSetId(self.id(NameKind::RuleSet, &e.rule_set)),
            threshold_secs: e.threshold_secs,
            bot_agents: e.bot_agents.clone(),
            nonhuman_nets: e.nonhuman_nets.iter().map(|net| NetId(net.0)).collect(),
            referrers_denied: denied
                .map(|host| self.id(NameKind::Referrer, &normal_host(host)))
                .collect(),
            prefix_drops_range_0_1: e.prefix_drops_range_0_1,
            ip_volume_downloads_max: e.ip_volume_downloads_max,
            included: e.included.iter().filter_map(included).collect(),
            other_agents: e.other_agents.clone(),
        }
    }

    fn listener(
        &mut self,
        ip: &IpFacts,
        agent: &str,
        session: Option<&str>,
    ) -> (ListenerId, AgentId) {
        let agent = AgentId(self.id(NameKind::Agent, agent));
        let session = session.unwrap_or_default();
        (
            self.hasher.listener(self.tenant, ip.star.0, agent, session),
            agent,
        )
    }

    fn request(&mut self, e: &RequestText<'_>, ip: &IpFacts) -> RequestFact {
        let (listener, agent) = self.listener(ip, e.agent, e.session);
        RequestFact {
            enclosure: EnclosureId(self.id(NameKind::Enclosure, e.enclosure)),
            listener,
            household: HouseholdId(ip.star.0),
            net: NetId(ip.net.0),
            agent,
            referrer: e
                .referrer
                .map_or(0, |host| self.id(NameKind::Referrer, &normal_host(host))),
            sent_first: e.sent_first,
            sent_bytes: e.sent_bytes,
            total_bytes: e.total_bytes.unwrap_or(0),
            status: e.status,
            method: e.method,
            ip_class: ip.class,
            source_kind: e.source_kind,
            range_0_1: e.range_first == Some(0) && e.range_last == Some(1),
        }
    }

    fn impression(&mut self, e: &crate::event::Impression) -> ImpressionFact {
        let (listener, agent) = self.listener(&e.ip, &e.agent, e.session.as_deref());
        ImpressionFact {
            line: LineId(self.id(NameKind::Line, &e.line)),
            show: ShowId(self.id(NameKind::Show, &e.show)),
            episode: EpisodeId(self.id(NameKind::Episode, &e.episode)),
            listener,
            household: HouseholdId(e.ip.star.0),
            net: NetId(e.ip.net.0),
            agent,
            ip_class: e.ip.class,
            kind: e.kind,
        }
    }

    fn code(&mut self, text: Option<&String>) -> CodeId {
        let code = text.map_or_else(String::new, |t| normal_code(t));
        CodeId(self.id(NameKind::Code, &code))
    }

    fn pixel(&mut self, e: &Pixel) -> SignalFact {
        let store = StoreId(self.id(NameKind::Store, &e.store));
        SignalFact {
            store,
            kind: match e.kind {
                PixelKind::Purchase => SignalKind::PixelPurchase,
                PixelKind::Lead => SignalKind::PixelLead,
                PixelKind::Page => SignalKind::PixelVisit,
                PixelKind::Cart => SignalKind::PixelCart,
            },
            order_name: self.order(store, e.order.as_ref()),
            order_id: ConversionId::NONE,
            household: household(e.ip.as_ref()),
            ip_class: e.ip.as_ref().map(|ip| ip.class).unwrap_or_default(),
            code: self.code(e.code.as_ref()),
            value: e.value.unwrap_or_default(),
            has_value: e.value.is_some(),
            currency: e.currency.unwrap_or_default(),
            placed_at: None,
            test: false,
            customer: CustomerId::NONE,
        }
    }

    fn order_signal(&mut self, e: &Order) -> SignalFact {
        let store = StoreId(self.id(NameKind::Store, &e.store));
        SignalFact {
            store,
            kind: match e.kind {
                OrderKind::Placed => SignalKind::Order,
                OrderKind::Cancelled => SignalKind::Cancel,
                OrderKind::Refunded => SignalKind::Refund,
            },
            order_name: self.order(store, e.order_name.as_ref()),
            order_id: self.order(store, e.order_id.as_ref()),
            household: household(e.ip.as_ref()),
            ip_class: e.ip.as_ref().map(|ip| ip.class).unwrap_or_default(),
            code: self.code(e.codes.first()),
            value: e.value,
            has_value: true,
            currency: e.currency,
            placed_at: e.placed_at,
            test: e.test,
            customer: e.customer.map_or(CustomerId::NONE, |key| CustomerId(key.0)),
        }
    }

    fn redemption(&mut self, e: &Redemption) -> SignalFact {
        let store = StoreId(self.id(NameKind::Store, &e.store));
        SignalFact {
            store,
            kind: SignalKind::Redemption,
            order_name: self.order(store, e.order.as_ref()),
            order_id: ConversionId::NONE,
            household: household(e.ip.as_ref()),
            ip_class: e.ip.as_ref().map(|ip| ip.class).unwrap_or_default(),
            code: self.code(Some(&e.code)),
            value: e.value.unwrap_or_default(),
            has_value: e.value.is_some(),
            currency: e.currency.unwrap_or_default(),
            placed_at: None,
            test: false,
            customer: CustomerId::NONE,
        }
    }
}

/// Days that cannot be read let nothing in.
fn included(e: &Included) -> Option<IncludedFact> {
    Some(IncludedFact {
        from: civil_day(&e.from)?,
        expires: civil_day(&e.expires)?,
        nets: e.nets.iter().map(|net| NetId(net.0)).collect(),
        addresses: e.addresses.iter().map(|star| HouseholdId(star.0)).collect(),
    })
}

fn household(ip: Option<&IpFacts>) -> HouseholdId {
    ip.map_or(HouseholdId::NONE, |ip| HouseholdId(ip.star.0))
}

/// Reads `YYYY-MM-DD`.
#[must_use]
pub fn civil_day(text: &str) -> Option<Day> {
    text.parse::<jiff::civil::Date>().ok().map(Day::from_date)
}
