//! Python values as msgpack, without a tree in between.
//!
//! What travels: `None`, `bool`, `int` of 64 bits, `float`, `str`, `bytes` (and `bytearray` and
//! `memoryview`, which arrive as `bytes`), `list` and `tuple` (which arrives as a `list`), and
//! `dict`. Subclasses travel as what they are derived from. Nothing else does: no pickle, no
//! import, no call of anybody's code.
//!
//! A call of a method is `[name, [arguments], {keywords}]`.

use std::cell::Cell;
use std::fmt::Write as _;

use iris::Payload;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PyString, PyTuple,
};
use rmp::Marker;
use rmp::encode as put;

use crate::error;

/// How deep lists and dicts may lie in each other, in both directions.
const MOST_LEVELS: usize = 128;

/// A buffer for encoding that grew beyond this is not kept.
const KEPT_BYTES: usize = 64 << 10;

const ROOM: &str = "a vector takes all that is written";

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A value that cannot travel. One word, for it is in the way of every value.
struct Unfit(Box<Reason>);

/// What cannot travel, and where it is.
struct Reason {
    what: String,
    /// From the inside out.
    path: Vec<String>,
}

impl Unfit {
    #[cold]
    fn new(what: impl Into<String>) -> Self {
        Self(Box::new(Reason {
            what: what.into(),
            path: Vec::new(),
        }))
    }

    #[cold]
    fn at(mut self, step: impl Into<String>) -> Self {
        self.0.path.push(step.into());
        self
    }

    #[cold]
    fn raise(self, py: Python<'_>, root: &str) -> PyErr {
        let mut text = root.to_owned();
        for step in self.0.path.iter().rev() {
            text.push_str(step);
        }
        let _ = write!(text, ": {}", self.0.what);
        error::codec(py, text)
    }
}

type Written = Result<(), Unfit>;

/// What `write` puts into a buffer, as a payload.
fn payload<E>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Payload, E> {
    let mut buffer = BUFFER.take();
    buffer.clear();
    write(&mut buffer)?;
    if buffer.len() > KEPT_BYTES {
        return Ok(Payload::from(buffer));
    }
    let payload = Payload::copy_of(&buffer);
    BUFFER.set(buffer);
    Ok(payload)
}

/// One value; errors name it `root`.
pub(crate) fn value(root: &str, value: &Bound<'_, PyAny>) -> PyResult<Payload> {
    payload(|out| write(out, value, 0)).map_err(|unfit| unfit.raise(value.py(), root))
}

