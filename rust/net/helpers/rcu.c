// SPDX-License-Identifier: GPL-2.0

#include <linux/rcupdate.h>

void oxtcp_helper_rcu_read_lock_bh(void)
{
	rcu_read_lock_bh();
}

void oxtcp_helper_rcu_read_unlock_bh(void)
{
	rcu_read_unlock_bh();
}

bool oxtcp_helper_rcu_read_lock_held(void)
{
	return rcu_read_lock_held();
}
