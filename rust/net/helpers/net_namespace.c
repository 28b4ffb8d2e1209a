// SPDX-License-Identifier: GPL-2.0

#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/tcp.h>

void *oxtcp_helper_net_generic(const struct net *net, unsigned int id)
{
	return net_generic(net, id);
}

struct netns_ipv4 *oxtcp_helper_net_ipv4(struct net *net)
{
	return &net->ipv4;
}

struct netns_core *oxtcp_helper_net_core(struct net *net)
{
	return &net->core;
}

/* RCU must be held. */
const char *oxtcp_helper_net_tcp_congestion(const struct net *net)
{
	return rcu_dereference(net->ipv4.tcp_congestion_control)->name;
}

bool oxtcp_helper_net_admin(const struct net *net)
{
	return ns_capable(net->user_ns, CAP_NET_ADMIN);
}

const siphash_key_t *
oxtcp_helper_tcp_fastopen_context_keys(const struct tcp_fastopen_context *ctx)
{
	return ctx->key;
}

int oxtcp_helper_tcp_fastopen_context_len(const struct tcp_fastopen_context *ctx)
{
	return tcp_fastopen_context_len(ctx);
}
