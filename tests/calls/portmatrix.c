// SPDX-License-Identifier: GPL-2.0
/*
 * Who may have a port together with whom: all pairs of a socket that is bound
 * and one that comes, by address, options, device, user, and whether the first
 * listens. What must come out is computed from Linux's rules; that these are
 * right shows on its own TCP. Each pair is tried within the family under test
 * and, with ours, both ways round across it and Linux's.
 */
#define _GNU_SOURCE
#include "devices.h"
#include "harness.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>

#define PORT	4000

struct place {
	const char *text;
	bool v6;
	bool only;		/* IPV6_V6ONLY */
};

static const struct place v4_places[] = {
	{ "0.0.0.0", false, false },
	{ "127.0.0.1", false, false },
	{ "127.0.0.2", false, false },
};

static const struct place all_places[] = {
	{ "0.0.0.0", false, false },
	{ "127.0.0.1", false, false },
	{ "127.0.0.2", false, false },
	{ "::", true, false },
	{ "::", true, true },
	{ "::1", true, false },
	{ "::1", true, true },
	{ "::ffff:0.0.0.0", true, false },
	{ "::ffff:127.0.0.1", true, false },
};

enum { NO_DEVICE, LOOPBACK, OTHER };

/* The devices of the first and of the second. */
static const int devices[][2] = {
	{ NO_DEVICE, NO_DEVICE }, { NO_DEVICE, LOOPBACK },
	{ LOOPBACK, NO_DEVICE },  { LOOPBACK, LOOPBACK },
	{ LOOPBACK, OTHER },
};

static const char * const device_names[] = { "none", "lo", "other" };

struct kind {
	const struct place *place;
	int af;
	bool address;		/* SO_REUSEADDR */
	bool port;		/* SO_REUSEPORT */
	int device;
	bool user;		/* another user's */
	bool listens;
};

static bool mapped(const struct place *place)
{
	return !place->v6 || strncmp(place->text, "::ffff:", 7) == 0;
}

/* The IPv4 address, mapped or not; 0 for those of IPv6 proper. */
static uint32_t v4_address(const struct place *place)
{
	if (!mapped(place))
		return 0;
	return inet_addr(place->v6 ? place->text + 7 : place->text);
}

static bool any6(const struct place *place)
{
	return !mapped(place) && strcmp(place->text, "::") == 0;
}

/* bind() looks at one address only, and at the unspecified ones beside it. */
static bool specific(const struct place *place)
{
	return mapped(place) ? v4_address(place) != 0 : !any6(place);
}

/* An address of IPv6 proper has none of IPv4 with it. */
static bool only(const struct place *place)
{
	return place->only || (!mapped(place) && !any6(place));
}

static bool same_place(const struct place *one, const struct place *two)
{
	if (mapped(one) != mapped(two))
		return false;
	return mapped(one) ? v4_address(one) == v4_address(two) :
			     strcmp(one->text, two->text) == 0;
}

/* inet_csk_bind_conflict() and what it calls, as to addresses. */
static bool places_meet(const struct place *new, const struct place *old)
{
	if (specific(new)) {
		bool beside = any6(old) || (mapped(new) && mapped(old) &&
					    !v4_address(old));

		if (!same_place(new, old) && !beside)
			return false;
		return !(only(old) && mapped(new));
	}
	if (!new->v6)
		return !only(old);
	if (mapped(new))
		return !only(old) && (mapped(old) || any6(old));
	return !(only(new) && mapped(old));
}

static bool conflict(const struct kind *new, const struct kind *old)
{
	if (!places_meet(new->place, old->place))
		return false;
	if (new->device && old->device && new->device != old->device)
		return false;
	if (new->address && old->address && !old->listens)
		return false;
	return !(new->port && old->port && new->user == old->user);
}

static int make(const struct kind *kind)
{
	int fd;

	setfsuid(kind->user ? 65534 : 0);
	fd = make_socket_of(kind->af, SOCK_CLOEXEC);
	setfsuid(0);
	if (kind->address)
		set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (kind->port)
		set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (kind->place->v6)
		set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, kind->place->only);
	if (kind->device) {
		const char *name = device_names[kind->device];

		OK(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name,
			      strlen(name) + 1));
	}
	return fd;
}

