//! Arrays: memory of the caller's that compiled code reads and writes.

use std::fmt;
use std::marker::PhantomData;

/// What an element is in memory. Values are converted on the way: integers to i64, floats to f64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say all")]
pub enum Elem {
    F64,
    F32,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    /// One byte; anything but 0 is true.
    Bool,
}

impl Elem {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::F64,
        Self::F32,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::Bool,
    ];

    /// Size in bytes.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// The least and the largest integer that it holds, if it holds integers; within an i64.
    pub fn int_range(self) -> Option<(i64, i64)> {
        Some(match self {
            Self::I8 => (i8::MIN.into(), i8::MAX.into()),
            Self::I16 => (i16::MIN.into(), i16::MAX.into()),
            Self::I32 => (i32::MIN.into(), i32::MAX.into()),
            Self::I64 => (i64::MIN, i64::MAX),
            Self::U8 => (0, u8::MAX.into()),
            Self::U16 => (0, u16::MAX.into()),
            Self::U32 => (0, u32::MAX.into()),
            Self::U64 => (0, i64::MAX),
            Self::F64 | Self::F32 | Self::Bool => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::Bool => "bool",
        }
    }
}

impl fmt::Display for Elem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The type of an array.
///
/// At the call boundary an array is the address of its first element, one word for the length of
/// each dimension, and one word for the distance in bytes between neighbors in each dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ArrayType {
    /// What it holds.
    pub elem: Elem,
    /// Number of dimensions: 1 or 2.
    pub ndim: u8,
    /// Whether elements follow each other without gaps, the last dimension fastest.
    pub contiguous: bool,
    /// Whether it may be written.
    pub writable: bool,
    /// Whether a program sees `NumPy`'s numbers in it: the front end's concern, which makes no
    /// difference to back ends.
    pub numpy: bool,
}

impl ArrayType {
    /// How many words stand for it at the call boundary.
    pub fn words(self) -> usize {
        1 + 2 * usize::from(self.ndim)
    }
}

impl fmt::Display for ArrayType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.writable { "mut " } else { "" };
        let strided = if self.contiguous { "" } else { " strided" };
        let numpy = if self.numpy { " numpy" } else { "" };
        write!(f, "[{kind}{}; {}d{strided}{numpy}]", self.elem, self.ndim)
    }
}

/// A borrowed array, as an argument.
#[derive(Clone, Copy, Debug)]
pub struct ArrayRef<'a> {
    ty: ArrayType,
    words: [u64; 5],
    memory: PhantomData<&'a mut u8>,
}

impl ArrayRef<'_> {
    /// An array by its parts.
    ///
    /// # Safety
    ///
    /// For each index within `shape` the element at `data` plus the sum of index times stride (in
    /// bytes) is readable, and writable if `ty` says so, for `'a`; `ty.contiguous` is true only if
    /// the strides are those of such an array. Nobody else uses the memory during a call.
    pub unsafe fn from_parts(
        ty: ArrayType,
        data: *mut u8,
        shape: [usize; 2],
        strides: [isize; 2],
    ) -> Self {
        let address = data.expose_provenance() as u64;
        let words = if ty.ndim == 1 {
            [
                address,
                shape[0] as u64,
                strides[0].cast_unsigned() as u64,
                0,
                0,
            ]
        } else {
            let [rows, columns] = shape.map(|n| n as u64);
            let [down, right] = strides.map(|n| n.cast_unsigned() as u64);
            [address, rows, columns, down, right]
        };
        let memory = PhantomData;
        Self { ty, words, memory }
    }

    /// As many elements as the bytes make, in the host's order of bytes.
    pub fn from_bytes(elem: Elem, bytes: &mut [u8]) -> ArrayRef<'_> {
        let ty = ArrayType {
            elem,
            ndim: 1,
            contiguous: true,
            writable: true,
            numpy: false,
        };
        let (len, stride) = (bytes.len() / elem.size(), elem.size().cast_signed());
        // SAFETY: the slice is borrowed for as long, and holds `len` elements; each pattern of
        // bits is an element, and compiled code asks for no alignment.
        unsafe { ArrayRef::from_parts(ty, bytes.as_mut_ptr(), [len, 1], [stride, 0]) }
    }

    /// Its type.
    pub fn ty(&self) -> ArrayType {
        self.ty
    }

    /// The words that stand for it at the call boundary.
    pub fn words(&self) -> &[u64] {
        &self.words[..self.ty.words()]
    }
}

macro_rules! slices {
    ($($of:ty => $elem:ident),*) => {$(
        impl<'a> From<&'a mut [$of]> for ArrayRef<'a> {
            fn from(slice: &'a mut [$of]) -> Self {
                let elem = Elem::$elem;
                let ty = ArrayType { elem, ndim: 1, contiguous: true, writable: true, numpy: false };
                let (data, len) = (slice.as_mut_ptr().cast(), slice.len());
                let stride = size_of::<$of>().cast_signed();
                // SAFETY: the slice is borrowed for `'a`, and these are its parts.
                unsafe { Self::from_parts(ty, data, [len, 1], [stride, 0]) }
            }
        }
    )*};
}

slices!(
    f64 => F64, f32 => F32, i8 => I8, i16 => I16, i32 => I32, i64 => I64,
    u8 => U8, u16 => U16, u32 => U32, u64 => U64, bool => Bool
);
