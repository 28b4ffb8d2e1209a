// SPDX-License-Identifier: GPL-2.0

//! Resizable hash tables of reference-counted nodes, looked up under RCU.
//!
//! A [`Node`] is one allocation that holds a key, a value and a timer. References to it
//! ([`NodeRef`]) are owned by whoever holds one, by the [`Table`] that it is in and by its timer
//! while that is pending; one RCU grace period after the last is gone the node is freed. So what
//! a lookup finds can be used for as long as the RCU read lock is held, and kept with
//! [`Node::get`].
//!
//! C header: [`include/linux/rhashtable.h`](srctree/include/linux/rhashtable.h)

use super::{
    bindings,
    spinlock::{
        new_spinlock_bh,
        SpinLockBh, //
    }, //
};
use core::{
    marker::PhantomData,
    mem::{
        forget,
        offset_of, //
    },
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    alloc::Flags,
    container_of,
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    static_lock_class,
    sync::{
        atomic::{
            Atomic,
            AtomicFlag,
            Full,
            Relaxed, //
        },
        rcu,
        Refcount, //
    },
    types::Opaque, //
};
use zerocopy::Immutable;

/// How many nodes exist, in all tables and in none.
static LIVE_NODES: Atomic<usize> = Atomic::new(0);

/// Returns how many nodes exist, including those that wait for their grace period.
///
/// Once nothing can make new ones, and after [`rcu_barrier`], what is left has leaked.
pub fn live_nodes() -> usize {
    LIVE_NODES.load(Relaxed)
}

/// Waits until all nodes whose last reference is gone are freed.
///
/// This must be the last thing that a module does before its code goes away. It sleeps.
pub fn rcu_barrier() {
    // SAFETY: An FFI call with no additional requirements.
    unsafe { bindings::rcu_barrier() };
}

/// Waits until all RCU readers that run now, and softirqs such as timers, have ended. Sleeps.
pub fn synchronize_rcu() {
    // SAFETY: An FFI call with no additional requirements.
    unsafe { bindings::synchronize_rcu() };
}

/// What a [`Table`] holds.
///
/// A value is dropped in the softirq that frees its node: its destructor must not sleep.
pub trait Entry: Send + Sync + Sized + 'static {
    /// What the table is searched for.
    ///
    /// Keys are equal if their bytes are, which is why they may have no padding.
    type Key: Copy + Eq + IntoBytes + Immutable + Send + Sync + 'static;

    /// Called in softirq context when the node's timer expires.
    ///
    /// `node` is the reference that the timer owned.
    fn on_timer(node: NodeRef<Self>);
}

/// What a [`Table`] links: a key, a value and a timer.
///
/// # Invariants
///
/// - The node is in an allocation of `KBox` of its own, and owned by its references.
/// - `refs` counts the [`NodeRef`]s, plus one if the node is in a table, plus one if `timer` is
///   pending. When it reaches zero, the node is freed after a grace period by `rcu`.
/// - `head` belongs to the table that has set `claimed`, for good, even when the node is no longer
///   in it: readers may still be on their way through it.
/// - `key` never changes.
#[pin_data]
#[repr(C)]
pub struct Node<T: Entry> {
    #[pin]
    head: Opaque<bindings::rhash_head>,
    refs: Refcount,
    claimed: AtomicFlag,
    key: T::Key,
    #[pin]
    rcu: Opaque<bindings::callback_head>,
    #[pin]
    timer: Opaque<bindings::timer_list>,
    /// Whether the timer may be armed no more.
    #[pin]
    retired: SpinLockBh<bool>,
    #[pin]
    value: T,
}

// SAFETY: Keys and values are `Send` by the bounds of `Entry`; the C structures are not tied to a
// thread.
unsafe impl<T: Entry> Send for Node<T> {}

// SAFETY: Keys and values are `Sync` by the bounds of `Entry`; the C structures are only handed to
// C functions that synchronise themselves: `head` is protected by the locks of the table's
// buckets, `timer` by those of the timer wheel, and `rcu` is touched by the last reference only.
unsafe impl<T: Entry> Sync for Node<T> {}

