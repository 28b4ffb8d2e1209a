// SPDX-License-Identifier: GPL-2.0

//! Signed segments that are for no socket.
//!
//! The other end may have a connection that this one lost, and would not believe a reset that is not
//! signed. As Linux (`tcp_v4_send_reset`): the key may be that of a listener at the port that the
//! segment comes from, where both ends of a connection have the same.

use super::{
    input::parse,
    md5,
    minisock,
    namespace::Namespace, //
};
use crate::{
    engine::{
        on_closed,
        Authentication,
        SIGNATURE_LEN, //
    },
    net::{
        ip::{
            Endpoints,
            Manner,
            Segment, //
        },
        md5::Key,
        net_namespace::Net,
        netfilter::Verdict,
        skbuff::{
            DropReason,
            Skb, //
        }, //
    }, //
};
use core::net::SocketAddr;
use kernel::sync::rcu;

/// Answers a segment for which there is no socket of ours, if nobody but us can; else it is the
/// kernel's, whether that has a socket or answers as the standard says.
pub(super) fn segment(ns: &Namespace, net: &Net, skb: Skb, ends: &Endpoints) -> Verdict {
    if !md5::is_needed() || !ns.ports.is_used(ends.source.port()) {
        return Verdict::Accept(skb);
    }
    signed(ns, net, skb, ends)
}

#[cold]
fn signed(ns: &Namespace, net: &Net, skb: Skb, ends: &Endpoints) -> Verdict {
    let mut skb = skb;
    let header = skb.tcp_header();
    let Authentication::Md5(signature) = Authentication::of(&header) else {
        return Verdict::Accept(skb);
    };
    let rcu = rcu::read_lock();
    let alike = Endpoints {
        source: ends.source,
        destination: SocketAddr::new(ends.destination.ip(), ends.source.port()),
    };
    let key = ns
        .listeners
        .find(&mut skb, &alike, &rcu)
        .and_then(|found| md5::key_from(found.socket, ends, skb.router()));
    let kernel = skb.is_for_kernel(net, ends) || skb.kernel_listener(net, ends, &rcu).is_some();
    let Some(key) = key.filter(|_| !kernel) else {
        return Verdict::Accept(skb);
    };
    match skb.into_segment(net, super::now().as_nanos()) {
        Ok(segment) => reset(ns, net, segment, ends, &key, &signature),
        Err(reason) => ns.bad_segment(reason),
    }
    Verdict::Stolen
}

fn reset(
    ns: &Namespace,
    net: &Net,
    segment: Segment,
    ends: &Endpoints,
    key: &Key,
    signature: &[u8; SIGNATURE_LEN],
) {
    if !segment.pass_policy() {
        return;
    }
    let answer = parse(&segment).and_then(|parsed| on_closed(&parsed));
    if let Some(answer) = answer.filter(|_| key.has_signed(ends, &segment, signature)) {
        let manner = segment.manner_of_reset(net, &Manner::default());
        let options = segment.answering(net);
        let back = ends.reversed();
        minisock::send(ns, &back, &manner, &options, &answer, Some(key));
    }
    segment.into_skb().drop_because(DropReason::NoSocket);
}
