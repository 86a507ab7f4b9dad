//! The functions that machine code may call, by explicit address.
//!
//! cranelift-jit looks an unknown symbol up in the whole process. Every name here therefore has a
//! prefix that no library uses, and code that refers to anything else is refused before it is
//! linked: a name in user code can never become a call into libc.

mod whole;

use cranelift_codegen::ir::{ExternalName, LibCall};
use cranelift_codegen::{Context, FinalizedRelocTarget};
use cranelift_jit::JITModule;
use cranelift_module::{FuncId, Module};

use crate::arith;
use crate::compiler::CompileError;
use crate::ir::{BinaryOp, Function, Op};
use crate::libm;

const PREFIX: &str = "iris_jit$";

/// Name and address of the helper behind an operation, if it has one.
pub(super) fn helper(op: Op) -> Option<(String, *const u8)> {
    let (name, address) = match op {
        Op::Math1(op, _) => (op.mnemonic(), libm::function1(op) as *const u8),
        Op::Math2(op, ..) => (op.mnemonic(), libm::function2(op) as *const u8),
        Op::Binary(op @ BinaryOp::FloatFloorDiv, ..) => {
            (op.mnemonic(), float_floor_div as libm::Fn2 as *const u8)
        }
        Op::Binary(op @ BinaryOp::FloatMod, ..) => {
            (op.mnemonic(), float_mod as libm::Fn2 as *const u8)
        }
        Op::CheckedUnary(op, ..) => (op.mnemonic(), whole::unary(op)? as *const u8),
        Op::CheckedBinary(op, ..) => (op.mnemonic(), whole::binary(op)? as *const u8),
        Op::Poll(_) | Op::Recurse(..) => return Some(poll_helper()),
        _ => return None,
    };
    Some((format!("{PREFIX}{name}"), address))
}

/// Name and address of the function that asks the hook of [`crate::poll`].
pub(super) fn poll_helper() -> (String, *const u8) {
    let poll: extern "C" fn() -> i32 = poll;
    (format!("{PREFIX}poll"), poll as *const u8)
}

/// The symbols for a function: its helpers, and the roundings that a CPU may lack.
pub(super) fn table(function: &Function) -> Vec<(String, *const u8)> {
    let insts = function.blocks().iter().flat_map(|block| &block.insts);
    let helpers = insts.filter_map(|inst| helper(inst.op));
    let roundings = ROUNDINGS
        .iter()
        .map(|&(call, address)| (libcall_name(call), address as *const u8));
    helpers.chain(roundings).collect()
}

/// How Cranelift's own calls are named: never like a function of libc.
pub(super) fn libcall_names() -> Box<dyn Fn(LibCall) -> String + Send + Sync> {
    Box::new(libcall_name)
}

/// Refuses code with a reference that is neither to one of the module's `own` functions nor
/// answered by [`table`].
pub(super) fn check_relocations(
    context: &Context,
    module: &JITModule,
    function: &Function,
    own: &[FuncId],
) -> Result<(), CompileError> {
    let Some(code) = context.compiled_code() else {
        return Ok(());
    };
    let table = table(function);
    let known = |name: &str| table.iter().any(|(known, _)| known == name);
    for reloc in code.buffer.relocs() {
        let symbol = match &reloc.target {
            FinalizedRelocTarget::Func(_) => continue,
            FinalizedRelocTarget::ExternalName(ExternalName::User(name)) => {
                let id = FuncId::from_u32(context.func.params.user_named_funcs()[*name].index);
                if own.contains(&id) {
                    continue;
                }
                let name = module.declarations().get_function_decl(id).linkage_name(id);
                if known(&name) {
                    continue;
                }
                name.into_owned()
            }
            FinalizedRelocTarget::ExternalName(ExternalName::LibCall(call)) => {
                let name = libcall_name(*call);
                if known(&name) {
                    continue;
                }
                name
            }
            FinalizedRelocTarget::ExternalName(other) => format!("{other:?}"),
        };
        return Err(CompileError::UnknownSymbol { symbol });
    }
    Ok(())
}

fn libcall_name(call: LibCall) -> String {
    format!("{PREFIX}libcall.{call:?}")
}

const ROUNDINGS: [(LibCall, extern "C" fn(f64) -> f64); 4] = [
    (LibCall::FloorF64, floor),
    (LibCall::CeilF64, ceil),
    (LibCall::TruncF64, trunc),
    (LibCall::NearestF64, nearest),
];

extern "C" fn floor(x: f64) -> f64 {
    x.floor()
}

extern "C" fn ceil(x: f64) -> f64 {
    x.ceil()
}

extern "C" fn trunc(x: f64) -> f64 {
    x.trunc()
}

extern "C" fn nearest(x: f64) -> f64 {
    x.round_ties_even()
}

extern "C" fn float_floor_div(x: f64, y: f64) -> f64 {
    arith::float_floor_div(x, y)
}

extern "C" fn float_mod(x: f64, y: f64) -> f64 {
    arith::float_mod(x, y)
}

extern "C" fn poll() -> i32 {
    i32::from(crate::poll::go_on())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compiler::Compiler;
    use crate::cranelift::{CodeMemory, CraneliftCompiler};
    use crate::ir::FunctionBuilder;
    use crate::types::Type;
    use cranelift_codegen::ir::{InstBuilder, UserFuncName};
    use cranelift_frontend::FunctionBuilderContext;
    use cranelift_jit::JITBuilder;
    use cranelift_module::Linkage;

    #[test]
    fn a_call_of_a_libc_function_is_refused_before_linking() {
        let compiler = CraneliftCompiler::new().unwrap();
        let builder = JITBuilder::with_isa(compiler.isa.clone(), libcall_names());
        let mut memory = CodeMemory::new(JITModule::new(builder));
        let module = memory.module();
        let signature = module.make_signature();
        let exit = module
            .declare_function("abort", Linkage::Import, &signature)
            .unwrap();
        let id = module
            .declare_function("entry", Linkage::Local, &signature)
            .unwrap();
        let mut context = Context::new();
        context.func.signature = signature;
        context.func.name = UserFuncName::user(0, id.as_u32());
        let mut frontend = FunctionBuilderContext::new();
        let mut b = cranelift_frontend::FunctionBuilder::new(&mut context.func, &mut frontend);
        let block = b.create_block();
        b.switch_to_block(block);
        let callee = module.declare_func_in_func(exit, b.func);
        b.ins().call(callee, &[]);
        b.ins().return_(&[]);
        b.seal_all_blocks();
        b.finalize(module.target_config());
        module.define_function(id, &mut context).unwrap();

        let mut b = FunctionBuilder::new("f", &[Type::F64], Type::F64);
        b.ret(b.param(0));
        let function = b.finish().unwrap();
        let found = check_relocations(&context, module, &function, &[]);
        assert!(
            matches!(&found, Err(CompileError::UnknownSymbol { symbol }) if symbol == "abort"),
            "{found:?}"
        );
        assert!(compiler.compile(&function).is_ok());
    }

    #[test]
    fn no_symbol_has_the_name_of_a_libc_function() {
        let mut b = FunctionBuilder::new("f", &[Type::F64], Type::F64);
        let x = b.param(0);
        let y = crate::ir::Math1::ALL
            .iter()
            .fold(x, |x, &op| b.math1(op, x));
        b.ret(y);
        for (name, _) in table(&b.finish().unwrap()) {
            assert!(name.starts_with(PREFIX), "{name}");
        }
    }
}
