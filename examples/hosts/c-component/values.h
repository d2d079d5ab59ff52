// Notifications and answers: from JSON to the values of wasmtime, and back.

#pragma once

#include <jansson.h>
#include <wasmtime.h>

/// Makes the record `notification` of an object with DX's own field names. The caller deletes it.
wasmtime_component_val_t notification_of(const json_t *object);

/// Makes a list of copies of these values. The caller deletes it.
wasmtime_component_val_t list_of(const wasmtime_component_val_t *values, size_t count);

/// Makes JSON of what a hook answers, as `pipefold hook` prints it: a verdict, or `violations`.
json_t *json_of_answer(const wasmtime_component_val_t *answer);
