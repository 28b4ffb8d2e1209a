// SPDX-License-Identifier: GPL-2.0

//! `TCP_MD5SIG`: the keys of sockets, which segments they are for, and what becomes of segments that
//! are signed as they should not be.

use super::{
    counters::Counter,
    namespace::Namespace,
    socket::{
        Tcp,
        TcpSock, //
    }, //
};
use crate::{
    engine::Authentication,
    net::{
        errno::ENOPROTOOPT,
        ip::{
            Endpoints,
            Segment, //
        },
        md5::{
            self,
            Key,
            Request, //
        },
        msg::OptionIn,
        skbuff::DropReason,
        sock::Locked,
        spinlock::{
            new_spinlock_bh,
            SpinLockBh, //
        },
        tcp, //
    }, //
};
use core::{
    net::IpAddr,
    sync::atomic::{
        AtomicUsize,
        Ordering, //
    }, //
};
use kernel::{
    alloc::Flags,
    prelude::*, //
};

/// The keys of all sockets together: without any, nobody looks for one.
static KEYS: AtomicUsize = AtomicUsize::new(0);

/// Whether any socket has a key.
pub(super) fn is_needed() -> bool {
    KEYS.load(Ordering::Relaxed) != 0
}

/// For which segments a key is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Scope {
    peer: IpAddr,
    /// Bits of the address that count.
    prefix: u8,
    /// The virtual router, 0 for none.
    router: i32,
    /// The router counts (`TCP_MD5SIG_FLAG_IFINDEX`).
    is_bound: bool,
}

/// Bits of a whole address.
fn bits_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl Scope {
    fn has(&self, peer: IpAddr, router: i32) -> bool {
        let is_near = match (self.peer, peer) {
            (IpAddr::V4(own), IpAddr::V4(peer)) => {
                let other = u32::from(own) ^ u32::from(peer);
                other.leading_zeros() >= self.prefix.into()
            }
            (IpAddr::V6(own), IpAddr::V6(peer)) => {
                let other = u128::from(own) ^ u128::from(peer);
                other.leading_zeros() >= self.prefix.into()
            }
            _ => false,
        };
        is_near && (!self.is_bound || self.router == router)
    }

    /// Whether it says more than another that has the same peer (`better_md5_match`).
    fn is_better(&self, than: &Scope) -> bool {
        match (than.router != 0, self.router != 0) {
            (true, false) => false,
            (false, true) => true,
            _ => than.prefix < self.prefix,
        }
    }
}

/// One of [`KEYS`].
struct Counted;

impl Counted {
    fn new() -> Self {
        KEYS.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        KEYS.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Entry {
    scope: Scope,
    key: Key,
    _counted: Counted,
}

/// The keys of one socket, the latest last. Only who has the socket's lock changes them.
#[pin_data]
pub(super) struct Keys {
    #[pin]
    entries: SpinLockBh<KVec<Entry>>,
}

impl Keys {
    /// None.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            entries <- new_spinlock_bh!(KVec::new(), "oxtcp_md5_keys"),
        })
    }

    /// The entry that fits best; of equals the latest.
    fn find(&self, peer: IpAddr, router: i32) -> Option<(Scope, Key)> {
        let entries = self.entries.lock();
        let mut best: Option<&Entry> = None;
        for entry in entries.iter().rev() {
            let is_better = best.is_none_or(|best| entry.scope.is_better(&best.scope));
            if is_better && entry.scope.has(peer, router) {
                best = Some(entry);
            }
        }
        best.map(|best| (best.scope, best.key))
    }

    fn is_empty(&self) -> bool {
        self.entries.lock().is_empty()
    }

    /// Replaces the key of a scope, if there is one.
    fn change(&self, scope: &Scope, key: &Key) -> bool {
        let mut entries = self.entries.lock();
        let old = entries.iter_mut().find(|entry| entry.scope == *scope);
        old.map(|old| old.key = *key).is_some()
    }

    /// Adds a key. Memory is asked for without the lock, under which nobody may sleep.
    fn push(&self, scope: Scope, key: Key, flags: Flags) -> Result {
        let entry = Entry {
            scope,
            key,
            _counted: Counted::new(),
        };
        let len = self.entries.lock().len();
        let mut longer = KVec::with_capacity(len + 1, flags)?;
        let mut entries = self.entries.lock();
        for old in Iterator::chain(entries.drain_all(), [entry]) {
            // There is room for all, as nobody else changes their number.
            let _ = longer.push_within_capacity(old);
        }
        core::mem::swap(&mut *entries, &mut longer);
        drop(entries);
        Ok(())
    }

    /// Takes the key of a scope away. Returns whether there was one.
    fn remove(&self, scope: &Scope) -> bool {
        let mut entries = self.entries.lock();
        let at = entries.iter().position(|entry| entry.scope == *scope);
        at.is_some_and(|at| entries.remove(at).is_ok())
    }

    /// Takes all keys away. Returns how many there were.
    fn clear(&self) -> usize {
        core::mem::take(&mut *self.entries.lock()).len()
    }
}