/// A call of the method `name`.
pub(crate) fn call(
    name: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<Payload> {
    payload(|out| {
        put::write_array_len(out, 3).expect(ROOM);
        write(out, name, 0).map_err(|unfit| unfit.at("method"))?;
        put::write_array_len(out, length(args.len())?).expect(ROOM);
        for (at, argument) in args.iter_borrowed().enumerate() {
            write(out, &argument, 0).map_err(|unfit| unfit.at(format!("args[{at}]")))?;
        }
        let Some(kwargs) = kwargs else {
            put::write_map_len(out, 0).expect(ROOM);
            return Ok(());
        };
        put::write_map_len(out, length(kwargs.len())?).expect(ROOM);
        for (keyword, argument) in kwargs {
            write(out, &keyword, 0)?;
            write(out, &argument, 0).map_err(|unfit| unfit.at(format!("kwargs[{keyword:?}]")))?;
        }
        Ok(())
    })
    .map_err(|unfit: Unfit| unfit.raise(name.py(), ""))
}

fn length(len: usize) -> Result<u32, Unfit> {
    u32::try_from(len).map_err(|_| Unfit::new("more than 2^32 - 1 bytes or items cannot travel"))
}

fn write(out: &mut Vec<u8>, value: &Bound<'_, PyAny>, level: usize) -> Written {
    if let Ok(text) = value.cast::<PyString>() {
        let text = text
            .to_str()
            .map_err(|_| Unfit::new("a str with lone surrogates is not text that can travel"))?;
        length(text.len())?;
        put::write_str(out, text).expect(ROOM);
    } else if value.is_none() {
        put::write_nil(out).expect(ROOM);
    } else if let Ok(truth) = value.cast::<PyBool>() {
        put::write_bool(out, truth.is_true()).expect(ROOM);
    } else if let Ok(number) = value.cast::<PyInt>() {
        write_int(out, number)?;
    } else if let Ok(number) = value.cast::<PyFloat>() {
        put::write_f64(out, number.value()).expect(ROOM);
    } else if let Ok(bytes) = value.cast::<PyBytes>() {
        write_bytes(out, bytes.as_bytes())?;
    } else {
        return write_other(out, value, level);
    }
    Ok(())
}

fn write_int(out: &mut Vec<u8>, number: &Bound<'_, PyInt>) -> Written {
    if let Ok(number) = number.extract::<i64>() {
        put::write_sint(out, number).expect(ROOM);
    } else if let Ok(number) = number.extract::<u64>() {
        put::write_uint(out, number).expect(ROOM);
    } else {
        return Err(Unfit::new(
            "an int beyond 64 bits cannot travel; send it as text or bytes",
        ));
    }
    Ok(())
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Written {
    put::write_bin_len(out, length(bytes.len())?).expect(ROOM);
    out.extend_from_slice(bytes);
    Ok(())
}

fn write_other(out: &mut Vec<u8>, value: &Bound<'_, PyAny>, level: usize) -> Written {
    if level >= MOST_LEVELS {
        return Err(Unfit::new(format!(
            "lists and dicts are nested deeper than {MOST_LEVELS}, or one contains itself"
        )));
    }
    if let Ok(list) = value.cast::<PyList>() {
        put::write_array_len(out, length(list.len())?).expect(ROOM);
        for (at, item) in list.iter().enumerate() {
            write(out, &item, level + 1).map_err(|unfit| unfit.at(format!("[{at}]")))?;
        }
    } else if let Ok(tuple) = value.cast::<PyTuple>() {
        put::write_array_len(out, length(tuple.len())?).expect(ROOM);
        for (at, item) in tuple.iter_borrowed().enumerate() {
            write(out, &item, level + 1).map_err(|unfit| unfit.at(format!("[{at}]")))?;
        }
    } else if let Ok(dict) = value.cast::<PyDict>() {
        put::write_map_len(out, length(dict.len())?).expect(ROOM);
        for (key, item) in dict {
            let step = |unfit: Unfit| unfit.at(format!("[{key:?}]"));
            write(out, &key, level + 1).map_err(step)?;
            write(out, &item, level + 1).map_err(step)?;
        }
    } else if let Ok(bytes) = value.cast::<PyByteArray>() {
        write_bytes(out, &bytes.to_vec())?;
    } else if let Ok(view) = value.cast::<PyMemoryView>() {
        let copy = view.call_method0("tobytes");
        let copy = copy.map_err(|_| Unfit::new("a released memoryview cannot travel"))?;
        let copy = copy.cast_into::<PyBytes>();
        write_bytes(out, copy.expect("that is what it makes").as_bytes())?;
    } else {
        let kind = error::type_name(value);
        return Err(Unfit::new(format!(
            "{kind} cannot travel in a message; None, bool, int, float, str, bytes, list, tuple \
             and dict can"
        )));
    }
    Ok(())
}

/// Bytes that are not what they should be.
pub(crate) struct Broken(&'static str);

impl Broken {
    pub(crate) fn raise(&self, py: Python<'_>) -> PyErr {
        error::protocol(py, format!("not a message that can be read: {}", self.0))
    }
}

/// The one value that `bytes` is.
pub(crate) fn read<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let mut reader = Reader { bytes };
    let value = reader.value(py, 0)?;
    reader.end().map_err(|broken| broken.raise(py))?;
    Ok(value)
}

/// A call whose arguments are not read yet.
pub(crate) struct Call<'a> {
    pub(crate) method: &'a [u8],
    arguments: Reader<'a>,
}

/// The arguments of a call, in the order in which the interpreter takes them.
pub(crate) struct Arguments<'py> {
    /// Those by position, then those by keyword.
    pub(crate) values: Vec<Bound<'py, PyAny>>,
    pub(crate) keywords: Vec<Bound<'py, PyAny>>,
}

