//! Printing a function, for tests and explanations.

use std::fmt;

use super::{Block, Function, GuardId, Inst, Op, Place, Target, Terminator, Val};

impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.0)
    }
}

impl fmt::Display for GuardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{}", self.0)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Const(value) => write!(f, "const {value}"),
            Self::Unary(op, a) => write!(f, "{} {a}", op.mnemonic()),
            Self::Binary(op, a, b) => write!(f, "{} {a}, {b}", op.mnemonic()),
            Self::Compare(op, a, b) => write!(f, "{} {a}, {b}", op.mnemonic()),
            Self::Math1(op, a) => write!(f, "{} {a}", op.mnemonic()),
            Self::Math2(op, a, b) => write!(f, "{} {a}, {b}", op.mnemonic()),
            Self::CheckedUnary(op, a, guard) => write!(f, "{} {a} else {guard}", op.mnemonic()),
            Self::CheckedBinary(op, a, b, guard) => {
                write!(f, "{} {a}, {b} else {guard}", op.mnemonic())
            }
            Self::Guard(cond, guard) => write!(f, "guard {cond} else {guard}"),
            Self::Deeper(levels, guard) => write!(f, "deeper {levels} else {guard}"),
            Self::Assume(cond) => write!(f, "assume {cond}"),
            Self::Select(cond, a, b) => write!(f, "select {cond}, {a}, {b}"),
            Self::Poll(guard) => write!(f, "poll else {guard}"),
            Self::Recurse(args, _, guard) => write!(f, "recurse args{} else {guard}", args.0),
            Self::Length(array, dim) => write!(f, "length {array}.{dim}"),
            Self::Index(array, dim, index, guard) => {
                write!(f, "index {array}.{dim}, {index} else {guard}")
            }
            Self::Load(array, at, guard) => write!(f, "load {array}[{at}] else {guard}"),
            Self::Store(array, at, value, guard) => {
                write!(f, "store {array}[{at}], {value} else {guard}")
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(i) => write!(f, "{i}"),
            Self::Cell(i, j) => write!(f, "{i}, {j}"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.block)?;
        list(f, &self.args, |f, arg| write!(f, "{arg}"))
    }
}

impl fmt::Display for Terminator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jump(target) => write!(f, "jump {target}"),
            Self::Branch {
                cond,
                then,
                otherwise,
            } => {
                write!(f, "branch {cond}, {then}, {otherwise}")
            }
            Self::Return { shape: 0, values } if values.len() == 1 => {
                write!(f, "return {}", values[0])
            }
            Self::Return { shape, values } => {
                write!(f, "return as {shape}")?;
                list(f, values, |f, value| write!(f, "{value}"))
            }
            Self::Bail(guard) => write!(f, "bail {guard}"),
        }
    }
}

impl Function {
    fn write_typed(&self, f: &mut fmt::Formatter<'_>, value: Val) -> fmt::Result {
        match self.value_type(value) {
            Some(ty) => write!(f, "{value}: {ty}"),
            None => write!(f, "{value}: ?"),
        }
    }

    fn write_inst(&self, f: &mut fmt::Formatter<'_>, inst: &Inst) -> fmt::Result {
        f.write_str("    ")?;
        if let Some(result) = inst.result {
            self.write_typed(f, result)?;
            f.write_str(" = ")?;
        }
        writeln!(f, "{}", inst.op)
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "fn {}{}", self.name, self.prototype())?;
        for (index, block) in self.blocks.iter().enumerate() {
            write!(f, "b{index}")?;
            list(f, &block.params, |f, &param| self.write_typed(f, param))?;
            writeln!(f, ":")?;
            for inst in &block.insts {
                self.write_inst(f, inst)?;
            }
            if let Some(terminator) = &block.terminator {
                writeln!(f, "    {terminator}")?;
            }
        }
        for (index, guard) in self.guards.iter().enumerate() {
            writeln!(f, "g{index}: {} at {}", guard.kind, guard.span)?;
        }
        Ok(())
    }
}

/// Writes `(a, b)`, or nothing for an empty list.
fn list<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    mut write: impl FnMut(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    f.write_str("(")?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write(f, item)?;
    }
    f.write_str(")")
}
