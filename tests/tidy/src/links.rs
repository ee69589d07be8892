//! Links between Markdown files lead somewhere: the file is there, and so is the heading.

use std::collections::BTreeSet;

use crate::tree::{File, files, root};

/// Target of every inline link or picture outside code, with its line number.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Every second piece stands between backticks.
        for piece in line.split('`').step_by(2) {
            let targets = piece.split("](").skip(1);
            found.extend(targets.filter_map(|rest| Some((number, rest.split_once(')')?.0))));
        }
    }
    found
}

/// The name that a heading has in links.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    heading
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || matches!(c, '-' | '_') => Some(c),
            _ => None,
        })
        .collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(anchor)
        .collect()
}

/// `folder/of/page.md` and `../x.md` to `folder/x.md`; nothing when it leads out of the checkout.
fn resolve(page: &str, target: &str) -> Option<String> {
    let mut path: Vec<&str> = page.split('/').collect();
    path.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                path.pop()?;
            }
            part => path.push(part),
        }
    }
    Some(path.join("/"))
}

fn faults(files: &[File], is_there: impl Fn(&str) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    for page in files.iter().filter(|file| file.is("md")) {
        for (number, link) in links(&page.text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (target, heading) = link.split_once('#').unwrap_or((link, ""));
            let path = if target.is_empty() {
                Some(page.path.clone())
            } else {
                resolve(&page.path, target)
            };
            let Some(path) = path.filter(|path| is_there(path)) else {
                faults.push(format!("{}:{number}: {link} is not there", page.path));
                continue;
            };
            let text = files.iter().find(|file| file.path == path);
            if !heading.is_empty() && !text.is_some_and(|f| anchors(&f.text).contains(heading)) {
                faults.push(format!("{}:{number}: {link}: no such heading", page.path));
            }
        }
    }
    faults
}

#[test]
fn links_lead_somewhere() {
    let root = root();
    assert_eq!(
        faults(&files(), |path| root.join(path).exists()),
        Vec::<String>::new()
    );
}

#[test]
fn a_broken_link_is_found() {
    let readme = |text: &str| {
        let files = [
            File::new("README.md", text),
            File::new("docs/a.md", "# One two: three\n[up](../README.md)\n"),
        ];
        faults(&files, |path| ["README.md", "docs/a.md"].contains(&path)).len()
    };
    assert_eq!(
        readme("[a](docs/a.md) [b](docs/a.md#one-two-three) [c](https://example.com)"),
        0
    );
    assert_eq!(readme("[a](docs/b.md)"), 1);
    assert_eq!(readme("[a](docs/a.md#two)"), 1);
    assert_eq!(readme("[a](../b.md)"), 1);
    assert_eq!(readme("[a](#nothing)"), 1);
    assert_eq!(readme("`[a](docs/b.md)`\n```\n[a](docs/b.md)\n```\n"), 0);
}
