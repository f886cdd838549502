#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# rates.sh SECONDS LANES ALGORITHM...: lets that many threads at once use an algorithm
# of an accelerator, one algorithm after the other, and prints the first and the last
# report of each: "rate: ALGORITHM STATUS FIRST LAST".
seconds=$1
lanes=$2
shift 2
for alg; do
	{ sleep "$seconds"; echo stop; } | /lab/load "$lanes" 4096 "$alg" > /tmp/reports 2> /tmp/said
	echo "rate: $alg $? $(head -n 1 /tmp/reports) $(tail -n 1 /tmp/reports)"
	head -n 3 /tmp/said
done
