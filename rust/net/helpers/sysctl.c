// SPDX-License-Identifier: GPL-2.0

#include <linux/sysctl.h>
#include <net/inet_hashtables.h>
#include <net/net_namespace.h>

static int oxtcp_max_orphans __read_mostly;

/* net.ipv4.tcp_max_orphans is out of a module's reach. */
static struct ctl_table oxtcp_table[] = {
	{
		.procname = "max_orphans",
		.data = &oxtcp_max_orphans,
		.maxlen = sizeof(oxtcp_max_orphans),
		.mode = 0644,
		.proc_handler = proc_dointvec_minmax,
		.extra1 = SYSCTL_ZERO,
	},
};

struct ctl_table_header *oxtcp_helper_oxtcp_sysctl_register(void)
{
	/* As tcp_init(). */
	oxtcp_max_orphans =
		(init_net.ipv4.tcp_death_row.hashinfo->ehash_mask + 1) / 2;
	return register_net_sysctl(&init_net, "net/oxtcp", oxtcp_table);
}

int oxtcp_helper_oxtcp_max_orphans(void)
{
	return READ_ONCE(oxtcp_max_orphans);
}
