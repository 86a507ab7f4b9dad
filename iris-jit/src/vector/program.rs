//! A map as steps over blocks, and running them.

mod make;
mod parallel;
mod run;

use super::kernels::{Extra, Kernel};
use super::simd::LANES;
use crate::array::ArrayType;
use crate::ir::GuardId;
pub use parallel::{set_threads, threads};

/// Elements of a block: a few dozen of them lie in the first cache.
pub(super) const BLOCK: usize = 512;

/// Where operands and results are, by number in the order of [`Layout`].
type Place = usize;

/// One kernel call.
#[derive(Clone, Copy, Debug)]
struct Step {
    kernel: Kernel,
    dst: Place,
    operands: [Place; 3],
    extra: Extra,
}

/// A read of an array that converts or gathers.
#[derive(Clone, Copy, Debug)]
struct Read {
    array: usize,
    kernel: Kernel,
    dst: Place,
}

/// An array argument.
#[derive(Clone, Copy, Debug)]
struct Array {
    ty: ArrayType,
    /// Where its words begin.
    word: usize,
}

/// What a cell of one value begins with.
#[derive(Clone, Copy, Debug)]
enum Init {
    Word(u64),
    /// An argument, by the number of its word, and whether it is a truth value.
    Argument(usize, bool),
    Computed,
}

/// How many places of each kind there are; they are numbered in this order.
#[derive(Clone, Copy, Debug, Default)]
struct Layout {
    /// Blocks of values.
    slots: usize,
    /// Blocks that hold one value in all lanes.
    fills: usize,
    /// Arrays that are read where they lie. A block each takes the last elements.
    inputs: usize,
    /// One value each, in as many lanes as a vector has.
    cells: usize,
    /// Coefficients of polynomials.
    coefficients: usize,
}

impl Layout {
    fn fill(self, number: usize) -> Place {
        self.slots + number
    }

    fn input(self, number: usize) -> Place {
        self.fill(self.fills) + number
    }

    /// The block of results.
    fn out(self) -> Place {
        self.input(self.inputs)
    }

    fn cell(self, number: usize) -> Place {
        self.out() + 1 + number
    }

    fn coefficient(self, number: usize) -> Place {
        self.cell(self.cells) + number
    }

    fn places(self) -> usize {
        self.coefficient(self.coefficients)
    }

    /// Places that are blocks: all before the cells.
    fn blocks(self) -> usize {
        self.out() + 1
    }
}

/// A map, ready to run.
#[derive(Debug)]
pub(crate) struct Program {
    layout: Layout,
    arrays: Vec<Array>,
    /// The array of the results, by number in `arrays`.
    out: usize,
    cells: Vec<Init>,
    coefficients: Vec<Vec<f64>>,
    /// Computes cells from cells, once for a call.
    prologue: Vec<Step>,
    /// Cells that are needed as blocks: cell, and number among the fills.
    fills: Vec<(usize, usize)>,
    /// Arrays that are read where they lie, by number in `arrays`.
    inputs: Vec<usize>,
    reads: Vec<Read>,
    steps: Vec<Step>,
    /// Writes a place to the array, unless a step writes there.
    store: Option<(Kernel, Place)>,
    poll: GuardId,
    shape: usize,
    /// Nanoseconds that an element takes, about.
    cost: f64,
}

impl Program {
    /// Size of what it keeps, in bytes, about.
    pub(crate) fn bytes(&self) -> usize {
        let steps = self.prologue.len() + self.steps.len();
        size_of::<Self>() + steps * size_of::<Step>() + self.cells.len() * size_of::<Init>()
    }
}

/// Vectors make up a block.
const _: () = assert!(BLOCK.is_multiple_of(LANES));
