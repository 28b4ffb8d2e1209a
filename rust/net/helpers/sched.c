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

void oxtcp_helper_wake_up_interruptible(struct wait_queue_head *wq)
{
	wake_up_interruptible(wq);
}

void oxtcp_helper_wake_up_interruptible_all(struct wait_queue_head *wq)
{
	wake_up_interruptible_all(wq);
}

bool oxtcp_helper_wq_has_sleeper(struct wait_queue_head *wq)
{
	return wq_has_sleeper(wq);
}

void oxtcp_helper_wake_up_interruptible_poll(struct wait_queue_head *wq,
					     __poll_t mask)
{
	wake_up_interruptible_poll(wq, mask);
}
