//! Running a program: block after block.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::ops::Range;

use super::{Array, BLOCK, Init, Program, Step};
use crate::compiler::status_of_shape;
use crate::interp;
use crate::ir::Function;
use crate::poll;
use crate::vector::kernels::{Args, Extra};
use crate::vector::simd::LANES;

/// Memory for a vector of lanes, which kernels read and write whole.
#[derive(Clone, Copy)]
#[repr(align(64))]
#[expect(dead_code, reason = "kernels read it, through pointers")]
struct Line([u64; LANES]);

const LINES: usize = BLOCK / LANES;

thread_local! {
    /// What the last run on this thread worked in; a run takes it away and brings it back.
    static SCRATCH: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Lines that a thread keeps: half a MiB.
const MOST_KEPT: usize = 8 << 10;

/// The words of an array argument.
#[derive(Clone, Copy)]
pub(super) struct Parts {
    data: u64,
    len: usize,
    stride: i64,
}

impl Parts {
    fn of(array: Array, words: &[u64]) -> Self {
        let word = |index: usize| words[array.word + index];
        Self {
            data: word(0),
            len: usize::try_from(word(1)).unwrap_or(0),
            stride: word(2).cast_signed(),
        }
    }

    /// The address of an element.
    fn at(self, index: usize) -> *mut u8 {
        let offset = self.stride.wrapping_mul(i64::try_from(index).unwrap_or(0));
        let address = self.data.wrapping_add_signed(offset);
        std::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap_or(0))
    }

    /// The lowest address, and the one after the highest.
    fn range(self, array: Array) -> (u64, u64) {
        let last = self.at(self.len.saturating_sub(1)).addr() as u64;
        let (low, high) = (self.data.min(last), self.data.max(last));
        (low, high + array.ty.elem.size() as u64)
    }
}

impl Program {
    /// Runs the map; gives the status of [`crate::Compiled::call_raw`].
    ///
    /// A block in which a guard fails is left to the interpreter, which finds the first element
    /// that ends the call and its guard. `threads` is how many may work on it; without it that
    /// depends on the time that the call is expected to take.
    ///
    /// # Safety
    ///
    /// `words` are those of arguments of `function`, arrays with the promise of
    /// [`crate::ArrayRef::from_parts`]; this is the function's program.
    pub(crate) unsafe fn run(
        &self,
        function: &Function,
        words: &[u64],
        threads: Option<NonZeroUsize>,
    ) -> u32 {
        let parts: Vec<Parts> = self.arrays.iter().map(|&a| Parts::of(a, words)).collect();
        let len = parts[self.out].len;
        let equal = parts.iter().all(|part| part.len == len);
        if !equal || self.overlap(&parts) {
            // SAFETY: the caller's promise.
            return unsafe { self.settle(function, words, &parts, 0..len, equal) };
        }
        if len == 0 {
            return status_of_shape(self.shape);
        }
        let call = Call {
            function,
            words,
            parts: &parts,
        };
        let threads = self.threads_for(len, threads);
        let end = if threads > 1 {
            if poll::go_on() {
                // SAFETY: the caller's promise.
                unsafe { self.in_parallel(call, len, threads) }
            } else {
                End::Interrupted
            }
        } else {
            // SAFETY: the caller's promise.
            self.with_run(call, |run| unsafe { run.elements(0..len, true) })
        };
        match end {
            End::Done => status_of_shape(self.shape),
            End::Guard(status) => status,
            End::Interrupted => self.poll.0 + 1,
        }
    }

