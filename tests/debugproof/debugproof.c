// SPDX-License-Identifier: GPL-2.0
/*
 * Does, on request, what the checkers of a test kernel must notice: writing 1
 * to a parameter commits the defect of that name. A test list whose kernel
 * stays silent here proves nothing when it stays silent about oxtcp.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);

static void read_after_free(void)
{
	char *object = kmalloc(64, GFP_KERNEL);

	if (!object)
		return;
	kfree(object);
	pr_info("read %d from a freed object\n", READ_ONCE(*object));
}

/* The poison is looked at when the object is handed out again. */
static void write_after_free(void)
{
	struct kmem_cache *cache;
	char *object;

	cache = kmem_cache_create("debugproof", 64, 0, 0, NULL);
	if (!cache)
		return;
	object = kmem_cache_alloc(cache, GFP_KERNEL);
	if (object) {
		kmem_cache_free(cache, object);
		WRITE_ONCE(object[8], 1);
		object = kmem_cache_alloc(cache, GFP_KERNEL);
		kmem_cache_free(cache, object);
	}
	kmem_cache_destroy(cache);
}

static void lock_inversion(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void leak(void)
{
	int i;

	/* Several, as a stray copy of one pointer on a stack may hide it. */
	for (i = 0; i < 10; i++)
		kmalloc(200, GFP_KERNEL);
}

static void leave_object_in_cache(void)
{
	struct kmem_cache *cache;
	void *object;

	cache = kmem_cache_create("oxtcp_debugproof", 64, 0, 0, NULL);
	if (!cache)
		return;
	object = kmem_cache_alloc(cache, GFP_KERNEL);
	pr_info("left %p in its cache\n", object);
	kmem_cache_destroy(cache);
}

static void warn(void)
{
	WARN_ON(1);
}

static void crash(void)
{
	BUG();
}

static void hang(void)
{
	preempt_disable();
	for (;;)
		cpu_relax();
}

static void pin_module(void)
{
	__module_get(THIS_MODULE);
}

static int commit(const char *value, const struct kernel_param *param)
{
	void (*defect)(void) = param->arg;

	defect();
	return 0;
}

static const struct kernel_param_ops trigger = { .set = commit };

module_param_cb(read_after_free, &trigger, read_after_free, 0200);
module_param_cb(write_after_free, &trigger, write_after_free, 0200);
module_param_cb(lock_inversion, &trigger, lock_inversion, 0200);
module_param_cb(leak, &trigger, leak, 0200);
module_param_cb(leave_object_in_cache, &trigger, leave_object_in_cache, 0200);
module_param_cb(warn, &trigger, warn, 0200);
module_param_cb(crash, &trigger, crash, 0200);
module_param_cb(hang, &trigger, hang, 0200);
module_param_cb(pin_module, &trigger, pin_module, 0200);

MODULE_DESCRIPTION("Defects for the test kernels' checkers to find");
MODULE_LICENSE("GPL");
