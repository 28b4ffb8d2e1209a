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
    siphash,
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

/// The size of the name of a congestion control, with a zero at the end.
pub const CONGESTION_NAME_MAX: usize = bindings::TCP_CA_NAME_MAX as usize;

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

/// Reads one setting of TCP of a [`Net`] as C's READ_ONCE() does.
macro_rules! read_ipv4 {
    ($net:expr, $name:ident) => {
        // SAFETY: By the type invariants the namespace is there, and this is a part of it, which is
        // written as a whole.
        unsafe { (&raw const (*bindings::net_ipv4($net.as_raw())).$name).read_volatile() }
    };
}

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

    /// Returns what tells this namespace from all others that exist, as part of a key.
    #[inline]
    pub fn key(&self) -> usize {
        self.0.get() as usize
    }

    /// Returns what tells this namespace from all others since boot.
    pub fn cookie(&self) -> u64 {
        // SAFETY: By the type invariants the namespace is there.
        unsafe { bindings::net_cookie(self.as_raw()) }
    }

    /// Reads `net.ipv4.tcp_notsent_lowat` alone: how many unsent bytes make a socket no longer
    /// writable.
    pub fn notsent_lowat(&self) -> u32 {
        read_ipv4!(self, sysctl_tcp_notsent_lowat)
    }

    /// Reads `net.ipv4.tcp_limit_output_bytes` alone: how many bytes of a socket may be in the queues
    /// below it.
    pub fn limit_output_bytes(&self) -> u32 {
        at_least_0(read_ipv4!(self, sysctl_tcp_limit_output_bytes))
    }

    /// Reads `net.ipv4.tcp_autocorking` alone: whether small writes wait while packets of the socket
    /// are on their way down.
    pub fn autocorks(&self) -> bool {
        read_ipv4!(self, sysctl_tcp_autocorking) != 0
    }

    /// The name of the congestion control that sockets begin with,
    /// `net.ipv4.tcp_congestion_control`, padded with zeros.
    pub fn congestion_control(&self) -> [u8; CONGESTION_NAME_MAX] {
        let mut name = [0; CONGESTION_NAME_MAX];
        let _guard = rcu::read_lock();
        // SAFETY: By the type invariants the namespace is there, and always has one. Its name is a
        // string in an array of this size, which stays until the RCU read lock is released.
        unsafe {
            let from = bindings::net_tcp_congestion(self.as_raw());
            ptr::copy_nonoverlapping(from.cast(), name.as_mut_ptr(), name.len());
        }
        name
    }

    /// Whether the task may administrate the namespace (`CAP_NET_ADMIN`).
    pub fn may_administrate(&self) -> bool {
        // SAFETY: By the type invariants the namespace is there, and it keeps its user namespace.
        unsafe { bindings::net_admin(self.as_raw()) }
    }

    /// Reads `net.ipv4.tcp_dsack` and `tcp_invalid_ratelimit` alone: whether duplicates are reported, and
    /// the least time between two answers to invalid segments, in nanoseconds.
    pub fn answers(&self) -> (bool, u64) {
        let ratelimit = jiffies_to_ns(read_ipv4!(self, sysctl_tcp_invalid_ratelimit));
        (read_ipv4!(self, sysctl_tcp_dsack) != 0, ratelimit)
    }

    /// `net.ipv4.tcp_backlog_ack_defer`: whether what waited for a busy socket is acknowledged at once
    /// when all of it is taken in.
    pub fn defers_backlog_acks(&self) -> bool {
        read_ipv4!(self, sysctl_tcp_backlog_ack_defer) != 0
    }

    /// Reads the namespace's settings of TCP, `net.ipv4.tcp_*` and a few more.
    ///
    /// Each value is what it is at the moment; an administrator may be changing several.
    pub fn tcp_settings(&self) -> TcpSettings {
        // SAFETY: By the type invariants the namespace is there, and these are parts of it.
        let (ipv4, core) = unsafe {
            (
                bindings::net_ipv4(self.as_raw()),
                bindings::net_core(self.as_raw()),
            )
        };
        /// Reads one setting as C's READ_ONCE() does.
        macro_rules! read {
            ($($place:tt)+) => {
                // SAFETY: The field is initialised and valid for reads while the namespace is
                // there; it is written as a whole.
                unsafe { (&raw const $($place)+).read_volatile() }
            };
        }
        macro_rules! flag {
            ($name:ident) => {
                read!((*ipv4).$name) != 0
            };
        }
        macro_rules! jiffies {
            ($name:ident) => {
                jiffies_to_ns(read!((*ipv4).$name))
            };
        }
        let buffers = |sizes: [i32; 3]| BufferSizes {
            min: at_least_0(sizes[0]),
            default: at_least_0(sizes[1]),
            max: at_least_0(sizes[2]),
        };

        // SAFETY: A variable of the kernel's, written as a whole.
        let core_rmem_max = unsafe { (&raw const bindings::sysctl_rmem_max).read_volatile() };
        TcpSettings {
            app_win: read!((*ipv4).sysctl_tcp_app_win),
            comp_sack_delay_ns: read!((*ipv4).sysctl_tcp_comp_sack_delay_ns) as u64,
            comp_sack_nr: read!((*ipv4).sysctl_tcp_comp_sack_nr),
            comp_sack_percent: at_least_0(read!((*ipv4).sysctl_tcp_comp_sack_rtt_percent)),
            core_rmem_max,
            moderate_rcvbuf: flag!(sysctl_tcp_moderate_rcvbuf),
            pingpong_thresh: read!((*ipv4).sysctl_tcp_pingpong_thresh),
            rcvbuf_low_rtt_ns: u64::from(at_least_0(read!((*ipv4).sysctl_tcp_rcvbuf_low_rtt)))
                * 1_000,
            shrink_window: flag!(sysctl_tcp_shrink_window),
            signed_windows: flag!(sysctl_tcp_workaround_signed_windows),
            stdurg: flag!(sysctl_tcp_stdurg),
            abort_on_overflow: flag!(sysctl_tcp_abort_on_overflow),
            base_mss: at_least_0(read!((*ipv4).sysctl_tcp_base_mss)),
            challenge_ack_limit: at_least_0(read!((*ipv4).sysctl_tcp_challenge_ack_limit)),
            dsack: flag!(sysctl_tcp_dsack),
            fast_open: read!((*ipv4).sysctl_tcp_fastopen).max(0) as u32,
            fast_open_blackhole_secs: read!((*ipv4).sysctl_tcp_fastopen_blackhole_timeout),
            early_retrans: read!((*ipv4).sysctl_tcp_early_retrans),
            ecn: read!((*ipv4).sysctl_tcp_ecn),
            ecn_fallback: flag!(sysctl_tcp_ecn_fallback),
            fin_timeout_ns: jiffies!(sysctl_tcp_fin_timeout),
            frto: flag!(sysctl_tcp_frto),
            invalid_ratelimit_ns: jiffies!(sysctl_tcp_invalid_ratelimit),
            keepalive_intvl_ns: jiffies!(sysctl_tcp_keepalive_intvl),
            keepalive_probes: read!((*ipv4).sysctl_tcp_keepalive_probes),
            keepalive_time_ns: jiffies!(sysctl_tcp_keepalive_time),
            max_reordering: at_least_0(read!((*ipv4).sysctl_tcp_max_reordering)),
            max_syn_backlog: at_least_0(read!((*ipv4).sysctl_max_syn_backlog)),
            max_tw_buckets: at_least_0(read!((*ipv4).tcp_death_row.sysctl_max_tw_buckets)),
            min_rtt_wlen_ns: u64::from(at_least_0(read!((*ipv4).sysctl_tcp_min_rtt_wlen)))
                * 1_000_000_000,
            min_snd_mss: at_least_0(read!((*ipv4).sysctl_tcp_min_snd_mss)),
            mtu_probe_floor: at_least_0(read!((*ipv4).sysctl_tcp_mtu_probe_floor)),
            mtu_probing: read!((*ipv4).sysctl_tcp_mtu_probing),
            min_tso_segs: read!((*ipv4).sysctl_tcp_min_tso_segs).into(),
            orphan_retries: read!((*ipv4).sysctl_tcp_orphan_retries),
            pacing_ca_ratio: at_least_0(read!((*ipv4).sysctl_tcp_pacing_ca_ratio)),
            pacing_ss_ratio: at_least_0(read!((*ipv4).sysctl_tcp_pacing_ss_ratio)),
            probe_interval_ns: u64::from(read!((*ipv4).sysctl_tcp_probe_interval)) * 1_000_000_000,
            probe_threshold: at_least_0(read!((*ipv4).sysctl_tcp_probe_threshold)),
            recovery: read!((*ipv4).sysctl_tcp_recovery),
            reordering: at_least_0(read!((*ipv4).sysctl_tcp_reordering)),
            retries1: read!((*ipv4).sysctl_tcp_retries1),
            retries2: read!((*ipv4).sysctl_tcp_retries2),
            rfc1337: flag!(sysctl_tcp_rfc1337),
            rmem: buffers(read!((*ipv4).sysctl_tcp_rmem)),
            rto_max_ns: u64::from(at_least_0(read!((*ipv4).sysctl_tcp_rto_max_ms))) * 1_000_000,
            rto_min_ns: u64::from(at_least_0(read!((*ipv4).sysctl_tcp_rto_min_us))) * 1_000,
            sack: flag!(sysctl_tcp_sack),
            slow_start_after_idle: flag!(sysctl_tcp_slow_start_after_idle),
            somaxconn: at_least_0(read!((*core).sysctl_somaxconn)),
            syn_linear_timeouts: read!((*ipv4).sysctl_tcp_syn_linear_timeouts),
            syn_retries: read!((*ipv4).sysctl_tcp_syn_retries),
            synack_retries: read!((*ipv4).sysctl_tcp_synack_retries),
            syncookies: read!((*ipv4).sysctl_tcp_syncookies),
            thin_linear_timeouts: flag!(sysctl_tcp_thin_linear_timeouts),
            timestamps: read!((*ipv4).sysctl_tcp_timestamps),
            tso_rtt_log: read!((*ipv4).sysctl_tcp_tso_rtt_log).into(),
            tw_reuse: read!((*ipv4).sysctl_tcp_tw_reuse),
            tw_reuse_delay_ns: u64::from(read!((*ipv4).sysctl_tcp_tw_reuse_delay)) * 1_000_000,
            window_scaling: flag!(sysctl_tcp_window_scaling),
            wmem: buffers(read!((*ipv4).sysctl_tcp_wmem)),
        }
    }
}

