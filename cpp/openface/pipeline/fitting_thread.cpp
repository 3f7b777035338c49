#include "openface/pipeline/fitting_thread.h"

#include <utility>

#include "openface/core/error.h"

namespace openface {

FittingThread::FittingThread(FaceTracking& tracking, std::mutex& used, bool pictures)
    : tracking_(tracking), used_(used), pictures_(pictures), process_(process_id()), thread_([this] {
          work();
      }) {}

FittingThread::~FittingThread() {
    if (process_ != process_id()) {
        thread_.detach();
        static_cast<void>(signals_.release());
        return;
    }
    {
        const std::scoped_lock lock(signals_->mutex);
        ends_ = true;
    }
    signals_->work_there.notify_one();
    thread_.join();
}

void FittingThread::submit(const ViewU8& image) {
    const std::scoped_lock lock(signals_->mutex);
    if (spare_.empty()) spare_.push_back(std::make_unique<Job>());
    std::unique_ptr<Job> job = std::move(spare_.back());
    spare_.pop_back();
    job->image = image;
    job->faces.clear();
    job->done = false;
    job->error = nullptr;
    jobs_.push_back(std::move(job));
    signals_->work_there.notify_one();
}

std::vector<FittedFace> FittingThread::take() {
    if (process_ != process_id())
        throw Error(Error::Code::state, "a forked process has to fit its frames with a tracker of its own");
    std::unique_lock lock(signals_->mutex);
    if (jobs_.empty()) throw Error(Error::Code::state, "there is no frame whose faces could be taken");
    Job& job = *jobs_.front();
    while (!job.done) {
        if (latest_ == &job && stage_ == Stage::open)
            judge_latest(lock, taker_scratch_);
        else
            signals_->result_there.wait(lock);
    }
    std::vector<FittedFace> faces = std::move(job.faces);
    const std::exception_ptr error = std::exchange(job.error, nullptr);
    spare_.push_back(std::move(jobs_.front()));
    jobs_.pop_front();
    --begun_;
    if (error != nullptr) std::rethrow_exception(error);
    return faces;
}

void FittingThread::work() {
    while (Job* job = wait_for_job()) {
        try {
            job->grey.begin(job->image);
            bool handed_over = false;
            while (!handed_over && !pictures_ && !job->grey.empty() && tracking_.follows_single())
                handed_over = follow(*job);
            if (handed_over) continue;
            const std::scoped_lock used(used_);
            job->faces = pictures_ ? tracking_.fit_picture(job->frame()) : tracking_.track(job->frame());
        } catch (...) {
            finish(*job, std::current_exception());
            continue;
        }
        finish(*job, nullptr);
    }
}

// Null: the end.
FittingThread::Job* FittingThread::wait_for_job() {
    std::unique_lock lock(signals_->mutex);
    for (;;) {
        signals_->work_there.wait(
            lock, [&] { return ends_ || stage_ == Stage::rejected || begun_ < jobs_.size(); });
        if (ends_) return nullptr;
        if (stage_ != Stage::rejected) return jobs_[begun_++].get();
        lock.unlock();
        settle_latest();
        lock.lock();
    }
}

// Fits a frame as if the frame before had been accepted and hands it over without a verdict; false if that
// one wasn't, and this one has to be fitted again.
bool FittingThread::follow(Job& job) {
    std::exception_ptr error;
    try {
        const std::scoped_lock used(used_);
        job.faces.assign(1, tracking_.track_unjudged(job.frame(), job.fitted));
    } catch (...) {
        error = std::current_exception();
    }
    if (!latest_accepted()) return false;
    if (error != nullptr) std::rethrow_exception(error);
    {
        const std::scoped_lock lock(signals_->mutex);
        stage_ = Stage::open;
        latest_ = &job;
    }
    signals_->result_there.notify_one();
    return true;
}

bool FittingThread::latest_accepted() {
    std::unique_lock lock(signals_->mutex);
    if (stage_ == Stage::open) judge_latest(lock, worker_scratch_);
    signals_->work_there.wait(lock, [&] { return stage_ != Stage::in_work; });
    if (stage_ == Stage::none) return true;
    lock.unlock();
    settle_latest();
    return false;
}

void FittingThread::judge_latest(std::unique_lock<std::mutex>& lock, ValidatorScratch& scratch) {
    Job& job = *latest_;
    FittedFace& face = job.faces.front();
    stage_ = Stage::in_work;
    lock.unlock();
    Verdict verdict{true, 0.0f};
    try {
        verdict = tracking_.judge(job.fitted, job.grey, face, scratch);
    } catch (...) {
        job.error = std::current_exception();
    }
    lock.lock();
    if (verdict.accepted) {
        face.state.certainty = verdict.certainty;
        job.done = true;
        stage_ = Stage::none;
        signals_->result_there.notify_one();
    } else {
        verdict_ = verdict;
        stage_ = Stage::rejected;
    }
    signals_->work_there.notify_one();
}

// The latest frame was rejected: back to it, to look for its face again.
void FittingThread::settle_latest() {
    std::exception_ptr error;
    try {
        const std::scoped_lock used(used_);
        tracking_.settle(latest_->frame(), verdict_, latest_->faces.front());
    } catch (...) {
        error = std::current_exception();
    }
    {
        const std::scoped_lock lock(signals_->mutex);
        stage_ = Stage::none;
    }
    finish(*latest_, error);
}

void FittingThread::finish(Job& job, const std::exception_ptr& error) {
    {
        const std::scoped_lock lock(signals_->mutex);
        job.error = error;
        job.done = true;
    }
    signals_->result_there.notify_one();
}

}  // namespace openface
