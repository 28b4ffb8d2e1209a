// SPDX-License-Identifier: GPL-2.0

#include <linux/netfilter.h>
#include <linux/skbuff.h>
#include <net/netfilter/nf_conntrack.h>

const struct nf_ct_hook *oxtcp_helper_nf_ct_hook_get(void)
{
	return rcu_dereference(nf_ct_hook);
}

bool oxtcp_helper_skb_nfct_is_unconfirmed(const struct sk_buff *skb)
{
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
	const struct nf_conn *ct = (const void *)skb_nfct(skb);

	return ct && !nf_ct_is_confirmed(ct);
#else
	return false;
#endif
}

void oxtcp_helper_nf_reset_ct(struct sk_buff *skb)
{
	nf_reset_ct(skb);
}
