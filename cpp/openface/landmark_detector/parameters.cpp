#include "openface/landmark_detector/parameters.h"

#include <cmath>

#include "openface/core/error.h"

namespace openface {

LandmarkParameters LandmarkParameters::standard(bool wild) {
    LandmarkParameters p;
    p.fit.windows = {11, 9, 7, 5};
    if (wild) {
        p.fit.windows = {15, 13, 11, 11};
        p.fit.sigma = 1.25f;
        p.fit.regularisation = 35.0f;
        p.fit.weight_factor = 2.5f;
        p.fit.iterations = 10;
        p.multi_view = true;
    }
    return p;
}

void LandmarkParameters::apply_model_factors(const std::string& main_file_stem) {
    if (main_file_stem != "main_ceclm_general") return;
    fit.sigma *= 1.5f;
    fit.regularisation *= 0.9f;
}

void LandmarkParameters::check() const {
    const auto require = [](bool good, const char* cause) {
        if (!good) throw Error(Error::Code::input, std::string("landmark parameters: ") + cause);
    };
    require(std::isfinite(fit.sigma) && fit.sigma > 0.0f, "sigma must be positive");
    require(std::isfinite(fit.regularisation) && fit.regularisation >= 0.0f,
            "regularisation must not be negative");
    require(std::isfinite(fit.weight_factor) && fit.weight_factor >= 0.0f,
            "weight_factor must not be negative");
    require(fit.iterations >= 0 && fit.iterations <= 1000, "iterations must be between 0 and 1000");
    for (const auto* windows : {&fit.windows, &tracking_windows}) {
        bool any = false;
        for (const int window : *windows) {
            require(window == 0 || (window >= 3 && window <= 31 && window % 2 == 1),
                    "a window must be 0 or odd and between 3 and 31");
            any = any || window > 0;
        }
        require(any, "at least one window must not be 0");
    }
}

FitParameters part_parameters(const std::string& name) {
    const auto make = [](std::vector<int> windows, float regularisation, float sigma, float weight) {
        return FitParameters{std::move(windows), sigma, regularisation, weight, 5, false};
    };
    if (name == "left_eye_28" || name == "right_eye_28") return make({3, 5, 9}, 0.5f, 1.0f, 0.0f);
    if (name == "inner") return make({9}, 2.5f, 1.75f, 2.5f);
    if (name == "left_eye" || name == "right_eye") return make({5, 3}, 0.1f, 2.0f, 0.0f);
    if (name == "mouth") return make({7, 7}, 1.0f, 2.0f, 0.0f);
    if (name == "brow") return make({11, 9}, 10.0f, 3.5f, 0.0f);
    return make({11, 9, 7, 5}, 22.5f, 2.25f, 0.0f);
}

}  // namespace openface
