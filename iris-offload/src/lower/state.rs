//! What is known at a place of the program: the current block and the local names.
//!
//! Paths that meet with one combination of types are joined by block parameters. Paths whose types
//! differ stay apart as several states, which is how `total = 0` may become a float in the first
//! round of a loop. Names that are not read again do not count.

use iris_jit::Type;
use iris_jit::ir::{Block, Span, Val};

use super::{Datum, Lowered, Lowerer, Operand, Stop, refuse};
use crate::live::Set;

/// What is known of a local name.
#[derive(Clone, Debug)]
pub(super) enum Slot {
    /// Not bound.
    Unbound,
    Bound(Datum),
    /// Bound on some of the paths through one expression, or to different types.
    Unsure,
}

/// The end of a path.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) block: Block,
    pub(super) locals: Vec<Slot>,
}

/// The type of a slot.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Unbound,
    Unsure,
    Scalar(Type),
    Numpy(Type),
    None,
    Tuple(Vec<Kind>),
    Array(Val),
}

impl Kind {
    pub(super) fn of(slot: &Slot) -> Self {
        match slot {
            Slot::Unbound => Self::Unbound,
            Slot::Unsure => Self::Unsure,
            Slot::Bound(datum) => Self::of_datum(datum),
        }
    }

    pub(super) fn of_datum(datum: &Datum) -> Self {
        match datum {
            Datum::Scalar(operand) if operand.is_numpy() => Self::Numpy(operand.ty),
            Datum::Scalar(operand) => Self::Scalar(operand.ty),
            Datum::None => Self::None,
            Datum::Tuple(items) => Self::Tuple(items.iter().map(Self::of_datum).collect()),
            Datum::Array(val) => Self::Array(*val),
        }
    }

    /// The types of the values that stand for it.
    pub(super) fn scalars(&self, into: &mut Vec<Type>) {
        match self {
            Self::Scalar(ty) | Self::Numpy(ty) => into.push(*ty),
            Self::Tuple(items) => items.iter().for_each(|item| item.scalars(into)),
            Self::Unbound | Self::Unsure | Self::None | Self::Array(_) => {}
        }
    }

    /// The slot of this type made of these values.
    pub(super) fn rebuild(&self, values: &mut impl Iterator<Item = Val>) -> Slot {
        match self {
            Self::Unbound => Slot::Unbound,
            Self::Unsure => Slot::Unsure,
            kind => Slot::Bound(kind.datum(values)),
        }
    }

    pub(super) fn datum(&self, values: &mut impl Iterator<Item = Val>) -> Datum {
        match self {
            Self::Scalar(ty) | Self::Numpy(ty) => {
                let val = values.next().expect("one value for each scalar");
                let scalar = Operand::of(val, *ty);
                Datum::Scalar(match self {
                    Self::Numpy(_) => scalar.numpy(),
                    _ => scalar,
                })
            }
            Self::Tuple(items) => {
                Datum::Tuple(items.iter().map(|item| item.datum(values)).collect())
            }
            Self::Array(val) => Datum::Array(*val),
            Self::None | Self::Unbound | Self::Unsure => Datum::None,
        }
    }
}

/// The values in a slot, in the order of [`Kind::scalars`].
pub(super) fn slot_values(slot: &Slot, into: &mut Vec<Val>) {
    if let Slot::Bound(datum) = slot {
        values(datum, into);
    }
}

pub(super) fn values(datum: &Datum, into: &mut Vec<Val>) {
    match datum {
        Datum::Scalar(operand) => into.push(operand.val),
        Datum::Tuple(items) => items.iter().for_each(|item| values(item, into)),
        Datum::None | Datum::Array(_) => {}
    }
}

fn same_values(a: &Slot, b: &Slot) -> bool {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    slot_values(a, &mut left);
    slot_values(b, &mut right);
    left == right
}

/// One way to a join of an expression.
pub(super) struct Arm {
    pub(super) state: State,
    pub(super) value: Datum,
    pub(super) span: Span,
}

