//! A source text, and places in it.

use std::borrow::Cow;

use iris_jit::ir::Span;
use rustpython_parser::ast::Ranged;
use rustpython_parser::text_size::TextSize;

/// Put before indented text: its lines then are the body of an `if`. Unlike removing the
/// indentation this keeps every column, and the content of multi-line strings.
const WRAPPER: &str = "if 1:\n";

pub(super) struct Text<'a> {
    source: &'a str,
    parsed: Cow<'a, str>,
    first_line: u32,
    /// Byte offsets of the starts of the lines of `source`.
    lines: Vec<usize>,
}

impl<'a> Text<'a> {
    pub(super) fn new(source: &'a str, first_line: u32) -> Self {
        let parsed = if source.starts_with([' ', '\t']) {
            Cow::Owned(format!("{WRAPPER}{source}"))
        } else {
            Cow::Borrowed(source)
        };
        let starts = source.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        Self {
            source,
            parsed,
            first_line,
            lines,
        }
    }

    pub(super) fn source(&self) -> &str {
        self.source
    }

    /// What the parser gets.
    pub(super) fn parsed(&self) -> &str {
        &self.parsed
    }

    pub(super) fn is_wrapped(&self) -> bool {
        matches!(self.parsed, Cow::Owned(_))
    }

    /// The place of the first character.
    pub(super) fn start(&self) -> Span {
        Span {
            line: self.first_line,
            column: 1,
        }
    }

    pub(super) fn span(&self, node: &impl Ranged) -> Span {
        self.span_at(node.start())
    }

    /// The place of an offset in [`Text::parsed`].
    pub(super) fn span_at(&self, offset: TextSize) -> Span {
        let wrapper = if self.is_wrapped() { WRAPPER.len() } else { 0 };
        let offset = offset
            .to_usize()
            .saturating_sub(wrapper)
            .min(self.source.len());
        let row = self.lines.partition_point(|&start| start <= offset) - 1;
        let before = self.source.get(self.lines[row]..offset).unwrap_or_default();
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span {
            line: self.first_line.saturating_add(number(row)),
            column: number(before.chars().count()).saturating_add(1),
        }
    }
}
