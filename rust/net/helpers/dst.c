// SPDX-License-Identifier: GPL-2.0

#include <net/dst.h>

void oxtcp_helper_dst_hold(struct dst_entry *dst)
{
	dst_hold(dst);
}

bool oxtcp_helper_dst_hold_safe(struct dst_entry *dst)
{
	return dst_hold_safe(dst);
}

void oxtcp_helper_dst_confirm(struct dst_entry *dst)
{
	dst_confirm(dst);
}

u32 oxtcp_helper_dst_mtu(const struct dst_entry *dst)
{
	return dst_mtu(dst);
}

u32 oxtcp_helper_dst_metric(const struct dst_entry *dst, int metric)
{
	return dst_metric(dst, metric);
}

u32 oxtcp_helper_dst_metric_advmss(const struct dst_entry *dst)
{
	return dst_metric_advmss(dst);
}

bool oxtcp_helper_dst_metric_locked(const struct dst_entry *dst, int metric)
{
	return dst_metric_locked(dst, metric);
}

struct dst_entry *oxtcp_helper_dst_check(struct dst_entry *dst, u32 cookie)
{
	return dst_check(dst, cookie);
}

struct net_device *oxtcp_helper_dst_dev(const struct dst_entry *dst)
{
	return dst_dev(dst);
}

void oxtcp_helper_skb_dst_drop(struct sk_buff *skb)
{
	skb_dst_drop(skb);
}

struct dst_entry *oxtcp_helper_skb_dst(const struct sk_buff *skb)
{
	return skb_dst(skb);
}

void oxtcp_helper_skb_dst_set(struct sk_buff *skb, struct dst_entry *dst)
{
	skb_dst_set(skb, dst);
}

void oxtcp_helper_skb_dst_set_noref(struct sk_buff *skb, struct dst_entry *dst)
{
	skb_dst_set_noref(skb, dst);
}
