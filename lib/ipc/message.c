// SPDX-License-Identifier: ISC
/* Encoding and decoding of messages, driven by the tables of messages.h. See message.h. */
#include "ipc/message.h"

#include <stddef.h>
#include <unistd.h>

enum field_kind {
	FIELD_TEXT,
	FIELD_BYTES,
	FIELD_SECRET,
	FIELD_U8,
	FIELD_U16,
	FIELD_U32,
	FIELD_U64,
	FIELD_I64
};

struct field {
	const char *name;
	size_t offset;
	uint32_t max;
	uint8_t kind;
};

struct form {
	const char *name;
	const struct field *(*fields)(void);
	unsigned field_count;
	unsigned fd_limit;
	bool secret;
};

/* Each message's fields, with their offsets within its own struct: the union's members all begin at body_offset(). */
#define FORM_FIELD(kind_, name_, max_) { #name_, offsetof(CURRENT, name_), max_, FIELD_##kind_ },
#define FORM_FIELDS(NAME, member, fds) \
	static const struct field *fields_of_##member(void) \
	{ \
		typedef struct message_##member CURRENT; \
		static const struct field fields[] = { FIELDS_##NAME(FORM_FIELD) }; \
		return fields; \
	}
MESSAGES(FORM_FIELDS)

#define FORM_COUNT(kind_, name_, max_)  +1
#define FORM_SECRET(kind_, name_, max_) || FIELD_##kind_ == FIELD_SECRET
#define FORM_ROW(NAME, member, fds) \
	[MESSAGE_##NAME] = { #NAME, fields_of_##member, 0 FIELDS_##NAME(FORM_COUNT), fds, \
		false FIELDS_##NAME(FORM_SECRET) },
static const struct form FORMS[MESSAGE_TYPES] = { MESSAGES(FORM_ROW) };

static size_t kind_size(uint8_t kind)
{
	static const uint8_t SIZES[] = { sizeof(struct slice), sizeof(struct slice),
		sizeof(struct slice), 1, 2, 4, 8, 8 };

	return SIZES[kind];
}

static size_t body_offset(void)
{
	return offsetof(struct message, master_start);
}

static bool encode_field(const struct field *field, const char *at, struct buffer *packet)
{
	struct slice s;
	uint32_t length;

	if (field->kind > FIELD_SECRET)
		return buffer_append(packet, at, kind_size(field->kind));
	memcpy(&s, at, sizeof(s));
	length = (uint32_t)s.length;
	if (s.length > field->max || (field->kind == FIELD_TEXT && slice_find(s, '\0') >= 0))
		return false;
	return buffer_append(packet, &length, sizeof(length)) && buffer_add(packet, s);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "packets hold integers in host order");

bool message_encode(const struct message *message, struct buffer *packet)
{
	const struct form *form;
	const struct field *fields;
	size_t start = packet->length;
	uint16_t head[2] = { (uint16_t)message->type, message_build() };

	if (message->type <= MESSAGE_NONE || message->type >= MESSAGE_TYPES)
		return false;
	form = &FORMS[message->type];
	if (message->fd_count > form->fd_limit || !buffer_append(packet, head, sizeof(head)))
		return false;
	fields = form->fields();
	for (unsigned i = 0; i < form->field_count; i++) {
		if (!encode_field(&fields[i],
			    (const char *)message + body_offset() + fields[i].offset, packet)) {
			buffer_cut(packet, start);
			return false;
		}
	}
	if (packet->length - start > MESSAGE_MAX) {
		buffer_cut(packet, start);
		return false;
	}
	return true;
}

static bool decode_field(const struct field *field, struct slice *packet, char *at)
{
	struct slice s;
	uint32_t length;

	if (field->kind > FIELD_SECRET) {
		size_t size = kind_size(field->kind);

		if (packet->length < size)
			return false;
		memcpy(at, packet->data, size);
		*packet = slice_tail(*packet, size);
		return true;
	}
	if (packet->length < sizeof(length))
		return false;
	memcpy(&length, packet->data, sizeof(length));
	*packet = slice_tail(*packet, sizeof(length));
	if (length > field->max || length > packet->length)
		return false;
	s = slice_head(*packet, length);
	if (field->kind == FIELD_TEXT && slice_find(s, '\0') >= 0)
		return false;
	memcpy(at, &s, sizeof(s));
	*packet = slice_tail(*packet, length);
	return true;
}

bool message_decode(struct slice packet, struct message *message)
{
	const struct form *form;
	const struct field *fields;
	uint16_t head[2];

	message->type = MESSAGE_NONE;
	if (packet.length < sizeof(head))
		return false;
	memcpy(head, packet.data, sizeof(head));
	if (head[0] == MESSAGE_NONE || head[0] >= MESSAGE_TYPES || head[1] != message_build())
		return false;
	packet = slice_tail(packet, sizeof(head));
	form = &FORMS[head[0]];
	fields = form->fields();
	for (unsigned i = 0; i < form->field_count; i++) {
		if (!decode_field(&fields[i], &packet,
			    (char *)message + body_offset() + fields[i].offset))
			return false;
	}
	if (packet.length != 0)
		return false;
	message->type = head[0];
	return true;
}

bool message_append(const struct message *message, struct buffer *packets)
{
	size_t before = packets->length;
	uint32_t length = 0;

	/* The length stays 0, and ends the list, when the packet does not come. */
	buffer_append(packets, &length, sizeof(length));
	if (!message_encode(message, packets) || packets->failed)
		return false;
	length = (uint32_t)(packets->length - before - sizeof(length));
	memcpy(packets->data + before, &length, sizeof(length));
	return true;
}

bool message_next(struct slice *rest, struct message *message)
{
	uint32_t length;

	if (rest->length <= sizeof(length))
		return false;
	memcpy(&length, rest->data, sizeof(length));
	if (!message_decode(slice_head(slice_tail(*rest, sizeof(length)), length), message))
		return false;
	*rest = slice_tail(*rest, sizeof(length) + length);
	return true;
}

static uint32_t build_mix(uint32_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619u;
	return hash;
}

/* FNV-1a over names, kinds and bounds: not a secret, only a way to notice processes of two builds. */
static uint16_t build_hash(void)
{
	uint32_t hash = 2166136261u;

	for (unsigned type = MESSAGE_NONE + 1; type < MESSAGE_TYPES; type++) {
		const struct field *fields = FORMS[type].fields();

		hash = build_mix(hash, FORMS[type].name);
		for (unsigned i = 0; i < FORMS[type].field_count; i++) {
			hash = build_mix(hash, fields[i].name);
			hash = (hash ^ fields[i].max ^ ((uint32_t)fields[i].kind << 24)) *
			       16777619u;
		}
	}
	return (uint16_t)(hash ^ (hash >> 16)) | 1;
}

uint16_t message_build(void)
{
	static _Atomic uint16_t build;

	if (build == 0)
		build = build_hash();
	return build;
}

const char *message_name(enum message_type type)
{
	return type > MESSAGE_NONE && type < MESSAGE_TYPES ? FORMS[type].name : "?";
}

bool message_is_secret(enum message_type type)
{
	return type > MESSAGE_NONE && type < MESSAGE_TYPES && FORMS[type].secret;
}

void message_wipe(void *packet, size_t length)
{
	uint16_t type = MESSAGE_NONE;

	if (length >= sizeof(type))
		memcpy(&type, packet, sizeof(type));
	if (type == MESSAGE_NONE || type >= MESSAGE_TYPES || FORMS[type].secret)
		explicit_bzero(packet, length);
}

unsigned message_fd_limit(enum message_type type)
{
	return type > MESSAGE_NONE && type < MESSAGE_TYPES ? FORMS[type].fd_limit : 0;
}

int message_take_fd(struct message *message, unsigned index)
{
	int fd = index < message->fd_count ? message->fds[index] : -1;

	if (fd >= 0)
		message->fds[index] = -1;
	return fd;
}

void message_close_fds(struct message *message)
{
	for (unsigned i = 0; i < message->fd_count; i++) {
		if (message->fds[i] >= 0)
			close(message->fds[i]);
		message->fds[i] = -1;
	}
}
