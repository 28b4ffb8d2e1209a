// SPDX-License-Identifier: GPL-2.0

#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>

int oxtcp_helper_cond_resched(void)
{
	return cond_resched();
}

int oxtcp_helper_signal_pending_current(void)
{
	return signal_pending(current);
}

void oxtcp_helper_wake_up_interruptible_poll(struct wait_queue_head *wq,
					     __poll_t mask)
{
	wake_up_interruptible_poll(wq, mask);
}

void oxtcp_helper_sched_annotate_sleep(void)
{
	sched_annotate_sleep();
}

unsigned int oxtcp_helper_raw_smp_processor_id(void)
{
	return raw_smp_processor_id();
}

void oxtcp_helper_local_bh_disable(void)
{
	local_bh_disable();
}

void oxtcp_helper_local_bh_enable(void)
{
	local_bh_enable();
}
