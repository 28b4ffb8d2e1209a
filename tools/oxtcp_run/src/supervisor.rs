// SPDX-License-Identifier: GPL-2.0

//! Who answers the calls that the filter holds, as long as there is a process under it.

use crate::caller::{self, Thread};
use crate::filter::{self, Which};
use crate::seccomp::Listener;
use crate::{oxtcp, pass};
use libc::seccomp_notif;
use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::wait::{waitpid, WaitStatus};
use nix::unistd::{fork, ForkResult};
use std::ffi::c_int;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

pub(crate) struct Supervisor {
    pub(crate) listener: Listener,
    pub(crate) verbose: bool,
    pub(crate) strict: bool,
}

impl Supervisor {
    /// Answers until the last process under the filter is gone.
    pub(crate) fn serve(&self) {
        loop {
            let mut asked = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
            match poll(&mut asked, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => (),
                Err(_) => return,
            }
            let events = asked[0].revents().unwrap_or(PollFlags::empty());
            if events.contains(PollFlags::POLLIN) {
                // A caller that was killed meanwhile needs no answer.
                if let Ok(notification) = self.listener.receive() {
                    self.answer(&notification);
                }
            } else if !events.is_empty() {
                return;
            }
        }
    }

    /// Whatever cannot be answered as the kernel would have is left to the kernel.
    fn answer(&self, notification: &seccomp_notif) {
        let id = notification.id;
        let thread = Thread::open(Some(notification.pid)).ok();
        // From here on the thread is the caller.
        if !self.listener.is_waiting(id) {
            return;
        }
        let memory = |address, count| thread.as_ref()?.words(address, count);
        let answered = match filter::which(&notification.data, memory) {
            Some((Which::Socket, arguments)) => {
                Call::new(notification, &arguments).map(|call| self.socket(&call, thread.as_ref()))
            }
            Some((Which::GetSockOpt, arguments)) => {
                thread.and_then(|thread| self.protocol(id, &thread, &arguments))
            }
            None => None,
        };
        if answered.is_none() {
            let _ = self.listener.let_pass(id);
        }
    }

    /// socket(): by this process if it is like the caller, or by one that makes itself so.
    fn socket(&self, call: &Call, thread: Option<&Thread>) {
        let made = match thread {
            Some(thread) => make_as(thread, call),
            None => Made::Unlike,
        };
        match made {
            Made::Socket(socket) => {
                let close_on_exec = call.kind & libc::SOCK_CLOEXEC != 0;
                match self.listener.give(call.id, socket.as_fd(), close_on_exec) {
                    Ok(fd) => self.tell(call, &format!(" = {fd}: AF_OXTCP")),
                    Err(error) => self.fail(call, error, "AF_OXTCP"),
                }
            }
            Made::Refused(Errno::EAFNOSUPPORT) => self.cannot(call, "AF_OXTCP is not there"),
            Made::Refused(error) => self.fail(call, error, "AF_OXTCP"),
            // A socket made here would be another user's, or of another network, than the caller's own.
            Made::Unlike => self.cannot(call, "cannot act as this process"),
        }
    }

    /// There is no socket of AF_OXTCP for the caller.
    fn cannot(&self, call: &Call, why: &str) {
        if self.strict {
            self.fail(call, Errno::EAFNOSUPPORT, why);
        } else {
            self.tell(call, &format!(": {why}, Linux's TCP"));
            let _ = self.listener.let_pass(call.id);
        }
    }

    fn fail(&self, call: &Call, error: Errno, what: &str) {
        self.tell(call, &format!(" = -1 ({error:?}): {what}"));
        let _ = self.listener.fail(call.id, error);
    }

    /// Says what became of a call, if that was asked for and somebody reads it.
    fn tell(&self, call: &Call, what: &str) {
        if self.verbose {
            let domain = match call.domain {
                libc::AF_INET => "AF_INET",
                _ => "AF_INET6",
            };
            let line = format!(
                "oxtcp_run[{}]: socket({domain}, SOCK_STREAM, {}){what}\n",
                call.thread, call.protocol
            );
            let stderr = std::io::stderr();
            let mut readers = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
            if poll(&mut readers, PollTimeout::ZERO) == Ok(1) {
                let _ = (&stderr).write_all(line.as_bytes());
            }
        }
    }

