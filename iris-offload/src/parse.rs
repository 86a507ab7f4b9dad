//! Source text to [`Hir`].
//!
//! The parser crate can overflow the stack on hostile text, so `limits` bounds the text before
//! the parser sees it. Nothing outside this module knows the parser's tree.

mod convert;
mod limits;
mod text;

use rustpython_parser::{Parse, ast};

use crate::hir::Hir;
use crate::refusal::Refusal;
use text::Text;

pub use limits::{MAX_NESTING, MAX_SOURCE_BYTES};

/// Parses the `def` of this name in a source text, which may be indented as a whole.
///
/// `first_line` is the number of the text's first line in its file.
///
/// # Errors
///
/// The first thing that is not compiled.
pub fn parse(source: &str, name: &str, first_line: u32) -> Result<Hir, Refusal> {
    parse_text(&Text::new(source, first_line), name).map_err(|r| r.in_text_from(first_line))
}

fn parse_text(text: &Text<'_>, name: &str) -> Result<Hir, Refusal> {
    limits::check(text)?;
    let suite = parse_suite(text)?;
    let suite = if text.is_wrapped() {
        unwrap(suite)
    } else {
        suite
    };
    let mut found = suite
        .into_iter()
        .filter(|stmt| defined_name(stmt) == Some(name));
    let missing = || {
        Refusal::new(
            text.start(),
            format!("the source has no def named {name}"),
            "apply the decorator to a def in a file",
        )
    };
    let def = found.next().ok_or_else(missing)?;
    if let Some(again) = found.next() {
        return Err(Refusal::new(
            text.span(&again),
            format!("{name} is defined twice in the source"),
            "give each def its own name",
        ));
    }
    match def {
        ast::Stmt::FunctionDef(def) => convert::function(text, &def),
        other => Err(Refusal::new(
            text.span(&other),
            format!("{name} is async"),
            "use a plain def: compiled code cannot be suspended",
        )),
    }
}

fn parse_suite(text: &Text<'_>) -> Result<ast::Suite, Refusal> {
    // A panic of the parser is a refusal too: text from outside must not end the caller.
    let parsed = std::panic::catch_unwind(|| ast::Suite::parse(text.parsed(), "<source>"));
    let mend = "check the syntax; syntax newer than Python 3.11 is not known";
    match parsed {
        Ok(Ok(suite)) => Ok(suite),
        Ok(Err(error)) => {
            let span = text.span_at(error.offset);
            Err(Refusal::new(
                span,
                format!("syntax is not understood: {}", error.error),
                mend,
            ))
        }
        Err(_) => Err(Refusal::new(text.start(), "the parser failed", mend)),
    }
}

/// The statements inside the `if` that [`Text`] puts around indented text.
fn unwrap(suite: ast::Suite) -> ast::Suite {
    match suite.into_iter().next() {
        Some(ast::Stmt::If(wrapper)) => wrapper.body,
        _ => Vec::new(),
    }
}

fn defined_name(stmt: &ast::Stmt) -> Option<&str> {
    match stmt {
        ast::Stmt::FunctionDef(def) => Some(def.name.as_str()),
        ast::Stmt::AsyncFunctionDef(def) => Some(def.name.as_str()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    #[expect(clippy::needless_pass_by_value, reason = "`expect!` makes a value")]
    fn check_refusal(source: &str, first_line: u32, expected: Expect) {
        expected.assert_eq(&parse(source, "f", first_line).unwrap_err().render(source));
    }

    #[test]
    fn a_refusal_in_indented_text_keeps_line_and_column() {
        let source = "    @offload\n    def f(x):\n        \"\"\"Text\nleft of it.\"\"\"\n        y = x + {1: 2}\n";
        check_refusal(
            source,
            100,
            expect![[r"
                not compiled: a dict is not compiled
                    |
                104 |         y = x + {1: 2}
                    |                 ^
                    = mend: compute with int, float and bool only
            "]],
        );
    }

    #[test]
    fn a_refusal_counts_characters_and_continued_lines() {
        check_refusal(
            "def f(x):\r\n    return (x +  # längs\r\n        'é' + x)\r\n",
            1,
            expect![[r"
                not compiled: a string is not compiled
                  |
                3 |         'é' + x)
                  |         ^
                  = mend: compute with int, float and bool only
            "]],
        );
        check_refusal(
            "def f(x): return x +\n",
            7,
            expect![[r"
                not compiled: syntax is not understood: invalid syntax. Got unexpected token Newline
                  |
                7 | def f(x): return x +
                  |                     ^
                  = mend: check the syntax; syntax newer than Python 3.11 is not known
            "]],
        );
    }

    #[test]
    fn free_names_are_listed_once_in_order_of_use() {
        let source = "def f(x):\n    y = K * math.sin(x)\n    return math.sin(y) + abs(K)\n";
        let hir = parse(source, "f", 1).unwrap();
        let paths: Vec<String> = hir.free.iter().map(crate::FreeName::path).collect();
        assert_eq!(paths, ["K", "math.sin", "abs"]);
        assert_eq!(hir.locals, ["x", "y"]);
    }

    #[test]
    fn a_name_that_is_assigned_anywhere_is_local_everywhere() {
        let source = "def f(x):\n    if x:\n        abs = x\n    return abs\n";
        let hir = parse(source, "f", 1).unwrap();
        assert_eq!(hir.locals, ["x", "abs"]);
        assert_eq!(hir.free, []);
    }

    const WORDS: [&str; 40] = [
        "def f(x):\n    ",
        "return ",
        "x",
        "y",
        " = ",
        "+",
        "-",
        "**",
        "//",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "if ",
        "else ",
        "elif ",
        ":",
        "\n",
        "\n    ",
        "\n        ",
        "lambda ",
        "not ",
        "and ",
        "or ",
        "<",
        "==",
        "1",
        "2.5",
        "1e",
        "0x",
        "'",
        "\"\"\"",
        "f'",
        "\\",
        ",",
        "*",
        "\t",
        "é",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn no_text_is_a_panic(
            words in proptest::collection::vec(proptest::sample::select(&WORDS[..]), 0..40),
            indent in proptest::bool::ANY,
        ) {
            let indent = if indent { "  " } else { "" };
            let source = format!("{indent}def f(x):\n    {}", words.concat());
            if let Err(refusal) = parse(&source, "f", 1) {
                prop_assert!(refusal.reason != "the parser failed");
                refusal.render(&source);
            }
        }
    }
}
