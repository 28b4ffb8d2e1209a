// SPDX-License-Identifier: GPL-2.0

//! `TCP_ZEROCOPY_RECEIVE`: reading by having pages mapped.

use super::{
    recv,
    socket::{
        Tcp,
        TcpSock, //
    },
    urgent, //
};
use crate::net::{
    errno::ENOTCONN,
    mapped_receive::{
        with_copy_buffer,
        Request,
        PAGE, //
    },
    msg::OptionOut,
    rx_stamp::RxStamp,
    sock::Locked, //
};
use kernel::prelude::*;

/// Does what the caller of `getsockopt` asks for, and tells what became of it.
pub(super) fn receive(sk: &TcpSock, out: OptionOut) -> Result {
    let (mut request, known) = Request::read(&out)?;
    let stamp = take(&mut sk.lock(), &mut request)?;
    if known.control() {
        request.put_stamp(sk, stamp);
    }
    if known.error() {
        request.error = sk
            .take_error()
            .map_or_else(|error| error.to_errno(), |()| 0);
    }
    if known.unread() {
        request.unread = recv::unread(sk) as u32;
    }
    request.write(out, known)
}

/// As `tcp_zerocopy_receive`; returns when the last bytes came.
fn take(lock: &mut Locked<'_, Tcp>, request: &mut Request) -> Result<Option<RxStamp>> {
    let room = u32::try_from(request.copy_len).unwrap_or(0);
    request.copy_len = 0;
    if request.address % u64::from(PAGE) != 0 {
        return Err(EINVAL);
    }
    if lock.sock().is_listening() {
        return Err(ENOTCONN);
    }
    let there = u32::try_from(urgent::readable_bytes(lock)).unwrap_or(u32::MAX);
    if there > 0 && there <= room {
        request.length = 0;
        request.skip_hint = 0;
        return copy(lock, request, there);
    }
    if there < PAGE {
        request.length = 0;
        request.skip_hint = there;
        if there == 0 && lock.sock().is_done() {
            return Err(EIO);
        }
        return Ok(None);
    }
    let Some(from) = lock.state().connection().map(|conn| conn.read()) else {
        return Err(EINVAL);
    };
    let out = lock.map_queue(from, there, request)?;
    if out.mapped > 0 {
        // Its pages are the reader's now, the packets nobody's.
        lock.read_queue(None, from, out.mapped as usize, false);
        recv::consumed(lock, out.mapped as usize, out.mapped as usize);
    }
    let left = request.skip_hint.min(room);
    let mut stamp = out.stamp;
    if !out.failed && left > 0 {
        stamp = copy(lock, request, left)
            .unwrap_or_else(|error| {
                request.copy_len = error.to_errno();
                None
            })
            .or(stamp);
        request.skip_hint -= u32::try_from(request.copy_len).unwrap_or(0);
    }
    if out.mapped > 0 || request.copy_len > 0 {
        if out.mapped == request.length {
            request.skip_hint = 0;
        }
    } else if request.skip_hint == 0 && lock.sock().is_done() {
        return Err(EIO);
    }
    request.length = out.mapped;
    Ok(stamp)
}

/// Copies the next `len` bytes to the caller's other memory.
fn copy(lock: &mut Locked<'_, Tcp>, request: &mut Request, len: u32) -> Result<Option<RxStamp>> {
    let Some(from) = lock.state().connection().map(|conn| conn.read()) else {
        return Ok(None);
    };
    let out = with_copy_buffer(request.copy_address, len as usize, |msg| {
        lock.read_queue(Some(msg), from, len as usize, false)
    })?;
    if out.copied > 0 {
        recv::consumed(lock, out.first, out.copied);
    }
    if out.fault && out.copied == 0 {
        return Err(EFAULT);
    }
    request.copy_len = i32::try_from(out.copied).unwrap_or(i32::MAX);
    Ok(out.stamp)
}
