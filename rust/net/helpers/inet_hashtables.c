// SPDX-License-Identifier: GPL-2.0

#include <net/inet_hashtables.h>
#include <net/net_namespace.h>

unsigned int oxtcp_helper_tcp_ehash_size(const struct net *net)
{
	return net->ipv4.tcp_death_row.hashinfo->ehash_mask + 1;
}
