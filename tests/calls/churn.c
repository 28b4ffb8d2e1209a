// SPDX-License-Identifier: GPL-2.0
/* Opens and closes so many connections, in various ways: churn [COUNT]. */
#define _GNU_SOURCE
#include "harness.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 100;
	union address address;
	int server = listener(count, &address);

	for (int i = 0; i < count; i++) {
		int fd = make_socket(0);
		int child;

		OK(connect_to(fd, &address));
		/* Every fifth time nobody accepts: the queue grows. */
		child = i % 5 == 4 ? -1 : accept_one(server);
		send_pattern(fd, 0, 1000);
		if (child >= 0 && i % 3)
			recv_pattern(child, 0, 1000);
		if (i % 7 == 6)
			linger_zero(fd);
		if (i % 2)
			close(fd);
		if (child >= 0)
			close(child);
		if (!(i % 2))
			close(fd);
	}
	close(server);
	return 0;
}