impl<'a> Call<'a> {
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, Broken> {
        let mut reader = Reader { bytes };
        if !matches!(reader.marker()?, Marker::FixArray(3)) {
            return Err(Broken("a call is an array of three"));
        }
        let marker = reader.marker()?;
        let Some(len) = reader.text_len(marker)? else {
            return Err(Broken("the name of a method is text"));
        };
        let method = reader.take(len)?;
        Ok(Self {
            method,
            arguments: reader,
        })
    }

    /// The arguments, after `first`.
    pub(crate) fn arguments(self, first: Bound<'_, PyAny>) -> PyResult<Arguments<'_>> {
        let py = first.py();
        let broken = |broken: Broken| broken.raise(py);
        let mut reader = self.arguments;
        let marker = reader.marker().map_err(broken)?;
        let Some(len) = reader.array_len(marker).map_err(broken)? else {
            return Err(Broken("the arguments are an array").raise(py));
        };
        let mut values = Vec::with_capacity(len + 1);
        values.push(first);
        for _ in 0..len {
            values.push(reader.value(py, 0)?);
        }
        let marker = reader.marker().map_err(broken)?;
        let Some(len) = reader.map_len(marker).map_err(broken)? else {
            return Err(Broken("the keywords are a map").raise(py));
        };
        let mut keywords = Vec::with_capacity(len);
        for _ in 0..len {
            let keyword = reader.value(py, 0)?;
            if !keyword.is_exact_instance_of::<PyString>() {
                return Err(Broken("a keyword is text").raise(py));
            }
            keywords.push(keyword);
            values.push(reader.value(py, 0)?);
        }
        reader.end().map_err(broken)?;
        Ok(Arguments { values, keywords })
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Broken> {
        let Some((taken, rest)) = self.bytes.split_at_checked(len) else {
            return Err(Broken("it ends too early"));
        };
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let Some((taken, rest)) = self.bytes.split_first_chunk() else {
            return Err(Broken("it ends too early"));
        };
        self.bytes = rest;
        Ok(*taken)
    }

    fn end(&self) -> Result<(), Broken> {
        let rest = self.bytes.is_empty();
        rest.then_some(()).ok_or(Broken("something follows it"))
    }

    fn marker(&mut self) -> Result<Marker, Broken> {
        let [byte] = self.array()?;
        Ok(Marker::from_u8(byte))
    }

    fn len8(&mut self) -> Result<usize, Broken> {
        self.array().map(u8::from_be_bytes).map(usize::from)
    }

    fn len16(&mut self) -> Result<usize, Broken> {
        self.array().map(u16::from_be_bytes).map(usize::from)
    }

    fn len32(&mut self) -> Result<usize, Broken> {
        let len = self.array().map(u32::from_be_bytes)?;
        usize::try_from(len).map_err(|_| Broken("it is too long"))
    }

    /// How many items there are to come. Each takes a byte at least: room is not made for more
    /// than can be there.
    fn count(&self, count: usize, each: usize) -> Result<usize, Broken> {
        let fits = count.saturating_mul(each) <= self.bytes.len();
        fits.then_some(count).ok_or(Broken("it ends too early"))
    }

    fn text_len(&mut self, marker: Marker) -> Result<Option<usize>, Broken> {
        Ok(Some(match marker {
            Marker::FixStr(len) => usize::from(len),
            Marker::Str8 => self.len8()?,
            Marker::Str16 => self.len16()?,
            Marker::Str32 => self.len32()?,
            _ => return Ok(None),
        }))
    }

    fn array_len(&mut self, marker: Marker) -> Result<Option<usize>, Broken> {
        let count = match marker {
            Marker::FixArray(len) => usize::from(len),
            Marker::Array16 => self.len16()?,
            Marker::Array32 => self.len32()?,
            _ => return Ok(None),
        };
        self.count(count, 1).map(Some)
    }

    fn map_len(&mut self, marker: Marker) -> Result<Option<usize>, Broken> {
        let count = match marker {
            Marker::FixMap(len) => usize::from(len),
            Marker::Map16 => self.len16()?,
            Marker::Map32 => self.len32()?,
            _ => return Ok(None),
        };
        self.count(count, 2).map(Some)
    }

    fn value<'py>(&mut self, py: Python<'py>, level: usize) -> PyResult<Bound<'py, PyAny>> {
        let broken = |broken: Broken| broken.raise(py);
        let marker = self.marker().map_err(broken)?;
        if let Some(len) = self.text_len(marker).map_err(broken)? {
            let bytes = self.take(len).map_err(broken)?;
            let text = str::from_utf8(bytes).map_err(|_| Broken("text is not UTF-8").raise(py))?;
            return Ok(PyString::new(py, text).into_any());
        }
        if let Some(number) = self.number(py, marker).map_err(broken)? {
            return Ok(number);
        }
        let len = match marker {
            Marker::Bin8 => Some(self.len8()),
            Marker::Bin16 => Some(self.len16()),
            Marker::Bin32 => Some(self.len32()),
            _ => None,
        };
        if let Some(len) = len {
            let bytes = len.and_then(|len| self.take(len)).map_err(broken)?;
            return Ok(PyBytes::new(py, bytes).into_any());
        }
        if level >= MOST_LEVELS {
            return Err(Broken("it is nested too deep").raise(py));
        }
        if let Some(len) = self.array_len(marker).map_err(broken)? {
            let list = PyList::empty(py);
            for _ in 0..len {
                list.append(self.value(py, level + 1)?)?;
            }
            return Ok(list.into_any());
        }
        if let Some(len) = self.map_len(marker).map_err(broken)? {
            let dict = PyDict::new(py);
            for _ in 0..len {
                let key = self.value(py, level + 1)?;
                let value = self.value(py, level + 1)?;
                dict.set_item(key, value)
                    .map_err(|_| Broken("a list or dict cannot be a key").raise(py))?;
            }
            return Ok(dict.into_any());
        }
        Err(Broken("it has a part of a kind that no Python value stands for").raise(py))
    }

