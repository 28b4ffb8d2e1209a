// SPDX-License-Identifier: GPL-2.0

//! `recvmsg(2)` and its spellings.

use super::{
    flush::flush,
    memory,
    socket::{
        Tcp,
        TcpSock, //
    },
    urgent, //
};
use crate::net::{
    errno::ENOTCONN,
    msg::{
        Msg,
        MSG_OOB,
        MSG_PEEK,
        MSG_TRUNC,
        MSG_WAITALL, //
    },
    sock::{
        Locked,
        Shutdown,
        SockState, //
    },
    wait::{
        interrupted,
        signal_pending, //
    }, //
};
use kernel::prelude::*;

/// Reads, and tells what is to be told beside.
pub(super) fn recvmsg(sk: &TcpSock, msg: &mut Msg<'_>, len: usize) -> Result<usize> {
    sk.busy_poll(msg.nonblocking());
    let tells_unread = sk.shared().tells_unread();
    let copied = receive(sk, msg, len)?;
    if let Some(stamp) = msg.stamp() {
        msg.put_stamp(sk, stamp);
    }
    if tells_unread || msg.asks_unread() {
        msg.put_unread(unread(sk), tells_unread);
    }
    Ok(copied)
}

/// How much more can be read; the end of the stream counts as a byte. As `tcp_inq_hint`.
pub(super) fn unread(sk: &TcpSock) -> i32 {
    let bytes = sk.shared().unread() + u64::from(sk.is_done());
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

/// Copies what is in order to the caller, and waits for it where the call says so.
fn receive(sk: &TcpSock, msg: &mut Msg<'_>, len: usize) -> Result<usize> {
    if msg.has(MSG_OOB) {
        return urgent::receive(sk, msg, len);
    }
    let mut lock = sk.lock();
    if sk.is_listening() {
        return Err(ENOTCONN);
    }
    let mut timeout = sk.receive_timeout(msg.nonblocking());
    let target = sk.receive_low_water(msg.has(MSG_WAITALL), len);
    let mut copied = 0;
    // What a peek has passed over: what others have looked at (`SO_PEEK_OFF`), and urgent bytes.
    let mut passed = match msg.has(MSG_PEEK) {
        true => sk.peek_offset() as usize,
        false => 0,
    };
    loop {
        let before = copied;
        if is_at_mark(&mut lock, msg, copied + passed) {
            if copied > 0 {
                break;
            }
            if signal_pending() {
                return Err(match timeout {
                    0 => EAGAIN,
                    _ => interrupted(timeout),
                });
            }
        }
        let fault = read(&mut lock, msg, len, &mut copied, &mut passed);
        if fault && copied == 0 {
            return Err(EFAULT);
        }
        if fault || copied == len && (len != 0 || has_data(&mut lock, passed)) {
            break;
        }
        if copied >= target && copied == before {
            break;
        }
        if copied > 0 && is_at_mark(&mut lock, msg, copied + passed) {
            break;
        }
        if copied > 0 {
            if copied >= target || timeout == 0 || is_over(sk) {
                break;
            }
        } else {
            if has_ended(sk, timeout)? {
                break;
            }
            if signal_pending() {
                return Err(interrupted(timeout));
            }
        }
        lock.wait_data(&mut timeout)?;
    }
    Ok(copied)
}

/// Whether a reader who found nothing is at the end of the stream, an error otherwise unless he is to
/// wait. The order is that of `tcp_recvmsg_locked`.
pub(super) fn has_ended(sk: &TcpSock, timeout: isize) -> Result<bool> {
    if sk.is_done() {
        return Ok(true);
    }
    sk.take_error()?;
    if sk.shutdown().contains(Shutdown::RECEIVE) {
        return Ok(true);
    }
    if sk.kernel_state() == SockState::Close as u8 {
        return Err(ENOTCONN);
    }
    if timeout == 0 {
        return Err(EAGAIN);
    }
    Ok(false)
}

/// Whether a reader who has something returns with it instead of waiting for more.
pub(super) fn is_over(sk: &TcpSock) -> bool {
    sk.error() != 0
        || sk.kernel_state() == SockState::Close as u8
        || sk.shutdown().contains(Shutdown::RECEIVE)
        || signal_pending()
}

/// Whether the next byte is the urgent one, after what this call has read.
fn is_at_mark(lock: &mut Locked<'_, Tcp>, msg: &Msg<'_>, copied: usize) -> bool {
    let Some(mark) = urgent::mark(lock) else {
        return false;
    };
    let peeked = if msg.has(MSG_PEEK) { copied as u64 } else { 0 };
    let read = lock.state().connection().map(|conn| conn.read() + peeked);
    read == Some(mark)
}

/// Whether something is there after the next `passed` bytes.
fn has_data(lock: &mut Locked<'_, Tcp>, passed: usize) -> bool {
    lock.state()
        .connection()
        .is_some_and(|conn| conn.readable() > conn.read().saturating_add(passed as u64))
}

/// Reads what is there, after what `copied` says was read before; true where the caller's memory
/// cannot be written.
fn read(
    lock: &mut Locked<'_, Tcp>,
    msg: &mut Msg<'_>,
    len: usize,
    copied: &mut usize,
    passed: &mut usize,
) -> bool {
    let peek = msg.has(MSG_PEEK);
    if len > *copied && !lock.sock().is_urgent_inline() && is_at_mark(lock, msg, *copied + *passed)
    {
        // The urgent byte is not part of what is read.
        if peek && has_data(lock, *copied + *passed) {
            *passed += 1;
        } else if !peek && has_data(lock, 0) {
            memory::tell(lock);
            urgent::skip(lock);
            flush(lock, super::now());
        }
    }
    let mark = urgent::mark(lock);
    let Some(conn) = lock.state().connection() else {
        return false;
    };
    let from = if peek {
        conn.read().saturating_add((*copied + *passed) as u64)
    } else {
        conn.read()
    };
    // Reading stops before the mark, to tell the reader where it is.
    let end = match mark {
        Some(mark) if mark > from => mark.min(conn.readable()),
        _ => conn.readable(),
    };
    let there = end.saturating_sub(from);
    let want = (len - *copied).min(usize::try_from(there).unwrap_or(usize::MAX));
    if want == 0 {
        return false;
    }
    let to = (!msg.has(MSG_TRUNC)).then_some(&mut *msg);
    let out = lock.read_queue(to, from, want, peek);
    msg.note_stamp(out.stamp);
    *copied += out.copied;
    if peek {
        lock.sock().move_peek_offset(out.copied as i64);
    } else if out.copied > 0 {
        lock.sock().move_peek_offset(-(out.copied as i64));
        consumed(lock, out.first, out.copied);
    }
    out.fault
}

/// The reader has taken `len` bytes, of which the first packet had `first`.
///
/// As Linux the size of the buffer follows what was read by the end of the first packet: what comes in
/// bursts and is read in one call makes the buffer no larger.
pub(super) fn consumed(lock: &mut Locked<'_, Tcp>, first: usize, len: usize) {
    let now = super::now();
    memory::tell(lock);
    if let Some(conn) = lock.state().connection() {
        for part in [first, len.saturating_sub(first)] {
            if part > 0 {
                conn.on_read(now, u32::try_from(part).unwrap_or(u32::MAX));
            }
        }
    }
    flush(lock, now);
}
