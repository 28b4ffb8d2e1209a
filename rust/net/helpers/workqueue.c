// SPDX-License-Identifier: GPL-2.0

#include <linux/workqueue.h>

void oxtcp_helper_init_work(struct work_struct *work, work_func_t function)
{
	INIT_WORK(work, function);
}

bool oxtcp_helper_queue_work(struct workqueue_struct *queue,
			     struct work_struct *work)
{
	return queue_work(queue, work);
}
