// For live video, whose end is never seen: a running low quantile of each intensity counts as neutral and is
// subtracted (action-units.md, section 9, item 5).
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace openface {

class LiveCorrection {
  public:
    static constexpr int bins = 200;

    LiveCorrection() = default;
    explicit LiveCorrection(int units) : counts_(std::size_t(units) * bins) {}

    // Learns from the raw intensities of a successful frame and corrects them in place.
    void apply(std::span<double> intensities) {
        ++count_;
        for (std::size_t unit = 0; unit < intensities.size(); ++unit) {
            std::uint32_t* counts = &counts_[unit * bins];
            const double position = (intensities[unit] + 3.0) * bins / 8.0;
            ++counts[int(std::clamp(position, 0.0, double(bins - 1)))];
            intensities[unit] = std::clamp(intensities[unit] - neutral(counts), 0.0, 5.0);
        }
    }

    // For saving and restoring.
    std::uint32_t& count() { return count_; }
    std::uint32_t count() const { return count_; }
    std::vector<std::uint32_t>& counts() { return counts_; }
    const std::vector<std::uint32_t>& counts() const { return counts_; }

  private:
    // Lower edge of the first bin whose cumulative count exceeds a tenth of the frames; 0 while there are
    // fewer than 10.
    double neutral(const std::uint32_t* counts) const {
        if (count_ < 10) return 0.0;
        const std::uint32_t threshold = std::uint32_t(0.10 * count_);
        std::uint32_t cumulative = 0;
        int bin = 0;
        while (bin < bins - 1 && (cumulative += counts[bin]) <= threshold) ++bin;
        return -3.0 + bin * 0.04;
    }

    std::uint32_t count_ = 0;
    std::vector<std::uint32_t> counts_;  // units x bins
};

}  // namespace openface
