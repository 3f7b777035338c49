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
#include <unordered_map>

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

    // For saving and restoring: the samples in an entry's bin, and a whole state from them and the medians;
    // each entry's samples must add up to `count`.
    std::uint32_t samples(int entry, int bin) const;
    void copy_samples(int entry, std::span<std::uint32_t> samples) const;
    void set_samples(int entry, int bin, std::uint32_t samples);
    void restore(std::uint32_t count, std::span<const double> medians);

  private:
    struct Cursor {
        std::int32_t bin = 0;      // the bin of the median
        std::uint32_t below = 0;   // samples in lower bins
        std::uint32_t inside = 0;  // samples in this bin
    };

    // Zeros to begin with, as the system gives them: pages of bins that no value falls into take no memory.
    struct Release {
        void operator()(std::uint16_t* counts) const noexcept { std::free(counts); }
    };
    using Counts = std::unique_ptr<std::uint16_t[], Release>;

    double centre(int bin) const;
    double floored(double median) const { return range_.floor_at_zero && median < 0.0 ? 0.0 : median; }
    bool move(Cursor& cursor, int entry, std::uint32_t rank) const;
    std::size_t place(int entry, int bin) const {
        return std::size_t(entry) * std::size_t(range_.bins) + std::size_t(bin);
    }

    HistogramRange range_{};
    std::uint32_t count_ = 0;
    // Entries x bins, in halves: the lower ones of all numbers of samples, the upper ones that are not 0. An
    // hour of video has no more samples than the lower half counts, and memory is what an update waits for.
    Counts counts_;
    std::unordered_map<std::size_t, std::uint32_t> carries_;
    AlignedVector<Cursor> cursors_;
    AlignedVector<double> medians_;
    AlignedVector<std::int32_t> sample_bins_;
};

}  // namespace openface
