// A libpipefold.so.1 that says that it is version 99.0.0, and leaves all else to the one that is installed: a newer release, for a test.
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void *installed(const char *name) {
    // Loaded by its path, it is another library than this one, in spite of the same soname.
    void *library = dlopen(INSTALLED, RTLD_NOW | RTLD_LOCAL);
    void *symbol = library ? dlsym(library, name) : NULL;
    if (!symbol) {
        fprintf(stderr, "%s\n", dlerror());
        abort();
    }
    return symbol;
}

uint32_t pipefold_abi(void) { return ABI; }
const char *pipefold_version(void) { return "99.0.0"; }

int32_t pipefold_open(const char *config, size_t length, void *log, void *context, void **reporter, char **answer) {
    return ((int32_t (*)(const char *, size_t, void *, void *, void **, char **))installed("pipefold_open"))(config, length, log, context,
                                                                                                            reporter, answer);
}

#define FORWARD(name)                                                                                                  \
    int32_t name(void *reporter, const char *text, size_t length, char **answer) {                                     \
        return ((int32_t (*)(void *, const char *, size_t, char **))installed(#name))(reporter, text, length, answer); \
    }
FORWARD(pipefold_start)
FORWARD(pipefold_step)
FORWARD(pipefold_finish)
FORWARD(pipefold_flush)
FORWARD(pipefold_merge)

void pipefold_free(char *answer) { ((void (*)(char *))installed("pipefold_free"))(answer); }
void pipefold_close(void *reporter) { ((void (*)(void *))installed("pipefold_close"))(reporter); }
