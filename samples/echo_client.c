// SPDX-License-Identifier: GPL-2.0
/* Sends its standard input to an echo server and writes what comes back. */
#include "common.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	struct request request = parse(count, arguments, "",
		"Sends its input to the server and writes the answer.", NULL);
	int fd = connect_to(&request);
	struct pollfd entries[2] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};
	char data[16384];

	for (;;) {
		ssize_t got;

		if (poll(entries, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			die_errno("poll");
		}
		if (entries[1].revents) {
			got = read(fd, data, sizeof(data));
			if (got < 0)
				die_errno("read from the server");
			if (got == 0)
				break;
			write_all(STDOUT_FILENO, data, got);
		}
		if (entries[0].revents) {
			got = read(STDIN_FILENO, data, sizeof(data));
			if (got < 0)
				die_errno("read from standard input");
			if (got > 0) {
				write_all(fd, data, got);
				continue;
			}
			/* The server sees the end, and may still answer. */
			entries[0].fd = -1;
			if (shutdown(fd, SHUT_WR) < 0)
				die_errno("shutdown");
		}
	}
	close(fd);
	return 0;
}
