/* Kernels in C: one layer of a network, softmax(X W), and what an error looks like. */
#include <lockstep/lockstep_kernels.h>
#include <stdio.h>

static int fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, lockstep_last_error());
  return 1;
}

int main(void) {
  enum { ROWS = 2, INPUTS = 3, CLASSES = 2 };
  const float x[ROWS * INPUTS] = {1, 2, 3, 4, 5, 6};
  const float w[INPUTS * CLASSES] = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f};
  float y[ROWS * CLASSES];
  const char* backend = NULL;

  if (lockstep_gemm(LOCKSTEP_PLAIN, LOCKSTEP_PLAIN, ROWS, CLASSES, INPUTS, 1, x, INPUTS, w, CLASSES,
                    0, y, CLASSES, 0) != LOCKSTEP_OK) {
    return fail("product");
  }
  if (lockstep_softmax(ROWS, CLASSES, y, CLASSES, y, CLASSES) != LOCKSTEP_OK) {
    return fail("softmax");
  }
  if (lockstep_active_backend(&backend) != LOCKSTEP_OK) return fail("backend");
  printf("on %s: %g %g %g %g\n", backend, (double)y[0], (double)y[1], (double)y[2], (double)y[3]);

  if (lockstep_set_backend("no/such") != LOCKSTEP_OK) {
    printf("an error: %s\n", lockstep_last_error());
  }
  return 0;
}
