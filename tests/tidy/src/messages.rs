//! Every message that `docs/operations.md` quotes is one that the program prints.
//!
//! A line of a ```` ```message ```` block is texts of the program, one after another with `: ` between them as errors are printed
//! with their causes; `…` stands for what varies.

use std::collections::BTreeSet;

use crate::tree::{File, files};

const PAGE: &str = "docs/operations.md";
const VARIES: char = '…';

/// The quoted messages with their line numbers.
fn quoted(page: &str) -> Vec<(usize, &str)> {
    let (mut found, mut quotes) = (Vec::new(), false);
    for (number, line) in (1..).zip(page.lines()) {
        if line.starts_with("```") {
            quotes = line == "```message";
        } else if quotes {
            found.push((number, line.trim()));
        }
    }
    found
}

/// Every string of a source file, with `…` for what is put into it.
fn strings(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if rest.starts_with("'\"'") {
            rest = &rest[3..];
        } else if c == '"' {
            let (text, after) = string(&rest[1..]);
            found.insert(with_dots(&text));
            rest = after;
        } else {
            rest = &rest[c.len_utf8()..];
        }
    }
    found
}

/// A string behind its opening quote, and what follows it.
fn string(source: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = source.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (text, &source[at + 1..]),
            '\\' => match chars.next() {
                // The line goes on behind the indentation.
                Some((at, '\n')) => {
                    let rest = source[at..].trim_start();
                    let (more, after) = string(rest);
                    return (text + &more, after);
                }
                Some((_, escaped)) => text.push(escaped),
                None => {}
            },
            c => text.push(c),
        }
    }
    (text, "")
}

fn with_dots(text: &str) -> String {
    let mut pieces = text.split('{');
    let mut dotted = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once('}') {
            Some((_, after)) => {
                dotted.push(VARIES);
                dotted.push_str(after);
            }
            None => dotted.push_str(piece),
        }
    }
    dotted
}

/// Is it made of known strings and of what varies?
fn is_known(message: &str, known: &BTreeSet<String>) -> bool {
    let ends_well = |rest: &str| {
        rest.is_empty()
            || rest
                .strip_prefix(": ")
                .is_some_and(|rest| is_known(rest, known))
    };
    let dots = message.strip_prefix(VARIES);
    dots.is_some_and(ends_well)
        || known.iter().any(|text| {
            text.chars().any(char::is_alphabetic)
                && message.strip_prefix(text.as_str()).is_some_and(ends_well)
        })
}

fn known(files: &[File]) -> BTreeSet<String> {
    let sources = files.iter().filter(|file| {
        let of_tests = ["tests/", "benches/"]
            .iter()
            .any(|part| file.path.contains(part));
        file.is("rs") && !of_tests
    });
    let program = sources.map(|file| file.text.split("#[cfg(test)]\nmod ").next());
    program.flatten().flat_map(strings).collect()
}

fn unknown(page: &str, known: &BTreeSet<String>) -> Vec<String> {
    let quoted = quoted(page).into_iter();
    let unknown = quoted.filter(|(_, message)| !is_known(message, known));
    unknown
        .map(|(line, message)| format!("{PAGE}:{line}: the program does not print \"{message}\""))
        .collect()
}

#[test]
fn every_message_of_the_page_is_one_of_the_program() {
    let files = files();
    let page = files.iter().find(|file| file.path == PAGE).unwrap();
    assert!(quoted(&page.text).len() > 20);
    assert_eq!(unknown(&page.text, &known(&files)), Vec::<String>::new());
}

#[test]
fn a_message_that_nobody_prints_is_found() {
    let source = File::new(
        "job/src/error.rs",
        "// \"a comment\"\n#[error(\"sink \\\"{sink}\\\" stands at {}\")] '\"' \"it is \\\n      from the past\"\n#[cfg(test)]\nmod tests { \"tested\" }",
    );
    let known = known(&[source, File::new("tests/it/src/a.rs", "\"of a test\"")]);
    let page = |message: &str| format!("text\n```message\n{message}\n```\n");
    for good in [
        "sink \"…\" stands at …",
        "it is from the past",
        "sink \"…\" stands at …: it is from the past",
        "…: it is from the past",
    ] {
        assert_eq!(unknown(&page(good), &known), Vec::<String>::new(), "{good}");
    }
    for bad in [
        "it is from the",
        "sink \"a\" stands at …",
        "a comment",
        "tested",
        "of a test",
        "it is from the past: no",
    ] {
        assert_eq!(unknown(&page(bad), &known).len(), 1, "{bad}");
    }
    assert!(quoted("```text\nanything\n```").is_empty());
}
