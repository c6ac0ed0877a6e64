// detached FOLDER PROGRAM ARGUMENTS...
// Becomes the program, in FOLDER, as something that CRIU can dump (dumpable.h).
#define _GNU_SOURCE
#include "dumpable.h"

int main(int count, char** words) {
    if (count < 3 || chdir(words[1]) != 0) return 2;
    if (become_dumpable() != 0) return 126;
    execv(words[2], words + 2);
    return 127;
}
