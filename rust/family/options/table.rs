// SPDX-License-Identifier: GPL-2.0

//! The options of level `SOL_TCP`. Made by tools/lab/options of Documentation/options.toml.

use super::{
    get,
    set,
    special,
    Get,
    Row,
    Set,
    States, //
};
use crate::net::tcp;
use kernel::prelude::*;

pub(super) static ROWS: [Row; 40] = [
    Row {
        number: tcp::NODELAY,
        set: Set::Int(i32::MIN..=i32::MAX, States::Any, set::nodelay),
        get: Get::Int(get::nodelay),
    },
    Row {
        number: tcp::MAXSEG,
        set: Set::IntOrZero(88..=32767, States::Any, set::maxseg),
        get: Get::Int(get::maxseg),
    },
    Row {
        number: tcp::CORK,
        set: Set::Int(i32::MIN..=i32::MAX, States::Any, set::cork),
        get: Get::Int(get::cork),
    },
    Row {
        number: tcp::KEEPIDLE,
        set: Set::Int(1..=32767, States::Any, set::keepidle),
        get: Get::Int(get::keepidle),
    },
    Row {
        number: tcp::KEEPINTVL,
        set: Set::Int(1..=32767, States::Any, set::keepintvl),
        get: Get::Int(get::keepintvl),
    },
    Row {
        number: tcp::KEEPCNT,
        set: Set::Int(1..=127, States::Any, set::keepcnt),
        get: Get::Int(get::keepcnt),
    },
    Row {
        number: tcp::SYNCNT,
        set: Set::Int(1..=127, States::Any, set::syncnt),
        get: Get::Int(get::syncnt),
    },
    Row {
        number: tcp::LINGER2,
        set: Set::Int(i32::MIN..=i32::MAX, States::Any, set::linger2),
        get: Get::Int(get::linger2),
    },
    Row {
        number: tcp::DEFER_ACCEPT,
        set: Set::Int(i32::MIN..=i32::MAX, States::Any, set::defer_accept),
        get: Get::Int(get::defer_accept),
    },
    Row {
        number: tcp::WINDOW_CLAMP,
        set: Set::Int(i32::MIN..=i32::MAX, States::Any, set::window_clamp),
        get: Get::Int(get::window_clamp),
    },
    Row {
        number: tcp::INFO,
        set: Set::Never,
        get: Get::Other(special::get_info),
    },
    Row {
        number: tcp::QUICKACK,
        set: Set::Int(i32::MIN..=i32::MAX, States::Any, set::quickack),
        get: Get::Int(get::quickack),
    },
    Row {
        number: tcp::CONGESTION,
        set: Set::Other(special::set_congestion),
        get: Get::Other(special::get_congestion),
    },
    Row {
        number: tcp::MD5SIG,
        set: Set::Other(special::set_md5sig),
        get: Get::Never,
    },
    Row {
        number: tcp::THIN_LINEAR_TIMEOUTS,
        set: Set::Int(0..=1, States::Any, set::thin_linear_timeouts),
        get: Get::Int(get::thin_linear_timeouts),
    },
    Row {
        number: tcp::THIN_DUPACK,
        set: Set::Int(0..=1, States::Any, set::thin_dupack),
        get: Get::Int(get::thin_dupack),
    },
    Row {
        number: tcp::USER_TIMEOUT,
        set: Set::Int(0..=i32::MAX, States::Any, set::user_timeout),
        get: Get::Int(get::user_timeout),
    },
    Row {
        number: tcp::REPAIR,
        set: Set::Refuse(EPERM),
        get: Get::Int(get::repair),
    },
    Row {
        number: tcp::REPAIR_QUEUE,
        set: Set::Refuse(EPERM),
        get: Get::Refuse(EINVAL),
    },
    Row {
        number: tcp::QUEUE_SEQ,
        set: Set::Int(i32::MIN..=i32::MAX, States::Any, set::queue_seq),
        get: Get::Refuse(EINVAL),
    },
    Row {
        number: tcp::REPAIR_OPTIONS,
        set: Set::Refuse(EINVAL),
        get: Get::Never,
    },
    Row {
        number: tcp::FASTOPEN,
        set: Set::Int(0..=i32::MAX, States::Unconnected, set::fastopen),
        get: Get::Int(get::fastopen),
    },
    Row {
        number: tcp::TIMESTAMP,
        set: Set::Refuse(EPERM),
        get: Get::Int(get::timestamp),
    },
    Row {
        number: tcp::NOTSENT_LOWAT,
        set: Set::Int(i32::MIN..=i32::MAX, States::Any, set::notsent_lowat),
        get: Get::Int(get::notsent_lowat),
    },
    Row {
        number: tcp::CC_INFO,
        set: Set::Never,
        get: Get::Other(special::get_cc_info),
    },
    Row {
        number: tcp::SAVE_SYN,
        set: Set::Int(0..=2, States::Any, set::save_syn),
        get: Get::Int(get::save_syn),
    },
    Row {
        number: tcp::SAVED_SYN,
        set: Set::Never,
        get: Get::Other(special::get_saved_syn),
    },
    Row {
        number: tcp::REPAIR_WINDOW,
        set: Set::Refuse(EPERM),
        get: Get::Other(special::get_repair_window),
    },
    Row {
        number: tcp::FASTOPEN_CONNECT,
        set: Set::Int(0..=1, States::Any, set::fastopen_connect),
        get: Get::Int(get::fastopen_connect),
    },
    Row {
        number: tcp::ULP,
        set: Set::Other(special::set_ulp),
        get: Get::Other(special::get_ulp),
    },
    Row {
        number: tcp::MD5SIG_EXT,
        set: Set::Other(special::set_md5sig_ext),
        get: Get::Never,
    },
    Row {
        number: tcp::FASTOPEN_KEY,
        set: Set::Other(special::set_fastopen_key),
        get: Get::Other(special::get_fastopen_key),
    },
    Row {
        number: tcp::FASTOPEN_NO_COOKIE,
        set: Set::Int(0..=1, States::Unconnected, set::fastopen_no_cookie),
        get: Get::Int(get::fastopen_no_cookie),
    },
    Row {
        number: tcp::ZEROCOPY_RECEIVE,
        set: Set::Never,
        get: Get::Other(special::get_zerocopy_receive),
    },
    Row {
        number: tcp::INQ,
        set: Set::Int(0..=1, States::Any, set::inq),
        get: Get::Int(get::inq),
    },
    Row {
        number: tcp::AO_REPAIR,
        set: Set::Refuse(EPERM),
        get: Get::Refuse(EPERM),
    },
    Row {
        number: tcp::IS_MPTCP,
        set: Set::Never,
        get: Get::Int(get::is_mptcp),
    },
    Row {
        number: tcp::RTO_MAX_MS,
        set: Set::Int(1000..=120000, States::Any, set::rto_max_ms),
        get: Get::Int(get::rto_max_ms),
    },
    Row {
        number: tcp::RTO_MIN_US,
        set: Set::Int(i32::MIN..=i32::MAX, States::Any, set::rto_min_us),
        get: Get::Int(get::rto_min_us),
    },
    Row {
        number: tcp::DELACK_MAX_US,
        set: Set::Int(i32::MIN..=i32::MAX, States::Any, set::delack_max_us),
        get: Get::Int(get::delack_max_us),
    },
];
