// CEN patch experts, those of CE-CLM: a small fully connected network per landmark and view looks at every
// second window position (landmark-fitting.md, section 4.6; models.md, section 11).
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "openface/patch_experts/dense_networks.h"
#include "openface/patch_experts/patch_experts.h"

namespace openface {

class CenExperts final : public PatchExperts {
  public:
    // One file per scale, in the order of the listing. Throws Error(model).
    static std::unique_ptr<CenExperts> load(const std::vector<std::filesystem::path>& files_in_scale_order,
                                            int landmark_count);

    // Which window positions the network evaluates; the rest is interpolated. The detector uses the
    // checkerboard.
    enum class Positions { checkerboard, all };

    void respond(const ResponseQuery& query, ResponseMaps& maps, PatchScratch& scratch) const override {
        respond(query, Positions::checkerboard, maps, scratch);
    }
    void respond(const ResponseQuery& query, Positions positions, ResponseMaps& maps,
                 PatchScratch& scratch) const;
    const char* kind() const override { return "CEN"; }

  private:
    // One network at work in a view: for the landmark that it was trained for, for a mirrored one, or both.
    struct Job {
        int network;
        int plain;     // landmark, or -1
        int mirrored;  // landmark, or -1
    };
    struct Bank {
        DenseNetworks networks;              // view * landmark_count + landmark
        std::vector<std::vector<Job>> jobs;  // per view
    };
    struct Mirror {
        std::vector<int> landmarks;
        std::vector<int> views;
    };

    static Mirror load_scale(const std::filesystem::path& path, int landmark_count, CenExperts& experts);
    static std::vector<Job> plan_view(const Scale& scale, const DenseNetworks& networks, const Mirror& mirror,
                                      int view, const std::filesystem::path& path);

    std::vector<Bank> banks_;  // per scale
};

}  // namespace openface
