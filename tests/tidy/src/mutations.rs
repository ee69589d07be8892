//! Every mutation of the list still finds the place for its mistake: the run that makes them all takes an hour, this an instant.

use crate::tree::{File, files};

const LIST: &str = "tests/mutations/list.txt";

#[derive(Default)]
struct Mutation<'a> {
    name: &'a str,
    file: &'a str,
    old: Vec<&'a str>,
}

fn mutations(list: &str) -> Vec<Mutation<'_>> {
    let mut found = Vec::new();
    for line in list.lines() {
        if let Some(name) = line.strip_prefix("= ") {
            found.push(Mutation {
                name,
                ..Mutation::default()
            });
        }
        let Some(last) = found.last_mut() else {
            continue;
        };
        if let Some(file) = line.strip_prefix("file ") {
            last.file = file;
        } else if let Some(old) = line.strip_prefix("- ") {
            last.old.push(old);
        }
    }
    found
}

/// Words with one space between them: where a line breaks is rustfmt's matter.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn faults(files: &[File]) -> Vec<String> {
    let text_of = |path: &str| files.iter().find(|file| file.path == path);
    let mut faults = Vec::new();
    let list = text_of(LIST).map_or("", |list| &list.text);
    let mutations = mutations(list);
    if mutations.is_empty() {
        faults.push(format!("{LIST} is empty"));
    }
    for Mutation { name, file, old } in mutations {
        let text = text_of(file).map_or_else(String::new, |file| words(&file.text));
        let times = text.matches(&words(&old.join(" "))).count();
        if times != 1 {
            faults.push(format!("\"{name}\" stands {times} times in {file}"));
        }
    }
    faults
}

#[test]
fn every_mutation_finds_its_place() {
    assert_eq!(faults(&files()), Vec::<String>::new());
}

#[test]
fn a_place_that_is_gone_or_twice_is_told() {
    let list = "= one\nfile a.rs\ntest x\n- let a =\n- 1;\n+ 2;\n\n= two\nfile a.rs\n- b\n+ c\n\n= three\nfile c.rs\n- b\n+ c\n";
    let code = "let a\n    = 1;\nb; b;";
    let found = faults(&[File::new(LIST, list), File::new("a.rs", code)]);
    let expected = [
        "\"two\" stands 2 times in a.rs",
        "\"three\" stands 0 times in c.rs",
    ];
    assert_eq!(found, expected);
    assert_eq!(faults(&[]).len(), 1, "an empty list");
}
