#include "openface/core/thread_pool.h"

#include <algorithm>
#include <utility>

#if defined(_WIN32)
#include <process.h>
#else
#include <unistd.h>
#endif

namespace openface {

namespace {

// A ticket: job number, count, next task.
constexpr std::uint64_t ticket_of(std::uint64_t job, int count) {
    return job << 32 | std::uint64_t(count) << 16;
}
constexpr int count_of(std::uint64_t ticket) {
    return int(ticket >> 16 & 0xffff);
}
constexpr int next_of(std::uint64_t ticket) {
    return int(ticket & 0xffff);
}

thread_local ThreadPool* current_pool = nullptr;

}  // namespace

long process_id() {
#if defined(_WIN32)
    return _getpid();
#else
    return getpid();
#endif
}

ThreadPool::ThreadPool(int threads) : helper_count_(std::max(threads, 1) - 1) {}

ThreadPool::~ThreadPool() {
    ends_.store(true);
    calls_.fetch_add(1);
    calls_.notify_all();
    for (std::thread& helper : helpers_)
        if (process_ == process_id())
            helper.join();
        else
            helper.detach();  // a fork has left it in the parent
}

void ThreadPool::start_helpers() {
    if (!helpers_.empty() || helper_count_ == 0) return;
    process_ = process_id();
    for (int i = 0; i < helper_count_; ++i) helpers_.emplace_back([this] { help(); });
}

void ThreadPool::help() {
    while (!ends_.load()) {
        const std::uint32_t seen = calls_.load();
        while (take_one()) {
        }
        if (ends_.load()) return;
        calls_.wait(seen);
    }
}

// Does the next task of the present job, if there is one.
bool ThreadPool::take_one() {
    std::uint64_t ticket = ticket_.load();
    do {
        if (next_of(ticket) >= count_of(ticket)) return false;
    } while (!ticket_.compare_exchange_weak(ticket, ticket + 1));
    // The job can't end before this task has, so these are its own.
    const int i = next_of(ticket);
    try {
        task_(context_, i);
    } catch (...) {
        const std::scoped_lock lock(error_mutex_);
        if (error_ == nullptr || i < failed_) {
            error_ = std::current_exception();
            failed_ = i;
        }
    }
    done_.fetch_add(1);
    done_.notify_one();
    return true;
}

void ThreadPool::run(int count, void (*task)(const void*, int), const void* context) {
    start_helpers();
    task_ = task;
    context_ = context;
    error_ = nullptr;
    done_.store(0);
    const std::uint64_t job = (ticket_.load() >> 32) + 1;
    ticket_.store(ticket_of(job, count));
    calls_.fetch_add(1);
    calls_.notify_all();
    while (take_one()) {
    }
    for (int done = done_.load(); done < count; done = done_.load()) done_.wait(done);
    if (error_ != nullptr) {
        const std::exception_ptr error = std::exchange(error_, nullptr);
        std::rethrow_exception(error);
    }
}

PoolScope::PoolScope(ThreadPool* pool) : before_(current_pool) {
    current_pool = pool;
}

PoolScope::~PoolScope() {
    current_pool = before_;
}

ThreadPool* PoolScope::current() {
    return current_pool;
}

}  // namespace openface
