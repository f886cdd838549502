/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A strict parser of JSON from an untrusted source: all of it in memory that was
 * allocated before, no recursion without a bound, nothing that the format does not use.
 */
#ifndef HISI_ACC_CHECK_JSON_H
#define HISI_ACC_CHECK_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_SIZE	1048576	/* of a file */
#define JSON_VALUES	65536	/* in a file, 3 MiB of memory */
#define JSON_DEPTH	8
#define JSON_MEMBERS	64		/* of an object */

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

/**
 * struct json - a value
 * @type: its type
 * @number: of a number, or of a boolean
 * @text: of a string: printable ASCII
 * @name: of a member of an object
 * @next: the next one in the same array or object
 * @first: of an array or object
 */
struct json {
	enum json_type type;
	uint32_t number;
	const char *text;
	const char *name;
	struct json *next;
	struct json *first;
};

/**
 * struct json_file - a parsed file
 * @values: all of them, the first is the outermost
 * @text: of the file; strings are in it
 * @error: what is wrong with it, in words
 * @line: where, from 1 on
 */
struct json_file {
	struct json *values;
	char *text;
	const char *error;
	unsigned int line;
};

int json_parse(struct json_file *file, const char *path);
void json_free(struct json_file *file);
const struct json *json_member(const struct json *object, const char *name, enum json_type type);

#endif
