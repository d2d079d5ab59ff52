// A host in C: loads the component, and policies in front of it, with wasmtime's own C API.
//
//     host default.wasm notifications.jsonl policy.wasm...
//
// A policy is a component whose import `hooks` is the next plugin's export; the last plugin is the default component. The first notification is a
// run's start and the last its finish; the others are its steps. Prints what each hook says, one JSON object a line, or `violations` if the rules
// refused it, or `error` if a plugin was stopped at a limit or crashed: such a notification is dropped, and the next has its turn.

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "values.h"

static const char hooks[] = "pipefold:ci/hooks@0.2.0";

// Of one plugin in one hook, as in `pipefold`.
enum { memory_bytes = 64 << 20, milliseconds = 250, tick = 10 };

/// A component, and the one that it calls.
struct plugin {
    const char *name;
    wasm_engine_t *engine;
    wasmtime_component_t *component;
    wasmtime_component_linker_t *linker;
};

/// An import of a policy: a hook of the next plugin.
struct import {
    const struct plugin *next;
    const char *hook;
};

static wasmtime_error_t *failed(const char *name, const char *hook, const char *cause) {
    char *text = NULL;
    if (asprintf(&text, "%s: %s: %s", name, hook, cause) < 0) abort();
    wasmtime_error_t *error = wasmtime_error_new(text);
    free(text);
    return error;
}

/// The same error with the plugin's name. The last line of its text is the cause; those above it are the plugin's stack.
static wasmtime_error_t *failed_by(const char *name, const char *hook, wasmtime_error_t *error) {
    wasm_name_t message;
    wasmtime_error_message(error, &message);
    wasmtime_error_delete(error);
    char *text = strndup(message.data, message.size);
    wasm_name_delete(&message);
    for (size_t end = strlen(text); end > 0 && text[end - 1] == '\n'; ) text[--end] = '\0';
    char *cause = strrchr(text, '\n');
    cause = cause == NULL ? text : cause + 1;
    error = failed(name, hook, cause + strspn(cause, " "));
    free(text);
    return error;
}

/// Calls a hook in a fresh instance, which shares nothing with any other call. The caller deletes the answer.
static wasmtime_error_t *ask(const struct plugin *plugin, const char *hook, const wasmtime_component_val_t *argument,
                             wasmtime_component_val_t *answer) {
    wasmtime_store_t *store = wasmtime_store_new(plugin->engine, NULL, NULL);
    wasmtime_store_limiter(store, memory_bytes, 20000, 100, 100, 100);
    wasmtime_context_t *context = wasmtime_store_context(store);
    wasmtime_context_set_epoch_deadline(context, milliseconds / tick);

    wasmtime_component_instance_t instance;
    wasmtime_error_t *error = wasmtime_component_linker_instantiate(plugin->linker, context, plugin->component, &instance);
    if (error == NULL) {
        wasmtime_component_export_index_t *interface =
            wasmtime_component_instance_get_export_index(&instance, context, NULL, hooks, strlen(hooks));
        wasmtime_component_export_index_t *export =
            interface == NULL ? NULL : wasmtime_component_instance_get_export_index(&instance, context, interface, hook, strlen(hook));
        wasmtime_component_func_t function;
        if (export != NULL && wasmtime_component_instance_get_func(&instance, context, export, &function)) {
            error = wasmtime_component_func_call(&function, context, argument, 1, answer, 1);
        } else {
            error = wasmtime_error_new("it does not export this hook");
        }
        if (export != NULL) wasmtime_component_export_index_delete(export);
        if (interface != NULL) wasmtime_component_export_index_delete(interface);
    }
    wasmtime_store_delete(store);
    return error == NULL ? NULL : failed_by(plugin->name, hook, error);
}

/// What a policy calls. The engine owns the arguments, and takes the results over.
static wasmtime_error_t *ask_next(void *data, wasmtime_context_t *context, const wasmtime_component_func_type_t *type,
                                  wasmtime_component_val_t *arguments, size_t count, wasmtime_component_val_t *results, size_t result_count) {
    (void)context, (void)type, (void)count, (void)result_count; // The engine has checked the types.
    const struct import *import = data;
    return ask(import->next, import->hook, arguments, results);
}

static void stop(const char *what, wasmtime_error_t *error) {
    wasm_name_t message = {0};
    if (error != NULL) wasmtime_error_message(error, &message);
    fprintf(stderr, "%s%s%.*s\n", what, error == NULL ? "" : ": ", (int)message.size, message.size ? message.data : "");
    exit(1);
}

static wasmtime_component_t *compile(wasm_engine_t *engine, const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) perror(path), exit(1);
    fseek(file, 0, SEEK_END);
    size_t length = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(length);
    if (bytes == NULL || fread(bytes, 1, length, file) != length) stop(path, NULL);
    fclose(file);
    wasmtime_component_t *component;
    wasmtime_error_t *error = wasmtime_component_new(engine, bytes, length, &component);
    if (error != NULL) stop(path, error);
    free(bytes);
    return component;
}

