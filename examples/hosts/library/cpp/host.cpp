// A host in C++: reports a run with libpipefold.
//
//     DX_API_URL=… DX_API_TOKEN=… host notifications.jsonl spool
//
// The first notification is the run's start and the last its finish; the others are its steps. Prints the verdict of each, what the rules say of a
// wrong one, and the run as DX's rule folds it. A real host has a library for JSON: this one takes single members out of answers.
#include "pipefold.hpp"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <vector>

namespace {

// The text of a member that has no escapes, such as a verdict or the name of a field; empty if it is null or absent.
std::string member(const std::string &answer, const std::string &name, std::size_t from = 0) {
    const std::string key = '"' + name + "\":\"";
    const auto at = answer.find(key, from);
    if (at == std::string::npos)
        return {};
    const auto begin = at + key.size();
    return answer.substr(begin, answer.find('"', begin) - begin);
}

void say(const char *call, const std::string &receipt) {
    std::cout << call << ' ' << member(receipt, "verdict") << '\n';
    // It is recorded all the same, and sent by a later call or flush.
    if (receipt.find("\"trouble\":null") == std::string::npos)
        std::cerr << receipt << '\n';
}

std::string variable(const char *name) {
    const char *value = std::getenv(name);
    return value ? value : throw std::runtime_error(std::string(name) + " is not set");
}

void report(const char *notifications, const std::string &spool) {
    std::vector<std::string> history;
    std::ifstream file(notifications);
    for (std::string line; std::getline(file, line);)
        history.push_back(line);
    if (history.size() < 3)
        throw std::runtime_error("a start, a step and a finish are expected");

    const auto config = R"({"dx_url":")" + variable("DX_API_URL") + R"(","token":")" + variable("DX_API_TOKEN") + R"(","spool":")" + spool + "\"}";
    pipefold::Reporter reporter(config, [](int level, std::string_view message) {
        std::cerr << "pipefold: " << level << ": " << message << '\n';
    });
    say("start", reporter.start(history.front()));
    for (std::size_t i = 1; i + 1 < history.size(); i++)
        say("step", reporter.step(history[i]));
    say("finish", reporter.finish(history.back()));

    std::string wrong = history[1];
    wrong.pop_back();
    try {
        // Of two members with one name, the last counts.
        reporter.step(wrong + R"(,"status":"won"})");
    } catch (const pipefold::Error &error) {
        const auto first = error.answer.find("\"violations\"");
        std::cout << "refused " << member(error.answer, "field", first) << ' ' << member(error.answer, "fault", first) << '\n';
    }

    std::string all;
    for (const auto &notification : history)
        all += (all.empty() ? '[' : ',') + notification;
    std::cout << reporter.merge(all + ']') << '\n';
}

} // namespace

int main(int count, char **arguments) try {
    if (count != 3)
        throw std::runtime_error("usage: host NOTIFICATIONS SPOOL");
    report(arguments[1], arguments[2]);
} catch (const std::exception &error) {
    std::cerr << error.what() << '\n';
    return 1;
}
