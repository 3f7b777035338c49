// Fits one shape model to a grey image: non-uniform regularised landmark mean shift over the scales of its
// patch experts (Saragih et al. 2011; Baltrusaitis et al. 2013; landmark-fitting.md, section 5).
#pragma once

#include <memory>
#include <vector>

#include "openface/core/aligned.h"
#include "openface/image/grey.h"
#include "openface/landmark_detector/parameters.h"
#include "openface/patch_experts/patch_experts.h"
#include "openface/shape/pdm.h"

namespace openface {

// A shape model with its experts; immutable.
struct ShapeModel {
    std::shared_ptr<const Pdm> pdm;
    std::unique_ptr<const PatchExperts> experts;
};

// What a fit finds, and what it starts from.
struct ShapeState {
    GlobalParameters global;
    std::vector<float> local;                 // m
    std::vector<float> landmarks;             // 2n: x of all, then y; image pixels
    std::vector<float> landmark_likelihoods;  // n; -1e8 where the view hides the landmark
    float likelihood = -10.0f;                // mean log-likelihood of the visible landmarks

    explicit ShapeState(const Pdm& pdm)
        : local(std::size_t(pdm.mode_count())),
          landmarks(std::size_t(2 * pdm.landmark_count())),
          landmark_likelihoods(std::size_t(pdm.landmark_count())) {}
};

// What one pass of the optimisation did, for tests.
struct PassTrace {
    std::vector<std::vector<float>> mean_shifts;  // image, 2n, per iteration
    std::vector<std::vector<float>> increments;
    std::vector<ShapeState> states;
};
struct ScaleTrace {
    int scale = 0;
    int view = 0;
    int window = 0;
    float regularisation = 0.0f, sigma = 0.0f, weight_factor = 0.0f;
    std::vector<float> base_shape;  // 2n
    Similarity image_to_reference;
    std::vector<float> responses;  // n x window x window
    PassTrace rigid, nonrigid;
};

// Fits shapes of one model; holds the working memory, so that a fit allocates nothing once every view has
// been seen.
class ShapeFitter {
  public:
    ShapeFitter(const ShapeModel& model, const FitParameters& parameters);

    // Fits from the state's parameters over the scales with a window. Returns false when the face is too
    // small (scale below 0.25), the state then being that of the scale where that showed. Landmarks are
    // updated in any case.
    bool fit(GreyPicture& grey, const std::vector<int>& windows, ShapeState& state,
             std::vector<ScaleTrace>* traces = nullptr);

    // The landmarks of the state's parameters.
    void project(ShapeState& state);
    // The model fitted to landmarks (Pdm::fit_to_landmarks), and their projection.
    void fit_to_landmarks(const float* landmarks, ShapeState& state);
    // Parameters from a box and a rotation (mean shape).
    void start_from_box(const Box& box, float rx, float ry, float rz, ShapeState& state);

    const FitParameters& parameters() const { return parameters_; }

  private:
    // Mean shift kernels centred at the points of a grid with step 0.1, each made when first asked for.
    struct KernelTable {
        int window = 0;
        float exponent_factor = 0.0f;
        std::vector<bool> made;                      // 10 * window rows and columns
        std::vector<std::unique_ptr<float[]>> rows;  // kernel_size(window) floats per column
    };
    struct AdaptedParameters {
        float regularisation, sigma, weight_factor;
    };

    AdaptedParameters adapted(int scale) const;
    KernelTable& kernel_table(int window, float sigma);
    static const float* kernel_at(KernelTable& table, int column, int row);
    const LandmarkWeights& landmark_weights(int scale, int view, float weight_factor);
    void interleave_responses(const PatchExperts::View& view);
    void run_pass(bool rigid, KernelTable& table, const LandmarkWeights& weights,
                  const PatchExperts::View& view, const Similarity& to_reference, const Similarity& to_image,
                  float regularisation, ShapeState& state, PassTrace* trace);
    bool has_moved();
    void shift_landmarks(KernelTable& table, const PatchExperts::View& view, const Similarity& to_image);
    void record_likelihood(const PatchExperts::View& view, float sigma, ShapeState& state);

    const ShapeModel& model_;
    const FitParameters parameters_;
    ResponseMaps maps_;
    PatchScratch patch_scratch_;
    PdmScratch pdm_scratch_;
    PdmFitScratch pdm_fit_scratch_;
    AlignedVector<float> base_, current_, previous_, offsets_, limited_, shifts_, reference_;  // 2 * stride
    std::vector<std::int32_t> grid_;  // of the mean shift kernels, 2 * stride
    std::vector<float> packed_;       // 2n
    std::vector<std::unique_ptr<KernelTable>> tables_;
    std::vector<LandmarkWeights> weights_;   // scale x view
    AlignedVector<float> interleaved_maps_;  // see interleave_maps
};

}  // namespace openface
