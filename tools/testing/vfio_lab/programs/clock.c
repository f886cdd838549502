// SPDX-License-Identifier: GPL-2.0
/*
 * Answers each line on standard input with CLOCK_MONOTONIC in nanoseconds: the
 * clock that the kernel's tracing is set to.  The lab uses the answer with the
 * shortest round trip to put events of two hosts on one time line.
 */
#include <stdio.h>
#include <time.h>

int main(void)
{
	struct timespec ts;
	char line[16];

	while (fgets(line, sizeof(line), stdin)) {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		printf("%lld\n", ts.tv_sec * 1000000000LL + ts.tv_nsec);
		fflush(stdout);
	}
	return 0;
}
