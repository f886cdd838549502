/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hisi_acc_vfio_pci

#if !defined(HISI_ACC_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define HISI_ACC_TRACE_H

#include <linux/device.h>
#include <linux/ktime.h>
#include <linux/tracepoint.h>
#include <linux/vfio.h>

#ifndef HISI_ACC_TRACE_STATES
#define HISI_ACC_TRACE_STATES						\
	{ VFIO_DEVICE_STATE_ERROR,	"ERROR" },			\
	{ VFIO_DEVICE_STATE_STOP,	"STOP" },			\
	{ VFIO_DEVICE_STATE_RUNNING,	"RUNNING" },			\
	{ VFIO_DEVICE_STATE_STOP_COPY,	"STOP_COPY" },			\
	{ VFIO_DEVICE_STATE_RESUMING,	"RESUMING" },			\
	{ VFIO_DEVICE_STATE_RUNNING_P2P, "RUNNING_P2P" },		\
	{ VFIO_DEVICE_STATE_PRE_COPY,	"PRE_COPY" },			\
	{ VFIO_DEVICE_STATE_PRE_COPY_P2P, "PRE_COPY_P2P" }
#endif

/*
 * An arc of the state machine, completed or failed, and how long it took; @start: by
 * ktime_get_ns(), 0 if tracing was not enabled then
 */
TRACE_EVENT(hisi_acc_vf_arc,
	TP_PROTO(const struct device *dev, enum vfio_device_mig_state from,
		 enum vfio_device_mig_state to, int err, u64 start),
	TP_ARGS(dev, from, to, err, start),

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
		__entry->ns = start ? ktime_get_ns() - start : 0;
	),

	TP_printk("%s %s -> %s: %d, %llu ns", __get_str(device),
		  __print_symbolic(__entry->from, HISI_ACC_TRACE_STATES),
		  __print_symbolic(__entry->to, HISI_ACC_TRACE_STATES),
		  __entry->err, __entry->ns)
);

/* What an arc did with the VF; @in_use: the guest's driver was up */
DECLARE_EVENT_CLASS(hisi_acc_vf_work,
	TP_PROTO(const struct device *dev, bool in_use, int err),
	TP_ARGS(dev, in_use, err),

	TP_STRUCT__entry(
		__string(device, dev_name(dev))
		__field(bool, in_use)
		__field(int, err)
	),

	TP_fast_assign(
		__assign_str(device);
		__entry->in_use = in_use;
		__entry->err = err;
	),

	TP_printk("%s %s: %d", __get_str(device),
		  __entry->in_use ? "in use" : "not in use", __entry->err)
);

DEFINE_EVENT(hisi_acc_vf_work, hisi_acc_vf_stop,
	TP_PROTO(const struct device *dev, bool in_use, int err),
	TP_ARGS(dev, in_use, err));

DEFINE_EVENT(hisi_acc_vf_work, hisi_acc_vf_save,
	TP_PROTO(const struct device *dev, bool in_use, int err),
	TP_ARGS(dev, in_use, err));

DEFINE_EVENT(hisi_acc_vf_work, hisi_acc_vf_load,
	TP_PROTO(const struct device *dev, bool in_use, int err),
	TP_ARGS(dev, in_use, err));

DEFINE_EVENT(hisi_acc_vf_work, hisi_acc_vf_restart,
	TP_PROTO(const struct device *dev, bool in_use, int err),
	TP_ARGS(dev, in_use, err));

/* Migration data that was rejected: which field, its value, the expected one */
TRACE_EVENT(hisi_acc_vf_refused,
	TP_PROTO(const char *device, int err, const char *what, u64 got,
		 u64 want),
	TP_ARGS(device, err, what, got, want),

	TP_STRUCT__entry(
		__string(device, device)
		__field(int, err)
		__string(what, what)
		__field(u64, got)
		__field(u64, want)
	),

	TP_fast_assign(
		__assign_str(device);
		__entry->err = err;
		__assign_str(what);
		__entry->got = got;
		__entry->want = want;
	),

	TP_printk("%s: %d, %s: got 0x%llx, expected 0x%llx", __get_str(device),
		  __entry->err, __get_str(what), __entry->got, __entry->want)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
