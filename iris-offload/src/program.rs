//! The facade that a binding uses.

use iris_jit::{CompileError, Compiled, Compiler};

use crate::env::{Env, FreeName};
use crate::hir::Hir;
use crate::lower::{is_map, lower};
use crate::parse::parse;
use crate::refusal::Refusal;
use crate::signature::Signature;

/// A parsed function, ready to be compiled for call signatures.
///
/// # Examples
///
/// ```
/// use iris_offload::{Env, Program, Signature, Type, Value};
/// use iris_jit::CraneliftCompiler;
///
/// let source = "def area(r):\n    return math.pi * r ** 2\n";
/// let program = Program::parse(source, "area", 1)?;
/// assert_eq!(program.params(), ["r"]);
/// assert_eq!(program.free_names()[0].path(), "math.pi");
///
/// let signature = Signature::new([Type::F64]);
/// let area = program.compile(&CraneliftCompiler::new()?, &signature, &Env::standard())?;
/// assert_eq!(area.call(&[Value::F64(2.0)])?, Value::F64(12.566370614359172));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    hir: Hir,
    first_line: u32,
}

impl Program {
    /// Parses the `def` named `name` in `source`: the text of the function with its decorators,
    /// at any indentation, or a whole file. `first_line` is the number of the text's first line
    /// in its file, for messages.
    ///
    /// # Errors
    ///
    /// The first thing in the text that is never compiled.
    pub fn parse(source: &str, name: &str, first_line: u32) -> Result<Self, Refusal> {
        Ok(Self {
            hir: parse(source, name, first_line)?,
            first_line,
        })
    }

    /// The name of the function.
    pub fn name(&self) -> &str {
        &self.hir.name
    }

    /// Names of the parameters, in order; a signature has all of them, but for those that are
    /// [`None`](Program::with_nones).
    pub fn params(&self) -> &[String] {
        &self.hir.locals[..self.hir.params]
    }

    /// The function for calls in which these parameters, as a set of bits, are `None`. Signatures
    /// leave them out.
    #[must_use]
    pub fn with_nones(&self, nones: u32) -> Self {
        let mut program = self.clone();
        program.hir.nones = nones;
        program
    }

    /// How many parameters, the last ones, can be given by name only.
    pub fn keyword_only(&self) -> usize {
        self.hir.keyword_only
    }

    /// How many of the parameters that can be given by position have defaults: the last of them.
    /// The caller fills them in.
    pub fn defaults(&self) -> usize {
        self.hir.defaults
    }

    /// How many parameters, the first ones, cannot be given by name.
    pub fn positional_only(&self) -> usize {
        self.hir.positional_only
    }

    /// The names that the function uses without binding them, each once, in the order of first
    /// use. The caller answers them in an [`Env`] and guards against their change.
    pub fn free_names(&self) -> &[FreeName] {
        &self.hir.free
    }

    /// The function after parsing.
    pub fn hir(&self) -> &Hir {
        &self.hir
    }

    /// Whether a call of these types is a map: it has arrays where the function computes with
    /// numbers.
    pub fn is_map(&self, signature: &Signature) -> bool {
        is_map(&self.hir, signature)
    }

    /// Compiles the function for arguments of these types. The result holds the constants of
    /// `env` for ever.
    ///
    /// # Errors
    ///
    /// The first thing that is not compiled for these types.
    pub fn compile(
        &self,
        compiler: &dyn Compiler,
        signature: &Signature,
        env: &Env,
    ) -> Result<Compiled, Refusal> {
        let function = lower(&self.hir, signature, env)
            .map_err(|refusal| refusal.in_text_from(self.first_line))?;
        compiler
            .compile(&function)
            .map_err(|error| self.backend_refusal(&error))
    }

    fn backend_refusal(&self, error: &CompileError) -> Refusal {
        Refusal::new(self.hir.span, error.to_string(), "report this function")
            .in_text_from(self.first_line)
    }
}
