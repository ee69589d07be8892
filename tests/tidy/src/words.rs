//! Words that stand in no file: work put off, folders of one machine, hosts of registries, half-done merges.

use crate::tree::{File, files};

/// Written in two pieces, so that this file passes its own check.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("TO", "DO", "work put off: do it, or open an issue"),
    ("FIX", "ME", "work put off: do it, or open an issue"),
    ("/ro", "ot/", "a folder of one machine"),
    ("/ho", "me/", "a folder of one machine"),
    ("/Us", "ers/", "a folder of one machine"),
    ("/wo", "rk/", "a folder of one machine"),
    ("crates", ".io/", "a registry's host; its client knows it"),
    ("npm", "js.org", "a registry's host; its client knows it"),
    ("py", "pi.org", "a registry's host; its client knows it"),
    (
        "maven",
        ".org/maven2",
        "a registry's host; its client knows it",
    ),
    (
        "maven.apache",
        ".org/maven2",
        "a registry's host; its client knows it",
    ),
    (
        "proxy.go",
        "lang.org",
        "a registry's host; its client knows it",
    ),
    (
        "deb.de",
        "bian.org",
        "a registry's host; its client knows it",
    ),
    ("<<<<", "<<< ", "a merge that was not finished"),
    (">>>>", ">>> ", "a merge that was not finished"),
];

/// Written by tools, or by others.
const NOT_OURS: [&str; 2] = ["Cargo.lock", "LICENSE"];

fn faults(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files {
        if NOT_OURS.contains(&file.path.as_str()) {
            continue;
        }
        for (number, line) in (1..).zip(file.text.lines()) {
            for (first, second, why) in FORBIDDEN {
                let word = [*first, *second].concat();
                if line.contains(&word) {
                    faults.push(format!("{}:{number}: \"{word}\": {why}", file.path));
                }
            }
        }
    }
    faults
}

#[test]
fn no_forbidden_words() {
    assert_eq!(faults(&files()), Vec::<String>::new());
}

#[test]
fn each_forbidden_word_is_found() {
    for (first, second, _) in FORBIDDEN {
        let text = format!("fine\n// {first}{second}more\n");
        let found = faults(&[File::new("a.rs", &text)]);
        assert_eq!(found.len(), 1, "{first}{second}");
        assert!(found[0].starts_with("a.rs:2: "), "{}", found[0]);
        assert_eq!(faults(&[File::new("Cargo.lock", &text)]).len(), 0);
    }
}
