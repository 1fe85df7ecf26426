// SPDX-License-Identifier: ISC
/*
 * A message between two processes as a struct, and its encoding as one packet. See messages.h for the declarations.
 *
 * Packet: u16 type, u16 build, then the fields in order: integers little-endian, TEXT, BYTES and SECRET as u32 length + bytes. The
 * packet is exactly as long as its fields.
 */
#ifndef IPC_MESSAGE_H
#define IPC_MESSAGE_H

#include "base/buffer.h"
#include "ipc/messages.h"

#define MESSAGE_ENUM(NAME, member, fds) MESSAGE_##NAME,
enum message_type { MESSAGE_NONE = 0, MESSAGES(MESSAGE_ENUM) MESSAGE_TYPES };
#undef MESSAGE_ENUM

#define MESSAGE_MEMBER_TEXT(name)       struct slice name;
#define MESSAGE_MEMBER_BYTES(name)      struct slice name;
#define MESSAGE_MEMBER_SECRET(name)     struct slice name;
#define MESSAGE_MEMBER_U8(name)         uint8_t name;
#define MESSAGE_MEMBER_U16(name)        uint16_t name;
#define MESSAGE_MEMBER_U32(name)        uint32_t name;
#define MESSAGE_MEMBER_U64(name)        uint64_t name;
#define MESSAGE_MEMBER_I64(name)        int64_t name;
#define MESSAGE_MEMBER(kind, name, max) MESSAGE_MEMBER_##kind(name)
#define MESSAGE_STRUCT(NAME, member, fds) \
	struct message_##member { \
		FIELDS_##NAME(MESSAGE_MEMBER) \
	};
MESSAGES(MESSAGE_STRUCT)
#undef MESSAGE_STRUCT

struct message {
	enum message_type type;
	unsigned fd_count;
	int fds[MESSAGE_FDS]; /* received ones belong to the receiver's handler: message_take_fd, or they are closed after it */
#define MESSAGE_UNION(NAME, member, fds) struct message_##member member;
	union {
		MESSAGES(MESSAGE_UNION)
	};
#undef MESSAGE_UNION
};

/* Append the packet. False when a field is over its bound (or TEXT holds NUL): then nothing was appended. */
MUST_CHECK bool message_encode(const struct message *message, struct buffer *packet);
/* TEXT, BYTES and SECRET borrow from `packet`. False when the packet is not exactly a message of this build. Does not touch fds. */
MUST_CHECK bool message_decode(struct slice packet, struct message *message);
/*
 * Several packets in one buffer, each behind its length. False when this one cannot be added: then the list ends before it, whatever is
 * added later.
 */
MUST_CHECK bool message_append(const struct message *message, struct buffer *packets);
/* The next one of the list; false at its end. As message_decode. */
MUST_CHECK bool message_next(struct slice *rest, struct message *message);
/* "CLEANUP_BEGIN"; "?" for a type that is none. */
const char *message_name(enum message_type type);
/* Has it a SECRET field? Then whoever holds the packet keeps it in a secret buffer, or wipes it when it was sent or heard. */
bool message_is_secret(enum message_type type);
/* Wipe a packet that was heard, if it is of such a message, or of none. */
void message_wipe(void *packet, size_t length);
/* How many descriptors may come with it. */
unsigned message_fd_limit(enum message_type type);
/* Take a descriptor over from a received message; -1 when there is none at `index`. */
int message_take_fd(struct message *message, unsigned index);
/* Close those that nobody took. */
void message_close_fds(struct message *message);
/* A number that changes with the declarations. */
uint16_t message_build(void);

#endif
