#include "openface/face_analyser/post_processing.h"

#include <algorithm>

namespace openface {

namespace {
void copy_out(Column column, std::vector<double>& values) {
    values.resize(column.frames);
    for (std::size_t i = 0; i < column.frames; ++i) values[i] = column[i];
}
}  // namespace

double neutral_level(Column raw, std::span<const std::uint8_t> success, double cutoff,
                     std::vector<double>& scratch) {
    scratch.clear();
    for (std::size_t i = 0; i < raw.frames; ++i)
        if (success[i]) scratch.push_back(raw[i]);
    if (scratch.empty()) return 0.0;
    const auto position = scratch.begin() + std::ptrdiff_t(double(scratch.size()) * cutoff);
    std::nth_element(scratch.begin(), position, scratch.end());
    return *position;
}

void finish_intensity(Column values, std::span<const std::uint8_t> success, double neutral,
                      std::vector<double>& scratch) {
    for (std::size_t i = 0; i < values.frames; ++i)
        values[i] = success[i] ? std::clamp(values[i] - neutral, 0.0, 5.0) : 0.0;
    copy_out(values, scratch);
    for (std::size_t i = 1; i + 1 < values.frames; ++i)
        values[i] = (scratch[i - 1] + scratch[i] + scratch[i + 1]) / 3.0;
}

void finish_presence(Column labels, std::vector<double>& scratch) {
    copy_out(labels, scratch);
    for (std::size_t i = 3; i + 3 < labels.frames; ++i) {
        double votes = 0.0;
        for (std::size_t k = i - 3; k <= i + 3; ++k) votes += scratch[k];
        labels[i] = votes >= 3.5 ? 1.0 : 0.0;
    }
}

}  // namespace openface
