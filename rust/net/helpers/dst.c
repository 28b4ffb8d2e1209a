// SPDX-License-Identifier: GPL-2.0

#include <linux/jhash.h>
#include <net/dst.h>

u32 oxtcp_helper_dst_mtu(const struct dst_entry *dst)
{
	return dst_mtu(dst);
}

u32 oxtcp_helper_dst_feature(const struct dst_entry *dst, u32 feature)
{
	return dst_feature(dst, feature);
}

u32 oxtcp_helper_dst_metric_advmss(const struct dst_entry *dst)
{
	return dst_metric_advmss(dst);
}

void oxtcp_helper_skb_dst_drop(struct sk_buff *skb)
{
	skb_dst_drop(skb);
}

void oxtcp_helper_skb_dst_set(struct sk_buff *skb, struct dst_entry *dst)
{
	skb_dst_set(skb, dst);
}

u32 oxtcp_helper_dst_metric(const struct dst_entry *dst, const int metric)
{
	return dst_metric(dst, metric);
}

u32 oxtcp_helper_jhash(const void *key, u32 length, u32 initval)
{
	return jhash(key, length, initval);
}