impl<T: Entry> Node<T> {
    /// Allocates a node that is in no table.
    pub fn try_new<E>(key: T::Key, value: impl PinInit<T, E>, flags: Flags) -> Result<NodeRef<T>>
    where
        Error: From<E>,
    {
        let node = KBox::try_pin_init(
            try_pin_init!(Self {
                head: Opaque::zeroed(),
                refs: Refcount::new(1),
                claimed: AtomicFlag::new(false),
                key,
                rcu: Opaque::zeroed(),
                timer <- Opaque::ffi_init(|timer| {
                    // SAFETY: `timer` is valid for writes, and the node that it is in stays where
                    // it is. `expired` is called while the timer is pending only, and the node
                    // lives until then because a pending timer owns a reference.
                    unsafe {
                        bindings::timer_init_key(
                            timer,
                            Some(Self::expired),
                            0,
                            c"oxtcp_node".as_char_ptr(),
                            static_lock_class!().as_ptr(),
                        )
                    }
                }),
                retired <- new_spinlock_bh!(false, "oxtcp_node_retired"),
                value <- value,
            }? Error),
            flags,
        )?;
        LIVE_NODES.add(1, Relaxed);
        // SAFETY: The node is never moved out of the allocation again.
        let node = KBox::into_raw(unsafe { Pin::into_inner_unchecked(node) });
        // INVARIANT: The count is 1, and it is this reference.
        Ok(NodeRef {
            // SAFETY: A `KBox` is not null.
            node: unsafe { NonNull::new_unchecked(node) },
        })
    }

    /// Returns the key.
    #[inline]
    pub fn key(&self) -> &T::Key {
        &self.key
    }

    /// Returns the value.
    #[inline]
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Returns how many references there are now.
    pub fn references(&self) -> i32 {
        self.refs.as_atomic().load(Relaxed)
    }

    /// Takes a reference, unless the last one is gone already.
    #[inline]
    pub fn get(&self) -> Option<NodeRef<T>> {
        let refs = self.refs.as_atomic().as_ptr().cast();
        // SAFETY: `refs` is this node's reference count, which is valid while `self` is borrowed.
        if unsafe { bindings::refcount_inc_not_zero(refs) } {
            // INVARIANT: The count was just incremented for this reference.
            Some(NodeRef {
                node: NonNull::from(self),
            })
        } else {
            None
        }
    }

    /// # Safety
    ///
    /// `timer` is the timer of a `Node<T>`, is not pending, and its reference is given away.
    unsafe extern "C" fn expired(timer: *mut bindings::timer_list) {
        let timer = Opaque::<bindings::timer_list>::cast_from(timer).cast_mut();
        // SAFETY: By the safety requirements `timer` is the field of a `Node<T>`.
        let node = unsafe { container_of!(timer, Self, timer) };
        // INVARIANT: The timer was pending, so the count includes its reference; it is no more, so
        // the reference is ours.
        T::on_timer(NodeRef {
            // SAFETY: The address of a field is not null, nor is that of its structure.
            node: unsafe { NonNull::new_unchecked(node) },
        });
    }

    /// # Safety
    ///
    /// `rcu` is the field of a `Node<T>` that has no reference left, a grace period after the last
    /// was dropped.
    unsafe extern "C" fn free(rcu: *mut bindings::callback_head) {
        let rcu = Opaque::<bindings::callback_head>::cast_from(rcu).cast_mut();
        // SAFETY: By the safety requirements `rcu` is the field of a `Node<T>`.
        let node = unsafe { container_of!(rcu, Self, rcu) };
        // SAFETY: The pointer is that of `KBox::into_raw` in `try_new`. No reference is left, so
        // the node is in no table and its timer is not pending, and readers that found it before
        // have left their RCU critical sections.
        drop(unsafe { Pin::new_unchecked(KBox::from_raw(node)) });
        LIVE_NODES.fetch_sub(1, Relaxed);
    }
}

/// An owned reference to a [`Node`].
///
/// # Invariants
///
/// `node` points to a node in whose count this reference is included.
pub struct NodeRef<T: Entry> {
    node: NonNull<Node<T>>,
}

// SAFETY: A reference gives shared access to a `Node<T>`, which is `Sync`, and may be the one that
// frees it, which is `Send`.
unsafe impl<T: Entry> Send for NodeRef<T> {}

// SAFETY: As for `Send`: a `&NodeRef` can be cloned.
unsafe impl<T: Entry> Sync for NodeRef<T> {}

