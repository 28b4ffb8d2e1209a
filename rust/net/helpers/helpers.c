// SPDX-License-Identifier: GPL-2.0
/*
 * Non-trivial C macros cannot be used in Rust. Similarly, inlined C functions
 * cannot be called either. These files explicitly create functions ("helpers")
 * that wrap those so that they can be called from Rust: as in the kernel's own
 * rust/helpers, each is the one call that its name says.
 *
 * Sorted alphabetically.
 */

#include "bpf.c"
#include "compat.c"
#include "cred.c"
#include "crypto.c"
#include "dst.c"
#include "hrtimer.c"
#include "inet_hashtables.c"
#include "inet_sock.c"
#include "ip.c"
#include "ipv6.c"
#include "jiffies.c"
#include "mm.c"
#include "net_namespace.c"
#include "netfilter.c"
#include "proc_fs.c"
#include "refcount.c"
#include "rhashtable.c"
#include "sched.c"
#include "skbuff.c"
#include "sock.c"
#include "spinlock.c"
#include "uio.c"
#include "workqueue.c"
