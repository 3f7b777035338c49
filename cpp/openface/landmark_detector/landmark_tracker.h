// Follows one face through a video: when to run the face detector, which windows to use, what counts as lost
// (tracking.md, section 3).
#pragma once

#include <memory>

#include "openface/face_detector/mtcnn.h"
#include "openface/landmark_detector/face_fit.h"

namespace openface {

// One frame in the two forms that the stages read.
struct Frame {
    ViewU8 colour;
    GreyPicture& grey;
};

class LandmarkTracker {
  public:
    LandmarkTracker(std::shared_ptr<const LandmarkModel> model, std::shared_ptr<const MtcnnDetector> detector,
                    const LandmarkParameters& parameters);

    // The next frame. Returns what OpenFace prints as success; state().ok can differ from it (section 3.1,
    // step C).
    bool track(const Frame& frame);
    // The next frame, with a box in which a face is known to be: one frontal fit instead of a detection
    // (section 3.4).
    bool track_in_box(const Frame& frame, const Box& box);
    void reset();

    // Whether the frame before has a face: then the next one's fit is most likely accepted, and can be taken
    // apart. track_unjudged fits without a verdict and leaves the state as after an accepted fit, certainty
    // aside; returns whether the face was large enough. settle goes back to the state that it left, if other
    // frames have been tracked since, and does what the verdict asks for; returns what track does. A frame
    // that is tracked in two steps ends in the same state as in one.
    bool follows() const { return state_.initialised && state_.ok && state_.failures < 0; }
    bool track_unjudged(const Frame& frame);
    bool settle(const Frame& frame, const FaceState& unjudged, const Verdict& verdict);
    Verdict judge(bool fitted, GreyPicture& grey, const ShapeState& face, ValidatorScratch& scratch) const {
        return fitter_.judge(fitted, grey, face, scratch);
    }

    const FaceState& state() const { return state_; }
    FaceState& state() { return state_; }
    FaceFitter& fitter() { return fitter_; }
    const LandmarkModel& model() const { return fitter_.model(); }

  private:
    bool conclude(const Frame& frame, bool was_initialised);
    bool redetect(const Frame& frame, const Box& box, bool was_initialised);

    FaceFitter fitter_;
    std::shared_ptr<const MtcnnDetector> detector_;
    MtcnnScratch detector_scratch_;
    FaceState state_;
};

}  // namespace openface
