//! Writes `docs/reference/configuration.md`, `cli.md` and `rules.md` from what the binary itself knows.
//! `UPDATE=1 cargo test -p hostread reference` writes them anew.

#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::fmt::Write;
use std::path::Path;

use clap::CommandFactory;

use crate::config::DEFAULTS;

const CONFIGURATION_HEAD: &str = "# Settings

A TOML file that `--config` (or `HOSTREAD_CONFIG_PATH`) names, over these defaults: it need only hold what differs. Every
key can also be set by the environment, levels joined by two underscores: `HOSTREAD_PIPELINE__WORKERS=4`. Any text can
stand in a file of its own, which is how secrets are given: `HOSTREAD_ID_KEY_FILE=/run/secrets/id_key`.
The environment wins over the file, a secret's file over both. A key that is not listed here is an error that names it.
`hostread doctor` checks all of it.
";

const TENANTS: &str = "
## [[tenants]]
Who may call; one table each, in the settings' file or in a TOML file of its own that `HOSTREAD_TENANTS_FILE` names.

```toml
[[tenants]]
# Its name, as in events: letters, digits, _ and -.
name = \"acme-network\"
# SHA-256 of each API key: printf %s KEY | sha256sum
api_key_sha256 = [\"64 hexadecimal digits\"]
# Names the tenant at the public doors (k=…). No secret.
public_key = \"pk-acme\"
# Key of all its pseudonyms and of its dead letters, for life: openssl rand -hex 32. Secret.
hash_key = \"64 hexadecimal digits\"

# Shopify stores, by the name in the webhook's address /hooks/shopify/NAME.
[tenants.connections.acme-shop]
store = \"acme.myshopify.com\"
secret = \"the webhook's signing secret\"

# Redirect prefixes, by the name in the address /p/NAME/https://media.example.com/episode.mp3: hosts that it may lead to.
[tenants.prefixes.acme-show]
hosts = [\"media.example.com\", \"*.cdn.example\"]
```
";

const CLI_HEAD: &str = "# Commands

Exit codes: 0 done; 1 a number differs from the truth (`up --demo --once`) or a check fails (`doctor`); 2 it could not be
done, or was asked in a way that cannot be understood.
`HOSTREAD_LOG` sets what is logged to standard error, as JSON lines (`warn` by default; `info`, `debug`, …).
";

/// The defaults as tables, a section each; a comment belongs to the next key.
fn configuration() -> String {
    let mut page = CONFIGURATION_HEAD.to_owned();
    let mut comment: Vec<&str> = Vec::new();
    let mut table_open = false;
    // The file's own introduction ends at the first empty line.
    let body = DEFAULTS.split_once("\n\n").unwrap().1;
    for line in body.lines() {
        let line = line.trim();
        if let Some(text) = line.strip_prefix('#') {
            comment.push(text.trim());
        } else if line.starts_with('[') {
            write!(page, "\n## {line}\n").unwrap();
            if !comment.is_empty() {
                writeln!(page, "{}", comment.join(" ")).unwrap();
            }
            comment.clear();
            table_open = false;
        } else if let Some((key, value)) = line.split_once(" = ") {
            if !table_open {
                page.push_str("\n| key | default | meaning |\n|---|---|---|\n");
                table_open = true;
            }
            let meaning = comment.join(" ").replace('|', "\\|");
            writeln!(page, "| `{key}` | `{value}` | {meaning} |").unwrap();
            comment.clear();
        }
    }
    page + TENANTS
}

fn cli() -> String {
    let mut page = CLI_HEAD.to_owned();
    let mut root = crate::Cli::command();
    root.build();
    page.push_str(&block("hostread", &mut root.clone()));
    commands(&mut page, &mut root, "hostread");
    page
}

fn commands(page: &mut String, parent: &mut clap::Command, path: &str) {
    for command in parent.get_subcommands_mut() {
        let path = format!("{path} {}", command.get_name());
        if command.has_subcommands() {
            commands(page, command, &path);
        } else {
            page.push_str(&block(&path, command));
        }
    }
}

fn block(path: &str, command: &mut clap::Command) -> String {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    format!(
        "\n## {path}\n```text\n{}\n```\n",
        lines.join("\n").trim_end()
    )
}

/// Equal to the file, or written to it.
fn same(file: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/reference")
        .join(file);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "docs/reference/{file} is not what the binary says; UPDATE=1 cargo test -p hostread reference"
    );
}

#[test]
fn the_settings_page_is_the_defaults() {
    same("configuration.md", &configuration());
}

#[test]
fn the_commands_page_is_the_help() {
    same("cli.md", &cli());
}

#[test]
fn the_rules_page_is_the_table() {
    same("rules.md", &crate::cmd::rules::page());
}

#[test]
fn the_commands_can_be_parsed() {
    crate::Cli::command().debug_assert();
}
