//! The models at `/v1/attribution`: paths as JSON or CSV in, credits as JSON out, or how near these come to a truth.
//!
//! Promises: the credits of `hostread attribute` for the same paths; one that cannot be read refuses them all; channels and the
//! steps of a chain are bounded. Leaves out: the bound of bytes, and how many calculate at once (the door's).

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::ValueEnum;
use hostread_gateway::{Attribution, CalculateAsk};
use hostread_schemas::json::FieldError;
use serde::Deserialize;
use serde_json::{Number, Value, json};

use super::row::path_text;
use super::{Asked, HALF_LIFE_SECS, ModelName, Report, Truth, Validation, attribute};

/// Too small: a campaign by show is refused. Too large: elimination, the cube of it, keeps a core for long.
const CHANNELS_MAX: usize = 512;
/// Steps of a chain, some seconds of one core. Too small: order 3 is refused for real data. Too large: one tenant keeps the door.
const STEPS_MAX: u64 = 1_000_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    paths: Vec<Path>,
    /// Conversions that channels have caused.
    truth: Option<BTreeMap<String, Number>>,
}

/// All journeys along one path, as a row of a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Path {
    path: Vec<String>,
    conversions: Number,
    value: Option<Number>,
    nulls: Option<Number>,
    ages: Option<Vec<Number>>,
}

/// The models, and who calculates.
pub(crate) fn door() -> Attribution {
    Attribution {
        models: models().to_string(),
        calculate: Arc::new(calculate),
        validate: Arc::new(validate),
    }
}

/// What each model is called, does and needs.
fn models() -> Value {
    let known = ModelName::chosen(&[ModelName::All]).into_iter();
    let about = known.filter_map(|model| {
        let word = model.to_possible_value()?;
        let (parameters, needs) = match model {
            ModelName::TimeDecay => (json!({"half_life_hours": HALF_LIFE_SECS / 3_600}), vec!["ages"]),
            ModelName::Position => (json!({"first": 0.4, "between": 0.2, "last": 0.4}), vec![]),
            ModelName::Markov => (json!({"order": [1, 2, 3]}), vec!["nulls"]),
            _ => (json!({}), vec![]),
        };
        let says = word.get_help().map(ToString::to_string);
        let in_pipeline = model != ModelName::Markov;
        Some(json!({
            "name": word.get_name(), "gives": says, "parameters": parameters, "needs": needs, "in_pipeline": in_pipeline,
        }))
    });
    json!({"models": about.collect::<Vec<Value>>()})
}

fn calculate(ask: &CalculateAsk) -> Result<String, FieldError> {
    if ask.is_csv {
        return written(&solved(ask, false, &ask.paths)?);
    }
    let Body { paths, truth } = body(&ask.paths)?;
    if truth.is_some() {
        return Err(FieldError::new("truth", "is for /v1/attribution/validate"));
    }
    written(&solved(ask, true, &csv(&paths)?)?)
}

fn validate(ask: &CalculateAsk) -> Result<String, FieldError> {
    if ask.is_csv {
        return Err(FieldError::new("", "paths and truth are one JSON object"));
    }
    let Body { paths, truth } = body(&ask.paths)?;
    let truth = truth.ok_or_else(|| FieldError::new("truth", "is needed"))?;
    let truth = truth.into_iter();
    let truth = truth.map(|(name, caused)| Ok((name, caused.to_string())));
    let truth = Truth::new(truth, CHANNELS_MAX);
    let truth = truth.map_err(|error| FieldError::new("truth", format!("{error:#}")))?;
    let report = solved(ask, true, &csv(&paths)?)?;
    written(&Validation::new(&report, &truth).json())
}

fn written(said: &impl serde::Serialize) -> Result<String, FieldError> {
    serde_json::to_string(said).map_err(|error| FieldError::new("", error.to_string()))
}

