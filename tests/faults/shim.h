// Faults that shim.c makes.
#ifndef LOCKSTEP_FAULTS_SHIM_H
#define LOCKSTEP_FAULTS_SHIM_H

enum fault_call {
  FAULT_NONE,
  FAULT_WRITE,
  FAULT_FSYNC,
  FAULT_RENAME,
  FAULT_LINK,
  FAULT_OPEN,
  FAULT_CLOSE,
  FAULT_FTRUNCATE,
  FAULT_READ,
  FAULT_MALLOC
};

// What becomes of the call, beside a number of errno.
enum { FAULT_SHORT = 0, FAULT_FROM_THEN_ON = -1 };

// Makes the Nth of these calls fail, counted from 1 and from now.
void fault_arm(enum fault_call call, long nth, int how);
// How many have failed.
long fault_disarm(void);
// Blocks of memory that are not freed.
long fault_live_blocks(void);

#endif
