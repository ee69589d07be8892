//! The second line of defence before a reader's query: words that readers have no use for.
//! Needs: the query's text.    Promises: pure; a query of more than one statement, or one that is not a SELECT or asks
//! for the schema, is refused before ClickHouse sees it.
//! Leaves out: deciding whose rows are seen (grants, row filters, `readonly`: the first line). This one stops what has
//! no grant: functions that see past row filters, counts of foreign rows in plans and part offsets, names of the host.
//! `parsed` asks the same of ClickHouse's own parse.

use std::ops::Range;

use super::names::{function_refused, word_refused};

/// What a query may begin with.
const BEGINNINGS: [&str; 5] = ["select", "with", "show", "describe", "desc"];
/// What may follow SHOW.
const SHOWN: [&str; 4] = ["tables", "databases", "columns", "fields"];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A word, lower case, quoted or not.
    Word(String),
    Symbol(char),
    Other,
}

/// The query without its FORMAT clause, or a reason for the caller to be refused.
pub(super) fn check(query: &str) -> Result<Screened<'_>, String> {
    let tokens = tokens(query)?;
    let meanings: Vec<&Token> = tokens.iter().map(|(_, token)| token).collect();
    check_beginning(&meanings)?;
    let end_of_statement = Token::Symbol(';');
    let last = meanings
        .iter()
        .rposition(|token| **token != end_of_statement);
    let end = last.map_or(0, |at| at + 1);
    if meanings
        .iter()
        .take(end)
        .any(|token| **token == end_of_statement)
    {
        return Err("one statement at a time".to_owned());
    }
    let followers = meanings.iter().skip(1).copied().map(Some).chain([None]);
    for (token, next) in meanings.iter().zip(followers) {
        if let Token::Word(word) = token {
            check_word(word, next == Some(&Token::Symbol('(')))?;
        }
    }
    Ok(without_format(query, tokens.get(..end).unwrap_or_default()))
}

/// A query that passed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Screened<'a> {
    pub(super) text: &'a str,
    /// What its FORMAT clause named.
    pub(super) format: Option<&'a str>,
}

fn check_beginning(tokens: &[&Token]) -> Result<(), String> {
    let mut meaning = tokens
        .iter()
        .skip_while(|token| ***token == Token::Symbol('('));
    let Some(Token::Word(first)) = meaning.next() else {
        return Err("a query begins with SELECT, WITH, SHOW or DESCRIBE".to_owned());
    };
    if !BEGINNINGS.contains(&first.as_str()) {
        return Err("a query begins with SELECT, WITH, SHOW or DESCRIBE".to_owned());
    }
    let shown = matches!(meaning.next(), Some(Token::Word(next)) if SHOWN.contains(&next.as_str()));
    if first == "show" && !shown {
        return Err("of SHOW, only TABLES, DATABASES and COLUMNS are for readers".to_owned());
    }
    Ok(())
}

fn check_word(word: &str, called: bool) -> Result<(), String> {
    let refused = word_refused(word) || (called && function_refused(word));
    if refused {
        Err(format!("\"{word}\" is not for readers"))
    } else {
        Ok(())
    }
}

/// Cuts `FORMAT name` from the end, so that it applies to the result and not to the syntax tree.
fn without_format<'a>(query: &'a str, tokens: &[(Range<usize>, Token)]) -> Screened<'a> {
    if let [.., (clause, Token::Word(word)), (name, Token::Word(_))] = tokens
        && word == "format"
        && let (Some(text), Some(format)) = (query.get(..clause.start), query.get(name.clone()))
    {
        return Screened {
            text,
            format: Some(format),
        };
    }
    let end = tokens.last().map_or(0, |(last, _)| last.end);
    Screened {
        text: query.get(..end).unwrap_or_default(),
        format: None,
    }
}

