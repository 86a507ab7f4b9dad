//! Bytes that stay in an object of a guest language on their way from sender to handler.

use std::fmt;

/// Who can read the bytes of objects of a guest language, and let go of the objects. Reading and
/// letting go happen on any thread, and must not wait for the guest.
pub trait Keeper: Sync {
    /// The bytes of `object`, which stay where they are and as they are until it is let go.
    fn bytes<'a>(&self, object: &'a Object) -> &'a [u8];

    /// Nobody needs `object` any more. Called once for each.
    fn let_go(&self, object: &Object);
}

/// Which object it is: whatever its keeper knows it by, such as an address. Only its keeper
/// makes something of it.
#[derive(Debug)]
pub struct Object(usize);

impl Object {
    /// As it was given to [`Foreign::new`].
    #[inline]
    pub fn get(&self) -> usize {
        self.0
    }
}

/// An object of a guest language with the bytes of a message in it, such as a `bytes` of Python.
///
/// From one actor of the guest to another it travels as it is: nobody copies the bytes, and
/// the handler gets the object that was sent. Others see [`Bytes`](bytes::Bytes) over it.
pub struct Foreign {
    object: Object,
    keeper: &'static dyn Keeper,
}

impl Foreign {
    /// An object that is `keeper`'s to let go of, once, when this is dropped.
    #[inline]
    pub fn new(object: usize, keeper: &'static dyn Keeper) -> Self {
        let object = Object(object);
        Self { object, keeper }
    }

    /// The object, if it is one of `keeper`'s.
    #[inline]
    pub fn kept_by(&self, keeper: &'static dyn Keeper) -> Option<&Object> {
        std::ptr::addr_eq(self.keeper, keeper).then_some(&self.object)
    }
}

impl AsRef<[u8]> for Foreign {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.keeper.bytes(&self.object)
    }
}

impl Drop for Foreign {
    #[inline]
    fn drop(&mut self) {
        self.keeper.let_go(&self.object);
    }
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Foreign")
            .field("object", &self.object)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::payload::Payload;

    /// Keeps the texts of a table, and notes which were let go.
    struct Table(Mutex<Vec<usize>>);

    impl Keeper for Table {
        fn bytes<'a>(&self, object: &'a Object) -> &'a [u8] {
            [&b"zero"[..], b"one"][object.get()]
        }

        fn let_go(&self, object: &Object) {
            self.0.lock().unwrap().push(object.get());
        }
    }

    #[test]
    fn an_object_is_let_go_once_however_it_goes_on() {
        static TABLE: Table = Table(Mutex::new(Vec::new()));
        static OTHER: Table = Table(Mutex::new(Vec::new()));
        let gone = || std::mem::take(&mut *TABLE.0.lock().unwrap());

        let payload = Payload::from(Foreign::new(1, &TABLE));
        assert_eq!(&payload[..], b"one");
        let kept = payload.foreign().unwrap();
        assert_eq!(kept.kept_by(&TABLE).map(Object::get), Some(1));
        assert!(kept.kept_by(&OTHER).is_none());

        let copy = payload.clone();
        assert!(copy.foreign().is_none());
        drop(copy);
        assert_eq!(gone(), []);
        let bytes = payload.into_bytes();
        let half = bytes.slice(1..);
        drop(bytes);
        assert_eq!((&half[..], gone()), (&b"ne"[..], vec![]));
        drop(half);
        assert_eq!(gone(), [1]);

        drop(Payload::from(Foreign::new(0, &TABLE)));
        assert_eq!(gone(), [0]);
    }
}
