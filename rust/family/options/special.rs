// SPDX-License-Identifier: GPL-2.0

//! Options whose value is no integer. The table calls these by name.

/// `TCP_ZEROCOPY_RECEIVE`
pub(super) use super::super::mapped_receive::receive as get_zerocopy_receive;
/// `TCP_MD5SIG`, `TCP_MD5SIG_EXT`
pub(super) use super::super::md5::{
    set_md5sig,
    set_md5sig_ext, //
};
use super::super::{
    config,
    fast_open::Keys,
    flush::flush,
    info,
    socket::{
        Tcp,
        TcpSock, //
    }, //
};
use super::Options;
use crate::{
    engine::{
        self,
        Algorithm,
        CongestionInfo, //
    },
    net::{
        msg::{
            OptionIn,
            OptionOut, //
        },
        net_namespace::Net,
        netns_ipv4::CONGESTION_NAME_MAX,
        siphash,
        sock::Locked,
        tcp, //
    }, //
};
use kernel::prelude::*;

/// The longest name of a protocol on top, with its end (Linux's `TCP_ULP_NAME_MAX`).
const UPPER_NAME_MAX: usize = 16;
/// The size of `struct tcp_repair_window`.
const REPAIR_WINDOW_LEN: usize = 20;

/// `TCP_CONGESTION`
pub(super) fn set_congestion(sk: &TcpSock, value: &OptionIn) -> Result {
    let name: [u8; CONGESTION_NAME_MAX] = value.name()?;
    let mut lock = sk.lock();
    let mut options = sk.shared().options();
    if lock.state().congestion_locked {
        return Err(EPERM);
    }
    let wanted = config::algorithm(&name).ok_or(ENOENT)?;
    if wanted != options.congestion {
        let net = sk.net();
        if is_restricted(net, wanted) && !net.may_administrate() {
            return Err(EPERM);
        }
        options.congestion = wanted;
        let now = super::super::now();
        if let Some(conn) = lock.state().connection() {
            conn.set_congestion(now, wanted);
            flush(&mut lock, now);
        }
    }
    options.congestion_chosen = true;
    *sk.shared().options.lock() = options;
    Ok(())
}

/// Whether an algorithm takes a privilege: DCTCP is not for shared networks. As Linux not where it is
/// the namespace's own choice; what else `tcp_allowed_congestion_control` allows cannot be seen by a
/// module.
fn is_restricted(net: &Net, algorithm: Algorithm) -> bool {
    algorithm == Algorithm::Dctcp && config::congestion_of(net) != algorithm
}

/// `TCP_FASTOPEN_KEY`: one key, or the present one and the one before.
pub(super) fn set_fastopen_key(sk: &TcpSock, value: &OptionIn) -> Result {
    let mut bytes = [0; 32];
    if value.size() != 16 && value.size() != 32 {
        return Err(EINVAL);
    }
    let len = value.bytes(&mut bytes)?;
    let key = |at: usize| {
        let key = bytes.get(at..at + 16)?.try_into().ok()?;
        Some(siphash::Key::from_bytes(key))
    };
    let primary = key(0).ok_or(EINVAL)?;
    let backup = key(16).filter(|_| len == 32);
    let _lock = sk.lock();
    sk.shared().options.lock().fast_open_keys = Some(Keys { primary, backup });
    Ok(())
}

/// What `TCP_FASTOPEN_KEY` reads.
pub(super) fn get_fastopen_key(sk: &TcpSock, out: OptionOut) -> Result {
    let Some(Keys { primary, backup }) = sk.shared().options().fast_open_keys else {
        return out.put(&[0u8; 0]);
    };
    let Some(backup) = backup else {
        return out.put(&primary.to_bytes());
    };
    out.put(&[primary.to_bytes(), backup.to_bytes()])
}

/// `TCP_INFO`
pub(super) fn get_info(sk: &TcpSock, out: OptionOut) -> Result {
    let info = info::info(&mut sk.lock());
    out.put(&info)
}

/// What `TCP_CONGESTION` reads.
pub(super) fn get_congestion(sk: &TcpSock, out: OptionOut) -> Result {
    let name = congestion_name(&mut sk.lock(), &sk.shared().options());
    out.put_bytes(&name)
}

/// `TCP_ULP`: there are no protocols to put on top.
pub(super) fn set_ulp(_sk: &TcpSock, value: &OptionIn) -> Result {
    let _: [u8; UPPER_NAME_MAX] = value.name()?;
    Err(ENOENT)
}

/// What `TCP_ULP` reads: no name.
pub(super) fn get_ulp(_sk: &TcpSock, out: OptionOut) -> Result {
    out.put_length(0)
}

/// `TCP_SAVED_SYN`: the headers, once.
pub(super) fn get_saved_syn(sk: &TcpSock, out: OptionOut) -> Result {
    let mut lock = sk.lock();
    let Some(syn) = lock.state().saved_syn.take() else {
        return out.put_length(0);
    };
    if out.room()? < syn.len() {
        out.put_length(syn.len())?;
        lock.state().saved_syn = Some(syn);
        return Err(EINVAL);
    }
    drop(lock);
    out.put_bytes(&syn)
}

/// What `TCP_REPAIR_WINDOW` reads.
pub(super) fn get_repair_window(_sk: &TcpSock, out: OptionOut) -> Result {
    match out.room()? {
        REPAIR_WINDOW_LEN => Err(EPERM),
        _ => Err(EINVAL),
    }
}

/// The name of the congestion control, padded with zeros.
fn congestion_name(lock: &mut Locked<'_, Tcp>, options: &Options) -> [u8; CONGESTION_NAME_MAX] {
    let name = match lock.state().connection() {
        Some(conn) if conn.state() != engine::State::Closed => conn.congestion(),
        _ => options.congestion.name(),
    };
    let mut padded = [0; CONGESTION_NAME_MAX];
    for (to, from) in padded.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    padded
}

/// `TCP_CC_INFO`
pub(super) fn get_cc_info(sk: &TcpSock, out: OptionOut) -> Result {
    let mut lock = sk.lock();
    let info = lock
        .state()
        .connection()
        .map_or(CongestionInfo::None, |conn| conn.congestion_info());
    drop(lock);
    let cut = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    match &info {
        CongestionInfo::None => out.put_bytes(&[]),
        CongestionInfo::Dctcp(None) => out.put(&tcp::DctcpInfo::default()),
        CongestionInfo::Dctcp(Some(info)) => out.put(&tcp::DctcpInfo {
            enabled: 1,
            ce_state: info.ce.into(),
            alpha: info.alpha,
            ab_ecn: cut(info.marked),
            ab_tot: cut(info.delivered),
        }),
        CongestionInfo::Bbr(bbr) => out.put(&tcp::BbrInfo {
            bw_lo: bbr.bandwidth as u32,
            bw_hi: (bbr.bandwidth >> 32) as u32,
            min_rtt: bbr.min_rtt.map_or(u32::MAX, info::micros),
            pacing_gain: bbr.pacing_gain,
            cwnd_gain: bbr.cwnd_gain,
        }),
    }
}
