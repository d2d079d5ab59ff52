/* Calls the library as lines of stdin say, and answers each with a line: the status and the answer. */
#include "pipefold.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static pipefold_reporter *reporter;
static int messages;

static void say(pipefold_status status, char *answer)
{
    printf("%d %s\n", (int)status, answer ? answer : "");
    fflush(stdout);
    pipefold_free(answer);
}

static void on_log(void *context, int32_t level, const char *message)
{
    char *answer = NULL;
    if (strcmp(context, "context") != 0)
        abort();
    messages++;
    printf("log %d %s\n", (int)level, message);
    /* A callback may call the library. What that call logs comes later. */
    pipefold_merge(reporter, "[]", 2, &answer);
    pipefold_free(answer);
}

static void open_with(const char *text, pipefold_log log)
{
    char *answer = NULL;
    pipefold_status status = pipefold_open(text, text ? strlen(text) : 0, log, "context", &reporter, &answer);
    say(status, answer);
}

typedef pipefold_status (*function)(pipefold_reporter *, const char *, size_t, char **);

static const struct { const char *name; function function; } functions[] = {
    {"start", pipefold_start}, {"step", pipefold_step}, {"finish", pipefold_finish},
    {"flush", pipefold_flush}, {"merge", pipefold_merge},
};

static void call(const char *name, const char *text)
{
    size_t i;
    for (i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (strcmp(name, functions[i].name) == 0) {
            char *answer = NULL;
            pipefold_status status = functions[i].function(reporter, text, text ? strlen(text) : 0, &answer);
            say(status, answer);
        }
    }
}

#define SAY(call) do { char *answer = NULL; pipefold_status status = (call); say(status, answer); } while (0)

/* Wrong arguments to every function. */
static void bad(void)
{
    union { char bytes[64]; void *aligned; } place;
    pipefold_reporter *other = NULL;
    size_t i;
    for (i = 0; i < sizeof functions / sizeof *functions; i++) {
        function f = functions[i].function;
        SAY(f(NULL, "{}", 2, &answer));
        SAY(f((pipefold_reporter *)(size_t)4099, "{}", 2, &answer));
        SAY(f((pipefold_reporter *)place.bytes, "{}", 2, &answer));
        SAY(f(reporter, NULL, 2, &answer));
        SAY(f(reporter, "{}", (size_t)-1, &answer));
        SAY(f(reporter, "{\"run\":\"\xff\"}", 11, &answer));
        SAY(f(reporter, "", 0, &answer));
        /* No place for the answer: the status alone. */
        SAY(f(NULL, "{}", 2, NULL));
        SAY(f(reporter, "[", 1, (char **)(place.bytes + 1)));
    }
    SAY(pipefold_open("{}", 2, NULL, NULL, NULL, &answer));
    SAY(pipefold_open("{}", 2, NULL, NULL, (pipefold_reporter **)(place.bytes + 1), &answer));
    SAY(pipefold_open(NULL, 1, NULL, NULL, &other, &answer));
    SAY(pipefold_open("{}", (size_t)-1, NULL, NULL, &other, &answer));
    SAY(pipefold_open("{}", 2, NULL, NULL, &other, NULL));
    if (other)
        abort();
    pipefold_close(NULL);
    pipefold_close((pipefold_reporter *)place.bytes);
    pipefold_free(NULL);
}

static void forked(void)
{
    fflush(stdout);
    if (fork() == 0) {
        pipefold_reporter *mine = reporter;
        size_t i;
        alarm(20);
        for (i = 0; i < sizeof functions / sizeof *functions; i++)
            call(functions[i].name, "{}");
        pipefold_close(reporter);
        open_with("{}", NULL);
        if (reporter || !mine)
            abort();
        _exit(0);
    } else {
        int status = 0;
        wait(&status);
        printf("child %d\n", status);
    }
}

