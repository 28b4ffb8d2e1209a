// SPDX-License-Identifier: GPL-2.0

//! The size of segments follows the route.

use super::{
    config::mss_of,
    socket::Tcp, //
};
use crate::net::sock::Locked;

/// Brings the segment size up to date with the route, as `tcp_current_mss` does: its MTU may have
/// fallen, for a router said so, or risen again, since what routers say is forgotten after some
/// minutes (RFC 1191, 6.3). Returns whether it changed.
pub(super) fn follow(sk: &mut Locked<'_, Tcp>) -> bool {
    let Ok(path) = sk.path() else {
        return false;
    };
    let options = sk.sock().shared().options();
    let state = sk.state();
    if state.mtu == path.mtu {
        return false;
    }
    state.mtu = path.mtu;
    if let Some(conn) = state.connection() {
        conn.set_mss(mss_of(&path, &options));
    }
    true
}