/// Credits of a table; `is_listed`: it was made of a list, by whose places errors are told.
fn solved(ask: &CalculateAsk, is_listed: bool, paths: &[u8]) -> Result<Report, FieldError> {
    let asked = asked(ask)?;
    let unusable = |error: anyhow::Error| FieldError::new("paths", format!("{error:#}"));
    let counted = attribute(paths, &asked, 1).map_err(unusable)?;
    if let Some((line, why)) = counted.told.first() {
        let place = match line.checked_sub(2) {
            Some(index) if is_listed => format!("paths[{index}]"),
            _ => format!("line {line}"),
        };
        return Err(FieldError::new(place, why.clone()));
    }
    let report = Report::new(&counted, &asked);
    if report.is_empty() {
        return Err(FieldError::new("models", "time_decay needs ages"));
    }
    Ok(report)
}

fn asked(ask: &CalculateAsk) -> Result<Asked, FieldError> {
    let names = ask.models.as_deref().unwrap_or("all").split(',');
    let named = |name: &str| {
        let unknown = |_| FieldError::new("models", format!("there is no model \"{name}\""));
        ModelName::from_str(name.trim(), false).map_err(unknown)
    };
    let models: Vec<ModelName> = names.map(named).collect::<Result<_, _>>()?;
    if models.contains(&ModelName::Custom) {
        return Err(FieldError::new(
            "models",
            "custom is for hostread attribute alone",
        ));
    }
    let order = match ask.order.as_deref() {
        None | Some("1") => 1,
        Some("2") => 2,
        Some("3") => 3,
        Some(_) => return Err(FieldError::new("order", "is 1, 2 or 3")),
    };
    Ok(Asked {
        models: ModelName::chosen(&models),
        custom: None,
        order,
        channels_max: CHANNELS_MAX,
        steps_max: STEPS_MAX,
    })
}

fn body(body: &[u8]) -> Result<Body, FieldError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let said: Body = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = error.path().to_string();
        FieldError::new(field, error.into_inner().to_string())
    })?;
    json.end()
        .map_err(|error| FieldError::new("", error.to_string()))?;
    if said.paths.is_empty() {
        return Err(FieldError::new("paths", "there are none"));
    }
    Ok(said)
}

