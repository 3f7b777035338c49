// Early termination of the search over initial poses (landmark-fitting.md, section 7; models.md, section 12).
#pragma once

#include <filesystem>
#include <vector>

namespace openface {

// Per view of the first scale: a hypothesis with log-likelihood l in view v is accepted at once if
// l * weights[v] + biases[v] > cutoffs[v].
struct EarlyTermination {
    std::vector<double> weights;
    std::vector<double> biases;
    std::vector<double> cutoffs;

    double calibrated(double likelihood, int view) const {
        return likelihood * weights[std::size_t(view)] + biases[std::size_t(view)];
    }
    bool accepts(double likelihood, int view) const {
        return calibrated(likelihood, view) > cutoffs[std::size_t(view)];
    }

    // Reads exactly 3 * view_count numbers.
    static EarlyTermination load(const std::filesystem::path& path, int view_count);
};

}  // namespace openface
