// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "bpf.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define CGROUPS	"/sys/fs/cgroup"

static long bpf(int command, union bpf_attr *attributes)
{
	return syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

int load_program(int type, int attach, const struct bpf_insn *instructions,
		 size_t count)
{
	static char log[65536];
	union bpf_attr attributes = {
		.prog_type = type,
		.expected_attach_type = attach,
		.insns = (uintptr_t)instructions,
		.insn_cnt = count,
		.license = (uintptr_t)"GPL",
		.log_buf = (uintptr_t)log,
		.log_size = sizeof(log),
		.log_level = 1,
	};
	int fd = bpf(BPF_PROG_LOAD, &attributes);

	if (fd < 0)
		FAIL("program refused: %s\n%s", error_name(errno), log);
	return fd;
}

int attach_program(int program, int target, int attach)
{
	union bpf_attr attributes = {
		.link_create = {
			.prog_fd = program,
			.target_fd = target,
			.attach_type = attach,
		},
	};

	return OK(bpf(BPF_LINK_CREATE, &attributes));
}

void detach_program(int link)
{
	union bpf_attr attributes = { .link_detach = { .link_fd = link } };

	OK(bpf(BPF_LINK_DETACH, &attributes));
	close(link);
}

int make_counter(void)
{
	union bpf_attr attributes = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = sizeof(uint32_t),
		.value_size = sizeof(uint64_t),
		.max_entries = 1,
	};

	return OK(bpf(BPF_MAP_CREATE, &attributes));
}

long counted(int counter)
{
	uint32_t key = 0;
	uint64_t value = 0;
	union bpf_attr attributes = {
		.map_fd = counter,
		.key = (uintptr_t)&key,
		.value = (uintptr_t)&value,
	};

	OK(bpf(BPF_MAP_LOOKUP_ELEM, &attributes));
	return value;
}

int counting_program(int type, int attach, int counter)
{
	return PROGRAM(type, attach,
		       STORE_VALUE(BPF_W, 10, -4, 0),
		       MAP(1, counter), MAP_REST,
		       COPY(2, 10), ADD(2, -4),
		       CALL(BPF_FUNC_map_lookup_elem),
		       IF_EQUAL(0, 0, 2),
		       SET(1, 1), COUNT_AT(0, 1),
		       SET(0, 1), EXIT);
}

int constant_program(int type, int attach, int value)
{
	return PROGRAM(type, attach, SET(0, value), EXIT);
}

#define PER_FIELD	9

int dropping_program(const struct field *fields, size_t count)
{
	struct bpf_insn code[1 + 8 * PER_FIELD + 4] = { COPY(6, 1) };
	int header = v6() ? 40 : 20;
	size_t at = 1;

	CHECK(count <= 8);
	for (size_t i = 0; i < count; i++) {
		const struct field *field = &fields[i];
		int size = field->size == BPF_B ? 1 : 2;
		/* To the end, where what is not to be dropped goes. */
		int rest = (count - 1 - i) * PER_FIELD + 2;
		int value = size == 1 ? field->value : htons(field->value);
		int mask = size == 1 ? field->mask : htons(field->mask);

		const struct bpf_insn part[PER_FIELD] = {
			COPY(1, 6),
			SET(2, header + field->offset),
			COPY(3, 10), ADD(3, -8),
			SET(4, size),
			CALL(BPF_FUNC_skb_load_bytes),
			LOAD(field->size, 1, 10, -8),
			AND(1, mask),
			IF_NOT_EQUAL(1, value, rest),
		};

		memcpy(&code[at], part, sizeof(part));
		at += PER_FIELD;
	}
	code[at++] = SET(0, 0);
	code[at++] = EXIT;
	code[at++] = SET(0, 1);
	code[at++] = EXIT;
	return load_program(BPF_PROG_TYPE_CGROUP_SKB, 0, code, at);
}

static void write_self(const char *group)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	write_file(path, "0");
}

struct group make_group(void)
{
	struct group group;

	snprintf(group.path, sizeof(group.path), CGROUPS "/test%d", getpid());
	OK(mkdir(group.path, 0755));
	group.fd = OK(open(group.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	return group;
}

void join_group(const struct group *group)
{
	write_self(group->path);
}

void leave_group(void)
{
	write_self(CGROUPS);
}

void remove_group(struct group *group)
{
	leave_group();
	close(group->fd);
	OK(rmdir(group->path));
}