static void process_signals(void)
{
    char line[256];
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "SigBlk", 6) == 0 || strncmp(line, "SigIgn", 6) == 0 || strncmp(line, "SigCgt", 6) == 0)
            printf("%.*s ", (int)strcspn(line, "\n"), line);
    printf("\n");
    if (file)
        fclose(file);
}

static void *one_thread(void *number)
{
    int i;
    for (i = 0; i < 20; i++) {
        char text[256], *answer = NULL;
        int length = snprintf(text, sizeof text,
            "{\"pipeline_name\":\"build\",\"pipeline_source\":\"my-ci\",\"reference_id\":\"%d-%d\",\"step\":\"lint\"}",
            *(int *)number, i);
        if (pipefold_step(reporter, text, (size_t)length, &answer) != PIPEFOLD_OK || !strstr(answer, "\"on_disk\":true"))
            abort();
        pipefold_free(answer);
    }
    return NULL;
}

/* All calls, of a policy that traps and loops, by 16 threads. */
static const char *stressed;
static int rounds, failures;

static void expect_at(int holds, int line)
{
    if (!holds && __atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED) == 0)
        fprintf(stderr, "driver.c:%d does not hold\n", line);
}

#define expect(holds) expect_at((holds) != 0, __LINE__)

/* The status of a call and a part of its answer, which is freed. */
static void answered_at(pipefold_status status, pipefold_status expected, const char *part, char *answer, int line)
{
    int holds = status == expected && answer && strstr(answer, part);
    if (!holds && failures == 0)
        fprintf(stderr, "driver.c:%d: %d %s\n", line, (int)status, answer ? answer : "");
    expect_at(holds, line);
    pipefold_free(answer);
}

#define ANSWERED(call, expected, part) \
    do { \
        char *answer = NULL; \
        pipefold_status status = (call); \
        answered_at(status, expected, part, answer, __LINE__); \
    } while (0)

static void count(void *context, int32_t level, const char *message)
{
    (void)level;
    expect(message[0] != '\0');
    __atomic_fetch_add((int *)context, 1, __ATOMIC_RELAXED);
}

#define MERGED \
    "[{\"pipeline_name\":\"build\",\"pipeline_source\":\"my-ci\",\"reference_id\":\"1\",\"started_at\":\"2025-01-31\",\"status\":\"success\"}]"

static void *stress_thread(void *number)
{
    static const char *const names[] = {"build", "segv", "fpe__", "stack_", "loop___", "ill_____", "build"};
    int i, log = 0;
    for (i = 0; i < rounds; i++) {
        char text[512], *answer = NULL;
        pipefold_reporter *own = NULL;
        int length;
        ANSWERED(pipefold_merge(reporter, MERGED, sizeof MERGED - 1, &answer), PIPEFOLD_OK, "\"run\"");
        ANSWERED(pipefold_merge(reporter, "[{}]", 4, &answer), PIPEFOLD_REFUSED, "violations");
        ANSWERED(pipefold_start(reporter, "{", 1, &answer), PIPEFOLD_INVALID, "error");
        ANSWERED(pipefold_finish(reporter, "{\"status\":\"won\"}", 16, &answer), PIPEFOLD_REFUSED, "violations");
        if (i % 8 != *(int *)number % 8)
            continue;
        length = snprintf(text, sizeof text,
            "{\"pipeline_name\":\"%s\",\"pipeline_source\":\"my-ci\",\"reference_id\":\"%d-%d\",\"step\":\"lint\",\"status\":\"success\"}",
            names[i / 8 % 7], *(int *)number, i);
        ANSWERED(pipefold_start(reporter, text, (size_t)length, &answer), PIPEFOLD_OK, "\"on_disk\":true");
        ANSWERED(pipefold_step(reporter, text, (size_t)length, &answer), PIPEFOLD_OK, "\"on_disk\":true");
        expect(pipefold_finish(reporter, text, (size_t)length, NULL) == PIPEFOLD_OK);
        if (i % 64 == *(int *)number) {
            ANSWERED(pipefold_flush(reporter, "{\"timeout\":\"10ms\"}", 18, &answer), PIPEFOLD_OK, "{");
            ANSWERED(pipefold_open(stressed, strlen(stressed), count, &log, &own, &answer), PIPEFOLD_OK, "{");
            ANSWERED(pipefold_start(own, text, (size_t)length, &answer), PIPEFOLD_OK, "{");
            pipefold_close(own);
            expect(pipefold_start(own, text, (size_t)length, NULL) == PIPEFOLD_INVALID);
        }
        if (*(int *)number == 0 && i % 64 == 0) {
            int status = 0;
            pid_t child = fork();
            if (child == 0) {
                /* By a signal: tools that look for lost memory must not look here, where other threads' is. */
                if (pipefold_start(reporter, text, (size_t)length, &answer) == PIPEFOLD_FORKED)
                    raise(SIGKILL);
                _exit(1);
            }
            waitpid(child, &status, 0);
            expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        }
    }
    return NULL;
}

