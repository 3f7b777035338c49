// The running, person-specific median of every entry of a descriptor (action-units.md, section 7).
//
// One histogram of counts per entry. The bin that holds the median is remembered together with the number of
// samples below it; a new sample moves it by a step or not at all, so an update costs the same however many
// samples there were.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "openface/core/aligned.h"

namespace openface {

struct HistogramRange {
    int bins;
    double low;
    double high;
    bool floor_at_zero;  // medians below 0 become 0
};

inline constexpr HistogramRange appearance_range{1000, -0.005, 1.0, true};
inline constexpr HistogramRange geometry_range{10000, -60.0, 60.0, false};

class RunningMedian {
  public:
    RunningMedian() = default;
    RunningMedian(int entries, HistogramRange range);

    // What an odd frame does: a successful one adds its descriptor, a failed one (whose descriptor is zero)
    // may still change the medians while there are fewer than two samples, a quirk of section 7.2.
    void add(std::span<const double> descriptor);
    void add_failed();

    std::span<const double> medians() const { return medians_; }
    std::uint32_t count() const { return count_; }
    int entries() const { return int(medians_.size()); }
    const HistogramRange& range() const { return range_; }

    // For saving and restoring: the counts of one entry's bins, and a whole state from counts and medians.
    std::span<const std::uint32_t> histogram(int entry) const;
    std::span<std::uint32_t> histogram(int entry);
    // Takes over counts that were written into the histograms; each entry's must add up to `count`.
    void restore(std::uint32_t count, std::span<const double> medians);

  private:
    struct Cursor {
        std::int32_t bin = 0;      // the bin of the median
        std::uint32_t below = 0;   // samples in lower bins
        std::uint32_t inside = 0;  // samples in this bin
    };

    // Zeros to begin with, as the system gives them: pages of bins that no value falls into take no memory.
    struct Release {
        void operator()(std::uint32_t* counts) const noexcept { std::free(counts); }
    };
    using Counts = std::unique_ptr<std::uint32_t[], Release>;

    double centre(int bin) const;
    double floored(double median) const { return range_.floor_at_zero && median < 0.0 ? 0.0 : median; }
    bool move(Cursor& cursor, const std::uint32_t* counts, std::uint32_t rank) const;

    HistogramRange range_{};
    std::uint32_t count_ = 0;
    Counts counts_;  // entries x bins
    AlignedVector<Cursor> cursors_;
    AlignedVector<double> medians_;
    AlignedVector<std::int32_t> sample_bins_;
};

}  // namespace openface
