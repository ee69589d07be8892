//! Settings that files outside the code name are settings that there are.

use std::collections::BTreeSet;

use crate::tree::{File, files};

const DEFAULTS: &str = "hostread/default.toml";
/// Files that name settings by their environment variables.
const USERS: [&str; 4] = [
    "docker-compose.yml",
    "Dockerfile",
    "README.md",
    "SECURITY.md",
];
/// Variables that are no setting of `default.toml`.
const OTHERS: [&str; 6] = [
    "HOSTREAD_TENANTS",
    "HOSTREAD_TARGET_DIR",
    "HOSTREAD_CONFIG_PATH",
    "HOSTREAD_LOG",
    "HOSTREAD_BIN",
    "HOSTREAD_KEEP",
];

/// `HOSTREAD_SECTION__KEY` of every key in the defaults.
fn variables(defaults: &str) -> BTreeSet<String> {
    let mut section = String::new();
    let mut found = BTreeSet::new();
    for line in defaults.lines() {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = format!("{}__", name.replace('.', "__"));
        } else if let Some((key, _)) = line.split_once(" = ")
            && !line.starts_with('#')
        {
            found.insert(format!("HOSTREAD_{section}{key}").to_uppercase());
        }
    }
    found
}

/// Every word of a text that starts like one of our variables.
fn named(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("HOSTREAD_") && !word.ends_with('_'))
}

fn faults(files: &[File]) -> Vec<String> {
    let text_of = |path: &str| files.iter().find(|file| file.path == path);
    let known = variables(text_of(DEFAULTS).map_or("", |file| &file.text));
    let mut faults = Vec::new();
    for path in USERS {
        let Some(file) = text_of(path) else {
            faults.push(format!("{path} is not there"));
            continue;
        };
        for word in named(&file.text) {
            let setting = word.strip_suffix("_FILE").unwrap_or(word);
            if !known.contains(setting) && !OTHERS.contains(&setting) {
                faults.push(format!("{path}: {word} is no setting of {DEFAULTS}"));
            }
        }
    }
    faults
}

#[test]
fn named_settings_exist() {
    assert_eq!(faults(&files()), Vec::<String>::new());
}

#[test]
fn an_unknown_setting_is_found() {
    let with = |variable: &str| {
        let mut files: Vec<File> = USERS.iter().map(|path| File::new(path, "")).collect();
        files[0].text = format!("      {variable}: x\n");
        files.push(File::new(
            DEFAULTS,
            "id_key = \"\"\n[log]\n# old = 1\nkind = \"kafka\"\n[log.properties]\na = 1\n",
        ));
        faults(&files).len()
    };
    for good in [
        "HOSTREAD_ID_KEY_FILE",
        "HOSTREAD_LOG__KIND",
        "HOSTREAD_LOG__PROPERTIES__A",
        "HOSTREAD_TENANTS_FILE",
    ] {
        assert_eq!(with(good), 0, "{good}");
    }
    for bad in ["HOSTREAD_KIND", "HOSTREAD_LOG__OLD", "HOSTREAD_LOG__KINDS"] {
        assert_eq!(with(bad), 1, "{bad}");
    }
}
