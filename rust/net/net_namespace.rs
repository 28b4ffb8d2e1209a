// SPDX-License-Identifier: GPL-2.0

//! Network namespaces.
//!
//! C header: [`include/net/net_namespace.h`](srctree/include/net/net_namespace.h)

use super::{
    bindings,
    netfilter::{
        Hooks,
        LocalIn, //
    },
    proc_fs::{
        self,
        ProcFile, //
    },
    sysctl::Settings, //
};
use core::{
    any::TypeId,
    cell::UnsafeCell,
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr, //
};
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        rcu,
        Arc, //
    },
    types::Opaque, //
};

/// A network namespace.
///
/// # Invariants
///
/// A reference to it exists only while the namespace does: until its pernet `exit` callbacks have
/// returned.
#[repr(transparent)]
pub struct Net(Opaque<bindings::net>);

// SAFETY: A namespace is not tied to a thread.
unsafe impl Send for Net {}

// SAFETY: What is reachable through `&Net` is read atomically or synchronised by the C side.
unsafe impl Sync for Net {}

impl Net {
    /// Creates a reference to a namespace.
    ///
    /// # Safety
    ///
    /// `net` points to a namespace whose pernet `exit` callbacks do not return during `'a`.
    #[inline]
    pub(super) unsafe fn from_raw<'a>(net: *mut bindings::net) -> &'a Self {
        // SAFETY: `Net` is a transparent wrapper, and the safety requirements say that the
        // namespace is there.
        unsafe { &*net.cast() }
    }

    /// Returns the C structure.
    #[inline]
    pub(super) fn as_raw(&self) -> *mut bindings::net {
        self.0.get()
    }

    /// Whether the task may administrate the namespace (`CAP_NET_ADMIN`).
    pub fn may_administrate(&self) -> bool {
        // SAFETY: By the type invariants the namespace is there, and it keeps its user namespace.
        unsafe { bindings::net_admin(self.as_raw()) }
    }
}

/// What a module keeps for each namespace, and feeds with the namespace's packets.
pub trait Pernet: 'static {
    /// The data of one namespace.
    type Data: LocalIn;

    /// The files of a namespace in `/proc/net`.
    const FILES: &'static [ProcFile] = &[];

    /// Makes the data of a namespace: of each that exists when this is registered, and of each that
    /// comes later. Where it fails, the registration or the new namespace fails. This may sleep.
    ///
    /// Packets reach the data once this has returned.
    fn init(net: &Net) -> Result<Arc<Self::Data>>;

    /// The settings that are in the data of a namespace.
    fn settings(data: &Self::Data) -> &Settings;

    /// Called when the namespace goes away, or the registration. This may sleep.
    ///
    /// No packet reaches the data any more, nobody reads a file of it or changes its settings, [`get`] does not find it,
    /// and who had found it under RCU has finished.
    fn exit(net: &Net, data: Arc<Self::Data>);
}

/// What `net_generic()` points to.
///
/// # Invariants
///
/// `owned` is null, or the pointer of an `Arc` that this owns. `published` is that, or null, and is
/// taken back a grace period before `owned` is. `hooks` are registered while something is
/// published.
struct Slot<D> {
    published: Atomic<*mut D>,
    owned: *const D,
    hooks: Hooks,
}

/// Nothing is registered.
const FREE: i32 = 0;
/// A registration is being made or undone.
const CHANGING: i32 = 1;
/// A registration is there.
const REGISTERED: i32 = 2;

/// The one registration. `net_generic()` goes by a number that is known at run time only, and the
/// callbacks are told nothing but the namespace, so it must be a static.
///
/// # Invariants
///
/// - While `state` is [`REGISTERED`], `id` is the number of the registered operations, and `of` the
///   type that they are for; neither changes before all who saw that under RCU have finished.
/// - In every other state `ops`, `id` and `of` belong to whoever set it to [`CHANGING`].
struct Registry {
    state: Atomic<i32>,
    ops: Opaque<bindings::pernet_operations>,
    id: Opaque<c_uint>,
    of: UnsafeCell<Option<TypeId>>,
}

