// SPDX-License-Identifier: GPL-2.0

//! SYN cookies: the keys and the addresses of what the engine encodes.

use super::{
    config::config,
    counters::Counter,
    entry,
    minisock::send_for,
    syn::Arrival, //
};
use crate::{
    engine::{
        cookie_check,
        cookie_syn_ack,
        Config,
        CookieHash,
        CookieVerdict,
        HalfOpen,
        MssTable,
        COOKIE_LIFE,
        COOKIE_MSS_IPV4,
        COOKIE_MSS_IPV6, //
    },
    net::{
        ip::{
            initial_sequence,
            Endpoints,
            IpOptions, //
        },
        siphash, //
    }, //
};
use core::net::SocketAddr;
use kernel::prelude::*;

/// A namespace's secrets.
pub(super) struct Keys([siphash::Key; 2]);

impl Keys {
    /// New ones.
    pub(super) fn random() -> Self {
        Self([siphash::Key::random(), siphash::Key::random()])
    }
}

/// What is hashed.
#[derive(IntoBytes, zerocopy_derive::Immutable)]
#[repr(C)]
struct CookieInput {
    connection: entry::Key,
    count: u32,
}

/// The hashes of one connection.
struct Hashes<'a> {
    keys: &'a Keys,
    connection: entry::Key,
}

impl<'a> Hashes<'a> {
    fn new(keys: &'a Keys, ends: &Endpoints) -> Self {
        Self {
            keys,
            connection: entry::Key::connection(ends),
        }
    }

    fn hash(&self, key: usize, count: u32) -> u32 {
        let input = CookieInput {
            connection: self.connection,
            count,
        };
        let key = self.keys.0.get(key);
        key.map_or(0, |key| key.hash(input.as_bytes()) as u32)
    }
}

impl CookieHash for Hashes<'_> {
    fn whole(&self) -> u32 {
        self.hash(0, 0)
    }

    fn counted(&self, count: u32) -> u32 {
        self.hash(1, count)
    }
}

/// What the cookies of a connection between these ends can express.
fn mss_table(ends: &Endpoints) -> &'static MssTable {
    match ends.source {
        SocketAddr::V4(_) => &COOKIE_MSS_IPV4,
        SocketAddr::V6(_) => &COOKIE_MSS_IPV6,
    }
}

/// Answers a SYN with a cookie.
pub(super) fn send(arrival: &Arrival<'_>, config: &Config, ts_offset: u32, options: &IpOptions) {
    let ns = arrival.ns;
    let hashes = Hashes::new(&ns.cookie_keys, &arrival.ends);
    let answer = cookie_syn_ack(
        arrival.now,
        config,
        &arrival.parsed,
        ts_offset,
        mss_table(&arrival.ends),
        &hashes,
    );
    arrival.listener.shared().queue.note_cookie(arrival.now);
    ns.counters.count(Counter::SyncookiesSent);
    send_for(
        ns,
        arrival.listener,
        &arrival.ends,
        &arrival.manner,
        options,
        &answer,
    );
}

/// The connection whose cookie an acknowledgment brings back.
///
/// As `cookie_v4_check`: where none was sent lately there is nothing to look at, which keeps the
/// hashes from an attacker who does not overflow the queue.
pub(super) fn returned(arrival: &Arrival<'_>) -> Option<HalfOpen> {
    let flags = arrival.parsed.flags;
    let sent = arrival.listener.shared().queue.last_cookie()?;
    if !flags.ack() || flags.syn() || flags.rst() {
        return None;
    }
    if arrival.now.since(sent) > COOKIE_LIFE {
        return None;
    }
    check(arrival)
}

#[inline(never)]
fn check(arrival: &Arrival<'_>) -> Option<HalfOpen> {
    let Arrival {
        net,
        ns,
        listener,
        ref ends,
        ..
    } = *arrival;
    if listener.net().syncookies() == 0 {
        return None;
    }
    let path = listener
        .path_for(ends, &arrival.manner, &arrival.options)
        .ok()?;
    let config = config(listener, &listener.shared().options(), &path);
    let (_, ts_offset) = initial_sequence(net, ends);
    let hashes = Hashes::new(&ns.cookie_keys, ends);
    let verdict = cookie_check(
        arrival.now,
        &config,
        &arrival.parsed,
        ts_offset,
        mss_table(ends),
        &hashes,
    );
    let (counter, half) = match verdict {
        CookieVerdict::Forged => (Counter::SyncookiesFailed, None),
        CookieVerdict::Disabled => (Counter::SyncookiesRecv, None),
        CookieVerdict::Valid(half) => (Counter::SyncookiesRecv, Some(half)),
    };
    ns.counters.count(counter);
    half
}