/// `TCP_MD5SIG`
pub(super) fn set_md5sig(sk: &TcpSock, value: &OptionIn) -> Result {
    set(sk, value, tcp::MD5SIG)
}

/// `TCP_MD5SIG_EXT`
pub(super) fn set_md5sig_ext(sk: &TcpSock, value: &OptionIn) -> Result {
    set(sk, value, tcp::MD5SIG_EXT)
}

fn set(sk: &TcpSock, value: &OptionIn, name: i32) -> Result {
    // A short value is looked at before the option is.
    value.int()?;
    if !md5::SUPPORTED {
        return Err(ENOPROTOOPT);
    }
    let mut lock = sk.lock();
    let request = value.md5_request(sk.is_inet6())?;
    let scope = scope(sk, &request, name == tcp::MD5SIG_EXT)?;
    let keys = &sk.shared().md5_keys;
    if request.key_len == 0 {
        if !keys.remove(&scope) {
            return Err(ENOENT);
        }
        sk.uncharge_key();
        return Ok(());
    }
    let key = request.key()?;
    if keys.is_empty() {
        md5::may_be_used()?;
    }
    lock.disable_gso();
    add(sk, scope, key, GFP_KERNEL)
}

/// What the user's key is for, as `tcp_v4_parse_md5_keys`.
fn scope(sk: &TcpSock, request: &Request, extended: bool) -> Result<Scope> {
    let has = |flag| request.flags & flag != 0;
    let bits = bits_of(request.peer);
    let prefix = if extended && has(md5::FLAG_PREFIX) {
        request.prefix
    } else {
        bits
    };
    if prefix > bits {
        return Err(EINVAL);
    }
    // The flag without a device stands for none; TCP_MD5SIG does not look at the device.
    let is_bound = has(md5::FLAG_IFINDEX);
    let router = if extended && is_bound {
        request.device
    } else {
        0
    };
    if router != 0 && !sk.net().is_router(router) {
        return Err(EINVAL);
    }
    Ok(Scope {
        peer: request.peer,
        prefix,
        router,
        is_bound,
    })
}

fn add(sk: &TcpSock, scope: Scope, key: Key, flags: Flags) -> Result {
    let keys = &sk.shared().md5_keys;
    if keys.change(&scope, &key) {
        return Ok(());
    }
    sk.charge_key()?;
    keys.push(scope, key, flags)
        .inspect_err(|_| sk.uncharge_key())
}

/// The socket will not be used any more.
pub(super) fn forget(sk: &TcpSock) {
    if is_needed() {
        for _ in 0..sk.shared().md5_keys.clear() {
            sk.uncharge_key();
        }
    }
}

/// The key for segments to the peer of a connected socket.
pub(super) fn key_of(sk: &TcpSock) -> Option<Key> {
    if !is_needed() {
        return None;
    }
    key_for(sk, &sk.endpoints(), sk.bound_device())
}

