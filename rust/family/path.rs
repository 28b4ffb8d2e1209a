// SPDX-License-Identifier: GPL-2.0

//! The size of segments follows the route.

use super::{
    config::mss_of,
    socket::Tcp, //
};
use crate::net::{
    ip::Path,
    sock::Locked, //
};

/// Brings the segment size up to date with the route, as `tcp_current_mss` does: its MTU may have
/// fallen, for a router said so, or risen again, since what routers say is forgotten after some
/// minutes (RFC 1191, 6.3). IP options take their room from it, but not from the MSS that is
/// announced (RFC 9293 section 3.7.1, MUST-16 and MUST-67). Returns whether it changed.
pub(super) fn follow(sk: &mut Locked<'_, Tcp>) -> bool {
    let Ok(path) = sk.path() else {
        return false;
    };
    let mtu = path.mtu.saturating_sub(path.ip_options);
    let options = sk.sock().shared().options();
    let state = sk.state();
    if state.mtu == mtu {
        return false;
    }
    state.mtu = mtu;
    if let Some(conn) = state.connection() {
        conn.set_mss(mss_of(&Path { mtu, ..path }, &options));
    }
    true
}