impl<T: Entry> NodeRef<T> {
    /// Arms the timer, or moves it if it is pending.
    ///
    /// It expires not before `after_ns` nanoseconds from now, and within a jiffy (or an eighth of
    /// a long time) of that. After [`NodeRef::retire`] this does nothing.
    pub fn arm(&self, after_ns: u64) {
        // SAFETY: FFI calls with no additional requirements.
        let (now, after) = unsafe {
            (
                bindings::jiffies_now(),
                bindings::nsecs_to_jiffies64(after_ns),
            )
        };
        // The current jiffy is under way, which the 1 makes up for.
        let after = after.min(bindings::MAX_JIFFY_OFFSET as u64 - 1) + 1;

        let retired = self.retired.lock();
        if *retired {
            return;
        }
        // The reference of the timer, taken first: it may expire at once.
        let reference = self.clone();
        // SAFETY: The timer was initialised in `Node::try_new`, and the reference that it needs
        // while it is pending is given to it below.
        if unsafe { bindings::mod_timer(self.timer.get(), now.wrapping_add(after as usize)) } == 0 {
            // The timer was not pending, and owns the reference now.
            forget(reference);
        }
    }

    /// Stops the timer if it is pending.
    ///
    /// [`Entry::on_timer`] may be running at the same time, and may arm the timer again.
    fn disarm(&self) {
        // SAFETY: The timer was initialised in `Node::try_new`.
        if unsafe { bindings::timer_delete(self.timer.get()) } != 0 {
            // INVARIANT: The timer was pending, so the count includes its reference; it is no
            // more, so the reference is ours.
            drop(NodeRef { node: self.node });
        }
    }

    /// Stops the timer if it is pending, for good: [`NodeRef::arm`] does nothing from here on.
    ///
    /// [`Entry::on_timer`] may be running at the same time.
    pub fn retire(&self) {
        *self.retired.lock() = true;
        self.disarm();
    }

    /// Gives the reference to something that is not Rust.
    fn into_raw(self) -> NonNull<Node<T>> {
        let node = self.node;
        forget(self);
        node
    }
}

impl<T: Entry> Deref for NodeRef<T> {
    type Target = Node<T>;

    #[inline]
    fn deref(&self) -> &Node<T> {
        // SAFETY: By the type invariants the node lives for as long as this reference.
        unsafe { self.node.as_ref() }
    }
}

impl<T: Entry> Clone for NodeRef<T> {
    fn clone(&self) -> Self {
        self.refs.inc();
        // INVARIANT: The count was just incremented for this reference.
        Self { node: self.node }
    }
}

impl<T: Entry> Drop for NodeRef<T> {
    fn drop(&mut self) {
        if self.refs.dec_and_test() {
            // SAFETY: This was the last reference, so nobody else uses `rcu`, and `Node::free` may
            // have the node after a grace period. The module's last act is `rcu_barrier`, so
            // the code of `Node::free` is still there then.
            unsafe { bindings::call_rcu(self.rcu.get(), Some(Node::<T>::free)) };
        }
    }
}

/// A hash table of [`Node`]s.
///
/// # Invariants
///
/// `table` is an initialised rhashtable whose objects are nodes of type `Node<T>`, keyed by their
/// `key`; it owns one reference to each.
#[pin_data(PinnedDrop)]
pub struct Table<T: Entry> {
    #[pin]
    table: Opaque<bindings::rhashtable>,
    _nodes: PhantomData<NodeRef<T>>,
}

// SAFETY: The table can be used and freed by any thread, as can the references that it owns.
unsafe impl<T: Entry> Send for Table<T> {}

// SAFETY: rhashtables synchronise themselves, and nodes are `Sync`.
unsafe impl<T: Entry> Sync for Table<T> {}

impl<T: Entry> Table<T> {
    /// Where rhashtable finds in a node what it needs.
    const PARAMS: bindings::rhashtable_params = {
        let key_len = size_of::<T::Key>();
        // rhashtable takes a key whose size is a multiple of 4 for an array of `u32`.
        assert!(key_len > 0 && key_len <= u16::MAX as usize);
        assert!(key_len % 4 != 0 || align_of::<T::Key>() % 4 == 0);
        assert!(offset_of!(Node<T>, key) <= u16::MAX as usize);
        bindings::rhashtable_params {
            key_len: key_len as u16,
            key_offset: offset_of!(Node<T>, key) as u16,
            head_offset: offset_of!(Node<T>, head) as u16,
            automatic_shrinking: true,
            ..pin_init::zeroed()
        }
    };

