//! Bounds on the text before it is parsed.

use iris_jit::ir::Span;
use rustpython_parser::lexer::lex;
use rustpython_parser::{Mode, StringKind, Tok};

use super::text::Text;
use crate::refusal::Refusal;

/// Most bytes of source text of one function.
pub const MAX_SOURCE_BYTES: usize = 64 * 1024;

/// Most levels of brackets, and of statements and expressions in each other.
pub const MAX_NESTING: usize = 200;

/// Most levels of blocks: `CPython`'s own limit.
const MAX_INDENTS: usize = 100;

/// Most operators in one statement: each may be a level of the parser's tree, which is dropped
/// recursively (about 100 bytes of stack per level).
const MAX_OPERATORS: usize = 2_000;

/// Refuses text that could overflow the stack of the parser.
pub(super) fn check(text: &Text<'_>) -> Result<(), Refusal> {
    if text.source().len() > MAX_SOURCE_BYTES {
        return Err(Refusal::new(
            text.start(),
            format!("the source is longer than {MAX_SOURCE_BYTES} bytes"),
            "split the function",
        ));
    }
    let mut depth = Depth::default();
    for token in lex(text.parsed(), Mode::Module) {
        let (token, range) = token.map_err(|error| {
            Refusal::new(
                text.span_at(error.location),
                format!("syntax is not understood: {}", error.error),
                "check the syntax; syntax newer than Python 3.11 is not known",
            )
        })?;
        let span = text.span_at(range.start());
        match token {
            // Its expressions are parsed by recursion, out of sight of this lexer.
            Tok::String {
                kind: StringKind::FString | StringKind::RawFString,
                ..
            } => {
                return Err(Refusal::new(
                    span,
                    "an f-string is not compiled",
                    "keep text out of the function",
                ));
            }
            token => depth.count(&token, span)?,
        }
    }
    Ok(())
}

#[derive(Default)]
struct Depth {
    brackets: usize,
    indents: usize,
    elifs: usize,
    operators: usize,
}

impl Depth {
    fn count(&mut self, token: &Tok, span: Span) -> Result<(), Refusal> {
        match token {
            Tok::Lpar | Tok::Lsqb | Tok::Lbrace => self.brackets += 1,
            Tok::Rpar | Tok::Rsqb | Tok::Rbrace => self.brackets = self.brackets.saturating_sub(1),
            Tok::Indent => self.indents += 1,
            Tok::Dedent => self.indents = self.indents.saturating_sub(1),
            // Each `elif` is an `if` inside the `else` of the one before.
            Tok::Elif => self.elifs += 1,
            Tok::Newline => {
                self.operators = 0;
                self.brackets = 0;
            }
            Tok::Name { .. }
            | Tok::Int { .. }
            | Tok::Float { .. }
            | Tok::String { .. }
            | Tok::Comma
            | Tok::Semi => {}
            _ => self.operators += 1,
        }
        // A call chain `f()()()` nests by closed brackets.
        if matches!(token, Tok::Rpar | Tok::Rsqb) {
            self.operators += 1;
        }
        let deepest = self.brackets.max(self.elifs);
        if deepest > MAX_NESTING || self.indents > MAX_INDENTS || self.operators > MAX_OPERATORS {
            return Err(too_deep(span));
        }
        Ok(())
    }
}

/// The refusal of nesting beyond [`MAX_NESTING`].
pub(super) fn too_deep(span: Span) -> Refusal {
    Refusal::new(
        span,
        format!("nested deeper than {MAX_NESTING} levels, or too long a statement"),
        "name intermediate results",
    )
}
