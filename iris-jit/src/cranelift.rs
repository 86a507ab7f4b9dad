//! The adapter of the port [`Compiler`] on Cranelift.
//!
//! One Cranelift module per function, so that its memory can be freed alone. Code memory is
//! writable while the code is copied and relocated, then executable, never both.

mod emit;
mod memory;
mod symbols;

use std::fmt;
use std::sync::Arc;

use cranelift_codegen::Context;
use cranelift_codegen::ir::{AbiParam, Signature, UserFuncName, types};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_jit::{JITBuilder, JITModule, SystemMemoryProvider};
use cranelift_module::{FuncId, Linkage, Module};

use crate::compiler::{CompileError, Compiled, Compiler, Entry};
use crate::ir::Function;
use crate::passes::{Proofs, proofs, with_calls_written_out, with_rounds_joined};
use crate::verify::verify;

pub(crate) use memory::CodeMemory;

/// Compiles to machine code of the host with Cranelift.
///
/// It holds the description of the host CPU only, which costs tens of microseconds to make.
#[derive(Clone)]
pub struct CraneliftCompiler {
    isa: Arc<dyn TargetIsa>,
}

impl CraneliftCompiler {
    /// Describes the host CPU.
    ///
    /// # Errors
    ///
    /// If Cranelift has no back end for the host.
    pub fn new() -> Result<Self, CompileError> {
        let mut flags = settings::builder();
        let verifier = if cfg!(debug_assertions) {
            "true"
        } else {
            "false"
        };
        for (name, value) in [
            ("opt_level", "speed"),
            // cranelift-jit cannot relocate position independent code.
            ("is_pic", "false"),
            // A helper may lie beyond the reach of a near call.
            ("use_colocated_libcalls", "false"),
            ("enable_verifier", verifier),
            // A huge frame must touch its guard page, not jump over it.
            ("enable_probestack", "true"),
            ("probestack_strategy", "inline"),
        ] {
            flags.set(name, value).map_err(backend)?;
        }
        let isa = cranelift_native::builder()
            .map_err(CompileError::Unsupported)?
            .finish(settings::Flags::new(flags))
            .map_err(backend)?;
        if isa.pointer_type() != types::I64 {
            return Err(CompileError::Unsupported("pointers are not 64 bits wide"));
        }
        Ok(Self { isa })
    }

    fn entry_signature(&self) -> Signature {
        let mut signature = Signature::new(self.isa.default_call_conv());
        let pointer = AbiParam::new(self.isa.pointer_type());
        signature.params.extend([pointer, pointer]);
        signature.returns.push(AbiParam::new(types::I32));
        signature
    }
}

impl CraneliftCompiler {
    /// The function that a recursive one is: with its arguments in registers.
    fn compile_inner(
        &self,
        function: &Function,
        proofs: &Proofs,
        module: &mut JITModule,
        ask: Option<FuncId>,
    ) -> Result<(FuncId, usize), CompileError> {
        let mut signature = Signature::new(self.isa.default_call_conv());
        let params = function.params.iter().map(|&ty| emit::clif_type(ty));
        // The depth that is left, and the address of what all calls share.
        let params = params.chain([types::I64, types::I64]);
        signature.params.extend(params.map(AbiParam::new));
        signature.returns.push(AbiParam::new(types::I32));
        let result = emit::recursive_result(function);
        signature
            .returns
            .push(AbiParam::new(emit::clif_type(result)));
        let id = module
            .declare_function("inner", Linkage::Local, &signature)
            .map_err(backend)?;
        let mut context = Context::new();
        context.func.signature = signature;
        context.func.name = UserFuncName::user(0, id.as_u32());
        emit::emit(function, proofs, module, &mut context.func, ask, Some(id))?;
        module.define_function(id, &mut context).map_err(backend)?;
        let own: Vec<FuncId> = ask.into_iter().chain([id]).collect();
        symbols::check_relocations(&context, module, function, &own)?;
        Ok((id, code_size(&context)))
    }
}