    fn number<'py>(
        &mut self,
        py: Python<'py>,
        marker: Marker,
    ) -> Result<Option<Bound<'py, PyAny>>, Broken> {
        let signed = match marker {
            Marker::FixPos(number) => i64::from(number),
            Marker::FixNeg(number) => i64::from(number),
            Marker::U8 => i64::from(u8::from_be_bytes(self.array()?)),
            Marker::U16 => i64::from(u16::from_be_bytes(self.array()?)),
            Marker::U32 => i64::from(u32::from_be_bytes(self.array()?)),
            Marker::I8 => i64::from(i8::from_be_bytes(self.array()?)),
            Marker::I16 => i64::from(i16::from_be_bytes(self.array()?)),
            Marker::I32 => i64::from(i32::from_be_bytes(self.array()?)),
            Marker::I64 => i64::from_be_bytes(self.array()?),
            Marker::U64 => {
                let number = u64::from_be_bytes(self.array()?);
                return Ok(Some(PyInt::new(py, number).into_any()));
            }
            Marker::F32 => {
                let number = f32::from_be_bytes(self.array()?);
                return Ok(Some(PyFloat::new(py, number.into()).into_any()));
            }
            Marker::F64 => {
                let number = f64::from_be_bytes(self.array()?);
                return Ok(Some(PyFloat::new(py, number).into_any()));
            }
            Marker::Null => return Ok(Some(py.None().into_bound(py))),
            Marker::True => return Ok(Some(PyBool::new(py, true).to_owned().into_any())),
            Marker::False => return Ok(Some(PyBool::new(py, false).to_owned().into_any())),
            _ => return Ok(None),
        };
        Ok(Some(PyInt::new(py, signed).into_any()))
    }
}

/// A value as the bytes of a message, in msgpack: `None`, `bool`, `int` of 64 bits, `float`,
/// `str`, bytes, lists, tuples (which arrive as lists) and dicts of these.
///
/// Raises `CodecError` for anything else, saying where in the value it is.
#[pyfunction]
pub(crate) fn pack<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let payload = self::value("value", value)?;
    Ok(PyBytes::new(value.py(), &payload))
}

/// The value that `pack` made these bytes of. Raises `ProtocolError` for bytes that are no msgpack.
#[pyfunction]
pub(crate) fn unpack<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    read(py, data)
}
