/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hisi_acc_vfio_pci

#if !defined(HISI_ACC_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define HISI_ACC_TRACE_H

#include <linux/device.h>
#include <linux/tracepoint.h>
#include <linux/vfio.h>

#ifndef HISI_ACC_TRACE_STATES
#define HISI_ACC_TRACE_STATES						\
	{ VFIO_DEVICE_STATE_ERROR,	"ERROR" },			\
	{ VFIO_DEVICE_STATE_STOP,	"STOP" },			\
	{ VFIO_DEVICE_STATE_RUNNING,	"RUNNING" },			\
	{ VFIO_DEVICE_STATE_STOP_COPY,	"STOP_COPY" },			\
	{ VFIO_DEVICE_STATE_RESUMING,	"RESUMING" }
#endif

/* An arc of the state machine, walked or failed, and how long it took */
TRACE_EVENT(hisi_acc_vf_arc,
	TP_PROTO(const struct device *dev, enum vfio_device_mig_state from,
		 enum vfio_device_mig_state to, int err, u64 ns),
	TP_ARGS(dev, from, to, err, ns),

	TP_STRUCT__entry(
		__string(device, dev_name(dev))
		__field(u32, from)
		__field(u32, to)
		__field(int, err)
		__field(u64, ns)
	),

	TP_fast_assign(
		__assign_str(device);
		__entry->from = from;
		__entry->to = to;
		__entry->err = err;
		__entry->ns = ns;
	),

	TP_printk("%s %s -> %s: %d, %llu ns", __get_str(device),
		  __print_symbolic(__entry->from, HISI_ACC_TRACE_STATES),
		  __print_symbolic(__entry->to, HISI_ACC_TRACE_STATES),
		  __entry->err, __entry->ns)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