    /// Allocates an empty table.
    pub fn try_new() -> Result<Pin<KBox<Self>>> {
        KBox::try_pin_init(
            try_pin_init!(Self {
                // INVARIANT: The table is initialised and empty.
                table <- Opaque::try_ffi_init(|table| {
                    let key = static_lock_class!().as_ptr();
                    // SAFETY: `table` is valid for writes and stays where it is; the lock class is
                    // static.
                    to_result(unsafe {
                        bindings::__rhashtable_init_noprof(table, &Self::PARAMS, key)
                    })
                }),
                _nodes: PhantomData,
            }? Error),
            GFP_KERNEL,
        )
    }

    /// Returns how many nodes are in the table.
    pub fn len(&self) -> usize {
        // SAFETY: `nelems` is a valid counter while the table lives. `read_volatile` is C's
        // READ_ONCE(), as `atomic_read()` does it.
        let len = unsafe { (&raw const (*self.table.get()).nelems.counter).read_volatile() };
        len.max(0) as usize
    }

    /// Returns whether no node is in the table.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Finds the node with this key.
    #[inline]
    pub fn lookup<'g>(&self, key: &T::Key, _guard: &'g rcu::Guard) -> Option<&'g Node<T>> {
        // SAFETY: By the type invariants the table is initialised; `key` is valid for reads of the
        // table's key length, without padding; and `_guard` is evidence of the RCU read lock.
        let node =
            unsafe { bindings::rhashtable_lookup(self.table.get(), ptr::from_ref(key).cast()) };
        // SAFETY: By the type invariants what the table holds are nodes, and one that was in the
        // table while the RCU read lock was held is not freed before it is released.
        unsafe { node.cast::<Node<T>>().as_ref() }
    }

    /// Puts a node into the table, which owns the reference from then on.
    ///
    /// # Errors
    ///
    /// - `EEXIST`: a node with the same key is in the table.
    /// - `EINVAL`: the node is in a table or has been in one; that happens once in its life.
    /// - `ENOMEM`, `EBUSY`, `E2BIG`: the table cannot grow, or not now.
    pub fn insert(&self, node: NodeRef<T>) -> Result {
        Self::claim(&node)?;
        // SAFETY: By the type invariants the table is initialised. `claim` has found that the node
        // was in no table, and keeps others from using `head`.
        let result = to_result(unsafe {
            bindings::rhashtable_lookup_insert_fast(self.table.get(), node.head.get())
        });
        match result {
            // INVARIANT: The table owns the reference.
            Ok(()) => _ = node.into_raw(),
            // No table has seen the node.
            Err(_) => node.claimed.store(false, Relaxed),
        }
        result
    }

    /// Puts a node in the place of another with the same key, such that every lookup finds one of
    /// them.
    ///
    /// The table gives up its reference to `old`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the keys differ, or `new` is in a table or has been in one.
    /// - `ENOENT`: `old` is not in the table (any more).
    pub fn replace(&self, old: &Node<T>, new: NodeRef<T>) -> Result {
        if old.key.as_bytes() != new.key.as_bytes() {
            return Err(EINVAL);
        }
        Self::claim(&new)?;
        // SAFETY: By the type invariants the table is initialised. `claim` has found that `new`
        // was in no table, and keeps others from using its `head`; `old` is looked for, not relied
        // on.
        let result = to_result(unsafe {
            bindings::rhashtable_replace_fast(self.table.get(), old.head.get(), new.head.get())
        });
        match result {
            Ok(()) => {
                // INVARIANT: The table owns this reference.
                _ = new.into_raw();
                // SAFETY: `old` was in the table and is no more, and only one caller is told so.
                unsafe { Self::release(old) };
            }
            // No table has seen `new`.
            Err(_) => new.claimed.store(false, Relaxed),
        }
        result
    }

    /// Takes a node out of the table, which gives up its reference.
    ///
    /// Returns whether the node was in the table: true to exactly one caller. Others may still
    /// find the node until they release the RCU read lock.
    pub fn remove(&self, node: &Node<T>) -> bool {
        // SAFETY: By the type invariants the table is initialised; the node is looked for, not
        // relied on.
        let result = unsafe { bindings::rhashtable_remove_fast(self.table.get(), node.head.get()) };
        if result != 0 {
            return false;
        }
        // SAFETY: The node was in the table and is no more, and only one caller is told so.
        unsafe { Self::release(node) };
        true
    }

    /// Calls `f` for each node in the table, under the RCU read lock.
    ///
    /// A node that is inserted meanwhile may be missed, and any may be seen more than once. `f` may
    /// remove nodes, and must not sleep; the walk itself needs process context.
    pub fn for_each(&self, mut f: impl FnMut(&Node<T>)) {
        /// After so many nodes the walk lets others have the CPU.
        const BATCH: usize = 128;

        let iter = Opaque::<bindings::rhashtable_iter>::zeroed();
        // SAFETY: By the type invariants the table is initialised, and it is borrowed until after
        // `rhashtable_walk_exit`. `iter` is not moved until then.
        unsafe { bindings::rhashtable_walk_enter(self.table.get(), iter.get()) };
        let mut done = false;
        while !done {
            // SAFETY: The walk was entered and is not started, so `iter` is initialised and nobody
            // else's.
            unsafe {
                let paused = !(*iter.get()).p.is_null();
                // Whether a resize has rewound the walk does not matter.
                bindings::rhashtable_walk_start_check(iter.get());
                if paused && (*iter.get()).p.is_null() {
                    // The node at which the walk paused is gone, so the number of nodes to skip in
                    // its bucket is wrong: begin with the bucket again.
                    (*iter.get()).skip = 0;
                }
            }
            for _ in 0..BATCH {
                // SAFETY: The walk is started.
                let node = unsafe { bindings::rhashtable_walk_next(iter.get()) };
                match from_err_ptr(node.cast::<Node<T>>()) {
                    Ok(node) => {
                        // SAFETY: By the type invariants what is in the table is a node, which is
                        // not freed before the walk releases the RCU read lock.
                        match unsafe { node.as_ref() } {
                            Some(node) => f(node),
                            None => {
                                done = true;
                                break;
                            }
                        }
                    }
                    // The table is being resized: the walk goes on in the new one.
                    Err(_) => continue,
                }
            }
            // SAFETY: The walk is started. Nodes seen in it are not used after this.
            unsafe { bindings::rhashtable_walk_stop(iter.get()) };
            if !done {
                // SAFETY: An FFI call; the caller is in process context and holds no lock.
                unsafe { bindings::cond_resched() };
            }
        }
        // SAFETY: The walk was entered and is stopped.
        unsafe { bindings::rhashtable_walk_exit(iter.get()) };
    }

    /// Makes sure that one table at most links the node, ever.
    fn claim(node: &Node<T>) -> Result {
        if node.claimed.xchg(true, Full) {
            return Err(EINVAL);
        }
        Ok(())
    }

    /// Drops the table's reference to a node.
    ///
    /// # Safety
    ///
    /// The caller has just taken the node out of a table.
    unsafe fn release(node: &Node<T>) {
        // INVARIANT: The table owned a reference, which by the safety requirements is ours now.
        drop(NodeRef {
            node: NonNull::from(node),
        });
    }

    /// Counts a node that is still in a table when that is freed, and drops the reference.
    ///
    /// # Safety
    ///
    /// `node` is a `Node<T>` of a table that is being freed, and `count` points to a `usize`.
    unsafe extern "C" fn free_node(node: *mut c_void, count: *mut c_void) {
        // SAFETY: By the safety requirements `count` points to a `usize`.
        unsafe { *count.cast::<usize>() += 1 };
        // SAFETY: By the safety requirements `node` is a node, in whose count the table's
        // reference is included.
        let node = unsafe { &*node.cast::<Node<T>>() };
        // SAFETY: The table, which is being freed, does not use the node any more.
        unsafe { Self::release(node) };
    }
}

#[pinned_drop]
impl<T: Entry> PinnedDrop for Table<T> {
    fn drop(self: Pin<&mut Self>) {
        let mut count: usize = 0;
        // SAFETY: By the type invariants the table is initialised, and nobody uses it any more: it
        // is borrowed mutably. Its objects are nodes, and `count` is what `free_node` expects.
        unsafe {
            bindings::rhashtable_free_and_destroy(
                self.table.get(),
                Some(Self::free_node),
                (&raw mut count).cast(),
            )
        };
        if count != 0 {
            pr_err!("a hash table was freed with {} nodes in it\n", count);
        }
    }
}
