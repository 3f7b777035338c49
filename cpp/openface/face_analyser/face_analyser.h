// The face analyser: a frame and its 68 landmarks become action units, an aligned face and an FHOG descriptor
// (action-units.md, sections 1, 7 to 11).
//
// The model is shared and immutable; an analyser is the state of one person in one video. Copying it copies
// the state. Not for use by two threads at once.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "openface/core/image.h"
#include "openface/face_analyser/alignment.h"
#include "openface/face_analyser/fhog.h"
#include "openface/face_analyser/live_correction.h"
#include "openface/face_analyser/model.h"
#include "openface/face_analyser/running_median.h"

namespace openface {

// Views into the analyser, valid until its next call. Units in the order of the output (sorted by name).
struct AnalysedFace {
    std::span<const double> intensity;
    std::span<const double> presence;
    std::span<const float> fhog;       // 12 x 12 x 31; zeros for a failed frame
    std::span<const double> geometry;  // deviation from the mean shape, mode weights
    GlobalParameters global;           // of the analyser's own fit to the landmarks
};

// Both matrices have one row per frame of the video, failed frames included.
struct PostProcessed {
    std::size_t frames = 0;
    std::vector<double> intensity;  // frames x units
    std::vector<double> presence;
};

class FaceAnalyser {
  public:
    // `live` turns the online correction on, for input that has no end. Without `history` nothing is kept for
    // finish(), so memory does not grow with the number of frames.
    explicit FaceAnalyser(std::shared_ptr<const FaceAnalyserModel> model, bool live = false,
                          bool history = true);

    const FaceAnalyserModel& model() const { return *model_; }
    bool live() const { return live_; }
    bool keeps_history() const { return keeps_history_; }

    // The next frame of a video. `landmarks`: x of all 68, then y; not looked at if `success` is false.
    // Intensities are the raw predictions (not limited to 0 ... 5), or, if live, the corrected ones.
    AnalysedFace analyse(const ViewU8& frame, const float* landmarks, bool success);
    // A single image: no history, no medians; intensities limited to 0 ... 5. Throws Error(state) if a
    // predictor is dynamic.
    AnalysedFace analyse_static(const ViewU8& frame, const float* landmarks);

    // The aligned face of the latest call: 112 x 112 B, G, R with mask; black after a failed frame.
    void aligned_face(ImageU8& image) const { interleave(planes_, false, image); }
    // Any other alignment of a face; black if not `success`. Reuses the fit of the latest call if the
    // landmarks are the same.
    void align(const ViewU8& frame, const float* landmarks, bool success, const AlignmentOptions& options,
               ImageU8& image);

    // The end-of-video pass over all frames since the start or the last reset: predictions repeated with the
    // final medians, and, unless `smooth` is false, neutral levels subtracted and values smoothed. Changes
    // nothing.
    PostProcessed finish(bool smooth = true) const;
    std::size_t frames() const { return history_.kinds.size() - history_.earlier; }

    // Starts a new video: of another person, or of the same one, whose calibration then stays: medians, live
    // correction, and the earlier frames' predictions, which count for the neutral levels.
    void reset(bool keep_calibration = false);

    // Everything that later results depend on, as bytes (state_bytes.cpp describes them).
    std::vector<char> state() const;
    // Replaces the state. Throws Error(input) if the bytes are damaged or belong to another model or version;
    // the analyser is then unchanged.
    void restore(std::span<const char> state);

    // The running medians of the FHOG and geometry descriptors.
    std::span<const double> appearance_median() const;
    std::span<const double> geometry_median() const;

    // Single stages, for tests and benchmarks.
    void fit(const float* landmarks);
    void align_for_units(const ViewU8& frame, const float* landmarks);
    void describe();
    void update_medians(bool success);
    void predict();

  private:
    friend class StateWriter;
    friend class StateReader;

    struct Medians {
        RunningMedian appearance;
        RunningMedian geometry;
    };
    enum class Kind : std::uint8_t {
        failed,   // values are 0
        final,    // values hold decisions, medians subtracted
        pending,  // values lack the medians, which are subtracted at the end
    };
    struct History {
        std::vector<Kind> kinds;
        std::vector<double> values;  // frames x predictors
        std::size_t earlier = 0;     // the first of them, from earlier videos of the same person
        std::uint32_t pending = 0;   // without those
    };

    void check(const ViewU8& frame, const float* landmarks) const;
    void clear_face();
    void gather_medians();
    void append(bool success);
    AnalysedFace result() const;
    double decision(int p) const { return base_[std::size_t(p)] - subtracted(p); }
    double subtracted(int p) const {
        return model_->predictors().predictor(p).dynamic ? median_dots_[std::size_t(p)] : 0.0;
    }

    std::shared_ptr<const FaceAnalyserModel> model_;
    bool live_;
    bool keeps_history_;

    // What a video adds up to.
    std::uint64_t frame_counter_ = 0;
    std::optional<Medians> medians_;         // created by the first video frame of a dynamic model
    AlignedVector<double> median_features_;  // both sets of medians, in the order of the features
    AlignedVector<double> median_dots_;
    bool median_dots_stale_ = false;
    LiveCorrection correction_;
    History history_;

    // The latest frame.
    std::vector<float> landmarks_;  // those that global_ and local_ were fitted to
    GlobalParameters global_;
    AlignedVector<float> local_;
    AlignedPlanes planes_;
    AlignedVector<float> descriptor_;
    AlignedVector<double> features_;
    AlignedVector<double> dots_, base_;
    std::vector<double> intensity_, presence_;

    PdmFitScratch fit_scratch_;
    AlignmentScratch alignment_scratch_;
    AlignedPlanes output_planes_;
    std::vector<float> corners_;
    fhog::Scratch fhog_scratch_;
};

}  // namespace openface
