//! A function after parsing: names resolved to locals or free names, Python's operators kept.

use iris_jit::ir::Span;

use crate::env::FreeName;

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
    /// How many parameters have defaults: the last ones.
    pub defaults: usize,
    /// Names that are bound in the function.
    pub locals: Vec<String>,
    /// Names that it uses without binding them, in the order of their first use.
    pub free: Vec<FreeName>,
    /// Its statements, without the docstring.
    pub body: Vec<Stmt>,
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    /// What it does.
    pub kind: StmtKind,
    /// Where it starts.
    pub span: Span,
}

/// What a statement does.
#[derive(Clone, Debug, PartialEq)]
pub enum StmtKind {
    /// Nothing.
    Pass,
    /// Binds each target, from left to right, to one value.
    Assign(Vec<LocalId>, Expr),
    /// Ends the call.
    Return(Expr),
    /// Runs one of two bodies.
    If {
        /// The condition; any scalar.
        test: Expr,
        /// Run if true.
        then: Vec<Stmt>,
        /// Run if false; empty without `else`.
        otherwise: Vec<Stmt>,
    },
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
    /// A call with positional arguments.
    Call(FreeId, Vec<Expr>),
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
