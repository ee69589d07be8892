//! Released wire formats. `golden/vN` holds, for each type, the schema that was written under (`avsc`), a body (`avro`) and the
//! event that it is (`json`). A file that stands there is never written again: a change of a schema makes a new folder.
//! `UPDATE=1` writes the files of `RELEASE` that are not there yet.

use std::fs;
use std::path::{Path, PathBuf};

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use hostread_schemas::codec::{Writer, encode};
use hostread_schemas::event::EventType;
use hostread_schemas::json;

use crate::samples::sample;

/// The release that the schemas in `avro/` are.
const RELEASE: &str = "v5";

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn releases() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(golden())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    folders
}

fn file(folder: &Path, event_type: EventType, extension: &str) -> PathBuf {
    folder.join(event_type.as_str()).with_extension(extension)
}

#[test]
fn the_present_release_is_as_it_was_released() {
    let folder = golden().join(RELEASE);
    for event_type in EventType::ALL {
        let event = sample(event_type);
        let (mut body, mut line) = (Vec::new(), Vec::new());
        encode(&event, &mut body);
        json::write(&event, &mut line);
        for (extension, bytes) in [
            ("avsc", event_type.schema_json().as_bytes()),
            ("avro", &body),
            ("json", &line),
        ] {
            let path = file(&folder, event_type, extension);
            if std::env::var_os("UPDATE").is_some() && !path.exists() {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&path, bytes).unwrap();
            }
            let released = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert!(
                released == bytes,
                "{} differs: a released format stays; make a new folder and set RELEASE",
                path.display()
            );
        }
    }
}

#[test]
fn every_released_body_is_still_the_same_event() {
    for folder in releases() {
        for event_type in EventType::ALL {
            let schema = file(&folder, event_type, "avsc");
            let Ok(schema) = fs::read_to_string(schema) else {
                continue; // a type that came later
            };
            let writer = Writer::parse(&schema).unwrap();
            assert_eq!(writer.event_type(), event_type);
            let body = fs::read(file(&folder, event_type, "avro")).unwrap();
            let line = fs::read(file(&folder, event_type, "json")).unwrap();
            assert_eq!(writer.decode(&body).unwrap(), json::read(&line).unwrap());
        }
    }
}

#[test]
fn every_pair_of_releases_is_compatible_both_ways() {
    for event_type in EventType::ALL {
        let mut schemas = vec![Schema::parse_str(event_type.schema_json()).unwrap()];
        for folder in releases() {
            if let Ok(text) = fs::read_to_string(file(&folder, event_type, "avsc")) {
                schemas.push(Schema::parse_str(&text).unwrap());
            }
        }
        for writer in &schemas {
            for reader in &schemas {
                SchemaCompatibility::can_read(writer, reader).unwrap();
            }
        }
    }
}
