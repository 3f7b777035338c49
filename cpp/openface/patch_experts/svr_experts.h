// SVR patch experts, those of CLM: linear regressors on the raw and the gradient image per landmark and view
// (landmark-fitting.md, section 4.5; models.md, section 10).
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "openface/patch_experts/patch_experts.h"
#include "openface/patch_experts/svr_response.h"

namespace openface {

class TextReader;

class SvrExperts final : public PatchExperts {
  public:
    // One file per scale, in the order of the listing. Throws Error(model).
    static std::unique_ptr<SvrExperts> load(const std::vector<std::filesystem::path>& files_in_scale_order,
                                            int landmark_count);

    void respond(const ResponseQuery& query, ResponseMaps& maps, PatchScratch& scratch) const override;
    const char* kind() const override { return "SVR"; }

  private:
    struct Modality {
        SvrFeature feature = SvrFeature::raw;
        double confidence = 0.0;
        double scaling = 0.0;
        double bias = 0.0;
        double mean = 0.0;
        double deviation_root = 0.0;
        bool flat = false;
        AlignedVector<float> weights;
    };
    struct Expert {
        int support = 0;
        std::vector<Modality> modalities;
    };

    static Expert read_expert(TextReader& reader);
    static Modality read_modality(TextReader& reader, int support);
    void read_scale(const std::filesystem::path& path);
    static void respond_at(const Expert& expert, const ResponseQuery& query, float x, float y, float* map,
                           int map_stride, PatchScratch& scratch);

    std::vector<std::vector<Expert>> experts_;  // scale -> view * n + landmark
};

}  // namespace openface
