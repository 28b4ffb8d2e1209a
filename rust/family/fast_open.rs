// SPDX-License-Identifier: GPL-2.0

//! TCP Fast Open (RFC 7413), as `tcp_fastopen.c`: whose data is taken with the SYN.

use super::{
    accept_queue::FastOpenRoom,
    counters::Counter,
    syn::Arrival, //
};
use crate::{
    engine::FastOpenCookie,
    net::{
        ip::Endpoints,
        siphash, //
    }, //
};
use core::net::IpAddr;

/// Bits of `tcp_fastopen`.
const SERVER: u32 = 2;
/// Clients need no cookie.
const SERVER_WITHOUT_COOKIE: u32 = 0x200;
/// Listeners need no `TCP_FASTOPEN`.
const SERVER_WITHOUT_OPTION: u32 = 0x400;

/// The keys of a listener's cookies: the present one, and the one before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) primary: siphash::Key,
    pub(super) backup: Option<siphash::Key>,
}

/// What a listener does about Fast Open with a SYN.
pub(super) enum Verdict {
    /// Nothing.
    Ordinary,
    /// Give the client this cookie.
    Reply(FastOpenCookie),
    /// Begin the connection, and give the client a new cookie if its own is of the key before.
    Begin(Option<FastOpenCookie>),
}

/// Whether a listener that did not set `TCP_FASTOPEN` offers Fast Open with all of its backlog.
pub(super) fn is_offered_unasked(setting: u32) -> bool {
    setting & SERVER != 0 && setting & SERVER_WITHOUT_OPTION != 0
}

/// Judges a SYN (`tcp_try_fastopen`).
pub(super) fn judge(arrival: &Arrival<'_>, setting: u32) -> Verdict {
    let Arrival {
        ns,
        listener,
        now,
        ref parsed,
        ref ends,
        ..
    } = *arrival;
    let shown = parsed.options.fast_open;
    if shown.is_some_and(|cookie| cookie.is_request()) {
        ns.counters.count(Counter::FastOpenCookieReqd);
    }
    if setting & SERVER == 0 || (parsed.len == 0 && shown.is_none()) {
        return Verdict::Ordinary;
    }
    match listener.shared().queue.has_fast_open_room(now) {
        FastOpenRoom::Off => return Verdict::Ordinary,
        FastOpenRoom::Full => {
            ns.counters.count(Counter::FastOpenListenOverflow);
            return Verdict::Ordinary;
        }
        FastOpenRoom::Free => {}
    }
    let options = listener.shared().options();
    if setting & SERVER_WITHOUT_COOKIE != 0 || options.fast_open_no_cookie {
        return Verdict::Begin(None);
    }
    let Some(shown) = shown else {
        return Verdict::Ordinary;
    };
    let keys = options.fast_open_keys.or_else(|| {
        let (primary, backup) = arrival.net.fast_open_keys()?;
        Some(Keys { primary, backup })
    });
    // AF_INET makes keys at its first use; who comes before it gets our own.
    let keys = keys.unwrap_or(Keys {
        primary: ns.fast_open_key,
        backup: None,
    });
    let Some(right) = cookie(&keys.primary, ends, shown.experimental) else {
        return Verdict::Ordinary;
    };
    if shown.is_request() {
        return Verdict::Reply(right);
    }
    if shown == right {
        return Verdict::Begin(None);
    }
    let backup = keys
        .backup
        .and_then(|key| cookie(&key, ends, shown.experimental));
    if backup == Some(shown) {
        ns.counters.count(Counter::FastOpenPassiveAltKey);
        return Verdict::Begin(Some(right));
    }
    ns.counters.count(Counter::FastOpenPassiveFail);
    Verdict::Reply(right)
}

/// The cookie of a client, which is the destination.
fn cookie(key: &siphash::Key, ends: &Endpoints, experimental: bool) -> Option<FastOpenCookie> {
    let hash = match (ends.destination.ip(), ends.source.ip()) {
        (IpAddr::V4(client), IpAddr::V4(server)) => {
            key.hash([client.octets(), server.octets()].as_flattened())
        }
        (IpAddr::V6(client), IpAddr::V6(server)) => {
            key.hash([client.octets(), server.octets()].as_flattened())
        }
        // Nobody sends such a segment.
        _ => return None,
    };
    FastOpenCookie::new(&hash.to_le_bytes(), experimental)
}