static struct plugin load(wasm_engine_t *engine, const char *path, const struct plugin *next) {
    struct plugin plugin = {path, engine, compile(engine, path), wasmtime_component_linker_new(engine)};
    const char *slash = strrchr(path, '/');
    plugin.name = slash == NULL ? path : slash + 1;
    if (next == NULL) return plugin; // The default component imports nothing.

    wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(plugin.linker), *instance;
    wasmtime_error_t *error = wasmtime_component_linker_instance_add_instance(root, hooks, strlen(hooks), &instance);
    if (error != NULL) stop(path, error);
    static const char *const names[] = {"pipeline-start", "step", "pipeline-finish"};
    for (size_t i = 0; i < 3; i++) {
        struct import *import = malloc(sizeof *import);
        *import = (struct import){next, names[i]};
        error = wasmtime_component_linker_instance_add_func(instance, names[i], strlen(names[i]), ask_next, import, free);
        if (error != NULL) stop(path, error);
    }
    wasmtime_component_linker_instance_delete(instance);
    wasmtime_component_linker_instance_delete(root);
    return plugin;
}

static void unload(struct plugin *plugin) {
    wasmtime_component_linker_delete(plugin->linker);
    wasmtime_component_delete(plugin->component);
}

/// The engine's clock: a call ends when it has taken so many ticks.
static void *clock_of(void *engine) {
    for (;;) {
        nanosleep(&(struct timespec){.tv_nsec = tick * 1000000L}, NULL);
        wasmtime_engine_increment_epoch(engine);
    }
    return NULL;
}

static wasm_engine_t *limited_engine(void) {
    wasm_config_t *config = wasm_config_new();
    wasmtime_config_epoch_interruption_set(config, true);
    // Else the engine handles the process's SIGSEGV and SIGILL, which other libraries may want.
    wasmtime_config_signals_based_traps_set(config, false);
    wasm_engine_t *engine = wasm_engine_new_with_config(config);
    pthread_t thread;
    if (pthread_create(&thread, NULL, clock_of, engine) != 0) stop("no thread for the clock", NULL);
    pthread_detach(thread); // The engine lives as long as the process.
    return engine;
}

/// Asks, and prints the answer. Returns whether the notification is to be kept for the finish.
static bool say(const struct plugin *plugin, const char *hook, const wasmtime_component_val_t *argument) {
    wasmtime_component_val_t answer = {.kind = WASMTIME_COMPONENT_BOOL}; // The engine frees what it finds here.
    wasmtime_error_t *error = ask(plugin, hook, argument, &answer);
    json_t *said;
    if (error != NULL) {
        // Nothing of it is kept or sent. `pipefold` can also go on without the policy, if its owner says so.
        wasm_name_t message;
        wasmtime_error_message(error, &message);
        said = json_pack("{s:s%}", "error", message.data, message.size);
        wasm_name_delete(&message);
        wasmtime_error_delete(error);
    } else {
        said = json_of_answer(&answer);
        wasmtime_component_val_delete(&answer);
    }
    char *line = json_dumps(said, JSON_COMPACT | JSON_SORT_KEYS);
    puts(line);
    free(line);
    const char *verdict = json_string_value(json_object_get(said, "verdict"));
    bool kept = verdict != NULL && (strcmp(verdict, "report") == 0 || strcmp(verdict, "hold") == 0);
    json_decref(said);
    return kept;
}

int main(int count, char **arguments) {
    if (count < 3) stop("usage: host COMPONENT NOTIFICATIONS POLICY...", NULL);
    FILE *file = fopen(arguments[2], "r");
    if (file == NULL) perror(arguments[2]), exit(1);
    wasmtime_component_val_t *events = NULL;
    size_t events_count = 0;
    for (json_t *json; (json = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL)) != NULL; json_decref(json)) {
        events = realloc(events, (events_count + 1) * sizeof *events);
        events[events_count++] = notification_of(json);
    }
    fclose(file);
    if (events_count < 2) stop("there are no two notifications", NULL);

    wasm_engine_t *engine = limited_engine();
    size_t plugin_count = (size_t)count - 2;
    struct plugin *plugins = calloc(plugin_count, sizeof *plugins);
    plugins[plugin_count - 1] = load(engine, arguments[1], NULL);
    // The first policy is called first, so it comes last.
    for (size_t i = plugin_count - 1; i-- > 0; ) plugins[i] = load(engine, arguments[3 + i], &plugins[i + 1]);

    wasmtime_component_val_t *kept = calloc(events_count, sizeof *kept);
    size_t kept_count = 0;
    for (size_t i = 0; i + 1 < events_count; i++) {
        if (say(&plugins[0], i == 0 ? "pipeline-start" : "step", &events[i])) kept[kept_count++] = events[i];
    }
    kept[kept_count++] = events[events_count - 1];
    wasmtime_component_val_t history = list_of(kept, kept_count);
    say(&plugins[0], "pipeline-finish", &history);

    wasmtime_component_val_delete(&history);
    free(kept); // Its values are those of `events`.
    for (size_t i = 0; i < events_count; i++) wasmtime_component_val_delete(&events[i]);
    free(events);
    for (size_t i = 0; i < plugin_count; i++) unload(&plugins[i]);
    free(plugins);
    return 0;
}
