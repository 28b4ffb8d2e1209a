// SPDX-License-Identifier: GPL-2.0

#include <linux/jiffies.h>
#include <linux/timekeeping.h>

u64 oxtcp_helper_ktime_get_ns(void)
{
	return ktime_get_ns();
}

unsigned long oxtcp_helper_jiffies_now(void)
{
	return READ_ONCE(jiffies);
}
