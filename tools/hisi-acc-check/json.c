// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "json.h"

struct parser {
	struct json_file *file;
	char *at;
	char *end;
	size_t used;
};

static bool json_fail(struct parser *p, const char *error)
{
	if (!p->file->error) {
		p->file->error = error;
		p->file->line = 1;
		for (const char *c = p->file->text; c < p->at && c < p->end; c++)
			p->file->line += *c == '\n';
	}
	return false;
}

/* The next character that is not white space; 0 at the end, where the text has one, too */
static char json_peek(struct parser *p)
{
	while (p->at < p->end && strchr(" \t\r\n", *p->at) && *p->at)
		p->at++;
	return p->at < p->end ? *p->at : 0;
}

static bool json_take(struct parser *p, char c)
{
	if (json_peek(p) != c)
		return false;
	p->at++;
	return true;
}

static struct json *json_new(struct parser *p)
{
	if (p->used == JSON_VALUES) {
		json_fail(p, "it has too many values");
		return NULL;
	}
	return &p->file->values[p->used++];
}

/* Four hexadecimal digits, of a printable character of ASCII; others become '?' */
static bool json_unicode(struct parser *p, char *c)
{
	unsigned int value = 0;

	for (int i = 0; i < 4; i++, p->at++) {
		if (p->at == p->end || !isxdigit((unsigned char)*p->at))
			return json_fail(p, "a string has a wrong escape");
		value = value << 4 | (isdigit((unsigned char)*p->at) ? *p->at - '0' :
				      (*p->at | 0x20) - 'a' + 10);
	}
	*c = value >= ' ' && value <= '~' ? value : '?';
	return true;
}

static bool json_escape(struct parser *p, char *c)
{
	static const char escapes[] = "\"\\/bfnrt";

	if (p->at == p->end)
		return json_fail(p, "a string does not end");
	*c = *p->at++;
	if (*c == 'u')
		return json_unicode(p, c);
	if (!*c || !strchr(escapes, *c))
		return json_fail(p, "a string has a wrong escape");
	if (strchr("bfnrt", *c))
		*c = ' ';
	return true;
}

/* Decodes a string where it stands */
static const char *json_string(struct parser *p)
{
	char *start, *to;

	if (!json_take(p, '"')) {
		json_fail(p, "a string is missing");
		return NULL;
	}
	start = p->at;
	to = p->at;
	while (p->at < p->end && *p->at != '"') {
		char c = *p->at++;

		if (c < ' ' || c > '~') {
			json_fail(p, "a string has a character that is not printable ASCII");
			return NULL;
		}
		if (c == '\\' && !json_escape(p, &c))
			return NULL;
		*to++ = c;
	}
	if (p->at == p->end) {
		json_fail(p, "a string does not end");
		return NULL;
	}
	p->at++;
	*to = 0;
	return start;
}

static bool json_number(struct parser *p, struct json *value)
{
	uint64_t number = 0;
	char *start = p->at;

	for (; p->at < p->end && isdigit((unsigned char)*p->at); p->at++) {
		number = number * 10 + (*p->at - '0');
		if (number > UINT32_MAX)
			return json_fail(p, "a number is too large");
	}
	if (p->at - start > 1 && *start == '0')
		return json_fail(p, "a number begins with 0");
	if (p->at < p->end && strchr(".eE+-", *p->at) && *p->at)
		return json_fail(p, "a number is not an integer");
	value->type = JSON_NUMBER;
	value->number = number;
	return true;
}