impl Lowerer<'_> {
    pub(super) fn resume(&mut self, state: State) {
        self.b.switch_to(state.block);
        self.locals = state.locals;
    }

    /// Forgets the names that are not in `live`.
    pub(super) fn forget(states: &mut [State], live: &Set) {
        for state in states {
            for (local, slot) in state.locals.iter_mut().enumerate() {
                // What is a parameter array costs nothing to remember.
                if !live.contains(local) && !matches!(slot, Slot::Bound(Datum::Array(_))) {
                    *slot = Slot::Unbound;
                }
            }
        }
    }

    /// Joins the states of equal types.
    pub(super) fn merge(&mut self, states: Vec<State>) -> Vec<State> {
        let mut groups: Vec<(Vec<Kind>, Vec<State>)> = Vec::new();
        for state in states {
            let kinds: Vec<Kind> = state.locals.iter().map(Kind::of).collect();
            match groups.iter_mut().find(|(known, _)| *known == kinds) {
                Some((_, group)) => group.push(state),
                None => groups.push((kinds, vec![state])),
            }
        }
        let join = |(kinds, group): (Vec<Kind>, Vec<State>)| match <[State; 1]>::try_from(group) {
            Ok([alone]) => alone,
            Err(group) => self.join_group(&kinds, group),
        };
        groups.into_iter().map(join).collect()
    }

    fn join_group(&mut self, kinds: &[Kind], group: Vec<State>) -> State {
        let differs = |local: usize| {
            let first = &group[0].locals[local];
            group[1..]
                .iter()
                .any(|state| !same_values(first, &state.locals[local]))
        };
        let moved: Vec<usize> = (0..kinds.len()).filter(|&local| differs(local)).collect();
        let mut types = Vec::new();
        for &local in &moved {
            kinds[local].scalars(&mut types);
        }
        let block = self.b.create_block(&types);
        let mut locals = group[0].locals.clone();
        for state in group {
            let mut args = Vec::new();
            for &local in &moved {
                slot_values(&state.locals[local], &mut args);
            }
            self.b.switch_to(state.block);
            self.b.jump(block, &args);
        }
        let params = self.b.block_params(block).to_vec();
        let mut params = params.into_iter();
        for local in moved {
            locals[local] = kinds[local].rebuild(&mut params);
        }
        State { block, locals }
    }

    /// Joins states into one; names of different types can then be read no more.
    pub(super) fn merge_into_one(&mut self, mut states: Vec<State>) -> Option<State> {
        let count = states.first()?.locals.len();
        for local in 0..count {
            let first = Kind::of(&states[0].locals[local]);
            if states
                .iter()
                .any(|state| Kind::of(&state.locals[local]) != first)
            {
                for state in &mut states {
                    state.locals[local] = Slot::Unsure;
                }
            }
        }
        self.merge(states).pop()
    }

    /// Goes on behind the arms of an expression with the value of the one that was taken.
    pub(super) fn join_arms(&mut self, arms: Vec<Arm>) -> Lowered<Datum> {
        let Some(first) = arms.first() else {
            return Err(Stop::Diverged);
        };
        let kind = Kind::of_datum(&first.value);
        let mut states = Vec::with_capacity(arms.len());
        for arm in arms {
            let other = Kind::of_datum(&arm.value);
            if other != kind {
                return refuse(
                    arm.span,
                    format!(
                        "the value is {} or {} by the run of the program",
                        name(&kind),
                        name(&other)
                    ),
                    "convert with float() or int() so that both have one type",
                );
            }
            // The value travels as one more local.
            let mut state = arm.state;
            state.locals.push(Slot::Bound(arm.value));
            states.push(state);
        }
        let mut state = self.merge_into_one(states).expect("there are arms");
        let value = state.locals.pop();
        self.resume(state);
        match value {
            Some(Slot::Bound(datum)) => Ok(datum),
            _ => unreachable!("all arms have one type"),
        }
    }
}

/// What Python calls a type.
pub(super) fn name(kind: &Kind) -> String {
    match kind {
        Kind::Scalar(ty) => crate::signature::python_name(*ty).to_owned(),
        Kind::Numpy(ty) => crate::signature::numpy_name(*ty).to_owned(),
        Kind::Tuple(items) => {
            let names: Vec<_> = items.iter().map(name).collect();
            format!("({})", names.join(", "))
        }
        Kind::Array(_) => "array".to_owned(),
        Kind::None | Kind::Unbound | Kind::Unsure => "None".to_owned(),
    }
}
