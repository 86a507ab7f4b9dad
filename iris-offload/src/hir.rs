//! A function after parsing: names resolved to locals or free names, Python's operators kept.

use iris_jit::ir::Span;

use crate::env::FreeName;
use crate::live::Liveness;

/// A local name, by number; parameters come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LocalId(pub(crate) usize);

/// A free name, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FreeId(pub(crate) usize);

/// A function.
#[derive(Clone, Debug, PartialEq)]
pub struct Hir {
    /// Its name.
    pub name: String,
    /// Where its `def` stands.
    pub span: Span,
    /// Number of parameters: the first locals.
    pub params: usize,
    /// How many parameters, the first ones, cannot be given by name.
    pub positional_only: usize,
    /// How many parameters, the last ones, can be given by name only.
    pub keyword_only: usize,
    /// How many of the parameters that can be given by position have defaults: the last of them.
    pub defaults: usize,
    /// Parameters, as a set of bits, whose argument is `None`: the signature leaves them out.
    pub nones: u32,
    /// Names that are bound in the function.
    pub locals: Vec<String>,
    /// Names that it uses without binding them, in the order of their first use.
    pub free: Vec<FreeName>,
    /// Its statements, without the docstring.
    pub body: Vec<Stmt>,
    /// Which locals are read again behind which statement.
    pub(crate) live: Liveness,
}

impl Hir {
    /// The parameters that a signature has types for, as locals.
    pub(crate) fn taken(&self) -> impl Iterator<Item = usize> {
        let nones = self.nones;
        (0..self.params).filter(move |&param| !is_none(nones, param))
    }
}

/// Whether the set has this parameter.
pub(crate) fn is_none(nones: u32, param: usize) -> bool {
    u32::try_from(param)
        .is_ok_and(|param| nones.checked_shr(param).is_some_and(|bits| bits & 1 == 1))
}

/// A statement, by number: statements are numbered through a function, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StmtId(pub(crate) usize);

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    /// What it does.
    pub kind: StmtKind,
    /// Where it starts.
    pub span: Span,
    /// Its number.
    pub id: StmtId,
}

/// What a statement does.
#[derive(Clone, Debug, PartialEq)]
pub enum StmtKind {
    /// Nothing.
    Pass,
    /// Binds each target, from left to right, to one value.
    Assign(Vec<Target>, Expr),
    /// `array[index] op= value`.
    Augment {
        /// The array.
        array: Expr,
        /// The index, evaluated once.
        index: Expr,
        /// The operator.
        op: BinaryOp,
        /// The right operand.
        value: Expr,
    },
    /// Evaluates an expression for what it binds or raises.
    Expr(Expr),
    /// Ends the call; without a value, with `None`.
    Return(Option<Expr>),
    /// Runs one of two bodies.
    If {
        /// The condition; any scalar.
        test: Expr,
        /// Run if true.
        then: Vec<Stmt>,
        /// Run if false; empty without `else`.
        otherwise: Vec<Stmt>,
    },
    /// Runs a body as long as a condition holds.
    While {
        /// The condition; any scalar.
        test: Expr,
        /// Run while true.
        body: Vec<Stmt>,
        /// Run once the condition is false, unless by `break`.
        otherwise: Vec<Stmt>,
    },
    /// Runs a body for each item.
    For {
        /// What each item is bound to.
        target: Target,
        /// Where the items come from.
        iter: Expr,
        /// Run for each item.
        body: Vec<Stmt>,
        /// Run behind the last item, unless left by `break`.
        otherwise: Vec<Stmt>,
    },
    /// Leaves the innermost loop.
    Break,
    /// Goes on with the next round of the innermost loop.
    Continue,
    /// Raises unless the condition holds.
    Assert(Expr),
    /// Raises.
    Raise,
    /// Unbinds local names.
    Delete(Vec<LocalId>),
}

/// What an assignment binds.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A local name.
    Local(LocalId),
    /// Several targets for a tuple of as many items.
    Tuple(Vec<Target>, Span),
    /// `array[index]`.
    Element(Box<Expr>, Box<Expr>),
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it computes.
    pub kind: ExprKind,
    /// Where it starts.
    pub span: Span,
}