static bool json_word(struct parser *p, struct json *value)
{
	static const struct {
		const char *word;
		enum json_type type;
		uint32_t number;
	} words[] = {
		{ "null", JSON_NULL, 0 }, { "true", JSON_BOOL, 1 }, { "false", JSON_BOOL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t len = strlen(words[i].word);

		if ((size_t)(p->end - p->at) < len || memcmp(p->at, words[i].word, len))
			continue;
		p->at += len;
		value->type = words[i].type;
		value->number = words[i].number;
		return true;
	}
	return json_fail(p, "there is no value where one has to be");
}

static bool json_value(struct parser *p, struct json *value, unsigned int depth);

static bool json_has(const struct json *object, const struct json *until, const char *name)
{
	for (const struct json *member = object->first; member != until; member = member->next)
		if (!strcmp(member->name, name))
			return true;
	return false;
}

/* A member of an object, or an element of an array, at the end of those before */
static bool json_entry(struct parser *p, struct json *value, struct json ***last,
		       unsigned int depth)
{
	struct json *entry = json_new(p);

	if (!entry)
		return false;
	if (value->type == JSON_OBJECT) {
		entry->name = json_string(p);
		if (!entry->name)
			return false;
		if (json_has(value, NULL, entry->name))
			return json_fail(p, "an object has two members of one name");
		if (!json_take(p, ':'))
			return json_fail(p, "a colon is missing");
	}
	if (!json_value(p, entry, depth))
		return false;
	**last = entry;
	*last = &entry->next;
	return true;
}

static bool json_entries(struct parser *p, struct json *value, char end, unsigned int depth)
{
	struct json **last = &value->first;
	unsigned int count = 0;

	if (depth > JSON_DEPTH)
		return json_fail(p, "it is nested too deeply");
	if (json_take(p, end))
		return true;
	do {
		if (value->type == JSON_OBJECT && ++count > JSON_MEMBERS)
			return json_fail(p, "an object has too many members");
		if (!json_entry(p, value, &last, depth))
			return false;
	} while (json_take(p, ','));
	return json_take(p, end) || json_fail(p, "a comma or a bracket is missing");
}

static bool json_value(struct parser *p, struct json *value, unsigned int depth)
{
	char c = json_peek(p);

	if (c == '{' || c == '[') {
		p->at++;
		value->type = c == '{' ? JSON_OBJECT : JSON_ARRAY;
		return json_entries(p, value, c == '{' ? '}' : ']', depth + 1);
	}
	if (c == '"') {
		value->type = JSON_STRING;
		value->text = json_string(p);
		return value->text;
	}
	if (isdigit((unsigned char)c))
		return json_number(p, value);
	return json_word(p, value);
}

/* All of the file, with a 0 behind; its length or -errno */
static ssize_t json_read(char *text, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t have = 0, len;

	if (fd < 0)
		return -errno;
	do {
		len = read(fd, text + have, JSON_SIZE + 1 - have);
		if (len > 0)
			have += len;
	} while (len > 0 && have <= JSON_SIZE);
	if (len < 0)
		have = -errno;
	close(fd);
	if (have >= 0)
		text[have] = 0;
	return have;
}

/*
 * Reads and parses a file, for json_free() also when that fails: -EBADMSG with what
 * is wrong with it, or -errno of reading it.
 */
int json_parse(struct json_file *file, const char *path)
{
	struct parser p = { .file = file };
	struct json *value;
	ssize_t len;

	*file = (struct json_file) { NULL };
	file->text = malloc(JSON_SIZE + 2);
	file->values = calloc(JSON_VALUES, sizeof(*file->values));
	if (!file->text || !file->values)
		return -ENOMEM;
	len = json_read(file->text, path);
	if (len < 0)
		return len;
	p.at = file->text;
	p.end = file->text + len;
	value = json_new(&p);
	if (len > JSON_SIZE)
		json_fail(&p, "it is larger than 1 MiB");
	else if (json_value(&p, value, 0) && (json_peek(&p) || p.at != p.end))
		json_fail(&p, "something follows its end");
	return file->error ? -EBADMSG : 0;
}

void json_free(struct json_file *file)
{
	free(file->values);
	free(file->text);
	*file = (struct json_file) { NULL };
}

/* A member of an object if it is there and of this type, or NULL */
const struct json *json_member(const struct json *object, const char *name, enum json_type type)
{
	if (!object || object->type != JSON_OBJECT)
		return NULL;
	for (const struct json *member = object->first; member; member = member->next)
		if (!strcmp(member->name, name))
			return member->type == type ? member : NULL;
	return NULL;
}
