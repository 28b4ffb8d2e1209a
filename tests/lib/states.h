/* SPDX-License-Identifier: GPL-2.0 */
/* Sockets in each state that there is. */
#ifndef TESTS_STATES_H
#define TESTS_STATES_H

#include "harness.h"

struct scene {
	/* The socket under test. */
	int fd;
	/* The other end of its connection, -1 if there is none any more. */
	int peer;
	/* The listener that it connects to, -1 if it is not needed. */
	int holder;
};

struct state {
	const char *name;
	void (*make)(struct scene *scene);
};

extern const struct state states[];
extern const size_t state_count;

/* All that is sent to the socket is lost. */
void deafen(int fd);
/* Leaves the sockets as they were made: mostly not non-blocking. */
struct scene make_scene(const struct state *state);
void end_scene(struct scene *scene);

#endif
