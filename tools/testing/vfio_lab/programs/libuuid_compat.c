// SPDX-License-Identifier: GPL-2.0
/*
 * Debian 13's static libuuid, linked with Debian 12's C library: what newer
 * headers make of strtoul().
 */
#include <stdlib.h>

__attribute__((weak)) unsigned long __isoc23_strtoul(const char *text, char **end, int base)
{
	return strtoul(text, end, base);
}