// SAFETY: `state` says who may use the other fields, by the type invariants.
unsafe impl Sync for Registry {}

static REGISTRY: Registry = Registry {
    state: Atomic::new(FREE),
    ops: Opaque::zeroed(),
    id: Opaque::zeroed(),
    of: UnsafeCell::new(None),
};

/// Finds the pointer of a namespace's data, or null. It is that of an `Arc` which exists until the
/// RCU read lock is released.
#[inline]
fn find<P: Pernet>(net: &Net, _guard: &rcu::Guard) -> *const P::Data {
    if REGISTRY.state.load(Acquire) != REGISTERED {
        return ptr::null();
    }
    // SAFETY: By the type invariants of `Registry` the fields are constant until the RCU read lock
    // is released, which `_guard` is evidence of.
    let (id, of) = unsafe { (*REGISTRY.id.get(), *REGISTRY.of.get()) };
    if of != Some(TypeId::of::<P>()) {
        return ptr::null();
    }
    // SAFETY: The id is that of registered operations, whose memory in the namespace is a
    // `Slot<P::Data>` (zeroed at first). It is freed after the `exit` callbacks, which by the type
    // invariants of `Net` have not returned, or after unregistering, which waits for readers.
    unsafe {
        let slot = bindings::net_generic(net.as_raw(), id).cast::<Slot<P::Data>>();
        (*slot).published.load(Acquire)
    }
}

/// Finds a namespace's data.
///
/// There is none before [`Pernet::init`] has returned, nor from [`Pernet::exit`] on, nor while `P`
/// is not registered.
#[inline]
pub fn get<'g, P: Pernet>(net: &Net, guard: &'g rcu::Guard) -> Option<&'g P::Data> {
    // SAFETY: If not null the pointer is valid until the RCU read lock is released.
    unsafe { find::<P>(net, guard).as_ref() }
}

/// Finds a namespace's data as [`get`] does, and keeps it.
pub fn get_owned<P: Pernet>(net: &Net) -> Option<Arc<P::Data>> {
    let guard = rcu::read_lock();
    let data = find::<P>(net, &guard);
    if data.is_null() {
        return None;
    }
    // SAFETY: The pointer is that of an `Arc` which exists until the RCU read lock is released. The
    // one that is made from it here is not dropped, since its count remains that `Arc`'s.
    let data = ManuallyDrop::new(unsafe { Arc::from_raw(data) });
    Some(Arc::clone(&data))
}

/// The registration of a [`Pernet`]. Dropping it ends it.
///
/// There can be one at a time.
///
/// # Invariants
///
/// `P`'s operations are registered, and `REGISTRY.state` is [`REGISTERED`].
pub struct PernetRegistration<P: Pernet>(PhantomData<fn(P)>);

impl<P: Pernet> PernetRegistration<P> {
    /// Registers `P`, which calls [`Pernet::init`] for every namespace. Sleeps.
    ///
    /// # Errors
    ///
    /// `EBUSY` if there is another registration, and those of [`Pernet::init`].
    pub fn new() -> Result<Self> {
        REGISTRY
            .state
            .cmpxchg(FREE, CHANGING, Full)
            .map_err(|_| EBUSY)?;
        let ops = bindings::pernet_operations {
            init: Some(Self::init),
            pre_exit: Some(Self::pre_exit),
            exit: Some(Self::exit),
            id: REGISTRY.id.get(),
            size: size_of::<Slot<P::Data>>(),
            ..pin_init::zeroed()
        };
        // SAFETY: The fields are ours since `state` is `CHANGING` by our doing.
        unsafe {
            REGISTRY.ops.get().write(ops);
            *REGISTRY.of.get() = Some(TypeId::of::<P>());
        }
        // SAFETY: The operations are initialised and static. Their callbacks expect the memory that
        // is asked for here, zeroed.
        let result = to_result(unsafe { bindings::register_pernet_subsys(REGISTRY.ops.get()) });
        let state = if result.is_ok() { REGISTERED } else { FREE };
        REGISTRY.state.store(state, Release);
        // INVARIANT: The operations are registered.
        result.map(|()| Self(PhantomData))
    }

