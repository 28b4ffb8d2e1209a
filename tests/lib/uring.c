// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "uring.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define ENTRIES	32

struct ring make_ring(unsigned int flags)
{
	struct io_uring_params params = { .flags = flags };
	struct ring ring = { .flags = flags };
	size_t length;
	char *rings;

	if (flags & IORING_SETUP_SQPOLL)
		params.sq_thread_idle = 100;
	ring.fd = syscall(__NR_io_uring_setup, ENTRIES, &params);
	if (ring.fd < 0 && errno == ENOSYS)
		skip("the kernel has no io_uring");
	OK(ring.fd);
	CHECK(params.features & IORING_FEAT_SINGLE_MMAP);
	length = params.cq_off.cqes +
		 params.cq_entries * sizeof(struct io_uring_cqe);
	if (length < params.sq_off.array + params.sq_entries * 4)
		length = params.sq_off.array + params.sq_entries * 4;
	rings = mmap(NULL, length, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQ_RING);
	CHECK(rings != MAP_FAILED);
	ring.sqes = mmap(NULL, params.sq_entries * sizeof(*ring.sqes),
			 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			 ring.fd, IORING_OFF_SQES);
	CHECK(ring.sqes != MAP_FAILED);
	ring.sq_tail = (void *)(rings + params.sq_off.tail);
	ring.sq_flags = (void *)(rings + params.sq_off.flags);
	ring.sq_mask = *(unsigned int *)(rings + params.sq_off.ring_mask);
	ring.cq_head = (void *)(rings + params.cq_off.head);
	ring.cq_tail = (void *)(rings + params.cq_off.tail);
	ring.cq_mask = *(unsigned int *)(rings + params.cq_off.ring_mask);
	ring.cqes = (void *)(rings + params.cq_off.cqes);
	for (unsigned int i = 0; i < params.sq_entries; i++)
		((unsigned int *)(rings + params.sq_off.array))[i] = i;
	return ring;
}

struct io_uring_sqe *next_entry(struct ring *ring, uint8_t operation, int fd,
				uint64_t tag)
{
	unsigned int at = (*ring->sq_tail + ring->waiting++) & ring->sq_mask;
	struct io_uring_sqe *entry = &ring->sqes[at];

	memset(entry, 0, sizeof(*entry));
	entry->opcode = operation;
	entry->fd = fd;
	entry->user_data = tag;
	return entry;
}

struct io_uring_sqe *entry_with(struct ring *ring, uint8_t operation, int fd,
				uint64_t tag, const void *data, size_t length)
{
	struct io_uring_sqe *entry = next_entry(ring, operation, fd, tag);

	entry->addr = (uintptr_t)data;
	entry->len = length;
	return entry;
}

static long enter(struct ring *ring, unsigned int entries, unsigned int wanted,
		  unsigned int flags)
{
	return syscall(__NR_io_uring_enter, ring->fd, entries, wanted, flags,
		       NULL, 0);
}

void submit(struct ring *ring)
{
	unsigned int entries = ring->waiting;

	ring->waiting = 0;
	__atomic_store_n(ring->sq_tail, *ring->sq_tail + entries,
			 __ATOMIC_SEQ_CST);
	if (!(ring->flags & IORING_SETUP_SQPOLL))
		EQ(enter(ring, entries, 0, 0), entries);
	else if (__atomic_load_n(ring->sq_flags, __ATOMIC_SEQ_CST) &
		 IORING_SQ_NEED_WAKEUP)
		OK(enter(ring, 0, 0, IORING_ENTER_SQ_WAKEUP));
}

static bool is_empty(struct ring *ring)
{
	return __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) ==
	       *ring->cq_head;
}

struct done completion(struct ring *ring)
{
	const struct io_uring_cqe *entry;
	struct done done;

	while (is_empty(ring))
		OK(enter(ring, 0, 1, IORING_ENTER_GETEVENTS));
	entry = &ring->cqes[*ring->cq_head & ring->cq_mask];
	done = (struct done){ entry->user_data, entry->res, entry->flags };
	__atomic_store_n(ring->cq_head, *ring->cq_head + 1, __ATOMIC_RELEASE);
	return done;
}

bool no_completion(struct ring *ring, unsigned int milliseconds)
{
	sleep_ms(milliseconds);
	OK(enter(ring, 0, 0, IORING_ENTER_GETEVENTS));
	return is_empty(ring);
}

uint32_t expect(struct ring *ring, uint64_t tag, int result)
{
	struct done done = completion(ring);

	if (done.tag != tag || done.result != result)
		FAIL("entry %d came to %d, not %d to %d", (int)done.tag,
		     done.result, (int)tag, result);
	return done.flags;
}
