//! What the free names of a function stand for: asked of the binding, never guessed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use iris_jit::ir::Span;

use crate::program::Program;
use crate::refusal::Refusal;

/// A name that a function uses and does not bind: a global, a builtin or a closure cell.
///
/// A name with an attribute may be answered with a constant or a function only if `name` is a
/// module: reading an attribute of anything else can run code, and so is [`Binding::Other`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FreeName {
    /// The name itself.
    pub name: String,
    /// The attribute that is read from it, as `sqrt` in `math.sqrt`.
    pub attribute: Option<String>,
    /// Where it is used first.
    pub span: Span,
}

impl FreeName {
    /// The name as written, such as `math.sqrt`.
    pub fn path(&self) -> String {
        match &self.attribute {
            Some(attribute) => format!("{}.{attribute}", self.name),
            None => self.name.clone(),
        }
    }
}

/// What a name stands for at the time of compilation.
///
/// Compiled code holds it for ever: whoever calls the code checks that it still holds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Binding {
    /// A module, by its name; only an unchanged `math` has meaning.
    Module(String),
    /// The function of this name of module `math`, the very object.
    MathFn(String),
    /// The builtin function or type of this name, the very object.
    Builtin(String),
    /// An `int` (no subclass) of 64 bits.
    Int(i64),
    /// A `float` (no subclass).
    Float(f64),
    /// `True` or `False`.
    Bool(bool),
    /// `None`.
    None,
    /// A tuple (no subclass) of bindings that are values.
    Tuple(Arc<[Binding]>),
    /// The function of this name of `iris.jit` that only compiled code gives a meaning.
    Intrinsic(String),
    /// A function written in Python.
    Function(Arc<Helper>),
    /// The very function that is compiled.
    Recursion,
    /// A function written in Python that is not compiled.
    Uncompiled {
        /// Its name.
        name: String,
        /// Why not.
        why: Box<Refusal>,
    },
    /// No such name: reading it raises.
    Unbound,
    /// Anything else, by the name of its type.
    Other(String),
}

/// A function that another one calls.
#[derive(Clone, Debug, PartialEq)]
pub struct Helper {
    /// What it does.
    pub program: Program,
    /// What its own free names stand for.
    pub env: Env,
    /// Values of its last parameters that can be given by position where a call gives none, the
    /// last parameter's last. They are bindings of values.
    pub defaults: Vec<Binding>,
    /// Values of its parameters that can be given by name only, where a call gives none.
    pub keyword_defaults: Vec<(String, Binding)>,
}

impl Helper {
    /// What a parameter is where a call does not give it.
    pub(crate) fn default(&self, place: usize) -> Option<&Binding> {
        let positional = self.program.params().len() - self.program.keyword_only();
        if place >= positional {
            let name = &self.program.params()[place];
            let mut known = self.keyword_defaults.iter();
            return known
                .find(|(known, _)| known == name)
                .map(|(_, value)| value);
        }
        let first = positional.checked_sub(self.defaults.len())?;
        self.defaults.get(place.checked_sub(first)?)
    }
}

/// The names of `iris.jit` that are no functions of numbers but ways to write a loop.
pub const INTRINSICS: [&str; 12] = [
    "sum_while",
    "any_while",
    "all_while",
    "break_if",
    "break_when",
    "break_unless",
    "continue_if",
    "continue_when",
    "continue_unless",
    "break_on_nan",
    "continue_on_nan",
    "if_else",
];

/// The bindings of a function's free names.
///
/// Names are looked up by their path first (`math.sqrt`); without such an entry an attribute of a
/// [`Binding::Module`] `math` has its standard meaning. A name without an entry is unbound.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Env {
    bindings: HashMap<String, Binding>,
    /// Whether `sum` of floats is compensated, as from Python 3.12 on.
    pub compensated_sum: bool,
    /// Version of Python, as (3, 13): some methods of numbers are younger than others.
    pub python: (u8, u8),
    /// Functions of `math`, by their names, that this crate would compute in other bits, see
    /// [`selftest`](crate::selftest).
    pub doubtful: HashSet<String>,
    /// Whether floats may be added in another order and powers computed as products and roots, so
    /// that results may differ from Python's in their last bits. That of the function that is
    /// compiled counts, not those of its helpers.
    pub fast_math: bool,
}

