//! Ownership of machine code.

use std::sync::Mutex;

use cranelift_jit::JITModule;

/// The memory of one compiled function; freed on drop.
pub(crate) struct CodeMemory {
    // The mutex is never locked: it makes the module, which is only `Send`, `Sync`.
    module: Mutex<Option<JITModule>>,
    code_bytes: usize,
}

impl CodeMemory {
    pub(crate) fn new(module: JITModule) -> Self {
        Self {
            module: Mutex::new(Some(module)),
            code_bytes: 0,
        }
    }

    pub(crate) fn module(&mut self) -> &mut JITModule {
        let module = self.module.get_mut().expect("nothing locks the mutex");
        module.as_mut().expect("the module leaves on drop only")
    }

    pub(crate) fn set_code_bytes(&mut self, code_bytes: usize) {
        self.code_bytes = code_bytes;
    }

    pub(crate) fn code_bytes(&self) -> usize {
        self.code_bytes
    }
}

impl Drop for CodeMemory {
    fn drop(&mut self) {
        let module = self.module.get_mut().ok().and_then(Option::take);
        if let Some(module) = module {
            // SAFETY: the only pointer into this memory is `Body::Native::entry`, which lives and
            // dies with this owner behind one `Arc`; a running call borrows a clone of that `Arc`.
            unsafe { module.free_memory() };
        }
    }
}
