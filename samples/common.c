// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/oxtcp.h>

static const char *program = "sample";

void die(const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s: ", program);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\n");
	exit(1);
}

void die_errno(const char *format, ...)
{
	int error = errno;
	va_list arguments;

	fprintf(stderr, "%s: ", program);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, ": %s\n", strerror(error));
	exit(1);
}

static void show_usage(const char *letters, const char *purpose,
		       const char *file_meaning)
{
	fprintf(stderr, "usage: %s [-f oxtcp|inet] [-v]%s%s%s ADDRESS PORT%s\n",
		program, strchr(letters, 'l') ? " [-l]" : "",
		strchr(letters, 'c') ? " [-c]" : "",
		strchr(letters, 'n') ? " [-n COUNT]" : "",
		file_meaning ? " FILE" : "");
	fprintf(stderr, "%s\n", purpose);
	fprintf(stderr, "  -f  the protocol family (oxtcp)\n");
	fprintf(stderr, "  -v  tell the states that the connection passes\n");
	if (strchr(letters, 'l'))
		fprintf(stderr, "  -l  listen instead of connecting\n");
	if (strchr(letters, 'c'))
		fprintf(stderr, "  -c  connect instead of listening\n");
	if (strchr(letters, 'n'))
		fprintf(stderr, "  -n  end after so many connections\n");
	if (file_meaning)
		fprintf(stderr, "  FILE  %s\n", file_meaning);
	exit(2);
}

static int parse_int(const char *text, int most)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || *end || end == text || value < 1 || value > most)
		die("%s is not a number from 1 to %d", text, most);
	return value;
}

struct request parse(int count, char **arguments, const char *letters,
		     const char *purpose, const char *file_meaning)
{
	struct request request = { .family = AF_OXTCP };
	char accepted[32];
	char *slash = strrchr(arguments[0], '/');
	int letter;

	program = slash ? slash + 1 : arguments[0];
	request.program = program;
	snprintf(accepted, sizeof(accepted), "f:v%s", letters);
	while ((letter = getopt(count, arguments, accepted)) != -1) {
		switch (letter) {
		case 'f':
			if (strcmp(optarg, "oxtcp") == 0)
				request.family = AF_OXTCP;
			else if (strcmp(optarg, "inet") == 0)
				request.family = AF_INET;
			else
				die("%s is no family; there are oxtcp and inet",
				    optarg);
			break;
		case 'v':
			request.verbose = true;
			break;
		case 'c':
		case 'l':
			request.other_role = true;
			break;
		case 'n':
			request.limit = parse_int(optarg, 1000000);
			break;
		default:
			show_usage(letters, purpose, file_meaning);
		}
	}
	if (count - optind != (file_meaning ? 3 : 2))
		show_usage(letters, purpose, file_meaning);
	request.address.sin_family = AF_INET;
	if (!inet_aton(arguments[optind], &request.address.sin_addr))
		die("%s is not an IPv4 address", arguments[optind]);
	request.address.sin_port = htons(parse_int(arguments[optind + 1], 65535));
	if (file_meaning)
		request.file = arguments[optind + 2];
	return request;
}

static int make_socket(const struct request *request)
{
	int fd = socket(request->family, SOCK_STREAM, OXTCPPROTO_IP);

	if (fd < 0 && errno == EAFNOSUPPORT && request->family == AF_OXTCP)
		die("AF_OXTCP is not there: is the module oxtcp loaded?");
	if (fd < 0)
		die_errno("socket");
	return fd;
}

int listen_at(const struct request *request)
{
	int fd = make_socket(request);
	int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		die_errno("SO_REUSEADDR");
	if (bind(fd, (const struct sockaddr *)&request->address,
		 sizeof(request->address)) < 0)
		die_errno("bind to %s:%d", inet_ntoa(request->address.sin_addr),
			  ntohs(request->address.sin_port));
	if (listen(fd, 16) < 0)
		die_errno("listen");
	fprintf(stderr, "%s: listens at %s:%d\n", program,
		inet_ntoa(request->address.sin_addr),
		ntohs(request->address.sin_port));
	return fd;
}

int accept_from(int listener)
{
	int fd;

	do {
		fd = accept(listener, NULL, NULL);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0)
		die_errno("accept");
	return fd;
}

int connect_to(const struct request *request)
{
	int fd = make_socket(request);

	tell_states(request, fd, "client");
	if (connect(fd, (const struct sockaddr *)&request->address,
		    sizeof(request->address)) < 0)
		die_errno("connect to %s:%d",
			  inet_ntoa(request->address.sin_addr),
			  ntohs(request->address.sin_port));
	return fd;
}

static struct tcp_info info_of(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);

	memset(&info, 0, sizeof(info));
	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
	return info;
}

void tell_states(const struct request *request, int fd, const char *who)
{
	static const char * const names[] = {
		"?", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1",
		"FIN_WAIT2", "TIME_WAIT", "CLOSED", "CLOSE_WAIT", "LAST_ACK",
		"LISTEN", "CLOSING",
	};
	const unsigned int closed = 7;
	const struct timespec pause = { .tv_nsec = 1000000 };
	unsigned int last = 0;

	if (!request->verbose)
		return;
	if (fork() != 0)
		return;
	for (;;) {
		unsigned int state = info_of(fd).tcpi_state;

		if (state != last && state <= 11) {
			fprintf(stderr, "%s: %s\n", who, names[state]);
			if (state == closed && last)
				break;
			last = state;
		}
		nanosleep(&pause, NULL);
	}
	_exit(0);
}

double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

unsigned int sent_again(int fd)
{
	return info_of(fd).tcpi_total_retrans;
}

void write_all(int fd, const char *data, size_t length)
{
	while (length) {
		ssize_t written = write(fd, data, length);

		if (written < 0) {
			if (errno == EINTR)
				continue;
			die_errno("write");
		}
		data += written;
		length -= written;
	}
}