    /// The slot of a namespace, for the callbacks.
    ///
    /// # Safety
    ///
    /// `net` is what a pernet callback was given.
    unsafe fn slot(net: *mut bindings::net) -> *mut Slot<P::Data> {
        // SAFETY: The callbacks run while the operations are registered, so the id is that of this
        // registration, whose memory is there before the first and after the last of them.
        unsafe { bindings::net_generic(net, *REGISTRY.id.get()).cast() }
    }

    /// # Safety
    ///
    /// As a pernet callback only.
    unsafe extern "C" fn init(net: *mut bindings::net) -> c_int {
        // SAFETY: The namespace is being set up, or set up and kept by the core for this call.
        let (slot, net) = unsafe { (Self::slot(net), Net::from_raw(net)) };
        from_result(|| {
            let data = Arc::into_raw(P::init(net)?);
            // SAFETY: The pointer is that of an `Arc` that is dropped below, or after `exit`.
            let settings = P::settings(unsafe { &*data });
            // SAFETY: The slot is this namespace's, nobody else's before it is published, and
            // stays where it is until after `exit`. `data` is dropped after the hooks are gone: a
            // grace period after `pre_exit`, or below where nothing was registered. `pre_exit`
            // removes the files and settings.
            unsafe {
                (*slot).published.store(data.cast_mut(), Release);
                let begun = settings.register(net).and_then(|()| {
                    proc_fs::create_all(net, P::FILES)
                        .and_then(|()| {
                            Hooks::register(&raw mut (*slot).hooks, net, data)
                                .inspect_err(|_| proc_fs::remove_all(net, P::FILES))
                        })
                        .inspect_err(|_| settings.unregister())
                });
                if let Err(error) = begun {
                    (*slot).published.store(ptr::null_mut(), Relaxed);
                    bindings::synchronize_rcu();
                    P::exit(net, Arc::from_raw(data));
                    return Err(error);
                }
                (*slot).owned = data;
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// As a pernet callback only.
    unsafe extern "C" fn pre_exit(net: *mut bindings::net) {
        // SAFETY: The slot is this namespace's, which is there, and `init` has made its files. The
        // core waits for a grace period before it calls `exit`.
        unsafe {
            let slot = Self::slot(net);
            let net = Net::from_raw(net);
            proc_fs::remove_all(net, P::FILES);
            if let Some(data) = (*slot).owned.as_ref() {
                P::settings(data).unregister();
            }
            Hooks::unregister(&raw mut (*slot).hooks, net);
            (*slot).published.store(ptr::null_mut(), Relaxed);
        }
    }

    /// # Safety
    ///
    /// As a pernet callback only.
    unsafe extern "C" fn exit(net: *mut bindings::net) {
        // SAFETY: The namespace is there until this returns.
        let (slot, net) = unsafe { (Self::slot(net), Net::from_raw(net)) };
        // SAFETY: Only the callbacks, which do not run at the same time, use `owned`.
        let data = unsafe { ptr::replace(&raw mut (*slot).owned, ptr::null()) };
        if !data.is_null() {
            // SAFETY: The pointer is that of `Arc::into_raw` in `init`, taken once. `pre_exit` was
            // called a grace period ago.
            P::exit(net, unsafe { Arc::from_raw(data) });
        }
    }
}

impl<P: Pernet> Drop for PernetRegistration<P> {
    fn drop(&mut self) {
        REGISTRY.state.store(CHANGING, Relaxed);
        // SAFETY: FFI calls. Who has seen `REGISTERED` has finished after `synchronize_rcu`; by the
        // type invariants the operations are registered.
        unsafe {
            bindings::synchronize_rcu();
            bindings::unregister_pernet_subsys(REGISTRY.ops.get());
        }
        REGISTRY.state.store(FREE, Release);
    }
}
