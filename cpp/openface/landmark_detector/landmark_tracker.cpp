#include "openface/landmark_detector/landmark_tracker.h"

#include <algorithm>

namespace openface {

namespace {

// While no face is known, the detector runs on every sixth re-detection turn.
constexpr int idle_turns = 6;

}  // namespace

LandmarkTracker::LandmarkTracker(std::shared_ptr<const LandmarkModel> model,
                                 std::shared_ptr<const MtcnnDetector> detector,
                                 const LandmarkParameters& parameters)
    : fitter_(std::move(model), parameters), detector_(std::move(detector)), state_(fitter_.model()) {}

void LandmarkTracker::reset() {
    state_.reset(model());
}

bool LandmarkTracker::track(const Frame& frame) {
    const LandmarkParameters& p = fitter_.parameters();
    const bool was_initialised = state_.initialised;
    if (was_initialised) fitter_.fit(frame.grey, state_.ok ? p.tracking_windows : p.fit.windows, state_);
    return conclude(frame, was_initialised);
}

bool LandmarkTracker::track_unjudged(const Frame& frame) {
    return fitter_.fit_unjudged(frame.grey, fitter_.parameters().tracking_windows, state_);
}

bool LandmarkTracker::settle(const Frame& frame, const FaceState& unjudged, const Verdict& verdict) {
    state_ = unjudged;
    state_.certainty = verdict.certainty;
    state_.ok = verdict.accepted;
    return conclude(frame, true);
}

// What follows the fit that went on from the frame before, if there was one: to count its failure, to look
// for the face again, to give it up.
bool LandmarkTracker::conclude(const Frame& frame, bool was_initialised) {
    const LandmarkParameters& p = fitter_.parameters();
    if (was_initialised) state_.failures = state_.ok ? -1 : state_.failures + 1;
    const int interval = p.redetection_interval;
    const bool turn =
        interval > 0 && (state_.initialised ? !state_.ok && state_.failures % interval == 0
                                            : (state_.failures + 1) % (idle_turns * interval) == 0);
    if (turn && detector_ != nullptr) {
        const std::vector<Detection> faces = detector_->detect(frame.colour, detector_scratch_);
        // Of several faces the widest, the earlier one on ties.
        const auto widest = std::max_element(
            faces.begin(), faces.end(),
            [](const Detection& a, const Detection& b) { return a.box.width < b.box.width; });
        if (widest != faces.end()) return redetect(frame, widest->box, was_initialised);
    }
    if (!state_.initialised) ++state_.failures;
    if (state_.failures > p.failure_limit) state_.initialised = false;
    return state_.ok;
}

// A rejected re-detection gives the shape of the tracking fit back, but its verdict, certainty and parts
// stay. A first detection counts as success even when rejected.
bool LandmarkTracker::redetect(const Frame& frame, const Box& box, bool was_initialised) {
    state_.initialised = true;
    const ShapeState before = state_.face;
    const bool accepted = fitter_.fit_from_box(frame.grey, box, true, state_);
    if (was_initialised && !accepted) {
        state_.face = before;
        return false;
    }
    state_.failures = -1;
    return true;
}

bool LandmarkTracker::track_in_box(const Frame& frame, const Box& box) {
    if (box.width > 0.0f) {
        fitter_.start_from_box(box, state_);
        state_.initialised = true;
    }
    return track(frame);
}

}  // namespace openface