impl Env {
    /// An environment without names.
    pub fn new() -> Self {
        Self::default()
    }

    /// An environment with the untouched builtins that compile, and module `math`; for tests and
    /// for callers without an interpreter.
    pub fn standard() -> Self {
        let mut env = Self::new();
        env.python = (3, 13);
        for name in BUILTINS {
            env.bind(name, Binding::Builtin(name.to_owned()));
        }
        env.bind("math", Binding::Module("math".to_owned()));
        env
    }

    /// The same, with the names of `iris.jit` bound as they are in a function that leaves them
    /// unbound.
    pub fn with_intrinsics() -> Self {
        let mut env = Self::standard();
        for name in INTRINSICS {
            env.bind(name, Binding::Intrinsic(name.to_owned()));
        }
        for name in [
            "sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "log", "sqrt",
        ] {
            env.bind(name, Binding::MathFn(name.to_owned()));
        }
        env.bind("pi", math_attribute("pi"));
        env.bind("e", math_attribute("e"));
        env
    }

    /// Whether a name stands for a function whose body is translated with the caller's.
    pub fn has_helpers(&self) -> bool {
        let mut bindings = self.bindings.values();
        bindings.any(|binding| matches!(binding, Binding::Function(_)))
    }

    /// Says what a path (`K` or `math.sqrt`) stands for.
    pub fn bind(&mut self, path: impl Into<String>, binding: Binding) -> &mut Self {
        self.bindings.insert(path.into(), binding);
        self
    }

    /// The function that a path stands for, if it is one.
    pub(crate) fn helper(&self, name: &FreeName) -> Option<&Helper> {
        match self.bindings.get(&name.path()) {
            Some(Binding::Function(helper)) => Some(helper),
            _ => None,
        }
    }

    /// What a name stands for.
    pub fn resolve(&self, name: &FreeName) -> Binding {
        if let Some(binding) = self.bindings.get(&name.path()) {
            return binding.clone();
        }
        let (Some(base), Some(attribute)) = (self.bindings.get(&name.name), &name.attribute) else {
            return Binding::Unbound;
        };
        match base {
            Binding::Module(module) if module == "math" => math_attribute(attribute),
            Binding::Unbound => Binding::Unbound,
            _ => Binding::Other("attribute".to_owned()),
        }
    }
}

const BUILTINS: [&str; 17] = [
    "abs",
    "all",
    "any",
    "bool",
    "divmod",
    "enumerate",
    "float",
    "int",
    "len",
    "max",
    "min",
    "pow",
    "range",
    "reversed",
    "round",
    "sum",
    "zip",
];

fn math_attribute(name: &str) -> Binding {
    use std::f64::consts;
    match name {
        "pi" => Binding::Float(consts::PI),
        "e" => Binding::Float(consts::E),
        "tau" => Binding::Float(consts::TAU),
        "inf" => Binding::Float(f64::INFINITY),
        "nan" => Binding::Float(f64::NAN),
        _ => Binding::MathFn(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str) -> FreeName {
        let (name, attribute) = match path.split_once('.') {
            Some((name, attribute)) => (name, Some(attribute.to_owned())),
            None => (path, None),
        };
        FreeName {
            name: name.to_owned(),
            attribute,
            span: Span::default(),
        }
    }

    #[test]
    fn a_path_goes_before_its_module() {
        let mut env = Env::standard();
        assert_eq!(
            env.resolve(&name("math.sin")),
            Binding::MathFn("sin".to_owned())
        );
        env.bind("math.sin", Binding::Other("function".to_owned()));
        assert_eq!(
            env.resolve(&name("math.sin")),
            Binding::Other("function".to_owned())
        );
    }

    #[test]
    fn an_unknown_name_is_unbound() {
        let env = Env::new();
        assert_eq!(env.resolve(&name("sin")), Binding::Unbound);
        assert_eq!(env.resolve(&name("math.sin")), Binding::Unbound);
    }
}
