// SPDX-License-Identifier: GPL-2.0
/*
 * A program that uses the family, for tests that are shell scripts:
 *   hold fresh|bound|listening|connected  says "ready" with such a socket open,
 *                                         and ends when its input does
 *   hold type NUMBER                      says what socket() makes of this
 *                                         type: "ok", or the error's name
 */
#define _GNU_SOURCE
#include "harness.h"

#include <stdio.h>
#include <string.h>

static void hold_open(const char *way)
{
	union address address = loopback(0);
	char byte;

	if (strcmp(way, "fresh") == 0)
		make_socket(0);
	else if (strcmp(way, "bound") == 0)
		bound(family(), 0);
	else if (strcmp(way, "listening") == 0)
		listener(1, &address);
	else if (strcmp(way, "connected") == 0)
		make_pair();
	else
		FAIL("hold %s", way);
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "type") == 0) {
		int made = socket(domain_of(family()), atoi(argv[2]),
				  protocol_of(family()));

		puts(made < 0 ? error_name(errno) : "ok");
		return 0;
	}
	if (argc != 2)
		FAIL("hold WAY, or hold type NUMBER");
	hold_open(argv[1]);
	return 0;
}
