// SPDX-License-Identifier: GPL-2.0

#include <linux/bpf-cgroup.h>
#include <linux/ipv6.h>
#include <linux/netfilter.h>
#include <linux/security.h>
#include <net/ip6_checksum.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/tcp.h>
#include <net/xfrm.h>

struct ipv6hdr *oxtcp_helper_ipv6_hdr(const struct sk_buff *skb)
{
	return ipv6_hdr(skb);
}

bool oxtcp_helper_skb_is_ipv6(const struct sk_buff *skb)
{
	return skb->protocol == htons(ETH_P_IPV6);
}

u8 oxtcp_helper_ipv6_get_dsfield(const struct ipv6hdr *ipv6h)
{
	return ipv6_get_dsfield(ipv6h);
}

__be32 oxtcp_helper_ip6_flowlabel(const struct ipv6hdr *hdr)
{
	return ip6_flowlabel(hdr);
}

__be32 oxtcp_helper_ip6_flowinfo(const struct ipv6hdr *hdr)
{
	return ip6_flowinfo(hdr);
}

int oxtcp_helper_inet6_iif(const struct sk_buff *skb)
{
	return inet6_iif(skb);
}

int oxtcp_helper_inet6_sdif(const struct sk_buff *skb)
{
	return inet6_sdif(skb);
}

int oxtcp_helper_IP6CB_iif(const struct sk_buff *skb)
{
	return IP6CB(skb)->iif;
}

bool oxtcp_helper_ipv6_unicast_destination(const struct sk_buff *skb)
{
	return ipv6_unicast_destination(skb);
}

__sum16 oxtcp_helper_skb_checksum_init_v6(struct sk_buff *skb)
{
	return skb_checksum_init(skb, IPPROTO_TCP, ip6_compute_pseudo);
}

__sum16 oxtcp_helper_tcp_v6_check(int len, const struct in6_addr *saddr,
				  const struct in6_addr *daddr, __wsum base)
{
	return tcp_v6_check(len, saddr, daddr, base);
}

int oxtcp_helper_xfrm6_policy_check(struct sock *sk, int dir,
				    struct sk_buff *skb)
{
	return xfrm6_policy_check(sk, dir, skb);
}

/* RCU must be held. */
void oxtcp_helper___IP6_INC_STATS_in(struct net *net, struct sk_buff *skb,
				     int field)
{
	__IP6_INC_STATS(net, ip6_dst_idev(skb_dst(skb)), field);
}

void oxtcp_helper_inet6_set_bit_mc6_loop(struct sock *sk)
{
	inet6_set_bit(MC6_LOOP, sk);
}

void oxtcp_helper_inet6_set_bit_mc6_all(struct sock *sk)
{
	inet6_set_bit(MC6_ALL, sk);
}

void oxtcp_helper_inet6_set_repflow(struct sock *sk, bool value)
{
	inet6_assign_bit(REPFLOW, sk, value);
}

bool oxtcp_helper_inet6_test_repflow(const struct sock *sk)
{
	return inet6_test_bit(REPFLOW, sk);
}

bool oxtcp_helper_inet6_test_sndflow(const struct sock *sk)
{
	return inet6_test_bit(SNDFLOW, sk);
}

bool oxtcp_helper_inet6_test_recverr(const struct sock *sk)
{
	return inet6_test_bit(RECVERR6, sk);
}

bool oxtcp_helper_net_bindv6only(const struct net *net)
{
	return READ_ONCE(net->ipv6.sysctl.bindv6only);
}

bool oxtcp_helper_net_flowlabel_reflect(const struct net *net)
{
	return READ_ONCE(net->ipv6.sysctl.flowlabel_reflect) &
	       FLOWLABEL_REFLECT_ESTABLISHED;
}

bool oxtcp_helper_sk_dev_equal_l3scope(struct sock *sk, int dif)
{
	return sk_dev_equal_l3scope(sk, dif);
}

struct ip6_flowlabel *oxtcp_helper_fl6_sock_lookup(struct sock *sk,
						   __be32 label)
{
	return fl6_sock_lookup(sk, label);
}

void oxtcp_helper_fl6_sock_release(struct ip6_flowlabel *fl)
{
	fl6_sock_release(fl);
}

/* RCU must be held. */
struct ipv6_txoptions *oxtcp_helper_np_opt(const struct ipv6_pinfo *np)
{
	return rcu_dereference(np->opt);
}

struct in6_addr *oxtcp_helper_fl6_update_dst(struct flowi6 *fl6,
					     const struct ipv6_txoptions *opt,
					     struct in6_addr *orig)
{
	return fl6_update_dst(fl6, opt, orig);
}

void oxtcp_helper_ip6_ecmp_set_mp_hash(const struct net *net,
				       struct flowi6 *fl6, u32 txhash)
{
	ip6_ecmp_set_mp_hash(net, fl6, txhash);
}

void oxtcp_helper_flowi6_set_uid(struct flowi6 *fl6, const struct sock *sk)
{
	fl6->flowi6_uid = sk_uid(sk);
}

void oxtcp_helper_security_sk_classify_flow6(const struct sock *sk,
					     struct flowi6 *fl6)
{
	security_sk_classify_flow(sk, flowi6_to_flowi_common(fl6));
}

void oxtcp_helper_ip6_dst_store(struct sock *sk, struct dst_entry *dst)
{
	ip6_dst_store(sk, dst, false, false);
}

void oxtcp_helper_skb_dst_set_noref(struct sk_buff *skb, struct dst_entry *dst)
{
	skb_dst_set_noref(skb, dst);
}

bool oxtcp_helper_ip6_sk_accept_pmtu(const struct sock *sk)
{
	return ip6_sk_accept_pmtu(sk);
}

void oxtcp_helper_skb_postpull_rcsum(struct sk_buff *skb, const void *start,
				     unsigned int len)
{
	skb_postpull_rcsum(skb, start, len);
}

int oxtcp_helper_BPF_CGROUP_RUN_PROG_INET6_CONNECT(struct sock *sk,
						   struct sockaddr_unsized *uaddr,
						   int *uaddrlen)
{
	return BPF_CGROUP_RUN_PROG_INET6_CONNECT(sk, uaddr, uaddrlen);
}

const struct nf_defrag_hook *oxtcp_helper_nf_defrag_v6_hook_get(void)
{
	return rcu_dereference(nf_defrag_v6_hook);
}

bool oxtcp_helper_try_module_get(struct module *owner)
{
	return try_module_get(owner);
}

int oxtcp_helper_request_module(const char *name)
{
	return request_module("%s", name);
}

u32 oxtcp_helper_IP6_REPLY_MARK(const struct net *net, u32 mark)
{
	return IP6_REPLY_MARK(net, mark);
}