/// The key of `sk` for segments along `ends`, of a connection that is bound to a device or to none.
pub(super) fn key_for(sk: &TcpSock, ends: &Endpoints, device: i32) -> Option<Key> {
    if !is_needed() {
        return None;
    }
    find_for(sk, ends, device).map(|(_, key)| key)
}

/// The key of `sk` for a segment that came along `ends`, through a virtual router or none (0).
pub(super) fn key_from(sk: &TcpSock, ends: &Endpoints, router: i32) -> Option<Key> {
    let found = sk.shared().md5_keys.find(ends.source.ip(), router);
    found.map(|(_, key)| key)
}

#[cold]
fn find_for(sk: &TcpSock, ends: &Endpoints, device: i32) -> Option<(Scope, Key)> {
    let router = sk.net().router_of(device);
    sk.shared().md5_keys.find(ends.destination.ip(), router)
}

/// Gives a child of `listener` the key for its peer, and no other.
// Not to burden the stack of who makes it.
#[inline(never)]
pub(super) fn inherit(
    listener: &TcpSock,
    child: &mut Locked<'_, Tcp>,
    ends: &Endpoints,
    device: i32,
) -> Result {
    if !is_needed() {
        return Ok(());
    }
    let Some((scope, key)) = find_for(listener, ends, device) else {
        return Ok(());
    };
    let peer = ends.destination.ip();
    let scope = Scope {
        peer,
        prefix: bits_of(peer),
        router: listener.net().router_of(device),
        ..scope
    };
    child.disable_gso();
    add(child.sock(), scope, key, GFP_ATOMIC | __GFP_NOWARN)
}

/// Asks all that may forbid a socket to see this segment, which goes along `ends`, in Linux's order:
/// minimal TTL and IPsec policy, its signature, the filters. `None`: it is dropped. `half_open` tells
/// that it is for a connection without a socket, of which `sk` is the listener.
pub(super) fn pass(
    ns: &Namespace,
    sk: &TcpSock,
    segment: Segment,
    ends: &Endpoints,
    half_open: bool,
) -> Option<Segment> {
    let segment = segment.pass_way(sk)?;
    let proof = Authentication::of(segment.header());
    let segment = if proof != Authentication::None || is_needed() {
        pass_proof(ns, sk, segment, ends, half_open, &proof)?
    } else {
        segment
    };
    segment.pass_filters(sk)
}

/// As `tcp_inbound_hash`.
#[cold]
fn pass_proof(
    ns: &Namespace,
    sk: &TcpSock,
    segment: Segment,
    ends: &Endpoints,
    half_open: bool,
    proof: &Authentication,
) -> Option<Segment> {
    let mut segment = segment;
    let router = segment.as_skb().router();
    let key = || key_from(sk, ends, router);
    let (counter, reason) = match proof {
        Authentication::Malformed => (None, DropReason::BadAuthentication),
        Authentication::Ao if half_open => (Some(Counter::AoBad), DropReason::AoWrong),
        Authentication::Ao => (Some(Counter::AoKeyNotFound), DropReason::AoUnexpected),
        Authentication::None => match key() {
            Some(_) => (Some(Counter::Md5NotFound), DropReason::SignatureMissing),
            None => return Some(segment),
        },
        Authentication::Md5(_) if !md5::SUPPORTED => return Some(segment),
        Authentication::Md5(signature) => match key() {
            Some(key) if key.has_signed(ends, &segment, signature) => {
                return Some(segment);
            }
            Some(_) => (Some(Counter::Md5Failure), DropReason::SignatureWrong),
            None => (
                Some(Counter::Md5Unexpected),
                DropReason::SignatureUnexpected,
            ),
        },
    };
    if let Some(counter) = counter {
        ns.counters.count(counter);
    }
    segment.into_skb().drop_of(sk, reason);
    None
}
