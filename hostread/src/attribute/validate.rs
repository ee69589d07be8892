//! How near each model comes to what is known to be true, for `hostread validate` and `POST /v1/attribution/validate`.
//!
//! Needs: credits of channels, and how many conversions each channel has really caused, as a simulated world or an experiment says.
//! Promises: shares are compared, so that a truth about a part of the conversions serves as well; models come by their accuracy.
//! Leaves out: how the truth came to be known, and whether other channels would have been judged alike.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, Result, bail};
use comfy_table::{Cell, CellAlignment};
use serde_json::{Map, Value, json};

use super::row::micros;
use super::{ModelName, Report};
use crate::cmd::table;

/// Conversions that each channel has caused, in millionths.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Truth(BTreeMap<String, u64>);

impl Truth {
    /// Reads a table with the columns `channel` and `conversions`; rows of one channel add up.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(crate) fn read(input: impl Read, channels_max: usize) -> Result<Self> {
        let mut csv = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(input);
        let heads = csv.headers()?.clone();
        let column = |name: &str| {
            let at = heads.iter().position(|head| head == name);
            at.with_context(|| format!("there is no column \"{name}\""))
        };
        let (channel, conversions) = (column("channel")?, column("conversions")?);
        let rows = csv.records().map(|row| {
            let row = row?;
            let cell = |at| row.get(at).unwrap_or_default().to_owned();
            Ok((cell(channel), cell(conversions)))
        });
        Self::new(rows, channels_max)
    }

    /// Conversions by channel; those of one channel add up.
    ///
    /// # Errors
    /// What cannot be used.
    pub(super) fn new(
        channels: impl Iterator<Item = Result<(String, String)>>,
        channels_max: usize,
    ) -> Result<Self> {
        let mut truth: BTreeMap<String, u64> = BTreeMap::new();
        for row in channels {
            let (name, caused) = row?;
            if name.is_empty() {
                bail!("a channel has no name");
            }
            let caused = micros("conversions", &caused).with_context(|| name.clone())?;
            let sum = truth.entry(name).or_default();
            *sum = sum.saturating_add(caused);
            if truth.len() > channels_max {
                bail!("there are over {channels_max} channels");
            }
        }
        if truth.values().all(|caused| *caused == 0) {
            bail!("no channel has caused a conversion: there is nothing to compare with");
        }
        Ok(Self(truth))
    }
}

/// A model beside the truth.
#[derive(Debug)]
struct Judged {
    model: ModelName,
    /// Its share less the true one, by channel.
    bias: Vec<f64>,
    /// The part of all shares that is where it belongs; 0 of a model that gives nothing.
    accuracy: f64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Validation {
    /// Channels with their true shares.
    channels: Vec<(String, f64)>,
    /// The most accurate first.
    models: Vec<Judged>,
}

fn shares(parts: &[f64]) -> Vec<f64> {
    let whole: f64 = parts.iter().sum();
    let share = |part: &f64| if whole > 0.0 { part / whole } else { 0.0 };
    parts.iter().map(share).collect()
}

impl Validation {
    pub(crate) fn new(report: &Report, truth: &Truth) -> Self {
        let mut names: Vec<&str> = truth.0.keys().map(String::as_str).collect();
        names.extend(report.channels.iter().map(|name| &**name));
        names.sort_unstable();
        names.dedup();
        let caused = names.iter().map(|name| truth.0.get(*name).copied());
        let caused: Vec<f64> = caused.map(|it| it.unwrap_or(0) as f64).collect();
        let truth = shares(&caused);
        let mut models: Vec<Judged> = report
            .conversions()
            .map(|(model, credits)| {
                let credit = |name: &&str| {
                    let known = report.channels.binary_search_by(|it| (**it).cmp(name));
                    let known = known.ok().and_then(|at| credits.get(at));
                    known.copied().unwrap_or(0.0)
                };
                let given: Vec<f64> = names.iter().map(credit).collect();
                let given = shares(&given);
                let bias = given.iter().zip(&truth).map(|(given, ought)| given - ought);
                let bias: Vec<f64> = bias.collect();
                let right = given
                    .iter()
                    .zip(&truth)
                    .map(|(given, ought)| given.min(*ought));
                let accuracy = right.sum::<f64>().min(1.0);
                Judged {
                    model,
                    bias,
                    accuracy,
                }
            })
            .collect();
        models.sort_by(|a, b| b.accuracy.total_cmp(&a.accuracy));
        let names = names.into_iter().map(str::to_owned);
        Self {
            channels: names.zip(truth).collect(),
            models,
        }
    }

    /// One object: true shares, and each model's accuracy and biases.
    pub(crate) fn json(&self) -> Value {
        let by_channel = |numbers: &mut dyn Iterator<Item = f64>| -> Value {
            let names = self.channels.iter().map(|(name, _)| name.clone());
            let fields: Map<String, Value> = names.zip(numbers.map(|it| json!(it))).collect();
            Value::Object(fields)
        };
        let models = self.models.iter().map(|judged| {
            let bias = by_channel(&mut judged.bias.iter().copied());
            json!({"model": judged.model.as_str(), "accuracy": judged.accuracy, "bias": bias})
        });
        let models: Vec<Value> = models.collect();
        let truth = by_channel(&mut self.channels.iter().map(|(_, share)| *share));
        json!({"truth": truth, "models": models})
    }

