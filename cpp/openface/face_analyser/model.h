// What the face analyser loads: the shape model it fits to landmarks, the triangles of the face mask and the
// action unit predictors, all named by one main file such as AU_predictors/main_dynamic_svms.txt (models.md,
// section 15).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "openface/face_analyser/alignment.h"
#include "openface/face_analyser/predictors.h"
#include "openface/shape/pdm.h"

namespace openface {

class FaceAnalyserModel {
  public:
    // Throws Error(model) for missing or inconsistent files.
    static std::shared_ptr<const FaceAnalyserModel> load(const std::filesystem::path& main_file);

    const Pdm& pdm() const { return *pdm_; }
    const std::vector<float>& mean_shape() const { return mean_shape_; }  // x of all, then y of all
    const std::vector<Triangle>& triangles() const { return triangles_; }
    const Predictors& predictors() const { return *predictors_; }
    // 3 n coordinates of the deviation from the mean shape, then m mode weights.
    int geometry_length() const { return 3 * pdm_->landmark_count() + pdm_->mode_count(); }
    // Tells models apart: a saved state fits only the model that it was made with. Takes a millisecond.
    std::uint64_t fingerprint() const;
    // Every file read, the main file first.
    const std::vector<std::filesystem::path>& files() const { return files_; }

  private:
    std::shared_ptr<const Pdm> pdm_;
    std::vector<float> mean_shape_;
    std::vector<Triangle> triangles_;
    std::unique_ptr<const Predictors> predictors_;
    std::vector<std::filesystem::path> files_;
};

}  // namespace openface
