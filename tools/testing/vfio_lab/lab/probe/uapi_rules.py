# SPDX-License-Identifier: GPL-2.0
"""The sentence of the kernel's <linux/vfio.h> that a driver breaks if it fails a vfio_pci_migration test.

A test verifies that each sentence is in the header, and that each test has one.
"""

from __future__ import annotations

_STREAM = ("The user must consider the migration data stream carried over the FD to be opaque and must preserve the byte "
           "order of the stream.")
_INVALID = ("If the user provided data is found to be incomplete, inconsistent, or otherwise invalid, the migration driver "
            "must fail the SET_STATE ioctl and optionally go to the ERROR state as described below.")
_SEGMENTS = "The user is not required to preserve buffer segmentation when writing the data stream during the RESUMING operation."
_SESSION = "The STOP_COPY arc will terminate a data transfer session."
_RESUMED = ("Leaving RESUMING terminates a data transfer session and indicates the device should complete processing of the "
            "data delivered by write().")
_WHOLE = "End of stream on the FD indicates the entire device state has been transferred."
_ENDS = ("Once in STOP_COPY the migration data FD has a permanent end of stream signaled in the usual way by read() always "
         "returning 0 and poll always returning readable.")
_RESET = "To recover from ERROR VFIO_DEVICE_RESET must be used to return the device_state back to RUNNING."
_TRANSITION = ("The kernel migration driver must fully transition the device to the new state value before the operation "
               "returns to the user.")
_ASYNC = ("The kernel migration driver must not generate asynchronous device state transitions outside of manipulation by "
          "the user or the VFIO_DEVICE_RESET ioctl as described above.")
_FD = "If the new_state starts a new data transfer session then the FD associated with that session is returned in data_fd."
_USER = ("Failure by the user to restrict device access while in STOP must not result in error conditions outside the user "
         "context (ex. host system faults).")
_PROBE = ("Probing a feature will return success if the feature is supported and all of the optionally indicated GET/SET "
          "methods are supported.")
_SIZE = "Upon VFIO_DEVICE_FEATURE_GET read back the estimated data length that will be required to complete stop copy."
_POLL = "Userspace can wait for more data (which may never come) by using poll."
_GROUP = ("Moving between these states alters what is streamed in session, but does not terminate or otherwise affect the "
          "associated fd.")
_INFO = "This ioctl is valid only in PRE_COPY states and kernel driver should return -EINVAL from any other migration state."

#: by the name of the test
RULES = {
    "device_supports_reset": _RESET,
    "flags": "Other combinations of flags have behavior to be defined in the future.",
    "probes": _PROBE,
    "probes_of_other_features": _PROBE,
    "feature_arguments": "GET and SET are mutually exclusive, except for use with PROBE.",
    "feature_at_the_end_of_a_page": "The format of the data portion of the structure is specific to the given feature.",
    "data_size_in_each_state": "Note: Can be called on each device state.",
    "data_size_is_enough": _SIZE,
    "precopy_ends_with_enomsg": "When read() is done on this temporary end of stream the kernel driver should return ENOMSG "
                                "from read().",
    "precopy_poll": _POLL,
    "precopy_poll_wakes": _POLL,
    "precopy_continues_in_stop_copy": _GROUP,
    "precopy_info": "This field should have a non-zero initial value and decrease as migration data is read from the device.",
    "precopy_info_arguments": _INFO,
    "precopy_info_v2": "On SET, enables the v2 pre_copy_info behaviour, where the vfio_precopy_info.flags is a valid output "
                       "field.",
    "precopy_cancelled": "The PRE_COPY arc will terminate a data transfer session.",
    "reset_in_each_state": _RESET,
    "reset_during_a_session": "To abort a RESUMING session the device must be reset.",
    "close_and_open_in_each_state": "RUNNING - The device is running normally",
    "migration_file_outlives_the_device": _SESSION,
    "data_of_an_earlier_open": "The data stream fed into the data_fd should be taken from the data transfer output of a single "
                               "FD during saving from a compatible device.",
    "resume_file_is_a_stream_to_write": _STREAM,
    "resume_and_save": "The kernel migration driver should complete the incorporation of data written to the data transfer FD "
                       "into the device internal state and perform final validity and consistency checking of the new device "
                       "state.",
    "resume_in_chunks": _SEGMENTS,
    "resume_split_at_any_byte": _SEGMENTS,
    "resume_write_of_zero_bytes": _SEGMENTS,
    "resume_without_data_is_rejected": _INVALID,
    "resume_with_less_is_rejected": _INVALID,
    "resume_with_more_is_rejected": _INVALID,
    "resume_with_a_corrupt_header_is_rejected": _INVALID,
    "resume_from_unmapped_memory": _INVALID,
    "resume_by_writev": _SEGMENTS,
    "resume_from_partly_unmapped_memory": _SEGMENTS,
    "resume_file_fails_after_its_session": _RESUMED,
    "resume_file_closed_early": "The user is responsible to close this FD when it is finished.",
    "rejected_data_leaves_no_state": _INVALID,
    "save_file_is_a_stream_to_read": _STREAM,
    "save_file_ends": _ENDS,
    "save_in_chunks": _WHOLE,
    "save_split_at_any_byte": _WHOLE,
    "save_read_of_zero_bytes": _WHOLE,
    "save_into_unmapped_memory": _WHOLE,
    "save_by_readv": _WHOLE,
    "save_into_partly_unmapped_memory": _WHOLE,
    "save_file_fails_after_its_session": _SESSION,
    "save_file_fails_in_the_next_session": _SESSION,
    "save_file_closed_early": "The user is responsible to close this FD when it is finished.",
    "starts_running": "RUNNING - The device is running normally",
    "get_state_returns_no_file": "Upon VFIO_DEVICE_FEATURE_GET, get the current migration state of the VFIO device, data_fd "
                                 "will be -1.",
    "every_pair_of_states": _TRANSITION,
    "invalid_states": "The optional states cannot be used with SET_STATE if the device does not support them.",
    "set_the_current_state": _FD,
    "repeated_migrations": "STOP_COPY - The device internal state can be read out",
    "two_readers": _WHOLE,
    "two_writers": _INVALID,
    "two_set_states": _ASYNC,
    "set_state_and_reset": _ASYNC,
    "migration_file_while_the_session_ends": _SESSION,
    "migration_file_with_device_memory": _USER,
    "random_operations": _RESET,
    # vfio_pci_migration_fail_nth
    "arcs": "If this function fails then current device_state may be the original operating state or some other state along the "
            "combination transition path.",
    "read": _WHOLE,
    "write": _INVALID,
    "queries": "Return 0 on success, -errno on failure.",
    "open": "RUNNING - The device is running normally",
    "reset": _RESET,
}
