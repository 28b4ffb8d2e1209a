// SPDX-License-Identifier: GPL-2.0

//! Routes of IPv4.
//!
//! C header: [`include/net/route.h`](srctree/include/net/route.h)

use super::{
    be,
    flow4,
    from_be,
    path_of,
    Endpoints,
    Path, //
};
use crate::net::{
    bindings,
    errno::ENETUNREACH,
    proto::Protocol,
    sock::Locked, //
};
use core::{
    net::{
        SocketAddr,
        SocketAddrV4, //
    },
    ptr, //
};
use kernel::prelude::*;

/// Bytes of the header without options.
pub(super) const HEADER: u32 = 20;
/// What every host takes, reassembled where it must be (RFC 791, 3.1).
pub(super) const SMALLEST_MTU: u32 = 576;

impl<P: Protocol> Locked<'_, P> {
    /// As [`Locked::route_to`].
    pub(super) fn route_to_v4(&mut self, peer: SocketAddrV4) -> Result<Endpoints> {
        let inet = self.sock().as_inet();
        let sk = self.sock().as_raw();
        // SAFETY: The lock is held. An `Ok` route is ours to put, or to give to the socket.
        unsafe {
            let fl4 = flow4(ptr::addr_of_mut!((*inet).cork.fl));
            let rt = kernel::error::from_err_ptr(bindings::ip_route_connect(
                fl4,
                be(*peer.ip()),
                (*inet).inet_saddr,
                (*sk).__sk_common.skc_bound_dev_if,
                (*sk).sk_protocol as u8,
                (*inet).inet_sport,
                peer.port().to_be(),
                sk,
            ))
            .inspect_err(|e| {
                if *e == ENETUNREACH {
                    bindings::IP_INC_STATS(
                        self.sock().net().as_raw(),
                        bindings::IPSTATS_MIB_OUTNOROUTES as i32,
                    );
                }
            })?;
            let flags = (*rt).rt_flags;
            if flags & (bindings::RTCF_MULTICAST | bindings::RTCF_BROADCAST) != 0 {
                bindings::ip_rt_put(rt);
                return Err(ENETUNREACH);
            }
            let endpoints = Endpoints {
                source: SocketAddr::new(from_be((*fl4).saddr).into(), self.sock().port()),
                destination: SocketAddr::new(from_be((*fl4).daddr).into(), peer.port()),
            };
            (*sk).sk_gso_type = bindings::SKB_GSO_TCPV4 as u16;
            bindings::sk_setup_caps(sk, ptr::addr_of_mut!((*rt).dst));
            Ok(endpoints)
        }
    }

    /// As [`Locked::path`].
    pub(super) fn path_v4(&mut self) -> Result<Path> {
        let inet = self.sock().as_inet();
        let sk = self.sock().as_raw();
        // SAFETY: The lock is held, the socket has its addresses.
        unsafe {
            let mut dst = bindings::__sk_dst_check(sk, 0);
            if dst.is_null() {
                let fl4 = flow4(ptr::addr_of_mut!((*inet).cork.fl));
                bindings::inet_sk_init_flowi4(inet, fl4);
                let rt = kernel::error::from_err_ptr(bindings::ip_route_output_flow(
                    bindings::sock_net(sk),
                    fl4,
                    sk,
                ))?;
                dst = ptr::addr_of_mut!((*rt).dst);
                (*sk).sk_gso_type = bindings::SKB_GSO_TCPV4 as u16;
                bindings::sk_setup_caps(sk, dst);
            }
            Ok(path_of(dst, HEADER, bindings::ip_options_len(sk)))
        }
    }

    /// As [`Locked::reduce_mtu`].
    pub(super) fn reduce_mtu_v4(&mut self, mtu: u32) {
        let sk = self.sock().as_raw();
        // SAFETY: The lock is held; `update_pmtu` is set for every IPv4 route, and checks `mtu`.
        unsafe {
            let dst = bindings::__sk_dst_check(sk, 0);
            if dst.is_null() || !bindings::ip_sk_accept_pmtu(sk) {
                return;
            }
            if let Some(update) = (*(*dst).ops).update_pmtu {
                update(dst, sk, ptr::null_mut(), mtu, true);
            }
        }
    }
}
