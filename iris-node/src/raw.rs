//! Functions that JavaScript calls for each message or batch.
//!
//! A method as napi-rs makes it costs some 400 ns a call, most of it for finding the object behind
//! `this`; a function that has the object as its data costs 55. What is not called that often stays
//! a method.

use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi::sys;

use crate::core::Shared;

/// The most arguments of a function.
const MOST: usize = 6;

/// A function of JavaScript's.
pub(crate) trait Raw: 'static {
    /// What JavaScript calls it.
    const NAME: &'static CStr;

    /// Does it.
    ///
    /// # Errors
    /// Are thrown: a text with the code in front, as in `error.rs`.
    fn call(shared: &Shared, args: &Args) -> Result<Answer>;
}

/// What it returns.
pub(crate) enum Answer {
    Nothing,
    Number(f64),
    Flag(bool),
}

impl From<i32> for Answer {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

/// The arguments of a call. Those that JavaScript has left out are `undefined`.
pub(crate) struct Args {
    env: sys::napi_env,
    values: [sys::napi_value; MOST],
}

impl Args {
    pub(crate) fn env(&self) -> Env {
        Env::from_raw(self.env)
    }

    pub(crate) fn number(&self, at: usize) -> Result<f64> {
        let mut number = 0.0;
        // SAFETY: the environment and the value are those of the call that is under way.
        let status =
            unsafe { sys::napi_get_value_double(self.env, self.values[at], &raw mut number) };
        expect(status, at, "a number").map(|()| number)
    }

    /// A number as a count; what is none is 0.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what does not fit is the nearest that does"
    )]
    pub(crate) fn count(&self, at: usize) -> Result<u32> {
        self.number(at).map(|number| number as u32)
    }

    #[expect(clippy::cast_possible_truncation, reason = "as with `count`")]
    pub(crate) fn int(&self, at: usize) -> Result<i32> {
        self.number(at).map(|number| number as i32)
    }

    /// The place in a batch, or `None` for what is below 0.
    #[expect(clippy::cast_possible_truncation, reason = "as with `count`")]
    pub(crate) fn place(&self, at: usize) -> Result<Option<usize>> {
        self.number(at)
            .map(|number| usize::try_from(number as i64).ok())
    }

    pub(crate) fn flag(&self, at: usize) -> Result<bool> {
        let mut flag = false;
        // SAFETY: as in `number`.
        let status = unsafe { sys::napi_get_value_bool(self.env, self.values[at], &raw mut flag) };
        expect(status, at, "true or false").map(|()| flag)
    }

    /// A text; `None` for `undefined`.
    pub(crate) fn text(&self, at: usize) -> Result<Option<String>> {
        let mut kind = sys::ValueType::napi_undefined;
        // SAFETY: as in `number`.
        let status = unsafe { sys::napi_typeof(self.env, self.values[at], &raw mut kind) };
        expect(status, at, "a string")?;
        if kind == sys::ValueType::napi_undefined {
            return Ok(None);
        }
        // SAFETY: as in `number`; a value that is no string is an error.
        unsafe { String::from_napi_value(self.env, self.values[at]) }.map(Some)
    }

    /// The bytes of a typed array.
    pub(crate) fn bytes(&self, at: usize) -> Result<&[u8]> {
        let (data, length) = self.buffer(at)?;
        if length == 0 {
            return Ok(&[]);
        }
        // SAFETY: they are there until the call is over, and JavaScript, on whose thread this is,
        // does not write to them meanwhile. Another thread may write to those of a
        // SharedArrayBuffer: they are only copied, and any bytes are a message.
        Ok(unsafe { std::slice::from_raw_parts(data.cast(), length) })
    }

    /// The elements of a typed array, to be written.
    ///
    /// # Safety
    ///
    /// No other slice may be had of the memory of the array meanwhile.
    #[expect(clippy::mut_from_ref, reason = "they are JavaScript's, not of `self`")]
    pub(crate) unsafe fn elements<T: Element>(&self, at: usize) -> Result<&mut [T]> {
        let (data, length) = self.buffer(at)?;
        if length == 0 {
            return Ok(&mut []);
        }
        let data = data.cast::<T>();
        if !data.is_aligned() {
            return Err(Error::from_reason(format!(
                "argument {at} is not aligned to its elements"
            )));
        }
        // SAFETY: as in `bytes`; any bits are an element, and the caller sees to the rest.
        Ok(unsafe { std::slice::from_raw_parts_mut(data, length / size_of::<T>()) })
    }

    fn buffer(&self, at: usize) -> Result<(*mut c_void, usize)> {
        let (mut data, mut length) = (ptr::null_mut(), 0);
        // SAFETY: as in `number`; a value that is no view of a buffer is an error.
        let status = unsafe {
            sys::napi_get_buffer_info(self.env, self.values[at], &raw mut data, &raw mut length)
        };
        expect(status, at, "a typed array")?;
        Ok((data, if data.is_null() { 0 } else { length }))
    }
}

