// SPDX-License-Identifier: GPL-2.0
/*
 * Transfers between two network namespaces and says how fast they were.
 *
 * stream -s FAMILY -r FAMILY -a NETNS -b NETNS -d ADDRESS [-p PORT]
 *        {-t SECONDS | -n BYTES [-c COUNT]} [-i MILLISECONDS -o FILE]
 *
 * The sender is in NETNS a, the receiver at ADDRESS in NETNS b. With -t one
 * connection sends for so long; with -n so many connections, one after the
 * other, send so many bytes each. The result is one line of JSON. With -i and
 * -o the sender's TCP_INFO is written to a file at regular times.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/oxtcp.h>

#define BLOCK	65536
#define SECOND	1000000000LL

struct request {
	int sender;
	int receiver;
	const char *near;
	const char *far;
	struct sockaddr_in address;
	int64_t duration;		/* ns, 0: by volume */
	uint64_t volume;
	unsigned int count;
	int64_t interval;		/* ns between samples, 0: none */
	FILE *samples;
};

/* What the two processes tell each other. */
struct shared {
	int64_t began;
	int64_t ended;
	uint64_t received;
};

static void die(const char *format, ...)
{
	int error = errno;
	va_list arguments;

	fprintf(stderr, "stream: ");
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, ": %s\n", strerror(error));
	exit(1);
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

static int family_of(const char *name)
{
	if (strcmp(name, "inet") && strcmp(name, "oxtcp")) {
		fprintf(stderr, "stream: no family is named %s\n", name);
		exit(2);
	}
	return strcmp(name, "inet") ? AF_OXTCP : AF_INET;
}

static void enter(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die("namespace %s", name);
	close(fd);
}

/* Closing resets the connection, so that none lingers into the next one. */
static void reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

/* Waits until a descriptor is ready or a moment comes; false: the latter. */
static bool wait_for(int fd, short events, int64_t until)
{
	struct pollfd poll = { .fd = fd, .events = events };
	struct timespec left = { .tv_sec = 1000000 };

	if (until) {
		int64_t rest = until - now();

		if (rest <= 0)
			return false;
		left.tv_sec = rest / SECOND;
		left.tv_nsec = rest % SECOND;
	}
	return ppoll(&poll, 1, &left, NULL) > 0;
}

static void receive(const struct request *request, int listener,
		    struct shared *shared, int done)
{
	static char block[4 * BLOCK];
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	int64_t until = request->duration ?
			shared->began + request->duration : 0;
	char byte = 0;

	if (fd < 0)
		die("accept");
	shared->received = 0;
	while (wait_for(fd, POLLIN, until)) {
		ssize_t got = recv(fd, block, sizeof(block), 0);

		if (got < 0 && errno == EAGAIN)
			continue;
		if (got < 0)
			die("recv");
		if (got == 0)
			break;
		shared->received += got;
	}
	shared->ended = now();
	if (write(done, &byte, 1) != 1)
		die("pipe");
	reset(fd);
}

static struct tcp_info info_of(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
		die("TCP_INFO");
	return info;
}

static void sample(const struct request *request, int fd, int64_t since)
{
	struct tcp_info info = info_of(fd);

	fprintf(request->samples,
		"%.4f ca=%u cwnd=%u ssthresh=%u unacked=%u sacked=%u lost=%u retrans=%u total=%u reordering=%u rtt=%u rttvar=%u rto=%u backoff=%u pacing=%llu rate=%llu delivered=%u snd_wnd=%u notsent=%u dsack=%u reord_seen=%u\n",
		(now() - since) / 1e9, info.tcpi_ca_state, info.tcpi_snd_cwnd,
		info.tcpi_snd_ssthresh, info.tcpi_unacked, info.tcpi_sacked,
		info.tcpi_lost, info.tcpi_retrans, info.tcpi_total_retrans,
		info.tcpi_reordering, info.tcpi_rtt, info.tcpi_rttvar,
		info.tcpi_rto, info.tcpi_backoff,
		(unsigned long long)info.tcpi_pacing_rate,
		(unsigned long long)info.tcpi_delivery_rate,
		info.tcpi_delivered, info.tcpi_snd_wnd,
		info.tcpi_notsent_bytes, info.tcpi_dsack_dups,
		info.tcpi_reord_seen);
}

/* Sends until the volume is out or the time is over. */
static void send_stream(const struct request *request, int fd, int64_t began)
{
	static char block[BLOCK];
	int64_t until = request->duration ? began + request->duration : 0;
	int64_t next = request->interval ? began : 0;
	uint64_t left = request->duration ? UINT64_MAX : request->volume;

	while (left) {
		int64_t wake = until;
		size_t part = left < sizeof(block) ? left : sizeof(block);
		ssize_t sent;

		if (next && (!wake || next < wake))
			wake = next;
		if (!wait_for(fd, POLLOUT, wake)) {
			int64_t moment = now();

			if (until && moment >= until)
				return;
			if (next && moment >= next) {
				sample(request, fd, began);
				next += request->interval;
			}
			continue;
		}
		sent = send(fd, block, part, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN)
			die("send");
		if (sent > 0)
			left -= sent;
	}
	shutdown(fd, SHUT_WR);
}

