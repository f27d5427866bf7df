/* For C and C++. */
#ifndef LOCKSTEP_EXPORT_H
#define LOCKSTEP_EXPORT_H

/** What users may call: everything else is hidden in the shared libraries. */
#if defined(__GNUC__)
#define LOCKSTEP_API __attribute__((visibility("default")))
#define LOCKSTEP_HIDDEN __attribute__((visibility("hidden")))
#else
#define LOCKSTEP_API
#define LOCKSTEP_HIDDEN
#endif

#endif