/// Elements of typed arrays: any bits are one.
pub(crate) trait Element: Copy {}
impl Element for u8 {}
impl Element for i32 {}
impl Element for f64 {}

fn expect(status: sys::napi_status, at: usize, what: &str) -> Result<()> {
    if status == sys::Status::napi_ok {
        return Ok(());
    }
    Err(Error::new(
        Status::from(status),
        format!("argument {at} must be {what}"),
    ))
}

/// Puts the function into `object`.
pub(crate) fn define<F: Raw>(env: &Env, object: &Object<'_>, shared: &Arc<Shared>) -> Result<()> {
    let env = env.raw();
    let data = Arc::into_raw(shared.clone());
    let mut function = ptr::null_mut();
    // SAFETY: the environment and the object are those of the call that is under way. The function
    // owns the reference from here on, which its finalizer gives up.
    let status = unsafe {
        let name = F::NAME.as_ptr();
        let length = F::NAME.count_bytes().cast_signed();
        let data = data.cast_mut().cast::<c_void>();
        let mut status =
            sys::napi_create_function(env, name, length, Some(run::<F>), data, &raw mut function);
        if status == sys::Status::napi_ok {
            status = sys::napi_add_finalizer(
                env,
                function,
                data,
                Some(let_go),
                ptr::null_mut(),
                ptr::null_mut(),
            );
        }
        if status == sys::Status::napi_ok {
            status = sys::napi_set_named_property(env, object.raw(), name, function);
        } else {
            drop(Arc::from_raw(data.cast_const().cast::<Shared>()));
        }
        status
    };
    if status == sys::Status::napi_ok {
        return Ok(());
    }
    let text = format!("the function {:?} cannot be made", F::NAME);
    Err(Error::new(Status::from(status), text))
}

/// Nobody can call the function any more.
unsafe extern "C" fn let_go(_: sys::napi_env, shared: *mut c_void, _: *mut c_void) {
    // SAFETY: `define` has given the function this reference, and Node calls this once.
    drop(unsafe { Arc::from_raw(shared.cast_const().cast::<Shared>()) });
}

/// What Node calls.
unsafe extern "C" fn run<F: Raw>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    let mut args = Args {
        env,
        values: [ptr::null_mut(); MOST],
    };
    let mut given = MOST;
    let mut data = ptr::null_mut();
    // SAFETY: Node gives a live environment and the call; there is room for as many as `given`.
    let status = unsafe {
        sys::napi_get_cb_info(
            env,
            info,
            &raw mut given,
            args.values.as_mut_ptr(),
            ptr::null_mut(),
            &raw mut data,
        )
    };
    if status != sys::Status::napi_ok {
        return ptr::null_mut();
    }
    // SAFETY: the function owns a reference, and it is being called.
    let shared = unsafe { &*data.cast_const().cast::<Shared>() };
    // Unwinding must not reach Node. What a panic has left behind is behind locks that heed that.
    let answer = catch_unwind(AssertUnwindSafe(|| F::call(shared, &args)));
    let answer = answer.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no text");
        Err(Error::from_reason(format!("a defect of iris: {text}")))
    });
    let mut value = ptr::null_mut();
    // SAFETY: the environment is that of the call. A value that cannot be made is null, which is
    // `undefined`.
    unsafe {
        match answer {
            Ok(Answer::Nothing) => {}
            Ok(Answer::Number(number)) => {
                sys::napi_create_double(env, number, &raw mut value);
            }
            Ok(Answer::Flag(flag)) => {
                sys::napi_get_boolean(env, flag, &raw mut value);
            }
            Err(error) => JsError::from(error).throw_into(env),
        }
    }
    value
}