static void transfer(const struct request *request, struct shared *shared,
		     int done, struct tcp_info *total)
{
	int fd = socket(request->sender, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct tcp_info info;
	char byte;

	shared->began = now();
	if (fd < 0 || connect(fd, (const void *)&request->address,
			      sizeof(request->address)) < 0)
		die("connect");
	fcntl(fd, F_SETFL, O_NONBLOCK);
	send_stream(request, fd, shared->began);
	if (request->interval)
		sample(request, fd, shared->began);
	if (read(done, &byte, 1) != 1)
		die("the receiver has failed");
	info = info_of(fd);
	total->tcpi_total_retrans += info.tcpi_total_retrans;
	total->tcpi_bytes_sent += info.tcpi_bytes_sent;
	total->tcpi_bytes_retrans += info.tcpi_bytes_retrans;
	total->tcpi_segs_out += info.tcpi_data_segs_out;
	total->tcpi_dsack_dups += info.tcpi_dsack_dups;
	total->tcpi_segs_in += info.tcpi_segs_in;
	reset(fd);
}

static void parse(struct request *request, int count, char **arguments)
{
	const char *file = NULL;
	int option;

	request->sender = request->receiver = AF_INET;
	request->count = 1;
	request->address.sin_family = AF_INET;
	request->address.sin_port = htons(5001);
	while ((option = getopt(count, arguments, "s:r:a:b:d:p:t:n:c:i:o:")) >= 0) {
		switch (option) {
		case 's':
			request->sender = family_of(optarg);
			break;
		case 'r':
			request->receiver = family_of(optarg);
			break;
		case 'a':
			request->near = optarg;
			break;
		case 'b':
			request->far = optarg;
			break;
		case 'd':
			inet_pton(AF_INET, optarg, &request->address.sin_addr);
			break;
		case 'p':
			request->address.sin_port = htons(atoi(optarg));
			break;
		case 't':
			request->duration = atof(optarg) * SECOND;
			break;
		case 'n':
			request->volume = strtoull(optarg, NULL, 10);
			break;
		case 'c':
			request->count = atoi(optarg);
			break;
		case 'i':
			request->interval = atof(optarg) * 1000000;
			break;
		case 'o':
			file = optarg;
			break;
		default:
			exit(2);
		}
	}
	if (!request->near || !request->far ||
	    !request->volume == !request->duration ||
	    !request->interval == !!file) {
		fprintf(stderr, "stream: see the head of stream.c\n");
		exit(2);
	}
	if (file) {
		request->samples = fopen(file, "w");
		if (!request->samples)
			die("%s", file);
	}
}

static int listen_far(const struct request *request)
{
	int fd;

	enter(request->far);
	fd = socket(request->receiver, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (const void *)&request->address,
			   sizeof(request->address)) < 0 || listen(fd, 8) < 0)
		die("the listener");
	return fd;
}

int main(int count, char **arguments)
{
	struct request request = { 0 };
	struct tcp_info total = { 0 };
	struct shared *shared;
	uint64_t received = 0;
	int status = 0;
	int listener;
	int done[2];
	pid_t child;

	parse(&request, count, arguments);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || pipe(done) < 0)
		die("setup");
	listener = listen_far(&request);
	child = fork();
	if (child == 0) {
		close(done[0]);
		for (unsigned int i = 0; i < request.count; i++)
			receive(&request, listener, shared, done[1]);
		exit(0);
	}
	close(listener);
	close(done[1]);
	enter(request.near);
	printf("{\"seconds\": [");
	for (unsigned int i = 0; i < request.count; i++) {
		transfer(&request, shared, done[0], &total);
		received += shared->received;
		printf("%s%.6f", i ? ", " : "",
		       (shared->ended - shared->began) / 1e9);
	}
	printf("], \"bytes\": %llu, \"segments\": %u, \"again\": %u, \"sent\": %llu, \"sent_again\": %llu, \"dsack\": %u, \"acks\": %u}\n",
	       (unsigned long long)received, total.tcpi_segs_out,
	       total.tcpi_total_retrans,
	       (unsigned long long)total.tcpi_bytes_sent,
	       (unsigned long long)total.tcpi_bytes_retrans,
	       total.tcpi_dsack_dups, total.tcpi_segs_in);
	waitpid(child, &status, 0);
	return status ? 1 : 0;
}
