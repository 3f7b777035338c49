// One complete detection of a face's landmarks: the main fit, the part models and their merge, validation;
// and the search over initial rotations (landmark-fitting.md, sections 6 and 7; tracking.md, sections 2.3
// and 3.3).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "openface/landmark_detector/landmark_model.h"

namespace openface {

// What is known of one face and carried from frame to frame (tracking.md, section 2.2).
struct FaceState {
    ShapeState face;
    std::vector<ShapeState> parts;  // in the order of the model's parts
    bool initialised = false;       // a face has been located
    bool ok = false;                // the latest fit was accepted
    float certainty = 0.0f;         // of the latest fit
    int failures = -1;              // in a row

    explicit FaceState(const LandmarkModel& model);
    // Back to the beginning. Part models keep their last state, as in the reference.
    void reset(const LandmarkModel& model);
};

// Prepares the experts of the views in which fits from a box start, with one or all rotations, and of the
// parts. Nothing has to wait for it: a fit prepares what it needs and finds unprepared. It begins with what
// fits come to last, so that it can run beside the first one.
void prepare_first_fits(const LandmarkModel& model, const LandmarkParameters& parameters, bool all_rotations);

// Whether landmarks sit on a face, and how surely.
struct Verdict {
    bool accepted = false;
    float certainty = 0.0f;
};

class FaceFitter {
  public:
    FaceFitter(std::shared_ptr<const LandmarkModel> model, const LandmarkParameters& parameters);

    // The full fit from the state's parameters; sets ok and certainty. Returns ok.
    bool fit(GreyPicture& grey, const std::vector<int>& windows, FaceState& state);
    // The same without its last step: ok and certainty stay as they are. Returns whether the face was large
    // enough to be fitted, which the verdict asks for.
    bool fit_unjudged(GreyPicture& grey, const std::vector<int>& windows, FaceState& state);
    // The last step; any thread may take it, with a scratch of its own.
    Verdict judge(bool fitted, GreyPicture& grey, const ShapeState& face, ValidatorScratch& scratch) const;
    // Starts from a face box with one or all 11 rotations and keeps the likeliest result. Returns whether it
    // was accepted, which for models with early termination need not be state.ok (section 3.3, quirk 2).
    bool fit_from_box(GreyPicture& grey, const Box& box, bool all_rotations, FaceState& state);
    // Parameters of the mean shape in the box, without rotation; no fit.
    void start_from_box(const Box& box, FaceState& state);

    const LandmarkModel& model() const { return *model_; }
    std::shared_ptr<const LandmarkModel> shared_model() const { return model_; }
    const LandmarkParameters& parameters() const { return parameters_; }

    // For tests: fits record every iteration here while it is set.
    struct Trace {
        std::vector<ScaleTrace> scales;
        ShapeState after_scales;
        std::vector<std::vector<float>> part_landmarks_in;
        std::vector<ShapeState> part_starts;
        std::vector<std::vector<ScaleTrace>> part_scales;
        std::vector<bool> part_used;
        std::vector<float> merged_landmarks;
        explicit Trace(const LandmarkModel& model) : after_scales(*model.face.pdm) {}
    };
    void set_trace(Trace* trace) { trace_ = trace; }

  private:
    bool fit_main(ShapeFitter& fitter, GreyPicture& grey, const std::vector<int>& windows, ShapeState& face);
    bool complete(GreyPicture& grey, bool fitted, FaceState& state);
    void refine_with_parts(GreyPicture& grey, FaceState& state);
    bool keep_likeliest(GreyPicture& grey, const Box& box, int rotations, FaceState& state);
    struct RotationFit {
        ShapeState face;
        bool fitted = false;
    };
    std::vector<RotationFit> fit_rotations(GreyPicture& grey, const Box& box, int rotations,
                                           const ShapeState& before);
    bool terminate_early(GreyPicture& grey, const Box& box, int rotations, FaceState& state);

    std::shared_ptr<const LandmarkModel> model_;
    LandmarkParameters parameters_;
    ShapeFitter face_fitter_;
    std::unique_ptr<ShapeFitter> second_face_fitter_;  // for every other rotation, where there are threads
    std::vector<std::unique_ptr<ShapeFitter>> part_fitters_;
    ValidatorScratch validator_scratch_;
    std::vector<std::vector<float>> part_landmarks_;
    std::vector<float> merged_landmarks_;
    Trace* trace_ = nullptr;
};

}  // namespace openface