    /// Prepares to compute elements of a call on this thread.
    pub(super) fn with_run<T>(&self, call: Call<'_>, work: impl FnOnce(&mut Run<'_>) -> T) -> T {
        let lines = self.layout.blocks() * LINES + self.layout.cells;
        let mut scratch = SCRATCH.take();
        if scratch.len() < lines {
            scratch.resize(lines, Line([0; LANES]));
        }
        let mut run = Run {
            program: self,
            call,
            base: scratch.as_mut_ptr().cast(),
            places: self.places(scratch.as_mut_ptr()),
            always_fails: false,
            since_poll: 0,
        };
        // SAFETY: the places are as the program numbers them.
        run.always_fails = unsafe { run.prologue() };
        let result = work(&mut run);
        if scratch.len() <= MOST_KEPT {
            SCRATCH.set(scratch);
        }
        result
    }

    /// Whether results are written where elements are read.
    fn overlap(&self, parts: &[Parts]) -> bool {
        let range = |index: usize| parts[index].range(self.arrays[index]);
        let (low, high) = range(self.out);
        (0..parts.len()).any(|index| {
            let (from, to) = range(index);
            index != self.out && from < high && low < to
        })
    }

    fn places(&self, base: *mut Line) -> Vec<*mut u64> {
        let blocks = self.layout.blocks();
        let mut places: Vec<*mut u64> = Vec::with_capacity(self.layout.places());
        // Within the scratch memory, which has that many lines.
        places.extend((0..blocks).map(|at| base.wrapping_add(at * LINES).cast()));
        let cells = base.wrapping_add(blocks * LINES);
        places.extend((0..self.layout.cells).map(|at| cells.wrapping_add(at).cast()));
        // Read only: no step has them as its destination.
        let coefficients = self.coefficients.iter();
        places.extend(coefficients.map(|all| all.as_ptr().cast_mut().cast()));
        places
    }

    /// Lets the interpreter compute these elements, or the whole call.
    ///
    /// # Safety
    ///
    /// As for `run`.
    #[cold]
    unsafe fn settle(
        &self,
        function: &Function,
        words: &[u64],
        parts: &[Parts],
        elements: Range<usize>,
        equal: bool,
    ) -> u32 {
        let mut words = words.to_vec();
        if equal {
            for (array, part) in self.arrays.iter().zip(parts) {
                words[array.word] = part.at(elements.start).addr() as u64;
                words[array.word + 1] = elements.len() as u64;
            }
        }
        // SAFETY: the same arrays, or parts of them.
        match unsafe { interp::run_words(function, &words, 0) } {
            Ok((shape, _)) => status_of_shape(shape),
            Err(guard) => guard.0 + 1,
        }
    }
}

/// What a call was given.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    function: &'a Function,
    words: &'a [u64],
    parts: &'a [Parts],
}

/// How elements end a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// They do not.
    Done,
    /// One of them fires the guard of this status.
    Guard(u32),
    /// The hook of [`crate::poll`] said so.
    Interrupted,
}

/// A call under way on one thread.
pub(super) struct Run<'a> {
    program: &'a Program,
    call: Call<'a>,
    /// Where the first block is.
    base: *mut u64,
    /// Where each place is; those of inputs and results change from block to block.
    places: Vec<*mut u64>,
    /// Whether a guard fails for every element.
    always_fails: bool,
    since_poll: usize,
}

