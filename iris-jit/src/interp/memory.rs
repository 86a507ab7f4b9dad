//! Arrays as the interpreter sees them.

use crate::array::{ArrayType, Elem};
use crate::types::Value;

/// The parts of an array argument.
#[derive(Clone, Copy)]
pub(super) struct Array {
    ty: ArrayType,
    data: u64,
    shape: [i64; 2],
    strides: [i64; 2],
}

impl Array {
    /// From the words of a live `ArrayRef` of this type.
    pub(super) fn new(ty: ArrayType, words: &[u64]) -> Self {
        let ndim = usize::from(ty.ndim);
        let word = |index: usize| words[index].cast_signed();
        let pair = |at: usize| match ndim {
            1 => [word(at), 1],
            _ => [word(at), word(at + 1)],
        };
        let (shape, strides) = (pair(1), pair(1 + ndim));
        let data = words[0];
        Self {
            ty,
            data,
            shape,
            strides,
        }
    }

    pub(super) fn len(&self, dim: u8) -> i64 {
        self.shape[usize::from(dim)]
    }

    /// The address of an element.
    ///
    /// # Panics
    ///
    /// If it lies outside the array, which only a bug of a front end can cause.
    fn address<T>(&self, at: [i64; 2]) -> *mut T {
        for dim in 0..usize::from(self.ty.ndim) {
            assert!((0..self.shape[dim]).contains(&at[dim]), "outside: {at:?}");
        }
        let offset = at[0] * self.strides[0] + at[1] * self.strides[1];
        let address = self.data.wrapping_add_signed(offset);
        std::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap_or(0))
    }

    fn read<T: Copy>(&self, at: [i64; 2]) -> T {
        // SAFETY: within the array, whose words come from a live `ArrayRef`.
        unsafe { self.address::<T>(at).read_unaligned() }
    }

    fn write<T: Copy>(&self, at: [i64; 2], value: T) {
        // SAFETY: as for `read`; the verifier let no read-only array come here.
        unsafe { self.address::<T>(at).write_unaligned(value) }
    }

    /// The element, unless it does not fit an i64.
    pub(super) fn load(&self, at: [i64; 2]) -> Option<Value> {
        Some(match self.ty.elem {
            Elem::F64 => Value::F64(self.read(at)),
            Elem::F32 => Value::F64(self.read::<f32>(at).into()),
            Elem::I8 => Value::I64(self.read::<i8>(at).into()),
            Elem::I16 => Value::I64(self.read::<i16>(at).into()),
            Elem::I32 => Value::I64(self.read::<i32>(at).into()),
            Elem::I64 => Value::I64(self.read(at)),
            Elem::U8 => Value::I64(self.read::<u8>(at).into()),
            Elem::U16 => Value::I64(self.read::<u16>(at).into()),
            Elem::U32 => Value::I64(self.read::<u32>(at).into()),
            Elem::U64 => Value::I64(self.read::<u64>(at).try_into().ok()?),
            Elem::Bool => Value::Bool(self.read::<u8>(at) != 0),
        })
    }

    /// Writes the element, unless the value does not fit it.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounding is what is asked for"
    )]
    pub(super) fn store(&self, at: [i64; 2], value: Value) -> Option<()> {
        match (self.ty.elem, value) {
            (Elem::F64, Value::F64(value)) => self.write(at, value),
            (Elem::F32, Value::F64(value)) => {
                let narrow = value as f32;
                if narrow.is_infinite() && value.is_finite() {
                    return None;
                }
                self.write(at, narrow);
            }
            (Elem::Bool, Value::Bool(value)) => self.write(at, u8::from(value)),
            (Elem::I8, Value::I64(value)) => self.write(at, i8::try_from(value).ok()?),
            (Elem::I16, Value::I64(value)) => self.write(at, i16::try_from(value).ok()?),
            (Elem::I32, Value::I64(value)) => self.write(at, i32::try_from(value).ok()?),
            (Elem::I64, Value::I64(value)) => self.write(at, value),
            (Elem::U8, Value::I64(value)) => self.write(at, u8::try_from(value).ok()?),
            (Elem::U16, Value::I64(value)) => self.write(at, u16::try_from(value).ok()?),
            (Elem::U32, Value::I64(value)) => self.write(at, u32::try_from(value).ok()?),
            (Elem::U64, Value::I64(value)) => self.write(at, u64::try_from(value).ok()?),
            (elem, value) => unreachable!("verified: {elem} takes no {value:?}"),
        }
        Some(())
    }
}