    /// getsockopt() of SO_PROTOCOL: a socket of ours answers as one of Linux's TCP.
    fn protocol(&self, id: u64, thread: &Thread, arguments: &[u64; 6]) -> Option<()> {
        let [fd, level, name, value, length, _] = *arguments;
        // The filter has looked already, but not at arguments in memory.
        if (level as c_int, name as c_int) != (libc::SOL_SOCKET, libc::SO_PROTOCOL) {
            return None;
        }
        let socket = thread.opened(fd as c_int).ok()?;
        if oxtcp::protocol_of(socket.as_fd()) != Ok(oxtcp::IPPROTO_OXTCP) {
            return None;
        }
        let room = thread.words(length, 1)?[0] as i32;
        let answer = libc::IPPROTO_TCP.to_ne_bytes();
        let written = usize::try_from(room).ok()?.min(answer.len());
        thread.put(value, &answer[..written])?;
        thread.put(length, &(written as u32).to_ne_bytes())?;
        self.listener.succeed(id).ok()
    }
}

/// What became of the wish for a socket that is like one of the caller's own.
enum Made {
    Socket(OwnedFd),
    Refused(Errno),
    Unlike,
}

fn make_as(thread: &Thread, call: &Call) -> Made {
    let own = Thread::open(None).and_then(|own| own.identity());
    match (own, thread.identity()) {
        (Ok(own), Ok(callers)) if own == callers => match call.make() {
            Ok(socket) => Made::Socket(socket),
            Err(error) => Made::Refused(error),
        },
        (Ok(_), Ok(_)) => make_by_other(thread, call).unwrap_or(Made::Unlike),
        _ => Made::Unlike,
    }
}

/// By a process that becomes like the caller, and is gone before the caller goes on: it is no longer in the way
/// where that would remove a control group.
fn make_by_other(thread: &Thread, call: &Call) -> Result<Made, Errno> {
    const UNLIKE: c_int = 255;
    let (ours, others) = pass::way()?;
    // SAFETY: This process has one thread.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let made = caller::become_like(thread).map(|()| call.make());
            let status = match made {
                Ok(Ok(socket)) if pass::send(&others, socket.as_fd()).is_ok() => 0,
                Ok(Err(error)) => error as c_int,
                _ => UNLIKE,
            };
            // SAFETY: Ends the process, and runs nothing that the other one runs too.
            unsafe { libc::_exit(status) }
        }
        ForkResult::Parent { child } => Ok(match waitpid(child, None)? {
            WaitStatus::Exited(_, 0) => Made::Socket(pass::receive(&ours)?),
            WaitStatus::Exited(_, UNLIKE) => Made::Unlike,
            WaitStatus::Exited(_, error) => Made::Refused(Errno::from_raw(error)),
            _ => Made::Unlike,
        }),
    }
}

/// A call of socket() that asks for TCP.
struct Call {
    id: u64,
    thread: u32,
    domain: c_int,
    kind: c_int,
    protocol: c_int,
}

impl Call {
    /// The filter has looked already, but not at arguments in memory.
    fn new(notification: &seccomp_notif, arguments: &[u64; 6]) -> Option<Self> {
        let [domain, kind, protocol] = [0, 1, 2].map(|number: usize| arguments[number] as c_int);
        let is_tcp = matches!(domain, libc::AF_INET | libc::AF_INET6)
            && kind & filter::TYPE_MASK == libc::SOCK_STREAM
            && matches!(protocol, libc::IPPROTO_IP | libc::IPPROTO_TCP);
        is_tcp.then_some(Self {
            id: notification.id,
            thread: notification.pid,
            domain,
            kind,
            protocol,
        })
    }
    /// The socket of AF_OXTCP that stands for what is asked for.
    fn make(&self) -> Result<OwnedFd, Errno> {
        let protocol = match self.domain {
            libc::AF_INET => oxtcp::OXTCPPROTO_IP,
            _ => oxtcp::OXTCPPROTO_IPV6,
        };
        oxtcp::socket(self.kind | libc::SOCK_CLOEXEC, protocol)
    }
}
