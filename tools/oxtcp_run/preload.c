// SPDX-License-Identifier: GPL-2.0
/*
 * What oxtcp_run loads into programs: stream sockets of AF_INET and AF_INET6
 * become ones of AF_OXTCP.
 *
 * It is C, and calls little but the kernel, because it becomes part of
 * programs that call socket() before main(), in a signal handler, or after
 * fork() with the locks of other threads held.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/oxtcp.h>

typedef int socket_fn(int domain, int type, int protocol);
typedef int getsockopt_fn(int fd, int level, int name, void *value,
			  socklen_t *length);

/* Those of the next library: libc's, or what else the user has preloaded. */
static socket_fn *next_socket;
static getsockopt_fn *next_getsockopt;
static bool verbose;
/* The inode of the standard error that the user gave, if it is a socket. */
static unsigned long users_socket;
static bool strict;

/* A line for standard error, cut off where it would be too long. */
struct line {
	char text[200];
	size_t length;
};

static void add(struct line *line, const char *text)
{
	while (*text && line->length < sizeof(line->text) - 1)
		line->text[line->length++] = *text++;
}

static void add_number(struct line *line, int number)
{
	unsigned int rest = number;
	char digits[12];
	char *first = digits + sizeof(digits) - 1;

	if (number < 0)
		rest = -rest;
	*first = '\0';
	do {
		*--first = '0' + rest % 10;
		rest /= 10;
	} while (rest);
	if (number < 0)
		*--first = '-';
	add(line, first);
}

/*
 * Whether standard error takes a line now, and has not become a connection of
 * the program's, which a line of ours would corrupt.
 */
static bool may_write(void)
{
	struct pollfd standard_error = { STDERR_FILENO, POLLOUT, 0 };
	struct stat status;

	return fstat(STDERR_FILENO, &status) == 0 &&
	       (!S_ISSOCK(status.st_mode) || status.st_ino == users_socket) &&
	       poll(&standard_error, 1, 0) == 1 &&
	       standard_error.revents == POLLOUT;
}

/* Writes the line without the SIGPIPE of a reader that has gone. */
static void write_line(const struct line *line)
{
	const struct timespec now = { 0 };
	sigset_t pipe_signal, pending, before;

	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
	if (write(STDERR_FILENO, line->text, line->length) < 0 &&
	    errno == EPIPE && !sigismember(&pending, SIGPIPE))
		sigtimedwait(&pipe_signal, NULL, &now);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Says what became of a call, if that was asked for; leaves errno alone. */
static void tell(int domain, int protocol, int fd, const char *what)
{
	struct line line = { .length = 0 };
	int error = errno;
	int cancel;

	if (!verbose)
		return;
	add(&line, "oxtcp_run[");
	add_number(&line, getpid());
	add(&line, "]: socket(");
	add(&line, domain == AF_INET ? "AF_INET" : "AF_INET6");
	add(&line, ", SOCK_STREAM, ");
	add_number(&line, protocol);
	add(&line, ") = ");
	add_number(&line, fd);
	if (fd < 0) {
		add(&line, " (errno ");
		add_number(&line, error);
		add(&line, ")");
	}
	add(&line, ": ");
	add(&line, what);
	add(&line, "\n");
	/* poll() and write() are points of cancellation, socket() is none. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	if (may_write())
		write_line(&line);
	pthread_setcancelstate(cancel, &cancel);
	errno = error;
}

__attribute__((constructor)) static void begin(void)
{
	const char *socket_number;
	int error = errno;

	/* A constructor of another library may have been here before. */
	if (next_getsockopt)
		return;
	socket_number = getenv("OXTCP_RUN_VERBOSE");
	verbose = socket_number;
	if (verbose)
		users_socket = strtoul(socket_number, NULL, 10);
	strict = getenv("OXTCP_RUN_STRICT");
	next_socket = (socket_fn *)dlsym(RTLD_NEXT, "socket");
	next_getsockopt = (getsockopt_fn *)dlsym(RTLD_NEXT, "getsockopt");
	errno = error;
}

__attribute__((visibility("default")))
int socket(int domain, int type, int protocol)
{
	bool inet = domain == AF_INET || domain == AF_INET6;
	int error = errno;
	int fd;

	begin();
	/* The lowest four bits are the type, the others flags. */
	if (!inet || (type & 0xf) != SOCK_STREAM)
		return next_socket(domain, type, protocol);
	if (protocol != IPPROTO_IP && protocol != IPPROTO_TCP) {
		fd = next_socket(domain, type, protocol);
		tell(domain, protocol, fd, "not TCP, left alone");
		return fd;
	}

	fd = next_socket(AF_OXTCP, type, domain == AF_INET ? OXTCPPROTO_IP :
							     OXTCPPROTO_IPV6);
	if (fd >= 0 || errno != EAFNOSUPPORT) {
		tell(domain, protocol, fd, "AF_OXTCP");
		return fd;
	}
	if (strict) {
		tell(domain, protocol, fd, "AF_OXTCP is not there");
		return fd;
	}
	errno = error;
	fd = next_socket(domain, type, protocol);
	tell(domain, protocol, fd, "AF_OXTCP is not there, Linux's TCP");
	return fd;
}

/*
 * The kernel answers with the number that the socket has inside; no module
 * can change that. Programs compare it with IPPROTO_TCP.
 */
__attribute__((visibility("default")))
int getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	const int ours = IPPROTO_OXTCP;
	const int tcp = IPPROTO_TCP;
	int result;

	begin();
	result = next_getsockopt(fd, level, name, value, length);
	if (!result && level == SOL_SOCKET && name == SO_PROTOCOL &&
	    *length == sizeof(ours) && !memcmp(value, &ours, sizeof(ours)))
		memcpy(value, &tcp, sizeof(tcp));
	return result;
}
