//! What became of a function, for humans.

use std::collections::BTreeSet;
use std::fmt::Write;

use iris_jit::Compiled;

use crate::refusal::Refusal;
use crate::signature::{Signature, shape_name};

/// Signature, back end and guards of a compiled function, in lines.
pub fn compiled(compiled: &Compiled) -> String {
    let prototype = compiled.prototype();
    let signature = Signature::new(prototype.params.clone());
    let results: Vec<_> = prototype.returns.iter().map(shape_name).collect();
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "{}{signature} -> {}",
        compiled.name(),
        results.join(" or ")
    );
    let _ = writeln!(out, "  back end: {}", compiled.backend());
    let guards: BTreeSet<_> = compiled
        .guards()
        .iter()
        .map(|guard| (guard.span.line, guard.span.column, guard.kind.to_string()))
        .collect();
    if guards.is_empty() {
        let _ = writeln!(out, "  guards: none, it always runs natively");
        return out;
    }
    let _ = writeln!(out, "  runs as Python on:");
    for (line, column, kind) in &guards {
        let _ = writeln!(out, "    {line}:{column}: {kind}");
    }
    out
}

/// A refusal for a signature (`None`: for any), with its source line, in lines.
pub fn refused(name: &str, signature: Option<&Signature>, why: &Refusal, source: &str) -> String {
    let signature = signature.map(Signature::to_string).unwrap_or_default();
    format!("{name}{signature} runs as Python\n{}", why.render(source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Env, Program};
    use expect_test::expect;
    use iris_jit::{Interpreter, Type};

    #[test]
    fn an_explanation_lists_guards_and_refusals() {
        let source = "def f(a, b):\n    return a // b + abs(a)\n";
        let program = Program::parse(source, "f", 10).unwrap();
        let signature = Signature::new([Type::I64, Type::I64]);
        let f = program
            .compile(&Interpreter, &signature, &Env::standard())
            .unwrap();
        expect![[r"
            f(int, int) -> int
              back end: interpreter
              runs as Python on:
                11:12: integer overflow
                11:12: zero division
                11:21: integer overflow
        "]]
        .assert_eq(&compiled(&f));

        let refusal = program
            .compile(&Interpreter, &signature, &Env::new())
            .unwrap_err();
        expect![[r"
            f(int, int) runs as Python
            not compiled: abs is not defined
               |
            11 |     return a // b + abs(a)
               |                     ^
               = mend: define or import it before the function is called
        "]]
        .assert_eq(&refused("f", Some(&signature), &refusal, source));
    }
}
