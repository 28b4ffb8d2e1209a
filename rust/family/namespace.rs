// SPDX-License-Identifier: GPL-2.0

//! What the family keeps for each network namespace.

use super::{
    cookie,
    counters::{
        Counter,
        Counters,
        Netstat,
        Snmp, //
    },
    entry::{
        retire,
        Entry, //
    },
    fast_open_pause::Pause,
    listeners::Listeners,
    path_metrics::Cache,
    ports::Ports,
    proc::{
        Connections4,
        Connections6, //
    },
};
use crate::{
    engine::{
        ChallengeBudget,
        Instant, //
    },
    net::{
        errno::EAFNOSUPPORT,
        ip::ControlSock,
        net_namespace::{
            self,
            Net,
            Pernet, //
        },
        netfilter::Defragmentation,
        proc_fs::ProcFile,
        random,
        rhashtable::{
            rcu_barrier,
            synchronize_rcu,
            Table, //
        },
        siphash,
        sysctl::Settings, //
    }, //
};
use core::sync::atomic::{
    AtomicBool,
    AtomicU32,
    AtomicU64,
    Ordering, //
};
use kernel::{
    prelude::*,
    sync::{
        rcu,
        Arc, //
    }, //
};

/// Whether sockets can be made in new namespaces.
static ENABLED: AtomicBool = AtomicBool::new(true);

/// Says whether sockets can be made in the namespaces that come from now on, until
/// `net.oxtcp.enabled` of a namespace says something else.
pub(crate) fn enable(on: bool) {
    ENABLED.store(on, Ordering::Relaxed);
}

/// The connections and ports of one namespace.
pub(crate) struct Namespace {
    /// Connections.
    pub(super) table: Pin<KBox<Table<Entry>>>,
    /// Listeners.
    pub(super) listeners: Arc<Listeners>,
    /// Ports in use.
    pub(super) ports: Arc<Ports>,
    /// Sends what belongs to no socket.
    pub(super) control: ControlSock,
    /// Makes fragments of IPv6 arrive whole, once there is a socket for them.
    defragmentation: Defragmentation,
    /// Connections in TIME-WAIT.
    pub(super) time_waits: AtomicU32,
    /// Entries of the table that are bound to a device.
    pub(super) bound: AtomicU32,
    /// What happened.
    pub(super) counters: Counters,
    /// What is left of this second's challenge ACKs.
    challenges: AtomicU64,
    /// Makes the cookies of Fast Open while the namespace has no key for them.
    pub(super) fast_open_key: siphash::Key,
    /// What is known of paths.
    pub(super) path_metrics: Arc<Cache>,
    /// When our clients leave Fast Open alone.
    pub(super) fast_open_pause: Pause,
    /// The secrets in SYN cookies.
    pub(super) cookie_keys: cookie::Keys,
    /// `net.oxtcp.*`
    pub(super) settings: Settings,
}

impl Namespace {
    /// A socket of AF_INET6 is about to be made.
    pub(super) fn prepare_ipv6(&self, net: &Net) -> Result {
        if !self.control.has_ipv6() {
            return Err(EAFNOSUPPORT);
        }
        self.defragmentation.enable(net);
        Ok(())
    }

    /// Whether one more challenge ACK may leave in this second (`tcp_challenge_ack_limit`). Two CPUs
    /// at once may count one for both, as in Linux.
    pub(super) fn may_challenge(&self, net: &Net, now: Instant) -> bool {
        let limit = net.challenge_ack_limit();
        let mut budget = ChallengeBudget::from_bits(self.challenges.load(Ordering::Relaxed));
        let allowed = budget.allows(now, limit, random::below);
        self.challenges.store(budget.bits(), Ordering::Relaxed);
        if allowed {
            self.counters.count(Counter::ChallengeAcks);
        }
        allowed
    }
}

/// The registration of the family with network namespaces.
pub(crate) struct Namespaces;

impl Pernet for Namespaces {
    type Data = Namespace;

    const FILES: &'static [ProcFile] = &[
        ProcFile::new::<Self, Connections4>(),
        ProcFile::new::<Self, Connections6>(),
        ProcFile::new::<Self, Snmp>(),
        ProcFile::new::<Self, Netstat>(),
    ];

    fn init(net: &Net) -> Result<Arc<Namespace>> {
        Ok(Arc::new(
            Namespace {
                table: Table::try_new()?,
                listeners: Listeners::new()?,
                ports: Ports::new()?,
                control: ControlSock::new(net)?,
                defragmentation: Defragmentation::default(),
                time_waits: AtomicU32::new(0),
                bound: AtomicU32::new(0),
                counters: Counters::new()?,
                challenges: AtomicU64::new(0),
                fast_open_key: siphash::Key::random(),
                path_metrics: Cache::new()?,
                fast_open_pause: Pause::default(),
                cookie_keys: cookie::Keys::random(),
                settings: Settings::new(ENABLED.load(Ordering::Relaxed)),
            },
            GFP_KERNEL,
        )?)
    }

    fn settings(namespace: &Namespace) -> &Settings {
        &namespace.settings
    }

    fn exit(net: &Net, namespace: Arc<Namespace>) {
        namespace.defragmentation.disable(net);
        // No socket is left (each holds the namespace), only records in TIME-WAIT.
        if !namespace.table.is_empty() {
            namespace.table.for_each(|node| {
                if let Some(node) = node.get() {
                    drop(retire(&node));
                }
            });
        }
        // Timers that were running have ended after the first, and with the second all entries are
        // gone: nobody but us holds the namespace.
        synchronize_rcu();
        rcu_barrier();
        drop(namespace);
    }
}

/// The state of `net`; fails while the module comes or goes.
pub(super) fn of(net: &Net) -> Result<Arc<Namespace>> {
    net_namespace::get_owned::<Namespaces>(net).ok_or(ENODEV)
}

/// Whether sockets can be made in `net` (`net.oxtcp.enabled`), if the module does not come or go.
pub(super) fn is_enabled(net: &Net) -> bool {
    let guard = rcu::read_lock();
    net_namespace::get::<Namespaces>(net, &guard).is_none_or(|n| n.settings.is_enabled())
}
