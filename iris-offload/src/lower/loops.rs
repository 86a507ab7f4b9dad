//! Loops.
//!
//! A loop gets one header block for each combination of types that its names have at the start of
//! a round: `total = 0; for x in floats: total += x` has a first round with an int and further
//! ones with a float. Each back edge polls, so that a long loop can be interrupted.

use iris_jit::ir::{Block, GuardKind, Span, Val};

use super::state::{Kind, State, slot_values};
use super::{Datum, Lowered, Lowerer, Stop, refuse};
use crate::hir::{Expr, Stmt, StmtId, Target};

/// Most headers of one loop.
const MOST_VERSIONS: usize = 8;

/// The loop around a statement: where its jumps come from.
#[derive(Default)]
pub(super) struct Frame {
    pub(super) breaks: Vec<State>,
    pub(super) continues: Vec<State>,
}

/// What one translation of a loop's body leads to.
struct Round {
    /// Paths that leave the loop at its head.
    exits: Vec<State>,
    /// Paths to the next round, with the loop's own values for it.
    backs: Vec<(State, Vec<Val>)>,
}

impl Lowerer<'_> {
    pub(super) fn frame(&mut self) -> &mut Frame {
        self.frames
            .last_mut()
            .expect("the parser refuses jumps outside of loops")
    }

    pub(super) fn while_loop(
        &mut self,
        stmt: &Stmt,
        test: &Expr,
        body: &[Stmt],
        otherwise: &[Stmt],
    ) -> Lowered<Vec<State>> {
        let round = |this: &mut Self, _: &[Val]| {
            let (go_on, exits) = this.condition(test)?;
            let mut ends = Vec::new();
            for state in this.merge(go_on) {
                this.resume(state);
                ends.extend(this.body(body)?);
            }
            let ends = this.latches(ends, stmt);
            let backs = ends.into_iter().map(|end| (end, Vec::new())).collect();
            Ok(Round { exits, backs })
        };
        self.rounds(stmt, Vec::new(), otherwise, round)
    }

    pub(super) fn for_loop(
        &mut self,
        stmt: &Stmt,
        target: &Target,
        iter: &Expr,
        body: &[Stmt],
        otherwise: &[Stmt],
    ) -> Lowered<Vec<State>> {
        let items = self.items(iter)?;
        if let Some(row) = items.row() {
            let row = row.clone();
            return self.for_each(stmt, target, &row, body, otherwise);
        }
        let start = items.start.clone();
        let round = |this: &mut Self, at: &[Val]| {
            let more = this.more_items(&items, at);
            let (head, exit) = (this.b.create_block(&[]), this.b.create_block(&[]));
            this.b.branch(more, (head, &[]), (exit, &[]));
            let exits = vec![State {
                block: exit,
                locals: this.locals.clone(),
            }];
            this.b.switch_to(head);
            let ends = this
                .item(&items, at, iter.span)
                .and_then(|item| this.bind(target, item, stmt.span))
                .and_then(|()| this.body(body));
            let ends = match ends {
                Ok(ends) => ends,
                Err(Stop::Diverged) => Vec::new(),
                Err(stop) => return Err(stop),
            };
            let mut backs = Vec::new();
            for end in this.latches(ends, stmt) {
                this.resume(end);
                let next = this.next_items(&items, at, iter.span);
                backs.push((this.state(), next));
            }
            Ok(Round { exits, backs })
        };
        self.rounds(stmt, start, otherwise, round)
    }

    /// A loop over a few items, each with the body for itself.
    fn for_each(
        &mut self,
        stmt: &Stmt,
        target: &Target,
        row: &[Datum],
        body: &[Stmt],
        otherwise: &[Stmt],
    ) -> Lowered<Vec<State>> {
        self.frames.push(Frame::default());
        let mut states = vec![self.state()];
        for item in row {
            let mut next = Vec::new();
            for state in states {
                self.resume(state);
                let bound = self.bind(target, item.clone(), stmt.span);
                match bound.and_then(|()| self.body(body)) {
                    Ok(ends) => next.extend(ends),
                    Err(Stop::Diverged) => {}
                    Err(stop) => return Err(stop),
                }
            }
            next.append(&mut self.frame().continues);
            Self::forget(&mut next, &self.hir.live.round[stmt.id.0]);
            states = self.merge(next);
            if states.len() > MOST_VERSIONS {
                let what = "the types of local names change from round to round";
                let mend = "give each name one type before the loop";
                return refuse(stmt.span, what, mend);
            }
        }
        let mut ends = self.frames.pop().expect("pushed above").breaks;
        for state in states {
            self.resume(state);
            ends.extend(self.body(otherwise)?);
        }
        Ok(ends)
    }

    /// The paths to the next round, from the end of the body and from `continue`.
    fn latches(&mut self, mut ends: Vec<State>, stmt: &Stmt) -> Vec<State> {
        ends.append(&mut self.frame().continues);
        Self::forget(&mut ends, &self.hir.live.round[stmt.id.0]);
        let ends = self.merge(ends);
        for end in &ends {
            self.b.switch_to(end.block);
            self.b.poll(stmt.span);
        }
        ends
    }

    /// Translates rounds until each back edge has a header of its types.
    fn rounds(
        &mut self,
        stmt: &Stmt,
        start: Vec<Val>,
        otherwise: &[Stmt],
        mut round: impl FnMut(&mut Self, &[Val]) -> Lowered<Round>,
    ) -> Lowered<Vec<State>> {
        self.frames.push(Frame::default());
        let mut headers = Headers::default();
        let mut exits = Vec::new();
        let mut pending = vec![(self.state(), start)];
        while let Some((state, own)) = pending.pop() {
            if !self.enter(&mut headers, stmt.id, state, &own, stmt.span)? {
                continue;
            }
            let own = self.own_values(own.len());
            match round(self, &own) {
                Ok(made) => {
                    exits.extend(made.exits);
                    pending.extend(made.backs);
                }
                Err(Stop::Diverged) => {}
                Err(stop) => return Err(stop),
            }
        }
        let frame = self.frames.pop().expect("pushed above");
        let mut ends = frame.breaks;
        for state in self.merge(exits) {
            self.resume(state);
            ends.extend(self.body(otherwise)?);
        }
        Ok(ends)
    }

    /// Leads a path to the header of its types. True if that is a new one, which is then current.
    fn enter(
        &mut self,
        headers: &mut Headers,
        id: StmtId,
        state: State,
        own: &[Val],
        at: Span,
    ) -> Lowered<bool> {
        let mut states = [state];
        Self::forget(&mut states, &self.hir.live.round[id.0]);
        let [state] = states;
        let kinds: Vec<Kind> = state.locals.iter().map(Kind::of).collect();
        let carried = |local: usize| self.hir.live.bound[id.0].contains(local);
        let moved: Vec<usize> = (0..kinds.len()).filter(|&local| carried(local)).collect();
        let mut args = own.to_vec();
        for &local in &moved {
            slot_values(&state.locals[local], &mut args);
        }
        self.b.switch_to(state.block);
        if let Some((_, block)) = headers.0.iter().find(|(known, _)| *known == kinds) {
            self.b.jump(*block, &args);
            return Ok(false);
        }
        if headers.0.len() == MOST_VERSIONS {
            return refuse(
                at,
                "the types of local names change from round to round",
                "give each name one type before the loop",
            );
        }
        let types: Vec<_> = args.iter().map(|&arg| self.b.type_of(arg)).collect();
        let block = self.b.create_block(&types);
        self.b.jump(block, &args);
        self.b.switch_to(block);
        let mut params = self
            .b
            .block_params(block)
            .to_vec()
            .into_iter()
            .skip(own.len());
        self.locals = state.locals;
        for local in moved {
            self.locals[local] = kinds[local].rebuild(&mut params);
        }
        headers.0.push((kinds, block));
        Ok(true)
    }

    /// The first parameters of the current block, which is a header.
    fn own_values(&self, count: usize) -> Vec<Val> {
        self.b.block_params(self.b.current())[..count].to_vec()
    }

    /// A guard against loops in expressions that would never end.
    pub(super) fn capped(&mut self, rounds: Val, cap: i64, at: Span) {
        let cap = self.int(cap);
        let below = self.b.compare(iris_jit::ir::Comparison::Lt, rounds, cap);
        self.b.guard(below, GuardKind::Cap, at);
    }
}

/// The header blocks of one loop by the types of the local names.
#[derive(Default)]
struct Headers(Vec<(Vec<Kind>, Block)>);
