// libpipefold for C++17: reporters that close themselves, answers that free themselves, faults as exceptions.
#pragma once

#include <pipefold.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace pipefold {

// A call that did not do what it is for. `answer` is JSON, with `error` and, if the notification was refused, `violations`.
class Error : public std::runtime_error {
public:
    Error(pipefold_status status, std::string answer)
        : std::runtime_error(answer), status(status), answer(std::move(answer)) {}

    bool is_refused() const { return status == PIPEFOLD_REFUSED; }

    const pipefold_status status;
    const std::string answer;
};

// Reports runs. Threads may share one. All texts are JSON.
class Reporter {
public:
    // A receiver of log messages. Exceptions of it end here: they must not go through the library.
    using Log = std::function<void(int level, std::string_view message)>;

    explicit Reporter(std::string_view config, Log log = {}) : log_(std::make_unique<Log>(std::move(log))) {
        if (pipefold_abi() != PIPEFOLD_ABI)
            throw std::runtime_error(std::string("libpipefold ") + pipefold_version() + " has another interface");
        pipefold_reporter *reporter = nullptr;
        char *answer = nullptr;
        const auto status = pipefold_open(config.data(), config.size(), *log_ ? on_log : nullptr, log_.get(), &reporter, &answer);
        opened_ = taken(status, answer);
        reporter_.reset(reporter);
    }

    std::string start(std::string_view notification) { return call(pipefold_start, notification); }
    std::string step(std::string_view notification) { return call(pipefold_step, notification); }
    std::string finish(std::string_view notification) { return call(pipefold_finish, notification); }
    std::string flush(std::string_view options = "{}") { return call(pipefold_flush, options); }
    std::string merge(std::string_view history) { return call(pipefold_merge, history); }

    // The answer of opening: its warnings, and the policies.
    const std::string &opened() const { return opened_; }

private:
    struct Close {
        void operator()(pipefold_reporter *reporter) const { pipefold_close(reporter); }
    };
    using Function = pipefold_status (*)(pipefold_reporter *, const char *, size_t, char **);

    std::string call(Function function, std::string_view text) {
        char *answer = nullptr;
        const auto status = function(reporter_.get(), text.data(), text.size(), &answer);
        return taken(status, answer);
    }

    static std::string taken(pipefold_status status, char *answer) {
        const std::unique_ptr<char, decltype(&pipefold_free)> owner(answer, pipefold_free);
        std::string text = answer ? answer : "";
        if (status != PIPEFOLD_OK)
            throw Error(status, std::move(text));
        return text;
    }

    static void on_log(void *context, int32_t level, const char *message) noexcept {
        try {
            (*static_cast<Log *>(context))(level, message);
        } catch (...) {
        }
    }

    // Outlives the reporter, which is closed first.
    std::unique_ptr<Log> log_;
    std::unique_ptr<pipefold_reporter, Close> reporter_;
    std::string opened_;
};

} // namespace pipefold
