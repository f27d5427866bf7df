/* For C and C++. The build reads the version from here. */
#ifndef LOCKSTEP_VERSION_H
#define LOCKSTEP_VERSION_H

/* NOLINTBEGIN(modernize-macro-to-enum): macros, so that #if can compare them */
#define LOCKSTEP_VERSION_MAJOR 0
#define LOCKSTEP_VERSION_MINOR 1
#define LOCKSTEP_VERSION_PATCH 0
/* NOLINTEND(modernize-macro-to-enum) */
/** The version of these headers as text. `lockstep_version()` tells that of the library. */
#define LOCKSTEP_VERSION "0.1.0"

#endif
