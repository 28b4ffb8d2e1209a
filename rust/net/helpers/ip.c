// SPDX-License-Identifier: GPL-2.0

#include <linux/netdevice.h>
#include <linux/security.h>
#include <net/icmp.h>
#include <net/inet_ecn.h>
#include <linux/ipv6.h>
#include <net/ip.h>
#include <net/route.h>
#include <net/tcp.h>

struct iphdr *oxtcp_helper_ip_hdr(const struct sk_buff *skb)
{
	return ip_hdr(skb);
}

struct inet_skb_parm *oxtcp_helper_IPCB(const struct sk_buff *skb)
{
	return IPCB(skb);
}

struct tcphdr *oxtcp_helper_tcp_hdr(const struct sk_buff *skb)
{
	return tcp_hdr(skb);
}

bool oxtcp_helper_ip_is_fragment(const struct iphdr *iph)
{
	return ip_is_fragment(iph);
}

int oxtcp_helper_inet_iif(const struct sk_buff *skb)
{
	return inet_iif(skb);
}

int oxtcp_helper_inet_sdif(const struct sk_buff *skb)
{
	return inet_sdif(skb);
}

bool oxtcp_helper_ip_recverr(const struct sock *sk)
{
	return inet_test_bit(RECVERR, sk);
}

bool oxtcp_helper_inet_defers_connect(const struct sock *sk)
{
	return inet_test_bit(DEFER_CONNECT, sk);
}

void oxtcp_helper_inet_set_defer_connect(struct sock *sk, bool deferred)
{
	inet_assign_bit(DEFER_CONNECT, sk, deferred);
}

u32 oxtcp_helper_ip_options_len(const struct sock *sk)
{
	const struct ip_options_rcu *opt =
		rcu_dereference_protected(inet_sk(sk)->inet_opt,
					  lockdep_sock_is_held(sk));

	return opt ? opt->opt.optlen : 0;
}

bool oxtcp_helper_ip_sk_accept_pmtu(const struct sock *sk)
{
	return ip_sk_accept_pmtu(sk);
}

__sum16 oxtcp_helper_tcp_v4_check(int len, __be32 saddr, __be32 daddr,
				  __wsum base)
{
	return tcp_v4_check(len, saddr, daddr, base);
}

struct rtable *oxtcp_helper_skb_rtable(const struct sk_buff *skb)
{
	return skb_rtable(skb);
}

struct rtable *oxtcp_helper_ip_route_connect(struct flowi4 *fl4, __be32 dst,
					     __be32 src, int oif, u8 protocol,
					     __be16 sport, __be16 dport,
					     const struct sock *sk)
{
	return ip_route_connect(fl4, dst, src, oif, protocol, sport, dport, sk);
}

void oxtcp_helper_ip_rt_put(struct rtable *rt)
{
	ip_rt_put(rt);
}

void oxtcp_helper_inet_sk_init_flowi4(const struct inet_sock *inet,
				      struct flowi4 *fl4)
{
	inet_sk_init_flowi4(inet, fl4);
}

void oxtcp_helper___IP_INC_STATS(struct net *net, int field)
{
	__IP_INC_STATS(net, field);
}

void oxtcp_helper_IP_INC_STATS(struct net *net, int field)
{
	IP_INC_STATS(net, field);
}

void oxtcp_helper_flowi4_init_output(struct flowi4 *fl4, const struct sock *sk,
				     int oif, u32 mark, u8 tos, __be32 daddr,
				     __be32 saddr, __be16 dport, __be16 sport)
{
	flowi4_init_output(fl4, oif, mark, tos & INET_DSCP_MASK,
			   ip_sock_rt_scope(sk), IPPROTO_TCP,
			   inet_sk_flowi_flags(sk), daddr, saddr, dport, sport,
			   sk_uid(sk));
}

void oxtcp_helper_security_sk_classify_flow4(const struct sock *sk,
					     struct flowi4 *fl4)
{
	security_sk_classify_flow(sk, flowi4_to_flowi_common(fl4));
}

int oxtcp_helper_ip4_dst_hoplimit(const struct dst_entry *dst)
{
	return ip4_dst_hoplimit(dst);
}

bool oxtcp_helper_ip_dont_fragment(const struct sock *sk,
				   const struct dst_entry *dst)
{
	return ip_dont_fragment(sk, dst);
}

u32 oxtcp_helper_IP4_REPLY_MARK(const struct net *net, u32 mark)
{
	return IP4_REPLY_MARK(net, mark);
}

bool oxtcp_helper_netif_index_is_l3_master(struct net *net, int ifindex)
{
	return netif_index_is_l3_master(net, ifindex);
}

bool oxtcp_helper_tcp_reflect_tos(const struct net *net)
{
	return READ_ONCE(net->ipv4.sysctl_tcp_reflect_tos);
}
