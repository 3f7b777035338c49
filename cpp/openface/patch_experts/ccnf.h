// CCNF patch experts (Baltrusaitis et al. 2013; landmark-fitting.md, section 4.4; file: models.md, section
// 9).
//
// A response map is a sum of logistic neurons on the contrast-normalised patch, smoothed by the expert's
// association matrix. The association matrices are inverted when a view is first used, and kept; experts with
// the same weights of their vertices and edges share one, as those of landmarks that mirror each other do.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

#include "openface/core/aligned.h"
#include "openface/patch_experts/association.h"
#include "openface/patch_experts/patch_experts.h"

namespace openface {

class BinaryReader;

class CcnfExperts final : public PatchExperts {
  public:
    // One file per scale, in the order of the listing. Throws Error(model).
    static std::unique_ptr<CcnfExperts> load(const std::vector<std::filesystem::path>& files,
                                             int landmark_count);

    void respond(const ResponseQuery& query, ResponseMaps& maps, PatchScratch& scratch) const override;
    void prepare(int scale, int view, int window) const override { association(scale, view, window); }
    const char* kind() const override { return "CCNF"; }

  private:
    struct Expert {
        AlignedVector<float> weights;  // support^2 x stride
        AlignedVector<float> biases;   // padded(neuron_count)
        std::vector<double> twice_alphas;
        std::vector<float> betas;
        float alpha_sum = 0.0f;
        std::size_t smoothing = 0;  // number of its association matrices
        int neuron_count = 0;
        int support = 11;
    };
    // An association matrix for one window, made at first use.
    struct Smoothing {
        std::once_flag once;
        UninitialisedFloats matrix;
    };
    // The association matrices of one (scale, view, window), gathered at first use.
    struct Association {
        std::once_flag once;
        std::size_t bytes = 0;               // of a matrix
        std::vector<const float*> matrices;  // by landmark; null where the view hides it
    };

    // What loading may still cost. The published files need a hundredth of the work: their largest window is
    // 15.
    struct LoadingLimits {
        double multiplications = 1e9;  // a few seconds
        std::size_t weight_bytes = 0;  // for the padded weights of one file

        // Takes off one inversion for a window size; false when that is too much.
        bool spend_on_inversion(int window);
    };

    void read_scale(const std::filesystem::path& file, LoadingLimits& limits);
    Expert read_expert(BinaryReader& reader, std::size_t beta_count, LoadingLimits& limits) const;
    void check_association(const std::filesystem::path& file, const Expert& expert,
                           LoadingLimits& limits) const;
    void number_smoothings();
    const float* smoothing(const Expert& expert, std::size_t edges, AssociationScratch& scratch) const;
    const Association* association(int scale, int view, int window) const;
    const Expert& expert(int scale, int view, int landmark) const {
        return experts_[std::size_t(scale)][std::size_t(view * landmark_count_ + landmark)];
    }

    std::vector<std::vector<Expert>> experts_;  // scale -> view * n + landmark
    std::vector<EdgeComponents> edges_;         // of the file read last, as the reference has it
    mutable std::vector<std::unique_ptr<Smoothing>> smoothings_;      // Expert::smoothing x edges_
    mutable std::vector<std::unique_ptr<Association>> associations_;  // scale x view x edges_
};

}  // namespace openface
