#include "gil.h"

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "bindings.h"

namespace pyopenface {

namespace {

std::atomic<bool> exiting{false};
std::atomic<int> coming_back{0};  // threads that wait for the lock
std::atomic<std::thread::id> exiting_thread{};

constexpr std::chrono::milliseconds patience{500};

// Runs before the interpreter is taken down. Threads that ask for the lock already get it first.
void begin_exit() {
    exiting_thread = std::this_thread::get_id();
    exiting = true;
    const py::gil_scoped_release release;
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (coming_back > 0 && std::chrono::steady_clock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

}  // namespace

GilReleased::GilReleased() : state_(PyEval_SaveThread()) {}

GilReleased::~GilReleased() {
    ++coming_back;
    if (exiting && exiting_thread.load() != std::this_thread::get_id()) {
        --coming_back;
        for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
    PyEval_RestoreThread(state_);
    --coming_back;
}

void register_exit(py::module_&) {
    // The threads of the parent process don't exist in a forked child.
    pthread_atfork(nullptr, nullptr, [] { coming_back = 0; });
    py::module_::import("atexit").attr("register")(py::cpp_function(&begin_exit));
}

}  // namespace pyopenface
