// SPDX-License-Identifier: GPL-2.0
/* Receives what send_file sends, into a file. */
#include "common.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	struct request request = parse(count, arguments, "c",
		"Receives a file from send_file.",
		"where to put it; - is standard output");
	bool standard = strcmp(request.file, "-") == 0;
	int file = standard ? STDOUT_FILENO :
		   open(request.file, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	unsigned long long sum = 0;
	char data[65536];
	double began;
	ssize_t got;
	int fd;

	if (file < 0)
		die_errno("%s", request.file);
	if (request.other_role) {
		fd = connect_to(&request);
	} else {
		int listener = listen_at(&request);

		fd = accept_from(listener);
		close(listener);
		tell_states(&request, fd, "receiver");
	}
	began = seconds_now();
	while ((got = read(fd, data, sizeof(data))) > 0) {
		write_all(file, data, got);
		sum += got;
	}
	if (got < 0)
		die_errno("the sender broke off");
	if (close(file) < 0)
		die_errno("%s", request.file);
	fprintf(stderr, "received %llu bytes in %.2f s\n", sum,
		seconds_now() - began);
	/* Not only close: with -v another process has the socket too. */
	shutdown(fd, SHUT_WR);
	close(fd);
	return 0;
}
