//! Why a function is not compiled, for the person who wrote it.

use std::borrow::Cow;
use std::fmt;

use iris_jit::ir::Span;

/// A reason, its place and a mend; the function runs as Python.
///
/// It prints as one line; [`Refusal::render`] shows the source too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is not compiled, as a lower-case fragment.
    pub reason: Cow<'static, str>,
    /// Line in the file, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What to write instead, as a lower-case fragment.
    pub mend: Cow<'static, str>,
    /// Line in the file of the first line of the source text.
    first_line: u32,
    /// Whether it stands in a function that is called, which the reason names.
    of_callee: bool,
}

impl Refusal {
    /// A refusal of the whole of a function, as where its source cannot be read.
    pub fn of_whole(
        reason: impl Into<Cow<'static, str>>,
        mend: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(Span { line: 0, column: 0 }, reason, mend)
    }

    pub(crate) fn new(
        span: Span,
        reason: impl Into<Cow<'static, str>>,
        mend: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            reason: reason.into(),
            line: span.line,
            column: span.column,
            mend: mend.into(),
            first_line: 1,
            of_callee: false,
        }
    }

    /// The same as the caller of the refused function is told: at the place of the call, with the
    /// cause first. Of a chain of calls only the last is named, so that it stays one line.
    #[must_use]
    pub(crate) fn seen_from(mut self, call: Span, callee: &str) -> Self {
        if !self.of_callee {
            self.reason = match (&self.reason, self.line, self.column) {
                (reason, 0, _) => format!("{reason}, in {callee}"),
                (reason, line, column) => format!("{reason}, in {callee} at {line}:{column}"),
            }
            .into();
            self.of_callee = true;
        }
        self.line = call.line;
        self.column = call.column;
        self
    }

    /// Says where the source text starts in its file, for [`Refusal::render`].
    #[must_use]
    pub(crate) fn in_text_from(mut self, first_line: u32) -> Self {
        self.first_line = first_line;
        self
    }

    /// The refusal with its source line and a caret; `source` is the text that was parsed.
    pub fn render(&self, source: &str) -> String {
        let row = self.line.saturating_sub(self.first_line) as usize;
        let Some(text) = source.lines().nth(row) else {
            return format!("{self}\n");
        };
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        // Tabs stay tabs, so that the caret stands below its column at any tab width.
        let before = text.chars().take(self.column.saturating_sub(1) as usize);
        let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        format!(
            "not compiled: {}\n{margin} |\n{number} | {text}\n{margin} | {indent}^\n{margin} = mend: {}\n",
            self.reason, self.mend
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {} (mend: {})",
            self.line, self.column, self.reason, self.mend
        )
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_refusal_points_at_its_source() {
        let span = Span {
            line: 42,
            column: 14,
        };
        let refusal = Refusal::new(span, "lambda is not compiled", "write a def").in_text_from(41);
        let source = "def f(x):\n\ty = x; f = lambda: y\n";
        expect![[r"
            not compiled: lambda is not compiled
               |
            42 | 	y = x; f = lambda: y
               | 	            ^
               = mend: write a def
        "]]
        .assert_eq(&refusal.render(source));
        assert_eq!(
            refusal.to_string(),
            "42:14: lambda is not compiled (mend: write a def)"
        );
    }

    #[test]
    fn a_place_outside_the_source_is_no_panic() {
        let refusal = Refusal::new(Span { line: 9, column: 1 }, "reason", "mend");
        assert_eq!(refusal.render("x"), "9:1: reason (mend: mend)\n");
    }
}
