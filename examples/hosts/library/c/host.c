/*
 * A host in C: reports a run with libpipefold.
 *
 *     DX_API_URL=… DX_API_TOKEN=… host notifications.jsonl spool
 *
 * The first notification is the run's start and the last its finish; the others are its steps. Prints the verdict of each, what the rules say of
 * a wrong one, and the run as DX's rule folds it. A real host has a library for JSON: this one takes single members out of answers.
 */
#include <pipefold.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 16
#define LINE 4096

static void on_log(void *context, int32_t level, const char *message)
{
    (void)context;
    fprintf(stderr, "pipefold: %d: %s\n", (int)level, message);
}

/* The text of a member that has no escapes, such as a verdict or the name of a field; "" if it is null or absent. */
static const char *member(const char *answer, const char *name, char *text, size_t size)
{
    char key[64];
    const char *at;
    size_t length;
    snprintf(key, sizeof key, "\"%s\":\"", name);
    at = strstr(answer, key);
    if (!at)
        return "";
    at += strlen(key);
    length = strcspn(at, "\"");
    snprintf(text, size, "%.*s", (int)length, at);
    return text;
}

/* Ends the program if a call did not do what it is for. */
static void check(pipefold_status status, const char *answer)
{
    if (status != PIPEFOLD_OK) {
        fprintf(stderr, "status %d: %s\n", (int)status, answer ? answer : "out of memory");
        exit(1);
    }
}

typedef pipefold_status (*report)(pipefold_reporter *, const char *, size_t, char **);

static void say(const char *name, report call, pipefold_reporter *reporter, const char *notification)
{
    char *answer, text[64];
    pipefold_status status = call(reporter, notification, strlen(notification), &answer);
    check(status, answer);
    printf("%s %s\n", name, member(answer, "verdict", text, sizeof text));
    /* It is recorded all the same, and sent by a later call or flush. */
    if (!strstr(answer, "\"trouble\":null"))
        fprintf(stderr, "%s\n", answer);
    pipefold_free(answer);
}

int main(int count, char **arguments)
{
    static char lines[MOST][LINE], history[MOST * LINE], config[3 * LINE], wrong[LINE + 32];
    const char *url = getenv("DX_API_URL"), *token = getenv("DX_API_TOKEN");
    char *answer, fault[64], field[64];
    pipefold_reporter *reporter;
    pipefold_status status;
    FILE *file = count == 3 ? fopen(arguments[1], "r") : NULL;
    int i, last = -1;
    if (!file || !url || !token) {
        fprintf(stderr, "usage: DX_API_URL=… DX_API_TOKEN=… host NOTIFICATIONS SPOOL\n");
        return 2;
    }
    if (pipefold_abi() != PIPEFOLD_ABI) {
        fprintf(stderr, "libpipefold %s has another interface\n", pipefold_version());
        return 1;
    }
    while (last + 1 < MOST && fgets(lines[last + 1], LINE, file)) {
        last++;
        lines[last][strcspn(lines[last], "\n")] = '\0';
        strcat(strcat(history, last == 0 ? "[" : ","), lines[last]);
    }
    fclose(file);
    strcat(history, "]");
    if (last < 2) {
        fprintf(stderr, "a start, a step and a finish are expected\n");
        return 2;
    }

    snprintf(config, sizeof config, "{\"dx_url\":\"%s\",\"token\":\"%s\",\"spool\":\"%s\"}", url, token, arguments[2]);
    status = pipefold_open(config, strlen(config), on_log, NULL, &reporter, &answer);
    check(status, answer);
    pipefold_free(answer);
    memset(config, 0, sizeof config);

    say("start", pipefold_start, reporter, lines[0]);
    for (i = 1; i < last; i++)
        say("step", pipefold_step, reporter, lines[i]);
    say("finish", pipefold_finish, reporter, lines[last]);

    /* Of two members with one name, the last counts. */
    snprintf(wrong, sizeof wrong, "%.*s,\"status\":\"won\"}", (int)strlen(lines[1]) - 1, lines[1]);
    if (pipefold_step(reporter, wrong, strlen(wrong), &answer) == PIPEFOLD_REFUSED) {
        const char *first = strstr(answer, "\"violations\"");
        printf("refused %s %s\n", member(first, "field", field, sizeof field), member(first, "fault", fault, sizeof fault));
    }
    pipefold_free(answer);

    status = pipefold_merge(reporter, history, strlen(history), &answer);
    check(status, answer);
    printf("%s\n", answer);
    pipefold_free(answer);
    pipefold_close(reporter);
    return 0;
}
