/* SPDX-License-Identifier: GPL-2.0 */
/*
 * BPF programs for tests: written instruction by instruction, loaded and
 * attached with bpf(2) alone. What is attached is so until the case ends.
 */
#ifndef TESTS_BPF_H
#define TESTS_BPF_H

#include "harness.h"

#include <linux/bpf.h>

/* Registers are numbers; 10 is the frame's pointer. */
#define INSN(opcode, to, from, offset, value)				\
	((struct bpf_insn){ .code = (opcode), .dst_reg = (to),		\
			    .src_reg = (from), .off = (offset),		\
			    .imm = (value) })
#define SET(to, value)		INSN(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value)
#define COPY(to, from)		INSN(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0)
#define ADD(to, value)		INSN(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value)
#define AND(to, value)		INSN(BPF_ALU64 | BPF_AND | BPF_K, to, 0, 0, value)
/* size: BPF_B, BPF_H, BPF_W or BPF_DW */
#define LOAD(size, to, from, offset)	\
	INSN(BPF_LDX | (size) | BPF_MEM, to, from, offset, 0)
#define STORE(size, to, offset, from)	\
	INSN(BPF_STX | (size) | BPF_MEM, to, from, offset, 0)
#define STORE_VALUE(size, to, offset, value)	\
	INSN(BPF_ST | (size) | BPF_MEM, to, 0, offset, value)
#define COUNT_AT(to, from)	\
	INSN(BPF_STX | BPF_DW | BPF_ATOMIC, to, from, 0, BPF_ADD)
/* Skip so many instructions. */
#define IF_EQUAL(register_, value, skipped)	\
	INSN(BPF_JMP | BPF_JEQ | BPF_K, register_, 0, skipped, value)
#define IF_NOT_EQUAL(register_, value, skipped)	\
	INSN(BPF_JMP | BPF_JNE | BPF_K, register_, 0, skipped, value)
#define CALL(helper)		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, helper)
#define EXIT			INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
/* One after the other: it takes the place of two. */
#define MAP(to, fd)		\
	INSN(BPF_LD | BPF_DW | BPF_IMM, to, BPF_PSEUDO_MAP_FD, 0, fd)
#define MAP_REST		INSN(0, 0, 0, 0, 0)

#define PROGRAM(type, attach, ...)					\
	({								\
		const struct bpf_insn program_[] = { __VA_ARGS__ };	\
									\
		load_program(type, attach, program_,			\
			     sizeof(program_) / sizeof(program_[0]));	\
	})

int load_program(int type, int attach, const struct bpf_insn *instructions,
		 size_t count);
/* To a control group's directory, or for tcx to a device. */
int attach_program(int program, int target, int attach);
void detach_program(int link);

/* A map with one counter, and a program that counts its calls there. */
int make_counter(void);
long counted(int counter);
int counting_program(int type, int attach, int counter);
/* A program that returns this. */
int constant_program(int type, int attach, int value);

/* A field of the TCP header: its bytes, masked, have this value. */
struct field {
	int offset;
	int size;	/* BPF_B or BPF_H; the network's order */
	int mask;
	int value;
};

/* A program for packets that drops those with all of these fields. */
int dropping_program(const struct field *fields, size_t count);

/* A control group of the case's own, which its parent outlives. */
struct group {
	char path[64];
	int fd;
};

struct group make_group(void);
/* The calling process's sockets are the group's from now on, or the root's. */
void join_group(const struct group *group);
void leave_group(void);
/* When nothing of the case is in it any more. */
void remove_group(struct group *group);

#endif
