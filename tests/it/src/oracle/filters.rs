//! Choice 3: what a request is refused for by itself.

use hostread_schemas::event::{IpClass, Method, SourceKind};
use hostread_schemas::fact::RequestFact;
use hostread_schemas::view::{Evidence, Verdict};
use hostread_schemas::{AgentId, HouseholdId, NetId, PatternId};

use super::{At, Tenant};

/// The first filter that says no (3).
pub(super) fn refused(
    tenant: &Tenant,
    at: At,
    request: &RequestFact,
) -> Option<(Verdict, Evidence)> {
    let rules = &tenant.rules;
    if !tenant.by_enclosure.contains_key(&request.enclosure) {
        return Some((Verdict::NotAnEpisode, Evidence::None));
    }
    if request.method != Method::Get {
        return Some((Verdict::Method, Evidence::Method(request.method)));
    }
    if request.status != 200 && request.status != 206 {
        return Some((Verdict::Status, Evidence::Status(request.status)));
    }
    if !request.agent.is_some() {
        return Some((Verdict::NoUserAgent, Evidence::None));
    }
    if is_watch(tenant, request.agent) {
        return Some((Verdict::Watch, Evidence::None));
    }
    if let Some(pattern) = bot_pattern(tenant, request.agent) {
        let evidence = Evidence::Pattern(PatternId::of(pattern));
        return Some((Verdict::BotUserAgent, evidence));
    }
    let let_in = is_included(tenant, at, request.net, request.household);
    if !let_in && is_nonhuman(tenant, request.ip_class, request.net) {
        let evidence = match request.ip_class {
            class @ (IpClass::DataCentre | IpClass::Vpn) => Evidence::IpClass(class),
            _ => Evidence::Net(request.net),
        };
        return Some((Verdict::NonhumanIp, evidence));
    }
    let dropped = request.source_kind == SourceKind::Cdn || rules.prefix_drops_range_0_1;
    if request.range_0_1 && dropped {
        return Some((Verdict::Range01, Evidence::None));
    }
    if request.referrer != 0 && rules.referrers_denied.contains(&request.referrer) {
        return Some((Verdict::Referrer, Evidence::Referrer(request.referrer)));
    }
    None
}

fn text(tenant: &Tenant, agent: AgentId) -> &str {
    tenant.agents.get(&agent).map_or("", String::as_str)
}

pub(super) fn is_watch(tenant: &Tenant, agent: AgentId) -> bool {
    let text = text(tenant, agent);
    (text.starts_with("atc/") && text.contains("watchOS")) || text.contains("(null)/(null) watchOS")
}

/// The worlds' patterns are plain words, `^` and a word, or invalid (an open bracket).
fn matches(text: &str, pattern: &str) -> bool {
    match pattern.strip_prefix('^') {
        _ if pattern.contains('(') => false,
        Some(start) => text.starts_with(start),
        None => text.contains(pattern),
    }
}

/// The bots in order; before each the others that stand there.
pub(super) fn bot_pattern(tenant: &Tenant, agent: AgentId) -> Option<&String> {
    let text = text(tenant, agent);
    for (place, bot) in (0..).zip(&tenant.rules.bot_agents) {
        let mut others = tenant.rules.other_agents.iter();
        if others.any(|other| other.bots_before == place && matches(text, &other.pattern)) {
            return None;
        }
        if matches(text, bot) {
            return Some(bot);
        }
    }
    None
}

pub(super) fn is_nonhuman(tenant: &Tenant, class: IpClass, net: NetId) -> bool {
    match class {
        IpClass::Included => false,
        IpClass::DataCentre | IpClass::Vpn => true,
        _ => net.is_some() && tenant.rules.nonhuman_nets.contains(&net),
    }
}

/// Does an entry of the inclusion list name the network or the address on the day (3)?
pub(super) fn is_included(tenant: &Tenant, at: At, net: NetId, address: HouseholdId) -> bool {
    let mut list = tenant.rules.included.iter();
    list.any(|entry| {
        let named = (net.is_some() && entry.nets.contains(&net))
            || (address.is_some() && entry.addresses.contains(&address));
        let days = entry.from.start()..entry.expires.start();
        named && days.contains(&at.0)
    })
}
