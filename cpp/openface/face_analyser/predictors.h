// The linear predictors of action units: intensities (support vector regression) and presences (support
// vector machines), static ones and those calibrated to the person by subtracting the running median
// (action-units.md, sections 2 and 8; models.md, section 15).
//
// All of them are linear in descriptor and median, so they are packed into one matrix and evaluated in one
// pass: the decision of predictor p is x.w_p + offset_p - m.w_p, the last term only if p is dynamic.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "openface/core/aligned.h"

namespace openface {

struct Predictor {
    std::string name;          // "AU01"
    bool dynamic = false;      // uses the running median
    double cutoff = -1.0;      // dynamic intensities: quantile that counts as neutral; -1 = none
    double if_positive = 0.0;  // presences: class for a decision above 0
    double otherwise = 1.0;
};

class Predictors {
  public:
    // Reads a list ("file name" per line) whose predictors take `feature_count` features.
    Predictors(const std::filesystem::path& list, int feature_count);

    // Sorted by name, as in the output.
    const std::vector<Predictor>& intensities() const { return intensities_; }
    const std::vector<Predictor>& presences() const { return presences_; }
    // Intensities first, then presences.
    int count() const { return int(intensities_.size() + presences_.size()); }
    const Predictor& predictor(int p) const;
    bool any_dynamic() const { return any_dynamic_; }
    int feature_count() const { return feature_count_; }

    int padded_count() const { return 8 * blocks_; }
    double offset(int p) const { return offsets_[std::size_t(p)]; }
    // padded_count() dot products each.
    void dots(const double* features, double* out) const;
    void dots(const double* features, const double* medians, double* out, double* median_out) const;

    // Presence of predictor p (counted among the presences) from its decision value.
    double label(int presence, double decision) const;

    const std::vector<std::filesystem::path>& files() const { return files_; }
    std::uint64_t weight_hash() const;

  private:
    std::vector<Predictor> intensities_;
    std::vector<Predictor> presences_;
    bool any_dynamic_ = false;
    int feature_count_ = 0;
    int blocks_ = 0;
    AlignedVector<double> weights_;  // feature_count x padded_count
    std::vector<double> offsets_;    // bias minus mean.w
    std::vector<std::filesystem::path> files_;
};

}  // namespace openface
