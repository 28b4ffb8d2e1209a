// SPDX-License-Identifier: GPL-2.0

#include <linux/netfilter.h>
#include <linux/skbuff.h>

const struct nf_ct_hook *oxtcp_helper_nf_ct_hook_get(void)
{
	return rcu_dereference(nf_ct_hook);
}

struct nf_conntrack *oxtcp_helper_skb_nfct(const struct sk_buff *skb)
{
	return skb_nfct(skb);
}

void oxtcp_helper_nf_reset_ct(struct sk_buff *skb)
{
	nf_reset_ct(skb);
}
