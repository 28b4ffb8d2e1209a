// SPDX-License-Identifier: GPL-2.0
/*
 * A program that knows AF_INET and AF_INET6 only. What it checks holds on
 * Linux's TCP, and must hold when oxtcp_run runs it. EXPECT=linux|oxtcp says
 * whose its stream sockets have to be.
 */
#define _GNU_SOURCE
#include "bpf.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static bool expects_oxtcp(void)
{
	const char *expected = getenv("EXPECT");

	return expected && strcmp(expected, "oxtcp") == 0;
}

/* Whether a table of /proc/net has a listener with this inode. */
static bool is_in(const char *path, unsigned long inode)
{
	FILE *table = fopen(path, "r");
	char line[400];
	bool found = false;
	unsigned long other;

	if (!table)
		return false;
	while (!found && fgets(line, sizeof(line), table))
		found = sscanf(line, " %*d: %*s %*s 0A %*s %*s %*s %*d %*d %lu",
			       &other) == 1 && other == inode;
	fclose(table);
	return found;
}

/* Listens on a new socket, and looks whose it is. */
static union address check_whose(int fd)
{
	union address address = loopback(0);
	struct stat status;

	OK(bind_to(fd, &address));
	OK(listen(fd, 5));
	OK(fstat(fd, &status));
	if (expects_oxtcp()) {
		CHECK(is_in(v6() ? "/proc/net/oxtcp6" : "/proc/net/oxtcp",
			    status.st_ino));
	} else {
		CHECK(is_in(v6() ? "/proc/net/tcp6" : "/proc/net/tcp",
			    status.st_ino));
	}
	return local_of(fd);
}

static int stream(int flags, int protocol)
{
	return OK(socket(family(), SOCK_STREAM | flags, protocol));
}

static void stream_sockets(void)
{
	check_whose(stream(0, 0));
	check_whose(stream(0, IPPROTO_TCP));
}

