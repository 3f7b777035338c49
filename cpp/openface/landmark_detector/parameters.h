// The settings of the landmark fit: what OpenFace's command line can change, with its defaults
// (landmark-fitting.md, section 8; tracking.md, sections 2.3 and 9.2).
#pragma once

#include <string>
#include <vector>

namespace openface {

// One model's fit. Part models (eyes, inner face) have settings of their own, fixed by their name.
struct FitParameters {
    std::vector<int> windows;      // side of the response maps per patch scale; 0 leaves a scale out
    float sigma = 1.5f;            // width of the mean-shift kernel, pixels of the expert frame
    float regularisation = 25.0f;  // strength of the shape prior
    float weight_factor = 0.0f;    // > 0: landmarks weigh by their experts' confidence (NU-RLMS)
    int iterations = 5;            // at most, per scale and stage
    bool adapt_to_scale = true;    // the three values above change with the patch scale
};

struct LandmarkParameters {
    FitParameters fit;                              // fit.windows: for detection, after failures, and images
    std::vector<int> tracking_windows{0, 9, 7, 0};  // after a success
    bool multi_view = false;                        // images: try all initial rotations (videos always do)
    bool validate = true;                           // run the validation network
    bool refine_parts = true;                       // fit the part models and merge them
    int redetection_interval = 2;                   // failed frames between face detections; < 0: never
    float validation_boundary = 0.725f;
    int failure_limit = 100;  // failures in a row before the tracker gives up its face

    // The defaults; `wild` gives the settings for difficult images.
    static LandmarkParameters standard(bool wild = false);
    // The factors that the model of this file stem brings along (CE-CLM: sigma * 1.5, regularisation * 0.9).
    void apply_model_factors(const std::string& main_file_stem);
    // Throws Error(input) naming the value that can't be used.
    void check() const;
};

// The settings of a part model by its name in the main file.
FitParameters part_parameters(const std::string& part_name);

}  // namespace openface