/// The function through which loops ask the hook of [`crate::poll`].
fn compile_ask(
    function: &Function,
    module: &mut JITModule,
) -> Result<(FuncId, usize), CompileError> {
    let signature = emit::ask_signature();
    let id = module
        .declare_function("ask", Linkage::Local, &signature)
        .map_err(backend)?;
    let mut context = Context::new();
    context.func.signature = signature;
    context.func.name = UserFuncName::user(0, id.as_u32());
    emit::emit_ask(module, &mut context.func)?;
    module.define_function(id, &mut context).map_err(backend)?;
    symbols::check_relocations(&context, module, function, &[])?;
    Ok((id, code_size(&context)))
}

fn code_size(context: &Context) -> usize {
    let code = context
        .compiled_code()
        .expect("define_function has compiled the context");
    code.code_buffer().len()
}

impl fmt::Debug for CraneliftCompiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CraneliftCompiler")
            .field("isa", &self.isa.name())
            .finish()
    }
}

impl Compiler for CraneliftCompiler {
    fn name(&self) -> &'static str {
        "cranelift"
    }

    fn compile(&self, function: &Function) -> Result<Compiled, CompileError> {
        verify(function)?;
        check_size(function)?;
        let changed = with_calls_written_out(function).or_else(|| with_rounds_joined(function));
        debug_assert!(changed.as_ref().is_none_or(|made| verify(made).is_ok()));
        let (original, function) = (function, changed.as_ref().unwrap_or(function));
        let proofs = proofs(function);
        let mut builder = JITBuilder::with_isa(self.isa.clone(), symbols::libcall_names());
        builder.memory_provider(Box::new(SystemMemoryProvider::new()));
        builder.symbols(symbols::table(function));
        // From here on an early return frees the memory: the module's own drop would leak it.
        let mut memory = CodeMemory::new(JITModule::new(builder));
        let module = memory.module();

        let signature = self.entry_signature();
        let id = module
            .declare_function("entry", Linkage::Local, &signature)
            .map_err(backend)?;
        let mut context = Context::new();
        context.func.signature = signature;
        context.func.name = UserFuncName::user(0, id.as_u32());
        let mut code_bytes = 0;
        let mut own = Vec::new();
        let ask = if function.polls() {
            let (ask, bytes) = compile_ask(function, module)?;
            code_bytes += bytes;
            own.push(ask);
            Some(ask)
        } else {
            None
        };
        if function.is_recursive() {
            let (inner, bytes) = self.compile_inner(function, &proofs, module, ask)?;
            code_bytes += bytes;
            emit::emit_entry(function, module, &mut context.func, inner);
            own.push(inner);
        } else {
            emit::emit(function, &proofs, module, &mut context.func, ask, None)?;
        }
        module.define_function(id, &mut context).map_err(backend)?;
        code_bytes += code_size(&context);
        symbols::check_relocations(&context, module, function, &own)?;
        module.finalize_definitions().map_err(backend)?;

        let address = module.get_finalized_function(id);
        // SAFETY: the code was emitted for `entry_signature`, which is the type `Entry`: two
        // pointers to a 32-bit status, in the C calling convention of the host.
        let entry = unsafe { std::mem::transmute::<*const u8, Entry>(address) };
        memory.set_code_bytes(code_bytes);
        Ok(Compiled::native(self.name(), original, entry, memory))
    }
}

/// Parameters are addressed with 32-bit offsets, guards are numbered from 1 in 32 bits; both
/// bounds leave room to spare.
fn check_size(function: &Function) -> Result<(), CompileError> {
    const MOST_PARAMS: usize = 1 << 16;
    const MOST_GUARDS: usize = 1 << 24;
    let words = function.prototype().arg_words();
    if words > MOST_PARAMS || function.guards().len() > MOST_GUARDS {
        return Err(CompileError::TooLarge);
    }
    Ok(())
}

fn backend(error: impl std::error::Error + Send + Sync + 'static) -> CompileError {
    CompileError::Backend(Box::new(error))
}