static void check_answers(int fd)
{
	EQ(get_option(fd, SOL_SOCKET, SO_DOMAIN), family());
	EQ(get_option(fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
	EQ(get_option(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
	EQ(local_of(fd).any.sa_family, family());
}

static void answers(void)
{
	int server = stream(0, 0);
	int client = stream(0, IPPROTO_TCP);
	union address address;
	int accepted;

	check_answers(server);
	address = check_whose(server);
	check_answers(server);
	OK(connect_to(client, &address));
	accepted = accept_one(server);
	check_answers(client);
	check_answers(accepted);
	EQ(remote_of(accepted).any.sa_family, family());
	send_pattern(client, 0, 1000);
	recv_pattern(accepted, 0, 1000);
}

/* A wrong call of getsockopt() is refused as before. */
static void protocol_asked_wrongly(void)
{
	int fd = stream(0, 0);
	socklen_t length = 1;
	int value = -1;

	OK(getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &length));
	EQ(length, 1);
	EQ(value, (-1 & ~0xff) | IPPROTO_TCP);
	length = sizeof(value);
	FAILS(getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, NULL, &length), EFAULT);
	FAILS(getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, NULL), EFAULT);
	FAILS(getsockopt(-1, SOL_SOCKET, SO_PROTOCOL, &value, &length), EBADF);
	FAILS(getsockopt(0, SOL_SOCKET, SO_PROTOCOL, &value, &length),
	      ENOTSOCK);
}

static void flags(void)
{
	for (int bits = 0; bits < 4; bits++) {
		int nonblock = bits & 1 ? SOCK_NONBLOCK : 0;
		int cloexec = bits & 2 ? SOCK_CLOEXEC : 0;
		int fd = stream(nonblock | cloexec, 0);

		EQ_BITS(OK(fcntl(fd, F_GETFD)), cloexec ? FD_CLOEXEC : 0);
		EQ_BITS(OK(fcntl(fd, F_GETFL)),
			O_RDWR | (nonblock ? O_NONBLOCK : 0));
		check_whose(fd);
	}
}

/* The lowest free descriptor, as POSIX wants it. */
static void lowest_descriptor(void)
{
	int first = stream(0, 0);
	int second = stream(0, 0);

	close(first);
	EQ(stream(0, 0), first);
	close(second);
}

static void check_other(int domain, int type, int protocol, int reads)
{
	int fd = OK(socket(domain, type, protocol));

	EQ(get_option(fd, SOL_SOCKET, SO_DOMAIN), domain);
	EQ(get_option(fd, SOL_SOCKET, SO_PROTOCOL), reads);
	close(fd);
}

static void other_sockets(void)
{
	int fds[2];
	int error;
	int fd;

	check_other(family(), SOCK_DGRAM, 0, IPPROTO_UDP);
	check_other(family(), SOCK_DGRAM, IPPROTO_UDP, IPPROTO_UDP);
	check_other(family(), SOCK_RAW, IPPROTO_TCP, IPPROTO_TCP);
	check_other(AF_UNIX, SOCK_STREAM, 0, 0);
	check_other(AF_NETLINK, SOCK_RAW, 0, 0);
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	FAILS(socketpair(family(), SOCK_STREAM, 0, fds), EOPNOTSUPP);
	fd = socket(family(), SOCK_STREAM, IPPROTO_MPTCP);
	error = errno;
	if (fd >= 0)
		EQ(get_option(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_MPTCP);
	else
		EQ(error, EPROTONOSUPPORT);
}

static void errors(void)
{
	struct rlimit limit = { 3, 3 };

	FAILS(socket(family(), SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
	FAILS(socket(family(), SOCK_STREAM, 1), EPROTONOSUPPORT);
	FAILS(socket(family(), SOCK_STREAM, -1), EINVAL);
	FAILS(socket(family(), SOCK_STREAM, 1000), EINVAL);
	FAILS(socket(family(), SOCK_STREAM | 0x10, 0), EINVAL);
	FAILS(socket(family(), SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
	FAILS(socket(family(), 0, 0), ESOCKTNOSUPPORT);
	FAILS(socket(200, SOCK_STREAM, 0), EAFNOSUPPORT);
	FAILS(socket(-1, SOCK_STREAM, 0), EAFNOSUPPORT);
	for (int fd = 3; fd < 100; fd++)
		close(fd);
	OK(setrlimit(RLIMIT_NOFILE, &limit));
	FAILS(socket(family(), SOCK_STREAM, 0), EMFILE);
}

static void forked(void *argument)
{
	(void)argument;
	check_whose(stream(0, 0));
}

static void after_fork(void)
{
	check_whose(stream(0, 0));
	finish(start(forked, NULL));
}

/* The program again, as a process of another name space of symbols. */
static void after_exec(void)
{
	char self[4096] = { 0 };
	int status;
	pid_t child;

	OK(readlink("/proc/self/exe", self, sizeof(self) - 1));
	child = OK(vfork());
	if (child == 0) {
		setenv("CASES", "stream_sockets answers", 1);
		close(1);
		open("/dev/null", O_WRONLY);
		execl(self, self, NULL);
		_exit(127);
	}
	OK(waitpid(child, &status, 0));
	EQ(status, 0);
}

static void *make_many(void *argument)
{
	(void)argument;
	for (int i = 0; i < 100; i++) {
		int fd = stream(SOCK_CLOEXEC, 0);

		EQ(get_option(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
		close(fd);
	}
	check_whose(stream(0, 0));
	return NULL;
}

static void in_threads(void)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		EQ(pthread_create(&threads[i], NULL, make_many, NULL), 0);
	for (int i = 0; i < 4; i++)
		EQ(pthread_join(threads[i], NULL), 0);
}

static volatile sig_atomic_t handled;

static void on_signal(int signal)
{
	int error = errno;
	int fd = socket(family(), SOCK_STREAM, 0);

	(void)signal;
	if (fd < 0)
		_exit(99);
	close(fd);
	errno = error;
	handled = handled + 1;
}

/* Signals that come during the call, as a Go program's do, do not end it. */
static void under_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal,
				    .sa_flags = SA_RESTART };

	OK(sigaction(SIGALRM, &action, NULL));
	for (int i = 0; i < 500; i++) {
		struct itimerval soon = { .it_value.tv_usec = 1 + 3 * i };
		int fd;

		OK(setitimer(ITIMER_REAL, &soon, NULL));
		fd = stream(0, 0);
		EQ(get_option(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
		close(fd);
	}
	CHECK(handled > 0);
	check_whose(stream(0, 0));
}

/* A call that succeeds leaves errno alone. */
static void errno_kept(void)
{
	int error;

	errno = EXDEV;
	socket(family(), SOCK_STREAM, 0);
	error = errno;
	EQ(error, EXDEV);
}

static ino_t netns_of(int fd)
{
	struct stat status;

	OK(fstat(fd, &status));
	return status.st_ino;
}

static void in_namespace(void)
{
	int before = OK(ioctl(stream(0, 0), SIOCGSKNS));
	int own, fd;

	own_netns();
	fd = stream(0, 0);
	own = OK(open("/proc/thread-self/ns/net", O_RDONLY));
	EQ(netns_of(OK(ioctl(fd, SIOCGSKNS))), netns_of(own));
	CHECK(netns_of(before) != netns_of(own));
	check_whose(fd);
}

static void of_user(void)
{
	const unsigned int nobody = 65534;
	struct stat status;
	int fd;

	OK(setresgid(nobody, nobody, nobody));
	OK(setresuid(nobody, nobody, nobody));
	fd = stream(0, 0);
	OK(fstat(fd, &status));
	EQ(status.st_uid, nobody);
	EQ(status.st_gid, nobody);
	check_whose(fd);
}

/* A control group's program refuses its sockets, whoever makes them. */
static void in_group(void)
{
	const int attach = BPF_CGROUP_INET_SOCK_CREATE;
	struct group group = make_group();
	int link = attach_program(constant_program(BPF_PROG_TYPE_CGROUP_SOCK,
						   attach, 0),
				  group.fd, attach);

	check_whose(stream(0, 0));
	join_group(&group);
	FAILS(socket(family(), SOCK_STREAM, 0), EPERM);
	detach_program(link);
	check_whose(stream(0, 0));
	remove_group(&group);
}

static const struct test_case cases[] = {
	CASE(stream_sockets),
	CASE(answers),
	CASE(protocol_asked_wrongly),
	CASE(flags),
	CASE(lowest_descriptor),
	CASE(other_sockets),
	CASE(errors),
	CASE(after_fork),
	CASE(after_exec),
	CASE(in_threads),
	CASE(under_signals),
	CASE(errno_kept),
	CASE(in_namespace),
	CASE(of_user),
	CASE(in_group),
};

int main(void)
{
	return RUN_CASES(cases);
}
