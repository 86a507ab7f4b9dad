//! Quantum speculation: calls of one map try its variants, and go on with the fastest.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use iris::jit::CraneliftCompiler;
use iris::jit::speculate::{Chooser, Pick, Timed};
use iris::jit::vector;
use iris::offload::{Compiled, Env, Program, Signature};
use pyo3::prelude::*;

static ENABLED: AtomicBool = AtomicBool::new(false);

/// Switches speculation on or off for all calls to come.
#[pyfunction]
#[pyo3(name = "_set_quantum")]
pub(crate) fn set_quantum(enabled: bool) {
    ENABLED.store(enabled, Ordering::Relaxed);
}

pub(super) fn enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

/// The variants of one map, and what is known of their times.
pub(super) struct Speculation {
    chooser: Mutex<Chooser>,
    variants: Vec<Variant>,
    /// What the last variant is compiled from, until that has begun.
    recipe: Mutex<Option<Recipe>>,
}

struct Variant {
    name: String,
    /// Empty until it is compiled, which may never be.
    code: Arc<OnceLock<Compiled>>,
}

/// All that a compilation needs.
pub(super) struct Recipe {
    pub(super) program: Program,
    pub(super) signature: Signature,
    pub(super) env: Env,
}

/// A call of a variant.
pub(super) struct Trial<'a> {
    speculation: &'a Speculation,
    size: usize,
    pick: Pick,
    code: &'a Compiled,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Variant {
    fn ready(name: String, code: Compiled) -> Self {
        Self {
            name,
            code: Arc::new(OnceLock::from(code)),
        }
    }
}

impl Speculation {
    /// The variants of `code`; `None` if there is but one. `recipe` is asked for only if not.
    pub(super) fn of(code: &Compiled, recipe: impl FnOnce() -> Recipe) -> Option<Self> {
        let on = |threads: usize| {
            let code = code.on_threads(NonZeroUsize::new(threads)?)?;
            let plural = if threads == 1 { "" } else { "s" };
            let name = format!("{} on {threads} thread{plural}", code.backend());
            Some(Variant::ready(name, code))
        };
        let mut variants = vec![on(1)?];
        let threads = vector::threads();
        if threads > 1 {
            variants.extend(on(threads));
        }
        variants.push(Variant {
            name: "cranelift".to_owned(),
            code: Arc::default(),
        });
        Some(Self {
            chooser: Mutex::new(Chooser::new(variants.len())),
            variants,
            recipe: Mutex::new(Some(recipe())),
        })
    }

    /// The variant for a call on so many elements.
    pub(super) fn trial(&self, size: usize) -> Trial<'_> {
        let ready = |variant: usize| {
            let known = self.variants[variant].code.get().is_some();
            if !known {
                self.compile(variant);
            }
            known
        };
        let pick = locked(&self.chooser).pick(size, ready);
        let code = &self.variants[pick.variant].code;
        Trial {
            speculation: self,
            size,
            pick,
            code: code.get().expect("one that is not ready is not picked"),
        }
    }

    /// Compiles a variant on a thread of its own, unless that has begun. If it cannot be, it is
    /// never ready.
    fn compile(&self, variant: usize) {
        const STACK_BYTES: usize = 16 << 20;
        let Some(recipe) = locked(&self.recipe).take() else {
            return;
        };
        let code = self.variants[variant].code.clone();
        let work = move || {
            let Recipe {
                program,
                signature,
                env,
            } = recipe;
            let compiled = CraneliftCompiler::new()
                .ok()
                .and_then(|compiler| program.compile(&compiler, &signature, &env).ok());
            if let Some(compiled) = compiled {
                drop(code.set(compiled));
            }
        };
        let worker = thread::Builder::new()
            .name("iris-jit".to_owned())
            .stack_size(STACK_BYTES);
        drop(worker.spawn(work));
    }

    /// What is known of the variants, in lines for `explain()`.
    pub(super) fn lines(&self) -> String {
        let names: Vec<&str> = self.variants.iter().map(|known| &*known.name).collect();
        let report = locked(&self.chooser).report(&names);
        let mut out = String::from("  variants, the chosen one first:\n");
        for line in report.lines() {
            out.extend(["    ", line, "\n"]);
        }
        if report.is_empty() {
            out.push_str("    none timed often enough yet\n");
        }
        out
    }
}

impl Trial<'_> {
    pub(super) fn code(&self) -> &Compiled {
        self.code
    }

    /// Tells what became of the call: how long it took, or that a guard failed.
    pub(super) fn end(&self, timed: Timed) {
        if self.pick.timed || timed == Timed::Failed {
            locked(&self.speculation.chooser).record(self.size, self.pick.variant, timed);
        }
    }
}
