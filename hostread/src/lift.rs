//! Lift of campaigns as rows, for `hostread report lift`.

use hostread_explain::{Design, Lifted, Lifts};
use hostread_models::lift::Effect;
use serde_json::{Value, json};

use crate::listing::{Column, Listing};

/// Two rows a campaign, by tenant and name: what followed the ad, and the same of what came before it, where there is nothing to
/// find but what differed anyway. What chance cannot be told of has no number.
pub(crate) fn listing(lifts: &Lifts) -> Listing {
    let columns = vec![
        Column::text("tenant"),
        Column::text("campaign"),
        Column::text("from"),
        Column::text("to"),
        Column::text("design"),
        Column::text("when"),
        Column::count("days"),
        Column::count("exposed"),
        Column::count("compared"),
        Column::count("controls"),
        Column::count("heard later"),
        Column::share("converted"),
        Column::share("of controls"),
        Column::share("lift"),
        Column::share("low"),
        Column::share("high"),
        Column::share("p"),
    ];
    let design = match lifts.design {
        Design::Observational => "observational",
        Design::Randomised => "randomised",
    };
    let row = |it: &Lifted, when: &str, effect: Option<Effect>| -> Vec<Value> {
        let of = |number: fn(Effect) -> i64| json!(effect.map(number));
        vec![
            json!(it.tenant),
            json!(it.campaign),
            json!(lifts.from),
            json!(lifts.to),
            json!(design),
            json!(when),
            json!(it.window_days),
            json!(it.lift.exposed),
            json!(it.lift.compared),
            json!(it.lift.controls),
            json!(it.lift.later),
            of(|it| it.exposed),
            of(|it| it.controls),
            of(|it| it.difference),
            of(|it| it.between.0),
            of(|it| it.between.1),
            of(|it| it.p),
        ]
    };
    let rows = lifts.rows.iter().flat_map(|it| {
        let (after, before) = (it.lift.after, it.lift.before);
        [row(it, "after", after), row(it, "before", before)]
    });
    Listing::whole(columns, rows.collect())
}

#[cfg(test)]
mod tests {
    use hostread_explain::AsOf;
    use hostread_models::lift::Lift;
    use hostread_schemas::{EventTimeMs, Tick};

    use super::*;

    #[test]
    fn a_number_never_stands_without_its_interval() {
        let lift = Lift {
            exposed: 50,
            compared: 40,
            controls: 60,
            later: 3,
            after: Some(Effect {
                exposed: 250_000,
                controls: 100_000,
                difference: 150_000,
                between: (-1, 300_000),
                p: 51_000,
            }),
            before: None,
        };
        let lifts = Lifts {
            as_of: AsOf {
                tick: Tick(1),
                clock: EventTimeMs(0),
            },
            from: "2026-03-01".to_owned(),
            to: "2026-03-02".to_owned(),
            design: Design::Observational,
            rows: vec![Lifted {
                tenant: "acme".to_owned(),
                campaign: "spring".to_owned(),
                window_days: 30,
                lift,
            }],
        };
        let csv = listing(&lifts).csv().expect("it fits");
        let ought = "tenant,campaign,from,to,design,when,days,exposed,compared,controls,heard later,converted,of controls,lift,low,high,p\n\
            acme,spring,2026-03-01,2026-03-02,observational,after,30,50,40,60,3,0.25,0.1,0.15,-0.000001,0.3,0.051\n\
            acme,spring,2026-03-01,2026-03-02,observational,before,30,50,40,60,3,,,,,,\n";
        assert_eq!(csv, ought);
    }
}
