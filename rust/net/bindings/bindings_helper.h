/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bindgen reads to generate our own bindings: only what the lists beside
 * this file name comes out of it.
 *
 * Sorted alphabetically.
 */

#include <asm/ioctls.h>
#include <crypto/md5.h>
#include <linux/bpf-cgroup.h>
#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <linux/inetdevice.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/poll.h>
#include <linux/proc_fs.h>
#include <linux/rhashtable.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/seq_file_net.h>
#include <linux/skbuff.h>
#include <linux/socket.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <linux/timer.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <net/busy_poll.h>
#include <net/checksum.h>
#include <net/dst.h>
#include <net/flow.h>
#include <net/icmp.h>
#include <net/inet6_hashtables.h>
#include <net/inet_common.h>
#include <net/inet_connection_sock.h>
#include <net/inet_ecn.h>
#include <net/inet_sock.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/route.h>
#include <net/secure_seq.h>
#include <net/sock.h>
#include <net/sock_reuseport.h>
#include <net/tcp.h>
#include <net/tcp_states.h>
#include <net/transp_v6.h>
#include <net/xfrm.h>
#include <uapi/linux/if_packet.h>

/* Macros that bindgen cannot evaluate. */
const gfp_t OXTCP_CONST_HELPER_GFP_ATOMIC = GFP_ATOMIC;
const gfp_t OXTCP_CONST_HELPER_GFP_KERNEL = GFP_KERNEL;
const unsigned long OXTCP_CONST_HELPER_MAX_JIFFY_OFFSET = MAX_JIFFY_OFFSET;
const size_t OXTCP_CONST_HELPER_MAX_TCP_HEADER = MAX_TCP_HEADER;
const size_t OXTCP_CONST_HELPER_SKB_MAX_HEAD = SKB_MAX_ORDER(0, 0);
const size_t OXTCP_CONST_HELPER_PORT_HOLDER_SIZE =
	offsetofend(struct inet_connection_sock, icsk_bind2_hash);
const int OXTCP_CONST_HELPER_NF_IP_PRI_LAST = NF_IP_PRI_LAST;
const size_t OXTCP_CONST_HELPER_SKB_SHARED_INFO_SIZE =
	SKB_DATA_ALIGN(sizeof(struct skb_shared_info));
const size_t OXTCP_CONST_HELPER_SKB_SIZE = SKB_DATA_ALIGN(sizeof(struct sk_buff));
const int OXTCP_CONST_HELPER_SOCK_MIN_SNDBUF = SOCK_MIN_SNDBUF;
const __poll_t OXTCP_CONST_HELPER_EPOLLIN = EPOLLIN;
const __poll_t OXTCP_CONST_HELPER_EPOLLPRI = EPOLLPRI;
const __poll_t OXTCP_CONST_HELPER_EPOLLOUT = EPOLLOUT;
const __poll_t OXTCP_CONST_HELPER_EPOLLERR = EPOLLERR;
const __poll_t OXTCP_CONST_HELPER_EPOLLHUP = EPOLLHUP;
const __poll_t OXTCP_CONST_HELPER_EPOLLRDNORM = EPOLLRDNORM;
const __poll_t OXTCP_CONST_HELPER_EPOLLRDBAND = EPOLLRDBAND;
const __poll_t OXTCP_CONST_HELPER_EPOLLWRNORM = EPOLLWRNORM;
const __poll_t OXTCP_CONST_HELPER_EPOLLWRBAND = EPOLLWRBAND;
const __poll_t OXTCP_CONST_HELPER_EPOLLRDHUP = EPOLLRDHUP;
