// SPDX-License-Identifier: ISC
/* DIRECTORY_EXPAND: the virtual aliases of a recipient, in full depth. See answer.h. */
#include "directory/answer_impl.h"

struct node {
	struct slice address; /* as it goes out */
	struct slice key;
	unsigned depth;
	int parent; /* index of the node it came from; -1: the question */
	bool final; /* not to be expanded any more */
};

struct expansion {
	struct directory *d;
	struct vector nodes;
	struct map seen; /* keys of all nodes */
	const char *reason;
};

static bool give_up(struct expansion *e, const char *reason)
{
	e->reason = reason;
	return false;
}

static bool is_ancestor(const struct expansion *e, int index, struct slice key)
{
	for (; index >= 0;) {
		const struct node *node = vector_at(&e->nodes, (size_t)index);

		if (slice_equal(node->key, key))
			return true;
		index = node->parent;
	}
	return false;
}

static bool add_node(struct expansion *e, const struct recipient *r, unsigned depth, int parent)
{
	/* An address that comes back is a loop: it is delivered as it stands. One that came another way is a duplicate. */
	bool loop = is_ancestor(e, parent, r->key), mark = true;
	struct node *node;

	for (size_t i = 0; loop && i < e->nodes.count; i++) {
		node = vector_at(&e->nodes, i);
		mark = mark && !(node->final && slice_equal(node->key, r->key));
	}
	if (!mark || (!loop && map_get(&e->seen, r->key)))
		return true;
	if (depth > e->d->settings.recursion_limit)
		return give_up(e, "aliases nested too deeply");
	if (e->nodes.count > e->d->settings.expansion_limit * 2ul)
		return give_up(e, "alias has too many addresses");
	node = vector_add(&e->nodes);
	if (!node || (!loop && !map_put(&e->seen, r->key, e)))
		return give_up(e, "out of memory");
	*node = (struct node){ r->address, r->key, depth, parent, loop };
	return true;
}

/* The next address of an alias value: separated by commas and white space, quotes respected, without "<" and ">". */
static bool next_address(struct slice *rest, struct slice *address)
{
	size_t begin = 0, end;
	bool quoted = false;

	while (begin < rest->length && strchr(", \t\r\n", rest->data[begin]))
		begin++;
	for (end = begin; end < rest->length; end++) {
		char c = rest->data[end];

		if (c == '\\' && quoted && end + 1 < rest->length)
			end++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && c && strchr(", \t\r\n", c))
			break;
	}
	*address = slice_of(rest->data + begin, end - begin);
	*rest = slice_tail(*rest, end);
	if (address->length >= 2 && address->data[0] == '<' &&
		address->data[address->length - 1] == '>')
		*address = slice_of(address->data + 1, address->length - 2);
	return end > begin;
}

/* The extension that was passed over in the search goes on to the result; "@domain" takes the local part over. */
static struct slice complete(struct expansion *e, const struct recipient *from, struct slice text,
	struct slice extension)
{
	ptrdiff_t at = slice_find_last(text, '@');
	const char *full;

	if (at == 0)
		full = arena_printf(
			&e->d->arena, "%.*s%.*s", SLICE_ARG(from->local), SLICE_ARG(text));
	else if (extension.length && e->d->settings.recipient_delimiter[0])
		full = arena_printf(&e->d->arena, "%.*s%c%.*s%.*s",
			SLICE_ARG(at < 0 ? text : slice_head(text, (size_t)at)),
			from->local.data[from->local.length - extension.length - 1],
			SLICE_ARG(extension),
			SLICE_ARG(at < 0 ? slice_of("", 0) : slice_tail(text, (size_t)at)));
	else
		return text;
	return full ? slice_from(full) : slice_of("", 0);
}

/* Add what `index` stands for. A value that holds no address is not to be delivered to nowhere: an error. */
static bool add_children(struct expansion *e, int index, const struct recipient *from,
	struct slice values, struct slice extension)
{
	struct slice rest = values, text;
	unsigned depth = ((struct node *)vector_at(&e->nodes, (size_t)index))->depth + 1;
	struct recipient child;
	bool any = false;

