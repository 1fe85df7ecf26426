// SPDX-License-Identifier: ISC
/* System calls from inside another process, by ptrace. See inject.h. */
#include "tests/isolation/inject.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static const unsigned char SYSCALL_INSTRUCTION[2] = { 0x0f, 0x05 };

static bool read_memory(pid_t pid, uint64_t address, void *data, size_t size)
{
	struct iovec here = { data, size }, there = { (void *)address, size };

	return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)size;
}

static uint64_t find_in(pid_t pid, uint64_t from, uint64_t to)
{
	unsigned char page[4096];

	for (; from < to; from += sizeof(page)) {
		const unsigned char *at;

		if (!read_memory(pid, from, page, sizeof(page)))
			continue;
		at = memmem(page, sizeof(page), SYSCALL_INSTRUCTION, sizeof(SYSCALL_INSTRUCTION));
		if (at)
			return from + (uint64_t)(at - page);
	}
	return 0;
}

/* Any program that may run system calls has the instruction somewhere. */
static uint64_t find_instruction(pid_t pid)
{
	char path[64], line[4400];
	uint64_t found = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	while (maps && !found && fgets(line, sizeof(line), maps)) {
		unsigned long from, to;
		char *rest;

		from = strtoul(line, &rest, 16);
		to = strtoul(rest + 1, &rest, 16);
		if (rest[3] == 'x' && !strstr(line, "[vsyscall]"))
			found = find_in(pid, from, to);
	}
	if (maps)
		fclose(maps);
	return found;
}

/* Wait until it stops; signals that are not ours are kept for later. False when it is gone. */
static bool wait_stop(struct target *target)
{
	int status;

	while (waitpid(target->pid, &status, __WALL) == target->pid) {
		int event = status >> 16, signal_number;
		unsigned long message;

		if (!WIFSTOPPED(status)) {
			target->gone = true;
			return false;
		}
		signal_number = WSTOPSIG(status);
		if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK ||
			event == PTRACE_EVENT_CLONE) {
			ptrace(PTRACE_GETEVENTMSG, target->pid, NULL, &message);
			target->child = (pid_t)message;
		} else if (event == PTRACE_EVENT_EXEC) {
			target->gone = true;
			return false;
		} else if (event == PTRACE_EVENT_STOP || signal_number == SIGTRAP) {
			return true;
		} else {
			target->signals |= 1ull << (signal_number - 1);
		}
		if (ptrace(PTRACE_SINGLESTEP, target->pid, NULL, NULL) < 0)
			break;
	}
	target->gone = true;
	return false;
}

long target_call6(struct target *target, long number, uint64_t a, uint64_t b, uint64_t c,
	uint64_t d, uint64_t e, uint64_t f)
{
	struct user_regs_struct registers = target->saved;

	if (target->gone)
		return -ESRCH;
	/* orig_rax -1: what the process was doing is not begun again now, but when its own registers are put back. */
	registers.orig_rax = (unsigned long long)-1;
	registers.rip = target->instruction;
	registers.rax = (unsigned long long)number;
	registers.rdi = a;
	registers.rsi = b;
	registers.rdx = c;
	registers.r10 = d;
	registers.r8 = e;
	registers.r9 = f;
	registers.rsp = (registers.rsp - 4096) & ~15ull;
	target->child = 0;
	/* A stop may come before the step (a stop that was asked for, still under way): step until the instruction is behind us. */
	if (ptrace(PTRACE_SETREGS, target->pid, NULL, &registers) < 0)
		return -ESRCH;
	do {
		if (ptrace(PTRACE_SINGLESTEP, target->pid, NULL, NULL) < 0 || !wait_stop(target) ||
			ptrace(PTRACE_GETREGS, target->pid, NULL, &registers) < 0)
			return -ESRCH;
	} while (registers.rip == target->instruction);
	return (long)registers.rax;
}

bool target_open(struct target *target, pid_t pid)
{
	const long options = PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
	char path[64];
	ssize_t length;
	long room;

	*target = (struct target){ .pid = pid };
	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	length = readlink(path, target->root, sizeof(target->root) - 1);
	if (length <= 0 || ptrace(PTRACE_SEIZE, pid, NULL, options) < 0 ||
		ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 || !wait_stop(target) ||
		ptrace(PTRACE_GETREGS, pid, NULL, &target->saved) < 0)
		return false;
	target->instruction = find_instruction(pid);
	if (!target->instruction)
		return false;
	room = CALL6(target, SYS_mmap, 0, SCRATCH_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room < 0 && room > -4096)
		return false;
	target->scratch = (uint64_t)room;
	return true;
}

void target_close(struct target *target)
{
	if (target->gone)
		return;
	CALL2(target, SYS_munmap, target->scratch, SCRATCH_BYTES);
	ptrace(PTRACE_SETREGS, target->pid, NULL, &target->saved);
	ptrace(PTRACE_DETACH, target->pid, NULL, NULL);
	for (int number = 1; number < 64; number++) {
		if (target->signals & 1ull << (number - 1))
			kill(target->pid, number);
	}
}

uint64_t target_room(struct target *target, size_t size)
{
	uint64_t address = target->scratch + target->used;

	if (target->used + size > SCRATCH_BYTES)
		return 0;
	target->used += (size + 15) & ~(size_t)15;
	return address;
}

uint64_t target_put(struct target *target, const void *data, size_t size)
{
	uint64_t address = target_room(target, size);
	struct iovec here = { (void *)data, size }, there = { (void *)address, size };

	if (!address || process_vm_writev(target->pid, &here, 1, &there, 1, 0) != (ssize_t)size)
		return 0;
	return address;
}

uint64_t target_text(struct target *target, const char *text)
{
	return target_put(target, text, strlen(text) + 1);
}

bool target_get(struct target *target, uint64_t address, void *data, size_t size)
{
	return read_memory(target->pid, address, data, size);
}

void target_forget(struct target *target)
{
	target->used = 0;
}

void target_bury(struct target *target)
{
	pid_t child = target->child;
	int status;

	if (!child)
		return;
	kill(child, SIGKILL);
	while (waitpid(child, &status, __WALL) == child && !WIFEXITED(status) &&
		!WIFSIGNALED(status))
		continue;
	/* The parent would be told of a child that it never had. */
	CALL4(target, SYS_wait4, child, 0, 0, 0);
	target->signals &= ~(1ull << (SIGCHLD - 1));
	target->child = 0;
}
