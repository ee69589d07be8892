//! The guides' commands print what the guides say: every block ```` ```console ```` is run by a shell, in a folder with the samples.
//! `UPDATE=1` writes what they print into the page.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{hostread, text};

const GUIDES: [&str; 3] = [
    "docs/guides/counting.md",
    "docs/guides/lists.md",
    "docs/guides/attribution.md",
];
const BEGIN: &str = "```console\n$ ";

fn repository() -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    dir.canonicalize().unwrap()
}

/// What a command prints: standard output, then standard error.
fn shell(dir: &Path, command: &str) -> String {
    let binary = hostread(dir, &[]);
    let folder = Path::new(binary.get_program()).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", command]);
    shell
        .current_dir(dir)
        .env("PATH", format!("{}:{path}", folder.display()));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HOSTREAD_")) {
        shell.env_remove(name);
    }
    text(&shell.output().unwrap())
}

/// The page with what its commands print now.
fn run_again(dir: &Path, page: &str) -> String {
    let mut parts = page.split(BEGIN);
    let mut now = parts.next().unwrap().to_owned();
    for part in parts {
        let (block, rest) = part.split_once("\n```\n").unwrap();
        let mut lines = block.lines();
        let mut command = vec![lines.next().unwrap()];
        // Further lines of a command are indented.
        command.extend(lines.take_while(|line| line.starts_with("  ")));
        let command = command.join("\n");
        let printed = shell(dir, &command);
        let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
        let printed = printed.join("\n");
        let block = format!("{command}\n{printed}").trim_end().to_owned();
        write!(now, "{BEGIN}{block}\n```\n{rest}").unwrap();
    }
    now
}

#[test]
fn commands_print_what_the_guides_say() {
    let dir = tempfile::tempdir().unwrap();
    let samples = repository().join("samples");
    std::os::unix::fs::symlink(samples, dir.path().join("samples")).unwrap();
    for guide in GUIDES {
        let path = repository().join(guide);
        let page = std::fs::read_to_string(&path).unwrap();
        let now = run_again(dir.path(), &page);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        assert!(page.matches(BEGIN).count() > 3, "{guide} has no commands");
        assert_eq!(
            page, now,
            "{guide}: UPDATE=1 writes it anew; read the difference"
        );
    }
}