/// Words and symbols of the query; strings, numbers and comments are one token or none.
fn tokens(query: &str) -> Result<Vec<(Range<usize>, Token)>, String> {
    let mut at = 0;
    let mut tokens = Vec::new();
    while let Some(rest) = query.get(at..)
        && let Some(c) = rest.chars().next()
    {
        let (token, length) = match c {
            c if c.is_ascii_whitespace() || c == '\u{b}' => (None, 1),
            '-' if rest.starts_with("--") => (None, line_length(rest)),
            '/' if rest.starts_with("/*") => (None, comment_length(rest)?),
            '\'' => (Some(Token::Other), quoted(rest, '\'')?.1),
            '`' | '"' => {
                let (text, length) = quoted(rest, c)?;
                (Some(Token::Word(text.to_ascii_lowercase())), length)
            }
            '$' | '#' => return Err(format!("{c} stands only inside quotes")),
            c if c.is_ascii_alphabetic() || c == '_' => {
                let length = word_length(rest);
                let word = rest.get(..length).unwrap_or_default().to_ascii_lowercase();
                (Some(Token::Word(word)), length)
            }
            c if c.is_ascii_digit() => (Some(Token::Other), word_length(rest)),
            c if c.is_ascii_graphic() => (Some(Token::Symbol(c)), 1),
            _ => return Err("letters beyond ASCII stand only inside quotes".to_owned()),
        };
        tokens.extend(token.map(|token| (at..at + length, token)));
        at += length;
    }
    Ok(tokens)
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

fn line_length(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

fn comment_length(text: &str) -> Result<usize, String> {
    let end = text.get(2..).and_then(|rest| rest.find("*/"));
    let length = end.map(|end| end + 4).ok_or("a comment does not end")?;
    // ClickHouse does not nest comments; others do, and a query must mean one thing.
    if text
        .get(2..length - 2)
        .is_some_and(|inside| inside.contains("/*"))
    {
        return Err("a comment holds a comment".to_owned());
    }
    Ok(length)
}

/// Text between quotes, without escapes, and its length with quotes.
fn quoted(text: &str, quote: char) -> Result<(String, usize), String> {
    let mut inside = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c == '\\' {
            // An escape in a name could spell a refused word in another way.
            if quote != '\'' {
                return Err("a quoted name holds a backslash".to_owned());
            }
            characters.next();
        } else if c == quote {
            if characters.peek().is_none_or(|(_, next)| *next != quote) {
                return Ok((inside, at + 1));
            }
            characters.next();
            inside.push(quote);
        } else {
            inside.push(c);
        }
    }
    Err("a quote does not end".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readers_ask_passes() {
        for query in [
            "SELECT 1",
            " (select 1) union all (select 2);",
            "WITH t AS (SELECT * FROM downloads_daily) SELECT show, sum(downloads) FROM t GROUP BY show",
            "SELECT 'drop table x; settings' -- insert\n, \"show\" FROM pacing FINAL /* system */",
            "SHOW TABLES",
            "describe table pacing",
            "SELECT {day:Date}, 1e-3, x[1], 'it''s', 'a\\'b' FROM t WHERE s LIKE '%é%' FORMAT JSON",
            "SELECT url FROM serving.t",
        ] {
            assert!(check(query).is_ok(), "{query}: {:?}", check(query));
        }
    }

    #[test]
    fn what_readers_have_no_use_for_is_refused() {
        for query in [
            "",
            ";",
            "SELECT 1; SELECT 2",
            "SELECT 1;;DROP TABLE x",
            "INSERT INTO t VALUES (1)",
            "EXPLAIN SELECT 1",
            "SELECT * FROM (EXPLAIN ESTIMATE SELECT * FROM t)",
            "SELECT 1 SETTINGS readonly = 0",
            "SELECT 1 set/**/tings readonly = 0, SeTTings x = 1",
            "SELECT * FROM system.tables",
            "SELECT * FROM `system`.tables",
            "SELECT * FROM \"internal\".progress",
            "SELECT * FROM `sys\\x74em`.tables",
            "SELECT * FROM url('http://x')",
            "SELECT * FROM URL /* c */ ('http://x')",
            "SELECT `file`('/etc/passwd')",
            "SELECT _part_offset FROM t",
            "SELECT * FROM {t:Identifier}",
            "SELECT $$a$$",
            "SELECT ‘a’",
            "SELECT '",
            "SELECT /* ",
            "SELECT /* /* */ 1 */",
            "SHOW CREATE TABLE x",
            "SHOW GRANTS",
            "SELECT 1 INTO OUTFILE 'x'",
            "SELECT getClientHTTPHeader('x')",
            "SELECT icebergS3('x')",
            "\0SELECT 1",
            "SELECT 1 # file('x')",
            "SELECT * FROM eval('SELECT 1')",
            "SELECT * FROM mergeTreeIndex(serving, t)",
        ] {
            assert!(check(query).is_err(), "{query}");
        }
    }

    #[test]
    fn the_format_clause_is_cut_off() {
        let screened = |text, format| Ok(Screened { text, format });
        assert_eq!(
            check("SELECT 1 FORMAT JSON ; -- x"),
            screened("SELECT 1 ", Some("JSON"))
        );
        assert_eq!(
            check("SELECT 'FORMAT JSON'"),
            screened("SELECT 'FORMAT JSON'", None)
        );
        assert_eq!(
            check("SELECT format('{}', x) ;;"),
            screened("SELECT format('{}', x)", None)
        );
        assert_eq!(
            check("SELECT 1 FORMAT \"JSON\"").map(|s| s.format),
            Ok(Some("\"JSON\""))
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_judged(text in ".{0,80}", pieces in "[-'\"`/*$#;(){}\\\\ a-z\n]{0,60}") {
            for query in [text, format!("SELECT {pieces}"), pieces] {
                if let Ok(screened) = check(&query) {
                    proptest::prop_assert!(query.contains(screened.text));
                    proptest::prop_assert!(!screened.text.trim_end().ends_with(';'));
                }
            }
        }

        #[test]
        fn a_call_is_found_between_any_strings(
            before in "[^'\\\\]{0,20}", space in "[ \n\t]{0,3}", name in "file|URL|mergeTreeIndex|eval",
        ) {
            let query = format!("SELECT '{before}', \"x\", {name}{space}/*'*/('a')");
            proptest::prop_assert!(check(&query).is_err());
        }
    }
}