static long resident(void)
{
    long pages = 0, all = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &all, &pages) != 2)
        pages = 0;
    if (file)
        fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* stress ROUNDS CONFIGURATION: failures, and KiB of resident memory after a fifth and after all rounds. */
static void stress(const char *text)
{
    pthread_t all[16];
    int numbers[16], i, log = 0, part, whole = atoi(text);
    long memory[2];
    char *answer = NULL;
    stressed = strchr(text, ' ') + 1;
    for (part = 0; part < 2; part++) {
        rounds = part == 0 ? whole / 5 : whole - whole / 5;
        if (pipefold_open(stressed, strlen(stressed), count, &log, &reporter, &answer) != PIPEFOLD_OK)
            abort();
        pipefold_free(answer);
        for (i = 0; i < 16; i++) {
            numbers[i] = i;
            if (pthread_create(&all[i], NULL, stress_thread, &numbers[i]) != 0)
                abort();
        }
        for (i = 0; i < 16; i++)
            pthread_join(all[i], NULL);
        pipefold_close(reporter);
        memory[part] = resident();
    }
    printf("%d %ld %ld\n", failures, memory[0], memory[1]);
}

static void threads(void)
{
    pthread_t all[8];
    int numbers[8], i;
    for (i = 0; i < 8; i++) {
        numbers[i] = i;
        if (pthread_create(&all[i], NULL, one_thread, &numbers[i]) != 0)
            abort();
    }
    for (i = 0; i < 8; i++)
        pthread_join(all[i], NULL);
    printf("joined\n");
}

static void *nothing(void *argument)
{
    return argument;
}

int main(void)
{
    static char line[1 << 20];
    pthread_t first;
    /* With the first thread, glibc takes a signal for its own use. */
    if (pthread_create(&first, NULL, nothing, NULL) != 0 || pthread_join(first, NULL) != 0)
        return 1;
    if (pipefold_abi() != PIPEFOLD_ABI) {
        fprintf(stderr, "the library has another ABI\n");
        return 1;
    }
    while (fgets(line, sizeof line, stdin)) {
        char *text;
        line[strcspn(line, "\n")] = '\0';
        text = strchr(line, ' ');
        if (text)
            *text++ = '\0';
        if (strcmp(line, "open") == 0)
            open_with(text, NULL);
        else if (strcmp(line, "open-with-log") == 0)
            open_with(text, on_log);
        else if (strcmp(line, "close") == 0)
            pipefold_close(reporter);
        else if (strcmp(line, "version") == 0)
            printf("%s\n", pipefold_version());
        else if (strcmp(line, "bad") == 0)
            bad();
        else if (strcmp(line, "fork") == 0)
            forked();
        else if (strcmp(line, "signals") == 0)
            process_signals();
        else if (strcmp(line, "threads") == 0)
            threads();
        else if (strcmp(line, "stress") == 0 && text)
            stress(text);
        else
            call(line, text);
        fflush(stdout);
    }
    return 0;
}
