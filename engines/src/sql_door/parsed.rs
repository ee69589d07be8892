//! The query as ClickHouse itself parses it: the same names are refused in its syntax tree as in our tokens.
//! Needs: the answer to `EXPLAIN AST` as raw lines.    Promises: pure; what cannot be read as such a tree is refused.
//! Why twice: some functions (`file`, `mergeTreeIndex`) need no grant and see past row filters, so the one thing that
//! keeps readers from them must not depend on our lexer agreeing with ClickHouse's.

use super::names::{function_refused, word_refused};

/// What is put before the query; runs nothing.
pub(super) const EXPLAIN: &str = "EXPLAIN AST\n";
pub(super) const TREE_BYTES_MAX: usize = 4 << 20;

const ROOTS: [&str; 5] = [
    "SelectWithUnionQuery",
    "SelectIntersectExceptQuery",
    "ShowTables",
    "ShowColumns",
    "DescribeQuery",
];

/// Refuses a tree, with a reason for the caller.
pub(super) fn check(tree: &str) -> Result<(), String> {
    let root = tree
        .lines()
        .next()
        .and_then(|line| line.split(' ').next())
        .unwrap_or_default();
    if !ROOTS.contains(&root) {
        return Err("a query is one SELECT, SHOW or DESCRIBE".to_owned());
    }
    tree.lines().try_for_each(check_node)
}

fn check_node(line: &str) -> Result<(), String> {
    let node = line.trim_start();
    let (kind, rest) = node.split_once(' ').unwrap_or((node, ""));
    let lower = rest.to_ascii_lowercase();
    let names = lower.split(" (").next().unwrap_or_default();
    let refused = match kind {
        "Literal" => None,
        "Function" => Some(names).filter(|name| function_refused(name)),
        "Set" | "Explain" | "InsertQuery" => Some("this statement"),
        _ => names.split(['.', ' ']).find(|name| word_refused(name)),
    };
    refused.map_or(Ok(()), |name| Err(format!("\"{name}\" is not for readers")))
}

/// An exception's text with positions counted in the caller's query.
pub(super) fn shift_position(said: &str) -> String {
    const MARK: &str = "failed at position ";
    let shifted = said.split_once(MARK).and_then(|(before, after)| {
        let digits = after
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(after.len());
        let (position, rest) = after.split_at_checked(digits)?;
        let position = position.parse::<usize>().ok()?.checked_sub(EXPLAIN.len())?;
        let rest = rest
            .split_once(", col ")
            .map_or(rest.to_owned(), |(line, column)| {
                let column = column.split_once(')').map_or("", |(_, rest)| rest);
                let line = line
                    .rsplit_once(" (line ")
                    .map_or(line, |(before, _)| before);
                format!("{line}{column}")
            });
        Some(format!("{before}{MARK}{position}{rest}"))
    });
    shifted.unwrap_or_else(|| said.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_of_plain_names_passes() {
        let tree = "SelectWithUnionQuery (children 1)\n ExpressionList (children 1)\n  Function sum (alias file) (children 1)\n   Identifier url\n  TableIdentifier serving.downloads (alias t)\n  Literal 'system'";
        assert_eq!(check(tree), Ok(()));
    }

    #[test]
    fn refused_names_are_found_in_the_tree() {
        for node in [
            "Function file (children 1)",
            "Function mergeTreeIndex (alias a) (children 1)",
            "Function dictGetString (children 3)",
            "TableIdentifier system.tables",
            "TableIdentifier internal.progress t",
            "Identifier t._part_offset",
            "Set",
            "Explain EXPLAIN (children 1)",
        ] {
            let tree = format!("SelectWithUnionQuery (children 1)\n   {node}");
            assert!(check(&tree).is_err(), "{node}");
        }
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        for tree in [
            "",
            "{",
            "DropQuery  x",
            "\u{0}",
            "Explain AST\n",
            "InsertQuery   (children 2)",
        ] {
            assert!(check(tree).is_err(), "{tree}");
        }
    }

    #[test]
    fn positions_are_those_of_the_callers_query() {
        let said = "Syntax error: failed at position 20 (FORM) (line 2, col 8): FORM x.";
        assert_eq!(
            shift_position(said),
            "Syntax error: failed at position 8 (FORM): FORM x."
        );
        assert_eq!(shift_position("nothing"), "nothing");
    }
}
