//! `sum_while`, `any_while`, `all_while`: reductions with a loop variable of their own.

use iris_jit::ir::{BinaryOp, Block, Span, Val};

use super::reduce::{Fold, Reduction};
use super::{Datum, Lowered, Lowerer, Operand, Slot, Stop, refuse};
use crate::env::Binding;
use crate::hir::WhileCall;
use crate::signature::python_name;

/// Most rounds of one such reduction; one more raises `RuntimeError`.
pub const ITERATION_CAP: i64 = 10_000_000;

impl Lowerer<'_> {
    pub(super) fn while_call(&mut self, call: &WhileCall, at: Span) -> Lowered<Operand> {
        let name = &self.hir.free[call.callee.0];
        let fold = match self.env.resolve(name) {
            Binding::Intrinsic(name) if name == "sum_while" => Fold::Sum,
            Binding::Intrinsic(name) if name == "any_while" => Fold::Any,
            Binding::Intrinsic(name) if name == "all_while" => Fold::All,
            Binding::Unbound => {
                let mend = "import it from iris.jit";
                return refuse(at, format!("{} is not defined", name.path()), mend);
            }
            _ => {
                let mend = "rename it, or import it from iris.jit";
                let what = format!("{} is not that of iris.jit", name.path());
                return refuse(at, what, mend);
            }
        };
        let init = self.value(&call.init)?;
        self.folded(fold, None, at, |this, reduction, totals| {
            let end = this.while_rounds(reduction, call, init, totals, at);
            this.locals[call.local.0] = Slot::Unbound;
            end
        })
    }

    fn while_rounds(
        &mut self,
        reduction: &mut Reduction,
        call: &WhileCall,
        init: Operand,
        totals: Vec<Val>,
        at: Span,
    ) -> Lowered<Vec<Val>> {
        let zero = self.int(0);
        let args: Vec<_> = [init.val, zero].into_iter().chain(totals).collect();
        let head = self.header(&args);
        let params = self.b.block_params(head).to_vec();
        let (rounds, totals) = (params[1], &params[2..]);
        self.locals[call.local.0] = Slot::Bound(Datum::of(params[0], init.ty));
        let (go_on, done) = self.condition(&call.test)?;
        let exits: Vec<_> = done
            .into_iter()
            .map(|state| (state.block, totals.to_vec()))
            .collect();
        if let Some(state) = self.merge_into_one(go_on) {
            self.resume(state);
            self.capped(rounds, ITERATION_CAP, at);
            reduction.open_loop();
            match self.contribute(reduction, &call.body, totals) {
                Ok(()) | Err(Stop::Diverged) => {}
                Err(stop) => return Err(stop),
            }
            let latches = reduction.close_loop();
            if !latches.is_empty() {
                let totals = self.join_edges(latches);
                self.next_round(head, call, init, rounds, totals, at)?;
            }
        }
        if exits.is_empty() {
            return Err(Stop::Diverged);
        }
        Ok(self.join_edges(exits))
    }

    fn next_round(
        &mut self,
        head: Block,
        call: &WhileCall,
        init: Operand,
        rounds: Val,
        totals: Vec<Val>,
        at: Span,
    ) -> Lowered<()> {
        self.b.poll(at);
        let step = match self.value(&call.step) {
            Ok(step) => step,
            Err(Stop::Diverged) => return Ok(()),
            Err(stop) => return Err(stop),
        };
        if step.ty != init.ty {
            return refuse(
                call.step.span,
                format!(
                    "the variable of the loop is {} first and {} then",
                    python_name(init.ty),
                    python_name(step.ty)
                ),
                "start with the type that it goes on with",
            );
        }
        let one = self.int(1);
        let rounds = self.b.binary(BinaryOp::IntAddWrapping, rounds, one);
        let args: Vec<_> = [step.val, rounds].into_iter().chain(totals).collect();
        self.b.jump(head, &args);
        Ok(())
    }
}
