// SPDX-License-Identifier: GPL-2.0

//! Which system calls the supervisor is asked about: a classic BPF program for seccomp(2).
//!
//! All but these calls pass the kernel as ever: `socket` for TCP over IPv4 or IPv6, and `getsockopt` of
//! SO_PROTOCOL. i386 has both also as `socketcall`, whose arguments lie in memory where no filter looks.

use libc::{seccomp_data, sock_filter};
use std::ffi::c_int;
use std::mem::offset_of;

pub(crate) const ARCH_X86_64: u32 = 0xc000_003e;
pub(crate) const ARCH_I386: u32 = 0x4000_0003;
/// The bit of a call's number that tells x32 from x86-64, which have one architecture.
const X32_BIT: u32 = 0x4000_0000;

pub(crate) const I386_SOCKETCALL: u32 = 102;
/// What socketcall's first argument says.
pub(crate) const SOCKETCALL_SOCKET: u32 = 1;
pub(crate) const SOCKETCALL_GETSOCKOPT: u32 = 15;

/// The numbers of `socket` and of `getsockopt`.
const X86_64: (u32, u32) = (41, 55);
const X32_GETSOCKOPT: u32 = 542;
const I386: (u32, u32) = (359, 365);

/// The kernel's SOCK_TYPE_MASK: what is above are flags.
pub(crate) const TYPE_MASK: c_int = 0xf;

/// A call that the supervisor answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Which {
    Socket,
    GetSockOpt,
}

/// Which of the calls this is, and its arguments; `memory` gives so many words of what is at an address.
pub(crate) fn which(
    data: &seccomp_data,
    memory: impl FnOnce(u64, usize) -> Option<Vec<u32>>,
) -> Option<(Which, [u64; 6])> {
    let number = data.nr as u32;
    match (data.arch, number) {
        (ARCH_X86_64, _) => match number & !X32_BIT {
            n if n == X86_64.0 => Some((Which::Socket, data.args)),
            n if n == X86_64.1 || n == X32_GETSOCKOPT => Some((Which::GetSockOpt, data.args)),
            _ => None,
        },
        (ARCH_I386, I386_SOCKETCALL) => {
            let (which, count) = match data.args[0] as u32 {
                SOCKETCALL_SOCKET => (Which::Socket, 3),
                SOCKETCALL_GETSOCKOPT => (Which::GetSockOpt, 5),
                _ => return None,
            };
            let mut arguments = [0; 6];
            for (argument, word) in arguments.iter_mut().zip(memory(data.args[1], count)?) {
                *argument = word.into();
            }
            Some((which, arguments))
        }
        (ARCH_I386, n) if n == I386.0 => Some((Which::Socket, data.args)),
        (ARCH_I386, n) if n == I386.1 => Some((Which::GetSockOpt, data.args)),
        _ => None,
    }
}

/// The program. Each part of it ends with a verdict.
pub(crate) fn program() -> Vec<sock_filter> {
    let x86_64 = [
        load(offset_of!(seccomp_data, nr)),
        keep(!X32_BIT),
        when(X86_64.0, socket()),
        when(X86_64.1, getsockopt()),
        when(X32_GETSOCKOPT, getsockopt()),
        allow(),
    ];
    let i386 = [
        load(offset_of!(seccomp_data, nr)),
        when(I386.0, socket()),
        when(I386.1, getsockopt()),
        when(I386_SOCKETCALL, socketcall()),
        allow(),
    ];
    [
        load(offset_of!(seccomp_data, arch)),
        when(ARCH_X86_64, x86_64.concat()),
        when(ARCH_I386, i386.concat()),
        allow(),
    ]
    .concat()
}

fn socket() -> Vec<sock_filter> {
    let tcp = [
        load_argument(2),
        when(libc::IPPROTO_IP as u32, notify()),
        when(libc::IPPROTO_TCP as u32, notify()),
        allow(),
    ];
    let stream = [
        load_argument(1),
        keep(TYPE_MASK as u32),
        when(libc::SOCK_STREAM as u32, tcp.concat()),
        allow(),
    ];
    [
        load_argument(0),
        when(libc::AF_INET as u32, stream.concat()),
        when(libc::AF_INET6 as u32, stream.concat()),
        allow(),
    ]
    .concat()
}

fn getsockopt() -> Vec<sock_filter> {
    let socket_level = [
        load_argument(2),
        when(libc::SO_PROTOCOL as u32, notify()),
        allow(),
    ];
    [
        load_argument(1),
        when(libc::SOL_SOCKET as u32, socket_level.concat()),
        allow(),
    ]
    .concat()
}

fn socketcall() -> Vec<sock_filter> {
    [
        load_argument(0),
        when(SOCKETCALL_SOCKET, notify()),
        when(SOCKETCALL_GETSOCKOPT, notify()),
        allow(),
    ]
    .concat()
}

fn instruction(code: u32, jump_if_false: usize, k: u32) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt: 0,
        jf: u8::try_from(jump_if_false).expect("a part of the filter is too long"),
        k,
    }
}

/// Loads what is at this offset of `seccomp_data`.
fn load(offset: usize) -> Vec<sock_filter> {
    vec![instruction(
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        0,
        offset as u32,
    )]
}

/// Loads an argument's lower half, which is all that the kernel takes of an `int`.
fn load_argument(number: usize) -> Vec<sock_filter> {
    load(offset_of!(seccomp_data, args) + number * size_of::<u64>())
}

