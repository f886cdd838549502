// SPDX-License-Identifier: GPL-2.0-only
/*
 * Migration files, through which userspace reads and writes migration data.
 *
 * A file may outlive the device, by dup() or in another process. It therefore uses
 * copies of what it needs of the device, or what a reference keeps, and the device
 * holds no reference to the file: what both share is the object below.
 *
 * A file that was opened in PRE_COPY first has the match data only; the rest
 * comes with STOP_COPY. Until then a read at its end fails with -ENOMSG.
 *
 * Its lock is never held while memory of userspace is touched. Such memory may
 * be a BAR of the device itself, whose page fault waits for a reset, which in
 * turn waits for this lock. Migration data is small: it is copied twice.
 */
#include <kunit/static_stub.h>
#include <linux/anon_inodes.h>
#include <linux/cleanup.h>
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/printk.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "hisi_acc_vfio_pci.h"
#include "trace.h"

#define NAME_LEN	24

/**
 * struct hisi_acc_migf - a migration file
 * @ref: held by the file and, while the transfer is on, by the device
 * @wait: for poll
 * @vdev: the device, referenced: its migration flags stay readable, its
 *	registers do not
 * @name: of the device, for messages
 * @match: what migration data must agree with, constant
 * @lock: protects all below
 * @whole: @bytes are complete
 * @length: valid bytes in @bytes
 * @position: of the next read
 * @error: what every access fails with, 0 if there is none
 * @bytes: the migration data
 */
struct hisi_acc_migf {
	struct kref ref;
	wait_queue_head_t wait;
	struct vfio_device *vdev;
	char name[NAME_LEN];
	struct hisi_acc_match match;
	struct mutex lock;	/* see above */
	bool whole;
	size_t length;
	size_t position;
	int error;
	u8 bytes[HISI_ACC_DATA_SIZE] __aligned(HISI_ACC_DATA_ALIGN);
};

static void hisi_acc_migf_free(struct kref *ref)
{
	struct hisi_acc_migf *data =
		container_of(ref, struct hisi_acc_migf, ref);

	mutex_destroy(&data->lock);
	put_device(&data->vdev->device);
	kfree(data);
}

static void hisi_acc_migf_put(struct hisi_acc_migf *data)
{
	kref_put(&data->ref, hisi_acc_migf_free);
}

static int hisi_acc_migf_release(struct inode *inode, struct file *file)
{
	hisi_acc_migf_put(file->private_data);
	return 0;
}

/* After one rejected write the session fails: later bytes have no offset in it */
static int hisi_acc_migf_fail_locked(struct hisi_acc_migf *data, int err)
{
	lockdep_assert_held(&data->lock);
	if (!data->error)
		data->error = err;
	wake_up_interruptible(&data->wait);
	return data->error;
}

static void hisi_acc_migf_log(struct hisi_acc_migf *data, int err,
			      const struct hisi_acc_mismatch *why)
{
	trace_hisi_acc_vf_refused(data->name, err, why->what, why->got,
				  why->want);
	pr_warn_ratelimited(KBUILD_MODNAME " %s: migration data rejected: %s: got 0x%llx, expected 0x%llx\n",
			    data->name, why->what, why->got, why->want);
}

static int hisi_acc_migf_reject_locked(struct hisi_acc_migf *data, int err,
				       const struct hisi_acc_mismatch *why)
{
	hisi_acc_migf_log(data, err, why);
	return hisi_acc_migf_fail_locked(data, err);
}

static ssize_t hisi_acc_migf_read_chunk(struct hisi_acc_migf *data, u8 *bounce,
					size_t len, size_t *end)
{
	guard(mutex)(&data->lock);
	if (data->error)
		return data->error;
	if (len && data->position == data->length && !data->whole)
		return -ENOMSG;
	len = min(len, data->length - data->position);
	memcpy(bounce, data->bytes + data->position, len);
	data->position += len;
	*end = data->position;
	return len;
}

/* Bytes that could not be copied to userspace are read again, or the session fails */
static int hisi_acc_migf_unread(struct hisi_acc_migf *data, size_t end,
				size_t len)
{
	guard(mutex)(&data->lock);
	if (data->error)
		return data->error;
	if (data->position != end)
		return hisi_acc_migf_fail_locked(data, -EIO);
	data->position -= len;
	return 0;
}

static ssize_t hisi_acc_migf_read(struct file *file, char __user *buf,
				  size_t len, loff_t *pos)
{
	struct hisi_acc_migf *data = file->private_data;
	u8 bounce[HISI_ACC_DATA_SIZE];
	size_t end, left;
	ssize_t got;
	int err;

	got = hisi_acc_migf_read_chunk(data, bounce, len, &end);
	if (got <= 0)
		return got;
	left = copy_to_user(buf, bounce, got);
	if (!left)
		return got;
	err = hisi_acc_migf_unread(data, end, left);
	if (err)
		return err;
	return got > left ? got - left : -EFAULT;
}

