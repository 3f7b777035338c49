// Frames in, fitted faces out: one face or several through a video, or every face of a single picture
// (tracking.md, sections 3 to 5).
//
// The result is a snapshot, so that what follows (pose, gaze, action units, output) can run on another thread
// while the next frame is fitted.
#pragma once

#include <memory>
#include <vector>

#include "openface/core/image.h"
#include "openface/core/thread_pool.h"
#include "openface/landmark_detector/landmark_tracker.h"

namespace openface {

class FaceIdentity;

struct FittedFace {
    int id = 0;             // tracker index, or identity; in pictures the index of the detection
    bool success = false;   // what OpenFace prints (section 3.1: can be true although state.ok is false)
    bool new_face = false;  // the tracker took up this face in this frame
    FaceState state;
    float identity_confidence = 1.0f;  // below 1 where identities are tracked
};

class FaceTracking {
  public:
    // max_faces 1 follows OpenFace's single-face program, more its multi-face program with that many
    // trackers. With `identities`, for several faces, ids are those of people and not of trackers. More
    // threads than one fit faces at the same time, or the parts of a single one.
    FaceTracking(std::shared_ptr<const LandmarkModel> model, std::shared_ptr<const MtcnnDetector> detector,
                 const LandmarkParameters& parameters, int max_faces, bool identities = false,
                 int threads = 1);
    ~FaceTracking();

    // The next frame of a video. In the single-face case there is always exactly one entry. Boxes, where
    // given, take the place of the face detector.
    std::vector<FittedFace> track(const ViewU8& image, const std::vector<Box>* boxes = nullptr);
    std::vector<FittedFace> track(const Frame& frame, const std::vector<Box>* boxes = nullptr);
    // Every face of a picture, in the order of the detections (or boxes); no influence from or on the video.
    std::vector<FittedFace> fit_picture(const ViewU8& image, const std::vector<Box>* boxes = nullptr);
    std::vector<FittedFace> fit_picture(const Frame& frame, const std::vector<Box>* boxes = nullptr);

    // The single face's frames in two steps (LandmarkTracker::follows): its face without a verdict, with what
    // `judge` has to know of the fit, and what the verdict makes of it.
    bool follows_single() const { return slots_.size() == 1 && slots_.front().tracker->follows(); }
    FittedFace track_unjudged(const Frame& frame, bool& fitted);
    void settle(const Frame& frame, const Verdict& verdict, FittedFace& face);
    // May run beside everything else.
    Verdict judge(bool fitted, GreyPicture& grey, const FittedFace& face, ValidatorScratch& scratch) const {
        return slots_.front().tracker->judge(fitted, grey, face.state.face, scratch);
    }

    // Forgets all faces, for the next video.
    void reset();
    // Forgets the face with this id: a tracker's, or a person, whose id is then never given again.
    void drop(int id);

    int max_faces() const { return int(slots_.size()); }
    // How often several faces have been looked for, since the start or the last reset.
    long detector_runs() const { return detector_runs_; }
    const LandmarkModel& model() const { return *model_; }
    std::shared_ptr<const LandmarkModel> shared_model() const { return model_; }

  private:
    struct Slot {
        std::unique_ptr<LandmarkTracker> tracker;
        bool active = false;
    };

    static void release(Slot& slot);
    Frame prepare(const ViewU8& image);
    FittedFace track_single(const Frame& frame, const std::vector<Box>* boxes);
    std::vector<FittedFace> track_several(const Frame& frame, const std::vector<Box>* boxes);
    std::vector<Box> find_faces(const Frame& frame, const std::vector<Box>* boxes);

    std::shared_ptr<const LandmarkModel> model_;
    std::shared_ptr<const MtcnnDetector> detector_;
    LandmarkParameters parameters_;
    std::vector<Slot> slots_;
    std::unique_ptr<FaceIdentity> identity_;      // null: ids are tracker indices
    std::unique_ptr<FaceFitter> picture_fitter_;  // created by the first picture
    MtcnnScratch detector_scratch_;
    GreyPicture grey_;
    std::unique_ptr<ThreadPool> pool_;  // null: one thread
    long frame_count_ = 0;
    long detector_runs_ = 0;
};

// The box around a shape's landmarks.
Box landmark_box(const ShapeState& state);
// Intersection over union of two boxes; 0 for boxes without area.
float overlap(const Box& a, const Box& b);

}  // namespace openface