impl Net {
    /// The keys of Fast Open's cookies that the namespace has, the present one first; none before
    /// `net.ipv4.tcp_fastopen_key` was set or read, or AF_INET used it.
    pub fn fast_open_keys(&self) -> Option<(siphash::Key, Option<siphash::Key>)> {
        let _guard = rcu::read_lock();
        // SAFETY: By the type invariants the namespace is there. The context is published by RCU, and
        // does not change while the lock is held.
        unsafe {
            let ipv4 = bindings::net_ipv4(self.as_raw());
            let context = (&raw const (*ipv4).tcp_fastopen_ctx)
                .cast::<*const bindings::tcp_fastopen_context>()
                .read_volatile()
                .as_ref()?;
            let keys = bindings::tcp_fastopen_context_keys(context);
            let backup = (bindings::tcp_fastopen_context_len(context) > 1)
                .then(|| siphash::Key::from_raw(&*keys.add(1)));
            Some((siphash::Key::from_raw(&*keys), backup))
        }
    }
}

fn at_least_0(value: i32) -> u32 {
    value.max(0) as u32
}

fn jiffies_to_ns(jiffies: i32) -> u64 {
    // SAFETY: An FFI call with no additional requirements.
    unsafe { bindings::jiffies64_to_nsecs(u64::from(at_least_0(jiffies))) }
}

