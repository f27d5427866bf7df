/*
 * Loads the library argv[1] at run time, uses it on several threads and closes it, three times.
 */
#include <dlfcn.h>
#include <stdio.h>

enum { SIZE = 128 };
static float a[SIZE * SIZE];
static float c[SIZE * SIZE];

typedef int (*gemm_function)(int, int, size_t, size_t, size_t, float, const float*, size_t,
                             const float*, size_t, float, float*, size_t, int);

static int use(const char* path) {
  gemm_function gemm = NULL;
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  *(void**)&gemm = dlsym(library, "lockstep_gemm");
  if (gemm == NULL ||
      gemm(0, 0, SIZE, SIZE, SIZE, 1, a, SIZE, a, SIZE, 0, c, SIZE, /*threads=*/2) != 0) {
    fprintf(stderr, "lockstep_gemm is not there or fails\n");
    return 1;
  }
  if (c[0] != SIZE) {
    fprintf(stderr, "wrong product\n");
    return 1;
  }
  return dlclose(library);
}

int main(int argc, char** argv) {
  int i;
  for (i = 0; i < SIZE * SIZE; ++i) a[i] = 1;
  for (i = 0; i < 3; ++i) {
    if (argc != 2 || use(argv[1]) != 0) return 1;
  }
  printf("opened, used and closed three times\n");
  return 0;
}
