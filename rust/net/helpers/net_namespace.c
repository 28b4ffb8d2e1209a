// SPDX-License-Identifier: GPL-2.0

#include <net/net_namespace.h>
#include <net/netns/generic.h>

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

u64 oxtcp_helper_net_cookie(const struct net *net)
{
	return net->net_cookie;
}

struct net *oxtcp_helper_get_net(struct net *net)
{
	return get_net(net);
}

void oxtcp_helper_put_net(struct net *net)
{
	put_net(net);
}

bool oxtcp_helper_check_net(const struct net *net)
{
	return check_net(net);
}

struct net *oxtcp_helper_read_pnet(const possible_net_t *pnet)
{
	return read_pnet(pnet);
}

struct net *oxtcp_helper_dev_net(const struct net_device *dev)
{
	return dev_net(dev);
}
