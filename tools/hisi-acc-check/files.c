// SPDX-License-Identifier: GPL-2.0
/*
 * Files of this machine, or of a copy of another one's below a directory.
 *
 * Nothing in this file writes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

const char *files_root = "";

__printf(2, 0)
static int files_path(char path[PATH_MAX], const char *format, va_list args)
{
	int root = snprintf(path, PATH_MAX, "%s", files_root), len;

	if (root < 0 || root >= PATH_MAX)
		return -ENAMETOOLONG;
	len = vsnprintf(path + root, PATH_MAX - root, format, args);
	return len < 0 || len >= PATH_MAX - root ? -ENAMETOOLONG : 0;
}

/* The beginning of a file as a string without the end of its last line; 0 or -errno */
int files_read(char *text, size_t size, const char *format, ...)
{
	char path[PATH_MAX];
	size_t have = 0;
	va_list args;
	int fd, err;

	text[0] = 0;
	va_start(args, format);
	err = files_path(path, format, args);
	va_end(args);
	if (err)
		return err;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	while (have < size - 1) {
		ssize_t len = read(fd, text + have, size - 1 - have);

		if (len < 0)
			err = -errno;
		if (len <= 0)
			break;
		have += len;
	}
	close(fd);
	if (err)
		have = 0;
	if (have && text[have - 1] == '\n')
		have--;
	text[have] = 0;
	return err;
}

/* A number, in a form that strtoul() knows; 0 or -errno */
int files_number(uint32_t *number, const char *format, ...)
{
	char path[PATH_MAX], text[NAME_SIZE], *end;
	unsigned long value;
	va_list args;
	int err;

	va_start(args, format);
	err = vsnprintf(path, sizeof(path), format, args) >= (int)sizeof(path) ? -ENAMETOOLONG : 0;
	va_end(args);
	if (!err)
		err = files_read(text, sizeof(text), "%s", path);
	if (err)
		return err;
	errno = 0;
	value = strtoul(text, &end, 0);
	if (errno || end == text || *end || value > UINT32_MAX)
		return -EINVAL;
	*number = value;
	return 0;
}

/* The last part of what a link leads to; 0 or -errno */
int files_link(char *name, size_t size, const char *format, ...)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *last;
	va_list args;
	ssize_t len;
	int err;

	name[0] = 0;
	va_start(args, format);
	err = files_path(path, format, args);
	va_end(args);
	if (err)
		return err;
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return -errno;
	target[len] = 0;
	last = basename(target);
	if (strlen(last) >= size)
		return -ENAMETOOLONG;
	snprintf(name, size, "%s", last);
	return 0;
}

bool files_exist(const char *format, ...)
{
	char path[PATH_MAX];
	va_list args;
	int err;

	va_start(args, format);
	err = files_path(path, format, args);
	va_end(args);
	return !err && !access(path, F_OK);
}

/* A file to read line by line, or NULL */
FILE *files_open(const char *format, ...)
{
	char path[PATH_MAX];
	va_list args;
	int err;

	va_start(args, format);
	err = files_path(path, format, args);
	va_end(args);
	return err ? NULL : fopen(path, "re");
}

static int files_compare(const void *one, const void *other)
{
	return strcmp(*(char *const *)one, *(char *const *)other);
}

/* Names in a directory, in order, for files_list_free(); 0 or -errno */
int files_list(char ***names, size_t *count, const char *format, ...)
{
	char path[PATH_MAX];
	struct dirent *entry;
	va_list args;
	DIR *dir;
	int err;

	*names = NULL;
	*count = 0;
	va_start(args, format);
	err = files_path(path, format, args);
	va_end(args);
	if (err)
		return err;
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (!err && (entry = readdir(dir))) {
		char **more;

		if (entry->d_name[0] == '.')
			continue;
		more = reallocarray(*names, *count + 1, sizeof(**names));
		if (!more) {
			err = -ENOMEM;
			break;
		}
		*names = more;
		more[*count] = strdup(entry->d_name);
		if (more[*count])
			(*count)++;
		else
			err = -ENOMEM;
	}
	closedir(dir);
	if (!err && *count)
		qsort(*names, *count, sizeof(**names), files_compare);
	return err;
}

void files_list_free(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}