/// The three values of `tcp_rmem` and `tcp_wmem`, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferSizes {
    /// What a socket may have even under memory pressure.
    pub min: u32,
    /// What a socket begins with.
    pub default: u32,
    /// How far automatic tuning may go.
    pub max: u32,
}

/// The settings of TCP in a namespace, `net.ipv4.tcp_*` where nothing else is said.
///
/// They are described in `Documentation/networking/ip-sysctl.rst`; times are in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSettings {
    /// One part in two to this power of the first window is kept for the reader.
    pub app_win: u8,
    /// The segment size that probing the path's MTU takes for granted.
    pub base_mss: u32,
    /// How long an acknowledgment of disorder may wait for others.
    pub comp_sack_delay_ns: u64,
    /// How many acknowledgments of disorder one may stand for.
    pub comp_sack_nr: u8,
    /// The same as the delay, in hundredths of the round-trip time.
    pub comp_sack_percent: u32,
    /// `net.core.rmem_max`: the largest receive buffer that a program may ask for, in bytes.
    pub core_rmem_max: u32,
    /// Whether the receive buffer follows the reader.
    pub moderate_rcvbuf: bool,
    /// How many soon answers make a dialogue.
    pub pingpong_thresh: u8,
    /// Below this round-trip time the receive buffer follows more slowly.
    pub rcvbuf_low_rtt_ns: u64,
    /// Whether the window may shrink.
    pub shrink_window: bool,
    /// Whether unscaled windows stay below 2^15.
    pub signed_windows: bool,
    /// Whether an urgent pointer is that of the urgent byte.
    pub stdurg: bool,
    /// Whether an overflowing accept queue is answered with a reset.
    pub abort_on_overflow: bool,
    /// How many challenge ACKs the namespace may send in a second.
    pub challenge_ack_limit: u32,
    /// Whether duplicates are reported by SACK.
    pub dsack: bool,
    /// Who may use Fast Open, and how: a set of bits.
    pub fast_open: u32,
    /// How long connect does without Fast Open after a path has swallowed it, in seconds; 0: not at
    /// all.
    pub fast_open_blackhole_secs: u32,
    /// Whether a silent tail is probed: 3 and 4 yes.
    pub early_retrans: u8,
    /// Which ECN is asked for and agreed to: 0 none, 1 both, 2 only the latter; 3, 4 and 5 stand for
    /// accurate ECN in and out, accurate in and classic out, accurate in only.
    pub ecn: u8,
    /// Whether a SYN that asks for ECN is sent again without.
    pub ecn_fallback: bool,
    /// How long an orphan stays in FIN-WAIT-2.
    pub fin_timeout_ns: u64,
    /// Whether spurious time-outs are looked for.
    pub frto: bool,
    /// The least time between two answers to invalid segments.
    pub invalid_ratelimit_ns: u64,
    /// The time between keepalive probes.
    pub keepalive_intvl_ns: u64,
    /// How many keepalive probes may go unanswered.
    pub keepalive_probes: u8,
    /// How long a connection is idle before it is probed.
    pub keepalive_time_ns: u64,
    /// How much reordering loss detection may learn, in packets.
    pub max_reordering: u32,
    /// How many half-open connections a listener may have.
    pub max_syn_backlog: u32,
    /// How many connections may be in TIME-WAIT.
    pub max_tw_buckets: u32,
    /// How long the shortest round-trip time is remembered.
    pub min_rtt_wlen_ns: u64,
    /// The least MSS that is accepted from a peer.
    pub min_snd_mss: u32,
    /// The least segments that are sent as one buffer.
    pub min_tso_segs: u32,
    /// The least segment size that black holes bring a connection to.
    pub mtu_probe_floor: u32,
    /// Whether the path's MTU is probed: 0 never, 1 once a black hole is suspected, 2 always.
    pub mtu_probing: u8,
    /// How often an orphan retransmits; 0 stands for 8.
    pub orphan_retries: u8,
    /// The pacing rate in congestion avoidance, in percent of a window per round trip.
    pub pacing_ca_ratio: u32,
    /// The same in slow start.
    pub pacing_ss_ratio: u32,
    /// After how long the search for the path's MTU begins anew.
    pub probe_interval_ns: u64,
    /// How close it comes, in octets.
    pub probe_threshold: u32,
    /// How loss is detected by time: 2 without adapting to DSACKs, 4 without counting duplicates.
    pub recovery: u8,
    /// How much reordering loss detection assumes at first, in packets.
    pub reordering: u32,
    /// After how many retransmissions the route is suspected.
    pub retries1: u8,
    /// After how many retransmissions a connection is given up.
    pub retries2: u8,
    /// Whether TIME-WAIT ignores resets.
    pub rfc1337: bool,
    /// The receive buffer.
    pub rmem: BufferSizes,
    /// The longest retransmission timeout.
    pub rto_max_ns: u64,
    /// The shortest retransmission timeout.
    pub rto_min_ns: u64,
    /// Whether selective acknowledgements are negotiated.
    pub sack: bool,
    /// Whether the congestion window shrinks while a connection is idle.
    pub slow_start_after_idle: bool,
    /// `net.core.somaxconn`: the most that the backlog of `listen` counts.
    pub somaxconn: u32,
    /// How many SYNs are sent before their timeouts grow.
    pub syn_linear_timeouts: u8,
    /// How often a SYN is retransmitted.
    pub syn_retries: u8,
    /// How often a SYN-ACK is retransmitted.
    pub synack_retries: u8,
    /// Whether SYN cookies are sent: 0 never, 1 under pressure, 2 always.
    pub syncookies: u8,
    /// Whether time-outs do not double at first where little is in flight.
    pub thin_linear_timeouts: bool,
    /// Whether timestamps are negotiated: 0 no, 1 yes with an offset, 2 yes without one.
    pub timestamps: u8,
    /// By how many bits of the round trip's microseconds the largest buffers become smaller.
    pub tso_rtt_log: u32,
    /// Whether connect may reuse a TIME-WAIT: 0 no, 1 yes, 2 on loopback.
    pub tw_reuse: u8,
    /// How old a TIME-WAIT must be to be reused.
    pub tw_reuse_delay_ns: u64,
    /// Whether window scaling is negotiated.
    pub window_scaling: bool,
    /// The send buffer.
    pub wmem: BufferSizes,
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
