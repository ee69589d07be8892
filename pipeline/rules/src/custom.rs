//! A model that is data: weights by the place of a touch in its path, and by its age.
//!
//! Needs: a document that [`CustomModel::read`] takes. Promises: integers only; the weights of a path of 256 touches add up to less than 2^50.
//! Leaves out: whose model it is, credits.

use serde::Deserialize;

use crate::attribution::set;

/// Of a share or a weight. Too small: nobody can say "a ten-thousandth". Too large: weights of a long path do not fit.
const WEIGHT_MAX: u32 = 1_000_000;
/// Too small: days cannot be told apart for a month. Too large: a document is a table of its own.
const AGES_MAX: usize = 64;

/// The document.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomModel {
    /// The share of the first touch; one touch alone has everything.
    first: u32,
    /// The share of those between, divided among them alike.
    between: u32,
    /// The share of the last touch.
    last: u32,
    /// Weights by age, the youngest first; none: age does not matter.
    #[serde(default)]
    ages: Vec<AgeBand>,
    /// The weight of a touch that is older than all of them; 0 unless said.
    #[serde(default)]
    older: u32,
}

/// Touches of at most an age, and what these weigh.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgeBand {
    /// Hours before the conversion (inclusive).
    up_to_hours: u32,
    /// By how much the touch's share is multiplied.
    weight: u32,
}