static int bind_it(int fd, const struct kind *kind)
{
	union address address;

	memset(&address, 0, sizeof(address));
	if (kind->place->v6) {
		address.v6.sin6_family = AF_INET6;
		inet_pton(AF_INET6, kind->place->text, &address.v6.sin6_addr);
	} else {
		address.v4.sin_family = AF_INET;
		inet_pton(AF_INET, kind->place->text, &address.v4.sin_addr);
	}
	set_port(&address, PORT);
	return bind_to(fd, &address) ? errno : 0;
}

static void describe(char *text, const struct kind *kind)
{
	sprintf(text, "%s family %d%s%s%s device %s%s%s", kind->place->text,
		kind->af, kind->place->only ? " only" : "",
		kind->address ? " REUSEADDR" : "",
		kind->port ? " REUSEPORT" : "", device_names[kind->device],
		kind->user ? " other user" : "",
		kind->listens ? " listens" : "");
}

static void expect(const struct kind *new, const struct kind *old,
		   const char *call, int result)
{
	int expected = conflict(new, old) ? EADDRINUSE : 0;
	char texts[2][200];

	if (result == expected)
		return;
	describe(texts[0], old);
	describe(texts[1], new);
	FAIL("%s of {%s} beside {%s}: %s, not %s", call, texts[1], texts[0],
	     error_name(result), error_name(expected));
}

static void try_pair(struct kind old, struct kind new)
{
	int first = make(&old);
	int second = make(&new);
	int result;

	EQ(bind_it(first, &old), 0);
	if (old.listens)
		OK(listen(first, 1));
	result = bind_it(second, &new);
	expect(&new, &old, "bind", result);
	if (result == 0) {
		result = listen(second, 1) ? errno : 0;
		expect(&new, &old, "listen", result);
		new.listens = result == 0;
		if (!old.listens) {
			result = listen(first, 1) ? errno : 0;
			expect(&old, &new, "listen of the first", result);
		}
	}
	close(first);
	close(second);
}

static void try_options(struct kind old, struct kind new)
{
	for (int bits = 0; bits < 64; bits++) {
		old.address = bits & 1;
		old.port = bits & 2;
		new.address = bits & 4;
		new.port = bits & 8;
		old.listens = bits & 16;
		new.user = bits & 32;
		/* The user says nothing else. */
		if (new.user && !(old.port && new.port))
			continue;
		for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
			old.device = devices[i][0];
			new.device = devices[i][1];
			/* An address of IPv6 must be the device's own. */
			if (new.device == OTHER && only(new.place) &&
			    !any6(new.place))
				continue;
			try_pair(old, new);
		}
	}
}

/* The family of ours, or of Linux, for an address of this version. */
static int version_of(int af, bool v6)
{
	if (af == AF_INET || af == AF_INET6)
		return v6 ? AF_INET6 : AF_INET;
	return v6 ? OXTCP6 : AF_OXTCP;
}

static void try_all(int old_af, int new_af)
{
	const struct place *places = v6() ? all_places : v4_places;
	size_t count = v6() ? sizeof(all_places) / sizeof(all_places[0]) :
			      sizeof(v4_places) / sizeof(v4_places[0]);

	own_netns();
	make_dummy("other");
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count; j++) {
			struct kind old = { .place = &places[i] };
			struct kind new = { .place = &places[j] };

			/* IPv4 alone is the run for IPv4's. */
			if (v6() && !places[i].v6 && !places[j].v6)
				continue;
			old.af = version_of(old_af, places[i].v6);
			new.af = version_of(new_af, places[j].v6);
			try_options(old, new);
		}
	}
}

static void within(void)
{
	try_all(family(), family());
}

/* With Linux's family these are the same pairs as with ours. */
static void across(int old_af, int new_af)
{
	if (!ours())
		skip("tried with AF_OXTCP");
	try_all(old_af, new_af);
}

static void other_first(void)
{
	across(other_family(), family());
}

static void other_second(void)
{
	across(family(), other_family());
}

int main(void)
{
	static const struct test_case cases[] = {
		SLOW_CASE(within, 120),
		SLOW_CASE(other_first, 120),
		SLOW_CASE(other_second, 120),
	};

	return RUN_CASES(cases);
}
