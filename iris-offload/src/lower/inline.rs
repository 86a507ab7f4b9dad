//! Calls of functions written in Python, by translating their body in place.

use std::mem::{replace, take};

use iris_jit::ir::Span;

use super::arguments::binds;
use super::state::{Arm, Slot, State};
use super::{Datum, Lowered, Lowerer, Operand, Stop, refuse};
use crate::env::{Binding, Env, Helper};
use crate::hir::{Call, Expr, Hir};
use crate::signature::python_name;

/// Most calls in each other.
const MOST_DEPTH: usize = 24;

/// A call that is being translated.
pub(super) struct Inlined<'a> {
    hir: &'a Hir,
    /// The ends of its paths, and what they return.
    returns: Vec<(State, Datum, Span)>,
}

impl<'a> Lowerer<'a> {
    /// A call of a function written in Python.
    pub(super) fn helper_call(
        &mut self,
        helper: &'a Helper,
        call: &Call,
        at: Span,
    ) -> Lowered<Datum> {
        let args = self.arguments(helper, call, at)?;
        self.inline(helper.program.hir(), &helper.env, args, at)
    }

    /// Translates a body with these arguments in place; gives what it returns.
    pub(super) fn inline(
        &mut self,
        hir: &'a Hir,
        env: &'a Env,
        args: Vec<Datum>,
        at: Span,
    ) -> Lowered<Datum> {
        let running = self.calls.iter().any(|call| std::ptr::eq(call.hir, hir));
        if running || self.calls.len() == MOST_DEPTH {
            let mend = "write the recursion as a loop, or offload the recursive function itself";
            return refuse(at, format!("a recursion through {}", hir.name), mend);
        }
        let mut locals = vec![Slot::Unbound; hir.locals.len()];
        for (slot, arg) in locals.iter_mut().zip(args) {
            *slot = Slot::Bound(arg);
        }
        let caller_hir = replace(&mut self.hir, hir);
        let caller_env = replace(&mut self.env, env);
        let caller_locals = replace(&mut self.locals, locals);
        let caller_frames = take(&mut self.frames);
        let returns = Vec::new();
        self.calls.push(Inlined { hir, returns });

        let ends = self.body(&hir.body);

        let call = self.calls.pop().expect("pushed above");
        self.hir = caller_hir;
        self.env = caller_env;
        self.frames = caller_frames;
        self.locals.clone_from(&caller_locals);
        let ends = match ends {
            Ok(ends) => ends,
            Err(Stop::Refusal(refusal)) if !std::ptr::eq(hir, self.hir) => {
                // Its lines are those of another text: the place of the call is shown.
                return Err(refusal.seen_from(at, &hir.name).into());
            }
            Err(stop) => return Err(stop),
        };
        let none = ends.into_iter().map(|end| (end, Datum::None, at));
        let arms = call.returns.into_iter().chain(none).map(|(end, value, _)| {
            let (block, locals) = (end.block, caller_locals.clone());
            let state = State { block, locals };
            Arm {
                state,
                value,
                span: at,
            }
        });
        self.join_arms(arms.collect())
    }

    /// A call of the function itself, with the types that it is compiled for.
    pub(super) fn recursion(&mut self, call: &Call, at: Span) -> Lowered<Operand> {
        let Some(result) = self.result else {
            let mend = "call it outside of maps and of other functions";
            return refuse(at, "such a recursion", mend);
        };
        self.recursive = true;
        let params = self.hir.params;
        let mend = "give each parameter one argument";
        let keywords = self.hir.params - self.hir.keyword_only;
        if self.hir.nones != 0 || !self.calls.is_empty() || call.args.len() > keywords {
            return refuse(at, "a recursion with other arguments", mend);
        }
        let mut placed: Vec<Option<&Expr>> = call.args.iter().map(Some).collect();
        placed.resize(params, None);
        let first_named = self.hir.positional_only;
        for (name, arg) in &call.keywords {
            let place = self.hir.locals[..params]
                .iter()
                .position(|param| param == name);
            match place {
                Some(place) if place >= first_named && placed[place].is_none() && !binds(arg) => {
                    placed[place] = Some(arg);
                }
                _ => return refuse(at, "a recursion with other arguments", mend),
            }
        }
        let mut args = Vec::with_capacity(params);
        for (index, arg) in placed.into_iter().enumerate() {
            let Some(arg) = arg else {
                return refuse(at, "a recursion that leaves arguments out", mend);
            };
            let operand = self.value(arg)?;
            let param = self.b.type_of(self.b.param(index));
            if operand.ty != param {
                return refuse(
                    arg.span,
                    format!(
                        "a recursion with a {} where the call has a {}",
                        python_name(operand.ty),
                        python_name(param)
                    ),
                    "convert with float() or int()",
                );
            }
            args.push(operand.val);
        }
        let val = self.b.recurse(&args, result, at);
        Ok(Operand::of(val, result))
    }

    /// `return` in the call that is being translated.
    pub(super) fn inlined_return(&mut self, value: Datum, at: Span) {
        let state = self.state();
        let call = self.calls.last_mut().expect("the caller has checked");
        call.returns.push((state, value, at));
    }

    /// One datum for each parameter, evaluated in the order of the text.
    fn arguments(&mut self, helper: &Helper, call: &Call, at: Span) -> Lowered<Vec<Datum>> {
        let params = helper.program.params();
        let mismatch = |what: String| {
            refuse(
                at,
                what,
                "give each parameter one argument, by position or by its name",
            )
        };
        if call.args.len() > params.len() - helper.program.keyword_only() {
            return mismatch(format!(
                "a call of {} with too many arguments",
                helper.program.name()
            ));
        }
        let mut found: Vec<Option<Datum>> = Vec::new();
        for arg in &call.args {
            found.push(Some(self.datum(arg)?));
        }
        found.resize_with(params.len(), || None);
        for (name, arg) in &call.keywords {
            let datum = self.datum(arg)?;
            let place = params.iter().position(|param| param == name);
            match place.filter(|&place| place >= helper.program.positional_only()) {
                Some(place) if found[place].is_none() => found[place] = Some(datum),
                _ => return mismatch(format!("a call of {} with {name}", helper.program.name())),
            }
        }
        let mut args = Vec::with_capacity(params.len());
        for (place, datum) in found.into_iter().enumerate() {
            args.push(match (datum, helper.default(place)) {
                (Some(datum), _) => datum,
                (None, Some(default)) => self.default(default, at)?,
                (None, None) => {
                    return mismatch(format!(
                        "a call of {} without {}",
                        helper.program.name(),
                        params[place]
                    ));
                }
            });
        }
        Ok(args)
    }

    fn default(&mut self, default: &Binding, at: Span) -> Lowered<Datum> {
        match self.bound_value(default) {
            Some(datum) => Ok(datum),
            None => refuse(at, "a default that is no number", "pass the argument"),
        }
    }
}