/// Keeps only these bits of what is loaded.
fn keep(bits: u32) -> Vec<sock_filter> {
    vec![instruction(
        libc::BPF_ALU | libc::BPF_AND | libc::BPF_K,
        0,
        bits,
    )]
}

/// Goes through a part only if what is loaded has this value.
fn when(value: u32, part: Vec<sock_filter>) -> Vec<sock_filter> {
    let mut whole = vec![instruction(
        libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
        part.len(),
        value,
    )];
    whole.extend(part);
    whole
}

fn allow() -> Vec<sock_filter> {
    vec![instruction(
        libc::BPF_RET | libc::BPF_K,
        0,
        libc::SECCOMP_RET_ALLOW,
    )]
}

fn notify() -> Vec<sock_filter> {
    vec![instruction(
        libc::BPF_RET | libc::BPF_K,
        0,
        libc::SECCOMP_RET_USER_NOTIF,
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arch: u32, number: u32, arguments: &[u64]) -> seccomp_data {
        let mut args = [0; 6];
        args[..arguments.len()].copy_from_slice(arguments);
        seccomp_data {
            nr: number as c_int,
            arch,
            instruction_pointer: 0,
            args,
        }
    }

    /// What the program says of a call, by a machine that knows the instructions used above.
    fn notifies(data: &seccomp_data) -> bool {
        let word = |offset: usize| match offset {
            0 => data.nr as u32,
            4 => data.arch,
            offset => (data.args[(offset - 16) / 8] >> (8 * (offset % 8))) as u32,
        };
        let program = program();
        let (mut at, mut loaded) = (0, 0);
        loop {
            let step = &program[at];
            at += 1;
            match u32::from(step.code) {
                0x20 => loaded = word(step.k as usize),
                0x54 => loaded &= step.k,
                0x15 if loaded == step.k => at += usize::from(step.jt),
                0x15 => at += usize::from(step.jf),
                0x06 => return step.k == libc::SECCOMP_RET_USER_NOTIF,
                code => panic!("unknown instruction {code:#x}"),
            }
        }
    }

    #[test]
    fn tcp_sockets_are_asked_about() {
        for (arch, number) in [
            (ARCH_X86_64, 41),
            (ARCH_X86_64, X32_BIT | 41),
            (ARCH_I386, 359),
        ] {
            for domain in [2, 10] {
                for kind in [1, 1 | 0o4000, 1 | 0o2000000, 1 | 0o2004000] {
                    for protocol in [0, 6] {
                        let data = call(arch, number, &[domain, kind, protocol]);
                        assert!(notifies(&data), "{arch:#x} {domain} {kind:#o} {protocol}");
                    }
                }
            }
            // What is above an int is nobody's.
            let data = call(arch, number, &[2 | (1 << 40), 1 | (1 << 35), 6 | (1 << 63)]);
            assert!(notifies(&data));
        }
    }

    #[test]
    fn other_sockets_are_not() {
        for (arch, number) in [(ARCH_X86_64, 41), (ARCH_I386, 359)] {
            for arguments in [
                [1, 1, 0],   // AF_UNIX
                [16, 3, 0],  // AF_NETLINK
                [18, 1, 0],  // AF_OXTCP
                [2, 2, 0],   // SOCK_DGRAM
                [2, 3, 6],   // SOCK_RAW
                [10, 5, 0],  // SOCK_SEQPACKET
                [2, 1, 262], // IPPROTO_MPTCP
                [2, 1, 132], // IPPROTO_SCTP
                [u64::MAX, 1, 0],
            ] {
                assert!(!notifies(&call(arch, number, &arguments)), "{arguments:?}");
            }
        }
    }

    #[test]
    fn of_options_only_the_protocol_is() {
        for (arch, number) in [
            (ARCH_X86_64, 55),
            (ARCH_X86_64, X32_BIT | 542),
            (ARCH_I386, 365),
        ] {
            assert!(notifies(&call(arch, number, &[3, 1, 38, 0, 0])));
            assert!(!notifies(&call(arch, number, &[3, 1, 39, 0, 0])));
            assert!(!notifies(&call(arch, number, &[3, 6, 38, 0, 0])));
        }
    }

    #[test]
    fn nothing_else_is() {
        for arch in [ARCH_X86_64, ARCH_I386, 0xc000_00b7] {
            for number in 0..600 {
                let socket = matches!((arch, number), (ARCH_X86_64, 41) | (ARCH_I386, 359));
                assert_eq!(
                    notifies(&call(arch, number, &[2, 1])),
                    socket,
                    "{arch:#x} {number}"
                );
            }
        }
    }

    #[test]
    fn socketcalls_arguments_are_in_memory() {
        assert!(notifies(&call(ARCH_I386, 102, &[1, 0x1000])));
        assert!(notifies(&call(ARCH_I386, 102, &[15, 0x1000])));
        assert!(!notifies(&call(ARCH_I386, 102, &[2, 0x1000])));
        let found = which(&call(ARCH_I386, 102, &[1, 0x1000]), |at, count| {
            assert_eq!((at, count), (0x1000, 3));
            Some(vec![2, 1, 6])
        });
        assert_eq!(found, Some((Which::Socket, [2, 1, 6, 0, 0, 0])));
        assert_eq!(which(&call(ARCH_I386, 102, &[1, 0]), |_, _| None), None);
    }
}
