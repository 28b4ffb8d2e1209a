// SPDX-License-Identifier: GPL-2.0

//! The size of segments follows the route.

use super::{
    config::mss_of,
    flush::retune,
    socket::Tcp, //
};
use crate::net::sock::Locked;

/// Brings the segment size up to date with the route, as `tcp_current_mss` does: its MTU may have
/// fallen, for a router said so, or risen again, since what routers say is forgotten after some
/// minutes (RFC 1191, 6.3). IP options take their room from it, but not from the MSS that is
/// announced (RFC 9293 section 3.7.1, MUST-16 and MUST-67). Returns whether it changed.
pub(super) fn follow(sk: &mut Locked<'_, Tcp>) -> bool {
    let Ok(path) = sk.path() else {
        return false;
    };
    let state = sk.state();
    let (known, most) = (state.mtu, state.max_segment);
    state.mtu = path.mtu;
    let changed = state.hints != path.hints;
    state.hints = path.hints;
    if let Some(conn) = state.connection() {
        conn.set_ip_options(u16::try_from(path.ip_options).unwrap_or(u16::MAX));
        if known != path.mtu {
            conn.set_mss(mss_of(&path, most));
        }
    }
    if changed {
        retune(sk);
    }
    known != path.mtu
}
