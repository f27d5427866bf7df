/* Saves two models in turns to one path until it is killed: save_loop MODEL MODEL PATH. Prints a
   line after each. */
#include <stdio.h>

#include "lockstep/lockstep.h"

int main(int count, char** arguments) {
  lockstep_model* models[2];
  if (count != 4) return 2;
  for (int i = 0; i < 2; ++i) {
    if (lockstep_model_load(arguments[1 + i], &models[i]) != LOCKSTEP_OK) return 1;
  }
  for (int i = 0;; i = 1 - i) {
    if (lockstep_model_save(models[i], arguments[3]) != LOCKSTEP_OK) return 1;
    puts("saved");
    fflush(stdout);
  }
}
