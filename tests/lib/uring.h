/* SPDX-License-Identifier: GPL-2.0 */
/* io_uring by its system calls alone. */
#ifndef TESTS_URING_H
#define TESTS_URING_H

#include "harness.h"

#include <linux/io_uring.h>

struct ring {
	int fd;
	unsigned int flags;
	unsigned int *sq_tail;
	unsigned int *sq_flags;
	unsigned int sq_mask;
	unsigned int *cq_head;
	unsigned int *cq_tail;
	unsigned int cq_mask;
	unsigned int waiting;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

struct done {
	uint64_t tag;
	int result;
	uint32_t flags;
};

/* Skips the case where the kernel has no io_uring. */
struct ring make_ring(unsigned int flags);
/* An entry to fill in, all zero but for these. */
struct io_uring_sqe *next_entry(struct ring *ring, uint8_t operation, int fd,
				uint64_t tag);
struct io_uring_sqe *entry_with(struct ring *ring, uint8_t operation, int fd,
				uint64_t tag, const void *data, size_t length);
void submit(struct ring *ring);
/* Waits for the next completion. */
struct done completion(struct ring *ring);
/* Whether none comes for so many milliseconds. */
bool no_completion(struct ring *ring, unsigned int milliseconds);
/* The next completion is that of this entry; its flags. */
uint32_t expect(struct ring *ring, uint64_t tag, int result);

#endif
