// SPDX-License-Identifier: GPL-2.0

#include <net/inet_common.h>
#include <net/inet_sock.h>
#include <net/inet_timewait_sock.h>
#include <net/ip.h>
#include <net/l3mdev.h>
#include <net/route.h>
#include <net/sock.h>
#include <net/sock_reuseport.h>

__be32 oxtcp_helper_inet_daddr(const struct sock *sk)
{
	return inet_sk(sk)->inet_daddr;
}

void oxtcp_helper_inet_set_daddr(struct sock *sk, __be32 addr)
{
	inet_sk(sk)->inet_daddr = addr;
}

__be16 oxtcp_helper_inet_dport(const struct sock *sk)
{
	return inet_sk(sk)->inet_dport;
}

void oxtcp_helper_inet_set_dport(struct sock *sk, __be16 port)
{
	inet_sk(sk)->inet_dport = port;
}

__be32 oxtcp_helper_inet_rcv_saddr(const struct sock *sk)
{
	return inet_sk(sk)->inet_rcv_saddr;
}

void oxtcp_helper_inet_set_rcv_saddr(struct sock *sk, __be32 addr)
{
	inet_sk(sk)->inet_rcv_saddr = addr;
}

u16 oxtcp_helper_inet_num(const struct sock *sk)
{
	return inet_sk(sk)->inet_num;
}

void oxtcp_helper_inet_set_num(struct sock *sk, u16 port)
{
	inet_sk(sk)->inet_num = port;
}

void oxtcp_helper_inet_set_bit_mc_loop(struct sock *sk)
{
	inet_set_bit(MC_LOOP, sk);
}

void oxtcp_helper_inet_set_bit_mc_all(struct sock *sk)
{
	inet_set_bit(MC_ALL, sk);
}

void oxtcp_helper_inet_id_set(struct sock *sk, u16 id)
{
	atomic_set(&inet_sk(sk)->inet_id, id);
}

u8 oxtcp_helper_ip_no_pmtu_disc(const struct net *net)
{
	return READ_ONCE(net->ipv4.sysctl_ip_no_pmtu_disc);
}

void oxtcp_helper_inet_ctl_sock_destroy(struct sock *sk)
{
	inet_ctl_sock_destroy(sk);
}

u32 oxtcp_helper_inet_request_mark(const struct sock *sk, struct sk_buff *skb)
{
	return inet_request_mark(sk, skb);
}

int oxtcp_helper_inet_request_bound_dev_if(const struct sock *sk,
					   struct sk_buff *skb)
{
	return inet_request_bound_dev_if(sk, skb);
}

bool oxtcp_helper_inet_sk_bound_dev_eq(const struct net *net, int bound_dev_if,
				       int dif, int sdif)
{
	return inet_sk_bound_dev_eq(net, bound_dev_if, dif, sdif);
}

int oxtcp_helper_l3mdev_master_ifindex_by_index(struct net *net, int ifindex)
{
	return l3mdev_master_ifindex_by_index(net, ifindex);
}

bool oxtcp_helper_inet_is_local_reserved_port(const struct net *net, u16 port)
{
	return inet_is_local_reserved_port(net, port);
}

/* What a holder of a port has where a TIME-WAIT record has this bit, it does not use. */
static_assert(offsetof(struct inet_timewait_sock, tw_txhash) - sizeof(u32) >=
	      offsetof(struct sock, sk_error_queue));
static_assert(offsetof(struct inet_timewait_sock, tw_txhash) <=
	      offsetofend(struct sock, sk_error_queue));

void oxtcp_helper_twsk_clear_connect_bind(struct sock *sk)
{
	inet_twsk(sk)->tw_connect_bind = 0;
}

/* RCU must be held. */
u16 oxtcp_helper_reuseport_num_socks(const struct sock *sk)
{
	const struct sock_reuseport *reuse = rcu_dereference(sk->sk_reuseport_cb);

	return reuse ? READ_ONCE(reuse->num_socks) : 0;
}

struct sock_reuseport *oxtcp_helper_sk_reuseport_cb(const struct sock *sk)
{
	return rcu_access_pointer(sk->sk_reuseport_cb);
}