	while (next_address(&rest, &text)) {
		/* Who sent the message chose no U-labels here, and where it goes may know none. */
		text = ascii_address(&e->d->arena, complete(e, from, text, extension));
		if (recipient_parse(e->d, text, &child) != DIRECTORY_FOUND)
			return give_up(e, "alias value is not a list of addresses");
		if (!add_node(e, &child, depth, index))
			return false;
		any = true;
	}
	return any || give_up(e, "alias without a value");
}

static bool expand_node(struct expansion *e, int index)
{
	struct node *node = vector_at(&e->nodes, (size_t)index);
	struct slice extension, values;
	enum directory_status status;
	struct recipient r;

	if (node->final)
		return true;
	if (recipient_parse(e->d, node->address, &r) != DIRECTORY_FOUND)
		return give_up(e, "out of memory");
	status = find_alias(e->d, &r, &extension);
	if (status == DIRECTORY_NOT_FOUND) {
		node->final = true;
		return true;
	}
	if (status != DIRECTORY_FOUND)
		return give_up(e, "alias lookup failed");
	values = arena_slice(&e->d->arena, buffer_slice(&e->d->value));
	return values.data ? add_children(e, index, &r, values, extension)
			   : give_up(e, "out of memory");
}

static void send_all(struct expansion *e, uint32_t serial, answer_send send, void *context)
{
	struct message answer = { .type = MESSAGE_DIRECTORY_EXPAND_ANSWER };
	struct message_directory_expand_answer *fields = &answer.directory_expand_answer;
	size_t left = 0;

	for (size_t i = 0; i < e->nodes.count; i++)
		left += ((struct node *)vector_at(&e->nodes, i))->final;
	fields->serial = serial;
	fields->status = DIRECTORY_FOUND;
	for (size_t i = 0; i < e->nodes.count; i++) {
		const struct node *node = vector_at(&e->nodes, i);

		if (!node->final)
			continue;
		fields->address = node->address;
		fields->more = --left > 0;
		send(context, &answer);
	}
}

static void send_failure(uint32_t serial, enum directory_status status, const char *reason,
	answer_send send, void *context)
{
	struct message answer = { .type = MESSAGE_DIRECTORY_EXPAND_ANSWER };

	answer.directory_expand_answer.serial = serial;
	answer.directory_expand_answer.status = status;
	answer.directory_expand_answer.reason = slice_from(reason);
	send(context, &answer);
}

static bool expand_all(struct expansion *e)
{
	unsigned results = 0;

	/* The vector grows while it is walked: breadth first, in the order of the values. */
	for (size_t i = 0; i < e->nodes.count; i++) {
		if (!expand_node(e, (int)i))
			return false;
		results += ((struct node *)vector_at(&e->nodes, i))->final;
		if (results > e->d->settings.expansion_limit)
			return give_up(e, "alias has too many addresses");
	}
	return true;
}

enum directory_status expand_alone(
	struct directory *d, const struct recipient *r, struct recipient *final)
{
	struct expansion e = { .d = d, .nodes = vector_of(sizeof(struct node), 0) };
	enum directory_status status = DIRECTORY_TEMPORARY;
	const struct node *only = NULL;
	size_t count = 0;

	if (add_node(&e, r, 0, -1) && expand_all(&e)) {
		for (size_t i = 0; i < e.nodes.count; i++) {
			const struct node *node = vector_at(&e.nodes, i);

			only = node->final ? node : only;
			count += node->final;
		}
		status =
			count == 1 ? recipient_parse(d, only->address, final) : DIRECTORY_NOT_FOUND;
	}
	vector_free(&e.nodes);
	map_free(&e.seen);
	return status;
}

void answer_expand(
	struct directory *d, const struct message *question, answer_send send, void *context)
{
	const struct message_directory_expand *asked = &question->directory_expand;
	struct expansion e = { .d = d, .nodes = vector_of(sizeof(struct node), 0) };
	struct recipient r;
	enum directory_status status = recipient_parse(d, asked->recipient, &r);

	if (status != DIRECTORY_FOUND)
		send_failure(asked->serial, status,
			status == DIRECTORY_BAD ? "not an address" : "out of memory", send,
			context);
	else if (!add_node(&e, &r, 0, -1) || !expand_all(&e))
		send_failure(asked->serial, DIRECTORY_TEMPORARY, e.reason, send, context);
	else
		send_all(&e, asked->serial, send, context);
	vector_free(&e.nodes);
	map_free(&e.seen);
}
