// SPDX-License-Identifier: GPL-2.0
/* Sends back what each client sends, one process per client. */
#include "common.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void serve(const struct request *request, int fd)
{
	char data[16384];
	ssize_t got;

	tell_states(request, fd, "server");
	while ((got = read(fd, data, sizeof(data))) > 0)
		write_all(fd, data, got);
	if (got < 0)
		die_errno("read");
	/* Not only close: with -v another process has the socket too. */
	shutdown(fd, SHUT_WR);
	close(fd);
}

int main(int count, char **arguments)
{
	struct request request = parse(count, arguments, "n:",
		"Sends back what each client sends.", NULL);
	int listener = listen_at(&request);
	int failed = 0;
	int status;

	/* The clients' processes are reaped by the kernel, or at the end. */
	if (!request.limit)
		signal(SIGCHLD, SIG_IGN);
	for (int i = 0; !request.limit || i < request.limit; i++) {
		int fd = accept_from(listener);
		pid_t child = fork();

		if (child < 0)
			die_errno("fork");
		if (child == 0) {
			close(listener);
			serve(&request, fd);
			exit(0);
		}
		close(fd);
	}
	close(listener);
	while (wait(&status) > 0)
		failed |= status;
	return failed ? 1 : 0;
}
