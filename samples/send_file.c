// SPDX-License-Identifier: GPL-2.0
/* Sends a file and waits until the receiver has closed its end. */
#include "common.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	struct request request = parse(count, arguments, "l",
		"Sends a file to recv_file.", "what to send; - is standard input");
	bool standard = strcmp(request.file, "-") == 0;
	int file = standard ? STDIN_FILENO : open(request.file, O_RDONLY);
	unsigned long long sum = 0;
	char data[65536];
	double began;
	ssize_t got;
	int fd;

	if (file < 0)
		die_errno("%s", request.file);
	if (request.other_role) {
		int listener = listen_at(&request);

		fd = accept_from(listener);
		close(listener);
		tell_states(&request, fd, "sender");
	} else {
		fd = connect_to(&request);
	}
	began = seconds_now();
	while ((got = read(file, data, sizeof(data))) > 0) {
		write_all(fd, data, got);
		sum += got;
	}
	if (got < 0)
		die_errno("%s", request.file);
	if (shutdown(fd, SHUT_WR) < 0)
		die_errno("shutdown");
	/* Its FIN says that it has all. */
	got = read(fd, data, 1);
	if (got < 0)
		die_errno("the receiver broke off");
	if (got > 0)
		die("the receiver answers; it should not");
	printf("sent %llu bytes in %.2f s, %u segments again\n", sum,
	       seconds_now() - began, sent_again(fd));
	close(fd);
	return 0;
}