impl Run<'_> {
    /// Computes these elements.
    ///
    /// # Safety
    ///
    /// As for [`Program::run`]; nobody else computes them.
    pub(super) unsafe fn elements(&mut self, elements: Range<usize>, polls: bool) -> End {
        let program = self.program;
        let done = status_of_shape(program.shape);
        for start in elements.clone().step_by(BLOCK) {
            let count = BLOCK.min(elements.end - start);
            // SAFETY: elements within the arrays.
            let failed = self.always_fails || unsafe { self.block(start, count) };
            if failed {
                let Call {
                    function,
                    words,
                    parts,
                } = self.call;
                // SAFETY: the caller's promise.
                let status =
                    unsafe { program.settle(function, words, parts, start..start + count, true) };
                if status != done {
                    return End::Guard(status);
                }
            }
            self.since_poll += count;
            if polls && self.since_poll >= poll::INTERVAL as usize {
                self.since_poll = 0;
                if !poll::go_on() {
                    return End::Interrupted;
                }
            }
        }
        End::Done
    }

    /// Computes what is the same for all elements; tells whether a guard fails.
    unsafe fn prologue(&mut self) -> bool {
        let words = self.call.words;
        let layout = self.program.layout;
        for (cell, &init) in self.program.cells.iter().enumerate() {
            let word = match init {
                Init::Word(word) => word,
                Init::Argument(at, false) => words[at],
                Init::Argument(at, true) => 0_u64.wrapping_sub(u64::from(words[at] != 0)),
                Init::Computed => continue,
            };
            let to = self.places[layout.cell(cell)];
            for lane in 0..LANES {
                // SAFETY: a cell is a vector wide.
                unsafe { to.add(lane).write(word) };
            }
        }
        let mut failed = false;
        for step in &self.program.prologue {
            // SAFETY: cells are a vector wide.
            failed |= unsafe { self.step(step, LANES) };
        }
        for &(cell, fill) in &self.program.fills {
            let (from, to) = (
                self.places[layout.cell(cell)],
                self.places[layout.fill(fill)],
            );
            for lane in 0..BLOCK {
                // SAFETY: a cell has a value, and a fill is a block.
                unsafe { to.add(lane).write(from.read()) };
            }
        }
        failed
    }

    /// Computes the elements from `start`; tells whether a guard fails.
    ///
    /// # Safety
    ///
    /// There are `count` elements from there, at most a block.
    unsafe fn block(&mut self, start: usize, count: usize) -> bool {
        let program = self.program;
        let layout = program.layout;
        let lanes = count.next_multiple_of(LANES);
        let aligned = |at: *mut u8| at.addr().is_multiple_of(align_of::<u64>());
        let mut failed = false;
        for (number, &array) in program.inputs.iter().enumerate() {
            let at = self.call.parts[array].at(start);
            let place = layout.input(number);
            if lanes == count && aligned(at) {
                self.places[place] = at.cast();
                continue;
            }
            let to = self.scratch(place);
            // SAFETY: the elements are there, and so is a block for them.
            unsafe {
                std::ptr::copy_nonoverlapping(at, to.cast::<u8>(), count * size_of::<u64>());
                pad(to, count, lanes);
            }
            self.places[place] = to;
        }
        for read in &program.reads {
            let part = self.call.parts[read.array];
            let args = Args {
                dst: self.places[read.dst],
                a: part.at(start).cast(),
                b: std::ptr::null(),
                c: std::ptr::null(),
                lanes: count,
                extra: Extra::Stride(isize::try_from(part.stride).unwrap_or(0)),
            };
            // SAFETY: the elements are there, and a block for them.
            unsafe {
                failed |= (read.kernel)(&args);
                pad(args.dst, count, lanes);
            }
        }
        let to = self.call.parts[program.out].at(start);
        let direct = program.store.is_none() && lanes == count && aligned(to);
        let out = layout.out();
        self.places[out] = if direct { to.cast() } else { self.scratch(out) };
        for step in &program.steps {
            // SAFETY: blocks of so many lanes.
            failed |= unsafe { self.step(step, lanes) };
        }
        // SAFETY: results for as many elements.
        unsafe {
            if let Some((kernel, from)) = program.store {
                kernel(&Args {
                    dst: to.cast(),
                    a: self.places[from],
                    b: std::ptr::null(),
                    c: std::ptr::null(),
                    lanes: count,
                    extra: Extra::None,
                });
            } else if !direct {
                let from = self.places[out].cast::<u8>();
                std::ptr::copy_nonoverlapping(from, to, count * size_of::<u64>());
            }
        }
        failed
    }

    /// A block's own memory, wherever its place is now.
    fn scratch(&self, place: usize) -> *mut u64 {
        self.base.wrapping_add(place * BLOCK)
    }

    #[inline]
    unsafe fn step(&self, step: &Step, lanes: usize) -> bool {
        let [a, b, c] = step.operands;
        let args = Args {
            dst: self.places[step.dst],
            a: self.places[a],
            b: self.places[b],
            c: self.places[c],
            lanes,
            extra: step.extra,
        };
        // SAFETY: the program gave the kernel places of what it takes.
        unsafe { (step.kernel)(&args) }
    }
}

/// The last element in the lanes behind it: they do what it does.
///
/// # Safety
///
/// A block of at least `lanes`, of which the first `count`, at least one, are set.
unsafe fn pad(block: *mut u64, count: usize, lanes: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let last = block.add(count - 1).read();
        for lane in count..lanes {
            block.add(lane).write(last);
        }
    }
}
