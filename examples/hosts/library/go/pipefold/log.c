#include <pipefold.h>
#include <stddef.h>
#include "_cgo_export.h"

static void forward(void *context, int32_t level, const char *message) {
    pipefoldGoLog((uintptr_t)context, level, (char *)message);
}

pipefold_status pipefold_go_open(const char *config, size_t length, uintptr_t log, pipefold_reporter **reporter, char **answer) {
    return pipefold_open(config, length, log ? forward : NULL, (void *)log, reporter, answer);
}
