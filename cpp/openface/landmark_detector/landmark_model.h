// Everything that a main file (model/main_*.txt) names: the face model with its experts, part models for eyes
// and inner face, the validation network, early termination (models.md, sections 5 and 6). Immutable once
// loaded; any number of trackers share one.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "openface/landmark_detector/parameters.h"
#include "openface/landmark_detector/shape_fit.h"
#include "openface/landmark_detector/validator.h"
#include "openface/patch_experts/early_termination.h"

namespace openface {

struct PartModel {
    std::string name;
    ShapeModel model;
    FitParameters parameters;
    std::vector<std::pair<int, int>> landmarks;  // index in the face model, index in the part
};

class LandmarkModel {
  public:
    // Throws Error(model); files that are missing are named all at once.
    static std::shared_ptr<const LandmarkModel> load(const std::filesystem::path& main_file);

    ShapeModel face;
    std::vector<PartModel> parts;
    std::shared_ptr<const Validator> validator;
    std::optional<EarlyTermination> early_termination;
    std::string stem;        // the main file's name without extension, which selects parameter factors
    int left_eye_part = -1;  // index of "left_eye_28" (the eye at the left of the image), or -1
    int right_eye_part = -1;

    bool has_eyes() const { return left_eye_part >= 0 && right_eye_part >= 0; }
};

}  // namespace openface
