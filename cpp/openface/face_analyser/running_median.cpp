#include "openface/face_analyser/running_median.h"

#include <algorithm>
#include <cstdint>
#include <new>

namespace openface {

RunningMedian::RunningMedian(int entries, HistogramRange range)
    : range_(range),
      counts_(static_cast<std::uint16_t*>(
          std::calloc(std::size_t(entries) * std::size_t(range.bins), sizeof(std::uint16_t)))),
      cursors_(std::size_t(entries)),
      medians_(std::size_t(entries)),
      sample_bins_(std::size_t(entries)) {
    if (counts_ == nullptr) throw std::bad_alloc();
}

double RunningMedian::centre(int bin) const {
    const double width = (range_.high - range_.low) / range_.bins;
    return range_.low + bin * width + 0.5 * width;
}

std::uint32_t RunningMedian::samples(int entry, int bin) const {
    const std::size_t at = place(entry, bin);
    const std::uint32_t lower = counts_[at];
    if (carries_.empty()) return lower;
    const auto carry = carries_.find(at);
    return carry == carries_.end() ? lower : carry->second << 16 | lower;
}

// Moves to the first bin whose cumulative count reaches `rank`; says whether that was another one.
bool RunningMedian::move(Cursor& cursor, int entry, std::uint32_t rank) const {
    const std::int32_t start = cursor.bin;
    while (cursor.below >= rank) {
        cursor.inside = samples(entry, --cursor.bin);
        cursor.below -= cursor.inside;
    }
    while (cursor.below + cursor.inside < rank) {
        cursor.below += cursor.inside;
        cursor.inside = samples(entry, ++cursor.bin);
    }
    return cursor.bin != start;
}

void RunningMedian::add(std::span<const double> descriptor) {
    const std::size_t entries = medians_.size();
    const std::size_t bins = std::size_t(range_.bins);
    const double length = range_.high - range_.low;
    const double scale = double(range_.bins);
    const double last = double(range_.bins - 1);
    for (std::size_t i = 0; i < entries; ++i) {
        const double position = (descriptor[i] - range_.low) * scale / length;
        sample_bins_[i] = std::int32_t(std::min(std::max(position, 0.0), last));
    }
    ++count_;
    const std::uint32_t rank = (count_ + 1) / 2;
    constexpr std::size_t ahead = 24;  // entries whose counts are on their way from memory
    for (std::size_t i = 0; i < entries; ++i) {
        if (i + ahead < entries)
            __builtin_prefetch(counts_.get() + (i + ahead) * bins + std::size_t(sample_bins_[i + ahead]), 1);
        const std::int32_t bin = sample_bins_[i];
        const std::size_t at = i * bins + std::size_t(bin);
        if (++counts_[at] == 0) ++carries_[at];
        Cursor& cursor = cursors_[i];
        cursor.below += bin < cursor.bin;
        cursor.inside += bin == cursor.bin;
        if (move(cursor, int(i), rank) || count_ == 2) medians_[i] = floored(centre(cursor.bin));
    }
    if (count_ == 1)
        for (std::size_t i = 0; i < entries; ++i) medians_[i] = floored(descriptor[i]);
}

void RunningMedian::add_failed() {
    if (count_ == 0) std::fill(medians_.begin(), medians_.end(), floored(centre(0)));
    if (count_ == 1) std::fill(medians_.begin(), medians_.end(), 0.0);
}

void RunningMedian::copy_samples(int entry, std::span<std::uint32_t> samples) const {
    const std::size_t first = place(entry, 0);
    std::copy_n(counts_.get() + first, samples.size(), samples.begin());
    for (const auto& [at, carry] : carries_)
        if (at >= first && at - first < samples.size()) samples[at - first] |= carry << 16;
}

void RunningMedian::set_samples(int entry, int bin, std::uint32_t samples) {
    const std::size_t at = place(entry, bin);
    counts_[at] = std::uint16_t(samples);
    carries_.erase(at);
    if (samples >> 16 != 0) carries_[at] = samples >> 16;
}

void RunningMedian::restore(std::uint32_t count, std::span<const double> medians) {
    count_ = count;
    std::copy(medians.begin(), medians.end(), medians_.begin());
    for (std::size_t i = 0; i < cursors_.size() && count > 0; ++i) {
        cursors_[i] = {0, 0, samples(int(i), 0)};
        move(cursors_[i], int(i), (count + 1) / 2);
    }
}

}  // namespace openface