    /// For people: a row a channel, in percent and points of percent.
    pub(crate) fn text(&self) -> String {
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        let mut all = table();
        let heads = self.models.iter().map(|judged| judged.model.as_str());
        all.set_header(["channel", "truth"].into_iter().chain(heads));
        for (at, (name, share)) in self.channels.iter().enumerate() {
            let biases = self.models.iter().filter_map(|judged| judged.bias.get(at));
            let biases = biases.map(|bias| right(format!("{:+.2}", bias * 100.0)));
            let first = [Cell::new(name), right(format!("{:.2} %", share * 100.0))];
            all.add_row(first.into_iter().chain(biases));
        }
        let accuracies = self.models.iter().map(|judged| judged.accuracy);
        let accuracies = accuracies.map(|it| right(format!("{:.2} %", it * 100.0)));
        let first = [Cell::new("accuracy"), right(String::new())];
        all.add_row(first.into_iter().chain(accuracies));
        format!(
            "{all}\nUnder each model: by how many points of percent its share differs from the true one."
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    use super::super::{Asked, attribute};
    use super::*;

    fn truth(csv: &str) -> Result<Truth> {
        Truth::read(csv.as_bytes(), 3)
    }

    fn judged(paths: &str, truth: &Truth) -> Validation {
        let asked = Asked {
            models: ModelName::chosen(&[ModelName::First, ModelName::Last, ModelName::Linear]),
            custom: None,
            order: 1,
            channels_max: 100,
            steps_max: u64::MAX,
        };
        let counted = attribute(paths.as_bytes(), &asked, 1).unwrap();
        Validation::new(&Report::new(&counted, &asked), truth)
    }

    #[test]
    fn shares_are_compared_with_those_of_the_truth() {
        let truth = truth("channel,conversions\na,3\nc,1\na,0\n").unwrap();
        let found = judged("path,conversions\na > b,4\n", &truth).json();
        assert_eq!(found["truth"], json!({"a": 0.75, "b": 0.0, "c": 0.25}));
        let models: Vec<(&str, f64)> = found["models"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| {
                (
                    it["model"].as_str().unwrap(),
                    it["accuracy"].as_f64().unwrap(),
                )
            })
            .collect();
        assert_eq!(models, [("first", 0.75), ("linear", 0.5), ("last", 0.0)]);
        let bias = &found["models"][1]["bias"];
        assert_eq!(*bias, json!({"a": -0.25, "b": 0.5, "c": -0.25}));
        let nothing = judged("path,conversions\na > b,0\n", &truth).json();
        assert_eq!(nothing["models"][0]["accuracy"], 0.0);
        let text = judged("path,conversions\na > b,4\n", &truth).text();
        assert!(
            text.contains("+25.00") && text.contains("75.00 %"),
            "{text}"
        );
    }

    #[test]
    fn what_is_wrong_with_a_truth_is_said() {
        for (csv, why) in [
            ("", "there is no column \"channel\""),
            (
                "channel,orders\na,1\n",
                "there is no column \"conversions\"",
            ),
            ("channel,conversions\n,1\n", "a channel has no name"),
            (
                "channel,conversions\na,-1\n",
                "a: conversions: \"-1\" is below 0",
            ),
            (
                "channel,conversions\na,x\n",
                "a: conversions: \"x\" is no number",
            ),
            ("channel,conversions\na,0\n", "nothing to compare with"),
            (
                "channel,conversions\na,1\nb,1\nc,1\nd,1\n",
                "over 3 channels",
            ),
            ("channel,conversions\na\n", "found record with 1 fields"),
        ] {
            let said = truth(csv).map(|_| ()).unwrap_err();
            assert!(format!("{said:#}").contains(why), "{csv:?}: {said:#}");
        }
    }

    /// A world of journeys over five channels that prefer places on the path, and who caused each conversion by a rule.
    fn world(number: u64, rule: ModelName) -> (String, Truth) {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let mut draws = 0_u64;
        let mut draw = |below: u64| {
            draws += 1;
            hasher.hash_one((number, draws)) % below
        };
        let mut paths = "path,conversions\n".to_owned();
        let mut caused: BTreeMap<String, u64> = BTreeMap::new();
        for _ in 0..1_500 {
            let touches = 1 + draw(5);
            let channel = |place: u64, drawn: u64| {
                let late = 100 * place / touches.max(2);
                ["a", "b", "c", "d", "e"][usize::try_from((drawn % 3 + late / 34) % 5).unwrap()]
            };
            let path: Vec<&str> = (0..touches)
                .map(|place| channel(place, draw(1 << 20)))
                .collect();
            let cause = match rule {
                ModelName::First => 0,
                ModelName::Last => touches - 1,
                _ => draw(touches),
            };
            let cause = path[usize::try_from(cause).unwrap()];
            *caused.entry(cause.to_owned()).or_default() += 1_000_000;
            paths += &path.join(" > ");
            paths += ",1\n";
        }
        (paths, Truth(caused))
    }

    #[test]
    fn the_rule_that_is_true_is_the_most_accurate_and_favours_no_channel() {
        for rule in [ModelName::First, ModelName::Last, ModelName::Linear] {
            let (mut found, mut biases) = (0, BTreeMap::<String, f64>::new());
            for number in 0..100 {
                let (paths, truth) = world(number, rule);
                let judged = judged(&paths, &truth);
                let of_rule = judged
                    .models
                    .iter()
                    .position(|it| it.model == rule)
                    .unwrap();
                found += u32::from(of_rule == 0);
                let bias = &judged.models[of_rule].bias;
                for ((name, _), bias) in judged.channels.iter().zip(bias) {
                    *biases.entry(name.clone()).or_default() += bias / 100.0;
                }
            }
            assert!(found >= 95, "{rule:?}: in {found} of 100 worlds");
            let fair = biases.values().all(|mean| mean.abs() < 0.02);
            assert!(fair && biases.len() == 5, "{rule:?}: {biases:?}");
        }
    }
}
