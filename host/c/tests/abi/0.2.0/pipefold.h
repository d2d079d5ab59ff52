/*
 * libpipefold: reports CI pipeline runs to DX. https://github.com/pipefold/pipefold, docs/library.md
 *
 * Every function may be called by any thread, also by several at once, and none in a signal handler. Texts go in with their length and need no
 * NUL at their end; the library reads them during the call alone. It writes nothing to stdout and stderr, and changes no signal.
 *
 * This file is made by cbindgen.
 */

#ifndef PIPEFOLD_H
#define PIPEFOLD_H

#include <stddef.h>
#include <stdint.h>

/*
 The number of this interface. A program that was compiled for a number runs with every library of the same number; functions may be added
 without another number.
 */
#define PIPEFOLD_ABI 1

/*
 The version of the library that this header belongs to: its first number.
 */
#define PIPEFOLD_VERSION_MAJOR 0

/*
 The second number of the version.
 */
#define PIPEFOLD_VERSION_MINOR 1

/*
 The third number of the version.
 */
#define PIPEFOLD_VERSION_PATCH 0

/*
 A log message about a fault. A later library may have further levels.
 */
#define PIPEFOLD_LOG_ERROR 1

/*
 A log message about a fault that stopped nothing.
 */
#define PIPEFOLD_LOG_WARN 2

/*
 A log message that is a remark.
 */
#define PIPEFOLD_LOG_INFO 3

/*
 A log message for finding faults.
 */
#define PIPEFOLD_LOG_DEBUG 4

/*
 A log message for finding faults, with every detail.
 */
#define PIPEFOLD_LOG_TRACE 5

/*
 An open reporter. Any thread may use it, and any number at once.
 */
typedef struct pipefold_reporter pipefold_reporter;

/*
 The result of a call: one of the numbers below. A later library may have further ones: treat them as PIPEFOLD_FAILED.
 */
typedef int32_t pipefold_status;

/*
 A receiver of log messages, with the `context` that pipefold_open was given. It is called at the end of a call of the library, by the
 thread of that call, and by several threads at once if calls are. `message` is one line of UTF-8, and good until it returns. It may call the
 library. It must return: no exception, no longjmp.
 */
typedef void (*pipefold_log)(void *context, int32_t level, const char *message);

/*
 The call did what it is for.
 */
#define PIPEFOLD_OK 0

/*
 The notification breaks rules, and nothing was recorded: the answer has the `violations`.
 */
#define PIPEFOLD_REFUSED 1

/*
 An argument, the configuration or the JSON is wrong: the answer names the key or the field.
 */
#define PIPEFOLD_INVALID 2

/*
 The library could not do it: the answer says why.
 */
#define PIPEFOLD_FAILED 3

/*
 The process was forked after pipefold_open, and this is the child, which has no part of the library: call pipefold_open after fork.
 */
#define PIPEFOLD_FORKED 4

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Returns PIPEFOLD_ABI of the library that is loaded. A program stops here if it was compiled for another.
 */
uint32_t pipefold_abi(void);

/*
 Returns the library's version, such as "0.2.0". Do not free it.
 */
const char *pipefold_version(void);

/*
 Opens a reporter.

 `config` has `length` bytes of JSON: an object with the keys of pipefold.toml, and `token` and `cache`. No variable of the environment
 is then asked but those about a proxy. If it is NULL, the reporter is made as the command makes it: of the variables, the files of settings
 and the CI system of this process.

 `log` may be NULL. On PIPEFOLD_OK, `*reporter` is the reporter, and else it is NULL.

 `*answer` is set, here and in every function with this argument, to a text that pipefold_free takes back: one line of JSON as UTF-8, with NUL
 at its end. With another status than PIPEFOLD_OK it has `error`. Give NULL for `answer` if it is not wanted.
 */
pipefold_status pipefold_open(const char *config,
                              size_t length,
                              pipefold_log log,
                              void *context,
                              pipefold_reporter **reporter,
                              char **answer);

/*
 Reports the start of a run: records it, and delivers within the start budget. `notification` has `length` bytes of JSON: an object with the
 fields of `pipefold hook`. Fields that it lacks are taken from the configuration; `started_at` is now if absent.

 The answer is the receipt. PIPEFOLD_OK says that the notification was accepted: whether it is on disk and was delivered is in the receipt.
 */
pipefold_status pipefold_start(pipefold_reporter *reporter,
                               const char *notification,
                               size_t length,
                               char **answer);

/*
 Reports the start or the end of a step: records it, and delivers only if it is `urgent`. Otherwise as pipefold_start.
 */
pipefold_status pipefold_step(pipefold_reporter *reporter, const char *notification, size_t length, char **answer);

/*
 Reports the end of a run: records it, and delivers the whole run within the finish budget. `finished_at` is now if absent. Otherwise as
 pipefold_start.
 */
pipefold_status pipefold_finish(pipefold_reporter *reporter,
                                const char *notification,
                                size_t length,
                                char **answer);

/*
 Delivers everything that waits. `options` has `length` bytes of JSON, or is NULL: an object with `timeout` ("30s" by default), `run` (the
 `reference_id` of the only run), `other_tokens`, `rejudge`, `rejected` and `abandon`, as the flags of `pipefold flush`.
 */
pipefold_status pipefold_flush(pipefold_reporter *reporter,
                               const char *options,
                               size_t length,
                               char **answer);

/*
 Folds notifications of one run into the run and its jobs, by DX's rule: `history` has `length` bytes of JSON, an array of notifications.
 Nothing is recorded or sent.
 */
pipefold_status pipefold_merge(pipefold_reporter *reporter,
                               const char *history,
                               size_t length,
                               char **answer);

/*
 Frees an answer of this library, once. NULL is ignored.
 */
void pipefold_free(char *answer);

/*
 Closes a reporter. What it recorded and did not send stays on disk. NULL, a reporter that was closed, and a forked process are ignored.
 Calls under way in other threads finish; the log callback may be called until the last of them has returned.
 */
void pipefold_close(pipefold_reporter *reporter);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PIPEFOLD_H */