impl CustomModel {
    /// Reads a JSON document.
    ///
    /// # Errors
    /// Which field is not as it must be, and why.
    pub fn read(document: &[u8]) -> Result<Self, String> {
        let mut json = serde_json::Deserializer::from_slice(document);
        let model: Self = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let at = error.path().to_string();
            match at.as_str() {
                "." => error.into_inner().to_string(),
                _ => format!("{at}: {}", error.into_inner()),
            }
        })?;
        json.end().map_err(|error| error.to_string())?;
        model.check()?;
        Ok(model)
    }

    fn check(&self) -> Result<(), String> {
        let shares = [
            ("first", self.first),
            ("between", self.between),
            ("last", self.last),
            ("older", self.older),
        ];
        let bands = self.ages.iter().enumerate();
        let bands = bands.map(|(at, band)| (format!("ages[{at}].weight"), band.weight));
        let named = shares.map(|(name, weight)| (name.to_owned(), weight));
        for (name, weight) in named.into_iter().chain(bands) {
            if weight > WEIGHT_MAX {
                return Err(format!("{name}: {weight} is over {WEIGHT_MAX}"));
            }
        }
        if self.first == 0 && self.between == 0 && self.last == 0 {
            return Err("first, between and last are all 0: nobody gets anything".to_owned());
        }
        if self.ages.is_empty() && self.older > 0 {
            return Err("older: there are no ages that a touch could be older than".to_owned());
        }
        if self.ages.len() > AGES_MAX {
            return Err(format!(
                "ages: there are {}, over {AGES_MAX}",
                self.ages.len()
            ));
        }
        let hours = self.ages.iter().map(|band| band.up_to_hours);
        if !hours.is_sorted_by(|a, b| a < b) {
            return Err("ages: up_to_hours must grow from band to band".to_owned());
        }
        Ok(())
    }

    /// Does it ask how old a touch is?
    #[must_use]
    pub const fn needs_ages(&self) -> bool {
        !self.ages.is_empty()
    }

    /// The weights of a path, from the ages of its touches in seconds, oldest first. All weights 0: the last gets it all.
    pub fn weigh(&self, ages_secs: &[i64], weights: &mut Vec<u64>) {
        let last = ages_secs.len().saturating_sub(1);
        let between = last.saturating_sub(1).max(1) as u64;
        weights.clear();
        weights.extend(ages_secs.iter().enumerate().map(|(at, age)| {
            let share = match at {
                _ if last == 0 => 1,
                0 => u64::from(self.first) * between,
                _ if at == last => u64::from(self.last) * between,
                _ => u64::from(self.between),
            };
            share * self.weight_of(*age)
        }));
        if weights.iter().all(|weight| *weight == 0) {
            set(weights.last_mut(), 1);
        }
    }

    fn weight_of(&self, age_secs: i64) -> u64 {
        if self.ages.is_empty() {
            return 1;
        }
        let within = |band: &&AgeBand| age_secs <= i64::from(band.up_to_hours) * 3_600;
        let band = self.ages.iter().find(within);
        u64::from(band.map_or(self.older, |band| band.weight))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use crate::attribution::{TOUCHES_PER_CONVERSION_MAX, apportion, weights};
    use hostread_schemas::event::Model;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600;

    fn of(document: &str, ages_hours: &[i64]) -> Vec<u64> {
        let model = CustomModel::read(document.as_bytes()).unwrap();
        let ages: Vec<i64> = ages_hours.iter().map(|age| age * HOUR).collect();
        let mut weights = Vec::new();
        model.weigh(&ages, &mut weights);
        weights
    }

    #[test]
    fn shares_by_place() {
        let shares = r#"{"first":60,"between":10,"last":30}"#;
        assert_eq!(of(shares, &[]), [0; 0]);
        assert_eq!(apportion(90, &of(shares, &[0])), [90]);
        assert_eq!(apportion(90, &of(shares, &[0, 0])), [60, 30]);
        assert_eq!(apportion(100, &of(shares, &[0; 4])), [60, 5, 5, 30]);
        let between = r#"{"first":0,"between":1,"last":0}"#;
        assert_eq!(of(between, &[9, 3]), [0, 1], "all 0: the last");
        assert_eq!(of(between, &[9, 4, 3]), [0, 1, 0]);
    }

    #[test]
    fn ages_multiply_them() {
        let bands = r#"{"first":1,"between":1,"last":2,"older":1,
            "ages":[{"up_to_hours":24,"weight":5},{"up_to_hours":168,"weight":2}]}"#;
        assert_eq!(of(bands, &[169, 168]), [1, 4]);
        assert_eq!(of(bands, &[168, 25, 24]), [2, 2, 10]);
        assert_eq!(of(bands, &[24]), [5]);
        let nothing_old =
            r#"{"first":1,"between":1,"last":1,"ages":[{"up_to_hours":1,"weight":1}]}"#;
        assert_eq!(of(nothing_old, &[9, 0]), [0, 1]);
        assert_eq!(of(nothing_old, &[9, 3]), [0, 1], "all 0: the last");
    }

    #[test]
    fn documents_that_are_refused_say_where() {
        for (document, why) in [
            ("", "EOF while parsing"),
            (r#"{"first":1,"between":1}"#, "missing field `last`"),
            (
                r#"{"first":1,"between":1,"last":1,"middle":1}"#,
                "unknown field `middle`",
            ),
            (
                r#"{"first":-1,"between":1,"last":1}"#,
                "first: invalid value: integer `-1`",
            ),
            (
                r#"{"first":1,"between":1000001,"last":1}"#,
                "between: 1000001 is over 1000000",
            ),
            (
                r#"{"first":0,"between":0,"last":0}"#,
                "first, between and last are all 0",
            ),
            (
                r#"{"first":1,"between":1,"last":1,"older":1}"#,
                "older: there are no ages",
            ),
            (
                r#"{"first":1,"between":1,"last":1,"ages":[{"up_to_hours":2,"weight":1},{"up_to_hours":2,"weight":1}]}"#,
                "ages: up_to_hours must grow",
            ),
            (
                r#"{"first":1,"between":1,"last":1,"ages":[{"up_to_hours":2,"weight":"x"}]}"#,
                "ages[0].weight: invalid type",
            ),
            (
                r#"{"first":1,"between":1,"last":1} x"#,
                "trailing characters",
            ),
        ] {
            let said = CustomModel::read(document.as_bytes()).unwrap_err();
            assert!(said.contains(why), "{document}: {said}");
        }
    }

    proptest! {
        /// A document can say what the models of position and linear say (of linear: for a path of this length).
        #[test]
        fn the_models_by_place_are_documents(touches in 1_usize..=TOUCHES_PER_CONVERSION_MAX, amount in 0_i64..5_000_000) {
            let ages = vec![0; touches];
            let between = touches.saturating_sub(2);
            for (model, document) in [
                (Model::Position, r#"{"first":40,"between":20,"last":40}"#.to_owned()),
                (Model::First, r#"{"first":1,"between":0,"last":0}"#.to_owned()),
                (Model::Last, r#"{"first":0,"between":0,"last":1}"#.to_owned()),
                (Model::Linear, format!(r#"{{"first":1,"between":{between},"last":1}}"#)),
            ] {
                let known = weights(model, &ages, &vec![(); touches], HOUR);
                prop_assert_eq!(apportion(amount, &of(&document, &ages)), apportion(amount, &known));
            }
        }
    }

    #[test]
    fn the_longest_path_fits() {
        let most = r#"{"first":1000000,"between":1000000,"last":1000000,"older":1000000,"ages":[{"up_to_hours":0,"weight":1}]}"#;
        let sum: u128 = of(most, &[1; TOUCHES_PER_CONVERSION_MAX])
            .iter()
            .map(|weight| u128::from(*weight))
            .sum();
        assert!(sum < 1 << 50, "{sum}");
    }
}
