//! What the kernel keeps for the calling thread.

use crate::platform;
use alloc::{boxed::Box, sync::Arc};
use core::any::TypeId;

#[repr(C)]
struct Tagged<T> {
    kind: TypeId,
    value: Arc<T>,
}

/// Turns the kernel's thread object into the pointer-sized value that a platform keeps for a
/// thread ([`Spawn::value`](crate::Spawn::value)); [`get`] finds it again, [`take`] ends it.
#[must_use]
pub fn into_value<T: Send + Sync + 'static>(object: Arc<T>) -> usize {
    Box::into_raw(Box::new(Tagged {
        kind: TypeId::of::<T>(),
        value: object,
    })) as usize
}

/// The calling thread's object, where it has one of this type.
#[must_use]
pub fn get<T: Send + Sync + 'static>() -> Option<Arc<T>> {
    let pointer = platform().thread_value() as *const Tagged<T>;
    if pointer.is_null() {
        return None;
    }
    // SAFETY: non-null thread values come from `into_value` and are ended only by `take` on this
    // thread. The type tag is the first thing that is looked at, and `Tagged` is laid out alike
    // for it whatever `T` is, because `Arc<T>` of a sized `T` is one pointer.
    let tagged = unsafe { &*pointer };
    (tagged.kind == TypeId::of::<T>()).then(|| Arc::clone(&tagged.value))
}

/// Ends the calling thread's object and returns it.
#[must_use]
pub fn take<T: Send + Sync + 'static>() -> Option<Arc<T>> {
    let object = get::<T>()?;
    let pointer = platform().thread_value() as *mut Tagged<T>;
    platform().set_thread_value(0);
    // SAFETY: `get` has just checked that the value is a live `Tagged<T>`; the thread value no
    // longer names it, so nobody else frees it.
    drop(unsafe { Box::from_raw(pointer) });
    Some(object)
}

/// Sets the calling thread's object, ending the previous one of the same type.
pub fn set<T: Send + Sync + 'static>(object: Arc<T>) {
    drop(take::<T>());
    platform().set_thread_value(into_value(object));
}

/// Ends a value that was made for a thread that never started.
pub fn discard<T: Send + Sync + 'static>(value: usize, made: &Arc<T>) {
    let pointer = value as *mut Tagged<T>;
    if pointer.is_null() {
        return;
    }
    // SAFETY: the caller made the value with `into_value` for an object of this type, which `made`
    // witnesses, and no thread was given it.
    let tagged = unsafe { Box::from_raw(pointer) };
    debug_assert!(Arc::ptr_eq(&tagged.value, made));
}
