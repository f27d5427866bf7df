/* Products by their BLAS names, while the allocation whose number is the argument and all later
   ones fail. Prints how many did. */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>

#include "shim.h"

enum { SIZE = 700 };
static float a[SIZE * SIZE];
static float c[SIZE * SIZE];

int main(int argc, char** argv) {
  const char* product = argc == 3 ? argv[1] : "";
  fault_arm(FAULT_MALLOC, argc == 3 ? strtol(argv[2], NULL, 10) : 1, FAULT_FROM_THEN_ON);
  if (product[0] == 'm') {
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasTrans, SIZE, SIZE, SIZE, 1, a, SIZE, a, SIZE, 0, c,
                SIZE);
  } else {
    cblas_sgemv(CblasRowMajor, CblasNoTrans, SIZE, SIZE, 1, a, SIZE, a, -1, 0, c, 2);
  }
  printf("%ld\n", fault_disarm());
  return 0;
}