static ssize_t hisi_acc_migf_append(struct hisi_acc_migf *data,
				    const u8 *bounce, size_t len)
{
	struct hisi_acc_mismatch why = { "length", data->length + len,
					 HISI_ACC_DATA_SIZE };
	int err;

	lockdep_assert_held(&data->lock);
	if (len > HISI_ACC_DATA_SIZE - data->length)
		return hisi_acc_migf_reject_locked(data, -EFBIG, &why);
	memcpy(data->bytes + data->length, bounce, len);
	data->length += len;
	err = hisi_acc_vf_data_check(data->bytes, data->length, &data->match,
				     &why);
	return err ? hisi_acc_migf_reject_locked(data, err, &why) : len;
}

static ssize_t hisi_acc_migf_write(struct file *file, const char __user *buf,
				   size_t len, loff_t *pos)
{
	struct hisi_acc_migf *data = file->private_data;
	u8 bounce[HISI_ACC_DATA_SIZE];
	/* a write beyond the size of migration data is rejected below */
	size_t seen = min(len, sizeof(bounce));

	if (copy_from_user(bounce, buf, seen))
		return -EFAULT;

	guard(mutex)(&data->lock);
	if (data->error)
		return data->error;
	return hisi_acc_migf_append(data, bounce, len);
}

static __poll_t hisi_acc_migf_poll(struct file *file, poll_table *wait)
{
	struct hisi_acc_migf *data = file->private_data;
	__poll_t ready = file->f_mode & FMODE_READ ? EPOLLIN | EPOLLRDNORM :
						     EPOLLOUT | EPOLLWRNORM;

	poll_wait(file, &data->wait, wait);
	guard(mutex)(&data->lock);
	if (data->error)
		return ready | EPOLLERR;
	if (file->f_mode & FMODE_READ && !data->whole &&
	    data->position == data->length)
		return 0;
	return ready;
}

static int hisi_acc_migf_precopy_info(struct hisi_acc_migf *data,
				      struct vfio_precopy_info *info)
{
	guard(mutex)(&data->lock);
	if (data->error)
		return data->error;
	if (data->whole)
		return -EINVAL;
	info->initial_bytes = data->length - data->position;
	info->dirty_bytes = 0;
	return 0;
}

static long hisi_acc_migf_ioctl(struct file *file, unsigned int cmd,
				unsigned long arg)
{
	struct hisi_acc_migf *data = file->private_data;
	struct vfio_precopy_info info;
	int err;

	err = vfio_check_precopy_ioctl(data->vdev, cmd, arg, &info) ?:
	      hisi_acc_migf_precopy_info(data, &info);
	if (err)
		return err;
	return copy_to_user((void __user *)arg, &info, sizeof(info)) ? -EFAULT :
								       0;
}

static const struct file_operations save_fops = {
	.owner = THIS_MODULE,
	.read = hisi_acc_migf_read,
	.poll = hisi_acc_migf_poll,
	.unlocked_ioctl = hisi_acc_migf_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = hisi_acc_migf_release,
};

static const struct file_operations resume_fops = {
	.owner = THIS_MODULE,
	.write = hisi_acc_migf_write,
	.poll = hisi_acc_migf_poll,
	.release = hisi_acc_migf_release,
};

static struct file *hisi_acc_migf_getfile(const struct file_operations *fops,
					  struct hisi_acc_migf *data, int flags)
{
	KUNIT_STATIC_STUB_REDIRECT(hisi_acc_migf_getfile, fops, data, flags);
	return anon_inode_getfile("hisi_acc_migration", fops, data, flags);
}

/* Without success, @file stays as it is */
static struct hisi_acc_migf *
hisi_acc_migf_open(struct hisi_acc_vf *vf, const struct file_operations *fops,
		   int flags, struct file **file)
{
	struct vfio_device *vdev = &vf->core.vdev;
	struct hisi_acc_migf *data;
	struct file *opened;

	data = kzalloc_obj(*data, GFP_KERNEL_ACCOUNT);
	if (!data)
		return ERR_PTR(-ENOMEM);
	kref_init(&data->ref);
	init_waitqueue_head(&data->wait);
	mutex_init(&data->lock);
	get_device(&vdev->device);
	data->vdev = vdev;
	strscpy(data->name, dev_name(vdev->dev), sizeof(data->name));
	data->match = vf->match;

	opened = hisi_acc_migf_getfile(fops, data, flags);
	if (IS_ERR(opened)) {
		hisi_acc_migf_put(data);
		return ERR_CAST(opened);
	}
	stream_open(opened->f_inode, opened);
	kref_get(&data->ref);
	*file = opened;
	return data;
}

