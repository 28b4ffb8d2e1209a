/* SPDX-License-Identifier: GPL-2.0 */
/* What the samples share: options, addresses, endings. */
#ifndef SAMPLES_COMMON_H
#define SAMPLES_COMMON_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct request {
	const char *program;
	int family;			/* AF_OXTCP or AF_INET */
	bool other_role;		/* -l or -c */
	bool verbose;			/* -v */
	int limit;			/* -n, 0: none */
	struct sockaddr_in address;
	const char *file;		/* NULL: the program takes none */
};

/* Ends the program with a message; with the error's name for die_errno. */
void die(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));
void die_errno(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));

/*
 * Reads the command line: [-f oxtcp|inet] [-v] [further letters] ADDRESS PORT,
 * and FILE if its meaning is given.
 */
struct request parse(int count, char **arguments, const char *letters,
		     const char *purpose, const char *file_meaning);

/* A socket that listens at the address, or that is connected to it. */
int listen_at(const struct request *request);
int accept_from(int listener);
int connect_to(const struct request *request);

/*
 * With -v: a process that looks at the socket's TCP_INFO each millisecond and
 * tells each state that it sees, until the socket is closed.
 */
void tell_states(const struct request *request, int fd, const char *who);

double seconds_now(void);
unsigned int sent_again(int fd);
void write_all(int fd, const char *data, size_t length);

#endif