/// What an expression computes.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// An `int` literal.
    Int(i64),
    /// A `float` literal.
    Float(f64),
    /// `True` or `False`.
    Bool(bool),
    /// A local name.
    Local(LocalId),
    /// A free name as a value.
    Free(FreeId),
    /// `+x`, `-x`, `~x`.
    Unary(UnaryOp, Box<Expr>),
    /// `not x`.
    Not(Box<Expr>),
    /// A binary operator.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `a and b and ..`; two operands at least.
    And(Vec<Expr>),
    /// `a or b or ..`; two operands at least.
    Or(Vec<Expr>),
    /// `a < b <= ..`: the first operand and the links; one link at least.
    Compare(Box<Expr>, Vec<(CompareOp, Expr)>),
    /// `then if test else otherwise`.
    Ternary {
        /// The condition; any scalar.
        test: Box<Expr>,
        /// The value if true.
        then: Box<Expr>,
        /// The value if false.
        otherwise: Box<Expr>,
    },
    /// A call.
    Call(Call),
    /// `None`.
    None,
    /// A tuple.
    Tuple(Vec<Expr>),
    /// A list that is only run over or searched.
    List(Vec<Expr>),
    /// `item in container`, or with true `item not in container`.
    In(Box<Expr>, Box<Expr>, bool),
    /// `a is b`, or with true `a is not b`.
    Is(Box<Expr>, Box<Expr>, bool),
    /// `base.name`, of what is no module.
    Attribute(Box<Expr>, String),
    /// `base.name(args)`, of what is no module.
    Method(Box<Expr>, String, Vec<Expr>),
    /// `(local := value)`.
    Walrus(LocalId, Box<Expr>),
    /// `base[index]`.
    Index(Box<Expr>, Box<Expr>),
    /// A generator expression.
    Generator(Box<Generator>),
    /// `sum_while(local, init, test, step, body)` and its like.
    While(Box<WhileCall>),
}

/// A call of a free name.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function.
    pub callee: FreeId,
    /// Positional arguments.
    pub args: Vec<Expr>,
    /// Keyword arguments.
    pub keywords: Vec<(String, Expr)>,
}

/// A generator expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Generator {
    /// What it gives for each item.
    pub element: Expr,
    /// Its `for` clauses, the outermost first; one at least.
    pub clauses: Vec<Clause>,
}

/// A `for` clause of a generator expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// What each item is bound to; locals of the generator.
    pub target: Target,
    /// Where the items come from.
    pub iter: Expr,
    /// Items for which one of these is false are left out.
    pub conditions: Vec<Expr>,
}

/// `name_while(local, init, test, step, body)`.
#[derive(Clone, Debug, PartialEq)]
pub struct WhileCall {
    /// The function.
    pub callee: FreeId,
    /// The variable of the loop; a local of the call.
    pub local: LocalId,
    /// Its first value.
    pub init: Expr,
    /// Goes on as long as this is true.
    pub test: Expr,
    /// Its next value.
    pub step: Expr,
    /// What each round contributes.
    pub body: Expr,
}

/// A unary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `+`
    Pos,
    /// `-`
    Neg,
    /// `~`
    Invert,
}

impl UnaryOp {
    /// The operator as written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Pos => "+",
            Self::Neg => "-",
            Self::Invert => "~",
        }
    }
}

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `//`
    FloorDiv,
    /// `%`
    Mod,
    /// `**`
    Pow,
    /// `<<`
    Shl,
    /// `>>`
    Shr,
    /// `&`
    And,
    /// `|`
    Or,
    /// `^`
    Xor,
}

/// A comparison operator.
pub type CompareOp = iris_jit::ir::Comparison;

impl BinaryOp {
    /// The operator as written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::FloorDiv => "//",
            Self::Mod => "%",
            Self::Pow => "**",
            Self::Shl => "<<",
            Self::Shr => ">>",
            Self::And => "&",
            Self::Or => "|",
            Self::Xor => "^",
        }
    }
}
