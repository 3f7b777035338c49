// Independent tasks on several threads: a pool whose helpers sleep between jobs, and a loop that uses the
// pool of its thread.
//
// What runs where never matters to the result: a task writes only what is its own. The caller takes tasks
// like its helpers and waits only for those that a helper has begun, so a helper that the system doesn't run
// costs nothing, and in a forked child, which has no helpers, the caller does everything.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace openface {

class ThreadPool {
  public:
    // `threads` includes the caller's; helpers start with the first job.
    explicit ThreadPool(int threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    static constexpr int largest_count = 0xffff;
    // Calls task(context, i) for every i below `count`; returns when all are done. Throws what the first of
    // those tasks that failed has thrown. One caller at a time, and not from a task.
    void run(int count, void (*task)(const void*, int), const void* context);

  private:
    void start_helpers();
    void help();
    bool take_one();

    const int helper_count_;
    std::vector<std::thread> helpers_;
    long process_ = 0;  // that the helpers belong to

    // The job. Number of the job, its count and its next task are one value, so that a helper that comes late
    // can't take a task of another job.
    std::atomic<std::uint64_t> ticket_{0};
    void (*task_)(const void*, int) = nullptr;
    const void* context_ = nullptr;
    std::atomic<int> done_{0};
    std::mutex error_mutex_;
    std::exception_ptr error_;
    int failed_ = 0;  // task that error_ is of

    std::atomic<std::uint32_t> calls_{0};  // wakes the helpers
    std::atomic<bool> ends_{false};
};

// The number of this process: threads that another one has started, a forked child's parent, are not here.
long process_id();

// While it lives, parallel_for on this thread uses the pool (none: nullptr).
class PoolScope {
  public:
    explicit PoolScope(ThreadPool* pool);
    ~PoolScope();
    PoolScope(const PoolScope&) = delete;
    PoolScope& operator=(const PoolScope&) = delete;

    static ThreadPool* current();

  private:
    ThreadPool* before_;
};

// function(i) for every i below `count`, on the threads of this thread's pool; inside of it, loops run on one
// thread.
template <class Function>
void parallel_for(int count, const Function& function) {
    ThreadPool* pool = PoolScope::current();
    if (pool == nullptr || count < 2 || count > ThreadPool::largest_count) {
        for (int i = 0; i < count; ++i) function(i);
        return;
    }
    const PoolScope inside(nullptr);
    pool->run(
        count, [](const void* context, int i) { (*static_cast<const Function*>(context))(i); }, &function);
}

}  // namespace openface
