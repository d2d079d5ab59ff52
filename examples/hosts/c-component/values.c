#include "values.h"

#include <stdlib.h>
#include <string.h>

typedef wasmtime_component_val_t value;

static value text(const char *text) {
    value made = {.kind = WASMTIME_COMPONENT_STRING};
    wasm_name_new_from_string(&made.of.string, text);
    return made;
}

static value truth(const json_t *json) {
    return (value){.kind = WASMTIME_COMPONENT_BOOL, .of.boolean = json_is_true(json)};
}

/// `some`, or `none` if the JSON has no value of this type.
static value option(const json_t *json) {
    value made = {.kind = WASMTIME_COMPONENT_OPTION, .of.option = NULL};
    value inner;
    if (json_is_string(json)) {
        inner = text(json_string_value(json));
    } else if (json_is_integer(json)) {
        inner = (value){.kind = WASMTIME_COMPONENT_S64, .of.s64 = json_integer_value(json)};
    } else {
        return made;
    }
    made.of.option = wasmtime_component_val_new(&inner); // It takes the value over.
    return made;
}

static void set(wasmtime_component_valrecord_entry_t *entry, const char *name, value val) {
    wasm_name_new_from_string(&entry->name, name);
    entry->val = val;
}

static value attributes(const json_t *object) {
    value list = {.kind = WASMTIME_COMPONENT_LIST};
    wasmtime_component_vallist_new_uninit(&list.of.list, json_object_size(object));
    size_t index = 0;
    const char *name;
    json_t *json;
    json_object_foreach((json_t *)object, name, json) {
        value record = {.kind = WASMTIME_COMPONENT_RECORD};
        wasmtime_component_valrecord_new_uninit(&record.of.record, 2);
        set(&record.of.record.data[0], "key", text(name));
        set(&record.of.record.data[1], "value", text(json_is_string(json) ? json_string_value(json) : ""));
        list.of.list.data[index++] = record;
    }
    return list;
}

value notification_of(const json_t *object) {
    // In the order of the contract; DX's names have `_` where it has `-`.
    static const char *const fields[] = {
        "pipeline-name", "pipeline-source", "reference-id", "started-at",  "finished-at",     "status",          "repository", "commit-sha",
        "pr-number",     "source-url",      "head-branch",  "email",       "github-username", "gitlab-username", "step",       "step-id",
    };
    enum { options = sizeof fields / sizeof *fields };
    value record = {.kind = WASMTIME_COMPONENT_RECORD};
    wasmtime_component_valrecord_new_uninit(&record.of.record, options + 3);
    wasmtime_component_valrecord_entry_t *entry = record.of.record.data;
    for (size_t i = 0; i < options; i++) {
        char name[32];
        strcpy(name, fields[i]);
        for (char *at = name; (at = strchr(at, '-')); ) *at = '_';
        set(entry++, fields[i], option(json_object_get(object, name)));
    }
    set(entry++, "allowed-to-fail", truth(json_object_get(object, "allowed_to_fail")));
    set(entry++, "urgent", truth(json_object_get(object, "urgent")));
    set(entry, "attributes", attributes(json_object_get(object, "attributes")));
    return record;
}

value list_of(const value *values, size_t count) {
    value list = {.kind = WASMTIME_COMPONENT_LIST};
    wasmtime_component_vallist_new_uninit(&list.of.list, count);
    for (size_t i = 0; i < count; i++) wasmtime_component_val_clone(&values[i], &list.of.list.data[i]);
    return list;
}

/// A name of the contract in DX's spelling. The caller frees it.
static char *spelled(const wasm_name_t *name) {
    char *made = strndup(name->data, name->size);
    for (char *at = made; (at = strchr(at, '-')); ) *at = '_';
    return made;
}

static json_t *json_of(const value *val);

/// An attribute with a list of this name is an object as JSON, and none are left out.
static void set_attributes(json_t *object, const wasmtime_component_vallist_t *list) {
    if (list->size == 0) return;
    json_t *made = json_object();
    for (size_t i = 0; i < list->size; i++) {
        const wasmtime_component_valrecord_entry_t *pair = list->data[i].of.record.data;
        const wasm_name_t *key = &pair[0].val.of.string;
        char *name = strndup(key->data, key->size);
        json_object_set_new(made, name, json_of(&pair[1].val));
        free(name);
    }
    json_object_set_new(object, "attributes", made);
}

static json_t *json_of_record(const wasmtime_component_valrecord_t *record) {
    json_t *object = json_object();
    for (size_t i = 0; i < record->size; i++) {
        const value *val = &record->data[i].val;
        char *name = spelled(&record->data[i].name);
        if (strcmp(name, "attributes") == 0) {
            set_attributes(object, &val->of.list);
        } else if (val->kind != WASMTIME_COMPONENT_OPTION || val->of.option != NULL) { // An absent option is left out.
            json_object_set_new(object, name, json_of(val));
        }
        free(name);
    }
    return object;
}

static json_t *json_of(const value *val) {
    switch (val->kind) {
    case WASMTIME_COMPONENT_BOOL:
        return json_boolean(val->of.boolean);
    case WASMTIME_COMPONENT_S64:
        return json_integer(val->of.s64);
    case WASMTIME_COMPONENT_STRING:
        return json_stringn(val->of.string.data, val->of.string.size);
    case WASMTIME_COMPONENT_ENUM: {
        char *name = spelled(&val->of.enumeration);
        json_t *made = json_string(name);
        free(name);
        return made;
    }
    case WASMTIME_COMPONENT_OPTION:
        return json_of(val->of.option);
    case WASMTIME_COMPONENT_RECORD:
        return json_of_record(&val->of.record);
    case WASMTIME_COMPONENT_LIST: {
        json_t *array = json_array();
        for (size_t i = 0; i < val->of.list.size; i++) json_array_append_new(array, json_of(&val->of.list.data[i]));
        return array;
    }
    default:
        return json_null(); // The contract has no others in a verdict.
    }
}

json_t *json_of_answer(const value *answer) {
    const value *payload = answer->of.result.val;
    if (!answer->of.result.is_ok) return json_pack("{s:o}", "violations", json_of(payload));
    const wasmtime_component_valvariant_t *verdict = &payload->of.variant;
    json_t *said = json_object();
    if (verdict->val != NULL && verdict->val->kind == WASMTIME_COMPONENT_RECORD) { // The report: `run` and `jobs`.
        json_decref(said);
        said = json_of(verdict->val);
    } else if (verdict->val != NULL) {
        json_object_set_new(said, "reason", json_of(verdict->val));
    }
    json_object_set_new(said, "verdict", json_stringn(verdict->discriminant.data, verdict->discriminant.size));
    return said;
}
