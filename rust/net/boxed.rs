// SPDX-License-Identifier: GPL-2.0

//! Large values on the heap.

use core::{
    mem::MaybeUninit,
    ptr, //
};
use kernel::{
    alloc::Flags,
    prelude::*, //
};

/// Makes a value on the heap without a copy of it on the stack.
///
/// `init` makes it in the room that it is given, and returns it.
pub fn in_place<T>(
    flags: Flags,
    init: impl FnOnce(&mut MaybeUninit<T>) -> &mut T,
) -> Result<KBox<T>> {
    const { assert!(size_of::<T>() != 0, "what has no size lies everywhere") };
    let mut room = KBox::<T>::new_uninit(flags)?;
    let at = ptr::from_mut(&mut *room).cast::<T>();
    if !ptr::eq(init(&mut room), at) {
        return Err(EINVAL);
    }
    // SAFETY: `init` returned a reference to a `T` that lies in the room, so there is one in it. The
    // room has its size, hence it lies nowhere else.
    Ok(unsafe { room.assume_init() })
}