/// The same paths as a file; a path a line.
fn csv(paths: &[Path]) -> Result<Vec<u8>, FieldError> {
    let values = paths.iter().any(|path| path.value.is_some());
    let nulls = paths.iter().any(|path| path.nulls.is_some());
    let ages = paths.iter().any(|path| path.ages.is_some());
    let columns = [
        (true, "path"),
        (true, "conversions"),
        (values, "value"),
        (nulls, "nulls"),
        (ages, "ages"),
    ];
    let mut file = csv::Writer::from_writer(Vec::new());
    let mut write = |cells: [String; 5]| {
        let there = cells.iter().zip(columns).filter(|(_, (there, _))| *there);
        file.write_record(there.map(|(cell, _)| cell)).ok();
    };
    write(columns.map(|(_, name)| name.to_owned()));
    for (index, path) in paths.iter().enumerate() {
        // A path is one line, so that its line tells its place.
        if path.path.iter().any(|name| name.contains(char::is_control)) {
            let place = format!("paths[{index}].path");
            return Err(FieldError::new(place, "a name has control characters"));
        }
        let number =
            |number: &Option<Number>| number.as_ref().map_or("0".to_owned(), Number::to_string);
        let ages = path.ages.iter().flatten().map(Number::to_string);
        let ages: Vec<String> = ages.collect();
        write([
            path_text(&path.path),
            path.conversions.to_string(),
            number(&path.value),
            number(&path.nulls),
            ages.join(" > "),
        ]);
    }
    let broken = |_| FieldError::new("paths", "cannot be written as a table");
    file.into_inner().map_err(broken)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;

    fn ask(
        models: Option<&str>,
        order: Option<&str>,
        paths: &str,
        is_csv: bool,
    ) -> Result<Value, FieldError> {
        let said = calculate(&CalculateAsk {
            models: models.map(str::to_owned),
            order: order.map(str::to_owned),
            paths: paths.to_owned().into(),
            is_csv,
        });
        said.map(|said| serde_json::from_str(&said).unwrap())
    }

    #[test]
    fn a_model_of_ones_own_is_refused_by_name() {
        let paths = r#"{"paths":[{"path":["a"],"conversions":4}]}"#;
        let error = ask(Some("first,custom"), None, paths, false).unwrap_err();
        assert_eq!(error.field, "models");
        let said = ask(None, None, paths, false).unwrap();
        assert!(said["models"].get("custom").is_none(), "{said}");
    }

    #[test]
    fn models_are_judged_by_a_truth() {
        let judge = |body: &str, is_csv| {
            let said = validate(&CalculateAsk {
                models: Some("first,last".to_owned()),
                order: None,
                paths: body.to_owned().into(),
                is_csv,
            });
            said.map(|said| serde_json::from_str::<Value>(&said).unwrap())
        };
        let paths = r#""paths":[{"path":["a","b"],"conversions":4}]"#;
        let said = judge(&format!("{{{paths},\"truth\":{{\"b\":3,\"c\":1}}}}"), false).unwrap();
        assert_eq!(said["truth"], json!({"a": 0.0, "b": 0.75, "c": 0.25}));
        assert_eq!(said["models"][0]["model"], "last");
        assert_eq!(said["models"][0]["accuracy"], 0.75);
        assert_eq!(said["models"][1]["bias"]["a"], 1.0);
        for (body, is_csv, field) in [
            (format!("{{{paths}}}"), false, "truth"),
            (format!("{{{paths},\"truth\":{{}}}}"), false, "truth"),
            (
                format!("{{{paths},\"truth\":{{\"a\":-1}}}}"),
                false,
                "truth",
            ),
            (
                format!("{{{paths},\"truth\":{{\"a\":\"1\"}}}}"),
                false,
                "truth.a",
            ),
            (r#"{"paths":[],"truth":{"a":1}}"#.to_owned(), false, "paths"),
            ("path,conversions\na,1\n".to_owned(), true, ""),
        ] {
            assert_eq!(judge(&body, is_csv).unwrap_err().field, field, "{body}");
        }
        let credits = ask(
            None,
            None,
            &format!("{{{paths},\"truth\":{{\"b\":3}}}}"),
            false,
        );
        assert_eq!(credits.unwrap_err().field, "truth");
    }

    fn wrong(models: Option<&str>, order: Option<&str>, paths: &str) -> (String, String) {
        let error = ask(models, order, paths, false).unwrap_err();
        (error.field, error.message)
    }

    #[test]
    fn json_says_what_csv_says() {
        let json = r#"{"paths": [
            {"path": ["a > b", "say \"c\"", " d,"], "conversions": 3, "value": 10.5, "nulls": 2, "ages": [90, 5.5, 0]},
            {"path": ["null"], "conversions": 1, "ages": [1]}, {"path": ["null", "null"], "conversions": 0, "nulls": 7}
        ]}"#;
        let csv = "path,conversions,value,nulls,ages\n\
                   \"\"\"a > b\"\" > \"\"say \"\"\"\"c\"\"\"\"\"\" > \"\" d,\"\"\",3,10.5,2,90 > 5.5 > 0\n\
                   null,1,0,0,1\nnull > null,0,0,7,\n";
        for order in ["1", "2", "3"] {
            let said = ask(None, Some(order), json, false).unwrap();
            assert_eq!(said, ask(None, Some(order), csv, true).unwrap());
            assert_eq!(said["models"].as_object().unwrap().len(), 7);
            assert_eq!(said["models"]["first"]["a > b"]["conversions"], 3.0);
            assert_eq!(said["models"]["last"][" d,"]["value"], 10.5);
            assert!(said["models"]["linear"]["say \"c\""].is_object(), "{said}");
        }
        let few = ask(
            Some("last, markov"),
            None,
            r#"{"paths":[{"path":["a"],"conversions":1}]}"#,
            false,
        );
        assert_eq!(few.unwrap()["models"].as_object().unwrap().len(), 2);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let one = r#"{"paths":[{"path":["a"],"conversions":1}]}"#;
        let said = |field: &str, message: &str| (field.to_owned(), message.to_owned());
        assert_eq!(
            wrong(Some("lst"), None, one),
            said("models", "there is no model \"lst\"")
        );
        assert_eq!(wrong(None, Some("4"), one), said("order", "is 1, 2 or 3"));
        assert_eq!(
            wrong(Some("time_decay"), None, one),
            said("models", "time_decay needs ages")
        );
        assert_eq!(
            wrong(None, None, r#"{"paths":[]}"#),
            said("paths", "there are none")
        );
        let two =
            |second: &str| format!(r#"{{"paths":[{{"path":["a"],"conversions":1}},{second}]}}"#);
        for (second, field, message) in [
            (
                r#"{"path":["a"],"conversions":-1}"#,
                "paths[1]",
                "conversions: \"-1\" is below 0",
            ),
            (
                r#"{"path":["a",""],"conversions":1}"#,
                "paths[1]",
                "path: touch 2 has no name",
            ),
            (
                r#"{"path":["a"],"conversions":1,"ages":[]}"#,
                "paths[0]",
                "ages",
            ),
            (
                r#"{"path":["a\nb"],"conversions":1}"#,
                "paths[1].path",
                "a name has control",
            ),
            (
                r#"{"path":["a"],"conversions":"1"}"#,
                "paths[1].conversions",
                "invalid type",
            ),
            (
                r#"{"path":["a"],"conversions":1,"x":1}"#,
                "paths[1].x",
                "unknown field",
            ),
        ] {
            let (found, why) = wrong(None, None, &two(second));
            assert!(
                found == field && why.starts_with(message),
                "{second}: {found}: {why}"
            );
        }
        let error = ask(None, None, "path,conversions\na,1\nb,x\n", true).unwrap_err();
        assert_eq!(error.field, "line 3");
        let error = ask(None, None, "path\na\n", true).unwrap_err();
        assert_eq!(
            error,
            FieldError::new("paths", "line 1: column \"conversions\" is missing")
        );
    }

    #[test]
    fn channels_are_bounded() {
        let paths = |channels: usize| {
            let rows = (0..channels).map(|at| format!("c{at},1\n"));
            format!("path,conversions\n{}", rows.collect::<String>())
        };
        assert!(ask(None, None, &paths(CHANNELS_MAX), true).is_ok());
        let error = ask(None, None, &paths(CHANNELS_MAX + 1), true).unwrap_err();
        assert_eq!(
            error.message,
            format!("there are over {CHANNELS_MAX} channels")
        );
    }

    /// Long journeys in circles, a pair of channels after a pair, of which hardly any ends: nobody follows them for hours.
    #[test]
    fn a_chain_that_takes_long_is_refused() {
        let mut drawn = 1_u64;
        let mut draw = || {
            drawn = drawn
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            format!("c{}", (drawn >> 40) % 60)
        };
        let rows = (0..300).map(|_| {
            let names: Vec<String> = (0..256).map(|_| draw()).collect();
            format!("{},1\n", names.join(" > "))
        });
        let paths = format!("path,conversions\n{}", rows.collect::<String>());
        assert!(ask(Some("markov"), Some("1"), &paths, true).is_ok());
        let began = std::time::Instant::now();
        let error = ask(Some("markov"), Some("2"), &paths, true).unwrap_err();
        assert!(error.message.contains("takes too long"), "{error:?}");
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    }

    #[test]
    fn every_model_is_told() {
        let models = models();
        let models = models["models"].as_array().unwrap();
        assert_eq!(models.len(), 7);
        assert!(
            models
                .iter()
                .all(|model| model["gives"].as_str().unwrap().len() > 5)
        );
        let decay = models
            .iter()
            .find(|model| model["name"] == "time_decay")
            .unwrap();
        assert_eq!(decay["parameters"]["half_life_hours"], 168);
    }
}