/**
 * hisi_acc_migf_open_save() - begin to save
 * @vf: whose state is saved
 * @file: the file to hand to userspace, it has the match part until
 *	hisi_acc_migf_fill()
 *
 * Return: the object, to be released by hisi_acc_migf_close(), or an
 * ERR_PTR().
 */
struct hisi_acc_migf *
hisi_acc_migf_open_save(struct hisi_acc_vf *vf, struct file **file)
{
	struct hisi_acc_migf *data;

	data = hisi_acc_migf_open(vf, &save_fops, O_RDONLY, file);
	if (IS_ERR(data))
		return data;
	guard(mutex)(&data->lock);
	hisi_acc_vf_data_encode_match(data->bytes, &data->match);
	data->length = HISI_ACC_MATCH_SIZE;
	return data;
}

/**
 * hisi_acc_migf_open_resume() - begin to resume
 * @vf: whose match data the migration data must agree with
 * @file: the file to hand to userspace
 *
 * Return: the object, to be released by hisi_acc_migf_close(), or an
 * ERR_PTR().
 */
struct hisi_acc_migf *
hisi_acc_migf_open_resume(struct hisi_acc_vf *vf, struct file **file)
{
	return hisi_acc_migf_open(vf, &resume_fops, O_WRONLY, file);
}

/**
 * hisi_acc_migf_fill() - let userspace read all migration data
 * @data: opened by hisi_acc_migf_open_save()
 * @saved: the state
 *
 * Data that no destination would accept, because of what the guest has written
 * to its registers, is refused here: read() says why, and the guest goes on.
 */
void hisi_acc_migf_fill(struct hisi_acc_migf *data,
			const struct hisi_acc_saved *saved)
{
	struct hisi_acc_mismatch why;
	int err;

	guard(mutex)(&data->lock);
	hisi_acc_vf_data_encode(data->bytes, saved, &data->match);
	data->length = sizeof(data->bytes);
	data->whole = true;
	err = hisi_acc_vf_data_check(data->bytes, data->length, &data->match,
				     &why);
	if (err)
		hisi_acc_migf_reject_locked(data, err, &why);
	else
		wake_up_interruptible(&data->wait);
}

/**
 * hisi_acc_migf_fail() - let read() fail: nothing was saved
 * @data: opened by hisi_acc_migf_open_save()
 * @err: what read() returns from now on
 */
void hisi_acc_migf_fail(struct hisi_acc_migf *data, int err)
{
	guard(mutex)(&data->lock);
	hisi_acc_migf_fail_locked(data, err);
}

/**
 * hisi_acc_migf_decode() - decode what userspace has written
 * @data: opened by hisi_acc_migf_open_resume()
 * @saved: where it goes
 *
 * All of it was checked at once when the last byte was written, and only write()
 * changes it. Data that is only too short does not end the
 * session: it can still be completed.
 *
 * Return: 0, what hisi_acc_vf_data_decode() returns, or the error with which the
 * session has failed.
 */
int hisi_acc_migf_decode(struct hisi_acc_migf *data,
			 struct hisi_acc_saved *saved)
{
	struct hisi_acc_mismatch why;
	int err;

	guard(mutex)(&data->lock);
	if (data->error)
		return data->error;
	err = hisi_acc_vf_data_decode(data->bytes, data->length, saved, &why);
	if (err)
		hisi_acc_migf_log(data, err, &why);
	return err;
}

/**
 * hisi_acc_migf_close() - end the transfer
 * @data: the object, of no use to the caller afterwards; NULL is ignored
 *
 * The file answers -ENODEV from now on, for as long as userspace keeps it, and
 * nothing of the migration data is left in it.
 */
void hisi_acc_migf_close(struct hisi_acc_migf *data)
{
	if (!data)
		return;
	scoped_guard(mutex, &data->lock) {
		data->error = -ENODEV;
		data->length = 0;
		data->position = 0;
		memzero_explicit(data->bytes, sizeof(data->bytes));
		wake_up_interruptible(&data->wait);
	}
	hisi_acc_migf_put(data);
}

/**
 * hisi_acc_migf_show() - show the progress of a transfer, and its data
 * @data: the transfer, not closed
 * @seq: where to write it
 */
void hisi_acc_migf_show(struct hisi_acc_migf *data,
			struct seq_file *seq)
{
	guard(mutex)(&data->lock);
	seq_printf(seq, "bytes: %zu of %u\nread: %zu\nresult: %d\n",
		   data->length, HISI_ACC_DATA_SIZE, data->position,
		   data->error);
	seq_hex_dump(seq, "", DUMP_PREFIX_OFFSET, 16, 4, data->bytes,
		     data->length, false);
}
