// A thread that fits frames, in order, while others read and measure them.
//
// A tracked frame of a single face is handed over before its verdict is known: who takes it judges it, unless
// the thread has fitted the next frame meanwhile and needs the verdict itself. It fits that one as if the
// verdict were good, and when it isn't, goes back and fits it again: the results are those of one frame after
// the other.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "openface/pipeline/face_tracking.h"

namespace openface {

class FittingThread {
  public:
    // Frames of a video, or pictures. `used` is held while the thread works with `tracking`.
    FittingThread(FaceTracking& tracking, std::mutex& used, bool pictures);
    // Waits for the frame in work; what has not been taken is lost.
    ~FittingThread();
    FittingThread(const FittingThread&) = delete;
    FittingThread& operator=(const FittingThread&) = delete;

    // Hands over a frame, whose pixels are borrowed until its faces have been taken.
    void submit(const ViewU8& image);
    // The faces of the oldest frame, when they are there. Throws what its fit has thrown; Error(state) if
    // there is no frame. One thread at a time.
    std::vector<FittedFace> take();

  private:
    struct Job {
        Frame frame() { return {image, grey}; }
        ViewU8 image;
        GreyPicture grey;
        std::vector<FittedFace> faces;
        bool fitted = false;
        bool done = false;
        std::exception_ptr error;
    };
    // Of the verdict on the latest frame that was handed over without one.
    enum class Stage { none, open, in_work, rejected };

    void work();
    Job* wait_for_job();
    bool follow(Job& job);
    bool latest_accepted();
    void judge_latest(std::unique_lock<std::mutex>& lock, ValidatorScratch& scratch);
    void settle_latest();
    void finish(Job& job, const std::exception_ptr& error);

    FaceTracking& tracking_;
    std::mutex& used_;
    const bool pictures_;
    const long process_;

    // Apart: in a forked child they are left as they are, with the parent's thread waiting for them.
    struct Signals {
        std::mutex mutex;  // of jobs and stage; not of the contents of jobs that one thread is at work with
        std::condition_variable work_there, result_there;
    };
    std::unique_ptr<Signals> signals_ = std::make_unique<Signals>();
    std::deque<std::unique_ptr<Job>> jobs_;  // that have not been taken, the oldest first
    std::size_t begun_ = 0;                  // so many of them
    std::vector<std::unique_ptr<Job>> spare_;
    Stage stage_ = Stage::none;
    Job* latest_ = nullptr;  // that the stage is of
    Verdict verdict_;
    bool ends_ = false;

    ValidatorScratch worker_scratch_, taker_scratch_;
    std::thread thread_;
};

}  // namespace openface
